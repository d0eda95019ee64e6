//! The orders of a scenario: when each arrives and how much work it is, the same for every policy.

use jiff::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};

use super::scenario::{Generator, Imports, OrderSource, Scenario, ScenarioError};
use super::units::{DAY, Millis, SECOND, millis, timestamp};

mod rows;
mod trace;

pub use rows::Row;
pub use trace::OrdersError;

const MINUTE: Millis = 60 * SECOND;
const MINUTES_A_DAY: usize = 1_440;

/// Independent random streams of one seed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Rates = 1,
    Arrivals,
    Work,
    History,
    Pods,
    Nodes,
    Sensors,
    Zeros,
    Bootstrap,
}

/// The random numbers of one purpose: drawing more of one does not change another.
pub(super) fn random(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream as u64);
    random
}

/// Every order of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Orders {
    /// Arrival times, sorted.
    pub arrivals: Vec<Millis>,
    /// Work of each as a multiple of the mean.
    pub work: Vec<f32>,
    /// Orders of the days before the start, in 15-minute bins, oldest first.
    pub history: Vec<HistoryBin>,
}

/// Orders of a quarter of an hour before the scenario began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryBin {
    /// Start of the quarter.
    pub from: Timestamp,
    /// Orders in it.
    pub count: f64,
}

impl Orders {
    /// Draws the orders of a scenario.
    ///
    /// # Errors
    /// When a trace can't be read or does not reach over the scenario's days.
    pub fn draw(scenario: &Scenario) -> Result<Self, ScenarioError> {
        let (rates, dispersion) = match &scenario.orders {
            OrderSource::Generator(generator) => (generator.rates(scenario), generator.dispersion),
            OrderSource::Trace(trace) => {
                let rates = trace
                    .rates(scenario)
                    .map_err(|source| ScenarioError::Orders { name: scenario.name.clone(), source })?;
                (rates, trace.dispersion)
            }
        };
        let history_minutes = MINUTES_A_DAY * super::units::index(i64::from(scenario.history_days));
        let (before, during) = rates.split_at(history_minutes.min(rates.len()));
        let mut arrivals = spread(during, dispersion, &mut random(scenario.seed, Stream::Arrivals));
        if let OrderSource::Generator(generator) = &scenario.orders {
            generator.add_lumps(scenario, during, &mut arrivals);
        }
        let work = work(scenario, arrivals.len());
        let mut history = history(scenario, before, dispersion);
        if let OrderSource::Generator(generator) = &scenario.orders {
            generator.add_imports_to_history(scenario, before, &mut history);
        }
        Ok(Self { arrivals, work, history })
    }

    /// The orders of a scenario as a series recorded them: the count of each row stands, the moments
    /// within it are drawn by `rates`, orders a minute over the scenario's days. What came before is
    /// left to whoever has the series.
    pub fn of_rows(scenario: &Scenario, rows: &[Row], rates: &[f64], dispersion: f64) -> Self {
        let mut random = random(scenario.seed, Stream::Arrivals);
        let arrivals = rows::spread_rows(rows, rates, dispersion, scenario.end(), &mut random);
        let work = work(scenario, arrivals.len());
        Self { arrivals, work, history: Vec::new() }
    }

    /// Number of orders.
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }
}

/// Draws arrivals from orders a minute: a Poisson process whose rate is gamma distributed from
/// minute to minute, so that the counts of a minute have the index of dispersion asked for.
fn spread(rates: &[f64], dispersion: f64, random: &mut ChaCha8Rng) -> Vec<Millis> {
    let total: f64 = rates.iter().sum();
    let mut arrivals = Vec::with_capacity(super::units::ceil(total * 1.1) as usize);
    for (minute, &rate) in (0_i64..).zip(rates) {
        let first = arrivals.len();
        for _ in 0..draw_count(rate, dispersion, random) {
            arrivals.push(minute * MINUTE + random.random_range(0..MINUTE));
        }
        arrivals[first..].sort_unstable();
    }
    arrivals
}

/// A count of the given mean and index of dispersion.
fn draw_count(mean: f64, dispersion: f64, random: &mut ChaCha8Rng) -> u64 {
    if mean <= 1e-9 {
        return 0;
    }
    let excess = dispersion - 1.0;
    let rate = if excess > 1e-9 {
        Gamma::new(mean / excess, excess).map_or(mean, |gamma| gamma.sample(random))
    } else {
        mean
    };
    Poisson::new(rate).map_or(0, |poisson| u64::from(super::units::ceil(poisson.sample(random))))
}

/// Work of each order as a multiple of the mean, gamma distributed.
fn work(scenario: &Scenario, orders: usize) -> Vec<f32> {
    let variance = scenario.service.variation * scenario.service.variation;
    let mut random = random(scenario.seed, Stream::Work);
    match Gamma::new(1.0 / variance.max(1e-9), variance.max(1e-9)) {
        Ok(gamma) if variance > 1e-9 => (0..orders).map(|_| narrow(gamma.sample(&mut random))).collect(),
        Ok(_) | Err(_) => vec![1.0; orders],
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits of work are plenty")]
fn narrow(value: f64) -> f32 {
    value.max(1e-3) as f32
}

fn history(scenario: &Scenario, before: &[f64], dispersion: f64) -> Vec<HistoryBin> {
    let mut random = random(scenario.seed, Stream::History);
    let start = -i64::from(scenario.history_days) * DAY;
    let bins = before.chunks(15).zip(0_i64..);
    bins.map(|(minutes, bin)| HistoryBin {
        from: timestamp(scenario.origin(), start + bin * 15 * MINUTE),
        count: minutes.iter().map(|&rate| draw_count(rate, dispersion, &mut random) as f64).sum(),
    })
    .collect()
}

impl Generator {
    /// Orders a minute without imports and bursts, from the first day of history on.
    fn rates(&self, scenario: &Scenario) -> Vec<f64> {
        let week = self.week_shape();
        let weekday = i64::from(scenario.start.weekday().to_monday_zero_offset());
        let first_day = -i64::from(scenario.history_days);
        // an hour more at both ends, so that the edges are drawn as the middle is
        let hours: Vec<f64> = (first_day * 24 - 1..=i64::from(scenario.days) * 24)
            .map(|hour| {
                let slot = (weekday * 24 + hour).rem_euclid(168);
                let day = hour.div_euclid(24);
                week[super::units::index(slot)] * self.peak_factor(day)
            })
            .collect();
        let mut rates = between_middles(&hours, 60);
        rates.truncate(rates.len() - 60);
        rates.drain(..60);
        self.wander(scenario, &mut rates);
        rates
    }

    /// Orders an hour for each hour of the week, imports taken off.
    pub(super) fn week_shape(&self) -> Vec<f64> {
        let weights = if self.week.is_empty() { ordinary_week() } else { self.week.clone() };
        let imports = self.imports();
        let imported = (imports.per_day * imports.orders).min(self.orders_per_day);
        let scale = (self.orders_per_day - imported) * 7.0 / weights.iter().sum::<f64>();
        weights.iter().map(|weight| weight * scale).collect()
    }

    pub(super) fn peak_factor(&self, day: i64) -> f64 {
        let Some(peak) = &self.peak else { return 1.0 };
        let offset = day - i64::from(peak.day);
        match offset {
            0 => peak.factor,
            1.. => peak.after.get(super::units::index(offset - 1)).copied().unwrap_or(1.0),
            ..0 => {
                let back = super::units::index(-offset);
                peak.before.len().checked_sub(back).map_or(1.0, |index| peak.before[index])
            }
        }
    }

    /// A level of each day, and one that wanders within it (an Ornstein-Uhlenbeck logarithm).
    fn wander(&self, scenario: &Scenario, rates: &mut [f64]) {
        // days of history and days scored draw from streams of their own, so that a longer
        // history leaves the scored days as they are
        let history = MINUTES_A_DAY * super::units::index(i64::from(scenario.history_days));
        let (before, during) = rates.split_at_mut(history.min(rates.len()));
        for (part, seed) in [(before, scenario.seed ^ 0x5bd1_e995), (during, scenario.seed)] {
            let mut random = random(seed, Stream::Rates);
            let keep = 0.5_f64.powf(1.0 / (self.wander_half_life_hours * 60.0));
            let step = self.wander_deviation * (1.0 - keep * keep).sqrt();
            let mut level = 0.0;
            let mut day_level = 0.0;
            for (minute, rate) in part.iter_mut().enumerate() {
                if minute % MINUTES_A_DAY == 0 {
                    let draw: f64 = random.sample(StandardNormal);
                    day_level = draw * self.day_deviation;
                }
                let draw: f64 = random.sample(StandardNormal);
                level = keep * level + step * draw;
                *rate *= (level + day_level).exp();
            }
        }
    }

    /// Adds imports to the days before the start, as often as in the days after it.
    fn add_imports_to_history(&self, scenario: &Scenario, before: &[f64], history: &mut [HistoryBin]) {
        let mut random = random(scenario.seed, Stream::History);
        random.set_word_pos(1 << 40);
        let imports = self.imports();
        for (bin, rates) in history.iter_mut().zip(before.chunks(15)) {
            let expected = rates.iter().sum::<f64>() / self.orders_per_day.max(1.0) * imports.per_day;
            for _ in 0..draw_count(expected, 1.0, &mut random) {
                bin.count += f64::from(imports.draw(&mut random));
            }
        }
    }

    /// Adds imports (at times drawn by the rate) and bursts.
    fn add_lumps(&self, scenario: &Scenario, rates: &[f64], arrivals: &mut Vec<Millis>) {
        let mut random = random(scenario.seed, Stream::Arrivals);
        random.set_word_pos(1 << 40);
        let end = scenario.end();
        let imports = self.imports();
        let expected = rates.iter().sum::<f64>() / (self.orders_per_day.max(1.0)) * imports.per_day;
        let busiest = rates.iter().copied().fold(0.0, f64::max);
        for _ in 0..draw_count(expected, 1.0, &mut random) {
            let minute = loop {
                let minute = random.random_range(0..rates.len());
                if random.random::<f64>() * busiest <= rates[minute] {
                    break minute;
                }
            };
            let start = i64::try_from(minute).unwrap_or(0) * MINUTE;
            for _ in 0..imports.draw(&mut random) {
                arrivals.push(start + millis(random.random::<f64>() * imports.over_seconds));
            }
        }
        for burst in &self.bursts {
            let start = i64::from(burst.day) * DAY + millis(burst.at_hour * 3_600.0);
            for _ in 0..draw_count(burst.orders, 1.0, &mut random) {
                // fades linearly to nothing
                let share = 1.0 - random.random::<f64>().sqrt();
                arrivals.push(start + millis(share * burst.over_seconds));
            }
        }
        arrivals.retain(|arrival| *arrival < end);
        arrivals.sort_unstable();
    }
}

impl Imports {
    /// Orders of one.
    fn draw(&self, random: &mut ChaCha8Rng) -> u32 {
        super::units::ceil(-self.orders * random.random_range(f64::MIN_POSITIVE..1.0).ln())
    }
}

/// Weights of the 168 hours of an ordinary week (`data/README.md` names the source).
fn ordinary_week() -> Vec<f64> {
    let lines = include_str!("../../data/ordinary_week.csv").lines().skip(1);
    lines.filter_map(|line| line.split_once(',')?.1.trim().parse().ok()).collect()
}

/// Counts of bins of `minutes` minutes as a rate a minute that runs straight from the middle of
/// one bin to the next.
pub(super) fn between_middles(bins: &[f64], minutes: usize) -> Vec<f64> {
    let half = minutes / 2;
    let last = bins.len().saturating_sub(1);
    (0..bins.len() * minutes)
        .map(|minute| {
            let shifted = minute + minutes - half;
            let (bin, within) = (shifted / minutes, shifted % minutes);
            let before = bins[bin.saturating_sub(1).min(last)];
            let after = bins[bin.min(last)];
            let share = (within as f64 + 0.5) / minutes as f64;
            (before + (after - before) * share) / minutes as f64
        })
        .collect()
}

#[cfg(test)]
mod tests;
