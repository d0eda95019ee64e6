//! A recorded series of orders: `timestamp,count`, local time, regular grid.

use std::path::PathBuf;

use jiff::civil::{Date, DateTime};

use super::{MINUTES_A_DAY, between_middles};
use crate::core::observation::MOST_COUNT;
use crate::replay::scenario::{MOST_ORDERS_A_DAY, Scenario, Trace};
use crate::replay::units::index;

/// Why a series can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    /// The file could not be read.
    #[error("{path}: {message}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A line is not what it must be.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, 1 is the header.
        line: u64,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The series is too short for the scenario.
    #[error("{path}: holds {first} to {last}, the scenario needs {from} and {days} days (history included)")]
    Span {
        /// The file.
        path: PathBuf,
        /// First day of the file.
        first: Date,
        /// Last day of the file.
        last: Date,
        /// First day needed.
        from: Date,
        /// Days needed.
        days: u32,
    },
}

/// Counts on a grid.
struct Series {
    first: DateTime,
    minutes: usize,
    counts: Vec<f64>,
}

impl Trace {
    /// Orders a minute, from the first day of history to the scenario's end.
    pub(super) fn rates(&self, scenario: &Scenario) -> Result<Vec<f64>, OrdersError> {
        let series = self.read()?;
        let bins_a_day = MINUTES_A_DAY / series.minutes;
        let first = series.first.date();
        let from = self.from.unwrap_or(first);
        let days = scenario.days + scenario.history_days;
        let skipped = i64::from((from - first).get_days()) - i64::from(scenario.history_days);
        let wanted = index(skipped)..index(skipped) + index(i64::from(days));
        if skipped < 0 || wanted.end * bins_a_day > series.counts.len() {
            let held = series.counts.len() / bins_a_day;
            let last = first.saturating_add(jiff::Span::new().days(i64::try_from(held).unwrap_or(0) - 1));
            let from = from.saturating_sub(jiff::Span::new().days(i64::from(scenario.history_days)));
            return Err(OrdersError::Span { path: self.path.clone(), first, last, from, days });
        }
        let mut bins = series.counts[wanted.start * bins_a_day..wanted.end * bins_a_day].to_vec();
        if let Some(wanted) = self.median_day_orders {
            scale_to(&mut bins, bins_a_day, wanted);
        }
        self.check_days(&series, wanted.start, &bins)?;
        if self.smooth {
            return Ok(between_middles(&bins, series.minutes));
        }
        let minutes = series.minutes;
        Ok(bins.iter().flat_map(|count| std::iter::repeat_n(count / minutes as f64, minutes)).collect())
    }

    /// Each order is lived through: a day of too many would never end. `bins` begin with day `from` of the series.
    fn check_days(&self, series: &Series, from: usize, bins: &[f64]) -> Result<(), OrdersError> {
        let bins_a_day = MINUTES_A_DAY / series.minutes;
        for (day, counts) in (from..).zip(bins.chunks(bins_a_day)) {
            let orders: f64 = counts.iter().sum();
            if orders <= MOST_ORDERS_A_DAY {
                continue;
            }
            let rows = &series.counts[day * bins_a_day..][..bins_a_day];
            let largest = (2..).zip(rows).max_by(|(_, one), (_, other)| one.total_cmp(other));
            let (line, count) = largest.unwrap_or((2, &0.0));
            return Err(OrdersError::Line {
                path: self.path.clone(),
                line: line + (day * bins_a_day) as u64,
                message: format!(
                    "count {count} stands in a day of {orders:.0} orders, which must be {MOST_ORDERS_A_DAY} at most to be lived through; write smaller counts, or median_day_orders to have them scaled"
                ),
            });
        }
        Ok(())
    }

    fn read(&self) -> Result<Series, OrdersError> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| OrdersError::Read { path: self.path.clone(), message: error.to_string() })?;
        self.parse(&text)
    }

    fn parse(&self, text: &str) -> Result<Series, OrdersError> {
        let wrong = |line: u64, message: String| OrdersError::Line { path: self.path.clone(), line, message };
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| wrong(1, error.to_string()))?;
        if headers.iter().collect::<Vec<_>>() != ["timestamp", "count"] {
            let found = headers.iter().collect::<Vec<_>>().join(",");
            return Err(wrong(1, format!("header {found} must be timestamp,count")));
        }
        let mut times: Vec<DateTime> = Vec::new();
        let mut counts = Vec::new();
        for (line, record) in (2..).zip(reader.into_records()) {
            let record = record.map_err(|error| wrong(line, error.to_string()))?;
            let time: DateTime = record[0].parse().map_err(|_| {
                wrong(line, format!("timestamp {} must be local time as 2026-11-27T14:00:00", &record[0]))
            })?;
            let count = record[1].parse::<f64>().ok().filter(|count| (0.0..=MOST_COUNT).contains(count));
            let count = count.ok_or_else(|| {
                wrong(line, format!("count {} must be a number from 0 to {MOST_COUNT}", &record[1]))
            })?;
            if let [.., before, last] = times[..]
                && time.duration_since(last) != last.duration_since(before)
            {
                let expected = last.saturating_add(last.duration_since(before));
                return Err(wrong(line, off_grid(time, last, expected)));
            }
            times.push(time);
            counts.push(count);
        }
        let [first, second, ..] = times[..] else {
            return Err(wrong(2, "fewer than two lines of data".to_owned()));
        };
        let minutes = second.duration_since(first).as_mins();
        let minutes = usize::try_from(minutes).unwrap_or(0);
        if minutes == 0
            || !MINUTES_A_DAY.is_multiple_of(minutes)
            || first.time() != jiff::civil::Time::midnight()
        {
            let message =
                format!("grid of {minutes} min from {first} must divide the day and begin at midnight");
            return Err(wrong(2, message));
        }
        Ok(Series { first, minutes, counts })
    }
}

/// Scales so that the median of the days that have orders has `wanted`.
fn scale_to(bins: &mut [f64], bins_a_day: usize, wanted: f64) {
    let mut days: Vec<f64> = bins.chunks(bins_a_day).map(|day| day.iter().sum()).collect();
    days.retain(|orders| *orders > 0.0);
    days.sort_unstable_by(f64::total_cmp);
    if let Some(median) = days.get(days.len() / 2) {
        let factor = wanted / median;
        for count in bins.iter_mut() {
            *count *= factor;
        }
    }
}

/// What is wrong with a row's time, `expected` being the one after `last` on the grid.
fn off_grid(time: DateTime, last: DateTime, expected: DateTime) -> String {
    if time <= last {
        format!("timestamp {time} comes after {last}; rows must ascend")
    } else if time > expected {
        format!(
            "there is no row for {expected}, the next is {time}; a row that is missing is unknown, not zero: write its count (0 where closed)"
        )
    } else {
        format!("timestamp {time} is not on the grid, the next would be {expected}")
    }
}
