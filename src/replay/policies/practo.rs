//! Practo's Worker Pod Autoscaler.
//!
//! `GetDesiredWorkers` in `pkg/controller/controller.go` of practo/k8s-worker-pod-autoscaler:
//! visible messages over a target, a tolerance of a tenth, never below messages a minute times the
//! seconds that one takes, and a limit on how many workers one step may take away. To zero only
//! when every worker is idle.

use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use crate::core::Observation;
use crate::replay::units::ceil;

/// Change that is not worth a step.
const TOLERANCE: f64 = 0.1;

/// The autoscaler with its settings.
#[derive(Debug, Clone)]
pub struct Practo {
    target_messages_per_worker: f64,
    seconds_to_process_one_job: f64,
    max_disruption: f64,
    min: u32,
    max: u32,
    sent_per_minute: f64,
}

impl Practo {
    /// With the operator's processing time, and the default of disrupting all at once.
    pub fn new(target_messages_per_worker: f64, seconds_to_process_one_job: f64, min: u32, max: u32) -> Self {
        Self {
            target_messages_per_worker,
            seconds_to_process_one_job,
            max_disruption: 1.0,
            min,
            max,
            sent_per_minute: 0.0,
        }
    }

    fn desired(&self, messages: f64, current: u32, idle: u32) -> u32 {
        let by_rate = ceil(self.seconds_to_process_one_job * self.sent_per_minute / 60.0);
        let min = self.min.max(by_rate);
        let disruptable = ceil(f64::from(current) * self.max_disruption);
        let rules = |desired: u32, disruptable: u32| {
            if min >= self.max {
                return self.max;
            }
            desired.max(current.saturating_sub(disruptable)).min(self.max).max(min)
        };
        let wanted = ceil(messages / self.target_messages_per_worker);
        if current == 0 {
            return rules(wanted, disruptable);
        }
        if messages > 0.0 {
            let change = f64::from(wanted.abs_diff(current)) / f64::from(current);
            return rules(if change <= TOLERANCE { current } else { wanted }, disruptable);
        }
        if self.sent_per_minute > 0.0 && self.seconds_to_process_one_job > 0.0 {
            return rules(min, disruptable);
        }
        if current == idle { rules(0, current) } else { rules(min, disruptable) }
    }
}

impl ScalingPolicy for Practo {
    fn name(&self) -> &'static str {
        "practo"
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        if let Some(last) = observation.arrivals.last() {
            let minutes = last.to.duration_since(last.from).as_secs_f64() / 60.0;
            self.sent_per_minute = last.count / minutes;
        }
        let (Some(queue), Some(replicas)) = (&observation.queue, &observation.replicas) else {
            return Answer { desired: None, active: false, buffer: 0 };
        };
        let idle = if queue.visible + queue.in_flight > 0.0 { 0 } else { replicas.ready };
        let current = replicas.wanted.unwrap_or(replicas.existing());
        let desired = self.desired(queue.visible, current, idle);
        Answer { desired: Some(f64::from(desired)), active: desired > 0, buffer: 0 }
    }

    fn behavior(&self) -> Behavior {
        Behavior::exact(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // controller_test.go of practo/k8s-worker-pod-autoscaler
    #[test]
    fn practos_own_vectors() {
        let scale_down = Practo {
            target_messages_per_worker: 200.0,
            seconds_to_process_one_job: 0.3,
            max_disruption: 0.1,
            min: 0,
            max: 20,
            sent_per_minute: 10.0,
        };
        assert_eq!(scale_down.desired(10.0, 20, 0), 18);
        let min_above_max = Practo {
            target_messages_per_worker: 2_500.0,
            seconds_to_process_one_job: 10.0,
            max_disruption: 0.0,
            min: 2,
            max: 20,
            sent_per_minute: 2_136.6,
        };
        assert_eq!(min_above_max.desired(1.0, 10, 0), 20);
    }
}
