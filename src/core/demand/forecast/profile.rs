//! The weekly profile: what a slot of a weekday holds, in shares of the level, shrunk to its parent.
//!
//! Each (weekday, slot) cell is an exponentially weighted mean over weeks; its parent is the shape
//! of an average day, scaled to that weekday's total. How far a cell is drawn to its parent follows
//! from how much weekdays differ at that hour beyond what the noise explains (James-Stein): where
//! Tuesday looks like Wednesday they share their data, where Sunday is its own day it stays so.

/// Days in a week.
pub(super) const WEEK: usize = 7;
/// A share is never drawn to its parent entirely: a weekday may be about to change.
const LEAST_OWN: f64 = 0.05;
/// Noise is learned over about this many days.
const NOISE_GAIN: f64 = 0.05;
/// Residuals beyond this many deviations count as that many: a burst is not the shape of a day.
const CLIP_DEVIATIONS: f64 = 4.0;

/// Shares of the level by weekday and slot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    slots: usize,
    gain: f64,
    cells: Vec<f64>,
    weeks_seen: [f64; WEEK],
    /// Variance over mean of a share, by slot.
    noise: Vec<f64>,
    noise_days: f64,
}

impl Profile {
    /// A profile that forgets half of what it knows in `half_life_weeks`.
    pub(super) fn new(slots: usize, half_life_weeks: f64) -> Self {
        Self {
            slots,
            gain: 1.0 - 0.5_f64.powf(1.0 / half_life_weeks),
            cells: vec![0.0; WEEK * slots],
            weeks_seen: [0.0; WEEK],
            noise: vec![0.0; slots],
            noise_days: 0.0,
        }
    }

    /// The shares of one weekday, drawn to their parent, into `shares`.
    pub(super) fn shares(&self, weekday: usize, shares: &mut [f64]) {
        let totals = self.totals();
        let seen = (0..WEEK).filter(|day| self.weeks_seen[*day] > 0.0).count();
        let week_total: f64 = totals.iter().sum();
        if seen == 0 || week_total <= 0.0 {
            shares.fill(0.0);
            return;
        }
        let unseen = self.weeks_seen[weekday] == 0.0;
        let total = if unseen {
            week_total / seen as f64
        } else {
            totals[weekday]
        };
        let most_weeks = 2.0 / self.gain;
        for (slot, share) in shares.iter_mut().enumerate() {
            let column = (0..WEEK).map(|day| self.cells[day * self.slots + slot]);
            let parent = column.sum::<f64>() / week_total;
            let own = self.cells[weekday * self.slots + slot];
            let drawn = parent * total;
            if unseen || seen < 3 {
                *share = if unseen { drawn } else { own };
                continue;
            }
            let (mut between, mut sampling) = (0.0, 0.0);
            for day in 0..WEEK {
                if self.weeks_seen[day] > 0.0 {
                    let cell = self.cells[day * self.slots + slot];
                    let expected = parent * totals[day];
                    between += (cell - expected) * (cell - expected);
                    sampling += cell.max(expected) / self.weeks_seen[day].min(most_weeks);
                }
            }
            between /= (seen - 1) as f64;
            sampling *= self.noise[slot] / seen as f64;
            let keep = if between > 0.0 {
                (1.0 - sampling / between).max(LEAST_OWN)
            } else {
                1.0
            };
            *share = drawn + keep * (own - drawn);
        }
    }

    /// Learns a day's values (`NaN`: missing) over the level of that day; `trust` in `0..=1`.
    pub(super) fn learn(&mut self, weekday: usize, values: &[f64], level: f64, trust: f64) {
        if level <= 0.0 {
            return;
        }
        let first = self.weeks_seen[weekday] == 0.0;
        self.weeks_seen[weekday] += 1.0;
        let gain = if first {
            1.0
        } else {
            self.gain.max(1.0 / self.weeks_seen[weekday]) * trust
        };
        if !first {
            self.noise_days += 1.0;
        }
        let noise_gain = NOISE_GAIN.max(1.0 / self.noise_days.max(1.0));
        let clipped = self.noise_days > 14.0;
        let cells = &mut self.cells[weekday * self.slots..(weekday + 1) * self.slots];
        for ((cell, value), noise) in cells.iter_mut().zip(values).zip(&mut self.noise) {
            if value.is_nan() {
                continue;
            }
            let mut error = value / level - *cell;
            if !first && *cell > 0.0 {
                let bound = CLIP_DEVIATIONS * (*noise * *cell).sqrt();
                if clipped && bound > 0.0 {
                    error = error.clamp(-bound, bound);
                }
                *noise += noise_gain * (error * error / *cell - *noise);
            }
            *cell += gain * error;
        }
    }

    /// Moves every share by `factor`: the level that they are shares of was redefined.
    pub(super) fn rescale(&mut self, factor: f64) {
        self.cells.iter_mut().for_each(|cell| *cell *= factor);
        self.noise.iter_mut().for_each(|noise| *noise *= factor);
    }

    fn totals(&self) -> [f64; WEEK] {
        std::array::from_fn(|day| {
            self.cells[day * self.slots..(day + 1) * self.slots]
                .iter()
                .sum()
        })
    }
}
