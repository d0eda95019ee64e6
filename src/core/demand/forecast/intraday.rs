//! The intraday ratio: how today's orders so far compare with what was expected of them, and how
//! much of that to believe for the hours ahead.
//!
//! Orders seen and orders expected are summed with fading weights, once over the last half hour
//! and once over the last hours. The two ratios are shrunk by dispersion (few orders say little)
//! and capped. What they are worth at each distance ahead is learned by regression on the last
//! weeks, so that the correction fades as it should, and goes to nothing where bursts say nothing
//! about the next hour. Which share of the errors is left is learned by part of the day: a quiet
//! night tells little of the morning, the morning much of the afternoon.

use std::collections::VecDeque;

use super::grid::{single, whole};

/// Half-lives of the two sums, in seconds.
const HALF_LIVES: [f64; 2] = [25.0 * 60.0, 3.0 * 3600.0];
/// Ratios lie between one over this and this, seen as well as applied.
const CAP: f64 = 3.0;
/// Distances ahead at which the worth of the ratios is learned, in seconds.
const DISTANCES: [f64; 5] = [0.0, 3600.0, 2.0 * 3600.0, 4.0 * 3600.0, 8.0 * 3600.0];
/// Beyond the last distance the correction fades to nothing until here, in seconds.
const NOTHING_AT: f64 = 24.0 * 3600.0;
/// Half-life of what was learned, in seconds seen.
const MEMORY: f64 = 21.0 * 86_400.0;
/// What both ratios are worth at each distance within a day before anything was learned: about what they
/// came to be worth on unlike series. From one day to the next it is nothing.
const USUAL_WORTH: [[f64; 2]; DISTANCES.len()] =
    [[0.3, 0.3], [0.2, 0.3], [0.15, 0.25], [0.1, 0.2], [0.05, 0.15]];
/// Pseudo-evidence of the usual worth, in units of average evidence a day.
const DOUBT_DAYS: f64 = 2.0;

/// Parts of a day in each of which the share of errors that is left is learned.
const PARTS: usize = 6;
/// Evidence that it is the whole day's, as a part of a day's.
const PART_DOUBT: f64 = 0.1;
/// A correction is never taken to leave less than this share of the variance.
const LEAST_LEFT: f64 = 0.1;

/// The same doubt within a day and from one day to the next, of which there is less evidence.
const DOUBT_TIMES: [f64; 2] = [1.0, 3.0];

/// Learned worth of the ratios at one distance: a regression of two variables. Estimates, of which a
/// workload keeps ten: single precision is enough.
#[derive(Debug, Clone, PartialEq, Default)]
struct Worth {
    squares: [f32; 2],
    product: f32,
    answers: [f32; 2],
    /// Errors without and with the correction, of all day and by part of it.
    day: Errors,
    parts: [Errors; PARTS],
    slopes: [f32; 2],
    /// What they are before anything was learned.
    usual: [f32; 2],
}

/// Sums of absolute errors without a correction and with it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Errors {
    before: f32,
    after: f32,
}

impl Errors {
    fn learn(&mut self, before: f64, after: f64, weight: f64, keep: f64) {
        let fold = |kept: f32, error: f64| single(keep * f64::from(kept) + weight * error.abs());
        *self = Self { before: fold(self.before, before), after: fold(self.after, after) };
    }
}

impl Worth {
    fn new(usual: [f64; 2]) -> Self {
        let usual = usual.map(single);
        Self { slopes: usual, usual, ..Self::default() }
    }

    /// Learns from a slot in a `part` of the day by which part it was off (`error`), and which signals
    /// there had been.
    fn learn(&mut self, signals: [f64; 2], error: f64, part: usize, weight: f64, keep: f64, doubt: f64) {
        let residual = error - self.shift(signals);
        self.day.learn(error, residual, weight, keep);
        // A part of the day comes by less often, and is remembered for as many days.
        let kept = (0..PARTS).fold(1.0, |kept, _| kept * keep);
        self.parts[part].learn(error, residual, weight, kept);
        let fold = |kept: &mut f32, new: f64| *kept = single(keep * f64::from(*kept) + weight * new);
        for (index, signal) in signals.iter().enumerate() {
            fold(&mut self.squares[index], signal * signal);
            fold(&mut self.answers[index], signal * error);
        }
        fold(&mut self.product, signals[0] * signals[1]);
        self.solve(doubt);
    }

    fn solve(&mut self, doubt: f64) {
        let squares = self.squares.map(f64::from);
        let ridge = doubt * (squares[0] + squares[1]);
        let [a, d] = squares.map(|square| square + ridge);
        let product = f64::from(self.product);
        let determinant = a * d - product * product;
        if !determinant.is_finite() || determinant <= 1e-12 * a * d {
            self.slopes = self.usual;
            return;
        }
        let [p, q] = [0, 1].map(|i| f64::from(self.answers[i]) + ridge * f64::from(self.usual[i]));
        self.slopes = [(p * d - q * product) / determinant, (q * a - p * product) / determinant]
            .map(|slope| single(slope.clamp(0.0, 1.0)));
    }

    /// By which part more orders than expected come where the ratios were such.
    fn shift(&self, signals: [f64; 2]) -> f64 {
        f64::from(self.slopes[0]) * signals[0] + f64::from(self.slopes[1]) * signals[1]
    }

    /// Share of the error's variance that is left in a part of the day.
    fn left(&self, part: usize) -> f64 {
        let (day, part) = (self.day, self.parts[part]);
        if day.before <= 0.0 {
            return 1.0;
        }
        let doubted = |part: f32, day: f32| f64::from(part) + PART_DOUBT * f64::from(day);
        let left = doubted(part.after, day.after) / doubted(part.before, day.before);
        (left * left).clamp(LEAST_LEFT, 1.0)
    }
}

/// The state of the ratio.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Intraday {
    slot_seconds: f64,
    seen: [f64; 2],
    expected: [f64; 2],
    doubt_orders: f64,
    /// Within a day, and from one day to the next.
    worths: [[Worth; DISTANCES.len()]; 2],
    past: VecDeque<[f32; 2]>,
    days: f64,
}

impl Intraday {
    pub(super) fn new(slot_seconds: f64) -> Self {
        Self {
            slot_seconds,
            seen: [0.0; 2],
            expected: [0.0; 2],
            doubt_orders: 0.0,
            worths: [USUAL_WORTH.map(Worth::new), std::array::from_fn(|_| Worth::default())],
            past: VecDeque::new(),
            days: 0.0,
        }
    }

    /// Folds in what came in the `seconds` up to now; `dispersion` is variance over mean then.
    pub(super) fn observe(&mut self, seconds: f64, count: f64, expected: f64, dispersion: f64) {
        for (index, half_life) in HALF_LIVES.iter().enumerate() {
            let keep = 0.5_f64.powf(seconds / half_life);
            let inside = 0.5_f64.powf(0.5 * seconds / half_life);
            self.seen[index] = self.seen[index] * keep + count * inside;
            self.expected[index] = self.expected[index] * keep + expected * inside;
        }
        self.doubt_orders = dispersion;
    }

    /// Lets time pass of which nothing is known.
    pub(super) fn skip(&mut self, seconds: f64) {
        for (index, half_life) in HALF_LIVES.iter().enumerate() {
            let keep = 0.5_f64.powf(seconds / half_life);
            self.seen[index] *= keep;
            self.expected[index] *= keep;
        }
    }

    /// Ends a slot: learns what the ratios of some time ago were worth for it, where it is known,
    /// and keeps the present ones for later. `slot` is its place in the day.
    pub(super) fn close_slot(&mut self, slot: usize, known: Option<(f64, f64)>) {
        if let Some((count, expected)) = known.filter(|(_, expected)| *expected > 0.0) {
            let share_of_day = self.slot_seconds / 86_400.0;
            self.days += share_of_day;
            let keep = 0.5_f64.powf(self.slot_seconds / MEMORY);
            let error = (count / expected - 1.0).clamp(-1.0, CAP - 1.0);
            let part = part_of_day(slot, self.slot_seconds);
            let doubt = DOUBT_DAYS / self.days.min(MEMORY / 86_400.0);
            for (index, distance) in DISTANCES.into_iter().enumerate() {
                let back = whole((distance / self.slot_seconds).round());
                let across = usize::from(slot <= back);
                let doubt = doubt * DOUBT_TIMES[across];
                if let Some(signals) = self.past.get(back) {
                    let signals = signals.map(f64::from);
                    self.worths[across][index].learn(signals, error, part, expected, keep, doubt);
                }
            }
        }
        let longest = whole((DISTANCES[DISTANCES.len() - 1] / self.slot_seconds).round());
        self.past.truncate(longest);
        self.past.reserve_exact(longest + 1 - self.past.len());
        self.past.push_front(self.signals().map(single));
    }

    /// What to correct expected orders by, as of now.
    pub(super) fn correction(&self) -> Correction {
        let signals = self.signals();
        let effect = |worth: &Worth| (worth.shift(signals), std::array::from_fn(|part| worth.left(part)));
        Correction {
            slot_seconds: self.slot_seconds,
            places: DISTANCES.map(|distance| distance + 0.5 * self.slot_seconds),
            effects: self.worths.each_ref().map(|worths| worths.each_ref().map(effect)),
        }
    }

    /// How many times the expected orders came over the last half hour, and how many standard
    /// deviations away that is; `None` where nothing was expected and nothing came.
    pub(super) fn surprise(&self) -> Option<(f64, f64)> {
        let (seen, expected) = (self.seen[0], self.expected[0]);
        let deviation = (self.doubt_orders.max(1.0) * expected.max(1.0)).sqrt();
        (seen + expected > 0.0)
            .then(|| (seen / expected.max(f64::MIN_POSITIVE), (seen - expected) / deviation))
    }

    /// Both ratios less one, shrunk and capped.
    fn signals(&self) -> [f64; 2] {
        std::array::from_fn(|index| {
            let doubt = self.doubt_orders.max(0.0);
            let expected = self.expected[index] + doubt;
            let ratio = if expected > 0.0 { (self.seen[index] + doubt) / expected } else { 1.0 };
            ratio.clamp(1.0 / CAP, CAP) - 1.0
        })
    }
}

/// The part of the day that a slot lies in.
fn part_of_day(slot: usize, slot_seconds: f64) -> usize {
    whole(slot as f64 * slot_seconds / 86_400.0 * PARTS as f64).min(PARTS - 1)
}

/// What the ratios of one moment do at any distance ahead.
#[derive(Debug)]
pub(super) struct Correction {
    slot_seconds: f64,
    /// The distances, each to the middle of a slot, in seconds.
    places: [f64; DISTANCES.len()],
    /// By which part more orders than expected come at each, and which share of their variance is left by
    /// part of the day: within a day, and from one day to the next.
    effects: [[(f64, [f64; PARTS]); DISTANCES.len()]; 2],
}

impl Correction {
    /// What to multiply the expected orders `ahead_seconds` from now, in a `slot` of the day, with, and which
    /// share of their variance is left; `across`: they belong to another day than the last one seen.
    pub(super) fn at(&self, ahead_seconds: f64, slot: usize, across: bool) -> (f64, f64) {
        let part = part_of_day(slot, self.slot_seconds);
        let places = &self.places;
        let at = self.effects[usize::from(across)].each_ref().map(|(shift, left)| (*shift, left[part]));
        let last = DISTANCES.len() - 1;
        let upper = places.iter().position(|place| ahead_seconds < *place);
        let (low, high, share) = match upper {
            Some(0) => (at[0], at[0], 0.0),
            Some(index) => {
                let share = (ahead_seconds - places[index - 1]) / (places[index] - places[index - 1]);
                (at[index - 1], at[index], share)
            }
            None => {
                let share = (ahead_seconds - places[last]) / (NOTHING_AT - places[last]);
                (at[last], (0.0, 1.0), share.min(1.0))
            }
        };
        let factor = 1.0 + low.0 + (high.0 - low.0) * share;
        (factor.clamp(1.0 / CAP, CAP), low.1 + (high.1 - low.1) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_learned_by_part_of_the_day() {
        let mut worth = Worth::new([0.5, 0.0]);
        for day in 0..40 {
            let signal = if day % 2 == 0 { 0.2 } else { -0.2 };
            for part in 0..PARTS {
                let known = if part >= PARTS / 2 { signal } else { 0.0 };
                let noise = if (day + part) % 3 == 0 { 0.02 } else { -0.01 };
                worth.learn([known, 0.0], signal + noise, part, 100.0, 0.999, 1e-4);
            }
        }
        let (night, evening) = (worth.left(0), worth.left(PARTS - 1));
        assert!(night > 2.0 * evening, "{night} of a part in which nothing was known");
        assert!(evening < 0.35, "{evening} of one in which all was");
        assert_eq!((part_of_day(0, 3600.0), part_of_day(23, 3600.0), part_of_day(95, 900.0)), (0, 5, 5));
    }
}
