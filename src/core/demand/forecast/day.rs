//! The model of a day: means, variances and corrected quantiles by slot, learned day by day.

use super::candidates::{Candidates, Parts};
use super::conformal::Conformal;
use super::dispersion::Dispersion;
use super::distribution::count_quantile;
use super::profile::WEEK;

/// Days of which everything is learned when a history is fitted at once.
const RECENT_DAYS: usize = 120;

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
    /// The quantiles of every slot at `level` in `0..1`, in orders; ascending in `level`.
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
}

/// Room for learning one day, to be used again for the next.
struct Workspace {
    parts: Parts,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Workspace {
    fn new(slots: usize) -> Self {
        Self { parts: Parts::new(slots), mean: vec![0.0; slots], variance: vec![0.0; slots] }
    }
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
        }
    }

    /// A model of a whole history at once: consecutive days of counts by slot (`NaN` where missing)
    /// that begin on `first_weekday` (Monday is 0).
    ///
    /// Of days long past only level and profile are learned: candidates' scores, dispersion and
    /// coverage would have forgotten them.
    pub fn fit(slots: usize, first_weekday: usize, days: &[Vec<f64>]) -> Self {
        let mut model = Self::new(slots);
        let mut workspace = Workspace::new(slots);
        let recent = days.len().saturating_sub(RECENT_DAYS);
        for (index, day) in days.iter().enumerate() {
            let weekday = (first_weekday + index) % WEEK;
            if index < recent {
                model.candidates.absorb(weekday, day, &mut workspace.parts);
            } else {
                model.learn_within(weekday, day, &mut workspace);
            }
        }
        model
    }

    /// What the day `days_ahead` (0: the day after the last one learned) will bring.
    pub fn forecast(&self, weekday: usize, days_ahead: usize) -> DayForecast {
        let mut mean = vec![0.0; self.slots];
        let mut variance = vec![0.0; self.slots];
        self.candidates.predict(weekday, days_ahead, &mut Parts::new(self.slots), &mut mean);
        self.dispersion.variances(&mean, &mut variance);
        let gain = self.candidates.level_gain();
        let growth = 1.0 + days_ahead as f64 * gain * gain;
        for one in &mut variance {
            *one *= growth;
        }
        DayForecast {
            mean,
            variance,
            correlation: self.dispersion.correlation(),
            conformal: self.conformal.clone(),
        }
    }

    /// Learns a day: counts by slot, `NaN` where missing.
    pub fn learn(&mut self, weekday: usize, values: &[f64]) {
        self.learn_within(weekday, values, &mut Workspace::new(self.slots));
    }

    fn learn_within(&mut self, weekday: usize, values: &[f64], workspace: &mut Workspace) {
        let Workspace { parts, mean, variance } = workspace;
        self.candidates.predict(weekday, 0, parts, mean);
        self.dispersion.variances(mean, variance);
        if self.days >= 14.0 {
            self.conformal.learn_day(values, mean, variance);
        }
        if self.days >= 3.0 {
            self.dispersion.learn(values, mean, variance);
        }
        self.candidates.learn(weekday, values, parts);
        if values.iter().any(|value| !value.is_nan()) {
            self.days += 1.0;
        }
    }

    /// What corrects the quantiles of ordinary days.
    pub(super) fn conformal(&self) -> &Conformal {
        &self.conformal
    }

    /// The heaviest candidate and its weight, in words.
    pub(super) fn summary(&self) -> String {
        let weights = self.candidates.weights().into_iter().enumerate();
        let heaviest = weights.max_by(|one, other| one.1.total_cmp(&other.1));
        heaviest.map_or_else(String::new, |(index, weight)| {
            format!("stack led by {} ({:.0} %)", Candidates::name(index), weight * 100.0)
        })
    }

    /// Names and weights of the candidates in use.
    pub fn weights(&self) -> Vec<(String, f64)> {
        let weights = self.candidates.weights().into_iter().enumerate();
        weights.map(|(index, weight)| (Candidates::name(index), weight)).collect()
    }
}
