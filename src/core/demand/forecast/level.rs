//! The level: orders a day with the weekday taken out, followed robustly.
//!
//! Steps are taken in logarithms (halving and doubling weigh alike) and clipped at a few of their
//! own usual sizes: one odd day barely moves it. A second day odd in the same direction is a shift
//! of level, and is believed as far as both days agree. Of a day of few orders the logarithm says too
//! little (none at all is an endless fall): it counts by its ratio, whose mean is right by any chance.
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
pub(super) const LEAST_SHARE: f64 = 0.2;
/// Of fewer orders expected, none at all is chance (e^-6 is once in a year) and no silence.
const LEAST_MISSED: f64 = 6.0;
/// Where so many orders were expected, a step counts half by its ratio and half by its logarithm; the
/// fewer, the more by its ratio: a Poisson count's logarithm is too low by half the inverse of its mean.
const CHANCE_ORDERS: f64 = 20.0;
/// Where silences begin on more than this part of all days, they are ordinary days.
const OFTEN_SILENT: f64 = 0.12;
/// Gain of that part, a day.
const SILENCE_GAIN: f64 = 0.02;
/// Usual steps lie between these sizes (logarithms), whatever was seen.
const STEP_BOUNDS: (f64, f64) = (0.02, 1.0);
/// Gain of the usual step, a day.
const USUAL_GAIN: f64 = 0.05;
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
        let telling = share > LEAST_SHARE;
        let silent = telling && expected > LEAST_MISSED && seen < SILENT_RATIO * expected;
        if telling {
            let begins = f64::from(u8::from(silent && self.silent_days == 0.0));
            self.silence += SILENCE_GAIN * (begins - self.silence);
        }
        if silent && self.silence < OFTEN_SILENT {
            self.silent_days += known;
            return 0.0;
        }
        if telling {
            self.silent_days = 0.0;
        }
        self.days += 1.0;
        let step = (seen / expected).max(SILENT_RATIO).ln();
        let bound = CLIP_STEPS * self.usual_step;
        let again = telling && step.signum() == self.last_step.signum();
        let agreed = if again { step.abs().min(self.last_step.abs()) } else { 0.0 };
        let shifted = agreed > bound;
        let bound = bound.max(agreed);
        let weight = (2.0 * share).min(1.0);
        let gain = self.gain.max(1.0 / (self.days + 1.0)) * known.clamp(0.0, 1.0) * weight;
        let gain = if shifted { gain.max(SHIFT_GAIN) } else { gain };
        self.value *= followed(step.clamp(-bound, bound), gain, expected);
        let size = step.abs().min(3.0 * self.usual_step) / MEAN_ABSOLUTE;
        self.usual_step = (self.usual_step + USUAL_GAIN * weight * (size - self.usual_step))
            .clamp(STEP_BOUNDS.0, STEP_BOUNDS.1);
        if telling {
            self.last_step = step;
        }
        if step.abs() > bound { 0.3 * bound / step.abs() } else { 1.0 }
    }
}

/// Times which a level is to be taken after a `step` (a logarithm) where so many orders were expected.
fn followed(step: f64, gain: f64, expected: f64) -> f64 {
    let chance = CHANCE_ORDERS / (CHANCE_ORDERS + expected);
    let (ratio, logarithm) = (1.0 + gain * step.exp_m1(), (gain * step).exp());
    logarithm + chance * (ratio - logarithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Poisson counts of this mean, by inversion of evenly spread, shuffled probabilities.
    fn counts(mean: f64, days: usize) -> impl Iterator<Item = f64> {
        (0..days).map(move |day| {
            let even = (day as f64 * 0.618_033_988_75 + 0.3).fract();
            let (mut count, mut probability) = (0.0, (-mean).exp());
            let mut sum = probability;
            while sum < even {
                count += 1.0;
                probability *= mean / count;
                sum += probability;
            }
            count
        })
    }

    #[test]
    fn a_level_of_few_orders_a_day_neither_falls_nor_rises() {
        for mean in [1.2, 3.0, 8.0, 30.0] {
            let mut level = Level::new(15.0);
            level.set(mean);
            let (mut sum, mut days) = (0.0, 0.0);
            for seen in counts(mean, 400) {
                level.learn(seen, 1.0, 1.0);
                sum += level.value();
                days += 1.0;
            }
            let bias = sum / days / mean - 1.0;
            assert!(bias.abs() < 0.12, "{bias} of {mean}");
        }
    }

    #[test]
    fn two_days_of_which_little_was_expected_move_no_level() {
        let mut level = Level::new(5.0);
        level.set(10.0);
        for week in 0..20 {
            (0..5).for_each(|day| _ = level.learn([14.0, 9.0, 8.0, 13.0, 11.0][(week + day) % 5], 1.4, 1.0));
            let before = level.value();
            (0..2).for_each(|_| _ = level.learn(0.0, 0.02, 1.0));
            assert!((level.value() / before - 1.0).abs() < 0.05, "{} after {before}", level.value());
        }
    }
}
