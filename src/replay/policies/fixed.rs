//! A fleet of constant size.

use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use crate::core::Observation;

/// Always the same number of replicas.
#[derive(Debug, Clone)]
pub struct Fixed {
    name: String,
    replicas: u32,
}

impl Fixed {
    /// So many replicas, always.
    pub fn new(replicas: u32) -> Self {
        Self { name: format!("fixed {replicas}"), replicas }
    }
}

impl ScalingPolicy for Fixed {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, _observation: &Observation) -> Answer {
        Answer { desired: Some(f64::from(self.replicas)), active: self.replicas > 0, buffer: 0 }
    }

    fn behavior(&self) -> Behavior {
        Behavior::exact(self.replicas)
    }
}
