//! Times at which an operator asks for replicas, as KEDA's `cron` and Zalando's
//! `ScalingSchedule` take them.

use jiff::{SignedDuration, Timestamp, ToSpan};

use super::super::scenario::{OrderSource, Scenario};
use super::super::units::{ceil, index};

/// So many replicas from a moment to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Start, included.
    pub from: Timestamp,
    /// End, excluded.
    pub to: Timestamp,
    /// Replicas.
    pub replicas: u32,
}

/// What an operator would write who knows his ordinary week, and his peak days' factors where they
/// are in the calendar: one number for each day's busy hours, 8 to 22 o'clock. Empty for a recorded
/// series.
pub fn of_operator(scenario: &Scenario) -> Vec<Entry> {
    let OrderSource::Generator(generator) = &scenario.orders else { return Vec::new() };
    let week = generator.week_shape();
    let busy_hours = 8..22;
    let knows_peaks = !scenario.calendar.peaks.is_empty();
    (0..scenario.days)
        .filter_map(|day| {
            let date = scenario.start.checked_add(i64::from(day).days()).ok()?;
            let monday = i64::from(date.weekday().to_monday_zero_offset()) * 24;
            let orders: f64 = busy_hours.clone().map(|hour| week[index(monday + hour)]).sum();
            let factor = if knows_peaks { generator.peak_factor(i64::from(day)) } else { 1.0 };
            let an_hour = orders * factor / 14.0;
            let work = an_hour * scenario.service.mean_seconds / 3_600.0;
            let start = scenario.origin() + SignedDuration::from_hours(i64::from(day) * 24);
            Some(Entry {
                from: start + SignedDuration::from_hours(busy_hours.start),
                to: start + SignedDuration::from_hours(busy_hours.end),
                replicas: ceil(work / f64::from(scenario.service.concurrency)),
            })
        })
        .collect()
}
