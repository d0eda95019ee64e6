//! A surrogate of AWS's predictive scaling: "14-day hourly, scale-out only".
//!
//! "How predictive scaling works" in the Application Auto Scaling and EC2 Auto Scaling User
//! Guides: up to 14 days of history, a forecast of hourly capacity, applied `SchedulingBufferTime`
//! (default 300 s) ahead of its hour; it adds capacity and never removes any, which is left to a
//! dynamic policy beside it. The model behind the forecast is not published: here it is the mean of
//! the same hour of the last two weeks, at a target use of four fifths. Beside it tracks AWS's
//! backlog per instance.

use jiff::SignedDuration;

use super::super::orders::HistoryBin;
use super::super::{Answer, ScalingPolicy};
use super::BacklogPerInstance;
use super::hourly::HourlyOrders;
use crate::core::Observation;

/// Days of history used.
const HISTORY_DAYS: i64 = 14;
/// `SchedulingBufferTime`.
const BUFFER: SignedDuration = SignedDuration::from_secs(300);
/// Use of an instance that capacity is forecast for.
const TARGET_USE: f64 = 0.8;

/// The forecast beside the dynamic policy.
#[derive(Debug, Clone)]
pub struct PredictiveScaling {
    hourly: HourlyOrders,
    processing_seconds: f64,
    dynamic: BacklogPerInstance,
}

impl PredictiveScaling {
    /// With the orders of the days before, the longest acceptable wait and the processing time.
    pub fn new(history: &[HistoryBin], latency_seconds: f64, processing_seconds: f64) -> Self {
        Self {
            hourly: HourlyOrders::new(HISTORY_DAYS, history),
            processing_seconds,
            dynamic: BacklogPerInstance::fixed(latency_seconds, processing_seconds),
        }
    }
}

impl ScalingPolicy for PredictiveScaling {
    fn name(&self) -> &'static str {
        "aws predictive (surrogate)"
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        self.hourly.observe(observation);
        let answer = self.dynamic.decide(observation);
        let orders = self.hourly.expected(observation.at + BUFFER).unwrap_or(0.0);
        let capacity = orders * self.processing_seconds / 3_600.0 / TARGET_USE;
        Answer {
            desired: answer.desired.map(|dynamic| dynamic.max(capacity)),
            active: answer.active || capacity > 0.0,
            ..answer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keda_sqs::tests::observation;
    use super::*;

    #[test]
    fn the_forecast_raises_and_never_lowers() {
        let at = observation(0.0, 0.0).at;
        let week = SignedDuration::from_hours(168);
        // 1,440 orders of 20 s in an hour are eight busy instances, ten at four fifths
        let history = [
            HistoryBin { from: at - week, count: 1_440.0 },
            HistoryBin { from: at - SignedDuration::from_hours(1), count: 0.0 },
        ];
        let mut policy = PredictiveScaling::new(&history, 300.0, 20.0);
        assert_eq!(policy.decide(&observation(0.0, 0.0)).desired, Some(10.0));
        assert_eq!(policy.decide(&observation(300.0, 0.0)).desired, Some(20.0));
    }
}
