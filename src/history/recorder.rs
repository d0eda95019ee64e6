//! Takes in what is observed without waiting, and writes it to the [`Store`] from a thread of its own.
//!
//! Once a minute all that came is written in one transaction; so a process that is killed loses a
//! minute at most, which its sources tell again. A disk that fails costs the history and nothing else:
//! what waits is bounded, and the failure is logged when it begins and when it ends.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::grid::Past;
use super::store::{Learned, SeriesKey, Store, StoreError};
use crate::clock::Clock;
use crate::core::{Flow, Interval};
use crate::telemetry::catalogue;

/// From one write to the next.
const WRITE_EVERY: Duration = Duration::from_mins(1);
/// Intervals that wait at most, in all; with a disk that fails the oldest are lost.
const MOST_WAITING: usize = 1 << 20;

/// A handle to the store; cheap to clone. The last one dropped writes what waits.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    _writer: Arc<Writer>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    store: Mutex<Store>,
    directory: PathBuf,
    max_bytes: u64,
    clock: Clock,
}

#[derive(Default)]
struct Waiting {
    intervals: HashMap<(SeriesKey, Flow), Vec<Interval>>,
    count: usize,
    pasts: Vec<(SeriesKey, Flow, Past)>,
    learned: HashMap<SeriesKey, Learned>,
}

struct Writer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Recorder {
    /// Opens the store of a directory and starts the thread that writes to it.
    ///
    /// # Errors
    /// As [`Store::open`], and when the system gives no thread.
    pub fn open(directory: &Path, max_bytes: u64, clock: Clock) -> Result<Self, StoreError> {
        let store = Store::open(directory, max_bytes)?;
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            store: Mutex::new(store),
            directory: directory.to_owned(),
            max_bytes,
            clock,
        });
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn({
                let shared = shared.clone();
                move || write_for_ever(&shared, &woken)
            })
            .map_err(|source| StoreError::Io { path: directory.to_owned(), source })?;
        let writer = Writer { wake: Some(wake), thread: Some(thread) };
        Ok(Self { shared, _writer: Arc::new(writer) })
    }

    /// Notes what was observed; never waits for the disk.
    pub fn record(&self, series: &SeriesKey, flow: Flow, intervals: &[Interval]) {
        if intervals.is_empty() {
            return;
        }
        let mut waiting = lock(&self.shared.waiting);
        if waiting.count + intervals.len() > MOST_WAITING {
            waiting.intervals.clear();
            waiting.count = 0;
            catalogue::HISTORY_WRITES.count_with("lost");
        }
        waiting.count += intervals.len();
        waiting.intervals.entry((series.clone(), flow)).or_default().extend_from_slice(intervals);
    }

    /// Notes what was read of the past.
    pub fn record_past(&self, series: &SeriesKey, flow: Flow, past: Past) {
        lock(&self.shared.waiting).pasts.push((series.clone(), flow, past));
    }

    /// Notes what was learned, in the place of what was noted before.
    pub fn remember(&self, series: &SeriesKey, learned: Learned) {
        lock(&self.shared.waiting).learned.insert(series.clone(), learned);
    }

    /// All that was written of a series. Waits for the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read(&self, series: &SeriesKey, flow: Flow) -> Result<Past, StoreError> {
        lock(&self.shared.store).read(series, flow, self.shared.clock.now())
    }

    /// What a workload had learned. Waits for the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn learned(&self, series: &SeriesKey) -> Result<Option<Learned>, StoreError> {
        lock(&self.shared.store).learned(series)
    }

    /// Writes what waits, now. Waits for the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&self) -> Result<(), StoreError> {
        self.shared.write()
    }
}

impl Shared {
    fn write(&self) -> Result<(), StoreError> {
        // In this order everywhere; whoever reads next finds all that came before.
        let mut store = lock(&self.store);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        let mut news = waiting.pasts;
        for ((series, flow), intervals) in waiting.intervals {
            news.push((series, flow, Past::of(&intervals)));
        }
        if news.is_empty() && waiting.learned.is_empty() {
            return Ok(());
        }
        let learned: Vec<_> = waiting.learned.into_iter().collect();
        let written = store.write(&news, &learned, self.clock.now());
        catalogue::HISTORY_WRITES.count_with(if written.is_ok() { "written" } else { "failed" });
        match written {
            Err(StoreError::Damaged { reason, .. }) => {
                tracing::error!(reason, "the history cannot be written to: it is opened anew");
                // Opening checks every page, and sets a damaged file aside.
                *store = store.reopen(&self.directory, self.max_bytes)?;
                store.write(&news, &learned, self.clock.now())
            }
            Err(error) => {
                // For the next time, as far as there is room.
                let mut waiting = lock(&self.waiting);
                waiting.pasts.extend(news.into_iter().take(10_000));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }
}

fn write_for_ever(shared: &Shared, woken: &Receiver<()>) {
    let mut failing = false;
    loop {
        let is_last = matches!(woken.recv_timeout(WRITE_EVERY), Err(RecvTimeoutError::Disconnected));
        match shared.write() {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("the history is written again");
            }
            Ok(()) => {}
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "the history cannot be written");
                }
                failing = true;
            }
        }
        if is_last {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
