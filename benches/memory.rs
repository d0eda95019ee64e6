//! Memory of 10,000 workloads that have run for a day in the real engine, and how long it takes to
//! decide for all of them: in the whole process, on a clock that this program moves. Once with forecasts
//! that have seen that day alone, and once, in a process of its own, with those of five weeks.

#[path = "../loadtests/centre.rs"]
mod centre;
#[path = "../loadtests/memory.rs"]
mod memory;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::{Clock, ManualClock, Stopwatch};
use peakscaler::core::Flow;
use peakscaler::core::decision::ForecastSummary;
use peakscaler::core::demand::outlook::PRESENT_RATE;
use peakscaler::engine::{Engine, EngineOptions, Entry};
use peakscaler::observe::{
    AttachError, PastRead, PastReader, PastWindow, Sources, WorkloadId, WorkloadSource,
};
use peakscaler::trigger::Trigger;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WORKLOADS: usize = 10_000;
const DAY: Duration = Duration::from_hours(24);
/// The day in such steps fills all that is kept of it by the hour ...
const COARSE: Duration = Duration::from_mins(10);
/// ... and this many ticks all that is kept by the minute.
const TICKS: usize = 140;
/// Until all have decided, also while the past of each is read.
const WITHIN: Duration = Duration::from_mins(2);

/// Makes this program measure with a past.
const WITH_PAST: &str = "--with-past";
/// Days of hours that each workload's sources know then.
const PAST_DAYS: i64 = 35;

fn main() -> anyhow::Result<()> {
    let with_past = std::env::args().any(|argument| argument == WITH_PAST);
    // `cargo test --benches` runs this too, to see that it runs.
    let workloads = if std::env::args().any(|argument| argument == "--bench") { WORKLOADS } else { 20 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let before = resident()?;
    runtime.block_on(async {
        let (clock, hand) = Clock::manual("2026-11-26T00:00:00Z".parse()?);
        let day = Day::start(clock, hand, workloads, with_past);
        // Before time moves: who began to sleep across a move would wake a tick late.
        day.all_decided(day.clock.now()).await?;
        if with_past {
            day.all_foresee().await?;
        }
        let passed = day.run().await?;
        let after = resident()?;
        if with_past {
            println!("resident_megabytes_with_five_weeks\t{:.1}", after - before);
            println!("engine_tick_milliseconds_with_five_weeks\t{:.0}", passed.as_secs_f64() * 1000.0);
            return Ok(());
        }
        println!("workloads\t{workloads}");
        println!("resident_megabytes\t{:.1}", after - before);
        println!("kilobytes_each\t{:.1}", (after - before) * 1000.0 / workloads as f64);
        println!("engine_tick_milliseconds\t{:.0}", passed.as_secs_f64() * 1000.0);
        println!("threads\t{}", std::thread::available_parallelism()?);
        anyhow::Ok(())
    })?;
    if !with_past {
        let arguments = std::env::args().skip(1);
        let status = Command::new(std::env::current_exe()?).args(arguments).arg(WITH_PAST).status()?;
        anyhow::ensure!(status.success(), "the measurement with a past failed");
    }
    Ok(())
}

/// Centres whose sources know five weeks of hours.
struct Remembering;

impl Sources for Remembering {
    fn attach(
        &self,
        workload: &WorkloadId,
        trigger: &Trigger,
    ) -> Result<Box<dyn WorkloadSource>, AttachError> {
        centre::Centres.attach(workload, trigger)
    }

    fn past(&self, workload: &WorkloadId, _: &Trigger) -> Option<Box<dyn PastReader>> {
        Some(Box::new(FiveWeeks(workload.name.clone())))
    }
}

struct FiveWeeks(String);

impl PastReader for FiveWeeks {
    fn windows(&self, now: Timestamp) -> Vec<PastWindow> {
        // Whole hours, as CloudWatch and Prometheus are asked for.
        let to = now - SignedDuration::from_secs(now.as_second().rem_euclid(3600));
        vec![PastWindow { from: to - SignedDuration::from_hours(24 * PAST_DAYS), to, step_seconds: 3600 }]
    }

    fn read(&self, window: PastWindow) -> PastRead<'_> {
        let mut centre = centre::Centre::new(&self.0);
        let mut told = Vec::new();
        let mut at = window.from;
        while at < window.to {
            at += SignedDuration::from_hours(1);
            let hour = centre.observation(at).arrivals.into_iter();
            told.extend(hour.map(|interval| (Flow::Arrivals, interval)));
        }
        Box::pin(std::future::ready(Ok(told)))
    }
}

fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    memory::resident_megabytes(&status).ok_or_else(|| anyhow::anyhow!("no VmRSS in /proc/self/status"))
}

/// What a workload's last decision leaned on.
fn forecast(entry: &Entry) -> Option<ForecastSummary> {
    entry.snapshot()?.record.as_ref()?.forecast.clone()
}

struct Day {
    engine: Engine,
    entries: Vec<Arc<Entry>>,
    clock: Clock,
    hand: ManualClock,
}

impl Day {
    fn start(clock: Clock, hand: ManualClock, workloads: usize, with_past: bool) -> Self {
        let options = EngineOptions { idle_after: 2 * DAY, ..EngineOptions::default() };
        let sources: Arc<dyn Sources> =
            if with_past { Arc::new(Remembering) } else { Arc::new(centre::Centres) };
        let engine = Engine::start(options, sources, clock.clone(), None);
        let entries = (0..workloads).filter_map(|number| {
            let reference = centre::reference(number, &[]);
            engine.entry(&reference.namespace, &reference.name, &reference.scaler_metadata).ok()
        });
        Self { entries: entries.collect(), engine, clock, hand }
    }

    /// Waits until every workload plans with a forecast of five weeks.
    async fn all_foresee(&self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let mut left: Vec<&Arc<Entry>> = self.entries.iter().collect();
        loop {
            let took = self.step(self.engine.options().tick).await?;
            // As in a server, decisions leave most of the time: learning waits behind them.
            tokio::time::sleep(9 * took).await;
            left.retain(|entry| forecast(entry).is_none_or(|it| it.model.starts_with(PRESENT_RATE)));
            let Some(first) = left.first() else { return Ok(()) };
            anyhow::ensure!(
                watch.elapsed() < 5 * WITHIN,
                "{} workloads have not learned from their past, {} because {:?}",
                left.len(),
                first.id(),
                forecast(first).and_then(|forecast| forecast.distrust)
            );
        }
    }

    /// The time that the median tick took, of all workloads.
    async fn run(&self) -> anyhow::Result<Duration> {
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
