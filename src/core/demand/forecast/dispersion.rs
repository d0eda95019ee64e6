//! How far counts stray from their mean: by time of day, and together over a window.
//!
//! The standard deviation is `scale * mean ^ 0.75`, between a count's (0.5) and a relative error's
//! (1), the scale estimated by slot of the day with its neighbours and drawn to that of the whole
//! day. It is estimated from absolute errors, not squares: a burst weighs as much as it is large.
//! Errors of one day are alike (a warm day is warm all day), so the variance of a window's sum is
//! more than that of independent slots: one correlation says how much more.

use super::grid::single;

/// Gain of one day: about five weeks are remembered.
const GAIN: f64 = 0.03;
/// Errors beyond this many deviations count as that many, once enough days were seen.
const CLIP_DEVIATIONS: f64 = 4.0;
/// So few orders beside what was expected are no burst, whatever the deviation: where a slot has one
/// order in weeks, to clip it would teach that none come, and clip the next one the more.
pub(super) const NO_BURST: f64 = 4.0;
/// Days that the whole day's scale counts for, against a slot's own.
const POOL_DAYS: f64 = 3.0;
/// Before anything was seen: standard deviation over mean.
const START_RELATIVE: f64 = 0.5;
/// Standard deviation over mean absolute error of a normal variable.
pub(super) const DEVIATION_OVER_ABSOLUTE: f64 = 1.253_314_137_3;

/// Learned variance of slots and of their sums.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dispersion {
    errors: Box<[f32]>,
    sizes: Box<[f32]>,
    days: f64,
    together: f64,
    apart: f64,
}

impl Dispersion {
    pub(super) fn new(slots: usize) -> Self {
        let none = || vec![0.0; slots].into();
        Self { errors: none(), sizes: none(), days: 0.0, together: 0.0, apart: 0.0 }
    }

    /// Variances of slots with these means, into `variance`.
    pub(super) fn variances(&self, mean: &[f64], variance: &mut [f64]) {
        let slots = mean.len();
        let sum = |values: &[f32]| values.iter().copied().map(f64::from).sum::<f64>();
        let (errors, sizes) = (sum(&self.errors), sum(&self.sizes));
        let pooled = if sizes > 0.0 { errors / sizes } else { 0.0 };
        if pooled <= 0.0 {
            let start = START_RELATIVE * START_RELATIVE;
            variance.iter_mut().zip(mean).for_each(|(one, mean)| *one = start * mean * mean);
            return;
        }
        let days = self.days.min(1.0 / GAIN);
        for slot in 0..slots {
            let (before, after) = ((slot + slots - 1) % slots, (slot + 1) % slots);
            let around = |values: &[f32]| {
                0.5 * f64::from(values[before]) + f64::from(values[slot]) + 0.5 * f64::from(values[after])
            };
            let weight = around(&self.sizes);
            let own = if weight > 0.0 { around(&self.errors) / weight } else { pooled };
            let scale = DEVIATION_OVER_ABSOLUTE * (days * own + POOL_DAYS * pooled) / (days + POOL_DAYS);
            variance[slot] = scale * scale * mean[slot] * mean[slot].max(0.0).sqrt();
        }
    }

    /// Share of a slot's variance that it has in common with the other slots of its day.
    pub(super) fn correlation(&self) -> f64 {
        if self.apart > 0.0 { (self.together / self.apart).clamp(0.0, 0.9) } else { 0.3 }
    }

    /// Learns a day's values (`NaN`: missing) against what was expected of it.
    pub(super) fn learn(&mut self, values: &[f64], mean: &[f64], variance: &[f64]) {
        if values.iter().all(|value| value.is_nan()) {
            return;
        }
        self.days += 1.0;
        let gain = GAIN.max(1.0 / self.days);
        let (mut sum, mut own, mut deviations) = (0.0, 0.0, 0.0);
        for (slot, value) in values.iter().enumerate() {
            if value.is_nan() || mean[slot] <= 0.0 {
                continue;
            }
            let mut error = value - mean[slot];
            let deviation = variance[slot].sqrt();
            if self.days > 14.0 {
                let bound = (CLIP_DEVIATIONS * deviation).max(NO_BURST);
                error = error.clamp(-bound, bound);
            }
            let root = mean[slot].sqrt();
            let moved = |kept: f32, to: f64| single(f64::from(kept) + gain * (to - f64::from(kept)));
            self.errors[slot] = moved(self.errors[slot], error.abs());
            self.sizes[slot] = moved(self.sizes[slot], root * root.sqrt());
            sum += error;
            own += variance[slot];
            deviations += deviation;
        }
        let scale = if own > 0.0 { 1.0 / own } else { 0.0 };
        self.together += gain * ((sum * sum - own) * scale - self.together);
        self.apart += gain * ((deviations * deviations - own) * scale - self.apart);
    }
}
