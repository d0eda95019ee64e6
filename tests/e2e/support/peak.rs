//! A peak that the calendar knows and that needs three times the nodes, and workloads that meet it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;

use super::nodes::{NodeTrack, POOL_LABEL};
use super::objects::{ScaledObject, deployment};
use super::queue::Queue;
use super::room::PodWaits;
use super::scaler::Scaler;
use super::scene::{PATIENCE, Scene};
use super::track::Track;
use super::until;
use super::workers::Workers;

const SERVICE_TIME: Duration = Duration::from_secs(3);
/// Until the peak.
const QUIET: Duration = Duration::from_mins(4);
const PEAK: Duration = Duration::from_mins(4);
const QUIET_ORDERS_PER_SECOND: f64 = 1.5;
const PEAK_ORDERS_PER_SECOND: f64 = 6.5;
/// Of the peak in all, as the calendar promises.
const PEAK_ORDERS: u32 = 1560;
/// Workers that a node of eight cores takes beside what the system keeps.
const WORKERS_A_NODE: usize = 7;
/// The goal for the 95th percentile of the waits for a node, where room was made ahead.
pub(crate) const WAIT_SECONDS: f64 = 10.0;

/// When it comes.
pub(crate) struct Peak {
    pub(crate) at: Timestamp,
    file: PathBuf,
}

impl Peak {
    /// One in four minutes.
    pub(crate) fn announce(scene: &Scene) -> anyhow::Result<Self> {
        Self::in_calendar(scene, QUIET, PEAK, PEAK_ORDERS)
    }

    /// One of so many orders after `quiet`, written into a calendar of the scene's.
    pub(crate) fn in_calendar(
        scene: &Scene,
        quiet: Duration,
        length: Duration,
        orders: u32,
    ) -> anyhow::Result<Self> {
        let local = |moment: Timestamp| moment.to_zoned(jiff::tz::TimeZone::UTC).datetime().to_string();
        let at = Timestamp::from_second(Clock::real().now().as_second())? + SignedDuration::try_from(quiet)?;
        let (from, to) = (local(at), local(at + SignedDuration::try_from(length)?));
        let text = format!(
            "timeZone: UTC\npeaks:\n- {{name: Peak, from: \"{from}\", to: \"{to}\", orders: {orders}}}\n"
        );
        let file = scene.cluster.run.join(format!("{}-calendar.yaml", scene.namespace));
        std::fs::write(&file, text)?;
        Ok(Self { at, file })
    }

    /// The flags by which a scaler knows it.
    pub(crate) fn flags(&self) -> [String; 2] {
        ["--calendar".to_owned(), self.file.display().to_string()]
    }
}

/// One workload that meets the peak, and what came of it.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) pool: String,
    queue: Queue,
    workers: Workers,
    waits: PodWaits,
    replicas: Track,
    nodes: NodeTrack,
}

impl Contender {
    /// Workers without replicas, with a queue and a pool of their own.
    pub(crate) async fn enter(scene: &Scene, name: &'static str) -> anyhow::Result<Self> {
        let queue = Queue::create(&scene.cluster, &format!("{}-{name}", scene.namespace)).await?;
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

    /// Has KEDA scale it, with these keys for its room.
    pub(crate) async fn scale(
        &self,
        scene: &Scene,
        scaler: &Scaler,
        room: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, self.name)?
            .bounds(1, 60)
            .reads(scaler, &self.queue, scene.cluster.ports.sqs)
            .ours(&[
                ("targetWait", "2m"),
                ("serviceRate", "20"),
                ("minReplicas", "1"),
                ("maxReplicas", "60"),
                ("podLeadTime", "15s"),
                ("nodeLeadTime", "70s"),
            ])
            .ours(room);
        scene.cluster.apply(&[object.0]).await
    }

    /// Quiet, the peak, and until every order is begun; returns the 95th percentile of the waits for a node.
    pub(crate) async fn day(&self, scene: &Scene, peak: &Peak) -> anyhow::Result<f64> {
        let began = scene.seconds();
        let quiet = peak.at.duration_since(Clock::real().now()).as_secs_f64();
        let rate =
            |seconds: f64| if seconds < quiet { QUIET_ORDERS_PER_SECOND } else { PEAK_ORDERS_PER_SECOND };
        let sent = self.queue.send_for(Duration::from_secs_f64(quiet) + PEAK, rate).await?;
        let done = async || Ok((self.workers.waits().len() >= sent).then_some(()));
        until("every order is begun", PATIENCE, done).await?;
        let before = peak.at - SignedDuration::from_secs(60);
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
