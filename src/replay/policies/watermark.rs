//! Datadog's Watermark Pod Autoscaler, algorithm `average`: nothing while a replica's share lies
//! between two watermarks.
//!
//! `getReplicaCount` in `controllers/datadoghq/replica_calculator.go` of
//! DataDog/watermarkpodautoscaler, and `calculateScaleUpLimit`, `calculateScaleDownLimit` and
//! `shouldScale` in `watermarkpodautoscaler_controller.go` beside it, with the defaults of its API:
//! tolerance 10 %, up at most by 50 % and not within 60 s of the last change, down at most by 20 %
//! and not within 300 s. One replica may always come or go.

use jiff::Timestamp;

use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use crate::core::Observation;
use crate::replay::units::ceil;

const TOLERANCE: f64 = 0.1;
const UP_LIMIT: f64 = 0.5;
const DOWN_LIMIT: f64 = 0.2;
const UP_FORBIDDEN_SECONDS: f64 = 60.0;
const DOWN_FORBIDDEN_SECONDS: f64 = 300.0;

/// The autoscaler with its watermarks, in messages a ready replica.
#[derive(Debug, Clone)]
pub struct Watermark {
    low: f64,
    high: f64,
    max: u32,
    changed: Option<Timestamp>,
}

impl Watermark {
    /// Between `low` and `high` messages a ready replica nothing changes.
    pub fn new(low: f64, high: f64, max: u32) -> Self {
        Self { low, high, max, changed: None }
    }

    /// The number before limits: `usage` is a ready replica's share.
    fn proposed(&self, tolerance: f64, current: u32, ready: u32, usage: f64) -> u32 {
        if usage > self.high * (1.0 + tolerance) {
            ceil(f64::from(ready) * usage / self.high).max(current)
        } else if usage < self.low * (1.0 - tolerance) {
            ceil((f64::from(ready) * usage / self.low).floor()).max(1).min(current)
        } else {
            current
        }
    }

    fn limited(&self, now: Timestamp, current: u32, proposed: u32) -> u32 {
        let since = self.changed.map(|at| now.duration_since(at).as_secs_f64());
        let allowed = |forbidden: f64| since.is_none_or(|since| since >= forbidden);
        if proposed > current && allowed(UP_FORBIDDEN_SECONDS) {
            proposed.min(current.saturating_add(step(current, UP_LIMIT)))
        } else if proposed < current && allowed(DOWN_FORBIDDEN_SECONDS) {
            proposed.max(current.saturating_sub(step(current, DOWN_LIMIT)))
        } else {
            current
        }
    }
}

/// Most replicas that come or go at once: a share of the present ones, rounded down, and always one.
fn step(current: u32, share: f64) -> u32 {
    ceil((f64::from(current) * share).floor()).max(1)
}

impl ScalingPolicy for Watermark {
    fn name(&self) -> &'static str {
        "datadog watermark"
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        let (Some(queue), Some(replicas)) = (&observation.queue, &observation.replicas) else {
            return Answer { desired: None, active: false, buffer: 0 };
        };
        let current = replicas.wanted.unwrap_or(replicas.existing());
        let messages = queue.visible + queue.in_flight;
        // none ready, or a zero from the source: it doesn't scale
        let desired = if replicas.ready == 0 || messages <= 0.0 {
            current
        } else {
            let usage = messages / f64::from(replicas.ready);
            let proposed = self.proposed(TOLERANCE, current, replicas.ready, usage);
            self.limited(observation.at, current, proposed)
        };
        if desired != current {
            self.changed = Some(observation.at);
        }
        Answer { desired: Some(f64::from(desired)), active: messages > 0.0, buffer: 0 }
    }

    fn behavior(&self) -> Behavior {
        Behavior::exact(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // replica_calculator_test.go of DataDog/watermarkpodautoscaler:
    // TestReplicaCalcAboveAbsoluteExternal_Upscale1 to 3 and TestReplicaCalcWithinAbsoluteExternal
    // with watermarks 2 and 4, TestReplicaCalcBelowAverageExternal_Downscale1 to 4 with 75 and 85
    #[test]
    fn datadogs_own_vectors() {
        for (low, high, tolerance, current, usage, expected) in [
            (2.0, 4.0, 0.02, 4, 8.6, 9),
            (2.0, 4.0, 0.02, 9, 8.6, 20),
            (2.0, 4.0, 0.02, 20, 0.2, 2),
            (2.0, 4.0, 0.2, 9, 4.799, 9),
            (75.0, 85.0, 0.01, 5, 370.0 / 5.0, 4),
            (75.0, 85.0, 0.01, 4, 240.0 / 4.0, 3),
            (75.0, 85.0, 0.01, 3, 240.0 / 3.0, 3),
            (75.0, 85.0, 0.01, 3, 375.0 / 3.0, 5),
        ] {
            let found = Watermark::new(low, high, 100).proposed(tolerance, current, current, usage);
            assert_eq!(found, expected, "{low}..{high} at {current} x {usage}");
        }
    }
    // watermarkpodautoscaler_controller_test.go beside it: TestCalculateScaleUpLimit and
    // TestCalculateScaleDownLimit, at 423 replicas
    #[test]
    fn datadogs_own_limits() {
        for (share, most) in [(0.30, 549), (0.12, 473), (1.0, 846), (0.73, 731)] {
            assert_eq!(423 + step(423, share), most, "{share}");
        }
        for (share, least) in [(0.30, 297), (1.0, 0), (0.73, 115)] {
            assert_eq!(423 - step(423, share), least, "{share}");
        }
    }

    #[test]
    fn small_fleets_move_by_whole_replicas() {
        let autoscaler = Watermark::new(2.0, 4.0, 100);
        let limited = |current, proposed| autoscaler.limited(Timestamp::UNIX_EPOCH, current, proposed);
        for (current, most, least) in [(1, 2, 0), (3, 4, 2), (7, 10, 6), (9, 13, 8), (10, 15, 8)] {
            assert_eq!((limited(current, 100), limited(current, 0)), (most, least), "{current}");
        }
    }
}
