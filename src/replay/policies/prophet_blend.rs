//! A surrogate of do-it-yourself predictive autoscaling: "Prophet 70/30".
//!
//! The recipe that is handed around: a seasonal model (Prophet: trend and weekly seasonality)
//! foresees the load one lead time ahead, and seven tenths of what it asks for are added to three
//! tenths of what the reactive trigger asks for. Here the model is the mean of the same hours of
//! the last four weeks, times the growth of a week; the reactive trigger is KEDA's.

use jiff::SignedDuration;

use super::super::orders::HistoryBin;
use super::super::{Answer, ScalingPolicy};
use super::KedaSqs;
use super::hourly::HourlyOrders;
use crate::core::Observation;

/// Days of history used.
const HISTORY_DAYS: i64 = 28;
/// Share of the forecast.
const FORECAST_SHARE: f64 = 0.7;
/// Use of a worker that replicas are foreseen for.
const TARGET_USE: f64 = 0.8;
/// Most that a week's growth changes the mean of the weeks before, either way.
const GROWTH_LIMIT: f64 = 1.5;

/// The forecast and the reactive trigger.
#[derive(Debug, Clone)]
pub struct ProphetBlend {
    hourly: HourlyOrders,
    ahead: SignedDuration,
    processing_seconds: f64,
    reactive: KedaSqs,
}

impl ProphetBlend {
    /// Foresees `ahead_seconds` from the orders of the days before; beside it `reactive`.
    pub fn new(
        history: &[HistoryBin],
        ahead_seconds: f64,
        processing_seconds: f64,
        reactive: KedaSqs,
    ) -> Self {
        Self {
            hourly: HourlyOrders::new(HISTORY_DAYS, history),
            ahead: SignedDuration::from_secs_f64(ahead_seconds),
            processing_seconds,
            reactive,
        }
    }

    /// Replicas for the orders foreseen; `None` before a day is known.
    fn foreseen(&self, observation: &Observation) -> Option<f64> {
        let orders = self.hourly.expected_at(observation.at + self.ahead)?;
        let growth = self.hourly.weekly_growth().clamp(1.0 / GROWTH_LIMIT, GROWTH_LIMIT);
        Some(orders * growth * self.processing_seconds / 3_600.0 / TARGET_USE)
    }
}

impl ScalingPolicy for ProphetBlend {
    fn name(&self) -> &'static str {
        "prophet 70/30 (surrogate)"
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        self.hourly.observe(observation);
        let answer = self.reactive.decide(observation);
        let Some(foreseen) = self.foreseen(observation) else { return answer };
        let blend = |reactive: f64| FORECAST_SHARE * foreseen + (1.0 - FORECAST_SHARE) * reactive;
        Answer { desired: answer.desired.map(blend), active: answer.active || foreseen > 0.0, ..answer }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keda_sqs::tests::observation;
    use super::*;

    #[test]
    fn seven_tenths_foreseen_and_three_tenths_reactive() {
        let at = observation(0.0, 0.0).at;
        let hour = |back: i64| HistoryBin { from: at - SignedDuration::from_hours(back), count: 1_440.0 };
        let history: Vec<HistoryBin> = (1..=30).rev().map(hour).collect();
        let reactive = || KedaSqs::with_queue_length(5.0);
        let mut policy = ProphetBlend::new(&history, 45.0, 20.0, reactive());
        // ten foreseen, twenty by the queue
        let desired = policy.decide(&observation(60.0, 40.0)).desired.unwrap();
        assert!((desired - 13.0).abs() < 1e-9, "{desired}");
        let mut unlearned = ProphetBlend::new(&[], 45.0, 20.0, reactive());
        assert_eq!(unlearned.decide(&observation(60.0, 40.0)).desired, Some(20.0));
    }
}
