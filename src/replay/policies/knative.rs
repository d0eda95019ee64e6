//! Knative's pod autoscaler, fed with the queue's messages in place of concurrent requests.
//!
//! `Scale` in `pkg/autoscaler/scaling/autoscaler.go` of knative/serving, with the defaults of
//! `config-autoscaler`: a stable window of 60 s, a panic window of a tenth of it, panic at twice
//! what the ready pods take, up at most a thousandfold and down at most by half in a step, no
//! decrease while in panic.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use crate::core::Observation;
use crate::replay::units::ceil;

const STABLE_WINDOW_SECONDS: f64 = 60.0;
const PANIC_WINDOW_SECONDS: f64 = 6.0;
const PANIC_THRESHOLD: f64 = 2.0;

/// The autoscaler with its target.
#[derive(Debug, Clone)]
pub struct Knative {
    target: f64,
    max: u32,
    max_up_rate: f64,
    max_down_rate: f64,
    readings: VecDeque<(Timestamp, f64)>,
    panic_since: Option<Timestamp>,
    panic_pods: u32,
}

impl Knative {
    /// So many messages a pod.
    pub fn new(target: f64, max: u32) -> Self {
        Self {
            target,
            max,
            max_up_rate: 1_000.0,
            max_down_rate: 2.0,
            readings: VecDeque::new(),
            panic_since: None,
            panic_pods: 0,
        }
    }

    fn scale(&mut self, now: Timestamp, ready: u32, stable: f64, panic: f64) -> u32 {
        let ready = f64::from(ready.max(1));
        let most = (self.max_up_rate * ready).ceil();
        let least = (ready / self.max_down_rate).floor();
        let panic_wanted = (panic / self.target).ceil();
        let bounded = |wanted: f64| ceil(wanted.max(least).min(most));
        let stable_pods = bounded((stable / self.target).ceil());
        let panic_pods = bounded(panic_wanted);
        if panic_wanted / ready >= PANIC_THRESHOLD {
            self.panic_since = Some(now);
        } else if self
            .panic_since
            .is_some_and(|since| now.duration_since(since).as_secs_f64() > STABLE_WINDOW_SECONDS)
        {
            (self.panic_since, self.panic_pods) = (None, 0);
        }
        if self.panic_since.is_none() {
            return stable_pods;
        }
        self.panic_pods = self.panic_pods.max(stable_pods).max(panic_pods);
        self.panic_pods
    }

    fn average(&self, now: Timestamp, window_seconds: f64) -> f64 {
        let young = |at: &Timestamp| now.duration_since(*at).as_secs_f64() < window_seconds;
        let values = self.readings.iter().filter(|(at, _)| young(at)).map(|(_, value)| *value);
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    }
}

impl ScalingPolicy for Knative {
    fn name(&self) -> &'static str {
        "knative"
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        let (Some(queue), Some(replicas)) = (&observation.queue, &observation.replicas) else {
            return Answer { desired: None, active: false, buffer: 0 };
        };
        let now = observation.at;
        self.readings.push_back((now, queue.visible + queue.in_flight));
        let old = |at: &Timestamp| now.duration_since(*at).as_secs_f64() >= STABLE_WINDOW_SECONDS;
        while self.readings.front().is_some_and(|(at, _)| old(at)) {
            self.readings.pop_front();
        }
        let stable = self.average(now, STABLE_WINDOW_SECONDS);
        let panic = self.average(now, PANIC_WINDOW_SECONDS);
        let desired = self.scale(now, replicas.ready, stable, panic);
        Answer { desired: Some(f64::from(desired)), active: desired > 0, buffer: 0 }
    }

    fn behavior(&self) -> Behavior {
        Behavior::exact(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `newTestAutoscaler` in `autoscaler_test.go` sets it: rates of ten both ways.
    fn tested(target: f64) -> Knative {
        Knative { max_up_rate: 10.0, max_down_rate: 10.0, ..Knative::new(target, 1_000) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    // TestAutoscalerStableModeIncreaseWithConcurrencyDefault, StableModeDecrease and
    // StableModeNoTrafficScaleToZero
    #[test]
    fn knatives_stable_vectors() {
        let mut autoscaler = tested(10.0);
        assert_eq!(autoscaler.scale(at(0), 1, 50.0, 10.0), 5);
        assert_eq!(autoscaler.scale(at(0), 1, 100.0, 10.0), 10);
        let mut autoscaler = tested(10.0);
        assert_eq!(autoscaler.scale(at(0), 8, 100.0, 100.0), 10);
        assert_eq!(autoscaler.scale(at(0), 8, 50.0, 50.0), 5);
        let mut autoscaler = tested(10.0);
        assert_eq!(autoscaler.scale(at(0), 1, 1.0, 0.0), 1);
        assert_eq!(autoscaler.scale(at(0), 1, 0.0, 0.0), 0);
    }

    // TestAutoscalerUnpanicAfterSlowIncrease and TestAutoscalerExtendPanicWindow
    #[test]
    fn knatives_panic_vectors() {
        let mut autoscaler = tested(1.0);
        assert_eq!(autoscaler.scale(at(0), 10, 11.0, 25.0), 25);
        assert_eq!(autoscaler.scale(at(30), 40, 30.0, 41.0), 41);
        assert_eq!(autoscaler.scale(at(62), 55, 50.0, 56.0), 50);
        let mut autoscaler = tested(1.0);
        assert_eq!(autoscaler.scale(at(0), 10, 11.0, 25.0), 25);
        assert_eq!(autoscaler.scale(at(30), 40, 30.0, 80.0), 80);
    }
}
