//! Ours: the very core that the server runs.

use super::super::scenario::Scenario;
use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use crate::core::{DecisionRecord, Observation, Policy, ServiceRate, Workload};

/// `core::Workload` behind the same trait as everybody.
#[derive(Debug, Clone)]
pub struct CorePolicy {
    name: String,
    workload: Workload,
    last: Option<DecisionRecord>,
}

impl CorePolicy {
    /// The policy that an operator of this scenario would write: its goal, its bounds and the lead
    /// times that he believes in. Nothing is tuned to the scenario.
    pub fn for_scenario(scenario: &Scenario) -> Self {
        Self::new("peakscaler", Workload::new(policy_for(scenario)))
    }

    /// Any workload under any name.
    pub fn new(name: &str, workload: Workload) -> Self {
        Self { name: name.to_owned(), workload, last: None }
    }

    /// The last decision, with its reason.
    pub fn last(&self) -> Option<&DecisionRecord> {
        self.last.as_ref()
    }
}

/// What an operator would write for a scenario.
pub fn policy_for(scenario: &Scenario) -> Policy {
    Policy {
        target_wait_seconds: scenario.goal.target_wait_seconds,
        cut_offs: scenario.goal.cut_offs.clone(),
        time_zone: scenario.time_zone.clone(),
        service_rate: ServiceRate::Learned,
        min_replicas: scenario.pods.min,
        max_replicas: scenario.pods.max,
        pod_lead_seconds: scenario.pods.lead_seconds,
        node_lead_seconds: scenario.nodes.lead_seconds,
        ..Policy::default()
    }
}

impl ScalingPolicy for CorePolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        // an observation that the core refuses is an error for KEDA: the HPA holds
        self.last = self.workload.step(observation).ok();
        let Some(record) = &self.last else {
            return Answer { desired: None, active: false, buffer: 0 };
        };
        Answer {
            desired: record.desired.map(f64::from),
            active: record.active,
            buffer: record.buffer,
        }
    }

    fn behavior(&self) -> Behavior {
        Behavior::exact(self.workload.policy().max_replicas)
    }

    fn samples_itself(&self) -> bool {
        true
    }
}
