//! Ours in a few small cells of the benchmark: fails when it has become worse than the stored score
//! by more than the score's noise: how far it moves, on the same orders, when the counters lag a few
//! tenths of a second more.
//!
//! A change that is better, or worse for a reason, stores anew:
//! `cargo test --profile profiling --test decisions -- --ignored`.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use peakscaler::replay::cells::{Happening, REGIMES, Regime, cell};
use peakscaler::replay::policies::CorePolicy;
use peakscaler::replay::run::Cell;
use peakscaler::replay::scenario::{OrderSource, Scenario};
use peakscaler::replay::score::Score;
use serde::{Deserialize, Serialize};

const ORDERS_PER_DAY: f64 = 12_000.0;
const SEED: u64 = 1;
/// Tenths of a second of further lag whose scores tell the noise.
const LAGS: std::ops::Range<u32> = 0..8;
/// Standard deviations among them that count as noise.
const DEVIATIONS: f64 = 3.0;

/// One cell's score as it was when it was stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    cell: String,
    late_orders: Figure,
    hours_over_work: Figure,
    node_hours: Figure,
    actions_per_day: Figure,
}

/// A figure of which more is worse, and its noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Figure {
    value: f64,
    noise: f64,
}

impl Figure {
    /// The first score's value; noise from how far all scores lie apart, at least `least`.
    fn of(scores: &[Score], value: impl Fn(&Score) -> f64, least: f64) -> Self {
        let values: Vec<f64> = scores.iter().map(value).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let noise = (DEVIATIONS * variance.sqrt()).max(least);
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        Self { value: rounded(values[0]), noise: rounded(noise) }
    }
}

fn cells() -> Vec<(Regime, Happening)> {
    vec![
        (REGIMES[1], Happening::Normal),
        (REGIMES[1], Happening::KnownBlackFriday),
        (REGIMES[1], Happening::SlowService),
        (REGIMES[2], Happening::QueueNoise),
        (REGIMES[3], Happening::Normal),
    ]
}

/// The cell's own day alone: no warm-up, and what happens on its first day happens on this one.
fn one_day(regime: Regime, happening: Happening, lag: u32) -> Scenario {
    let mut scenario = cell(regime, happening, 1, SEED);
    scenario.sensors.queue_lag_seconds += f64::from(lag) / 10.0;
    (scenario.days, scenario.warm_up_days) = (1, 0);
    scenario.history_days = 14;
    for slow in &mut scenario.service.slow {
        slow.window.day = Some(0);
    }
    if let OrderSource::Generator(generator) = &mut scenario.orders {
        generator.orders_per_day = ORDERS_PER_DAY;
        if let Some(peak) = &mut generator.peak {
            scenario.start = scenario.start.tomorrow().expect("a date of this century");
            peak.day = 0;
        }
    }
    scenario
}

fn run(regime: Regime, happening: Happening, lag: u32) -> Score {
    let cell = Cell::new(one_day(regime, happening, lag)).expect("the benchmark's cells are valid");
    cell.run(&mut CorePolicy::ours(&cell))
}

/// Runs on two threads; the results in the order of the tasks.
fn run_all(tasks: &[(Regime, Happening, u32)]) -> Vec<Score> {
    let next = AtomicUsize::new(0);
    let scores = Mutex::new(vec![None; tasks.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(regime, happening, lag)) = tasks.get(index) else { break };
                    let score = run(regime, happening, lag);
                    scores.lock().expect("no thread panics")[index] = Some(score);
                }
            });
        }
    });
    scores.into_inner().expect("no thread panics").into_iter().flatten().collect()
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/decisions/scores.json")
}

#[test]
fn ours_is_no_worse_than_the_stored_scores() {
    let stored: Vec<Stored> = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let tasks: Vec<_> = cells().into_iter().map(|(regime, happening)| (regime, happening, 0)).collect();
    assert_eq!(stored.len(), tasks.len(), "a cell has no stored score: store anew");
    let mut worse = Vec::new();
    for (stored, score) in stored.iter().zip(run_all(&tasks)) {
        assert_eq!(stored.cell, score.scenario, "the cells have changed: store anew");
        for (what, figure, found) in [
            ("late orders", stored.late_orders, f64::from(score.late)),
            ("hours over work", stored.hours_over_work, score.hours_over_work()),
            ("node-hours", stored.node_hours, score.node_hours),
            ("actions a day", stored.actions_per_day, score.actions_per_day),
        ] {
            let Figure { value, noise } = figure;
            println!("{}: {what} {found:.3}, stored {value} +- {noise}", stored.cell);
            if found > value + noise {
                worse.push(format!("{}: {what} {found:.3}, stored {value}, noise {noise}", stored.cell));
            }
        }
    }
    assert!(worse.is_empty(), "worse than stored by more than the noise:\n{}", worse.join("\n"));
}

#[test]
#[ignore = "stores the scores anew"]
fn store() {
    let of_cell = |(regime, happening): (Regime, Happening)| {
        let tasks: Vec<_> = LAGS.map(|lag| (regime, happening, lag)).collect();
        let scores = run_all(&tasks);
        Stored {
            cell: scores[0].scenario.clone(),
            late_orders: Figure::of(&scores, |score| f64::from(score.late), 2.0),
            hours_over_work: Figure::of(&scores, Score::hours_over_work, 0.005),
            node_hours: Figure::of(&scores, |score| score.node_hours, 0.5),
            actions_per_day: Figure::of(&scores, |score| score.actions_per_day, 5.0),
        }
    };
    let stored: Vec<Stored> = cells().into_iter().map(of_cell).collect();
    std::fs::write(path(), serde_json::to_string_pretty(&stored).unwrap() + "\n").unwrap();
}
