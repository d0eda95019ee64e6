//! An operator's own history as a centre: closed intervals in, the orders of a stretch of days out.

use jiff::Timestamp;

use super::orders::{Orders, Row, between_middles};
use super::run::Cell;
use super::scenario::{MOST_ORDERS_A_DAY, Scenario, ScenarioError};
use super::units::{SECOND, index, millis};
use crate::core::Interval;

/// Bins of at least this many minutes are drawn from the middle of one to that of the next, since a
/// real rate does not jump at full hours.
const SMOOTH_FROM_MINUTES: usize = 15;
const MINUTES_A_DAY: usize = 1_440;

/// A cell of the scenario's days whose orders are those of a history; `step_seconds` is its grid.
/// Each row keeps its count of orders; they come at random within it, clustered by the minute as the
/// index of dispersion says (1: evenly at random).
///
/// # Errors
/// When the scenario contradicts itself, or a day has more orders than can be lived through.
pub fn cell_of(
    scenario: Scenario,
    history: &[Interval],
    step_seconds: i64,
    dispersion: f64,
) -> Result<Cell, ScenarioError> {
    let rates = rates(scenario.origin(), index(scenario.end() / (60 * SECOND)), history, step_seconds);
    let days = (0..).zip(rates.chunks(MINUTES_A_DAY).map(|day| day.iter().sum::<f64>()));
    if let Some((day, orders)) = days.into_iter().find(|(_, orders)| *orders > MOST_ORDERS_A_DAY) {
        let date = scenario.start.saturating_add(jiff::Span::new().days(day));
        let problem =
            format!("orders: {orders:.0} on {date}, must be {MOST_ORDERS_A_DAY} at most to be lived through");
        return Err(ScenarioError::Invalid { name: scenario.name, problems: vec![problem] });
    }
    let rows = rows(scenario.origin(), history);
    let orders = Orders::of_rows(&scenario, &rows, &rates, dispersion);
    Cell::with_orders(scenario, orders)
}

/// The history in the scenario's time.
fn rows(origin: Timestamp, history: &[Interval]) -> Vec<Row> {
    let at = |moment: Timestamp| millis(moment.duration_since(origin).as_secs_f64());
    let rows = history.iter();
    rows.map(|one| Row { from: at(one.from), to: at(one.to), count: one.count }).collect()
}

/// Orders a minute over so many minutes from `origin` on; a step that no interval knows has none.
fn rates(origin: Timestamp, length: usize, history: &[Interval], step_seconds: i64) -> Vec<f64> {
    let minutes = index((step_seconds / 60).max(1));
    // one more at both ends, so that the edges are drawn as the middle is
    let mut bins = vec![0.0; length.div_ceil(minutes) + 2];
    let width = millis(minutes as f64 * 60.0);
    for interval in history {
        let from = millis(interval.from.duration_since(origin).as_secs_f64());
        let bin = (from + width).div_euclid(width);
        if let Some(bin) = usize::try_from(bin).ok().and_then(|bin| bins.get_mut(bin)) {
            *bin += interval.count;
        }
    }
    let mut rates = if minutes >= SMOOTH_FROM_MINUTES {
        between_middles(&bins, minutes)
    } else {
        bins.iter().flat_map(|count| std::iter::repeat_n(count / minutes as f64, minutes)).collect()
    };
    rates.truncate(rates.len() - minutes);
    rates.drain(..minutes);
    rates.truncate(length);
    rates
}

/// The first stretch in `[from, to)` that the history does not know; its intervals ascend.
pub fn first_gap(history: &[Interval], from: Timestamp, to: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let mut known_until = from;
    for interval in history.iter().filter(|interval| interval.to > from) {
        if known_until >= to {
            return None;
        }
        if interval.from > known_until {
            return Some((known_until, interval.from.min(to)));
        }
        known_until = known_until.max(interval.to);
    }
    (known_until < to).then_some((known_until, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(origin: Timestamp, hour: i64, count: f64) -> Interval {
        let from = origin + jiff::SignedDuration::from_hours(hour);
        Interval { from, to: from + jiff::SignedDuration::from_hours(1), count }
    }

    #[test]
    fn rates_keep_the_orders() {
        let origin: Timestamp = "2026-11-24T23:00:00Z".parse().unwrap();
        let steady: Vec<Interval> = (-5..60).map(|at| hour(origin, at, 120.0)).collect();
        let found = rates(origin, 2 * MINUTES_A_DAY, &steady, 3600);
        assert_eq!(found.len(), 2 * MINUTES_A_DAY);
        assert!(found.iter().all(|rate| (rate - 2.0).abs() < 1e-9));
        let single = rates(origin, MINUTES_A_DAY, &[hour(origin, 5, 60.0)], 3600);
        assert!((single.iter().sum::<f64>() - 60.0).abs() < 1e-6);
        let peak = single.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        assert!((peak.cast_signed() - 330).abs() <= 1, "in the middle of its hour: {peak}");
    }

    #[test]
    fn fine_grids_are_taken_as_they_are() {
        let origin: Timestamp = "2026-11-24T23:00:00Z".parse().unwrap();
        let to = origin + jiff::SignedDuration::from_secs(30);
        let halves = [
            Interval { from: origin, to, count: 3.0 },
            Interval { from: to, to: to + jiff::SignedDuration::from_secs(30), count: 4.0 },
        ];
        let found = rates(origin, MINUTES_A_DAY, &halves, 30);
        assert!((found[0] - 7.0).abs() < 1e-9 && found[1].abs() < 1e-9);
    }

    #[test]
    fn each_hour_has_its_orders_whatever_the_seed() {
        for seed in 1..5 {
            let scenario = Scenario { seed, days: 2, warm_up_days: 1, ..Scenario::default() };
            let origin = scenario.origin();
            let past: Vec<Interval> = (-30..60).map(|at| hour(origin, at, (at * at % 97) as f64)).collect();
            let cell = cell_of(scenario, &past, 3600, 1.5).unwrap();
            for at in 0..48_i64 {
                let span = at * crate::replay::units::HOUR..(at + 1) * crate::replay::units::HOUR;
                let found = cell.orders().arrivals.iter().filter(|moment| span.contains(*moment)).count();
                assert_eq!(i64::try_from(found).unwrap(), at * at % 97, "hour {at} of seed {seed}");
            }
            assert_eq!(cell.orders().work.len(), cell.orders().len());
        }
    }

    #[test]
    fn a_day_of_too_many_orders_is_refused() {
        let scenario = Scenario { days: 1, warm_up_days: 0, ..Scenario::default() };
        let many: Vec<Interval> = (0..24).map(|at| hour(scenario.origin(), at, 1e12)).collect();
        let error = cell_of(scenario, &many, 3600, 1.0).err().map(|error| error.to_string());
        let expected = "scenario ordinary: orders: 23750000000000 on 2026-11-21, must be 5000000 at most to be lived through";
        assert_eq!(error.as_deref(), Some(expected));
    }

    #[test]
    fn gaps_are_found() {
        let origin: Timestamp = "2026-11-24T23:00:00Z".parse().unwrap();
        let at = |hours: i64| origin + jiff::SignedDuration::from_hours(hours);
        let known: Vec<Interval> = [0, 1, 2, 5, 6].iter().map(|&at| hour(origin, at, 1.0)).collect();
        assert_eq!(first_gap(&known, at(0), at(7)), Some((at(3), at(5))));
        assert_eq!(first_gap(&known, at(0), at(3)), None);
        assert_eq!(first_gap(&known, at(5), at(8)), Some((at(7), at(8))));
        assert_eq!(first_gap(&known, at(-1), at(2)), Some((at(-1), at(0))));
        assert_eq!(first_gap(&[], at(0), at(1)), Some((at(0), at(1))));
    }
}
