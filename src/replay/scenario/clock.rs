//! Days on which the clocks change: they are named, for a day of 24 hours ends at another time by the wall clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};

use super::Scenario;
use crate::replay::units::timestamp;

impl Scenario {
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
        (!changes.is_empty()).then(|| {
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
}
