//! Carrier cut-offs of the coming days, from the policy's weekly pattern and time zone, and from
//! what the calendar says of single dates.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::core::demand::calendar::CutOffException;
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
    pub fn upcoming(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        exceptions: &[CutOffException],
    ) -> Vec<Deadline> {
        if policy.cut_offs.is_empty() {
            return Vec::new();
        }
        let seconds = seconds(now);
        if !(self.valid_from..self.valid_until).contains(&seconds) {
            self.moments = moments(now, policy, exceptions);
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

fn moments(now: Timestamp, policy: &Policy, exceptions: &[CutOffException]) -> Vec<Moment> {
    let zone = TimeZone::get(&policy.time_zone).unwrap_or(TimeZone::UTC);
    let today = now.to_zoned(zone.clone()).date();
    let mut moments: Vec<Moment> = (-1..=DAYS_AHEAD)
        .filter_map(|days| today.checked_add(Span::new().days(days)).ok())
        .flat_map(|date| {
            cut_offs_of(date, policy, exceptions).into_iter().map(move |cut_off| (date, cut_off))
        })
        .filter_map(|(date, cut_off)| {
            moment(date.to_datetime(jiff::civil::Time::midnight()), &cut_off, &zone)
        })
        .collect();
    moments.sort_by(|left, right| left.dispatch.total_cmp(&right.dispatch));
    // They are kept for an hour.
    moments.shrink_to_fit();
    moments
}

/// The policy's cut-offs of a date; a carrier with exceptions has those in the place of its own.
pub fn cut_offs_of(date: Date, policy: &Policy, exceptions: &[CutOffException]) -> Vec<CutOff> {
    let today: Vec<&CutOffException> = exceptions.iter().filter(|one| one.date == date).collect();
    let excepted = |name: &str| today.iter().any(|one| one.carrier.eq_ignore_ascii_case(name));
    let usual = |cut_off: &&CutOff| cut_off.weekdays[weekday_index(date.weekday())];
    let mut cut_offs: Vec<CutOff> =
        policy.cut_offs.iter().filter(usual).filter(|cut_off| !excepted(&cut_off.name)).cloned().collect();
    for exception in &today {
        // Of a carrier that is not the workload's there is nothing to change.
        let same = |cut_off: &&CutOff| exception.carrier.eq_ignore_ascii_case(&cut_off.name);
        let own = policy.cut_offs.iter().filter(usual).find(same).or(policy.cut_offs.iter().find(same));
        let (Some(own), Some(at_seconds_of_day)) = (own, exception.at_seconds_of_day) else { continue };
        let within_seconds = exception.within_seconds.unwrap_or(own.within_seconds);
        cut_offs.push(CutOff { at_seconds_of_day, within_seconds, ..own.clone() });
    }
    cut_offs
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
            let next = &Deadlines::default().upcoming(now, &policy(), &[])[0];
            let wanted = seconds(cut_off) - seconds(now);
            assert!((next.cut_off_in_seconds - wanted).abs() < 1e-3, "{now}: {next:?}");
            assert!((next.dispatch_in_seconds - wanted - 2700.0).abs() < 1e-3, "{now}: {next:?}");
        }
    }

    #[test]
    fn dispatch_still_to_come_counts_after_its_cut_off() {
        let now: Timestamp = "2026-01-05T13:30:00Z".parse().unwrap();
        let next = &Deadlines::default().upcoming(now, &policy(), &[])[0];
        assert!((next.cut_off_in_seconds + 1800.0).abs() < 1e-3, "{next:?}");
        assert!((next.dispatch_in_seconds - 900.0).abs() < 1e-3, "{next:?}");
    }

    #[test]
    fn an_exception_takes_the_place_of_its_carrier_on_its_date() {
        let now: Timestamp = "2026-01-05T08:00:00Z".parse().unwrap();
        let exception = |carrier: &str, at: Option<u32>, within: Option<f64>| CutOffException {
            carrier: carrier.to_owned(),
            date: jiff::civil::date(2026, 1, 5),
            at_seconds_of_day: at,
            within_seconds: within,
        };
        let first = |exceptions: &[CutOffException]| {
            let deadlines = Deadlines::default().upcoming(now, &policy(), exceptions);
            (deadlines[0].cut_off_in_seconds / 3600.0, deadlines[0].dispatch_in_seconds / 3600.0)
        };
        for (exceptions, expected) in [
            (vec![], (5.0, 5.75)),
            (vec![exception("dpd", Some(11 * 3600), None)], (2.0, 2.75)),
            (vec![exception("DPD", Some(11 * 3600), Some(3600.0))], (2.0, 3.0)),
            (vec![exception("DPD", None, None)], (29.0, 29.75)),
            (vec![exception("PPL", Some(10 * 3600), Some(60.0))], (5.0, 5.75)),
        ] {
            let found = first(&exceptions);
            assert!(
                (found.0 - expected.0).abs() + (found.1 - expected.1).abs() < 1e-6,
                "{exceptions:?}: {found:?}"
            );
        }
    }
}
