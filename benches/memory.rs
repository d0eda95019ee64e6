//! Memory of 10,000 workloads that have run for a day in the real engine, and how long it takes to
//! decide for all of them: in the whole process, on a clock that this program moves.

#[path = "../loadtests/centre.rs"]
mod centre;
#[path = "../loadtests/memory.rs"]
mod memory;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use peakscaler::clock::{Clock, ManualClock, Stopwatch};
use peakscaler::engine::{Engine, EngineOptions, Entry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WORKLOADS: usize = 10_000;
const DAY: Duration = Duration::from_hours(24);
/// The day in such steps fills all that is kept of it by the hour ...
const COARSE: Duration = Duration::from_mins(10);
/// ... and this many ticks all that is kept by the minute.
const TICKS: usize = 140;
/// Until all have decided.
const WITHIN: Duration = Duration::from_mins(2);

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` runs this too, to see that it runs.
    let workloads = if std::env::args().any(|argument| argument == "--bench") { WORKLOADS } else { 20 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let before = resident()?;
    runtime.block_on(async {
        let (clock, hand) = Clock::manual("2026-11-26T00:00:00Z".parse()?);
        let day = Day::start(clock, hand, workloads);
        let passed = day.run().await?;
        let after = resident()?;
        println!("workloads\t{workloads}");
        println!("resident_megabytes\t{:.1}", after - before);
        println!("kilobytes_each\t{:.1}", (after - before) * 1000.0 / workloads as f64);
        println!("engine_tick_milliseconds\t{:.0}", passed.as_secs_f64() * 1000.0);
        println!("threads\t{}", std::thread::available_parallelism()?);
        Ok(())
    })
}

fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    memory::resident_megabytes(&status).ok_or_else(|| anyhow::anyhow!("no VmRSS in /proc/self/status"))
}

struct Day {
    engine: Engine,
    entries: Vec<Arc<Entry>>,
    clock: Clock,
    hand: ManualClock,
}

impl Day {
    fn start(clock: Clock, hand: ManualClock, workloads: usize) -> Self {
        let options = EngineOptions { idle_after: 2 * DAY, ..EngineOptions::default() };
        let engine = Engine::start(options, Arc::new(centre::Centres), clock.clone(), None);
        let entries = (0..workloads).filter_map(|number| {
            let reference = centre::reference(number, &[]);
            engine.entry(&reference.namespace, &reference.name, &reference.scaler_metadata).ok()
        });
        Self { entries: entries.collect(), engine, clock, hand }
    }

    /// The time that the median tick took, of all workloads.
    async fn run(&self) -> anyhow::Result<Duration> {
        self.all_decided(self.clock.now()).await?;
        let mut passed = Duration::ZERO;
        while passed < DAY {
            self.step(COARSE).await?;
            passed += COARSE;
        }
        let mut took = Vec::with_capacity(TICKS);
        for _ in 0..TICKS {
            took.push(self.step(self.engine.options().tick).await?);
        }
        took.sort();
        Ok(took[TICKS / 2])
    }

    async fn step(&self, by: Duration) -> anyhow::Result<Duration> {
        let watch = Stopwatch::start();
        self.hand.advance(by);
        self.all_decided(self.clock.now()).await?;
        Ok(watch.elapsed())
    }

    /// Waits until every workload has decided for `now` and waits for its next tick.
    async fn all_decided(&self, now: Timestamp) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let mut decided = 0;
        loop {
            let undecided = |entry: &Arc<Entry>| entry.snapshot().is_none_or(|snapshot| snapshot.at < now);
            decided +=
                self.entries[decided..].iter().position(undecided).unwrap_or(self.entries.len() - decided);
            // One more sleeps: the task that drops idle workloads.
            if decided == self.entries.len() && self.hand.sleepers() > self.entries.len() {
                return Ok(());
            }
            anyhow::ensure!(
                watch.elapsed() < WITHIN,
                "only {decided} of {} workloads have decided for {now}",
                self.entries.len()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
