//! What most scenarios begin with: a queue, our replicas, a Deployment of order workers and what it does over time.

use std::time::Duration;

use anyhow::Context as _;

use super::counters::Counters;
use super::gate::Gate;
use super::objects::{ScaledObject, workers};
use super::queue::Queue;
use super::scaler::{Replica, Scaler};
use super::scene::{PATIENCE, Scene};
use super::track::{Sample, Track};
use super::workers::Workers;

/// The Deployment, and the ScaledObject of the first shipped example for it.
pub(crate) const PICKERS: &str = "pickers";
/// Workers wanted while [`Pile`] lies there: the most that its ScaledObject allows.
pub(crate) const PILE_WANTS: i32 = 12;

/// A queue, worked on.
pub(crate) struct Shop {
    pub(crate) queue: Queue,
    pub(crate) scaler: Scaler,
    pub(crate) track: Track,
    pub(crate) workers: Workers,
    counters: Counters,
}

impl Shop {
    /// Opens with so many replicas of ours, and with workers that take `service_time` an order.
    pub(crate) async fn open(scene: &Scene, replicas: usize, service_time: Duration) -> anyhow::Result<Self> {
        let queue = Queue::create(&scene.cluster, &scene.namespace).await?;
        let scaler = Scaler::start(scene, replicas, &[]).await?;
        let track = Track::start(scene, PICKERS);
        scene.cluster.apply(&[workers(&scene.namespace, PICKERS)]).await?;
        let client = scene.cluster.client.clone();
        let workers = Workers::start(client, &scene.namespace, PICKERS, &queue, service_time);
        let counters = Counters::start(&queue, &workers).await;
        Ok(Self { queue, scaler, track, workers, counters })
    }

    /// Has KEDA scale it up to `most` workers, by queue and counters and these keys.
    pub(crate) async fn scale(&self, scene: &Scene, most: u32, keys: &[(&str, &str)]) -> anyhow::Result<()> {
        let scaled_object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, PICKERS)?
            .bounds(0, most)
            .reads(&self.scaler, &self.queue, scene.cluster.ports.sqs)
            .ours(&[("maxReplicas", &most.to_string())])
            .ours(keys);
        scene.cluster.apply(&[self.counters.read_by(scaled_object).0]).await?;
        scene.is_polled(PICKERS).await
    }
}

/// Orders that nobody works on: they stay, and so does the number.
pub(crate) struct Pile {
    pub(crate) gate: Gate,
    pub(crate) scaler: Scaler,
    pub(crate) replica: Replica,
    pub(crate) track: Track,
    pub(crate) scaled_object: ScaledObject,
}

impl Pile {
    /// Waits until the workers for it are ready. `scaler` reads the queue through a gate.
    pub(crate) async fn heap(
        scene: &Scene,
        scaler: Scaler,
        also: impl FnOnce(ScaledObject) -> ScaledObject,
    ) -> anyhow::Result<(Self, Sample)> {
        let queue = Queue::create(&scene.cluster, &scene.namespace).await?;
        let gate = Gate::to(scene.cluster.ports.sqs).await?;
        let replica = scaler.replicas().into_iter().next().context("one replica")?;
        let track = Track::start(scene, PICKERS);
        scene.cluster.apply(&[workers(&scene.namespace, PICKERS)]).await?;
        queue.send(600).await?;
        let scaled_object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, PICKERS)?
            .bounds(0, 50)
            .reads(&scaler, &queue, gate.port())
            .ours(&[("targetWait", "2m"), ("serviceRate", "6"), ("maxReplicas", "12")]);
        let scaled_object = also(scaled_object);
        scene.cluster.apply(std::slice::from_ref(&scaled_object.0)).await?;
        let is_there = |now: &Sample| now.wanted == PILE_WANTS && now.ready == PILE_WANTS;
        let sample = track.until("12 workers for the pile", PATIENCE, is_there).await?;
        Ok((Self { gate, scaler, replica, track, scaled_object }, sample))
    }
}
