//! KEDA's `aws-sqs-queue` and `cron` triggers on one `ScaledObject`: the HPA takes the larger.
//!
//! `pkg/scalers/cron_scaler.go` of kedacore/keda: `desiredReplicas` between start and end, where
//! it is active too, and 1 outside.

use super::super::{Answer, ScalingPolicy};
use super::keda_sqs::KedaSqs;
use super::schedule::Entry;
use crate::core::Observation;

/// Both triggers.
#[derive(Debug, Clone)]
pub struct KedaSqsAndCron {
    name: String,
    sqs: KedaSqs,
    entries: Vec<Entry>,
}

impl KedaSqsAndCron {
    /// The queue's trigger beside one `cron` trigger an entry.
    pub fn new(sqs: KedaSqs, entries: Vec<Entry>) -> Self {
        Self { name: format!("{} + cron", sqs.name()), sqs, entries }
    }
}

impl ScalingPolicy for KedaSqsAndCron {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        let queue = self.sqs.decide(observation);
        let now = observation.at;
        let running = self.entries.iter().filter(|entry| (entry.from..entry.to).contains(&now));
        let scheduled = running.map(|entry| entry.replicas).max();
        let cron = f64::from(scheduled.unwrap_or(1));
        // where one of two metrics fails, the HPA goes up by the other and never down
        let held = observation.replicas.as_ref().and_then(|replicas| replicas.wanted);
        let queue_metric = queue.desired.or(held.map(f64::from));
        Answer {
            desired: queue_metric.map(|desired| desired.max(cron)),
            active: queue.active || scheduled.is_some(),
            buffer: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keda_sqs::tests::observation;
    use super::*;

    #[test]
    fn the_larger_of_queue_and_schedule() {
        let at = observation(0.0, 0.0).at;
        let entry = |from: i64, to: i64| Entry {
            from: at + jiff::SignedDuration::from_secs(from),
            to: at + jiff::SignedDuration::from_secs(to),
            replicas: 12,
        };
        for (entry, visible, expected) in [
            (entry(-60, 60), 5.0, 12.0),
            (entry(-60, 60), 500.0, 100.0),
            (entry(60, 120), 5.0, 1.0),
            (entry(-120, 0), 25.0, 5.0),
        ] {
            let mut policy = KedaSqsAndCron::new(KedaSqs::with_defaults(), vec![entry]);
            assert_eq!(policy.decide(&observation(visible, 0.0)).desired, Some(expected));
        }
    }
}
