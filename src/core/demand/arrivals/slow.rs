//! What changes slowly, read from the whole log once a bin.

use super::bin::BIN_SECONDS;
use super::{ArrivalLog, FINE_BINS};

/// What a usual bin holds is looked up in so many: 15 minutes ...
pub(super) const USUAL_BINS: usize = 60;
/// ... of which at least so many must be known.
const LEAST_USUAL_BINS: usize = 8;
/// The slope's weight halves over this time.
const SLOPE_HALF_LIFE_SECONDS: f64 = 1200.0;
/// What the last quarter of an hour and more tell is read once in so many bins: a minute.
const SLOWEST_BINS: i64 = 4;
/// Weighted seconds without which there is no slope.
const SLOPE_SECONDS: f64 = 600.0;
/// The known rate is that of so many bins, ten minutes ...
const RATE_BINS: usize = 40;
/// ... of which this many seconds must be known.
const RATE_SECONDS: f64 = 300.0;

/// Facts of the last hour, as of the moment when they were first asked for since
/// the newest bin began; all but the known rate is read once a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slow {
    /// Orders of a usual bin: the median, so that neither a lump nor a burst of less than half the
    /// time moves it. `None` where too little is covered.
    pub usual_bin: Option<f64>,
    /// Orders a second before what is known ends; `None` where too little is known.
    pub known_rate: Option<f64>,
    /// How the rate changed; `None` where too little is covered.
    pub slope: Option<Fit>,
    /// Number of the newest bin that the known rate is of, and of the one that the rest is of.
    bin: i64,
    slowest_bin: i64,
    /// Number of the oldest bin that the known rate is of.
    oldest_known_bin: i64,
}

/// The middle of what is not empty; their order is lost.
pub(super) fn median(orders: &mut [f64]) -> f64 {
    let (_, median, _) = orders.select_nth_unstable_by(orders.len() / 2, f64::total_cmp);
    *median
}

/// A straight line through the rate of the last hour, by weighted least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    slope: f64,
    /// Orders a second, of the same weights.
    rate: f64,
    /// The slope's variance for counts that vary like Poisson's.
    variance: f64,
}

impl Fit {
    /// Orders a second in the last half hour or so.
    pub fn rate(self) -> f64 {
        self.rate
    }

    /// Orders a second squared, and the standard error for counts of index of dispersion `dispersion`.
    pub fn with_error(self, dispersion: f64) -> (f64, f64) {
        (self.slope, (dispersion * self.variance).sqrt())
    }
}

impl ArrivalLog {
    /// What changes slowly.
    pub fn slow(&mut self) -> Slow {
        let bin = self.first + super::whole(self.fine.len());
        if self.slow.is_none_or(|slow| slow.bin != bin) {
            let is_young = |slow: &Slow| bin - slow.slowest_bin < SLOWEST_BINS && slow.slope.is_some();
            let slow = self.slow.filter(is_young).unwrap_or_else(|| Slow {
                usual_bin: self.usual_bin(),
                slope: self.slope(),
                slowest_bin: bin,
                ..Slow::default()
            });
            self.slow = Some(Slow { bin, ..self.with_known_rate(slow) });
        }
        self.slow.unwrap_or_default()
    }

    /// Reads the known rate where more has become known, or a bin that it is of is gone.
    fn with_known_rate(&mut self, slow: Slow) -> Slow {
        let is_old = std::mem::take(&mut self.known_anew);
        match self.slow.filter(|before| !is_old && self.first <= before.oldest_known_bin) {
            Some(Slow { known_rate, oldest_known_bin, .. }) => Slow { known_rate, oldest_known_bin, ..slow },
            None => self.known_rate(slow),
        }
    }

    fn usual_bin(&self) -> Option<f64> {
        let mut orders = [0.0; USUAL_BINS];
        let bins = self.fold_newest(USUAL_BINS, 0, |bins, bin| {
            let (came, seconds) = bin.counted();
            let covered = seconds / BIN_SECONDS;
            if covered <= 0.5 {
                return bins;
            }
            orders[bins] = came / covered;
            bins + 1
        });
        if bins < LEAST_USUAL_BINS {
            return None;
        }
        Some(median(&mut orders[..bins]).max(0.0))
    }

    fn known_rate(&self, slow: Slow) -> Slow {
        let Some(newest) = self.fine.iter().rposition(|bin| bin.known().1 > 0.0) else {
            return Slow { known_rate: None, oldest_known_bin: i64::MAX, ..slow };
        };
        let oldest = (newest + 1).saturating_sub(RATE_BINS);
        let known = self.fine.range(oldest..=newest).rev().map(super::Bin::known);
        let (orders, seconds) =
            known.fold((0.0, 0.0), |(orders, seconds), bin| (orders + bin.0, seconds + bin.1));
        let known_rate = (seconds >= RATE_SECONDS).then(|| orders / seconds);
        Slow { known_rate, oldest_known_bin: self.first + super::whole(oldest), ..slow }
    }

    fn slope(&self) -> Option<Fit> {
        /// Sums of weight times what is named, times the age to the power of the index.
        #[derive(Default)]
        struct Moments {
            seconds: [f64; 3],
            orders: [f64; 2],
            squared: [f64; 3],
        }
        let decay = 0.5_f64.powf(BIN_SECONDS / SLOPE_HALF_LIFE_SECONDS);
        let (sum, _, _) =
            self.fold_newest(FINE_BINS, (Moments::default(), 1.0, 0.0), |(mut sum, weight, age), bin| {
                let (orders, seconds) = bin.counted();
                let (orders, seconds) = (weight * orders, weight * seconds);
                let squared = weight * seconds;
                for (sum, value) in [(&mut sum.seconds, seconds), (&mut sum.squared, squared)] {
                    sum[0] += value;
                    sum[1] += value * age;
                    sum[2] += value * age * age;
                }
                sum.orders[0] += orders;
                sum.orders[1] += orders * age;
                (sum, weight * decay, age + BIN_SECONDS)
            });
        let seconds = sum.seconds[0];
        if seconds < SLOPE_SECONDS {
            return None;
        }
        let age = sum.seconds[1] / seconds;
        let rate = (sum.orders[0] / seconds).max(0.0);
        let across = age * sum.orders[0] - sum.orders[1];
        let along = sum.seconds[2] - age * sum.seconds[1];
        let error = sum.squared[2] - 2.0 * age * sum.squared[1] + age * age * sum.squared[0];
        (along > 0.0).then(|| Fit {
            slope: across / along,
            rate,
            variance: rate * error.max(0.0) / (along * along),
        })
    }
}
