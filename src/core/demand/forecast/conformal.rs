//! Adaptive conformal correction: quantiles that were wrong lately are moved until they are right.
//!
//! Each level keeps its own standard normal score, moved after every day by how far the share of
//! slots below the quantile was from the level (Gibbs and Candes 2021, in the score's space). In
//! the long run the share is right whatever the model's shape and dispersion are.

use super::distribution::{count_quantile, normal_quantile};

/// Levels kept right; what lies between is interpolated in the score.
pub(super) const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.9, 0.99];
/// Standard normal scores of [`LEVELS`].
const PLAIN: [f64; LEVELS.len()] =
    [-1.644_853_626_951_472, -0.674_489_750_196_082, 0.0, 1.281_551_565_544_6, 2.326_347_874_040_841];
/// Step after a day of each level, in probability: the outer ones miss seldom and need longer ones.
const STEPS: [f64; LEVELS.len()] = [0.05, 0.03, 0.02, 0.075, 0.04];
/// Scores stay within this: a quantile is not chased without end.
const BOUND: f64 = 6.0;
/// Deviations are corrected by a factor between these.
const SPREAD_BOUNDS: (f64, f64) = (0.5, 3.0);
/// Slots expected to hold less than this share of an average slot count little.
const QUIET_SHARE: f64 = 0.05;
/// Slots count by the chance that they have had an order in so many weeks: those that had none are
/// closed to whoever looks back.
const CLOSED_WEEKS: f64 = 4.0;

/// The level of the 0.9 quantile among the levels.
const HIGH: usize = 3;
/// Where some slots are closed, the 0.9 quantile holds for all slots as nearly as it can: at most
/// this share of all of them is to stay below it ...
const MOST_OF_ALL: f64 = 0.925;
/// ... and at least this share of the open ones; where that is not possible, 0.9 of the open ones.
const LEAST_OF_OPEN: f64 = 0.88;
/// Gain of the share of open slots, a day.
const OPEN_GAIN: f64 = 0.03;

/// Corrected standard normal scores.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conformal {
    scores: [f64; LEVELS.len()],
    /// Share of slots that are open.
    open: f64,
    days: f64,
}

impl Conformal {
    pub(super) fn new() -> Self {
        Self { scores: PLAIN, open: 1.0, days: 0.0 }
    }

    /// The corrected score of a level in `0..1`.
    pub(super) fn score(&self, level: f64) -> f64 {
        let plain = normal_quantile(level);
        let last = LEVELS.len() - 1;
        if plain <= PLAIN[0] {
            return self.scores[0] + plain - PLAIN[0];
        }
        if plain >= PLAIN[last] {
            return self.scores[last] + plain - PLAIN[last];
        }
        let upper = PLAIN.iter().position(|score| plain < *score).unwrap_or(last).max(1);
        let share = (plain - PLAIN[upper - 1]) / (PLAIN[upper] - PLAIN[upper - 1]);
        self.scores[upper - 1] + share * (self.scores[upper] - self.scores[upper - 1])
    }

    /// How much wider than the model's own the upper half of the distribution is.
    pub(super) fn spread(&self) -> f64 {
        ((self.scores[3] - self.scores[2]) / (PLAIN[3] - PLAIN[2])).clamp(SPREAD_BOUNDS.0, SPREAD_BOUNDS.1)
    }

    /// Learns a day: values (`NaN`: missing) against the means and variances expected. Quiet slots
    /// count less, as a small count is below any of its quantiles too often.
    pub(super) fn learn_day(&mut self, values: &[f64], mean: &[f64], variance: &[f64]) {
        let mut below = [0.0; LEVELS.len()];
        let (mut weights, mut known) = (0.0, 0.0);
        let quiet = QUIET_SHARE * mean.iter().sum::<f64>() / mean.len().max(1) as f64;
        for (slot, value) in values.iter().enumerate() {
            known += f64::from(u8::from(!value.is_nan()));
            if value.is_nan() || mean[slot] <= 0.0 {
                continue;
            }
            let quiet = if quiet > 0.0 { (mean[slot] / quiet).min(1.0) } else { 1.0 };
            let weight = quiet.min(-(-CLOSED_WEEKS * mean[slot]).exp_m1());
            weights += weight;
            for (below, score) in below.iter_mut().zip(self.scores) {
                if *value <= count_quantile(mean[slot], variance[slot], score) {
                    *below += weight;
                }
            }
        }
        if known > 0.0 {
            self.days += 1.0;
            self.open += OPEN_GAIN.max(1.0 / self.days) * (weights / known - self.open);
        }
        if weights > 0.0 {
            self.learn(&below.map(|sum| sum / weights));
        }
    }

    /// The share of open slots that is to stay at or below the quantile of a level.
    fn wanted(&self, index: usize) -> f64 {
        let of_open = 1.0 - (1.0 - MOST_OF_ALL) / self.open.max(f64::MIN_POSITIVE);
        if index == HIGH && of_open > LEAST_OF_OPEN - 0.01 {
            of_open.clamp(LEAST_OF_OPEN, LEVELS[HIGH])
        } else {
            LEVELS[index]
        }
    }

    /// Learns the shares of slots that stayed at or below the quantiles of [`LEVELS`].
    fn learn(&mut self, below: &[f64; LEVELS.len()]) {
        for index in 0..LEVELS.len() {
            let plain = PLAIN[index];
            let density = (-0.5 * plain * plain).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let moved = self.scores[index] + STEPS[index] / density * (self.wanted(index) - below[index]);
            self.scores[index] = moved.clamp(-BOUND, BOUND);
        }
        for index in 1..LEVELS.len() {
            self.scores[index] = self.scores[index].max(self.scores[index - 1]);
        }
    }
}
