//! The weekly profile: what a slot of a weekday holds, in shares of the level, shrunk to its parent.
//!
//! Each (weekday, slot) cell is an exponentially weighted mean over weeks; its parent is the shape
//! of an average day, scaled to that weekday's total. How far a cell is drawn to its parent follows
//! from how much weekdays differ at that hour beyond what the noise explains (James-Stein): where
//! Tuesday looks like Wednesday they share their data, where Sunday is its own day it stays so.

use super::dispersion::NO_BURST;
use super::grid::single;

/// Days in a week.
pub(super) const WEEK: usize = 7;
/// A share is never drawn to its parent entirely: a weekday may be about to change.
const LEAST_OWN: f64 = 0.05;
/// Noise is learned over about this many days.
const NOISE_GAIN: f64 = 0.05;
/// Residuals beyond this many deviations count as that many: a burst is not the shape of a day.
const CLIP_DEVIATIONS: f64 = 4.0;

/// Shares of the level by weekday and slot; kept in single precision, which is more than a count holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    slots: usize,
    gain: f64,
    cells: Box<[f32]>,
    weeks_seen: [f64; WEEK],
    /// Variance over mean of a share, by slot.
    noise: Box<[f32]>,
    noise_days: f64,
}

/// What weekdays have in common and how they differ, by slot: worked out anew for each look ahead.
#[derive(Debug)]
pub(super) struct Gathered {
    parent: Vec<f64>,
    between: Vec<f64>,
    sampling: Vec<f64>,
}

impl Gathered {
    pub(super) fn new(slots: usize) -> Self {
        Self { parent: vec![0.0; slots], between: vec![0.0; slots], sampling: vec![0.0; slots] }
    }
}

impl Profile {
    /// A profile that forgets half of what it knows in `half_life_weeks`.
    pub(super) fn new(slots: usize, half_life_weeks: f64) -> Self {
        Self {
            slots,
            gain: 1.0 - 0.5_f64.powf(1.0 / half_life_weeks),
            cells: vec![0.0; WEEK * slots].into(),
            weeks_seen: [0.0; WEEK],
            noise: vec![0.0; slots].into(),
            noise_days: 0.0,
        }
    }

    /// The shares of one weekday, drawn to their parent, into `shares`.
    pub(super) fn shares(&self, weekday: usize, gathered: &mut Gathered, shares: &mut [f64]) {
        let totals = self.totals();
        let seen = self.weeks_seen.iter().filter(|weeks| **weeks > 0.0).count();
        let week_total: f64 = totals.iter().sum();
        if seen == 0 || week_total <= 0.0 {
            shares.fill(0.0);
            return;
        }
        self.gather(&totals, week_total, gathered);
        if self.weeks_seen[weekday] == 0.0 {
            let total = week_total / seen as f64;
            shares.iter_mut().zip(&gathered.parent).for_each(|(share, parent)| *share = parent * total);
            return;
        }
        self.own_shares(weekday, shares);
        if seen < 3 {
            return;
        }
        let scale = (seen - 1) as f64 / seen as f64;
        for (slot, share) in shares.iter_mut().enumerate() {
            let explained = f64::from(self.noise[slot]) * gathered.sampling[slot] * scale;
            let between = gathered.between[slot];
            let keep = if between > 0.0 { (1.0 - explained / between).max(LEAST_OWN) } else { 1.0 };
            let drawn = gathered.parent[slot] * totals[weekday];
            *share = drawn + keep * (*share - drawn);
        }
    }

    /// The shares of one weekday as they were learned, into `shares`; zeros before it was seen.
    pub(super) fn own_shares(&self, weekday: usize, shares: &mut [f64]) {
        let own = &self.cells[weekday * self.slots..(weekday + 1) * self.slots];
        shares.iter_mut().zip(own).for_each(|(share, cell)| *share = f64::from(*cell));
    }

    /// Parent shape, sum of squares between weekdays, and how much of that one unit of noise
    /// explains; a loop over slots within one over days, for the sake of speed.
    fn gather(&self, totals: &[f64; WEEK], week_total: f64, gathered: &mut Gathered) {
        let most_weeks = 2.0 / self.gain;
        let Gathered { parent, between, sampling } = gathered;
        parent.fill(0.0);
        between.fill(0.0);
        sampling.fill(0.0);
        for cells in self.cells.chunks_exact(self.slots) {
            parent.iter_mut().zip(cells).for_each(|(parent, cell)| *parent += f64::from(*cell));
        }
        for parent in parent.iter_mut() {
            *parent /= week_total;
        }
        for (day, cells) in self.cells.chunks_exact(self.slots).enumerate() {
            if self.weeks_seen[day] == 0.0 {
                continue;
            }
            let weight = 1.0 / self.weeks_seen[day].min(most_weeks);
            let sums = between.iter_mut().zip(sampling.iter_mut());
            for ((between, sampling), (cell, parent)) in sums.zip(cells.iter().zip(parent.iter())) {
                let (cell, expected) = (f64::from(*cell), parent * totals[day]);
                *between += (cell - expected) * (cell - expected);
                *sampling += weight * if cell > expected { cell } else { expected };
            }
        }
    }

    /// Learns a day's values (`NaN`: missing) over the level of that day; `trust` in `0..=1`.
    pub(super) fn learn(&mut self, weekday: usize, values: &[f64], level: f64, trust: f64) {
        if level <= 0.0 {
            return;
        }
        let first = self.weeks_seen[weekday] == 0.0;
        self.weeks_seen[weekday] += 1.0;
        let gain = if first { 1.0 } else { self.gain.max(1.0 / self.weeks_seen[weekday]) * trust };
        if !first {
            self.noise_days += 1.0;
        }
        let noise_gain = NOISE_GAIN.max(1.0 / self.noise_days.max(1.0));
        let clipped = self.noise_days > 14.0;
        let cells = &mut self.cells[weekday * self.slots..(weekday + 1) * self.slots];
        for ((kept_cell, value), kept_noise) in cells.iter_mut().zip(values).zip(&mut self.noise) {
            if value.is_nan() {
                continue;
            }
            let (cell, noise) = (f64::from(*kept_cell), f64::from(*kept_noise));
            let mut error = value / level - cell;
            if !first && cell > 0.0 {
                let bound = (CLIP_DEVIATIONS * (noise * cell).sqrt()).max(NO_BURST / level);
                if clipped && bound > 0.0 {
                    error = error.clamp(-bound, bound);
                }
                *kept_noise = single(noise + noise_gain * (error * error / cell - noise));
            }
            *kept_cell = single(cell + gain * error);
        }
    }

    /// Takes the next day of a weekday for the first of its kind.
    pub(super) fn forget(&mut self, weekday: usize) {
        self.weeks_seen[weekday] = 0.0;
    }

    /// Moves every share by `factor`: the level that they are shares of was redefined.
    pub(super) fn rescale(&mut self, factor: f64) {
        let rescaled = |kept: &mut f32| *kept = single(f64::from(*kept) * factor);
        self.cells.iter_mut().for_each(rescaled);
        self.noise.iter_mut().for_each(rescaled);
    }

    fn totals(&self) -> [f64; WEEK] {
        std::array::from_fn(|day| {
            self.cells[day * self.slots..(day + 1) * self.slots].iter().copied().map(f64::from).sum()
        })
    }
}
