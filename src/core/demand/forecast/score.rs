//! How good day-ahead and hour-ahead forecasts were, on a history that is known.
//!
//! Day ahead, rolling: at every local midnight from a first day on, a forecaster sees all days
//! before, and gives a path for the next one; it is held against what came. A slot is *closed* when
//! nothing came in the same slot of the four weeks before: closed slots count for errors and not
//! for coverage, which their zeros would only flatter. What makes a slot closed is known before
//! its day, so that leaving it out favours no forecast.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::day::DayModel;
use super::grid::{DayCounts, weekday};
use super::live::ProfileForecast;
use crate::core::demand::calendar::Calendar;
use crate::core::demand::outlook::ArrivalForecast as _;
use crate::core::observation::Interval;

/// The levels that are scored.
pub const SCORED_LEVELS: [f64; 3] = [0.5, 0.9, 0.99];
/// Slots covered less than this are not scored.
const LEAST_SCORED_SHARE: f64 = 0.9;
const WEEK: usize = 7;
const CLOSED_WEEKS: usize = 4;

/// Days before the one to foresee: values by slot, `NaN` where missing.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Values of all days before, oldest first.
    pub days: &'a [Vec<f64>],
    /// The day to foresee.
    pub date: Date,
}

impl Past<'_> {
    /// Weekday of the day to foresee (Monday is 0).
    pub fn weekday(&self) -> usize {
        weekday(self.date)
    }
}

/// A day's path: a point forecast and the quantiles at [`SCORED_LEVELS`].
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Orders expected by slot.
    pub point: Vec<f64>,
    /// Quantiles by level, then slot.
    pub quantiles: [Vec<f64>; SCORED_LEVELS.len()],
}

/// Something that foresees a day from the days before it, from scratch.
pub trait DayAhead {
    /// What tables call it.
    fn name(&self) -> String;

    /// The path of the day after the past; `None` where it cannot say.
    fn path(&mut self, past: &Past<'_>) -> Option<Path>;
}

/// Our own model, fitted from scratch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ours;

impl DayAhead for Ours {
    fn name(&self) -> String {
        "peakscaler".to_owned()
    }

    fn path(&mut self, past: &Past<'_>) -> Option<Path> {
        let first = (past.weekday() + WEEK - past.days.len() % WEEK) % WEEK;
        let model = DayModel::fit(past.days.first()?.len(), first, past.days);
        let forecast = model.forecast(past.weekday(), 0);
        Some(Path { quantiles: SCORED_LEVELS.map(|level| forecast.quantiles(level)), point: forecast.mean })
    }
}

/// Our own model told of a calendar: carried from day to day, as the planner does.
#[derive(Debug)]
pub struct OursWithCalendar<'a> {
    forecast: ProfileForecast,
    zone: TimeZone,
    /// What was not told yet.
    ahead: &'a [Interval],
}

impl<'a> OursWithCalendar<'a> {
    /// One that has seen nothing yet of `intervals`, which ascend. Days are to be asked for in order.
    pub fn new(
        calendar: &Arc<Calendar>,
        intervals: &'a [Interval],
        zone: TimeZone,
        slot_seconds: f64,
    ) -> Self {
        let mut forecast = ProfileForecast::new(zone.clone(), slot_seconds);
        forecast.set_calendar(calendar);
        Self { forecast, zone, ahead: intervals }
    }
}

impl DayAhead for OursWithCalendar<'_> {
    fn name(&self) -> String {
        "peakscaler, calendar".to_owned()
    }

    fn path(&mut self, past: &Past<'_>) -> Option<Path> {
        let midnight = past.date.to_zoned(self.zone.clone()).ok()?.timestamp();
        let (before, ahead) = self.ahead.split_at(self.ahead.partition_point(|one| one.to <= midnight));
        self.ahead = ahead;
        for interval in before {
            self.forecast.observe(interval);
        }
        let (point, quantiles) = self.forecast.day(past.date, &SCORED_LEVELS).ok()?;
        Some(Path { point, quantiles: quantiles.try_into().ok()? })
    }
}

/// Scores over all days of a rolling evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Whose.
    pub name: String,
    /// Days scored.
    pub days: usize,
    /// Sum of absolute errors of the point forecast over the sum of orders.
    pub wape: f64,
    /// Pinball losses at [`SCORED_LEVELS`] over the mean of orders.
    pub pinball: [f64; SCORED_LEVELS.len()],
    /// Shares of open slots that stayed at or below the quantiles.
    pub coverage: [f64; SCORED_LEVELS.len()],
    /// The same for the 0.9 quantile over all slots, closed ones too.
    pub coverage_all_slots: f64,
}

/// Sums that become a [`Score`].
#[derive(Debug, Clone, Default)]
pub struct Tally {
    days: usize,
    orders: f64,
    errors: f64,
    pinball: [f64; SCORED_LEVELS.len()],
    covered: [f64; SCORED_LEVELS.len()],
    open: f64,
    all_covered: f64,
    all: f64,
}

impl Tally {
    /// Holds a path against the day that came; `before` are the values of the days before.
    pub fn add(&mut self, day: &DayCounts, slot_seconds: f64, before: &[Vec<f64>], path: &Path) {
        self.days += 1;
        for (slot, (count, covered)) in day.slots().enumerate() {
            let share = covered / slot_seconds;
            if share < LEAST_SCORED_SHARE {
                continue;
            }
            let closed = was_closed(before, slot);
            self.orders += count;
            self.errors += (count - path.point[slot] * share).abs();
            self.all += 1.0;
            self.open += f64::from(u8::from(!closed));
            for (index, level) in SCORED_LEVELS.into_iter().enumerate() {
                let quantile = path.quantiles[index][slot] * share;
                let over = count - quantile;
                self.pinball[index] += (level * over).max((level - 1.0) * over);
                if count <= quantile {
                    self.covered[index] += f64::from(u8::from(!closed));
                    self.all_covered += f64::from(u8::from(index == 1));
                }
            }
        }
    }

    /// The score so far; `None` before any order was scored.
    pub fn score(&self, name: String) -> Option<Score> {
        (self.orders > 0.0 && self.open > 0.0).then(|| Score {
            name,
            days: self.days,
            wape: self.errors / self.orders,
            pinball: self.pinball.map(|sum| sum / self.orders),
            coverage: self.covered.map(|sum| sum / self.open),
            coverage_all_slots: self.all_covered / self.all,
        })
    }
}

fn was_closed(before: &[Vec<f64>], slot: usize) -> bool {
    (1..=CLOSED_WEEKS)
        .filter_map(|week| before.len().checked_sub(week * WEEK))
        .all(|day| before[day][slot] == 0.0 || before[day][slot].is_nan())
}
