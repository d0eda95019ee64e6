//! The runs: on all cores, cell by cell, pooled into one score for each policy and cell.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use peakscaler::replay::cells::{Happening, Regime, benchmark, earlier_weeks, runs};
use peakscaler::replay::lineup::{self, Tuned};
use peakscaler::replay::oracle::Bill;
use peakscaler::replay::policies::tuning;
use peakscaler::replay::run::Cell;
use peakscaler::replay::scenario::Scenario;
use peakscaler::replay::score::Score;
use serde::Serialize;

/// What a cell has shown.
#[derive(Debug, Serialize)]
pub(crate) struct CellResult {
    /// Name of the regime: its target wait in seconds, or `cut-offs`.
    pub(crate) regime: &'static str,
    /// What happens in it.
    pub(crate) happening: &'static str,
    /// What was tuned in it.
    pub(crate) tuned: Vec<(f64, u32)>,
    /// The clairvoyant's bill.
    pub(crate) bill: Bill,
    /// Ours first, then its ablations, then the peers.
    pub(crate) scores: Vec<Score>,
    /// How many of the scores are ours.
    pub(crate) ours: usize,
}

/// What the whole took.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    /// Of all threads, where the system tells.
    pub(crate) processor: Option<Duration>,
    pub(crate) threads: usize,
    pub(crate) days: usize,
}

/// One piece of work: a cell, and which of its runs.
struct Task {
    cell: usize,
    scenario: Scenario,
    regime: Regime,
}

/// What a task gives.
struct Done {
    tuned: (f64, u32),
    bill: Bill,
    ours: Vec<Score>,
    peers: Vec<Score>,
}

/// Runs the cells whose name holds `only`.
pub(crate) fn run(only: &str, seed: u64) -> anyhow::Result<(Vec<CellResult>, Cost)> {
    let cells: Vec<(Regime, Happening)> = benchmark()
        .into_iter()
        .filter(|(regime, happening)| format!("{} {}", regime.name, happening.name()).contains(only))
        .collect();
    let tasks: Vec<Task> = (0..)
        .zip(&cells)
        .flat_map(|(cell, &(regime, happening))| {
            let scenarios = runs(regime, happening, seed).into_iter();
            scenarios.map(move |scenario| Task { cell, scenario, regime })
        })
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let bar = ProgressBar::new(tasks.len() as u64);
    bar.set_style(ProgressStyle::with_template("{elapsed} [{bar:40}] {pos}/{len} runs, {eta} left")?);
    let shared = Shared::new(seed);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = perform(task, &shared)?;
                        let run = (task.cell, task.scenario.seed);
                        done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(run, result);
                        bar.inc(1);
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let cost = Cost {
        elapsed: bar.elapsed(),
        processor: processor_time(),
        threads,
        days: tasks.iter().map(|task| (task.scenario.days - task.scenario.warm_up_days) as usize).sum(),
    };
    bar.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let result = |(index, &(regime, happening)): (usize, &(Regime, Happening))| {
        let rest = done.split_off(&(index + 1, 0));
        let runs = std::mem::replace(&mut done, rest);
        pool(regime, happening, runs.into_values().collect())
    };
    Ok((cells.iter().enumerate().map(result).collect(), cost))
}

/// Processor time of this process so far, out of Linux's `/proc`.
fn processor_time() -> Option<Duration> {
    /// Ticks a second in `/proc`, on every architecture.
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // the name in brackets may hold blanks; user and system time are the 12th and 13th after it
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>().ok()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS))
}

/// What several tasks need and only one works out.
struct Shared {
    seed: u64,
    frozen: Mutex<BTreeMap<&'static str, f64>>,
    bills: Mutex<BTreeMap<String, Bill>>,
}

impl Shared {
    fn new(seed: u64) -> Self {
        Self { seed, frozen: Mutex::default(), bills: Mutex::default() }
    }

    /// The `queueLength` tuned on the regime's earlier weeks.
    fn frozen(&self, regime: Regime) -> anyhow::Result<f64> {
        let mut frozen = self.frozen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(length) = frozen.get(regime.name) {
            return Ok(*length);
        }
        let earlier = Cell::new(earlier_weeks(regime, self.seed))?;
        let (length, _) = tuning::best_queue_length(&[&earlier]);
        frozen.insert(regime.name, length);
        Ok(length)
    }

    /// The clairvoyant sees orders, goal and work alone: cells that differ in other things share it.
    fn bill(&self, cell: &Cell) -> anyhow::Result<Bill> {
        let scenario = cell.scenario();
        let key =
            serde_json::to_string(&(scenario.seed, &scenario.orders, &scenario.goal, &scenario.service))?;
        let known = self.bills.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&key).copied();
        if let Some(bill) = known {
            return Ok(bill);
        }
        let bill = cell.bill().with_context(|| format!("{}: no optimum", scenario.name))?;
        self.bills.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key, bill);
        Ok(bill)
    }
}

fn perform(task: &Task, shared: &Shared) -> anyhow::Result<Done> {
    let frozen = shared.frozen(task.regime)?;
    let cell = Cell::new(task.scenario.clone())?;
    let (hindsight, _) = tuning::best_queue_length(&[&cell]);
    let tuned = Tuned { frozen, hindsight, fleet: tuning::hindsight_fleet(&cell) };
    let run = |policies: Vec<Box<dyn peakscaler::replay::ScalingPolicy>>| {
        policies.into_iter().map(|mut policy| cell.run(policy.as_mut())).collect()
    };
    Ok(Done {
        tuned: (hindsight, tuned.fleet),
        bill: shared.bill(&cell)?,
        ours: run(lineup::ours(&cell)),
        peers: run(lineup::peers(&cell, tuned)),
    })
}

fn pool(regime: Regime, happening: Happening, runs: Vec<Done>) -> CellResult {
    let mut result = CellResult {
        regime: regime.name,
        happening: happening.name(),
        tuned: runs.iter().map(|run| run.tuned).collect(),
        bill: Bill::default(),
        scores: Vec::new(),
        ours: runs.first().map_or(0, |run| run.ours.len()),
    };
    for run in &runs {
        result.bill += run.bill;
    }
    let mut by_policy: Vec<Vec<Score>> = Vec::new();
    for run in runs {
        for (index, score) in run.ours.into_iter().chain(run.peers).enumerate() {
            match by_policy.get_mut(index) {
                Some(scores) => scores.push(score),
                None => by_policy.push(vec![score]),
            }
        }
    }
    result.scores = by_policy.iter().filter_map(|scores| Score::pooled(scores)).collect();
    result
}
