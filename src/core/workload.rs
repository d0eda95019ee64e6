//! The state machine of one workload: observations in, decision records out.

use super::decision::{Binding, DecisionRecord, policy_version};
use super::observation::Observation;
use super::policy::Policy;

/// All that is remembered of one workload between two observations.
#[derive(Debug, Clone)]
pub struct Workload {
    policy: Policy,
}

impl Workload {
    /// A workload of which nothing has been seen yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Puts another policy in force; what was learned stays.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Takes in one observation and decides for its moment.
    ///
    /// # Errors
    /// When `observation.at` is before the last one's, or a number in it is not finite.
    pub fn step(&mut self, observation: &Observation) -> Result<DecisionRecord, String> {
        Ok(DecisionRecord {
            at: observation.at,
            desired: Some(self.policy.min_replicas),
            error: None,
            active: self.policy.min_replicas > 0,
            ahead: 0,
            buffer: 0,
            binding: Binding::Idle,
            bounds: Vec::new(),
            reason: String::new(),
            backlog: 0.0,
            arrival_rate: 0.0,
            service_rate: 0.0,
            service_rate_lower: 0.0,
            forecast: None,
            late_expected: 0.0,
            policy_version: policy_version(&self.policy),
        })
    }
}
