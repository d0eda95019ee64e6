//! Orders of a recorded series whose counts are known: each row keeps its count, and only the
//! moments within it are drawn.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

use super::MINUTE;
use crate::replay::units::Millis;

/// So many orders between two moments of a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Start, included.
    pub from: Millis,
    /// End, excluded.
    pub to: Millis,
    /// Orders; what is over a whole order goes on to the next row.
    pub count: f64,
}

/// Draws the moments of the orders of rows that ascend, weighed by `rates` a minute and clustered as
/// the index of dispersion says. `[0, end)` is kept.
pub(super) fn spread_rows(
    rows: &[Row],
    rates: &[f64],
    dispersion: f64,
    end: Millis,
    random: &mut ChaCha8Rng,
) -> Vec<Millis> {
    let mut arrivals = Vec::new();
    let (mut told, mut drawn) = (0.0_f64, 0.0_f64);
    for row in rows.iter().filter(|row| row.from < end && row.to > row.from.max(0)) {
        told += row.count;
        let first = arrivals.len();
        let minutes = Minutes::new(row, rates, dispersion, random);
        // whole orders, without losing parts of one from row to row
        while drawn < told.round() {
            arrivals.push(minutes.draw(random));
            drawn += 1.0;
        }
        arrivals[first..].sort_unstable();
    }
    arrivals.retain(|arrival| (0..end).contains(arrival));
    arrivals
}

/// The minutes of a row, each with its share of the row's orders.
struct Minutes {
    from: Millis,
    to: Millis,
    /// Weight of all minutes up to and with each.
    weights: Vec<f64>,
}

impl Minutes {
    fn new(row: &Row, rates: &[f64], dispersion: f64, random: &mut ChaCha8Rng) -> Self {
        let excess = dispersion - 1.0;
        let mean = row.count * MINUTE as f64 / (row.to - row.from) as f64;
        let mut sum = 0.0;
        let weigh = |minute: Millis| {
            let known = usize::try_from(minute).ok().and_then(|minute| rates.get(minute));
            let rate = known.copied().unwrap_or(mean);
            let share = within(row.from, row.to, minute);
            let length = (share.1 - share.0) as f64 / MINUTE as f64;
            let rate = match Gamma::new(rate / excess, excess) {
                Ok(gamma) if rate > 1e-9 && excess > 1e-9 => gamma.sample(random),
                Ok(_) | Err(_) => rate,
            };
            sum += rate * length;
            sum
        };
        let weights = (row.from.div_euclid(MINUTE)..=(row.to - 1).div_euclid(MINUTE)).map(weigh).collect();
        Self { from: row.from, to: row.to, weights }
    }

    /// A moment: the minute by its weight, evenly within it.
    fn draw(&self, random: &mut ChaCha8Rng) -> Millis {
        let all = self.weights.last().copied().unwrap_or(0.0);
        if all <= 0.0 {
            return random.random_range(self.from..self.to);
        }
        let at = random.random::<f64>() * all;
        let index = self.weights.partition_point(|weight| *weight <= at).min(self.weights.len() - 1);
        let minute = self.from.div_euclid(MINUTE) + i64::try_from(index).unwrap_or(0);
        let (from, to) = within(self.from, self.to, minute);
        random.random_range(from..to)
    }
}

/// The part of a minute that lies in a row.
fn within(from: Millis, to: Millis, minute: Millis) -> (Millis, Millis) {
    (from.max(minute * MINUTE), to.min((minute + 1) * MINUTE))
}

#[cfg(test)]
mod tests {
    use super::super::{Stream, random};
    use super::*;
    use crate::replay::units::SECOND;

    fn draw(rows: &[Row], rates: &[f64], dispersion: f64, seed: u64) -> Vec<Millis> {
        let end = rows.last().map_or(0, |row| row.to);
        spread_rows(rows, rates, dispersion, end, &mut random(seed, Stream::Arrivals))
    }

    fn row(minutes: std::ops::Range<Millis>, count: f64) -> Row {
        Row { from: minutes.start * MINUTE, to: minutes.end * MINUTE, count }
    }

    #[test]
    fn each_row_keeps_its_count_whatever_the_seed_and_the_clusters() {
        let rows = [row(0..60, 132.0), row(60..120, 0.0), row(120..180, 7.0)];
        let rates: Vec<f64> = (0..180).map(|minute| f64::from(minute % 9)).collect();
        for seed in 0..20 {
            for dispersion in [1.0, 1.5, 40.0] {
                let arrivals = draw(&rows, &rates, dispersion, seed);
                assert!(arrivals.is_sorted());
                for row in rows {
                    let found = arrivals.iter().filter(|at| (row.from..row.to).contains(*at)).count();
                    assert!((found as f64 - row.count).abs() < 1e-9, "{found} of {row:?}");
                }
            }
        }
    }

    #[test]
    fn parts_of_an_order_go_on_to_the_next_row() {
        let rows: Vec<Row> = (0..10).map(|index| row(index * 15..(index + 1) * 15, 2.3)).collect();
        assert_eq!(draw(&rows, &[], 1.0, 1).len(), 23);
        let seconds =
            [Row { from: 0, to: 30 * SECOND, count: 3.0 }, Row { from: 30 * SECOND, to: MINUTE, count: 4.0 }];
        let arrivals = draw(&seconds, &[7.0], 1.5, 1);
        assert_eq!(arrivals.iter().filter(|at| **at < 30 * SECOND).count(), 3);
        assert_eq!(arrivals.len(), 7);
    }

    #[test]
    fn minutes_are_taken_by_their_rates_and_clustered_as_asked() {
        let rates = [vec![1.0; 30], vec![3.0; 30]].concat();
        let spread_over_mean = |dispersion| {
            let arrivals = draw(&[row(0..60, 12_000.0)], &rates, dispersion, 3);
            let late = arrivals.iter().filter(|at| **at >= 30 * MINUTE).count() as f64;
            let counts: Vec<f64> = (30..60)
                .map(|minute| arrivals.iter().filter(|at| **at / MINUTE == minute).count() as f64)
                .collect();
            let mean = late / 30.0;
            (late, counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 30.0 / mean)
        };
        let (late, even) = spread_over_mean(1.0);
        assert!((8_700.0..9_300.0).contains(&late), "three of four: {late}");
        assert!(even < 2.0, "{even}");
        assert!(spread_over_mean(3.0).1 > 10.0 * even);
    }
}
