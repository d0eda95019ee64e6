//! AWS's backlog per instance.
//!
//! Static: "Scaling policy based on Amazon SQS" in the Amazon EC2 Auto Scaling User Guide. The
//! acceptable backlog per instance is the longest acceptable latency over the average processing
//! time of a message; the metric is `ApproximateNumberOfMessages` over the instances in service,
//! tracked to it. Measured: "Scaling an ASG using target tracking with a dynamic SQS target" (AWS
//! Compute Blog), where the processing time is measured all the time instead of assumed.

use std::collections::VecDeque;

use super::super::{Answer, ScalingPolicy};
use crate::core::Observation;

/// Minutes over which the processing time is averaged.
const MEASURED_MINUTES: usize = 15;

/// Visible messages over the acceptable backlog.
#[derive(Debug, Clone)]
pub struct BacklogPerInstance {
    name: &'static str,
    latency_seconds: f64,
    processing_seconds: f64,
    measured: Option<Measured>,
}

/// Processing time from messages in flight and completions, by Little's law: what the blog's
/// workers report of themselves.
#[derive(Debug, Clone, Default)]
struct Measured {
    in_flight_sum: f64,
    readings: f64,
    minutes: VecDeque<(f64, f64)>,
}

impl BacklogPerInstance {
    /// With a processing time that was measured once, in seconds.
    pub fn fixed(latency_seconds: f64, processing_seconds: f64) -> Self {
        Self { name: "aws backlog", latency_seconds, processing_seconds, measured: None }
    }

    /// With a processing time that is measured all the time, beginning with the one given.
    pub fn measured(latency_seconds: f64, processing_seconds: f64) -> Self {
        let measured = Some(Measured::default());
        Self { name: "aws backlog measured", latency_seconds, processing_seconds, measured }
    }

    /// Messages that one instance may have before it.
    fn acceptable(&self) -> f64 {
        (self.latency_seconds / self.processing_seconds).max(1.0)
    }
}

impl Measured {
    /// Takes in an observation; gives the processing time once there is one.
    fn observe(&mut self, observation: &Observation) -> Option<f64> {
        if let Some(queue) = &observation.queue {
            self.in_flight_sum += queue.in_flight;
            self.readings += 1.0;
        }
        for interval in &observation.completions {
            let seconds = interval.to.duration_since(interval.from).as_secs_f64();
            let in_flight = self.in_flight_sum / self.readings.max(1.0);
            self.minutes.push_back((in_flight * seconds, interval.count));
            (self.in_flight_sum, self.readings) = (0.0, 0.0);
            if self.minutes.len() > MEASURED_MINUTES {
                self.minutes.pop_front();
            }
        }
        let busy: f64 = self.minutes.iter().map(|(busy, _)| busy).sum();
        let completed: f64 = self.minutes.iter().map(|(_, count)| count).sum();
        (completed >= 1.0 && busy > 0.0).then(|| busy / completed)
    }
}

impl ScalingPolicy for BacklogPerInstance {
    fn name(&self) -> &str {
        self.name
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        let measured = self.measured.as_mut().and_then(|measured| measured.observe(observation));
        if let Some(seconds) = measured {
            self.processing_seconds = seconds;
        }
        let visible = observation.queue.map(|queue| queue.visible);
        Answer {
            desired: visible.map(|visible| visible / self.acceptable()),
            active: visible.is_some_and(|visible| visible > 0.0),
            buffer: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keda_sqs::tests::observation;
    use super::*;
    use crate::core::Interval;

    #[test]
    fn the_user_guides_example() {
        // 1,500 messages, 0.1 s each, 10 s acceptable: 100 a instance, 15 instances (5 more)
        let mut policy = BacklogPerInstance::fixed(10.0, 0.1);
        assert!((policy.acceptable() - 100.0).abs() < 1e-9);
        assert_eq!(policy.decide(&observation(1_500.0, 10.0)).desired, Some(15.0));
    }

    /// The guide's queue as it stands, after a minute in which so many messages were completed.
    fn after_a_minute(in_flight: f64, completed: f64) -> Observation {
        let seen = observation(1_500.0, in_flight);
        let from = seen.at - jiff::SignedDuration::from_secs(60);
        Observation { completions: vec![Interval { from, to: seen.at, count: completed }], ..seen }
    }

    #[test]
    fn the_processing_time_that_is_measured_takes_the_place_of_the_one_given() {
        // until something is completed the time given stands: 0.5 s, 20 a instance, 75 instances
        let mut policy = BacklogPerInstance::measured(10.0, 0.5);
        assert_eq!(policy.decide(&observation(1_500.0, 10.0)).desired, Some(75.0));
        // 10 in flight and 6,000 done in a minute are 0.1 s each: the guide's 15 instances
        assert_eq!(policy.decide(&after_a_minute(10.0, 6_000.0)).desired, Some(15.0));
        // another minute, at 0.3 s each: 1,200 busy seconds over 8,000 messages, 0.15 s
        assert_eq!(policy.decide(&after_a_minute(10.0, 2_000.0)).desired, Some(22.5));
        assert!((policy.acceptable() - 10.0 / 0.15).abs() < 1e-9);
    }

    #[test]
    fn only_the_last_quarter_of_an_hour_is_measured() {
        let mut policy = BacklogPerInstance::measured(10.0, 0.5);
        policy.decide(&after_a_minute(1_000.0, 10.0));
        for _ in 0..MEASURED_MINUTES {
            policy.decide(&after_a_minute(10.0, 6_000.0));
        }
        assert_eq!(policy.decide(&observation(1_500.0, 10.0)).desired, Some(15.0));
    }

    #[test]
    fn an_instance_may_have_one_message_at_least_and_a_blind_scaler_says_nothing() {
        // a message that takes longer than the wait: the backlog is never divided by less than one
        let mut policy = BacklogPerInstance::fixed(10.0, 40.0);
        assert_eq!(policy.decide(&observation(7.0, 0.0)).desired, Some(7.0));
        let blind = Observation { queue: None, ..observation(0.0, 0.0) };
        assert_eq!(policy.decide(&blind), Answer { desired: None, active: false, buffer: 0 });
    }
}
