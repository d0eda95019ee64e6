//! How much room to hold: what is wanted ahead less what exists, without flapping.
//!
//! Room is raised as soon as it is wanted and given back late: a want that shrinks is believed when it has stayed
//! small for [`HOLD_SECONDS`]. Pods that move in are subtracted at once, or the autoscaler would buy their room again.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::clock::seconds_between;
use crate::core::plan::capacity::room_ahead;

/// What was wanted ahead is held for this long.
pub const HOLD_SECONDS: f64 = 120.0;
/// Room for less than this share of the pods that exist is not worth a node: the plan's reserve carries it.
const SLACK_SHARE: f64 = 0.05;
/// The least time from one raise to the next.
const RAISE_EVERY_SECONDS: f64 = 5.0;
/// The least time from a write to a lower one.
const LOWER_EVERY_SECONDS: f64 = 1.0;

/// What one holder of room was asked for in the last minutes.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    wanted: VecDeque<(Timestamp, u32)>,
}

impl Wish {
    /// Room for so many pods is wanted at `now`: `ahead` are wanted one node lead time from now, `existing` are there.
    pub fn step(&mut self, now: Timestamp, ahead: u32, existing: u32) -> u32 {
        while self.wanted.front().is_some_and(|(at, _)| seconds_between(*at, now) > HOLD_SECONDS) {
            self.wanted.pop_front();
        }
        // What is smaller and older can never be the most again.
        while self.wanted.back().is_some_and(|(_, wanted)| *wanted <= ahead) {
            self.wanted.pop_back();
        }
        self.wanted.push_back((now, ahead));
        let held = self.wanted.front().map_or(ahead, |(_, wanted)| *wanted);
        let room = room_ahead(held, existing);
        if f64::from(room) <= SLACK_SHARE * f64::from(existing) { 0 } else { room }
    }
}

/// The last write on a holder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LastWrite {
    /// When.
    pub at: Timestamp,
    /// What.
    pub replicas: u32,
}

/// What to write when `wished` is wanted and `present` stands there; `None` for nothing. `in_doubt` while the cluster
/// is not seen: then nothing is lowered.
pub fn to_write(
    now: Timestamp,
    wished: u32,
    present: u32,
    last: Option<LastWrite>,
    in_doubt: bool,
) -> Option<u32> {
    if wished == present || (wished < present && in_doubt) {
        return None;
    }
    let pause = if wished > present { RAISE_EVERY_SECONDS } else { LOWER_EVERY_SECONDS };
    let is_too_soon = last.is_some_and(|last| seconds_between(last.at, now) < pause);
    (!is_too_soon).then_some(wished)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn room_is_what_is_wanted_less_what_exists() {
        let mut wish = Wish::default();
        // (second, ahead, existing, room)
        for (second, ahead, existing, room) in [
            (0, 10, 10, 0),
            (5, 30, 10, 20),
            // Pods move in: their room is not bought again.
            (10, 30, 22, 8),
            (15, 30, 30, 0),
            // A want that shrinks is held,
            (20, 12, 30, 0),
            (25, 12, 20, 10),
            (100, 14, 20, 10),
            // and believed when it has stayed small.
            (136, 14, 20, 0),
            (140, 14, 12, 2),
            // More than are wanted exist.
            (300, 5, 12, 0),
            // One of forty is not worth a node.
            (500, 41, 40, 0),
            (505, 43, 40, 3),
            // From nothing, one is.
            (900, 1, 0, 1),
        ] {
            assert_eq!(wish.step(at(second), ahead, existing), room, "at {second} s");
        }
    }

    #[test]
    fn a_want_that_jumps_does_not_flap() {
        let mut wish = Wish::default();
        let mut rooms = Vec::new();
        for second in 0..60 {
            let ahead = if second % 2 == 0 { 20 } else { 16 };
            rooms.push(wish.step(at(second * 5), ahead, 10));
        }
        assert!(rooms.iter().all(|room| *room == 10), "{rooms:?}");
    }

    #[test]
    fn writes_are_few_and_never_lower_in_doubt() {
        let last = |second, replicas| Some(LastWrite { at: at(second), replicas });
        // (what, wished, present, last write, in doubt, to write), at second 100
        for (what, wished, present, last, in_doubt, expected) in [
            ("as it is", 5, 5, None, false, None),
            ("raise", 8, 5, None, false, Some(8)),
            ("raised a moment ago", 9, 8, last(98, 8), false, None),
            ("raised before", 9, 8, last(95, 8), false, Some(9)),
            ("pods moved in", 3, 8, last(98, 8), false, Some(3)),
            ("twice in a second", 2, 3, last(100, 3), false, None),
            ("lower, the cluster unseen", 0, 8, None, true, None),
            ("raise, the cluster unseen", 9, 8, None, true, Some(9)),
        ] {
            assert_eq!(to_write(at(100), wished, present, last, in_doubt), expected, "{what}");
        }
    }
}
