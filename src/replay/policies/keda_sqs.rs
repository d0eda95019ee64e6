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

    /// The trigger's metadata in full.
    pub fn with_metadata(
        queue_length: f64,
        activation_queue_length: f64,
        scale_on_in_flight: bool,
        scale_on_delayed: bool,
    ) -> Self {
        let sqs = Self::with_queue_length(queue_length);
        Self { activation_queue_length, scale_on_in_flight, scale_on_delayed, ..sqs }
    }

    /// The same with another behaviour of the HPA, named in tables by `label`.
    #[must_use]
    pub fn with_behavior(mut self, behavior: Behavior, label: &str) -> Self {
        self.behavior = behavior;
        self.name = format!("{} {label}", self.name);
        self
    }

    /// The same under another name in tables.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::Replicas;

    /// An observation of a queue at the epoch, with `ready` workers.
    pub(in super::super) fn with_ready(visible: f64, in_flight: f64, ready: u32) -> Observation {
        Observation {
            at: jiff::Timestamp::UNIX_EPOCH,
            queue: Some(QueueReading { visible, in_flight, ..QueueReading::default() }),
            arrivals: Vec::new(),
            completions: Vec::new(),
            replicas: Some(Replicas { ready, starting: Vec::new(), pending: 0, wanted: Some(ready) }),
            nodes: None,
            lead_times: None,
            bounds: None,
        }
    }

    /// An observation of a queue with ten ready workers.
    pub(in super::super) fn observation(visible: f64, in_flight: f64) -> Observation {
        with_ready(visible, in_flight, 10)
    }

    // TestAWSSQSScalerGetMetrics in aws_sqs_queue_scaler_test.go: 200 visible and 100 in flight
    // are 300 with scaleOnInFlight and 200 without; an error of the API is an error.
    #[test]
    fn keda_s_own_vectors() {
        let mut scaler = KedaSqs::with_queue_length(1.0);
        assert_eq!(scaler.decide(&observation(200.0, 100.0)).desired, Some(300.0));
        scaler.scale_on_in_flight = false;
        assert_eq!(scaler.decide(&observation(200.0, 100.0)).desired, Some(200.0));
        let blind = Observation { queue: None, ..observation(0.0, 0.0) };
        assert_eq!(scaler.decide(&blind).desired, None);
    }

    #[test]
    fn delayed_messages_count_when_asked_for() {
        let mut seen = observation(200.0, 100.0);
        seen.queue.as_mut().unwrap().delayed = 50.0;
        let mut scaler = KedaSqs::with_queue_length(1.0);
        assert_eq!(scaler.decide(&seen).desired, Some(300.0));
        scaler.scale_on_delayed = true;
        assert_eq!(scaler.decide(&seen).desired, Some(350.0));
    }

    #[test]
    fn active_is_strictly_above_the_activation_length() {
        let mut scaler = KedaSqs::with_defaults();
        assert!(!scaler.decide(&observation(0.0, 0.0)).active);
        assert!(scaler.decide(&observation(1.0, 0.0)).active);
        scaler.activation_queue_length = 3.0;
        assert!(!scaler.decide(&observation(2.0, 1.0)).active);
        assert!(scaler.decide(&observation(3.0, 1.0)).active);
    }

    #[test]
    fn the_default_target_is_five_messages() {
        let answer = KedaSqs::with_defaults().decide(&observation(40.0, 10.0));
        assert_eq!(answer.desired, Some(10.0));
    }
}
