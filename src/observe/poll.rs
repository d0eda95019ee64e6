//! Background polls that several workloads share.
//!
//! A [`Registry`] holds one poll a key while somebody has a [`Lease`] on it; the last lease dropped
//! ends it. A poll writes to a [`Cell`], which remembers how fresh it is, what went wrong last and who
//! wants to be woken. [`run`] repeats a read for ever: after a failure the next one comes later, by
//! the period plus a random part of a growing bound (full jitter), so that a poll never asks more
//! often than its period whatever happens and many failing polls do not come in step.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::{Clock, seconds_between};

/// Locks a mutex; a holder that panicked leaves data that is still whole, for nothing here is updated by halves.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct ReadError {
    /// What is wrong and what to do about it.
    pub(super) message: String,
    /// The other side asks for fewer calls.
    pub(super) is_throttling: bool,
}

impl ReadError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_throttling: false }
    }

    pub(super) fn throttled(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_throttling: true }
    }
}

/// When a poll is repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// From one read to the next.
    pub(super) period: Duration,
    /// Random part added to each period, so that polls started together drift apart.
    pub(super) spread: Duration,
}

/// The bound of the random wait after the first failure; it doubles with each further one.
const FIRST_BACK_OFF_SECONDS: f64 = 5.0;
/// The largest bound after ordinary failures: recovery is noticed within the period and this, so that KEDA has a number
/// again within two of its polls (30 s).
const LONGEST_BACK_OFF_SECONDS: f64 = 20.0;
/// The largest bound while the other side throttles.
const LONGEST_THROTTLED_SECONDS: f64 = 300.0;

impl Schedule {
    /// The wait after a success; `random` is uniform in `[0, 1)`.
    fn after_success(self, random: f64) -> Duration {
        self.period + self.spread.mul_f64(random)
    }

    /// The wait after `failures` failures in a row; `random` is uniform in `[0, 1)`.
    fn after_failure(self, failures: u32, is_throttling: bool, random: f64) -> Duration {
        let longest = if is_throttling { LONGEST_THROTTLED_SECONDS } else { LONGEST_BACK_OFF_SECONDS };
        let doublings = i32::try_from(failures.saturating_sub(1).min(16)).unwrap_or(16);
        let bound = (FIRST_BACK_OFF_SECONDS * 2_f64.powi(doublings)).min(longest);
        self.period + Duration::from_secs_f64(bound * random)
    }
}

/// What a poll last read, and how it is doing.
#[derive(Debug)]
pub(super) struct Cell<T> {
    value: Mutex<T>,
    health: Mutex<Health>,
    listeners: Listeners,
}

/// How a poll is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Health {
    /// When the last good read was asked for.
    pub(super) last_good: Option<Timestamp>,
    /// The last failure, while it lasts.
    pub(super) error: Option<String>,
}

impl Health {
    /// Seconds since the last good read.
    pub(super) fn age_seconds(&self, now: Timestamp) -> Option<f64> {
        self.last_good.map(|at| seconds_between(at, now).max(0.0))
    }
}

impl<T: Default> Default for Cell<T> {
    fn default() -> Self {
        Self { value: Mutex::default(), health: Mutex::default(), listeners: Listeners::default() }
    }
}

impl<T> Cell<T> {
    /// The value, locked: hold it briefly.
    pub(super) fn value(&self) -> MutexGuard<'_, T> {
        lock(&self.value)
    }

    pub(super) fn health(&self) -> Health {
        lock(&self.health).clone()
    }

    pub(super) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// A read that was asked for at `at` succeeded; the value is already in place.
    pub(super) fn succeeded(&self, at: Timestamp) {
        *lock(&self.health) = Health { last_good: Some(at), error: None };
        self.listeners.wake();
    }

    /// A read failed; the value stays.
    pub(super) fn failed(&self, message: String) {
        lock(&self.health).error = Some(message);
        self.listeners.wake();
    }
}

/// Who is woken when something new is there.
#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<Vec<Weak<Notify>>>);

impl Listeners {
    pub(super) fn add(&self, listener: &Arc<Notify>) {
        let mut listeners = lock(&self.0);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
    }

    pub(super) fn wake(&self) {
        for listener in lock(&self.0).iter().filter_map(Weak::upgrade) {
            listener.notify_one();
        }
    }
}

/// Repeats `read` for ever on `schedule`, the first time at once. `read` gets the moment at which it is
/// asked for; it puts the value in place itself, and `cell` learns how it went.
pub(super) async fn run<T, Read, Reading>(
    clock: Clock,
    schedule: Schedule,
    cell: Arc<Cell<T>>,
    mut read: Read,
) where
    Read: FnMut(Timestamp) -> Reading,
    Reading: Future<Output = Result<(), ReadError>>,
{
    let mut failures = 0;
    loop {
        let at = clock.now();
        let wait = match read(at).await {
            Ok(()) => {
                failures = 0;
                cell.succeeded(at);
                schedule.after_success(rand::random())
            }
            Err(error) => {
                failures += 1;
                let wait = schedule.after_failure(failures, error.is_throttling, rand::random());
                if failures == 1 {
                    tracing::warn!(error = %error, "a source cannot be read");
                }
                cell.failed(error.message);
                wait
            }
        };
        clock.sleep(wait).await;
    }
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn new(handle: JoinHandle<()>) -> Self {
        Self(handle)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Entries<K, P> = Mutex<HashMap<K, Weak<Lease<K, P>>>>;

/// One poll a key, while somebody has a lease on it.
#[derive(Debug)]
pub(super) struct Registry<K: Eq + Hash, P> {
    entries: Arc<Entries<K, P>>,
}

/// A share in a poll.
#[derive(Debug)]
pub(super) struct Lease<K: Eq + Hash, P> {
    key: K,
    poll: P,
    entries: Weak<Entries<K, P>>,
}

impl<K: Eq + Hash, P> Default for Registry<K, P> {
    fn default() -> Self {
        Self { entries: Arc::default() }
    }
}

impl<K: Eq + Hash + Clone, P> Registry<K, P> {
    /// The poll of `key`; `start` makes it when nobody has one.
    pub(super) fn get(&self, key: &K, start: impl FnOnce() -> P) -> Arc<Lease<K, P>> {
        let mut entries = lock(&self.entries);
        if let Some(lease) = entries.get(key).and_then(Weak::upgrade) {
            return lease;
        }
        let lease =
            Arc::new(Lease { key: key.clone(), poll: start(), entries: Arc::downgrade(&self.entries) });
        entries.insert(key.clone(), Arc::downgrade(&lease));
        lease
    }

    /// How many polls are running.
    pub(super) fn len(&self) -> usize {
        lock(&self.entries).len()
    }
}

impl<K: Eq + Hash, P> Drop for Lease<K, P> {
    fn drop(&mut self) {
        if let Some(entries) = self.entries.upgrade() {
            let mut entries = lock(&entries);
            // Somebody may have started a new poll for the key since the last lease ended.
            if entries.get(&self.key).is_some_and(|entry| entry.strong_count() == 0) {
                entries.remove(&self.key);
            }
        }
    }
}

impl<K: Eq + Hash, P> Deref for Lease<K, P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.poll
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SCHEDULE: Schedule = Schedule { period: Duration::from_secs(20), spread: Duration::from_secs(1) };

    #[test]
    fn a_wait_is_never_below_the_period_and_grows_to_a_bound() {
        for (failures, is_throttling, longest) in [
            (1, false, 25.0),
            (2, false, 30.0),
            (3, false, 40.0),
            (5, false, 40.0),
            (500, false, 40.0),
            (1, true, 25.0),
            (5, true, 100.0),
            (500, true, 320.0),
        ] {
            for random in [0.0, 0.5, 0.999_999] {
                let wait = SCHEDULE.after_failure(failures, is_throttling, random).as_secs_f64();
                let expected = 20.0 + (longest - 20.0) * random;
                assert!((wait - expected).abs() < 0.01, "{failures} {is_throttling} {random}: {wait}");
            }
        }
    }

    #[tokio::test]
    async fn a_throttled_poll_asks_less_often_and_recovers() {
        let (clock, hand) = Clock::manual("2026-11-27T08:00:00Z".parse().unwrap());
        let cell = Arc::new(Cell::<u32>::default());
        let calls = Arc::new(AtomicUsize::new(0));
        let is_throttled = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let _task = Task::new(tokio::spawn(run(clock.clone(), SCHEDULE, cell.clone(), {
            let (calls, is_throttled) = (calls.clone(), is_throttled.clone());
            move |_| {
                calls.fetch_add(1, Ordering::SeqCst);
                let answer = if is_throttled.load(Ordering::SeqCst) {
                    Err(ReadError::throttled("throttled by the queue"))
                } else {
                    Ok(())
                };
                async move { answer }
            }
        })));
        let pass = async |seconds: u32| {
            for _ in 0..seconds {
                while hand.sleepers() == 0 {
                    tokio::task::yield_now().await;
                }
                hand.advance(Duration::from_secs(1));
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
            }
        };
        pass(3600).await;
        let throttled = calls.load(Ordering::SeqCst);
        assert!((11..=100).contains(&throttled), "{throttled} calls in an hour of throttling");
        assert_eq!(cell.health().error.as_deref(), Some("throttled by the queue"));
        assert_eq!(cell.health().last_good, None);

        is_throttled.store(false, Ordering::SeqCst);
        pass(330).await;
        assert_eq!(cell.health().error, None);
        let before = calls.load(Ordering::SeqCst);
        pass(3600).await;
        let regular = calls.load(Ordering::SeqCst) - before;
        assert!((165..=180).contains(&regular), "{regular} calls in an hour");
    }

    #[test]
    fn a_poll_is_shared_and_ends_with_its_last_lease() {
        let registry = Registry::<&str, usize>::default();
        let first = registry.get(&"orders", || 1);
        let second = registry.get(&"orders", || 2);
        let other = registry.get(&"parcels", || 3);
        assert_eq!((**first, **second, **other), (1, 1, 3));
        assert_eq!(registry.len(), 2);
        drop(first);
        assert_eq!(**registry.get(&"orders", || 4), 1);
        drop(second);
        assert_eq!(registry.len(), 1);
        assert_eq!(**registry.get(&"orders", || 5), 5);
    }
}
