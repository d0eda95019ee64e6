//! Where days begin, and those on which the clocks change: they are named where each day is 24 hours long, for
//! then it ends at another time by the wall clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};

use super::Scenario;
use crate::replay::units::{DAY, Millis, millis, timestamp};

impl Scenario {
    /// When a day begins, the first one being 0.
    pub fn day_start(&self, day: u32) -> Millis {
        let zone = TimeZone::get(&self.time_zone).ok().filter(|_| self.wall_days);
        let date = self.start.checked_add(Span::new().days(day)).ok();
        let midnight = date.zip(zone).and_then(|(date, zone)| date.to_zoned(zone).ok());
        midnight.map_or(i64::from(day) * DAY, |midnight| {
            millis(midnight.timestamp().duration_since(self.origin()).as_secs_f64())
        })
    }

    /// The days that are scored: when each begins, and when the last one ends.
    pub fn scored_days(&self) -> Vec<Millis> {
        (self.warm_up_days..=self.days).map(|day| self.day_start(day)).collect()
    }

    /// The simulated dates that have more or fewer than 24 hours.
    pub fn clock_changes(&self) -> Vec<Date> {
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let dates = (0..self.days).filter_map(|day| self.start.checked_add(Span::new().days(day)).ok());
        let changes = |date: &Date| {
            let midnight = |date: Date| date.to_zoned(zone.clone()).ok();
            let next = date.tomorrow().ok().and_then(midnight);
            let length = midnight(*date).zip(next).map(|(from, to)| to.duration_since(&from));
            length.is_some_and(|length| length != SignedDuration::from_hours(24))
        };
        dates.filter(changes).collect()
    }

    /// What is to be said where days of 24 hours are laid over such dates; `None` where there are none.
    pub fn clock_changes_note(&self) -> Option<String> {
        let changes: Vec<String> = self.clock_changes().iter().map(ToString::to_string).collect();
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let end = zone.to_datetime(timestamp(self.origin(), self.end()));
        (!self.wall_days && !changes.is_empty()).then(|| {
            format!(
                "the clocks of {} change on {}: each day is lived through as 24 hours, so that by the wall clock those after it begin earlier or later and the last one ends at {}; choose days without a change where that matters",
                self.time_zone,
                changes.join(" and "),
                end.strftime("%Y-%m-%d %H:%M")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_23_and_25_hours_are_named() {
        for (zone, start, days, changes, end) in [
            ("Europe/Prague", "2026-10-24", 3, vec!["2026-10-25"], "2026-10-26 23:00"),
            ("Europe/Prague", "2026-03-29", 1, vec!["2026-03-29"], "2026-03-30 01:00"),
            ("America/New_York", "2026-03-07", 300, vec!["2026-03-08", "2026-11-01"], "2027-01-01 00:00"),
            ("Europe/Prague", "2026-10-26", 5, vec![], ""),
            ("UTC", "2026-10-24", 3, vec![], ""),
        ] {
            let scenario = Scenario {
                time_zone: zone.to_owned(),
                start: start.parse().unwrap(),
                days,
                ..Scenario::default()
            };
            let found: Vec<String> = scenario.clock_changes().iter().map(ToString::to_string).collect();
            assert_eq!(found, changes, "{zone} {start}");
            let note = scenario.clock_changes_note().unwrap_or_default();
            assert_eq!(note.is_empty(), changes.is_empty(), "{note}");
            assert!(note.contains(end), "{note}");
        }
    }

    #[test]
    fn a_day_of_the_wall_clock_ends_at_midnight() {
        for (start, hours) in
            [("2026-10-24", [0, 24, 49]), ("2026-03-28", [0, 24, 47]), ("2026-06-01", [0, 24, 48])]
        {
            let scenario = Scenario {
                start: start.parse().unwrap(),
                days: 2,
                warm_up_days: 0,
                wall_days: true,
                ..Scenario::default()
            };
            let expected = hours.map(|hours| hours * crate::replay::units::HOUR);
            assert_eq!(scenario.scored_days(), expected, "{start}");
            assert_eq!(scenario.end(), expected[2], "{start}");
            assert_eq!(scenario.clock_changes_note(), None, "{start}");
        }
    }
}
