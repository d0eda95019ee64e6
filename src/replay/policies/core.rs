//! Ours: the very core that the server runs.

use super::super::run::Cell;
use super::super::scenario::Scenario;
use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use super::foresight::Foresight;
use crate::core::{DecisionRecord, Observation, Policy, ServiceRate, Workload};

/// `core::Workload` behind the same trait as everybody.
#[derive(Debug, Clone)]
pub struct CorePolicy {
    name: String,
    workload: Workload,
    last: Option<DecisionRecord>,
    buffers: bool,
}

impl CorePolicy {
    /// The policy that an operator of this scenario would write: its goal, its bounds and the lead
    /// times that he believes in. Nothing is tuned to the scenario.
    pub fn for_scenario(scenario: &Scenario) -> Self {
        Self::new("peakscaler", Workload::new(policy_for(scenario)))
    }

    /// The same with the true arrivals as its forecast.
    pub fn with_foresight(cell: &Cell) -> Self {
        let workload = Workload::new(policy_for(cell.scenario()));
        Self::new("peakscaler foresight", workload.with_forecast(Box::new(Foresight::of(cell))))
    }

    /// The same with the service rate that the scenario has without a fault, never learned.
    pub fn with_given_rate(scenario: &Scenario) -> Self {
        let service = &scenario.service;
        let per_minute = 60.0 * f64::from(service.concurrency) / service.mean_seconds;
        let policy = Policy { service_rate: ServiceRate::PerMinute(per_minute), ..policy_for(scenario) };
        Self::new("peakscaler given rate", Workload::new(policy))
    }

    /// The same without a capacity buffer: nodes come only after pods wait for them.
    pub fn without_buffer(scenario: &Scenario) -> Self {
        let mut policy = Self::new("peakscaler no buffer", Workload::new(policy_for(scenario)));
        policy.buffers = false;
        policy
    }

    /// Any workload under any name.
    pub fn new(name: &str, workload: Workload) -> Self {
        Self { name: name.to_owned(), workload, last: None, buffers: true }
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
            buffer: if self.buffers { record.buffer } else { 0 },
        }
    }

    fn behavior(&self) -> Behavior {
        Behavior::exact(self.workload.policy().max_replicas)
    }

    fn samples_itself(&self) -> bool {
        true
    }
}
