//! The simulated centre while the demo runs: moved on by the scaled clock, read by the demo's edges.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::autoscaler::ScaleTarget;
use super::page::Point;
use super::queue_view::{QueueCounters, QueueView};
use super::recorder::{Recorder, Sample};
use crate::core::Replicas;
use crate::replay::units::{Millis, SECOND, seconds, timestamp};
use crate::replay::world::World;
use crate::replay::world::sensors::{Counters, Sensors};

/// The centre is moved on in steps of this.
const STEP: Millis = SECOND;
/// The metrics store scrapes this often.
pub const SCRAPE_EVERY: Millis = 5 * SECOND;
/// The charts get a point this often.
const POINT_EVERY: Millis = 15 * SECOND;
/// Counters are remembered this long, for readings that lag.
const COUNTERS_KEPT: usize = 120;
/// Rates on the page are over this time.
const RATE_OVER: Millis = 60 * SECOND;

/// A running centre.
pub struct Centre {
    origin: Timestamp,
    recorder: Arc<Recorder>,
    inner: Mutex<Inner>,
}

struct Inner {
    world: World,
    sensors: Sensors,
    /// True counters of the last steps, the newest last.
    counters: VecDeque<(Millis, Counters)>,
    points: Vec<Point>,
    peak_wanted: u32,
}

impl Centre {
    /// A centre from the present moment of `world` on; the metrics store knows the hours before.
    pub fn new(world: World, recorder: Recorder) -> Self {
        let scenario = Arc::new(world.scenario().clone());
        let counters = VecDeque::from([(world.now(), world.counters())]);
        Self {
            origin: scenario.origin(),
            recorder: Arc::new(recorder),
            inner: Mutex::new(Inner {
                sensors: Sensors::new(scenario),
                counters,
                points: Vec::new(),
                peak_wanted: world.wanted(),
                world,
            }),
        }
    }

    /// What a metrics store would know.
    pub fn recorder(&self) -> Arc<Recorder> {
        self.recorder.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves on to the last whole step up to `time`.
    pub fn advance_to(&self, time: Millis) {
        loop {
            // The lock is let go between steps: readers need not wait for a long catching up.
            let mut inner = self.inner();
            let next = (inner.world.now() / STEP + 1) * STEP;
            if next > time {
                return;
            }
            inner.step_to(next);
            if next % SCRAPE_EVERY == 0 {
                self.recorder.record(sample(&inner.world));
            }
            if next % POINT_EVERY == 0 {
                let point = inner.point(self.origin);
                inner.points.push(point);
            }
        }
    }

    /// Looks at the world as it truly is.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.inner().world)
    }

    /// The charts' points since the last call.
    pub fn take_points(&self) -> Vec<Point> {
        std::mem::take(&mut self.inner().points)
    }

    /// What would be drawn now.
    pub fn point(&self) -> Point {
        self.inner().point(self.origin)
    }

    /// Most replicas wanted at any time.
    pub fn peak_wanted(&self) -> u32 {
        self.inner().peak_wanted
    }

    /// What watching the pods would tell.
    pub fn replicas(&self) -> Replicas {
        self.look(World::replicas)
    }

    /// Sets the replicas for which nodes are kept in reserve, as a capacity buffer would.
    pub fn set_buffer(&self, replicas: u32) {
        let mut inner = self.inner();
        if inner.world.buffer() != replicas {
            inner.world.set_buffer(replicas);
        }
    }
}

/// What a metrics store would scrape now.
pub fn sample(world: &World) -> Sample {
    Sample {
        at: timestamp(world.scenario().origin(), world.now()),
        arrivals: f64::from(world.arrived()),
        completions: f64::from(world.completed()),
        ready: f64::from(world.ready()),
    }
}

impl Inner {
    fn step_to(&mut self, time: Millis) {
        self.world.advance_to(time);
        self.counters.push_back((time, self.world.counters()));
        if self.counters.len() > COUNTERS_KEPT {
            self.counters.pop_front();
        }
    }

    fn point(&self, origin: Timestamp) -> Point {
        let world = &self.world;
        let now = world.now();
        let minutes = seconds(RATE_OVER) / 60.0;
        Point {
            at_milliseconds: timestamp(origin, now).as_millisecond(),
            backlog: world.backlog(),
            in_flight: world.in_flight(),
            wanted: world.wanted(),
            ready: world.ready(),
            starting: world.starting(),
            pending: world.pending(),
            arrivals_per_minute: f64::from(world.arrivals_between(now - RATE_OVER, now)) / minutes,
            completions_per_minute: f64::from(world.completions_between(now - RATE_OVER, now)) / minutes,
            oldest_wait_seconds: world.oldest_wait().map_or(0.0, seconds),
            peer: None,
        }
    }
}

impl QueueView for Centre {
    /// As SQS would tell: lagging, noisy, now and then wrong.
    fn counters(&self) -> QueueCounters {
        let mut inner = self.inner();
        let now = inner.world.now();
        let seen_at = now - inner.sensors.draw_lag();
        let known = inner.counters.iter().rev().find(|(at, _)| *at <= seen_at).or(inner.counters.front());
        let truth = known.map_or_else(|| inner.world.counters(), |(_, counters)| *counters);
        // A scenario's blackout shows as the truth here: the demo's days have none.
        let reading = inner.sensors.read(now, truth);
        QueueCounters {
            visible: reading.map_or(u64::from(truth.visible), |reading| whole(reading.visible)),
            in_flight: reading.map_or(u64::from(truth.in_flight), |reading| whole(reading.in_flight)),
            delayed: 0,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; the cast saturates")]
fn whole(count: f64) -> u64 {
    count.round() as u64
}

impl ScaleTarget for Centre {
    fn wanted(&self) -> u32 {
        self.look(World::wanted)
    }

    fn set_wanted(&self, replicas: u32) {
        let mut inner = self.inner();
        inner.peak_wanted = inner.peak_wanted.max(replicas);
        inner.world.set_wanted(replicas);
    }
}
