//! A fleet of constant size.

use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use crate::core::Observation;

/// Always the same number of replicas.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    replicas: u32,
}

impl Fixed {
    /// So many replicas, always.
    pub fn new(replicas: u32) -> Self {
        Self { replicas }
    }
}

impl ScalingPolicy for Fixed {
    fn name(&self) -> &'static str {
        "fixed fleet"
    }

    fn decide(&mut self, _observation: &Observation) -> Answer {
        Answer { desired: Some(f64::from(self.replicas)), active: self.replicas > 0, buffer: 0 }
    }

    fn behavior(&self) -> Behavior {
        Behavior::exact(self.replicas)
    }
}
