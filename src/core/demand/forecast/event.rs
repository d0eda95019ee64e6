//! What is known to change orders for a while, and what the present rate holds of it already.

use jiff::Timestamp;

use super::grid::seconds_between;

/// The present rate's memory: it is a mean whose weights halve over this time.
const MEMORY_SECONDS: f64 = 240.0;
/// Below this part of ordinary orders, a rate says nothing of ordinary ones.
const LEAST_UPLIFT: f64 = 0.05;

/// Orders changed for a while: what an operator knows and no history can.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// Start, included.
    pub from: Timestamp,
    /// End, excluded.
    pub to: Timestamp,
    /// How.
    pub change: Change,
}

impl Event {
    /// Orders times `uplift` from `from` to `to`; zero where closed.
    pub fn uplift(from: Timestamp, to: Timestamp, uplift: f64) -> Self {
        Self { from, to, change: Change { uplift, added_per_second: 0.0 } }
    }
}

/// How orders differ from ordinary ones: so many times, and so many more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Times an ordinary such time.
    pub uplift: f64,
    /// Orders a second on top.
    pub added_per_second: f64,
}

impl Change {
    /// Nothing changed.
    pub const NONE: Self = Self { uplift: 1.0, added_per_second: 0.0 };

    /// One change and another: uplifts multiply, what is added adds.
    fn and(self, other: Self) -> Self {
        Self {
            uplift: self.uplift * other.uplift,
            added_per_second: self.added_per_second + other.added_per_second,
        }
    }

    /// Times what `rate` holds that orders come by `self`, when `rate` was measured under `seen`.
    pub fn times(self, seen: Self) -> f64 {
        if seen.uplift < LEAST_UPLIFT { 1.0 } else { self.uplift / seen.uplift }
    }

    /// The rate under `self`, when `rate` (orders a second) was measured under `seen`.
    ///
    /// A rise and a closure are foreseen, a fall back to the ordinary is not: where the peak came
    /// smaller than was said, the rate has no more to fall, and the end is seen when it comes.
    pub fn rate(self, seen: Self, rate: f64) -> f64 {
        let ordinary = (rate - seen.added_per_second).max(0.0);
        let then = self.times(seen) * ordinary + self.added_per_second;
        let part = |change: Self| change.uplift.min(1.0);
        let floor = if seen.uplift < LEAST_UPLIFT { 0.0 } else { rate * (part(self) / part(seen)).min(1.0) };
        then.max(floor)
    }
}

/// All changes at a moment; `None` outside of events.
pub fn change_at(events: &[Event], at: Timestamp) -> Option<Change> {
    let on = events.iter().filter(|event| event.from <= at && at < event.to);
    on.map(|event| event.change).reduce(Change::and)
}

/// The mean change from `from` to `to`; `None` where no event touches that time.
pub(super) fn change_over(events: &[Event], from: Timestamp, to: Timestamp) -> Option<Change> {
    let touching = || events.iter().filter(|event| event.from < to && from < event.to);
    touching().next()?;
    let inside = |edge: &Timestamp| from < *edge && *edge < to;
    let mut edges: Vec<Timestamp> =
        touching().flat_map(|event| [event.from, event.to]).filter(inside).collect();
    edges.extend([from, to]);
    edges.sort_unstable();
    let mut mean = Change { uplift: 0.0, added_per_second: 0.0 };
    for pair in edges.windows(2) {
        let share = seconds_between(pair[0], pair[1]) / seconds_between(from, to);
        let change = change_at(events, pair[0]).unwrap_or(Change::NONE);
        mean.uplift += share * change.uplift;
        mean.added_per_second += share * change.added_per_second;
    }
    Some(mean)
}

/// The change that a rate measured over the last minutes holds already.
pub fn change_seen(events: &[Event], now: Timestamp) -> Change {
    let past: Vec<&Event> = events.iter().filter(|event| event.from < now).collect();
    let mut edges: Vec<Timestamp> = past.iter().flat_map(|event| [event.from, event.to.min(now)]).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut seen = Change::NONE;
    for pair in edges.windows(2) {
        let Some(change) = change_at(events, pair[0]) else { continue };
        let kept = |edge: Timestamp| 0.5_f64.powf(seconds_between(edge, now) / MEMORY_SECONDS);
        let weight = kept(pair[1]) - kept(pair[0]);
        seen.uplift += weight * (change.uplift - 1.0);
        seen.added_per_second += weight * change.added_per_second;
    }
    seen
}
