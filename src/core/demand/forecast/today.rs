//! The day being filled: what came of it so far, and what was expected of it and of those after.

use jiff::civil::Date;

use super::curve::SlotCurve;
use super::day::DayForecast;
use super::event::Change;
use super::grid::{DayCounts, Place};

/// A slot covered less than this teaches nothing.
const LEAST_COVERED: f64 = 0.9;

/// The day being filled.
#[derive(Debug, Clone)]
pub(super) struct Today {
    /// What came outside of events.
    pub(super) seen: DayCounts,
    /// What came within them.
    pub(super) in_event: DayCounts,
    /// What events did to each slot.
    pub(super) change: Vec<Change>,
    /// Orders expected in the last slot of the day before.
    pub(super) before: f64,
    /// The day's forecast, and those of the days after as far as they were asked for.
    pub(super) ahead: Vec<DayForecast>,
    /// The slot that is open.
    pub(super) slot: usize,
}

impl Today {
    pub(super) fn new(date: Date, slots: usize, before: f64, first: DayForecast, slot: usize) -> Self {
        Self {
            seen: DayCounts::new(date, slots),
            in_event: DayCounts::new(date, slots),
            change: vec![Change::NONE; slots],
            before,
            ahead: vec![first],
            slot,
        }
    }

    /// Orders expected in the next `share` of the slot of `place`.
    pub(super) fn orders(&self, place: Place, share: f64) -> f64 {
        let mean = &self.ahead[0].mean;
        let own = mean[place.slot];
        let before = if place.slot > 0 { mean[place.slot - 1] } else { self.before };
        let after = mean.get(place.slot + 1).copied().unwrap_or(own);
        SlotCurve::new(before, own, after).orders(place.passed, (place.passed + share).min(1.0))
    }

    /// What a slot brought and what was expected of it; `None` where too little of it was seen, or
    /// an event was on.
    pub(super) fn known(&self, slot: usize, slot_seconds: f64) -> Option<(f64, f64)> {
        let share = self.seen.covered[slot] / slot_seconds;
        (share > LEAST_COVERED).then(|| (self.seen.counts[slot], self.ahead[0].mean[slot] * share))
    }

    /// Means and variances that were expected with the events, by slot.
    pub(super) fn expected_in_events(&self, slot_seconds: f64) -> (Vec<f64>, Vec<f64>) {
        let expected = &self.ahead[0];
        let changed = expected.mean.iter().zip(&expected.variance).zip(&self.change);
        let with_change = changed.map(|((mean, variance), change)| {
            let added = change.added_per_second * slot_seconds;
            (mean * change.uplift + added, variance * change.uplift.powi(2) + added)
        });
        with_change.unzip()
    }
}
