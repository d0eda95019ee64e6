//! When a CloudWatch minute is believed.
//!
//! SQS sends its metrics once a minute; a minute's sum appears one to a few minutes later and may still grow
//! as late parts come in. A minute is therefore taken once
//!
//! - it ended at least two minutes ago and two reads in a row gave the same sum, or
//! - it ended at least five minutes ago (what is first seen then, at a start or after an outage,
//!   need not be seen twice).
//!
//! A minute is taken once and never revised: what it says later is dropped, because intervals that
//! were decided on cannot be taken back. A minute that is missing is not zero, it is unknown: nothing is said of it.
//! So throughput is known with a delay of two to three minutes; until then the queue's own counters tell.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// A minute younger than this is not believed.
const BELIEVED_AFTER: SignedDuration = SignedDuration::from_secs(120);
/// A minute older than this is believed at first sight.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(300);
/// At the start this much of the past is read.
const FIRST_LOOK: SignedDuration = SignedDuration::from_mins(60);
/// Each read looks this far behind the last good one, for minutes that came late.
const LOOK_BEHIND: SignedDuration = SignedDuration::from_mins(30);
/// No read looks further back than this, whatever the outage; one-minute points stay cheap so.
const LONGEST_LOOK: SignedDuration = SignedDuration::from_mins(180);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// One metric's minutes on their way to being believed.
#[derive(Debug, Default)]
pub(super) struct Settling {
    candidates: BTreeMap<Timestamp, f64>,
    taken: BTreeSet<Timestamp>,
}

impl Settling {
    /// Takes in one read (each point the start of a minute and its sum) and returns the minutes now believed,
    /// oldest first.
    pub(super) fn take_in(&mut self, points: &[(Timestamp, f64)], now: Timestamp) -> Vec<(Timestamp, f64)> {
        let mut believed = BTreeMap::new();
        for &(minute, sum) in points {
            if !sum.is_finite() || sum < 0.0 || self.taken.contains(&minute) {
                continue;
            }
            let age = now.duration_since(minute) - MINUTE;
            let is_unchanged = self.candidates.get(&minute) == Some(&sum);
            if age >= SETTLED_AFTER || (age >= BELIEVED_AFTER && is_unchanged) {
                self.candidates.remove(&minute);
                believed.insert(minute, sum);
            } else {
                self.candidates.insert(minute, sum);
            }
        }
        let oldest = now - LONGEST_LOOK - MINUTE;
        self.candidates.retain(|minute, _| *minute >= oldest);
        self.taken.retain(|minute| *minute >= oldest);
        self.taken.extend(believed.keys());
        believed.into_iter().collect()
    }
}

/// The window `[from, to)` of whole minutes to read at `now`, after the last good read.
pub(super) fn window(now: Timestamp, last_good: Option<Timestamp>) -> (Timestamp, Timestamp) {
    let to = floor_to_minute(now);
    let from = match last_good {
        None => to - FIRST_LOOK,
        Some(last_good) => floor_to_minute(last_good) - LOOK_BEHIND,
    };
    (from.max(to - LONGEST_LOOK), to)
}

pub(super) fn floor_to_minute(moment: Timestamp) -> Timestamp {
    let second = moment.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-27T{text}Z").parse().unwrap()
    }

    #[test]
    fn a_minute_is_believed_when_it_is_old_enough_and_stays_the_same() {
        let mut settling = Settling::default();
        let minute = at("08:00:00");
        // (now, sum that CloudWatch gives, believed)
        for (now, sum, believed) in [
            ("08:01:10", Some(40.0), None),
            ("08:02:10", Some(55.0), None),
            // Two minutes old, but it has just changed.
            ("08:03:10", Some(60.0), None),
            ("08:04:10", Some(60.0), Some(60.0)),
            // Never twice, and no revision.
            ("08:05:10", Some(61.0), None),
            ("08:09:10", Some(61.0), None),
        ] {
            let points: Vec<_> = sum.map(|sum| (minute, sum)).into_iter().collect();
            let expected: Vec<_> = believed.map(|sum| (minute, sum)).into_iter().collect();
            assert_eq!(settling.take_in(&points, at(now)), expected, "{now}");
        }
    }

    #[test]
    fn an_old_minute_is_believed_at_first_sight_and_a_missing_one_is_no_zero() {
        let mut settling = Settling::default();
        let points = [(at("08:00:00"), 5.0), (at("08:02:00"), 7.0), (at("08:05:00"), 9.0)];
        assert_eq!(
            settling.take_in(&points, at("08:08:00")),
            vec![(at("08:00:00"), 5.0), (at("08:02:00"), 7.0)]
        );
        // The missing minute comes an hour late.
        assert_eq!(settling.take_in(&[(at("08:01:00"), 6.0)], at("09:05:00")), vec![(at("08:01:00"), 6.0)]);
    }

    #[test]
    fn nonsense_is_dropped() {
        let mut settling = Settling::default();
        let points = [(at("08:00:00"), f64::NAN), (at("08:01:00"), -1.0)];
        assert_eq!(settling.take_in(&points, at("09:00:00")), vec![]);
    }

    #[test]
    fn the_window_reaches_back_over_an_outage_within_bounds() {
        for (last_good, from) in [
            (None, "11:05:00"),
            (Some("12:04:03"), "11:34:00"),
            (Some("11:20:00"), "10:50:00"),
            (Some("07:00:00"), "09:05:00"),
        ] {
            assert_eq!(
                window(at("12:05:42"), last_good.map(at)),
                (at(from), at("12:05:00")),
                "{last_good:?}"
            );
        }
    }
}
