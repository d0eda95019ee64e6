//! The contract between a forecast of arrivals and the planner: a cumulative curve.
//!
//! In go closed intervals of arrivals and the present rate; out comes an [`Outlook`], or the
//! reason why none is to be trusted ([`Distrust`]) - the planner then plans from the backlog and
//! the present rate alone.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::demand::calendar::{Calendar, LearnedHolidays};
use crate::core::observation::Interval;

/// [`Outlook::model`] where nothing but the present rate is known; a calendar adds to the name.
pub const PRESENT_RATE: &str = "present_rate";

/// Orders expected from now on: a cumulative curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// What made it, in words an operator may read: for example `profile` or `present rate`.
    pub model: String,
    /// Ascending in `x_seconds`; the first is 0/0/0. Between knots the curve is straight.
    pub knots: Vec<Knot>,
}

/// One point of an [`Outlook`]. A hundred are kept with each workload's last decision: nothing that is
/// foreseen is known to the seventh digit, and half the room is enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Knot {
    x_seconds: f32,
    mean: f32,
    deviation: f32,
}

impl Knot {
    /// Where a curve begins.
    pub const START: Self = Self { x_seconds: 0.0, mean: 0.0, deviation: 0.0 };

    /// Seconds from now, the orders expected until then, and one standard deviation of them.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
    pub fn new(x_seconds: f64, mean: f64, deviation: f64) -> Self {
        Self { x_seconds: x_seconds as f32, mean: mean as f32, deviation: deviation as f32 }
    }

    /// Seconds from now.
    pub fn x_seconds(self) -> f64 {
        f64::from(self.x_seconds)
    }

    /// Orders expected in `(now, now + x]`.
    pub fn mean(self) -> f64 {
        f64::from(self.mean)
    }

    /// One standard deviation of that window sum, in orders.
    pub fn deviation(self) -> f64 {
        f64::from(self.deviation)
    }
}

impl Outlook {
    /// Expects at least so many `orders` within `seconds`, one after the other.
    pub fn expect_at_least(&mut self, orders: f64, seconds: f64) {
        for knot in &mut self.knots {
            let coming = orders * (knot.x_seconds() / seconds).min(1.0);
            if coming > knot.mean() {
                *knot = Knot::new(knot.x_seconds(), coming, knot.deviation());
            }
        }
    }

    /// Mean and deviation of the orders in `(now, now + x]`, straight between knots; beyond the
    /// last knot its last slope goes on. Zero for an empty curve.
    pub fn at(&self, x_seconds: f64) -> (f64, f64) {
        let upper = self.knots.partition_point(|knot| knot.x_seconds() < x_seconds);
        let pair = match (upper, self.knots.len()) {
            (_, 0) => return (0.0, 0.0),
            (_, 1) | (0, _) => return (self.knots[0].mean(), self.knots[0].deviation()),
            (upper, length) if upper >= length => [self.knots[length - 2], self.knots[length - 1]],
            (upper, _) => [self.knots[upper - 1], self.knots[upper]],
        };
        let width = pair[1].x_seconds() - pair[0].x_seconds();
        let share = if width > 0.0 { (x_seconds - pair[0].x_seconds()) / width } else { 1.0 };
        let line = |from: f64, to: f64| (from + (to - from) * share).max(0.0);
        (line(pair[0].mean(), pair[1].mean()), line(pair[0].deviation(), pair[1].deviation()))
    }
}

/// How right day-ahead forecasts were over the last days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ForecastQuality {
    /// Sum of absolute errors over the sum of orders (WAPE).
    pub error: f64,
    /// Share of orders' slots at or below the 0.9 quantile.
    pub coverage: f64,
}

/// What arrives now, as the ledger sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PresentRate {
    /// Orders per second, smoothed over the last minutes.
    pub orders_per_second: f64,
    /// One standard deviation of that rate over the rate itself; large where little was seen.
    pub relative_uncertainty: f64,
}

/// Why the forecast is not to be used now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Distrust {
    /// Too little has been seen to know the shape of a day.
    #[error("forecast needs {needed_days} days of history, has {days:.1}")]
    ShortHistory {
        /// Days of history seen.
        days: f64,
        /// Days needed.
        needed_days: f64,
    },
    /// The last arrivals known are too long ago to start from.
    #[error("forecast knows no arrivals of the last {hours:.1} hours, at most {limit_hours} may be missing")]
    StaleHistory {
        /// Hours since the last known interval.
        hours: f64,
        /// Hours allowed.
        limit_hours: f64,
    },
    /// The quantiles were wrong too often of late.
    #[error(
        "forecast's 0.9 quantile covered {covered:.2} of the last {days} days, wanted {low:.2} to {high:.2}"
    )]
    Coverage {
        /// Share of intervals that stayed below the 0.9 quantile.
        covered: f64,
        /// Days looked at.
        days: f64,
        /// Least share wanted.
        low: f64,
        /// Largest share wanted.
        high: f64,
    },
    /// What comes now is out of all proportion to what was expected.
    #[error("arrivals of the last half hour are {ratio:.2} times the forecast, more than {limit} either way")]
    Surprise {
        /// Seen over expected.
        ratio: f64,
        /// The most that the forecast is still used with.
        limit: f64,
    },
    /// The model cannot look so far ahead.
    #[error("forecast horizon of {seconds} s is not in 1 s to {limit_seconds} s")]
    Horizon {
        /// What was asked for.
        seconds: f64,
        /// The most that can be asked for.
        limit_seconds: f64,
    },
}

/// Something that foresees arrivals: the planner's only view of a forecast.
pub trait ArrivalForecast: Send + Sync + std::fmt::Debug {
    /// Folds in a closed interval of arrivals; intervals come in order and may have gaps
    /// (missing is not zero).
    fn observe(&mut self, interval: &Interval);

    /// Expected arrivals from `now`, blended with the present rate.
    ///
    /// # Errors
    /// [`Distrust`] when planning goes on better without: its text says why.
    fn outlook(
        &mut self,
        now: Timestamp,
        present: &PresentRate,
        horizon_seconds: f64,
    ) -> Result<Outlook, Distrust>;

    /// Sets what people know of peaks and closures, in the place of what was set before. Past ones
    /// are kept out of what is learned, so it is best set before any interval comes.
    fn set_calendar(&mut self, calendar: &Arc<Calendar>);

    /// Orders that such a time ordinarily brings, peaks and closures left out of account; `None` where
    /// that is not known.
    fn ordinary_orders(&mut self, _from: Timestamp, _to: Timestamp) -> Option<f64> {
        None
    }

    /// What public holidays were learned to bring; `None` where nothing can be.
    fn learned_holidays(&self) -> Option<&LearnedHolidays> {
        None
    }

    /// How right the forecasts of the last days were; `None` before there were enough of them.
    fn quality(&self) -> Option<ForecastQuality> {
        None
    }

    /// A copy with the same state, behind the same trait.
    fn boxed_clone(&self) -> Box<dyn ArrivalForecast>;
}

impl Clone for Box<dyn ArrivalForecast> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sure_to_come_is_expected() {
        let mut outlook = Outlook {
            model: "test".to_owned(),
            knots: vec![Knot::START, Knot::new(60.0, 5.0, 2.0), Knot::new(600.0, 500.0, 9.0)],
        };
        outlook.expect_at_least(100.0, 300.0);
        for (x, expected) in [(60.0, 20.0), (600.0, 500.0)] {
            assert!((outlook.at(x).0 - expected).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn curve_is_straight_between_knots_and_beyond() {
        let outlook = Outlook {
            model: "test".to_owned(),
            knots: vec![Knot::START, Knot::new(10.0, 20.0, 2.0), Knot::new(20.0, 30.0, 3.0)],
        };
        for (x, mean, deviation) in
            [(0.0, 0.0, 0.0), (5.0, 10.0, 1.0), (10.0, 20.0, 2.0), (15.0, 25.0, 2.5), (30.0, 40.0, 4.0)]
        {
            assert_eq!(outlook.at(x), (mean, deviation), "x {x}");
        }
        assert_eq!(Outlook { model: String::new(), knots: Vec::new() }.at(3.0), (0.0, 0.0));
    }
}
