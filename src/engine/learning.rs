//! A workload's forecast from its past: what the history keeps, then what its sources still know.
//!
//! Runs beside the decisions, which go on without a forecast until there is one: no answer waits. What
//! arrives meanwhile is kept by the entry and told to each forecast that takes its place. The past is read
//! newest chunk first, and a forecast made after each, so that some days are soon of use. A chunk
//! that cannot be read is tried again later, and then left out: missing is not zero.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::Semaphore;

use super::Engine;
use super::entry::Entry;
use crate::core::demand::calendar::Calendar;
use crate::core::demand::forecast::ProfileForecast;
use crate::core::demand::outlook::ArrivalForecast as _;
use crate::core::{Flow, Interval};
use crate::history::{Past, Resolution};
use crate::observe::{PastReader, PastWindow};
use crate::trigger::ThroughputSource;

/// Slots of a live forecast: half hours, which keep a workload's memory small.
pub const SLOT_SECONDS: f64 = 1800.0;
/// A chunk of which this share is known is not read again. A queue may have been silent for hours.
const KNOWN_SHARE: f64 = 0.9;
/// Workloads that read their past at a time; each holds some 200 kB while it does.
const READING_AT_ONCE: usize = 256;
/// Forecasts made from a past at a time: a few milliseconds each, and decisions go first.
const LEARNING_AT_ONCE: usize = 1;
/// Attempts for one chunk of the past ...
const ATTEMPTS: u32 = 4;
/// ... and the wait after the first failed one; it doubles.
const WAIT: Duration = Duration::from_secs(30);
/// What was learned before a restart counts for so long.
const RESUME_WITHIN_SECONDS: f64 = 7.0 * 86_400.0;

/// How much is learned at a time.
pub(super) struct Learners {
    reading: Semaphore,
    learning: Semaphore,
}

impl Default for Learners {
    fn default() -> Self {
        Self { reading: Semaphore::new(READING_AT_ONCE), learning: Semaphore::new(LEARNING_AT_ONCE) }
    }
}

/// Learns until the past is read, or the entry has ended.
pub(super) async fn run(engine: Engine, entry: Arc<Entry>) {
    let ended = entry.ended().clone();
    tokio::select! {
        () = ended.cancelled() => {}
        () = engine.shared.stop.cancelled() => {}
        () = learn(&engine, &entry) => {}
    }
    entry.stop_keeping_news();
}

async fn learn(engine: &Engine, entry: &Arc<Entry>) {
    let Some(accepted) = entry.accepted() else { return };
    let Ok(_place) = engine.shared.learners.reading.acquire().await else { return };
    let mut past = kept(engine, entry).await;
    let trigger = &accepted.trigger;
    // Without known arrivals there is nothing to forecast, and nobody to ask.
    if !trigger.policy.forecast || matches!(trigger.throughput, ThroughputSource::Queue) {
        return;
    }
    install(engine, entry, &past).await;
    if !engine.shared.knowledge.backfill {
        return;
    }
    if let Some(reader) = engine.shared.sources.past(entry.id(), trigger) {
        backfill(engine, entry, reader.as_ref(), &mut past).await;
    }
}

/// What the history keeps of arrivals; a service rate learned before is gone on from.
async fn kept(engine: &Engine, entry: &Arc<Entry>) -> Past {
    let Some(history) = engine.shared.knowledge.history.clone() else { return Past::default() };
    let Some(series) = entry.series().cloned() else { return Past::default() };
    let read = tokio::task::spawn_blocking(move || {
        Ok::<_, crate::history::StoreError>((
            history.read(&series, Flow::Arrivals)?,
            history.learned(&series)?,
        ))
    });
    match read.await {
        Ok(Ok((past, learned))) => {
            let now = engine.clock().now();
            let recent = learned.filter(|learned| {
                (-3600.0..RESUME_WITHIN_SECONDS).contains(&crate::clock::seconds_between(learned.at, now))
            });
            if let Some(learned) = recent {
                entry.resume_service(learned.service_rate, learned.concurrency, learned.settled);
            }
            past
        }
        Ok(Err(error)) => {
            tracing::error!(workload = %entry.id(), %error, "the history cannot be read");
            Past::default()
        }
        Err(_) => Past::default(),
    }
}

async fn backfill(engine: &Engine, entry: &Arc<Entry>, reader: &dyn PastReader, past: &mut Past) {
    let workload = entry.id();
    let windows = reader.windows(engine.clock().now());
    let missing: Vec<PastWindow> = windows.into_iter().filter(|window| !is_known(past, window)).collect();
    let chunks = missing.len();
    for (index, window) in missing.into_iter().enumerate() {
        let Some(told) = read(engine, entry, reader, window).await else { continue };
        let (steps, orders) = take_in(engine, entry, &told, past);
        // Hundreds wait below for their turn: with what was made of it, and not with what was read.
        drop(told);
        tracing::info!(
            %workload, chunk = index + 1, chunks, from = %window.from, to = %window.to, steps,
            orders = orders.round(), "read of the past"
        );
        if steps > 0 {
            install(engine, entry, past).await;
        }
    }
}

/// Adds what was read to the past and to the history; returns how many counts of arrivals there were, and
/// their orders.
fn take_in(engine: &Engine, entry: &Entry, told: &[(Flow, Interval)], past: &mut Past) -> (usize, f64) {
    let of = |wanted: Flow| -> Vec<Interval> {
        told.iter().filter(|(flow, _)| *flow == wanted).map(|(_, interval)| *interval).collect()
    };
    let (arrivals, completions) = (of(Flow::Arrivals), of(Flow::Completions));
    let news = Past::of(&arrivals);
    past.merge(&news);
    if let (Some(history), Some(series)) = (&engine.shared.knowledge.history, entry.series()) {
        history.record_past(series, Flow::Arrivals, news);
        history.record_past(series, Flow::Completions, Past::of(&completions));
    }
    (arrivals.len(), arrivals.iter().map(|interval| interval.count).sum())
}

fn is_known(past: &Past, window: &PastWindow) -> bool {
    let of_step = Resolution::ALL.into_iter().find(|one| one.seconds() >= window.step_seconds);
    of_step.is_some_and(|resolution| past.knows(resolution, window.from, window.to, KNOWN_SHARE))
}

async fn read(
    engine: &Engine,
    entry: &Entry,
    reader: &dyn PastReader,
    window: PastWindow,
) -> Option<Vec<(Flow, Interval)>> {
    let workload = entry.id();
    for attempt in 1..=ATTEMPTS {
        match reader.read(window).await {
            Ok(told) => return Some(told),
            Err(error) if attempt == ATTEMPTS => {
                tracing::warn!(
                    %workload, from = %window.from, to = %window.to, error,
                    "a part of the past cannot be read and counts as unknown"
                );
            }
            Err(error) => {
                tracing::debug!(%workload, from = %window.from, attempt, error, "a part of the past fails");
                engine.clock().sleep(WAIT * 2_u32.pow(attempt - 1)).await;
            }
        }
    }
    None
}

/// Makes a forecast from the past and gives it to the entry.
async fn install(engine: &Engine, entry: &Arc<Entry>, past: &Past) {
    let Some(accepted) = entry.accepted() else { return };
    let Ok(zone) = TimeZone::get(&accepted.trigger.policy.time_zone) else { return };
    let Ok(_place) = engine.shared.learners.learning.acquire().await else { return };
    let calendar = engine.shared.knowledge.calendars.of(&entry.id().namespace);
    let intervals = past.intervals(engine.clock().now());
    let made = tokio::task::spawn_blocking(move || forecast(zone, &calendar, &intervals)).await;
    if let Ok(forecast) = made {
        entry.set_forecast(forecast);
    }
}

/// A forecast that has seen these intervals. The calendar comes first, so that past peaks stay out of
/// what is learned.
pub fn forecast(zone: TimeZone, calendar: &Arc<Calendar>, intervals: &[Interval]) -> ProfileForecast {
    let mut forecast = ProfileForecast::new(zone, SLOT_SECONDS);
    if !calendar.is_empty() {
        forecast.set_calendar(calendar);
    }
    for interval in intervals {
        forecast.observe(interval);
    }
    forecast
}
