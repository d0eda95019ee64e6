//! When orders arrived: a log in bins, from counts that are known and, until those come, from what
//! the queue's counters imply.

use std::collections::VecDeque;

use crate::core::plan::Cohort;

/// Width of a fine bin.
pub const BIN_SECONDS: f64 = 15.0;
const BIN_SECONDS_F32: f32 = 15.0;
/// Fine bins kept: 64 minutes.
const FINE_BINS: usize = 256;
/// Fine bins that make a coarse one: 5 minutes.
const COARSE: i64 = 20;
/// A usual bin is known from so many.
const USUAL_BINS: usize = 8;
/// Coarse bins kept: 24 hours.
const COARSE_BINS: usize = 288;

/// Arrivals of one bin.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    known: f32,
    known_seconds: f32,
    implied: f32,
    implied_seconds: f32,
}

impl Bin {
    /// Orders and the share of the bin about which anything is known. What is known counts, the
    /// rest of the bin is filled from what is implied.
    fn estimate(&self) -> (f64, f64) {
        let known = (f64::from(self.known_seconds) / BIN_SECONDS).min(1.0);
        let implied_seconds = f64::from(self.implied_seconds);
        if implied_seconds <= 0.0 || known > 0.999 {
            return (f64::from(self.known), known);
        }
        let implied = (implied_seconds / BIN_SECONDS).min(1.0).min(1.0 - known);
        let rate = f64::from(self.implied) / implied_seconds;
        (f64::from(self.known) + rate * implied * BIN_SECONDS, known + implied)
    }

    /// The same with what is implied believed only in part.
    fn estimate_with(&self, belief: Belief) -> (f64, f64) {
        let (orders, covered) = self.estimate();
        let implied = orders - f64::from(self.known);
        let seconds = covered * BIN_SECONDS - f64::from(self.known_seconds);
        if seconds <= 0.0 {
            return (orders, covered);
        }
        let blended = belief.weight * implied + (1.0 - belief.weight) * belief.rate * seconds;
        (f64::from(self.known) + blended, covered)
    }
}

/// How far to believe what the counters imply: the rest is taken from a known rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Weight of what is implied, 0 to 1.
    pub weight: f64,
    /// Orders a second that the rest is filled with.
    pub rate: f64,
}

impl Belief {
    /// All of it.
    pub const FULL: Self = Self { weight: 1.0, rate: 0.0 };
}

/// Arrivals of the last day.
#[derive(Debug, Clone, Default)]
pub struct ArrivalLog {
    fine: VecDeque<Bin>,
    /// Number of the first fine bin: seconds since the epoch over [`BIN_SECONDS`].
    first: i64,
    coarse: VecDeque<f32>,
    /// Number of the first coarse bin.
    first_coarse: i64,
    known_until: Option<f64>,
}

/// What the log says of the last minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Weighted {
    /// Sum of weights times seconds covered.
    pub seconds: f64,
    /// Weighted orders a second.
    pub rate: f64,
    /// Weighted mean age in seconds.
    pub age_seconds: f64,
}

impl ArrivalLog {
    /// End of the newest interval that is known, seconds since the epoch.
    pub fn known_until(&self) -> Option<f64> {
        self.known_until
    }

    /// Logs `count` orders that are known to have arrived in `[from, to)`. What is known already is
    /// not counted again: a source that is opened anew tells its last hour once more.
    pub fn add_known(&mut self, from: f64, to: f64, count: f64) {
        self.known_until = Some(self.known_until.map_or(to, |until| until.max(to)));
        self.spread(from, to, count, |bin, orders, seconds| {
            let unknown = (BIN_SECONDS_F32 - bin.known_seconds).clamp(0.0, seconds);
            if seconds > 0.0 {
                bin.known += orders * unknown / seconds;
                bin.known_seconds += unknown;
            }
        });
    }

    /// Logs `count` orders that the counters imply for `[from, to)`; may be negative, as one
    /// reading takes back what the one before said too much.
    pub fn add_implied(&mut self, from: f64, to: f64, count: f64) {
        self.spread(from, to, count, |bin, orders, seconds| {
            bin.implied += orders;
            bin.implied_seconds += seconds;
        });
    }

    #[expect(clippy::cast_possible_truncation, reason = "bin numbers and counts fit")]
    fn spread(&mut self, from: f64, to: f64, count: f64, add: impl Fn(&mut Bin, f32, f32)) {
        let (first, last) = ((from / BIN_SECONDS).floor() as i64, ((to - 1e-9) / BIN_SECONDS).floor() as i64);
        self.reach(first);
        self.reach(last);
        let oldest = self.first;
        for number in first.max(oldest)..=last {
            let start = number as f64 * BIN_SECONDS;
            let seconds = (to.min(start + BIN_SECONDS) - from.max(start)).max(0.0);
            let orders = count * seconds / (to - from);
            if let Some(bin) =
                usize::try_from(number - oldest).ok().and_then(|index| self.fine.get_mut(index))
            {
                add(bin, orders as f32, seconds as f32);
            }
        }
    }

    /// Makes room up to bin `number`; the oldest fine bins move into coarse ones.
    fn reach(&mut self, number: i64) {
        if self.fine.is_empty() {
            self.first = number;
        }
        // After a long silence the old bins say nothing any more.
        if number - self.first > 2 * whole(FINE_BINS) {
            while let Some(bin) = self.fine.pop_front() {
                self.retire(bin);
            }
            self.first = number;
        }
        while self.first + whole(self.fine.len()) <= number {
            self.fine.push_back(Bin::default());
            if self.fine.len() > FINE_BINS
                && let Some(bin) = self.fine.pop_front()
            {
                self.retire(bin);
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "counts of five minutes fit")]
    fn retire(&mut self, bin: Bin) {
        let number = self.first.div_euclid(COARSE);
        self.first += 1;
        if self.coarse.is_empty() || number - self.first_coarse > 2 * whole(COARSE_BINS) {
            self.coarse.clear();
            self.first_coarse = number;
        }
        while self.first_coarse + whole(self.coarse.len()) <= number {
            self.coarse.push_back(0.0);
            if self.coarse.len() > COARSE_BINS {
                self.coarse.pop_front();
                self.first_coarse += 1;
            }
        }
        if let Some(last) = self.coarse.back_mut() {
            *last += bin.estimate().0.max(0.0) as f32;
        }
    }

    /// Orders of a usual bin of the last `seconds`: the median, so that neither a lump nor a burst
    /// of less than half that time moves it. `None` where too little is covered.
    pub fn usual_bin(&self, seconds: f64) -> Option<f64> {
        let mut orders: Vec<f64> = self
            .fine
            .iter()
            .rev()
            .take_while({
                let mut left = seconds;
                move |_| {
                    left -= BIN_SECONDS;
                    left >= 0.0
                }
            })
            .map(Bin::estimate)
            .filter(|(_, covered)| *covered > 0.5)
            .map(|(orders, covered)| orders / covered)
            .collect();
        if orders.len() < USUAL_BINS {
            return None;
        }
        let middle = orders.len() / 2;
        let (_, median, _) = orders.select_nth_unstable_by(middle, f64::total_cmp);
        Some(median.max(0.0))
    }

    /// Rate of the known orders of the ten minutes before what is known ends; `None` where less than
    /// five of them are known.
    pub fn known_rate(&self) -> Option<f64> {
        let known = self.fine.iter().rev().skip_while(|bin| bin.known_seconds <= 0.0).take(40);
        let (orders, seconds) = known.fold((0.0, 0.0), |(orders, seconds), bin| {
            (orders + f64::from(bin.known), seconds + f64::from(bin.known_seconds))
        });
        (seconds >= 300.0).then(|| orders / seconds)
    }

    /// Weighted rate over the log before `now`, the weight halving every `half_life` seconds and
    /// nothing older than `oldest` seconds counting; a bin counts for at most `most` orders.
    pub fn weighted(&self, now: f64, half_life: f64, oldest: f64, most: f64, belief: Belief) -> Weighted {
        let mut sum = Weighted::default();
        let decay = 0.5_f64.powf(BIN_SECONDS / half_life);
        let mut weight = 1.0;
        for (index, bin) in self.fine.iter().enumerate().rev() {
            let middle = (self.first + whole(index)) as f64 * BIN_SECONDS + BIN_SECONDS / 2.0;
            let age = (now - middle).max(0.0);
            if age > oldest {
                break;
            }
            let (orders, covered) = bin.estimate_with(belief);
            sum.seconds += weight * covered * BIN_SECONDS;
            sum.rate += weight * orders.min(most * covered);
            sum.age_seconds += weight * covered * BIN_SECONDS * age;
            weight *= decay;
        }
        if sum.seconds > 0.0 {
            sum.rate = (sum.rate / sum.seconds).max(0.0);
            sum.age_seconds /= sum.seconds;
        }
        sum
    }

    /// Slope of the rate over the last hour, orders a second squared, and its standard error for
    /// counts of index of dispersion `dispersion`; least squares with a weight that halves every
    /// `half_life` seconds.
    pub fn slope(&self, now: f64, half_life: f64, dispersion: f64) -> Option<(f64, f64)> {
        let base = self.weighted(now, half_life, f64::INFINITY, f64::INFINITY, Belief::FULL);
        if base.seconds < 600.0 {
            return None;
        }
        let decay = 0.5_f64.powf(BIN_SECONDS / half_life);
        let (mut weight, mut across, mut along, mut error) = (1.0, 0.0, 0.0, 0.0);
        for (index, bin) in self.fine.iter().enumerate().rev() {
            let middle = (self.first + whole(index)) as f64 * BIN_SECONDS + BIN_SECONDS / 2.0;
            let lever = base.age_seconds - (now - middle).max(0.0);
            let (orders, covered) = bin.estimate();
            let seconds = weight * covered * BIN_SECONDS;
            across += weight * orders * lever;
            along += seconds * lever * lever;
            error += weight * weight * covered * BIN_SECONDS * lever * lever;
            weight *= decay;
        }
        (along > 0.0).then(|| (across / along, (dispersion * base.rate * error).sqrt() / along))
    }

    /// Orders of the last `seconds` before `now`, and how many of those seconds are covered.
    pub fn recent(&self, now: f64, seconds: f64) -> (f64, f64) {
        let (mut orders, mut covered) = (0.0, 0.0);
        for (index, bin) in self.fine.iter().enumerate().rev() {
            let middle = (self.first + whole(index)) as f64 * BIN_SECONDS + BIN_SECONDS / 2.0;
            if now - middle > seconds {
                break;
            }
            let (bin_orders, share) = bin.estimate();
            orders += bin_orders;
            covered += share * BIN_SECONDS;
        }
        (orders.max(0.0), covered)
    }

    /// The last `waiting` orders before `now` by age, oldest first: first in, first out.
    ///
    /// `rate` fills what no bin covers yet. Orders beyond the log's memory are spread from its end
    /// to `unknown_until` seconds of age.
    pub fn by_age(&self, now: f64, waiting: f64, rate: f64, unknown_until: f64) -> Vec<Cohort> {
        let mut cohorts = Vec::with_capacity(32);
        let mut left = waiting;
        let end = (self.first + whole(self.fine.len())) as f64 * BIN_SECONDS;
        let mut age = 0.0;
        for (index, bin) in self.fine.iter().enumerate().rev() {
            if left <= 1e-9 {
                break;
            }
            let start = (self.first + whole(index)) as f64 * BIN_SECONDS;
            let (orders, covered) = bin.estimate();
            // The bin of the present has only begun.
            let width = if index + 1 == self.fine.len() {
                (now - start).clamp(0.0, BIN_SECONDS)
            } else {
                BIN_SECONDS
            };
            let missing = (width - covered * BIN_SECONDS).max(0.0) * rate
                + (now - end).max(0.0) * rate * f64::from(u8::from(index + 1 == self.fine.len()));
            let orders = (orders.max(0.0) + missing).min(left);
            age = (now - start).max(0.0);
            push(&mut cohorts, age, orders);
            left -= orders;
        }
        let mut start = self.first_coarse as f64 * BIN_SECONDS * COARSE as f64
            + self.coarse.len() as f64 * BIN_SECONDS * COARSE as f64;
        for orders in self.coarse.iter().rev() {
            if left <= 1e-9 {
                break;
            }
            start -= BIN_SECONDS * COARSE as f64;
            let orders = f64::from(*orders).min(left);
            age = (now - start).max(age);
            push(&mut cohorts, age, orders);
            left -= orders;
        }
        if left > 1e-9 {
            let until = unknown_until.max(age);
            for part in 1..=8 {
                push(&mut cohorts, age + (until - age) * f64::from(part) / 8.0, left / 8.0);
            }
        }
        cohorts.reverse();
        cohorts
    }
}

/// A bin's place as a bin number.
fn whole(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

fn push(cohorts: &mut Vec<Cohort>, age_seconds: f64, orders: f64) {
    if orders > 0.0 {
        cohorts.push(Cohort { age_seconds, orders });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_counts_take_the_place_of_implied_ones() {
        let mut log = ArrivalLog::default();
        log.add_implied(0.0, 60.0, 600.0);
        assert!((log.recent(60.0, 60.0).0 - 600.0).abs() < 1e-3);
        log.add_known(0.0, 30.0, 30.0);
        assert!((log.recent(60.0, 60.0).0 - 330.0).abs() < 1e-3);
    }

    #[test]
    fn what_is_told_twice_counts_once() {
        let mut log = ArrivalLog::default();
        log.add_known(0.0, 60.0, 60.0);
        log.add_known(30.0, 90.0, 60.0);
        assert!((log.recent(90.0, 90.0).0 - 90.0).abs() < 1e-3);
    }

    #[test]
    fn waiting_orders_are_the_youngest_and_none_is_lost() {
        let mut log = ArrivalLog::default();
        log.add_known(0.0, 600.0, 600.0);
        let cohorts = log.by_age(600.0, 45.0, 1.0, 300.0);
        assert!((cohorts.iter().map(|cohort| cohort.orders).sum::<f64>() - 45.0).abs() < 1e-6);
        assert_eq!(cohorts.first().map(|cohort| cohort.age_seconds), Some(45.0));
        let beyond = log.by_age(600.0, 700.0, 1.0, 300.0);
        assert!((beyond.iter().map(|cohort| cohort.orders).sum::<f64>() - 700.0).abs() < 1e-3);
    }

    #[test]
    fn old_bins_move_into_coarse_ones() {
        let mut log = ArrivalLog::default();
        for minute in 0..600 {
            log.add_known(f64::from(minute) * 60.0, f64::from(minute + 1) * 60.0, 60.0);
        }
        let cohorts = log.by_age(36_000.0, 30_000.0, 1.0, 300.0);
        assert!((cohorts.iter().map(|cohort| cohort.orders).sum::<f64>() - 30_000.0).abs() < 1.0);
        let oldest = cohorts[0].age_seconds;
        assert!((29_990.0..30_700.0).contains(&oldest), "{oldest}");
    }

    #[test]
    fn slope_of_a_ramp_is_found() {
        let mut log = ArrivalLog::default();
        for minute in 0..60_u32 {
            let from = f64::from(minute) * 60.0;
            log.add_known(from, from + 60.0, 60.0 + f64::from(minute));
        }
        let (slope, error) = log.slope(3600.0, 1200.0, 1.0).unwrap();
        assert!((slope - 1.0 / 3600.0).abs() < 2e-5, "{slope}");
        assert!(error > 0.0 && error < slope);
    }
}
