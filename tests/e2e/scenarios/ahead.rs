//! A peak that needs three times the nodes, with a buffer and without: what its pods wait for a node, and what it costs.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;

use super::limit::calendar;
use crate::support::nodes::{NodeTrack, POOL_LABEL};
use crate::support::objects::{ScaledObject, deployment};
use crate::support::queue::Queue;
use crate::support::room::{self, PodWaits};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;
use crate::support::until;
use crate::support::workers::Workers;

const SERVICE_TIME: Duration = Duration::from_secs(3);
/// Until the peak, which is in the calendar.
const QUIET: Duration = Duration::from_mins(4);
const PEAK: Duration = Duration::from_mins(4);
const QUIET_ORDERS_PER_SECOND: f64 = 1.5;
const PEAK_ORDERS_PER_SECOND: f64 = 6.5;
/// Of the peak in all, as the calendar promises.
const PEAK_ORDERS: u32 = 1560;
/// The goal for the 95th percentile.
const WAIT_SECONDS: f64 = 10.0;
/// Workers that a node of eight cores takes beside what the system keeps.
const WORKERS_A_NODE: usize = 7;

/// One workload, and what came of it.
struct Contender {
    name: &'static str,
    queue: Queue,
    workers: Workers,
    waits: PodWaits,
    replicas: Track,
    nodes: NodeTrack,
    pool: String,
}

impl Contender {
    async fn enter(scene: &Scene, name: &'static str) -> anyhow::Result<Self> {
        let queue = Queue::create(&scene.cluster, &format!("ahead-{name}")).await?;
        let pool = scene.add_pool(name, 96).await?;
        let deployment = deployment(&scene.namespace, name, (POOL_LABEL, &pool));
        scene.cluster.apply(&[deployment]).await?;
        let client = scene.cluster.client.clone();
        Ok(Self {
            name,
            workers: Workers::start(client, &scene.namespace, name, &queue, SERVICE_TIME),
            queue,
            waits: PodWaits::start(scene, name),
            replicas: Track::start(scene, name),
            nodes: NodeTrack::start(scene, &pool),
            pool,
        })
    }

    /// Quiet, the peak, and until every order is begun; returns the 95th percentile of the waits for a node.
    async fn day(&self, scene: &Scene, peak: Timestamp) -> anyhow::Result<f64> {
        let began = scene.seconds();
        let quiet = peak.duration_since(Clock::real().now()).as_secs_f64();
        let rate =
            |seconds: f64| if seconds < quiet { QUIET_ORDERS_PER_SECOND } else { PEAK_ORDERS_PER_SECOND };
        let sent = self.queue.send_for(Duration::from_secs_f64(quiet) + PEAK, rate).await?;
        let done = async || Ok((self.workers.waits().len() >= sent).then_some(()));
        until("every order is begun", PATIENCE, done).await?;
        let before = peak - SignedDuration::from_secs(60);
        let waits = self.waits.since(before, Clock::real().now());
        ensure!(!waits.is_empty(), "no pod was made for the peak");
        let rank = (waits.len() * 95).div_ceil(100) - 1;
        let most_wanted = self.replicas.wanted_since(began).map_or(0, |(most, _)| most);
        let who = self.name;
        scene.figure(format!("{who}: pods of the peak"), waits.len(), "");
        scene.figure(format!("{who}: wait of a pod for its node, 95th percentile"), waits[rank], "s");
        scene.figure(format!("{who}: longest wait of an order"), self.longest(), "s");
        scene.figure(format!("{who}: node-minutes"), self.nodes.node_minutes(), "");
        scene.figure(format!("{who}: most nodes, for {most_wanted} workers"), self.nodes.most(), "");
        let needed = usize::try_from(most_wanted)?.div_ceil(WORKERS_A_NODE);
        let refilled = self.nodes.most().saturating_sub(needed);
        scene.figure(format!("{who}: nodes bought beyond the {needed} that the peak needs"), refilled, "");
        ensure!(refilled <= 1, "{who}: {} nodes where {needed} do", self.nodes.most());
        Ok(waits[rank])
    }

    fn longest(&self) -> f64 {
        self.workers.waits().iter().copied().fold(0.0, f64::max)
    }
}

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    room::grant(scene).await?;
    let buffered = Contender::enter(scene, "pickers").await?;
    let without = Contender::enter(scene, "without").await?;
    let peak = Timestamp::from_second(Clock::real().now().as_second())? + SignedDuration::try_from(QUIET)?;
    let file = scene.cluster.run.join("ahead-calendar.yaml");
    std::fs::write(&file, calendar(peak, peak + SignedDuration::try_from(PEAK)?, PEAK_ORDERS))?;
    let scaler = room::scaler(scene, &["--calendar", &file.display().to_string()]).await?;
    scene.cluster.apply(&[room::buffer(scene)?]).await?;
    for contender in [&buffered, &without] {
        let object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, contender.name)?
            .bounds(1, 60)
            .reads(&scaler, &contender.queue, scene.cluster.ports.sqs)
            .ours(&[
                ("targetWait", "2m"),
                ("serviceRate", "20"),
                ("minReplicas", "1"),
                ("maxReplicas", "60"),
                ("podLeadTime", "15s"),
                ("nodeLeadTime", "70s"),
            ]);
        let object = if contender.name == "pickers" {
            object.ours(&[("nodePool", &contender.pool), ("capacityBuffer", room::BUFFER)])
        } else {
            object
        };
        scene.cluster.apply(&[object.0]).await?;
    }
    let days = [buffered.day(scene, peak), without.day(scene, peak)];
    let waits = try_join_all(days).await?;
    let replica = scaler.replicas().into_iter().next().context("a replica")?;
    let explained = scaler.explain(&replica, &scene.namespace, buffered.name).await?;
    let lead = explained["room"]["leads"]["node_seconds"].as_f64().context("a lead time of nodes")?;
    scene.figure("lead time of a node as measured (registered after 60 s), 90th percentile", lead, "s");
    ensure!((60.0..120.0).contains(&lead), "a node's lead time was measured as {lead:.0} s");
    ensure!(waits[0] < WAIT_SECONDS, "with a buffer pods waited {:.0} s for a node", waits[0]);
    Ok(())
}
