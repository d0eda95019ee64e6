//! The forecast's scores on real and synthetic series do not get worse than they were.
//!
//! The figures stored are of the last weeks only, so that the test is quick; the whole scores are in
//! `docs/forecast.md`. Where a change makes them better, store the better ones.

use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use peakscaler::core::Interval;
use peakscaler::core::demand::forecast::baselines::SameSlotMean;
use peakscaler::core::demand::forecast::score::{DayAhead, Ours, Past, Score, Tally};
use peakscaler::core::demand::forecast::{days_of, slot_seconds_for};
use peakscaler::history::csv;

use crate::series::{kinds, series};

const DAYS: usize = 28;
/// A score may be worse than the one stored by this part: what a harmless change does to it.
const NOISE: f64 = 0.02;

fn score(intervals: &[Interval], zone: &TimeZone, from: Date, forecaster: &mut dyn DayAhead) -> Score {
    let step = intervals[0].to.duration_since(intervals[0].from).as_secs_f64();
    let slot_seconds = slot_seconds_for(step);
    let days = days_of(intervals, zone, slot_seconds);
    let values: Vec<Vec<f64>> = days.iter().map(|day| day.values(slot_seconds)).collect();
    let first = days.iter().position(|day| day.date == from).unwrap();
    let mut tally = Tally::default();
    for (index, day) in days.iter().enumerate().skip(first).take(DAYS) {
        let past = Past { days: &values[..index], date: day.date };
        tally.add(day, slot_seconds, &values[..index], &forecaster.path(&past).unwrap());
    }
    tally.score(String::new()).unwrap()
}

fn real(file: &str, zone: &str) -> (Vec<Interval>, TimeZone) {
    let zone = TimeZone::get(zone).unwrap();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(file);
    let history = csv::read(std::fs::File::open(path).unwrap(), &zone).unwrap();
    (history.intervals, zone)
}

/// What is worse than stored, a line each.
fn worse(name: &str, score: &Score, wape: f64, pinball: f64) -> String {
    let mut text = String::new();
    for (what, now, stored) in [("WAPE", score.wape, wape), ("pinball at 0.9", score.pinball[1], pinball)] {
        if now > stored * (1.0 + NOISE) {
            let _ = writeln!(text, "{name}: {what} is {now:.4}, was {stored:.4}");
        }
    }
    text
}

#[test]
fn real_series_are_foreseen_as_well_as_before_and_better_than_by_a_mean() {
    let mut found = String::new();
    for (file, zone, from, wape, pinball) in [
        ("online_retail_orders_hourly.csv", "Europe/London", "2011-11-08", 0.2696, 0.0773),
        ("grocery_baskets_hourly.csv", "America/New_York", "2017-11-20", 0.2344, 0.0624),
        ("nyc_taxi_30min.csv", "America/New_York", "2014-12-20", 0.1713, 0.0413),
        ("bike_sharing_hourly.csv", "America/New_York", "2012-09-20", 0.1436, 0.0293),
    ] {
        let (intervals, zone) = real(file, zone);
        let from = from.parse().unwrap();
        let ours = score(&intervals, &zone, from, &mut Ours);
        let mean = score(&intervals, &zone, from, &mut SameSlotMean { weeks: 4 });
        found += &worse(file, &ours, wape, pinball);
        found += &worse(&format!("{file}, the mean of four weeks"), &ours, mean.wape, mean.pinball[1]);
    }
    assert_eq!(found, "");
}

#[test]
fn synthetic_series_are_foreseen_as_well_as_before() {
    let mut found = String::new();
    let stored: [(f64, f64); 12] = [
        (0.7934, 0.2174),
        (0.1864, 0.0465),
        (0.2240, 0.0572),
        (0.0686, 0.0176),
        (0.2542, 0.0781),
        (0.2369, 0.0646),
        (0.1975, 0.0480),
        (0.3023, 0.0870),
        (0.2019, 0.0803),
        (0.1541, 0.0381),
        (0.1624, 0.0395),
        (0.2682, 0.0657),
    ];
    let mut covered = Vec::new();
    for (kind, (wape, pinball)) in kinds().iter().zip(stored) {
        let (intervals, from) = series(kind, i64::try_from(DAYS).unwrap(), 7);
        let ours = score(&intervals, &TimeZone::get(kind.zone).unwrap(), from, &mut Ours);
        found += &worse(kind.name, &ours, wape, pinball);
        covered.push(ours.coverage[1]);
    }
    assert_eq!(found, "");
    let mean = covered.iter().sum::<f64>() / covered.len() as f64;
    assert!(
        (0.88..0.92).contains(&mean),
        "{mean:.3} of open slots are below the 0.9 quantiles: {covered:.3?}"
    );
}
