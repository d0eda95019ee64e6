//! ScaledObjects, and behind each an order queue and workers as functions of the time of day: as many
//! workloads as asked for, at the cost of a few sines an observation.
//!
//! Shared with `benches/`. Each workload has its own size and phase, told by its name.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::seconds_between;
use peakscaler::core::{Interval, Observation, QueueReading, Replicas};
use peakscaler::grpc::proto::ScaledObjectRef;
use peakscaler::observe::{AttachError, Observed, SourceHealth, Sources, WorkloadId, WorkloadSource};
use peakscaler::trigger::Trigger;

/// Seconds of work in one order.
const SERVICE_SECONDS: f64 = 30.0;
/// Of what a first observation tells the past.
const FIRST_INTERVAL_SECONDS: i64 = 15;

/// Sources of simulated centres, all different.
pub(crate) struct Centres;

impl Sources for Centres {
    fn attach(&self, workload: &WorkloadId, _: &Trigger) -> Result<Box<dyn WorkloadSource>, AttachError> {
        Ok(Box::new(Centre::new(&workload.name)))
    }
}

/// The reference to one ScaledObject, with the metadata of a typical trigger.
pub(crate) fn reference(number: usize, more: &[(String, String)]) -> ScaledObjectRef {
    let name = format!("orders-{number}");
    let queue = format!("https://sqs.eu-central-1.amazonaws.com/123456789012/{name}");
    let typical = [
        ("scalerAddress", "peakscaler.keda:9443"),
        ("queueURL", &queue),
        ("awsRegion", "eu-central-1"),
        ("targetWait", "5m"),
        ("cutOffs", "DPD Mon-Fri 14:00+45m; PPL Mon-Sat 17:30+30m"),
        ("timeZone", "Europe/Prague"),
        ("minReplicas", "2"),
        ("maxReplicas", "500"),
    ];
    let typical = typical.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let scaler_metadata: BTreeMap<_, _> = typical.chain(more.iter().cloned()).collect();
    ScaledObjectRef { name, namespace: "warehouse".to_owned(), scaler_metadata }
}

/// One centre: a day with two peaks, and workers enough for it.
#[derive(Debug, Clone)]
pub(crate) struct Centre {
    orders_per_second: f64,
    phase: f64,
    told_until: Option<Timestamp>,
}

impl Centre {
    pub(crate) fn new(name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let unit = |shift: u32| (hash >> shift & 0xffff) as f64 / f64::from(u16::MAX);
        Self {
            // From some workers to a few hundred, most of them small.
            orders_per_second: 0.1 * 50.0_f64.powf(unit(40)),
            phase: unit(16),
            told_until: None,
        }
    }

    /// What became known since the last call.
    pub(crate) fn observation(&mut self, now: Timestamp) -> Observation {
        let first = now - SignedDuration::from_secs(FIRST_INTERVAL_SECONDS);
        let from = self.told_until.unwrap_or(first);
        let rate = self.rate(now);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred at most")]
        let workers = (rate * SERVICE_SECONDS * 1.1).ceil() as u32;
        let interval = |count: f64| {
            if from < now { vec![Interval { from, to: now, count: count.round() }] } else { Vec::new() }
        };
        let seconds = seconds_between(from, now);
        let visible = (rate * 40.0 * (1.0 + (seconds_of_day(now) / 97.0).sin())).round();
        let observation = Observation {
            at: now,
            queue: Some(QueueReading {
                visible,
                in_flight: (rate * SERVICE_SECONDS).round(),
                age_seconds: 1.0,
                ..QueueReading::default()
            }),
            arrivals: interval(rate * seconds),
            completions: interval(rate * seconds),
            replicas: Some(Replicas {
                ready: workers,
                starting: Vec::new(),
                pending: 0,
                wanted: Some(workers),
            }),
            nodes: None,
            lead_times: None,
            bounds: None,
        };
        self.told_until = Some(now);
        observation
    }

    fn rate(&self, now: Timestamp) -> f64 {
        let day = seconds_of_day(now) / 86_400.0 + self.phase;
        let wave = |times: f64| (day * times * std::f64::consts::TAU).sin();
        self.orders_per_second * (1.0 + 0.6 * wave(1.0) + 0.3 * wave(2.0)).max(0.05)
    }
}

fn seconds_of_day(now: Timestamp) -> f64 {
    now.as_second().rem_euclid(86_400) as f64
}

impl WorkloadSource for Centre {
    fn observe(&mut self, now: Timestamp) -> Observed {
        let health =
            |source: &str| SourceHealth { source: source.to_owned(), age_seconds: Some(1.0), error: None };
        Observed {
            observation: self.observation(now),
            sources: vec![health("sqs"), health("cluster")],
            capacity: None,
        }
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}
