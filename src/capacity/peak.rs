//! The peak that a decision sees coming, read off its own outlook.

use jiff::{SignedDuration, Timestamp};

use crate::core::DecisionRecord;

/// Rates are taken over windows of this length: a shorter burst is worked off, not staffed.
const WINDOW_SECONDS: f64 = 300.0;
/// The outlook is looked at in steps of this length,
const STEP_SECONDS: f64 = 60.0;
/// as far as this.
const FARTHEST_SECONDS: f64 = 12.0 * 3600.0;
/// A need is a peak when it is this much above what is there now,
const PEAK_SHARE: f64 = 1.2;
/// and lasts while it is above this share of its top.
const TOP_SHARE: f64 = 0.8;
/// What is only known to come within a node's lead time is taken to last for half an hour.
const SHORT_PEAK: SignedDuration = SignedDuration::from_mins(30);

/// A time of more work than now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// Most replicas needed in it.
    pub replicas: u32,
    /// When the need rises.
    pub from: Timestamp,
    /// When it falls again, or how far the outlook reaches.
    pub until: Timestamp,
}

/// The peak ahead of a decision; `None` where no more is needed than now.
pub fn ahead_of(record: &DecisionRecord, existing: u32) -> Option<Peak> {
    let present = existing.max(record.desired.unwrap_or(0));
    let foreseen = foreseen(record, present);
    let near = (f64::from(record.ahead) > threshold(present)).then(|| Peak {
        replicas: record.ahead,
        from: record.at,
        until: later(record.at, SHORT_PEAK),
    });
    match (foreseen, near) {
        (Some(foreseen), Some(near)) => Some(Peak {
            replicas: foreseen.replicas.max(near.replicas),
            from: near.from,
            until: foreseen.until.max(near.until),
        }),
        (foreseen, near) => foreseen.or(near),
    }
}

fn foreseen(record: &DecisionRecord, present: u32) -> Option<Peak> {
    let outlook = &record.inputs.as_ref()?.outlook;
    let end = outlook.knots.last()?.x_seconds().min(FARTHEST_SECONDS);
    if record.service_rate <= 0.0 {
        return None;
    }
    let mut needs: Vec<(f64, f64)> = Vec::new();
    let mut from = 0.0;
    while from + WINDOW_SECONDS <= end {
        let orders = outlook.at(from + WINDOW_SECONDS).0 - outlook.at(from).0;
        needs.push((from, orders / WINDOW_SECONDS / record.service_rate));
        from += STEP_SECONDS;
    }
    let top = needs.iter().map(|(_, need)| *need).fold(0.0, f64::max);
    let least = threshold(present);
    if top <= least {
        return None;
    }
    let start = needs.iter().find(|(_, need)| *need > least)?.0;
    let end = needs.iter().rev().find(|(_, need)| *need >= TOP_SHARE * top)?.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, bounded here")]
    let replicas = top.ceil().min(100_000.0) as u32;
    let after = |seconds: f64| later(record.at, SignedDuration::from_secs_f64(seconds));
    Some(Peak { replicas, from: after(start), until: after(end + WINDOW_SECONDS) })
}

/// More replicas than this are a peak.
fn threshold(present: u32) -> f64 {
    (f64::from(present) * PEAK_SHARE).max(f64::from(present) + 1.0)
}

fn later(moment: Timestamp, duration: SignedDuration) -> Timestamp {
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::findings::tests::record;

    #[test]
    fn a_rise_of_the_outlook_is_a_peak() {
        let start: Timestamp = "2026-11-27T08:00:00Z".parse().unwrap();
        let after = |minutes| start.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        // One replica does one order a second. (what, existing, ahead, orders by knot, peak)
        for (what, existing, ahead, knots, expected) in [
            ("flat", 10, 10, vec![(3600.0, 36_000.0)], None),
            ("a wobble", 10, 10, vec![(1800.0, 18_000.0), (3600.0, 36_500.0)], None),
            (
                "triple in half an hour, for half an hour",
                10,
                10,
                vec![(1800.0, 18_000.0), (3600.0, 72_000.0), (7200.0, 108_000.0)],
                Some((30, 26, 61)),
            ),
            ("a little ahead", 10, 12, vec![(3600.0, 36_000.0)], None),
            ("only ahead", 10, 14, vec![(3600.0, 36_000.0)], Some((14, 0, 30))),
            ("no outlook", 10, 10, vec![], None),
        ] {
            let record = record(start, existing, ahead, &knots);
            let peak = ahead_of(&record, existing);
            let expected = expected.map(|(replicas, from, until)| Peak {
                replicas,
                from: after(from),
                until: after(until),
            });
            assert_eq!(peak, expected, "{what}");
        }
    }
}
