//! Adaptive conformal correction: quantiles that were wrong lately are moved until they are right.
//!
//! Each level keeps its own standard normal score, moved after every day by how far the share of
//! slots below the quantile was from the level (Gibbs and Candes 2021, in the score's space). In
//! the long run the share is right whatever the model's shape and dispersion are.

use super::distribution::normal_quantile;

/// Levels kept right; what lies between is interpolated in the score.
pub(super) const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.9, 0.99];
/// Step after a day, in probability.
const STEP: f64 = 0.04;
/// Scores stay within this: a quantile is not chased without end.
const BOUND: f64 = 6.0;

/// Corrected standard normal scores.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conformal {
    scores: [f64; LEVELS.len()],
}

impl Conformal {
    pub(super) fn new() -> Self {
        Self {
            scores: LEVELS.map(normal_quantile),
        }
    }

    /// The corrected score of a level in `0..1`.
    pub(super) fn score(&self, level: f64) -> f64 {
        let plain = normal_quantile(level);
        let plain_levels = LEVELS.map(normal_quantile);
        let last = LEVELS.len() - 1;
        if plain <= plain_levels[0] {
            return self.scores[0] + plain - plain_levels[0];
        }
        if plain >= plain_levels[last] {
            return self.scores[last] + plain - plain_levels[last];
        }
        let upper = plain_levels
            .iter()
            .position(|score| plain < *score)
            .unwrap_or(last)
            .max(1);
        let share =
            (plain - plain_levels[upper - 1]) / (plain_levels[upper] - plain_levels[upper - 1]);
        self.scores[upper - 1] + share * (self.scores[upper] - self.scores[upper - 1])
    }

    /// The corrected scores of [`LEVELS`].
    pub(super) fn scores(&self) -> &[f64; LEVELS.len()] {
        &self.scores
    }

    /// Learns the shares of slots that stayed at or below the quantiles of [`LEVELS`].
    pub(super) fn learn(&mut self, below: &[f64; LEVELS.len()]) {
        for ((score, level), below) in self.scores.iter_mut().zip(LEVELS).zip(below) {
            let plain = normal_quantile(level);
            let density = (-0.5 * plain * plain).exp() / (2.0 * std::f64::consts::PI).sqrt();
            *score = (*score + STEP / density * (level - below)).clamp(-BOUND, BOUND);
        }
        for index in 1..LEVELS.len() {
            self.scores[index] = self.scores[index].max(self.scores[index - 1]);
        }
    }
}
