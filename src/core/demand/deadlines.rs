//! Carrier cut-offs of the coming days, from the policy's weekly pattern and time zone.

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::core::plan::Deadline;
use crate::core::policy::{CutOff, Policy};

/// How far ahead cut-offs are looked up.
const DAYS_AHEAD: i64 = 4;

/// The policy's cut-offs as moments, looked up again only when the hour has changed.
#[derive(Debug, Clone, Default)]
pub struct Deadlines {
    moments: Vec<Moment>,
    valid_from: f64,
    valid_until: f64,
}

#[derive(Debug, Clone)]
struct Moment {
    name: String,
    cut_off: f64,
    dispatch: f64,
}

impl Deadlines {
    /// Forgets the moments, for example because the policy changed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Cut-offs whose dispatch is after `now`, soonest dispatch first.
    pub fn upcoming(&mut self, now: Timestamp, policy: &Policy) -> Vec<Deadline> {
        if policy.cut_offs.is_empty() {
            return Vec::new();
        }
        let seconds = seconds(now);
        if !(self.valid_from..self.valid_until).contains(&seconds) {
            self.moments = moments(now, policy);
            (self.valid_from, self.valid_until) = (seconds, seconds + 3600.0);
        }
        self.moments
            .iter()
            .filter(|moment| moment.dispatch > seconds)
            .map(|moment| Deadline {
                name: moment.name.clone(),
                cut_off_in_seconds: moment.cut_off - seconds,
                dispatch_in_seconds: moment.dispatch - seconds,
            })
            .collect()
    }
}

fn moments(now: Timestamp, policy: &Policy) -> Vec<Moment> {
    let zone = TimeZone::get(&policy.time_zone).unwrap_or(TimeZone::UTC);
    let today = now.to_zoned(zone.clone()).date();
    let mut moments: Vec<Moment> = (-1..=DAYS_AHEAD)
        .filter_map(|days| today.checked_add(Span::new().days(days)).ok())
        .flat_map(|date| policy.cut_offs.iter().map(move |cut_off| (date, cut_off)))
        .filter(|(date, cut_off)| cut_off.weekdays[weekday_index(date.weekday())])
        .filter_map(|(date, cut_off)| moment(date.to_datetime(jiff::civil::Time::midnight()), cut_off, &zone))
        .collect();
    moments.sort_by(|left, right| left.dispatch.total_cmp(&right.dispatch));
    moments
}

fn moment(midnight: DateTime, cut_off: &CutOff, zone: &TimeZone) -> Option<Moment> {
    // The wall clock's time of day, not seconds since midnight: the two differ on the days on
    // which daylight saving begins and ends.
    let wall = midnight.checked_add(Span::new().seconds(i64::from(cut_off.at_seconds_of_day))).ok()?;
    let at = seconds(wall.to_zoned(zone.clone()).ok()?.timestamp());
    Some(Moment { name: cut_off.name.clone(), cut_off: at, dispatch: at + cut_off.within_seconds })
}

fn weekday_index(weekday: Weekday) -> usize {
    usize::from(weekday.to_monday_zero_offset().unsigned_abs())
}

/// Seconds since the epoch.
pub fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            cut_offs: vec![CutOff {
                name: "DPD".to_owned(),
                weekdays: [true, true, true, true, true, false, false],
                at_seconds_of_day: 14 * 3600,
                within_seconds: 2700.0,
            }],
            time_zone: "Europe/Prague".to_owned(),
            ..Policy::default()
        }
    }

    #[test]
    fn cut_offs_follow_the_wall_clock_over_both_changes() {
        for (now, cut_off) in [
            ("2026-03-27T12:00:00Z", "2026-03-27T13:00:00Z"),
            ("2026-03-27T14:00:00Z", "2026-03-30T12:00:00Z"),
            ("2026-10-23T13:00:00Z", "2026-10-26T13:00:00Z"),
        ] {
            let now: Timestamp = now.parse().unwrap();
            let cut_off: Timestamp = cut_off.parse().unwrap();
            let next = &Deadlines::default().upcoming(now, &policy())[0];
            let wanted = seconds(cut_off) - seconds(now);
            assert!((next.cut_off_in_seconds - wanted).abs() < 1e-3, "{now}: {next:?}");
            assert!((next.dispatch_in_seconds - wanted - 2700.0).abs() < 1e-3, "{now}: {next:?}");
        }
    }

    #[test]
    fn dispatch_still_to_come_counts_after_its_cut_off() {
        let now: Timestamp = "2026-01-05T13:30:00Z".parse().unwrap();
        let next = &Deadlines::default().upcoming(now, &policy())[0];
        assert!((next.cut_off_in_seconds + 1800.0).abs() < 1e-3, "{next:?}");
        assert!((next.dispatch_in_seconds - 900.0).abs() < 1e-3, "{next:?}");
    }
}
