//! Zalando's `kube-metrics-adapter`: queue length and a `ScalingSchedule`, the HPA takes the
//! larger.
//!
//! `pkg/collector/aws_collector.go` reads `ApproximateNumberOfMessages`;
//! `pkg/collector/scaling_schedule_collector.go` gives a schedule's value inside it, and before
//! and after it a share that rises in steps over a scaling window.

use jiff::Timestamp;

use super::super::{Answer, ScalingPolicy};
use super::schedule::Entry;
use crate::core::Observation;

/// `--scaling-schedule-default-scaling-window`, seconds.
const DEFAULT_WINDOW_SECONDS: f64 = 600.0;
/// `--scaling-schedule-ramp-steps`.
const DEFAULT_STEPS: f64 = 10.0;

/// The queue's metric beside a schedule.
#[derive(Debug, Clone)]
pub struct Zalando {
    messages_per_replica: f64,
    entries: Vec<Entry>,
}

impl Zalando {
    /// So many visible messages a replica, beside a schedule of replicas.
    pub fn new(messages_per_replica: f64, entries: Vec<Entry>) -> Self {
        Self { messages_per_replica, entries }
    }
}

/// The value of a schedule at a moment: the greatest of its entries.
fn scheduled(entries: &[Entry], now: Timestamp, window_seconds: f64, steps: f64) -> f64 {
    let value = |entry: &Entry| {
        let to_start = entry.from.duration_since(now).as_secs_f64();
        let since_end = now.duration_since(entry.to).as_secs_f64();
        let full = f64::from(entry.replicas);
        if to_start <= 0.0 && since_end < 0.0 {
            return full;
        }
        // the distance to the outer end of the window decides, before as after
        let inside = window_seconds - if to_start > 0.0 { to_start } else { since_end };
        if window_seconds <= 0.0 || inside < 0.0 {
            return 0.0;
        }
        ((inside / window_seconds * steps).floor() * (full / steps)).floor()
    };
    entries.iter().map(value).fold(0.0, f64::max)
}

impl ScalingPolicy for Zalando {
    fn name(&self) -> &'static str {
        "zalando sqs + schedule"
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        let schedule = scheduled(&self.entries, observation.at, DEFAULT_WINDOW_SECONDS, DEFAULT_STEPS);
        let held = observation.replicas.as_ref().and_then(|replicas| replicas.wanted);
        let queue = observation.queue.map(|queue| queue.visible / self.messages_per_replica);
        let queue = queue.or(held.map(f64::from));
        Answer {
            desired: queue.map(|desired| desired.max(schedule)),
            active: queue.is_some_and(|desired| desired > 0.0) || schedule > 0.0,
            buffer: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // TestScalingScheduleCollector in scaling_schedule_collector_test.go: value 100, a window of
    // one minute and ten steps unless said otherwise; seconds from now to start and to end.
    #[test]
    fn the_adapters_own_vectors() {
        let now = Timestamp::from_second(1_257_890_400).unwrap();
        let minute = 60;
        for (name, start, end, window, steps, expected) in [
            ("starts now", 0, 15 * minute, 60.0, 10.0, 100.0),
            ("ten minutes in", -10 * minute, 5 * minute, 60.0, 10.0, 100.0),
            ("30 s before its end", 30 - 15 * minute, 30, 60.0, 10.0, 100.0),
            ("20 s before its start", 20, 20 + 45 * minute, 60.0, 10.0, 60.0),
            ("20 s after its end", -45 * minute - 20, -20, 60.0, 10.0, 60.0),
            ("1 s before, ten steps", 1, 1 + 45 * minute, 60.0, 10.0, 90.0),
            ("1 s before, five steps", 1, 1 + 45 * minute, 60.0, 5.0, 80.0),
            ("30 s before, ten-minute window", 30, 30 + 45 * minute, 600.0, 10.0, 90.0),
            ("30 s after, ten-minute window", -45 * minute - 30, -30, 600.0, 10.0, 90.0),
            ("20 min before", 20 * minute, 85 * minute, 60.0, 10.0, 0.0),
            ("ended", -20 * minute, -5 * minute, 60.0, 10.0, 0.0),
        ] {
            let at = |seconds: i64| now + jiff::SignedDuration::from_secs(seconds);
            let entry = Entry { from: at(start), to: at(end), replicas: 100 };
            let found = scheduled(&[entry], now, window, steps);
            assert!((found - expected).abs() < 1e-9, "{name}: {found}");
        }
    }

    #[test]
    fn the_greatest_entry_counts() {
        let now = Timestamp::UNIX_EPOCH;
        let entry = |replicas| Entry { from: now, to: now + jiff::SignedDuration::from_secs(900), replicas };
        let found = scheduled(&[entry(100), entry(120), entry(110)], now, 60.0, 10.0);
        assert!((found - 120.0).abs() < 1e-9);
    }
}
