//! The level: orders a day with the weekday taken out, followed robustly.
//!
//! Steps are taken in logarithms (halving and doubling weigh alike) and clipped at a few of their
//! own usual sizes: one odd day barely moves it. A second day odd in the same direction is a shift
//! of level, and is believed as far as both days agree.

/// A step is clipped at this many usual steps.
const CLIP_STEPS: f64 = 3.0;
/// A shift of level is followed with at least this gain.
const SHIFT_GAIN: f64 = 0.5;
/// A day with less than this share of what was expected counts as this share.
const LEAST_RATIO: f64 = 0.02;
/// Usual steps lie between these sizes (logarithms), whatever was seen.
const STEP_BOUNDS: (f64, f64) = (0.02, 1.0);
/// Mean absolute value over standard deviation of a normal variable.
const MEAN_ABSOLUTE: f64 = 0.797_884_560_8;

/// A robust exponentially weighted level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Level {
    gain: f64,
    value: f64,
    days: f64,
    usual_step: f64,
    last_step: f64,
}

impl Level {
    /// A level that forgets half of what it knows in `half_life_days`.
    pub(super) fn new(half_life_days: f64) -> Self {
        Self {
            gain: 1.0 - 0.5_f64.powf(1.0 / half_life_days),
            value: 0.0,
            days: 0.0,
            usual_step: 0.3,
            last_step: 0.0,
        }
    }

    /// The level now, in orders a day.
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Share of a surprise that goes into the level.
    pub(super) fn gain(&self) -> f64 {
        self.gain
    }

    /// Starts at a level.
    pub(super) fn set(&mut self, value: f64) {
        self.value = value;
    }

    /// Learns a day: `seen` and `expected` orders over the slots known, which hold `share` of an
    /// ordinary day's orders. Returns how far the day is trusted, in `0..=1`.
    pub(super) fn learn(&mut self, seen: f64, expected: f64, share: f64) -> f64 {
        if expected <= 0.0 || self.value <= 0.0 {
            return 1.0;
        }
        self.days += 1.0;
        let step = (seen / expected).max(LEAST_RATIO).ln();
        let bound = CLIP_STEPS * self.usual_step;
        let again = step.signum() == self.last_step.signum();
        let agreed = if again { step.abs().min(self.last_step.abs()) } else { 0.0 };
        let shifted = agreed > bound;
        let bound = bound.max(agreed);
        let gain = self.gain.max(1.0 / (self.days + 1.0)) * share.clamp(0.0, 1.0);
        let gain = if shifted { gain.max(SHIFT_GAIN) } else { gain };
        self.value *= (gain * step.clamp(-bound, bound)).exp();
        let size = step.abs().min(3.0 * self.usual_step) / MEAN_ABSOLUTE;
        self.usual_step =
            (self.usual_step + 0.05 * (size - self.usual_step)).clamp(STEP_BOUNDS.0, STEP_BOUNDS.1);
        self.last_step = step;
        if step.abs() > bound { 0.3 * bound / step.abs() } else { 1.0 }
    }
}
