//! The task over one view on the sources: it observes once and lets every entry on it decide.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Engine;
use super::entry::{Accepted, Entry, Snapshot};
use super::error::EngineError;
use crate::clock::Stopwatch;
use crate::core::Flow;
use crate::core::plan::situation::{Service, ServiceSource};
use crate::history::{Learned, Recorder};
use crate::observe::{Observed, WorkloadId, WorkloadSource};
use crate::telemetry::catalogue;
use crate::trigger::Trigger;

/// Sources that could not be opened are tried again after this time.
const ATTACH_AGAIN_AFTER: Duration = Duration::from_secs(30);

pub(super) struct Feed {
    entries: Mutex<Option<Vec<Arc<Entry>>>>,
    joined: Notify,
    stop: CancellationToken,
}

impl Feed {
    pub(super) fn new(stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { entries: Mutex::new(Some(Vec::new())), joined: Notify::new(), stop })
    }

    /// Adds an entry; `false` when the task is ending and cannot take it.
    pub(super) fn join(self: &Arc<Self>, entry: &Arc<Entry>) -> bool {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entries) = entries.as_mut() else { return false };
        entries.push(entry.clone());
        entry.set_feed(self);
        self.joined.notify_one();
        true
    }

    /// Takes an entry out, and ends the task with the last one.
    pub(super) fn leave(&self, entry: &Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(staying) = entries.as_mut() else { return };
        staying.retain(|other| !std::ptr::eq(Arc::as_ptr(other), entry));
        if staying.is_empty() {
            *entries = None;
            self.stop.cancel();
        }
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }
}

/// Should deciding panic, its workloads are dropped, so that the next request starts them afresh.
struct DropOnPanic {
    feed: Arc<Feed>,
    engine: Engine,
}

impl Drop for DropOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for entry in self.feed.entries() {
                self.engine.remove(&entry, "panic");
            }
        }
    }
}

/// Observes and decides until the last entry has left or the engine stops.
pub(super) async fn run(feed: Arc<Feed>, engine: Engine, id: WorkloadId, accepted: Arc<Accepted>) {
    let guard = DropOnPanic { feed, engine };
    let stop = guard.feed.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = observe_and_decide(&guard.feed, &guard.engine, &id, &accepted.trigger) => {}
    }
}

async fn observe_and_decide(feed: &Feed, engine: &Engine, id: &WorkloadId, trigger: &Trigger) {
    let clock = engine.clock();
    let mut source = attach(feed, engine, id, trigger).await;
    // Ten thousand workloads that came at once must not decide at once: requests would wait behind them.
    let phase = rand::random_range(0.0..1.0);
    let mut last = Timestamp::MIN;
    loop {
        // The system's clock may be set back; the core's time never goes back.
        let now = clock.now().max(last);
        last = now;
        tick(feed, engine, source.as_mut(), now);
        tokio::select! {
            () = feed.joined.notified() => {}
            () = source.changed() => {}
            () = clock.sleep(until_next(clock.now(), engine.options().tick, phase)) => {}
        }
    }
}

/// The time to a workload's own moment in each tick, `phase` of the way through it; never zero, and
/// one tick at most. A moment and not a pause, so that the workloads part again after a stall.
fn until_next(now: Timestamp, tick: Duration, phase: f64) -> Duration {
    let tick_nanoseconds = i128::try_from(tick.as_nanos()).unwrap_or(i128::MAX).max(1);
    let own = i128::try_from(tick.mul_f64(phase).as_nanos()).unwrap_or(0);
    let passed = (now.as_nanosecond() - own).rem_euclid(tick_nanoseconds);
    Duration::from_nanos(u64::try_from(tick_nanoseconds - passed).unwrap_or(u64::MAX))
}

/// Opens the sources, telling every entry while that fails.
async fn attach(feed: &Feed, engine: &Engine, id: &WorkloadId, trigger: &Trigger) -> Box<dyn WorkloadSource> {
    loop {
        match engine.shared.sources.attach(id, trigger) {
            Ok(source) => return source,
            Err(error) => {
                tracing::warn!(workload = %id, %error, "sources cannot be opened");
                for entry in feed.entries() {
                    entry.fail(EngineError::Attach(error.clone()), engine.clock().now());
                }
            }
        }
        tokio::select! {
            () = feed.joined.notified() => {}
            () = engine.clock().sleep(ATTACH_AGAIN_AFTER) => {}
        }
    }
}

fn tick(feed: &Feed, engine: &Engine, source: &mut dyn WorkloadSource, now: Timestamp) {
    let observed = source.observe(now);
    let knowledge = &engine.shared.knowledge;
    let entries = feed.entries();
    if let (Some(history), Some(entry)) = (&knowledge.history, entries.first()) {
        keep(history, entry, &observed);
    }
    for entry in entries {
        let watch = Stopwatch::start();
        let before = entry.snapshot();
        let calendar = knowledge.calendars.of(&entry.id().namespace);
        let Some(snapshot) = entry.decide(&observed, &calendar) else { continue };
        catalogue::DECISION_DURATION.record(watch.elapsed().as_secs_f64());
        catalogue::DECISIONS.count();
        log_change(&entry, before.as_deref(), &snapshot);
        if let (Some(records), Some(record), Some(accepted)) =
            (&engine.shared.records, &snapshot.record, entry.accepted())
        {
            records.offer(entry.id(), &accepted.trigger.policy, record);
        }
    }
}

/// Entries on one view have one history: the same orders.
fn keep(history: &Recorder, entry: &Entry, observed: &Observed) {
    let Some(series) = entry.series() else { return };
    history.record(series, Flow::Arrivals, &observed.observation.arrivals);
    history.record(series, Flow::Completions, &observed.observation.completions);
    let snapshot = entry.snapshot();
    let learned = snapshot.as_deref().and_then(|snapshot| snapshot.record.as_deref()?.inputs.as_deref());
    // Something was completed: what it taught is worth keeping.
    if let Some(inputs) = learned.filter(|inputs| {
        inputs.service.source == ServiceSource::Learned && !observed.observation.completions.is_empty()
    }) {
        let Service { per_second: service_rate, concurrency, settled, .. } = inputs.service;
        history.remember(series, Learned { service_rate, concurrency, settled, at: inputs.at });
    }
}

/// A line when the number or the failure changes; nothing otherwise.
fn log_change(entry: &Entry, before: Option<&Snapshot>, snapshot: &Snapshot) {
    let workload = entry.id();
    if let Some(trouble) = &snapshot.trouble
        && before.is_none_or(|before| before.trouble.is_none())
    {
        tracing::error!(%workload, trouble, "an observation was refused");
    }
    if before.is_some_and(|before| before.outcome == snapshot.outcome) {
        return;
    }
    let reason = snapshot.record.as_ref().map_or("", |record| record.reason.as_str());
    match &snapshot.outcome {
        Ok(desired) => tracing::info!(%workload, desired, reason, "decided"),
        Err(error) => {
            let was_failing = before.is_some_and(|before| before.outcome.is_err());
            if !was_failing {
                tracing::warn!(%workload, %error, "no decision");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_moment_comes_within_each_tick() {
        let start: Timestamp = "2026-11-27T08:00:00Z".parse().unwrap();
        let tick = Duration::from_secs(5);
        for (phase, after_millis, wait_millis) in [
            (0.0, 0, 5000),
            (0.0, 1, 4999),
            (0.2, 0, 1000),
            (0.2, 999, 1),
            (0.2, 1000, 5000),
            (0.2, 7000, 4000),
        ] {
            let now = crate::clock::later(start, Duration::from_millis(after_millis));
            let wait = until_next(now, tick, phase);
            assert_eq!(wait, Duration::from_millis(wait_millis), "phase {phase}, {after_millis} ms on");
        }
    }
}
