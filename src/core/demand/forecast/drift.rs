//! What the shape of a day has become of late, whatever the weekday: new hours, another daylight.
//!
//! A profile learns a weekday once a week; what all days have in common can be learned every day.
//! The difference between a day's shape and its profile's is followed by slot, and counts as far
//! as it is more than noise explains.

use super::grid::single;

/// Gain of one day: about a week is remembered.
const GAIN: f64 = 0.15;
/// Part of one day's variance that is left in the mean.
const LEFT: f64 = GAIN / (2.0 - GAIN);
/// A difference counts as far as its square is beyond so many times its variance.
const DOUBT: f64 = 6.0;

/// Differences in shape, in shares of the day.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drift {
    days: f64,
    mean: Box<[f32]>,
    square: Box<[f32]>,
}

impl Drift {
    pub(super) fn new(slots: usize) -> Self {
        Self { days: 0.0, mean: vec![0.0; slots].into(), square: vec![0.0; slots].into() }
    }

    /// Learns a day of which `seen` orders came, against the shares of its profile.
    pub(super) fn learn(&mut self, shares: &[f64], values: &[f64], seen: f64) {
        let known = || shares.iter().zip(values).filter(|(_, value)| !value.is_nan());
        let expected: f64 = known().map(|(share, _)| share).sum();
        if expected <= 0.0 || seen <= 0.0 || known().count() < shares.len() / 2 {
            return;
        }
        self.days += 1.0;
        let gain = GAIN.max(1.0 / self.days);
        let learned = self.mean.iter_mut().zip(&mut self.square).zip(shares.iter().zip(values));
        for ((mean, square), (share, value)) in learned {
            if !value.is_nan() {
                let difference = value / seen - share / expected;
                let off = difference - f64::from(*mean);
                *mean = single(f64::from(*mean) + gain * off);
                *square = single(f64::from(*square) + gain * (off * off - f64::from(*square)));
            }
        }
    }

    /// The shares of a profile, drifted; their sum is kept.
    pub(super) fn apply(&self, shares: &[f64], drifted: &mut [f64]) {
        let total: f64 = shares.iter().sum();
        let mut sum = 0.0;
        for (slot, share) in shares.iter().enumerate() {
            let (mean, noise) = (f64::from(self.mean[slot]), DOUBT * LEFT * f64::from(self.square[slot]));
            let square = mean * mean;
            let keep = if square > noise { 1.0 - noise / square } else { 0.0 };
            drifted[slot] = (share + total * keep * mean).max(0.0);
            sum += drifted[slot];
        }
        if sum > 0.0 {
            for share in drifted {
                *share *= total / sum;
            }
        }
    }
}
