//! The level: orders a day with the weekday taken out, followed robustly.
//!
//! Steps are taken in logarithms (halving and doubling weigh alike) and clipped at a few of their
//! own usual sizes: one odd day barely moves it. A second day odd in the same direction is a shift
//! of level, and is believed as far as both days agree.
//!
//! A day with next to nothing where much was expected is a silent one: closed, or dead. It says
//! nothing of the level of open days, which is kept for the return; the longer the silence lasts,
//! the less a return on the next day is expected.

use super::grid::whole;

/// A step is clipped at this many usual steps.
const CLIP_STEPS: f64 = 3.0;
/// A shift of level is followed with at least this gain.
const SHIFT_GAIN: f64 = 0.5;
/// A day with less than this share of what was expected is silent.
const SILENT_RATIO: f64 = 0.02;
/// Parts of the level expected after so many silent days in a row; the last for all longer ones.
const AFTER_SILENCE: [f64; 5] = [1.0, 0.9, 0.35, 0.12, 0.03];
/// Only days expected to hold this part of an average day's orders can be silent.
const LEAST_SHARE: f64 = 0.2;
/// Where silences begin on more than this part of all days, they are ordinary days.
const OFTEN_SILENT: f64 = 0.12;
/// Gain of that part, a day.
const SILENCE_GAIN: f64 = 0.02;
/// Usual steps lie between these sizes (logarithms), whatever was seen.
const STEP_BOUNDS: (f64, f64) = (0.02, 1.0);
/// Of a day on which nothing was expected, this part of the level counts as expected.
const LEAST_EXPECTED: f64 = 0.1;
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
    silent_days: f64,
    silence: f64,
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
            silent_days: 0.0,
            silence: 0.0,
        }
    }

    /// The level now, in orders a day.
    pub(super) fn value(&self) -> f64 {
        self.value * self.after_silence()
    }

    /// The part of a day's orders that is to be expected after the silent days that were last.
    pub(super) fn after_silence(&self) -> f64 {
        AFTER_SILENCE[whole(self.silent_days).min(AFTER_SILENCE.len() - 1)]
    }

    /// Whole days in a row that were silent.
    pub(super) fn silent_days(&self) -> f64 {
        self.silent_days
    }

    /// The same on condition that the day is not silent.
    pub(super) fn open_value(&self) -> f64 {
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

    /// How far a day of which `seen` orders came is from the `share` of the level that was expected, in
    /// logarithms; what is little beside the level counts as little.
    pub(super) fn step(&self, seen: f64, share: f64) -> f64 {
        let little = LEAST_EXPECTED * self.value;
        if little > 0.0 { ((seen + little) / (share * self.value + little)).ln() } else { 0.0 }
    }

    /// The usual size of such steps.
    pub(super) fn usual_step(&self) -> f64 {
        self.usual_step
    }

    /// Learns a day: orders `seen` over the slots known, and the `share` of the level that these
    /// slots were expected to hold, which is the part `known` of what the whole day was. Returns
    /// how far the day is trusted, in `0..=1`.
    pub(super) fn learn(&mut self, seen: f64, share: f64, known: f64) -> f64 {
        let expected = share * self.value;
        if expected <= 0.0 {
            return 1.0;
        }
        let silent = share > LEAST_SHARE && seen < SILENT_RATIO * expected;
        if share > LEAST_SHARE {
            let begins = f64::from(u8::from(silent && self.silent_days == 0.0));
            self.silence += SILENCE_GAIN * (begins - self.silence);
        }
        if silent && self.silence < OFTEN_SILENT {
            self.silent_days += known;
            return 0.0;
        }
        if share > LEAST_SHARE {
            self.silent_days = 0.0;
        }
        self.days += 1.0;
        let step = (seen / expected).max(SILENT_RATIO).ln();
        let bound = CLIP_STEPS * self.usual_step;
        let again = step.signum() == self.last_step.signum();
        let agreed = if again { step.abs().min(self.last_step.abs()) } else { 0.0 };
        let shifted = agreed > bound;
        let bound = bound.max(agreed);
        let gain = self.gain.max(1.0 / (self.days + 1.0)) * known.clamp(0.0, 1.0) * (2.0 * share).min(1.0);
        let gain = if shifted { gain.max(SHIFT_GAIN) } else { gain };
        self.value *= (gain * step.clamp(-bound, bound)).exp();
        let size = step.abs().min(3.0 * self.usual_step) / MEAN_ABSOLUTE;
        self.usual_step =
            (self.usual_step + 0.05 * (size - self.usual_step)).clamp(STEP_BOUNDS.0, STEP_BOUNDS.1);
        self.last_step = step;
        if step.abs() > bound { 0.3 * bound / step.abs() } else { 1.0 }
    }
}
