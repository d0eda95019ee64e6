//! When orders arrived: a log in bins, from counts that are known and, until those come, from what
//! the queue's counters imply.

mod bin;
mod lumps;
mod newest;
mod slow;

use std::collections::VecDeque;

use self::bin::{BIN_SECONDS, Bin};
pub use self::lumps::LumpRate;
pub use self::newest::Newest;
pub use self::slow::{Fit, Slow};
use crate::core::plan::Cohort;

/// Fine bins kept: 64 minutes.
const FINE_BINS: usize = 256;
/// Fine bins that make a coarse one: 5 minutes.
const COARSE: i64 = 20;
/// Coarse bins kept: 24 hours.
const COARSE_BINS: usize = 288;

/// What is older than so many half-lives hardly weighs ...
const HALF_LIVES: f64 = 8.0;
/// ... and is looked at only where the newer covers less than this.
const LEAST_WEIGHTED_SECONDS: f64 = 60.0;

/// Counts of two windows that differ by more than so many standard deviations are not the same by chance.
const SURE_DEVIATIONS: f64 = 3.0;

/// Orders of unknown age came at the present rate divided by this, ...
const UNKNOWN_SPREAD: f64 = 1.5;
/// ... which is asked only where they may be older than this.
const LEAST_UNKNOWN_SECONDS: f64 = 600.0;

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
    /// Whether more has become known since the known rate was read.
    known_anew: bool,
    slow: Option<Slow>,
    lumps: lumps::Lumps,
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
        self.known_anew = true;
        self.spread(from, to, count, Bin::add_known);
    }

    /// Logs `count` orders that the counters imply for `[from, to)`; may be negative, as one
    /// reading takes back what the one before said too much.
    pub fn add_implied(&mut self, from: f64, to: f64, count: f64) {
        self.spread(from, to, count, Bin::add_implied);
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
            self.retire(self.fine.len());
            self.first = number;
        }
        while self.first + whole(self.fine.len()) <= number {
            if self.fine.len() == FINE_BINS {
                self.lumps.look(&self.fine, self.first);
                self.retire(1);
            }
            self.fine.push_back(Bin::default());
        }
    }

    /// Adds the oldest fine bins to the coarse ones.
    #[expect(clippy::cast_possible_truncation, reason = "counts of five minutes fit")]
    fn retire(&mut self, bins: usize) {
        for bin in self.fine.drain(..bins) {
            let number = self.first.div_euclid(COARSE);
            self.first += 1;
            if self.coarse.is_empty() || number - self.first_coarse > 2 * whole(COARSE_BINS) {
                self.coarse.clear();
                self.coarse.reserve_exact(COARSE_BINS);
                self.first_coarse = number;
            }
            while self.first_coarse + whole(self.coarse.len()) <= number {
                if self.coarse.len() == COARSE_BINS {
                    self.coarse.pop_front();
                    self.first_coarse += 1;
                }
                self.coarse.push_back(0.0);
            }
            if let Some(last) = self.coarse.back_mut() {
                *last += bin.orders().max(0.0) as f32;
            }
        }
    }

    /// Folds over at most `count` fine bins, the newest first.
    fn fold_newest<T>(&self, count: usize, start: T, step: impl FnMut(T, &Bin) -> T) -> T {
        let (older, newer) = self.fine.as_slices();
        let newer = &newer[newer.len().saturating_sub(count)..];
        let older = &older[older.len().saturating_sub(count - newer.len())..];
        newer.iter().rev().chain(older.iter().rev()).fold(start, step)
    }

    /// Age of the newest bin's middle at `now`; negative while it lies ahead.
    fn newest_age(&self, now: f64) -> f64 {
        now - ((self.first + whole(self.fine.len())) as f64 - 0.5) * BIN_SECONDS
    }

    /// How many of the newest bins have middles of at most `seconds` of age at `now`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the bins kept")]
    fn bins_within(&self, now: f64, seconds: f64) -> usize {
        let bins = ((seconds - self.newest_age(now)) / BIN_SECONDS).floor() + 1.0;
        bins.clamp(0.0, FINE_BINS as f64) as usize
    }

    /// Weighted rate over the log before `now`, the weight halving every `half_life` seconds and
    /// nothing older than `oldest` seconds counting; a bin counts for no fewer and no more orders than
    /// `within`.
    pub fn weighted(
        &self,
        now: f64,
        half_life: f64,
        oldest: f64,
        within: (f64, f64),
        belief: Belief,
    ) -> Weighted {
        let near = self.weighted_within(now, half_life, oldest.min(HALF_LIVES * half_life), within, belief);
        if near.seconds >= LEAST_WEIGHTED_SECONDS || oldest <= HALF_LIVES * half_life {
            return near;
        }
        self.weighted_within(now, half_life, oldest, within, belief)
    }

    fn weighted_within(
        &self,
        now: f64,
        half_life: f64,
        oldest: f64,
        within: (f64, f64),
        belief: Belief,
    ) -> Weighted {
        let decay = 0.5_f64.powf(BIN_SECONDS / half_life);
        let (least, most) = (within.0 / BIN_SECONDS, within.1 / BIN_SECONDS);
        let start = (Weighted::default(), 1.0, 0.0);
        let count = self.bins_within(now, oldest);
        let (mut sum, _, _) = self.fold_newest(count, start, |(mut sum, weight, age), bin| {
            // Most bins are known: those of the newest minutes are not.
            let (orders, covered, within) = match bin.wholly_known() {
                Some(orders) => (orders, BIN_SECONDS, within),
                None => (bin.believed(belief), bin.covered(), (least * bin.covered(), most * bin.covered())),
            };
            let seconds = weight * covered;
            sum.seconds += seconds;
            sum.rate += weight * orders.max(within.0).min(within.1);
            sum.age_seconds += seconds * age;
            (sum, weight * decay, age + BIN_SECONDS)
        });
        if sum.seconds > 0.0 {
            sum.rate = (sum.rate / sum.seconds).max(0.0);
            sum.age_seconds = (sum.age_seconds / sum.seconds + self.newest_age(now)).max(0.0);
        }
        sum
    }

    /// Orders of the last `seconds` before `now`, and how many of those seconds are covered.
    pub fn recent(&self, now: f64, seconds: f64) -> (f64, f64) {
        let (orders, covered) =
            self.fold_newest(self.bins_within(now, seconds), (0.0, 0.0), |(orders, covered), bin| {
                let (came, seconds) = bin.counted();
                (orders + came, covered + seconds)
            });
        (orders.max(0.0), covered)
    }

    /// Orders known of the bins that begin in `[from, to)`.
    #[expect(clippy::cast_possible_truncation, reason = "bin numbers fit")]
    fn known_between(&self, from: f64, to: f64) -> f64 {
        let place = |at: f64| {
            let number = (at / BIN_SECONDS).ceil() as i64 - self.first;
            usize::try_from(number).unwrap_or(0).min(self.fine.len())
        };
        self.fine.range(place(from)..place(to).max(place(from))).map(|bin| bin.known().0).sum()
    }

    /// By how many orders more or fewer came in the `seconds` before `to` than in as many before `from`, beyond
    /// what chance makes of counts: 0 while arrivals go on as they did.
    pub fn shift(&self, from: f64, to: f64, seconds: f64) -> f64 {
        let (before, after) =
            (self.known_between(from - seconds, from), self.known_between(to - seconds, to));
        let chance = SURE_DEVIATIONS * SURE_DEVIATIONS * (before + after);
        ((after - before).powi(2) - chance).max(0.0).sqrt()
    }

    /// The last `waiting` orders before `now` by age, oldest first: first in, first out.
    ///
    /// `rate` fills what no bin covers yet. Orders beyond the log's memory are spread from its end
    /// to `unknown_until` seconds of age.
    pub fn by_age(&self, now: f64, waiting: f64, rate: f64, unknown_until: f64) -> Vec<Cohort> {
        let mut cohorts = Vec::with_capacity(32);
        let mut left = waiting;
        let end = (self.first + whole(self.fine.len())) as f64 * BIN_SECONDS;
        let (mut age, mut said_too_much) = (0.0, 0.0_f64);
        for (index, bin) in self.fine.iter().enumerate().rev() {
            if left <= 1e-9 {
                break;
            }
            let start = (self.first + whole(index)) as f64 * BIN_SECONDS;
            let (orders, covered) = (bin.orders(), bin.covered());
            // The bin of the present has only begun.
            let width = if index + 1 == self.fine.len() {
                (now - start).clamp(0.0, BIN_SECONDS)
            } else {
                BIN_SECONDS
            };
            let missing = (width - covered).max(0.0) * rate
                + (now - end).max(0.0) * rate * f64::from(u8::from(index + 1 == self.fine.len()));
            // A reading that takes back what the readings before said too much makes no order younger.
            let before = if bin.is_implied() { said_too_much } else { 0.0 };
            said_too_much = (before - orders).max(0.0);
            let orders = ((orders - before).max(0.0) + missing).min(left);
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
            let longest = age + UNKNOWN_SPREAD * left / rate.max(f64::MIN_POSITIVE);
            let until = unknown_until.min(longest.max(LEAST_UNKNOWN_SECONDS)).max(age);
            for part in 1..=8 {
                push(&mut cohorts, age + (until - age) * f64::from(part) / 8.0, left / 8.0);
            }
        }
        cohorts.reverse();
        // They are kept with the decision.
        cohorts.shrink_to_fit();
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
    fn a_noisy_counter_makes_no_order_younger() {
        let mut log = ArrivalLog::default();
        log.add_known(0.0, 30.0, 300.0);
        for (from, said) in [(30.0, 150.0), (45.0, -130.0), (60.0, 90.0), (75.0, -110.0)] {
            log.add_implied(from, from + 15.0, said);
        }
        let cohorts = log.by_age(90.0, 300.0, 1.0, 300.0);
        let old: f64 = cohorts.iter().filter(|one| one.age_seconds > 60.0).map(|one| one.orders).sum();
        assert!((old - 300.0).abs() < 1e-3, "{cohorts:?}");
    }

    #[test]
    fn a_step_is_a_shift_and_chance_is_none() {
        let mut log = ArrivalLog::default();
        for minute in 0..20_u32 {
            let from = f64::from(minute) * 60.0;
            let count = if minute < 15 { 80.0 + f64::from(minute % 2) * 10.0 } else { 20.0 };
            log.add_known(from, from + 60.0, count);
        }
        assert!(log.shift(780.0, 900.0, 60.0) < 1e-9);
        assert!(log.shift(840.0, 900.0, 60.0) < 1e-9);
        let step = log.shift(900.0, 960.0, 60.0);
        assert!((40.0..60.0).contains(&step), "{step}");
        assert!(log.shift(960.0, 1020.0, 60.0) < 1e-9);
        assert!(log.shift(-600.0, -540.0, 60.0) < 1e-9);
    }

    #[test]
    fn lumps_are_remembered_by_the_hour_of_the_day() {
        let mut log = ArrivalLog::default();
        for minute in 0..4 * 1440_u32 {
            let lump = if minute % 1440 == 630 { 90.0 } else { 0.0 };
            let from = f64::from(minute) * 60.0;
            log.add_known(from, from + 60.0, 20.0 + f64::from(minute % 3) + lump);
        }
        let day = 4.0 * 86_400.0;
        let lumps = log.lumps(day + 11.0 * 3600.0).unwrap();
        assert!((lumps.per_hour - 0.2).abs() < 0.05, "one of five hours alike: {lumps:?}");
        assert!((lumps.orders - 90.0).abs() < 5.0, "{lumps:?}");
        assert_eq!(log.lumps(day + 20.0 * 3600.0), None);
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
        let (slope, error) = log.slow().slope.unwrap().with_error(1.0);
        assert!((slope - 1.0 / 3600.0).abs() < 2e-5, "{slope}");
        assert!(error > 0.0 && error < slope);
    }
}
