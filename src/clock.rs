//! The one place that reads time.
//!
//! A [`Clock`] is handed around; nothing else asks the operating system. It tells real time, scaled
//! time (the demo's day runs at 60 times the speed) or time that a test moves by hand. All durations
//! given to it are durations of *its* time: on a clock at 60 times the speed a sleep of one minute
//! takes a second.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Tells the time and waits for it. Cheap to clone; clones tell the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
enum Inner {
    Real,
    Scaled { start: Timestamp, origin: tokio::time::Instant, speed: f64 },
    Manual(watch::Sender<Timestamp>),
}

impl Clock {
    /// The operating system's clock.
    pub fn real() -> Self {
        Self { inner: Arc::new(Inner::Real) }
    }

    /// A clock that reads `start` now and runs `speed` times as fast as real time.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads time")]
    pub fn scaled(start: Timestamp, speed: f64) -> Self {
        Self {
            inner: Arc::new(Inner::Scaled {
                start,
                origin: tokio::time::Instant::now(),
                speed: if speed.is_finite() && speed > 0.0 { speed } else { 1.0 },
            }),
        }
    }

    /// A clock that stands still at `start` until the handle moves it.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let (sender, _) = watch::channel(start);
        let inner = Arc::new(Inner::Manual(sender));
        (Self { inner: inner.clone() }, ManualClock { inner })
    }

    /// The present moment of this clock.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads time")]
    pub fn now(&self) -> Timestamp {
        match &*self.inner {
            Inner::Real => Timestamp::now(),
            Inner::Scaled { start, origin, speed } => later(*start, origin.elapsed().mul_f64(*speed)),
            Inner::Manual(sender) => *sender.borrow(),
        }
    }

    /// How many seconds of this clock pass in one real second; 1 for a manual clock.
    pub fn speed(&self) -> f64 {
        match &*self.inner {
            Inner::Scaled { speed, .. } => *speed,
            Inner::Real | Inner::Manual(_) => 1.0,
        }
    }

    /// Waits for `duration` of this clock's time.
    pub async fn sleep(&self, duration: Duration) {
        match &*self.inner {
            Inner::Real => tokio::time::sleep(duration).await,
            Inner::Scaled { speed, .. } => tokio::time::sleep(duration.div_f64(*speed)).await,
            Inner::Manual(sender) => {
                let mut receiver = sender.subscribe();
                let deadline = later(*receiver.borrow(), duration);
                // The sender lives in `self.inner`, so this cannot fail while we wait.
                let _ = receiver.wait_for(|now| *now >= deadline).await;
            }
        }
    }

    /// Waits until this clock reads `moment`; returns at once when that is past.
    pub async fn sleep_until(&self, moment: Timestamp) {
        if let Ok(duration) = Duration::try_from(moment.duration_since(self.now())) {
            self.sleep(duration).await;
        }
    }

    /// Ticks every `period` of this clock's time, the first time at once. Missed ticks are skipped.
    ///
    /// # Panics
    /// When `period` is zero.
    pub fn interval(&self, period: Duration) -> Interval {
        assert!(!period.is_zero(), "an interval needs a period above zero");
        Interval { clock: self.clone(), period, next: self.now() }
    }
}

/// See [`Clock::interval`].
#[derive(Debug)]
pub struct Interval {
    clock: Clock,
    period: Duration,
    next: Timestamp,
}

impl Interval {
    /// Waits for the next tick and returns the moment of it. Cancel safe.
    pub async fn tick(&mut self) -> Timestamp {
        let wait = self.next.duration_since(self.clock.now());
        if let Ok(wait) = Duration::try_from(wait) {
            // A wall clock set back must not stretch the wait beyond one period.
            self.clock.sleep(wait.min(self.period)).await;
        }
        let now = self.clock.now();
        let due = later(self.next, self.period);
        self.next = if due > now && due <= later(now, self.period) { due } else { later(now, self.period) };
        now
    }
}

/// Moves a manual clock.
#[derive(Debug)]
pub struct ManualClock {
    inner: Arc<Inner>,
}

impl ManualClock {
    /// Lets `duration` pass and wakes the sleepers that are due.
    pub fn advance(&self, duration: Duration) {
        if let Inner::Manual(sender) = &*self.inner {
            sender.send_modify(|now| *now = later(*now, duration));
        }
    }

    /// Sets the clock to `moment` and wakes the sleepers that are due.
    pub fn set(&self, moment: Timestamp) {
        if let Inner::Manual(sender) = &*self.inner {
            sender.send_replace(moment);
        }
    }

    /// How many sleeps are under way: a test waits for its task to sleep before it moves on.
    pub fn sleepers(&self) -> usize {
        match &*self.inner {
            Inner::Manual(sender) => sender.receiver_count(),
            Inner::Real | Inner::Scaled { .. } => 0,
        }
    }
}

/// Measures how long something took in real time, for latencies and rates of progress.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads time")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Real time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// `moment + duration`, at the end of time when that is beyond it.
pub fn later(moment: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| moment.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `moment - duration`, at the beginning of time when that is before it.
pub fn earlier(moment: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| moment.checked_sub(duration).ok())
        .unwrap_or(Timestamp::MIN)
}

/// Seconds from `from` to `to`; negative when `to` is earlier.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-11-27T08:00:00Z".parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn scaled_time_runs_at_its_speed() {
        let clock = Clock::scaled(start(), 60.0);
        clock.sleep(Duration::from_mins(10)).await;
        let passed = seconds_between(start(), clock.now());
        assert!((passed - 600.0).abs() < 1.0, "{passed}");
    }

    #[tokio::test]
    async fn manual_time_wakes_who_is_due() {
        let (clock, hand) = Clock::manual(start());
        let task = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(10)).await;
                clock.now()
            }
        });
        while hand.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        hand.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        hand.advance(Duration::from_secs(1));
        assert_eq!(task.await.unwrap(), later(start(), Duration::from_secs(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_skips_what_it_missed() {
        let clock = Clock::scaled(start(), 1.0);
        let mut interval = clock.interval(Duration::from_secs(10));
        interval.tick().await;
        clock.sleep(Duration::from_secs(35)).await;
        interval.tick().await;
        let before = clock.now();
        interval.tick().await;
        let waited = seconds_between(before, clock.now());
        assert!((waited - 10.0).abs() < 0.1, "{waited}");
    }
}
