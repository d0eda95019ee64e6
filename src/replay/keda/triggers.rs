//! KEDA's triggers of one ScaledObject as one policy: the HPA takes the larger number, and KEDA is
//! active while one trigger is.

use super::KedaTrigger;
use crate::core::Observation;
use crate::replay::world::hpa::Behavior;
use crate::replay::{Answer, ScalingPolicy};

/// All triggers together.
#[derive(Debug, Clone)]
pub struct KedaTriggers {
    name: String,
    triggers: Vec<KedaTrigger>,
    behavior: Behavior,
}

impl KedaTriggers {
    pub(super) fn new(triggers: Vec<KedaTrigger>, behavior: Behavior) -> Self {
        let name = |trigger: &KedaTrigger| match trigger {
            KedaTrigger::Sqs(sqs) => sqs.name().to_owned(),
            KedaTrigger::Cron(_) => "cron".to_owned(),
            KedaTrigger::Rate(_) => "prometheus".to_owned(),
        };
        let mut names: Vec<String> = triggers.iter().map(name).collect();
        names.dedup();
        Self { name: names.join(" + "), triggers, behavior }
    }
}

impl ScalingPolicy for KedaTriggers {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        let mut known: Option<f64> = None;
        let mut failed = false;
        let mut active = false;
        for trigger in &mut self.triggers {
            let (desired, is_active) = match trigger {
                KedaTrigger::Sqs(sqs) => {
                    let answer = sqs.decide(observation);
                    (answer.desired, answer.active)
                }
                KedaTrigger::Cron(cron) => some(cron.at(observation.at)),
                KedaTrigger::Rate(rate) => some(rate.at(observation)),
            };
            failed |= desired.is_none();
            active |= is_active;
            known = known.larger(desired);
        }
        // where one of several metrics fails, the HPA goes up by the others and never down
        let held = observation.replicas.as_ref().and_then(|replicas| replicas.wanted).map(f64::from);
        let desired = if failed { known.and(known.larger(held)) } else { known };
        Answer { desired, active, buffer: 0 }
    }

    fn behavior(&self) -> Behavior {
        self.behavior.clone()
    }
}

fn some((desired, active): (f64, bool)) -> (Option<f64>, bool) {
    (Some(desired), active)
}

/// The larger of two numbers that may be missing.
trait Larger {
    fn larger(self, other: Self) -> Self;
}

impl Larger for Option<f64> {
    fn larger(self, other: Self) -> Self {
        match (self, other) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        }
    }
}
