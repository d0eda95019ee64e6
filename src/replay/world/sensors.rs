//! What can be seen of the centre: late, noisy, and now and then wrong.

use std::sync::Arc;

use jiff::Timestamp;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::World;
use crate::core::observation::LeadTimes;
use crate::core::{Interval, Observation, QueueReading};
use crate::replay::orders::{Stream, random};
use crate::replay::scenario::{Scenario, Throughput};
use crate::replay::units::{Millis, SECOND, millis, seconds, timestamp};

const MINUTE: Millis = 60 * SECOND;

/// The queue's true counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Orders that wait.
    pub visible: u32,
    /// Orders in flight.
    pub in_flight: u32,
}

impl World {
    /// The queue's true counters now.
    pub fn counters(&self) -> Counters {
        Counters { visible: self.waiting(), in_flight: self.in_flight() }
    }
}

/// The instruments of one observer. Two observers of one world see different noise.
#[derive(Debug, Clone)]
pub struct Sensors {
    scenario: Arc<Scenario>,
    /// The scenario's start.
    origin: Timestamp,
    random: ChaCha8Rng,
    /// Starts of the minutes in which the counters read zero, sorted.
    zeros: Vec<Millis>,
    /// End of the last interval handed out.
    told_until: Millis,
}

impl Sensors {
    /// Instruments for a scenario.
    pub fn new(scenario: Arc<Scenario>) -> Self {
        let mut random_zeros = random(scenario.seed, Stream::Zeros);
        let expected = scenario.sensors.zero_minutes_per_day * f64::from(scenario.days);
        let mut zeros = Vec::new();
        let mut gap = || -random_zeros.random_range(f64::MIN_POSITIVE..1.0_f64).ln() / expected.max(1e-9);
        let mut at = gap();
        while at < 1.0 {
            zeros.push(millis(at * seconds(scenario.end())));
            at += gap();
        }
        let random = random(scenario.seed, Stream::Sensors);
        Self { origin: scenario.origin(), scenario, random, zeros, told_until: 0 }
    }

    /// How long before the next reading the counters will have been true.
    pub fn draw_lag(&mut self) -> Millis {
        millis(self.random.random::<f64>() * self.scenario.sensors.queue_lag_seconds)
    }

    /// What a reading at `now` shows, from the true `counters` of a moment ago.
    pub fn read(&mut self, now: Millis, counters: Counters) -> Option<QueueReading> {
        let visible = self.distort(counters.visible);
        let in_flight = self.distort(counters.in_flight);
        let phantom: f64 = self.random.random();
        let share = self.scenario.sensors.phantom_share;
        let phantom = if phantom < share / 2.0 {
            2.0
        } else if phantom < share {
            1.0
        } else {
            0.0
        };
        if self.scenario.sensors.queue_blackouts.iter().any(|window| window.contains(now)) {
            return None;
        }
        let visibility_timeout_seconds = Some(self.scenario.service.visibility_timeout_seconds);
        let last_zero = self.zeros[..self.zeros.partition_point(|at| *at <= now)].last();
        if last_zero.is_some_and(|at| now - at < MINUTE) {
            return Some(QueueReading { visibility_timeout_seconds, ..QueueReading::default() });
        }
        let visible = visible + phantom;
        Some(QueueReading { visible, in_flight, visibility_timeout_seconds, ..QueueReading::default() })
    }

    fn distort(&mut self, count: u32) -> f64 {
        let draw: f64 = self.random.sample(StandardNormal);
        (f64::from(count) * (1.0 + draw * self.scenario.sensors.queue_noise)).round().max(0.0)
    }

    /// Everything that became known since the last call, at the world's present moment.
    pub fn observe(&mut self, world: &World, counters: Counters) -> Observation {
        let now = world.now();
        let queue = self.read(now, counters);
        let (arrivals, completions) = self.throughput(world);
        let cluster = self.scenario.sensors.cluster;
        Observation {
            at: timestamp(self.origin, now),
            queue,
            arrivals,
            completions,
            replicas: Some(world.replicas()),
            nodes: cluster.then(|| world.node_slots()),
            lead_times: cluster.then(|| world.measured_leads()),
            bounds: None,
        }
    }

    fn throughput(&mut self, world: &World) -> (Vec<Interval>, Vec<Interval>) {
        let (width, least, most) = match self.scenario.sensors.throughput {
            Throughput::None => return (Vec::new(), Vec::new()),
            Throughput::Cloudwatch => (MINUTE, 120 * SECOND, 180 * SECOND),
            Throughput::Prometheus => (15 * SECOND, 15 * SECOND, 30 * SECOND),
        };
        let origin = self.origin;
        let (mut arrivals, mut completions) = (Vec::new(), Vec::new());
        // the delay of a bin depends on the bin alone, so that every observer waits as long
        while world.now() >= self.told_until + width + delay(self.told_until / width, least, most) {
            let (from, to) = (self.told_until, self.told_until + width);
            let interval = |count: u32| Interval {
                from: timestamp(origin, from),
                to: timestamp(origin, to),
                count: f64::from(count),
            };
            self.told_until = to;
            if self.scenario.sensors.throughput_blackouts.iter().any(|window| window.contains(from)) {
                continue;
            }
            arrivals.push(interval(world.arrivals_between(from, to)));
            completions.push(interval(world.completions_between(from, to)));
        }
        (arrivals, completions)
    }
}

/// A delay between `least` and `most`, fixed for each bin.
fn delay(bin: i64, least: Millis, most: Millis) -> Millis {
    let mixed = (bin.unsigned_abs().wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    least + i64::try_from(mixed).unwrap_or(0) % (most - least + 1)
}

impl World {
    /// The 90th percentiles of the last lead times; `None` where none was seen.
    pub fn measured_leads(&self) -> LeadTimes {
        LeadTimes {
            pod_seconds: self.record.pod_leads.percentile_seconds(),
            node_seconds: self.record.node_leads.percentile_seconds(),
        }
    }
}
