//! The day being filled: what came of it so far, and what was expected of it and of those after.

use jiff::civil::Date;

use super::curve::SlotCurve;
use super::day::DayForecast;
use super::event::Change;
use super::grid::{DayCounts, Place, single};

/// A slot covered less than this teaches nothing.
const LEAST_TAUGHT_SHARE: f64 = 0.9;

/// What a day is expected to bring, as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    slots: Box<[ExpectedSlot]>,
    /// Share of a slot's variance that it has in common with the other slots of its day.
    pub(super) correlation: f64,
}

#[derive(Debug, Clone, Copy)]
struct ExpectedSlot {
    mean: f32,
    variance: f32,
}

impl Expected {
    pub(super) fn of(forecast: &DayForecast) -> Self {
        let slots = forecast.mean.iter().zip(&forecast.variance);
        let slots =
            slots.map(|(mean, variance)| ExpectedSlot { mean: single(*mean), variance: single(*variance) });
        Self { slots: slots.collect(), correlation: forecast.correlation }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Orders expected in a slot.
    pub(super) fn mean(&self, slot: usize) -> f64 {
        f64::from(self.slots[slot].mean)
    }

    pub(super) fn variance(&self, slot: usize) -> f64 {
        f64::from(self.slots[slot].variance)
    }

    /// Orders expected by slot.
    pub(super) fn means(&self) -> impl Iterator<Item = f64> {
        self.slots.iter().map(|slot| f64::from(slot.mean))
    }
}

/// What came of a day within events, and what those did to each slot.
#[derive(Debug, Clone)]
pub(super) struct InEvents {
    pub(super) counts: DayCounts,
    pub(super) change: Box<[Change]>,
}

/// The day being filled.
#[derive(Debug, Clone)]
pub(super) struct Today {
    /// What came outside of events.
    pub(super) seen: DayCounts,
    /// What came within them; most days have none.
    pub(super) in_events: Option<Box<InEvents>>,
    /// Orders expected in the last slot of the day before.
    pub(super) before: f64,
    /// What is expected of the day, and of those after as far as they were asked for.
    pub(super) ahead: Vec<Expected>,
    /// The slot that is open.
    pub(super) slot: usize,
}

impl Today {
    pub(super) fn new(date: Date, slots: usize, before: f64, first: &DayForecast, slot: usize) -> Self {
        Self {
            seen: DayCounts::new(date, slots),
            in_events: None,
            before,
            ahead: vec![Expected::of(first)],
            slot,
        }
    }

    /// Counts what came in a slot, under a `change` where an event was on.
    pub(super) fn count(&mut self, slot: usize, seconds: f64, count: f64, change: Option<Change>) {
        let counts = match change {
            None => &mut self.seen,
            Some(change) => {
                let (date, slots) = (self.seen.date, self.seen.slots().count());
                let in_events = self.in_events.get_or_insert_with(|| {
                    let change = vec![Change::NONE; slots].into();
                    Box::new(InEvents { counts: DayCounts::new(date, slots), change })
                });
                in_events.change[slot] = change;
                &mut in_events.counts
            }
        };
        counts.add(slot, seconds, count);
    }

    /// Orders expected in the next `share` of the slot of `place`.
    pub(super) fn orders(&self, place: Place, share: f64) -> f64 {
        let expected = &self.ahead[0];
        let own = expected.mean(place.slot);
        let before = if place.slot > 0 { expected.mean(place.slot - 1) } else { self.before };
        let after = if place.slot + 1 < expected.slots() { expected.mean(place.slot + 1) } else { own };
        SlotCurve::new(before, own, after).orders(place.passed, (place.passed + share).min(1.0))
    }

    /// What a slot brought and what was expected of it; `None` where too little of it was seen, or
    /// an event was on.
    pub(super) fn known(&self, slot: usize, slot_seconds: f64) -> Option<(f64, f64)> {
        let (count, covered) = self.seen.slot(slot);
        let share = covered / slot_seconds;
        (share > LEAST_TAUGHT_SHARE).then(|| (count, self.ahead[0].mean(slot) * share))
    }

    /// Means and variances that were expected with these events, by slot.
    pub(super) fn expected_in(&self, events: &InEvents, slot_seconds: f64) -> (Vec<f64>, Vec<f64>) {
        let with_change = self.ahead[0].slots.iter().zip(&events.change).map(|(slot, change)| {
            let added = change.added_per_second * slot_seconds;
            let (mean, variance) = (f64::from(slot.mean), f64::from(slot.variance));
            (mean * change.uplift + added, variance * change.uplift.powi(2) + added)
        });
        with_change.unzip()
    }
}
