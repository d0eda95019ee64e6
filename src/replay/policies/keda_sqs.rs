//! KEDA's own `aws-sqs-queue` scaler: messages over `queueLength`.
//!
//! `pkg/scalers/aws_sqs_queue_scaler.go` of kedacore/keda: the length is the sum of
//! `ApproximateNumberOfMessages`, with `scaleOnInFlight` (default true)
//! `ApproximateNumberOfMessagesNotVisible`, with `scaleOnDelayed` (default false)
//! `ApproximateNumberOfMessagesDelayed`; active when above `activationQueueLength` (default 0);
//! the HPA's target is `queueLength` (default 5) as `AverageValue`.

use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use crate::core::{Observation, QueueReading};

/// KEDA's default `queueLength`.
const DEFAULT_QUEUE_LENGTH: f64 = 5.0;

/// The scaler with its metadata.
#[derive(Debug, Clone)]
pub struct KedaSqs {
    name: String,
    queue_length: f64,
    activation_queue_length: f64,
    scale_on_in_flight: bool,
    scale_on_delayed: bool,
    behavior: Behavior,
}

impl KedaSqs {
    /// KEDA's defaults, the HPA's too.
    pub fn with_defaults() -> Self {
        Self::with_queue_length(DEFAULT_QUEUE_LENGTH)
    }

    /// Another `queueLength`, all else by default.
    pub fn with_queue_length(queue_length: f64) -> Self {
        Self {
            name: format!("keda sqs {queue_length}"),
            queue_length,
            activation_queue_length: 0.0,
            scale_on_in_flight: true,
            scale_on_delayed: false,
            behavior: Behavior::kubernetes_default(),
        }
    }

    /// The same with another behaviour of the HPA, named in tables by `label`.
    #[must_use]
    pub fn with_behavior(mut self, behavior: Behavior, label: &str) -> Self {
        self.behavior = behavior;
        self.name = format!("{} {label}", self.name);
        self
    }

    /// The queue length that KEDA computes.
    fn length(&self, queue: &QueueReading) -> f64 {
        let mut length = queue.visible;
        if self.scale_on_in_flight {
            length += queue.in_flight;
        }
        if self.scale_on_delayed {
            length += queue.delayed;
        }
        length
    }
}

impl ScalingPolicy for KedaSqs {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        let Some(queue) = &observation.queue else {
            return Answer { desired: None, active: false, buffer: 0 };
        };
        let length = self.length(queue);
        Answer {
            desired: Some(length / self.queue_length),
            active: length > self.activation_queue_length,
            buffer: 0,
        }
    }

    fn behavior(&self) -> Behavior {
        self.behavior.clone()
    }
}
