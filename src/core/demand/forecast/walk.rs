//! Walking through the time ahead: what each piece of it will bring.

use jiff::Timestamp;
use jiff::civil::Date;

use super::curve::SlotCurve;
use super::day::DayModel;
use super::event::{Change, Event, change_at, change_seen};
use super::grid::{DayClock, Place, days_between, later, seconds_between, weekday};
use super::intraday::Correction;
use super::today::Expected;
use crate::core::demand::outlook::{Knot, PresentRate};

/// The present rate's weight halves with every this many seconds ahead.
const PRESENT_HALF_LIFE_SECONDS: f64 = 600.0;

/// One standard deviation of orders that were promised, as a part of them.
const PROMISE_DEVIATION: f64 = 0.15;

/// A piece of time ahead, within one slot and one state of events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Piece {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) seconds: f64,
    pub(super) mean: f64,
    /// Variance that pieces have each for themselves.
    pub(super) apart: f64,
    /// Standard deviation that pieces have in common.
    pub(super) common: f64,
    pub(super) change: Change,
    pub(super) in_event: bool,
}

/// A slot ahead: what all of its pieces have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// The moment from which it was looked at.
    from: Timestamp,
    place: Place,
    /// `None` in the past.
    expected: Option<SlotExpected>,
}

#[derive(Debug, Clone, Copy)]
struct SlotExpected {
    curve: SlotCurve,
    variance: f64,
    /// Share of the variance in common with the other slots of the day.
    correlation: f64,
}

/// Everything that a look ahead needs.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) clock: DayClock,
    pub(super) slot_seconds: f64,
    pub(super) model: &'a DayModel,
    pub(super) today: Date,
    /// Orders expected in the last slot of the day before today.
    pub(super) before: f64,
    pub(super) ahead: &'a mut Vec<Expected>,
    pub(super) correction: Option<Correction>,
    pub(super) as_of: Timestamp,
    /// The day of the last slot that was seen.
    pub(super) seen_date: Date,
    pub(super) events: &'a [Event],
    /// The slot of the last piece.
    pub(super) slot: Option<Slot>,
}

impl Walk<'_> {
    /// Hands out `[from, to)` piece by piece, in order.
    pub(super) fn for_each(&mut self, from: Timestamp, to: Timestamp, mut visit: impl FnMut(Piece)) {
        let mut at = from;
        while at < to {
            let slot = self.slot(at);
            let boundary =
                self.events.iter().flat_map(|event| [event.from, event.to]).filter(|edge| *edge > at).min();
            let until = slot.place.until.min(to).min(boundary.unwrap_or(to));
            if until <= at {
                return;
            }
            visit(self.piece(&slot, at, until));
            at = until;
        }
    }

    /// Orders expected in `[from, to)`.
    pub(super) fn expected(&mut self, from: Timestamp, to: Timestamp) -> f64 {
        let mut sum = 0.0;
        self.for_each(from, to, |piece| sum += piece.mean);
        sum
    }

    /// Orders that such a time ordinarily brings: by weekday and slot of the days ahead.
    pub(super) fn ordinary(&mut self, from: Timestamp, to: Timestamp) -> f64 {
        let mut sum = 0.0;
        let mut at = from;
        while at < to {
            let place = self.clock.place(at);
            let until = place.until.min(to);
            if until <= at {
                break;
            }
            let day = usize::try_from(days_between(self.today, place.date).rem_euclid(7)).unwrap_or(0);
            self.look_ahead(day);
            sum += self.ahead[day].mean(place.slot) * seconds_between(at, until) / self.slot_seconds;
            at = until;
        }
        sum
    }

    /// The cumulative curve from `now`, leaning on the present rate; `spread` corrects deviations.
    pub(super) fn knots(
        &mut self,
        now: Timestamp,
        present: &PresentRate,
        horizon_seconds: f64,
        spread: f64,
    ) -> Vec<Knot> {
        // They are kept with the decision: no more room than they need.
        let mut knots = Vec::with_capacity(1 + steps(horizon_seconds).count());
        knots.push(Knot::START);
        let trust = 1.0 / (1.0 + present.relative_uncertainty * present.relative_uncertainty);
        let (mut mean, mut apart, mut common, mut present_common) = (0.0, 0.0, 0.0, 0.0);
        let seen = change_seen(self.events, now);
        let present_rate = present.orders_per_second.max(0.0);
        let unchanged = self.events.is_empty();
        let mut from = now;
        for x_seconds in steps(horizon_seconds) {
            let to = later(now, x_seconds);
            self.for_each(from, to, |piece| {
                let seconds = piece.seconds;
                let middle = seconds_between(now, piece.from) + 0.5 * seconds;
                let lean = trust * 0.5_f64.powf(middle / PRESENT_HALF_LIFE_SECONDS);
                let rate = if unchanged { present_rate } else { piece.change.rate(seen, present_rate) };
                let leaned = lean * rate * seconds;
                let orders = leaned + (1.0 - lean) * piece.mean;
                let dispersion = if piece.mean > 0.0 { piece.apart / piece.mean } else { 1.0 };
                mean += orders;
                apart += dispersion * orders;
                common += (1.0 - lean) * piece.common;
                present_common += leaned * present.relative_uncertainty;
            });
            let deviation = spread * (apart + common * common + present_common * present_common).sqrt();
            knots.push(Knot::new(x_seconds, mean, deviation));
            from = to;
        }
        knots
    }

    /// The slot of a moment: pieces follow each other within one for a while.
    fn slot(&mut self, at: Timestamp) -> Slot {
        if let Some(slot) = self.slot.filter(|slot| slot.from <= at)
            && let Some(place) = self.clock.place_within(&slot.place, at)
        {
            return Slot { place, ..slot };
        }
        let place = self.clock.place(at);
        let slot = Slot { from: at, place, expected: self.expected_in(&place) };
        self.slot = Some(slot);
        slot
    }

    fn expected_in(&mut self, place: &Place) -> Option<SlotExpected> {
        let day = if place.date == self.today { 0 } else { days_between(self.today, place.date) };
        let day = usize::try_from(day).ok()?;
        let (before, after) = self.neighbours(day, place);
        let forecast = &self.ahead[day];
        Some(SlotExpected {
            curve: SlotCurve::new(before, forecast.mean(place.slot), after),
            variance: forecast.variance(place.slot),
            correlation: forecast.correlation,
        })
    }

    fn piece(&self, Slot { place, expected, .. }: &Slot, from: Timestamp, to: Timestamp) -> Piece {
        let seconds = seconds_between(from, to);
        let Some(SlotExpected { curve, variance, correlation }) = expected else {
            let (change, in_event) = (Change::NONE, false);
            return Piece { from, to, seconds, mean: 0.0, apart: 0.0, common: 0.0, change, in_event };
        };
        let share = seconds / self.slot_seconds;
        let orders = curve.orders(place.passed, (place.passed + share).min(1.0));
        let middle = seconds_between(self.as_of, from) + 0.5 * seconds;
        let across = place.date != self.seen_date;
        let (factor, left) = self
            .correction
            .as_ref()
            .map_or((1.0, 1.0), |ratio| ratio.at(middle.max(0.0), place.slot, across));
        let change = change_at(self.events, from);
        let factor = factor * change.map_or(1.0, |change| change.uplift);
        let added = change.map_or(0.0, |change| change.added_per_second) * seconds;
        let variance = variance * factor * factor * left;
        Piece {
            from,
            to,
            seconds,
            mean: orders * factor + added,
            apart: share * (1.0 - correlation) * variance + added,
            common: share * (correlation * variance).sqrt() + PROMISE_DEVIATION * added,
            change: change.unwrap_or(Change::NONE),
            in_event: change.is_some(),
        }
    }

    /// Makes the days' forecasts up to the one `needed` days from today where they lack.
    fn look_ahead(&mut self, needed: usize) {
        while self.ahead.len() <= needed {
            let next = self.ahead.len();
            let first = weekday(self.today);
            self.ahead.reserve_exact(1);
            self.ahead.push(Expected::of(&self.model.forecast((first + next) % 7, next)));
        }
    }

    /// Orders expected in the slots before and after; makes the days' forecasts where they lack.
    fn neighbours(&mut self, day: usize, place: &Place) -> (f64, f64) {
        let slots = self.clock.slots();
        let needed = if place.slot + 1 == slots { day + 1 } else { day };
        self.look_ahead(needed);
        let before = match (day, place.slot) {
            (0, 0) => self.before,
            (day, 0) => self.ahead[day - 1].mean(slots - 1),
            (day, slot) => self.ahead[day].mean(slot - 1),
        };
        (before, self.ahead[needed].mean((place.slot + 1) % slots))
    }
}

/// Seconds from now at which the curve has knots: every minute for a quarter of an hour, every
/// five for three hours, every fifteen beyond, and the horizon.
fn steps(horizon_seconds: f64) -> impl Iterator<Item = f64> {
    let mut x = 0.0;
    std::iter::from_fn(move || {
        if x >= horizon_seconds {
            return None;
        }
        x += match x {
            near if near < 900.0 => 60.0,
            near if near < 10_800.0 => 300.0,
            _ => 900.0,
        };
        Some(x.min(horizon_seconds))
    })
}
