//! Runs policies in the benchmark's cells and prints a table:
//! `lab [--days 7] [--seed 1] [--seeds 1] [--regime 300,120] [--happening normal,black-friday]
//! [--policy ours,keda,core,foresight,ablations,fixed,best,grid,peers] [--grace SECONDS] [--imports A_DAY] [--scenario FILE]...`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use peakscaler::replay::ScalingPolicy;
use peakscaler::replay::cells::{HAPPENINGS, REGIMES, cell};
use peakscaler::replay::lineup::{self, Tuned};
use peakscaler::replay::oracle::Bill;
use peakscaler::replay::policies::{CorePolicy, Fixed, KedaSqs, tuning};
use peakscaler::replay::run::Cell;
use peakscaler::replay::scenario::{Imports, OrderSource, Scenario};
use peakscaler::replay::score::Score;
use peakscaler::replay::units::ceil;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |key: &str, default: &str| {
        let found = arguments.iter().position(|argument| argument == key);
        found.and_then(|index| arguments.get(index + 1)).map_or(default.to_owned(), Clone::clone)
    };
    let days: u32 = option("--days", "7").parse().expect("--days takes a number");
    let first: u64 = option("--seed", "1").parse().expect("--seed takes a number");
    let seeds: u64 = option("--seeds", "1").parse().expect("--seeds takes a number");
    let grace = option("--grace", "");
    let (regimes, happenings) = (option("--regime", ""), option("--happening", ""));
    let policies = option("--policy", "keda,ours,core,fixed");
    let chosen = |list: &str, name: &str| list.is_empty() || list.split(',').any(|part| part == name);

    let mut scenarios = Vec::new();
    for pair in arguments.windows(2).filter(|pair| pair[0] == "--scenario") {
        match Scenario::load(pair[1].as_ref()) {
            Ok(scenario) => scenarios.push(scenario),
            Err(error) => {
                eprintln!("{error}");
                return;
            }
        }
    }
    if scenarios.is_empty() {
        for seed in first..first + seeds {
            for regime in REGIMES {
                for happening in HAPPENINGS {
                    if chosen(&regimes, regime.name) && chosen(&happenings, happening.name()) {
                        scenarios.push(cell(regime, happening, days, seed));
                    }
                }
            }
        }
    }
    if let Ok(per_day) = option("--imports", "").parse() {
        for scenario in &mut scenarios {
            if let OrderSource::Generator(generator) = &mut scenario.orders {
                generator.imports = Some(Imports { per_day, ..generator.imports() });
            }
        }
    }
    if let Ok(grace) = grace.parse() {
        for scenario in &mut scenarios {
            scenario.service.grace_seconds = grace;
        }
    }

    header();
    run_all(&scenarios, &policies);
}

fn header() {
    println!(
        "{:<22} {:<16} {:>9} {:>8} {:>6} {:>7} {:>7} {:>6} {:>6} {:>6} {:>8} {:>8} {:>6} {:>7} {:>6}",
        "cell",
        "policy",
        "late %",
        "worst %",
        "p50",
        "p99",
        "max",
        "h/work",
        "h/orac",
        "peak/l",
        "peak",
        "node-h",
        "n/orac",
        "acts/d",
        "killed"
    );
}

/// Runs scenarios on all cores and prints their rows in order.
fn run_all(scenarios: &[Scenario], policies: &str) {
    let next = AtomicUsize::new(0);
    let printed = Mutex::new(0_usize);
    let blocks = Mutex::new(std::collections::BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let index = scenarios.iter().position(|other| std::ptr::eq(other, scenario)).unwrap_or(0);
                    let cell = Cell::new(scenario.clone()).expect("the cells are valid");
                    let bill = cell.bill();
                    let text: String = candidates(policies, &cell)
                        .into_iter()
                        .map(|mut policy| row(&cell.run(policy.as_mut()), bill.as_ref()))
                        .collect();
                    let mut blocks = blocks.lock().expect("no thread panics");
                    blocks.insert(index, text);
                    let mut printed = printed.lock().expect("no thread panics");
                    while let Some(text) = blocks.remove(&*printed) {
                        print!("{text}");
                        *printed += 1;
                    }
                }
            });
        }
    });
}

fn candidates(list: &str, cell: &Cell) -> Vec<Box<dyn ScalingPolicy>> {
    let mut policies: Vec<Box<dyn ScalingPolicy>> = Vec::new();
    let wait = cell.scenario().goal.target_wait_seconds.unwrap_or(300.0);
    let share = (wait / cell.scenario().service.mean_seconds).floor().max(1.0);
    for name in list.split(',') {
        match name {
            "ours" => policies.push(Box::new(CorePolicy::ours(cell))),
            "core" => policies.push(Box::new(CorePolicy::for_scenario(cell.scenario()))),
            "foresight" => policies.push(Box::new(CorePolicy::with_foresight(cell))),
            "ablations" => policies.extend(lineup::ours(cell).into_iter().skip(1)),
            "fixed" => policies.push(Box::new(Fixed::new(tuning::hindsight_fleet(cell)))),
            "keda" => {
                policies.push(Box::new(KedaSqs::with_defaults()));
                policies.push(Box::new(KedaSqs::with_queue_length(share)));
            }
            "best" => {
                let (length, _) = tuning::best_queue_length(&[cell]);
                policies.push(Box::new(KedaSqs::with_queue_length(length)));
            }
            "grid" => {
                for length in tuning::QUEUE_LENGTHS {
                    policies.push(Box::new(KedaSqs::with_queue_length(length)));
                }
            }
            "peers" => {
                let tuned = Tuned { frozen: share, hindsight: share, fleet: ceil(cell.least_peak()) + 1 };
                policies.extend(lineup::peers(cell, tuned));
            }
            other => eprintln!(
                "policy {other} is none of ours, core, foresight, ablations, fixed, keda, best, grid, peers"
            ),
        }
    }
    policies
}

fn row(score: &Score, bill: Option<&Bill>) -> String {
    let over = |hours: f64, least: fn(&Bill) -> f64| bill.map_or(f64::NAN, |bill| hours / least(bill));
    format!(
        "{:<22} {:<16} {:>9.4} {:>8.3} {:>6.0} {:>7.0} {:>7.0} {:>6.3} {:>6.3} {:>6.2} {:>8} {:>8.0} {:>6.2} {:>7.0} {:>6}\n",
        score.scenario,
        score.policy,
        100.0 * score.late_share(),
        100.0 * score.worst_day(),
        score.wait_p50_seconds,
        score.wait_p99_seconds,
        score.wait_max_seconds,
        score.hours_over_work(),
        over(score.replica_hours, |bill| bill.replica_hours_bound),
        score.peak_over_least,
        score.peak_replicas,
        score.node_hours,
        over(score.node_hours, |bill| bill.node_hours),
        score.actions_per_day,
        score.killed,
    )
}
