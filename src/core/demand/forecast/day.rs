//! The model of a day: means, variances and corrected quantiles by slot, learned day by day.

use super::candidates::Candidates;
use super::conformal::{Conformal, LEVELS};
use super::dispersion::Dispersion;
use super::distribution::count_quantile;

/// Slots expected to hold less than this share of an average slot count little for coverage.
const QUIET_SHARE: f64 = 0.05;

/// What a day is expected to bring.
#[derive(Debug, Clone, PartialEq)]
pub struct DayForecast {
    /// Orders expected, by slot.
    pub mean: Vec<f64>,
    /// Variance, by slot.
    pub variance: Vec<f64>,
    /// Share of a slot's variance that it has in common with the other slots of its day.
    pub correlation: f64,
    conformal: Conformal,
}

impl DayForecast {
    /// The quantile of one slot at `level` in `0..1`, in orders; ascending in `level`.
    pub fn quantile(&self, slot: usize, level: f64) -> f64 {
        count_quantile(
            self.mean[slot],
            self.variance[slot],
            self.conformal.score(level),
        )
    }

    /// The quantiles of every slot at `level`.
    pub fn quantiles(&self, level: f64) -> Vec<f64> {
        let score = self.conformal.score(level);
        self.mean
            .iter()
            .zip(&self.variance)
            .map(|(mean, variance)| count_quantile(*mean, *variance, score))
            .collect()
    }
}

/// The model of a day of one stream of orders.
#[derive(Debug, Clone, PartialEq)]
pub struct DayModel {
    slots: usize,
    candidates: Candidates,
    dispersion: Dispersion,
    conformal: Conformal,
    days: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl DayModel {
    /// A model that has seen nothing, for days of `slots` equal slots.
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            candidates: Candidates::new(slots),
            dispersion: Dispersion::new(slots),
            conformal: Conformal::new(),
            days: 0.0,
            mean: vec![0.0; slots],
            variance: vec![0.0; slots],
        }
    }

    /// What the day `days_ahead` (0: the day after the last one learned) will bring.
    pub fn forecast(&mut self, weekday: usize, days_ahead: usize) -> DayForecast {
        let mut mean = vec![0.0; self.slots];
        let mut variance = vec![0.0; self.slots];
        self.candidates.predict(weekday, days_ahead, &mut mean);
        self.dispersion.variances(&mean, &mut variance);
        let gain = self.candidates.level_gain();
        let growth = 1.0 + days_ahead as f64 * gain * gain;
        variance.iter_mut().for_each(|one| *one *= growth);
        DayForecast {
            mean,
            variance,
            correlation: self.dispersion.correlation(),
            conformal: self.conformal.clone(),
        }
    }

    /// Learns a day: counts by slot, `NaN` where missing.
    pub fn learn(&mut self, weekday: usize, values: &[f64]) {
        self.candidates.predict(weekday, 0, &mut self.mean);
        self.dispersion.variances(&self.mean, &mut self.variance);
        if self.days >= 14.0 {
            self.learn_coverage(values);
        }
        if self.days >= 3.0 {
            self.dispersion.learn(values, &self.mean, &self.variance);
        }
        self.candidates.learn(weekday, values);
        if values.iter().any(|value| !value.is_nan()) {
            self.days += 1.0;
        }
    }

    /// Names and weights of the candidates in use.
    pub fn weights(&self) -> Vec<(String, f64)> {
        Candidates::names()
            .into_iter()
            .zip(self.candidates.weights())
            .collect()
    }

    fn learn_coverage(&mut self, values: &[f64]) {
        let mut below = [0.0; LEVELS.len()];
        let mut weights = 0.0;
        let quiet = QUIET_SHARE * self.mean.iter().sum::<f64>() / self.slots as f64;
        for (slot, value) in values.iter().enumerate() {
            let mean = self.mean[slot];
            if value.is_nan() || mean <= 0.0 {
                continue;
            }
            let weight = if quiet > 0.0 {
                (mean / quiet).min(1.0)
            } else {
                1.0
            };
            weights += weight;
            for (index, score) in self.conformal.scores().iter().enumerate() {
                if *value <= count_quantile(mean, self.variance[slot], *score) {
                    below[index] += weight;
                }
            }
        }
        if weights > 0.0 {
            self.conformal.learn(&below.map(|sum| sum / weights));
        }
    }
}
