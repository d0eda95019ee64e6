//! Tests of the module beside.

use super::*;
use crate::replay::scenario::{Burst, Peak, Trace};

fn scenario(generator: Generator) -> Scenario {
    Scenario { orders: OrderSource::Generator(generator), ..Scenario::default() }
}

#[test]
fn the_same_seed_gives_the_same_orders_and_another_seed_others() {
    let first = scenario(Generator::default());
    let other = Scenario { seed: 2, ..first.clone() };
    assert_eq!(Orders::draw(&first).unwrap(), Orders::draw(&first).unwrap());
    assert_ne!(Orders::draw(&first).unwrap().arrivals, Orders::draw(&other).unwrap().arrivals);
}

#[test]
fn an_ordinary_day_has_the_orders_asked_for() {
    let scenario = scenario(Generator::default());
    let orders = Orders::draw(&scenario).unwrap();
    let a_day = orders.len() as f64 / f64::from(scenario.days);
    assert!((27_000.0..33_000.0).contains(&a_day), "{a_day}");
    assert!(orders.arrivals.is_sorted());
    let mean: f64 = orders.work.iter().map(|work| f64::from(*work)).sum::<f64>() / orders.len() as f64;
    assert!((0.99..1.01).contains(&mean), "{mean}");
}

#[test]
fn a_longer_history_leaves_the_scored_days_as_they_are() {
    let without = scenario(Generator::default());
    let with = Scenario { history_days: 14, ..without.clone() };
    let drawn = Orders::draw(&with).unwrap();
    assert_eq!(drawn.history.len(), 14 * 96);
    assert_eq!(drawn.arrivals, Orders::draw(&without).unwrap().arrivals);
}

#[test]
fn a_peak_day_is_as_many_times_an_ordinary_one() {
    let peak = Peak { day: 3, factor: 7.0, before: vec![1.5], after: vec![2.0] };
    let orders = Orders::draw(&scenario(Generator { peak: Some(peak), ..Generator::default() })).unwrap();
    let on = |day: i64| orders.arrivals.iter().filter(|at| **at / DAY == day).count() as f64;
    assert!((5.5..8.5).contains(&(on(3) / on(1))), "{}", on(3) / on(1));
    assert!(on(2) > 1.1 * on(1) && on(4) > 1.3 * on(1));
}

#[test]
fn counts_of_a_minute_have_the_dispersion_asked_for() {
    let mut random = random(7, Stream::Arrivals);
    let counts: Vec<f64> = (0..20_000).map(|_| draw_count(20.0, 3.0, &mut random) as f64).collect();
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64;
    assert!((19.5..20.5).contains(&mean), "{mean}");
    assert!((2.8..3.2).contains(&(variance / mean)), "{}", variance / mean);
}

#[test]
fn a_burst_brings_its_orders() {
    let burst = Burst { day: 1, at_hour: 11.0, orders: 3_000.0, over_seconds: 300.0 };
    let plain = Orders::draw(&scenario(Generator::default())).unwrap();
    let bursting =
        Orders::draw(&scenario(Generator { bursts: vec![burst], ..Generator::default() })).unwrap();
    let more = bursting.len() - plain.len();
    assert!((2_800..3_200).contains(&more), "{more}");
}

/// The error of a scenario of one day whose trace has these counts, one an hour from midnight on.
fn refusal(counts: &[&str], median_day_orders: Option<f64>) -> String {
    let rows = counts.iter().enumerate().map(|(hour, count)| format!("2026-11-27T{hour:02}:00:00,{count}\n"));
    refusal_of(&rows.collect::<String>(), median_day_orders)
}

/// The error of a scenario of one day whose trace has these rows.
fn refusal_of(rows: &str, median_day_orders: Option<f64>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace.csv");
    std::fs::write(&path, format!("timestamp,count\n{rows}")).unwrap();
    let orders =
        OrderSource::Trace(Trace { path, from: None, median_day_orders, dispersion: 1.0, smooth: false });
    let scenario = Scenario { days: 1, orders, ..Scenario::default() };
    let Err(ScenarioError::Orders { source, .. }) = Orders::draw(&scenario) else { return String::new() };
    let message = source.to_string();
    message.split_once("trace.csv:").map_or(message.clone(), |(_, message)| message.to_owned())
}

#[test]
fn a_row_off_the_grid_of_a_trace_is_named_by_what_is_wrong_with_it() {
    for (third, expected) in [
        (
            "2026-11-27T03:00:00",
            "4: there is no row for 2026-11-27T02:00:00, the next is 2026-11-27T03:00:00; a row that is missing is unknown, not zero: write its count (0 where closed)",
        ),
        (
            "2026-11-27T00:00:00",
            "4: timestamp 2026-11-27T00:00:00 comes after 2026-11-27T01:00:00; rows must ascend",
        ),
        (
            "2026-11-27T01:30:00",
            "4: timestamp 2026-11-27T01:30:00 is not on the grid, the next would be 2026-11-27T02:00:00",
        ),
    ] {
        let rows = format!("2026-11-27T00:00:00,1\n2026-11-27T01:00:00,1\n{third},1\n");
        assert_eq!(refusal_of(&rows, None), expected);
    }
}

#[test]
fn counts_of_a_trace_are_bounded() {
    let mut counts = ["20"; 24];
    assert_eq!(refusal(&counts, None), "");
    for count in ["1e12", "-1", "NaN", "many"] {
        counts[3] = count;
        let expected = format!("5: count {count} must be a number from 0 to 1000000000");
        assert_eq!(refusal(&counts, None), expected);
    }
    counts[3] = "6000000";
    let message = refusal(&counts, None);
    assert!(
        message
            .starts_with("5: count 6000000 stands in a day of 6000460 orders, which must be 5000000 at most"),
        "{message}"
    );
    assert_eq!(refusal(&counts, Some(1_000.0)), "");
}
