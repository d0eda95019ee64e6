//! The same peak by peakscaler and by KEDA's own SQS scaler, side by side: each with its queue, workers and nodes.

use std::time::Duration;

use anyhow::ensure;
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::support::counters::Counters;
use crate::support::nodes::{NodeTrack, POOL_LABEL};
use crate::support::objects::{POLL_SECONDS, ScaledObject, deployment, keda_credentials};
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;
use crate::support::until;
use crate::support::workers::Workers;

const TARGET_WAIT_SECONDS: f64 = 180.0;
const SERVICE_TIME: Duration = Duration::from_secs(3);
const DAY: Duration = Duration::from_mins(6);
/// `queueLength` of KEDA's scaler: its default, and AWS's recipe of the wait over the service time.
const KEDA_QUEUE_LENGTHS: [(&str, &str); 2] = [("default", "5"), ("recipe", "60")];
const CORES: u32 = 96;
/// Who keeps few workers takes long over the last orders.
const REST: Duration = Duration::from_mins(10);

/// Orders a second: quiet, a ramp to twelve times as many within two minutes, a top, and down again.
fn arrivals(seconds: f64) -> f64 {
    let (quiet, top) = (0.5, 6.0);
    let ramp = match seconds {
        ..60.0 => 0.0,
        60.0..180.0 => (seconds - 60.0) / 120.0,
        180.0..240.0 => 1.0,
        240.0..300.0 => (300.0 - seconds) / 60.0,
        _ => 0.0,
    };
    quiet + ramp * (top - quiet)
}

/// One who scales, and what came of it.
struct Contender {
    name: &'static str,
    queue: Queue,
    workers: Workers,
    counters: Counters,
    replicas: Track,
    nodes: NodeTrack,
}

impl Contender {
    async fn enter(scene: &Scene, name: &'static str) -> anyhow::Result<Self> {
        let queue = Queue::create(&scene.cluster, &format!("comparison-{name}")).await?;
        let pool = scene.add_pool(name, CORES).await?;
        let deployment = deployment(&scene.namespace, name, (POOL_LABEL, &pool));
        scene.cluster.apply(&[deployment]).await?;
        let client = scene.cluster.client.clone();
        let workers = Workers::start(client, &scene.namespace, name, &queue, SERVICE_TIME);
        let counters = Counters::start(&queue, &workers).await;
        Ok(Self {
            name,
            queue,
            workers,
            counters,
            replicas: Track::start(scene, name),
            nodes: NodeTrack::start(scene, &pool),
        })
    }

    /// The peak, until every order is worked on.
    async fn day(&self, scene: &Scene) -> anyhow::Result<()> {
        let began = scene.seconds();
        let sent = self.queue.send_for(DAY, arrivals).await?;
        let done = async || Ok((self.workers.waits().len() >= sent).then_some(()));
        until("every order is begun", REST, done).await?;
        let waits = self.workers.waits();
        let late = self.late();
        let longest = waits.iter().copied().fold(0.0, f64::max);
        let who = self.name;
        scene.figure(format!("{who}: orders late, of {sent}"), late, "");
        scene.figure(format!("{who}: longest wait (target {TARGET_WAIT_SECONDS:.0} s)"), longest, "s");
        scene.figure(format!("{who}: replica-minutes"), self.replicas.replica_minutes_since(began), "");
        scene.figure(format!("{who}: node-minutes"), self.nodes.node_minutes(), "");
        scene.figure(format!("{who}: most nodes"), self.nodes.most(), "");
        Ok(())
    }

    fn late(&self) -> usize {
        self.workers.waits().iter().filter(|wait| **wait > TARGET_WAIT_SECONDS).count()
    }
}

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let scaler = Scaler::start(scene, 1, &[]).await?;
    scene.cluster.apply(&keda_credentials(&scene.namespace)).await?;
    let ours = Contender::enter(scene, "peakscaler").await?;
    let scaled_object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, ours.name)?
        .bounds(1, 80)
        .reads(&scaler, &ours.queue, scene.cluster.ports.sqs)
        .ours(&[
            ("targetWait", "180s"),
            ("minReplicas", "1"),
            ("maxReplicas", "80"),
            ("nodeLeadTime", "70s"),
        ]);
    // The same bounds and behaviour for all; only who says the number differs.
    let spec = scaled_object.0["spec"].clone();
    scene.cluster.apply(&[ours.counters.read_by(scaled_object).0]).await?;
    let mut contenders = vec![ours];
    for (name, queue_length) in KEDA_QUEUE_LENGTHS {
        let contender = Contender::enter(scene, name).await?;
        scene.cluster.apply(&[kedas(scene, &contender, spec.clone(), queue_length)]).await?;
        contenders.push(contender);
    }
    for contender in &contenders {
        scene.is_polled(contender.name).await?;
        contender.replicas.until("one worker on a node", PATIENCE, |now| now.ready == 1).await?;
    }
    try_join_all(contenders.iter().map(|contender| contender.day(scene))).await?;
    for (name, queue_length) in KEDA_QUEUE_LENGTHS {
        scene.tell(format!("{name} is KEDA's aws-sqs-queue with queueLength {queue_length}"));
    }
    let late = contenders.first().map_or(0, Contender::late);
    ensure!(late == 0, "{late} of peakscaler's orders were late");
    Ok(())
}

fn kedas(scene: &Scene, contender: &Contender, mut spec: Value, queue_length: &str) -> Value {
    spec["scaleTargetRef"] = json!({"name": contender.name});
    spec["pollingInterval"] = json!(POLL_SECONDS);
    spec["fallback"] = Value::Null;
    spec["triggers"] = json!([{"type": "aws-sqs-queue", "authenticationRef": {"name": "keda-aws"},
        "metadata": {"queueLength": queue_length}}]);
    let name = json!({"name": contender.name, "namespace": scene.namespace});
    let object =
        json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": name, "spec": spec});
    ScaledObject(object).keda_reads(&contender.queue, scene.cluster.ports.sqs).0
}
