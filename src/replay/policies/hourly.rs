//! Orders of each hour, as the surrogates of forecasting services remember them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::core::Observation;
use crate::replay::orders::HistoryBin;

const HOUR_SECONDS: i64 = 3_600;
const DAY_HOURS: i64 = 24;
const WEEK_HOURS: i64 = 7 * DAY_HOURS;
/// Hours of a week that must be known to call it known.
const KNOWN_HOURS: f64 = 160.0;

/// Orders of past hours, the oldest forgotten.
#[derive(Debug, Clone)]
pub(super) struct HourlyOrders {
    kept_hours: i64,
    hours: BTreeMap<i64, f64>,
}

impl HourlyOrders {
    /// What is known at the start; `days` are remembered.
    pub(super) fn new(days: i64, history: &[HistoryBin]) -> Self {
        let mut hourly = Self { kept_hours: days * DAY_HOURS, hours: BTreeMap::new() };
        for bin in history {
            hourly.add(bin.from, bin.count);
        }
        hourly
    }

    /// Takes in the arrivals that became known.
    pub(super) fn observe(&mut self, observation: &Observation) {
        for interval in &observation.arrivals {
            self.add(interval.from, interval.count);
        }
    }

    fn add(&mut self, from: Timestamp, count: f64) {
        let hour = hour_of(from);
        *self.hours.entry(hour).or_default() += count;
        while let Some((oldest, _)) = self.hours.first_key_value()
            && *oldest <= hour - self.kept_hours
        {
            self.hours.pop_first();
        }
    }

    /// Orders of the hour of `at`: the mean of the same hours of the weeks remembered, else of the
    /// days; `None` before a day is known.
    pub(super) fn expected(&self, at: Timestamp) -> Option<f64> {
        let hour = hour_of(at);
        let (newest, _) = self.hours.last_key_value()?;
        [WEEK_HOURS, DAY_HOURS].into_iter().find_map(|step| {
            // the newest hour is not over yet
            let same = (1..).map(|back| hour - back * step).take_while(|past| *past > hour - self.kept_hours);
            let known = same.filter(|past| past < newest).filter_map(|past| self.hours.get(&past));
            let (sum, count) = known.fold((0.0, 0.0), |(sum, count), orders| (sum + orders, count + 1.0));
            (count > 0.0).then(|| sum / count)
        })
    }

    /// The same at a moment, straight from the middle of one hour to the next.
    pub(super) fn expected_at(&self, at: Timestamp) -> Option<f64> {
        let half = SignedDuration::from_mins(30);
        let (before, after) = (self.expected(at - half)?, self.expected(at + half)?);
        let into = (at + half).as_second().rem_euclid(HOUR_SECONDS) as f64 / HOUR_SECONDS as f64;
        Some(before + (after - before) * into)
    }

    /// An hour of the last seven days over one of the seven before; 1 where more than a few hours
    /// of either week are not known.
    pub(super) fn weekly_growth(&self) -> f64 {
        let Some((newest, _)) = self.hours.last_key_value() else { return 1.0 };
        let week = |back: i64| {
            let end = newest - back * WEEK_HOURS;
            let hours = self.hours.range(end - WEEK_HOURS..end);
            let (sum, count) =
                hours.fold((0.0, 0.0), |(sum, count), (_, orders)| (sum + orders, count + 1.0));
            (count >= KNOWN_HOURS && sum > 0.0).then(|| sum / count)
        };
        match (week(0), week(1)) {
            (Some(last), Some(before)) => last / before,
            _ => 1.0,
        }
    }
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(days: i64, count: impl Fn(i64) -> f64) -> Vec<HistoryBin> {
        let at = |hour: i64| Timestamp::from_second(hour * HOUR_SECONDS).unwrap();
        (0..days * DAY_HOURS).map(|hour| HistoryBin { from: at(hour), count: count(hour) }).collect()
    }

    #[test]
    fn the_same_hour_of_the_weeks_before_counts() {
        // the second week twice the first, each hour its own
        let count = |hour: i64| (hour % WEEK_HOURS) as f64 * (1 + hour / WEEK_HOURS) as f64;
        let hourly = HourlyOrders::new(14, &history(14, count));
        let at = |hour: i64| Timestamp::from_second(hour * HOUR_SECONDS).unwrap();
        assert_eq!(hourly.expected(at(2 * WEEK_HOURS + 10)), Some(20.0), "the first week is forgotten");
        let hourly = HourlyOrders::new(28, &history(14, count));
        assert_eq!(hourly.expected(at(2 * WEEK_HOURS + 10)), Some(15.0));
        let half_past = at(2 * WEEK_HOURS + 10) + SignedDuration::from_mins(60);
        assert_eq!(hourly.expected_at(half_past), Some(1.5 * 10.5));
        assert!((hourly.weekly_growth() - 2.0).abs() < 0.05, "{}", hourly.weekly_growth());
    }

    #[test]
    fn days_serve_where_no_week_is_known() {
        let hourly = HourlyOrders::new(14, &history(2, |hour| (hour % DAY_HOURS) as f64));
        let at = Timestamp::from_second((2 * DAY_HOURS + 5) * HOUR_SECONDS).unwrap();
        assert_eq!(hourly.expected(at), Some(5.0));
        assert_eq!(HourlyOrders::new(14, &[]).expected(at), None);
    }
}
