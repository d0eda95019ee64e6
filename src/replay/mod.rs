//! The fulfilment centre as a simulation: orders, queue, workers, pods, nodes, KEDA and the HPA.

use crate::core::Observation;

/// Something that answers an observation with a number of replicas.
pub trait ScalingPolicy {
    /// Short name for tables.
    fn name(&self) -> &str;
    /// Decides for `observation.at`.
    fn decide(&mut self, observation: &Observation) -> Answer;
}

/// What a policy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Replicas wanted; `None` when it cannot tell (the HPA then holds).
    pub desired: Option<u32>,
    /// What KEDA's activation would see.
    pub active: bool,
    /// Replicas of the capacity buffer.
    pub buffer: u32,
}
