//! Steps of the real HPA, recorded: the simulator's HPA is held to them.
//!
//! The metric is the length of a queue that nobody works on, read by KEDA's own scaler with a `queueLength` of 1: so many
//! orders, so many replicas. Written to `target/e2e/hpa-steps.json`; `tests/hpa-steps.json` is a copy of one run.

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Api;
use kube::runtime::watcher;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::run::directory;
use crate::support::objects::{POLL_SECONDS, ScaledObject, keda_credentials, workers};
use crate::support::queue::Queue;
use crate::support::scene::{Scene, Teller};

/// Orders in the queue, and for how many seconds. 62 is within the default tolerance of 60.
const LENGTHS: [(usize, u64); 6] = [(3, 60), (60, 120), (62, 45), (20, 60), (45, 60), (5, 380)];
const MOST_REPLICAS: u32 = 100;

/// What the HPA stood at: seconds, replicas, replicas wanted, orders seen.
type Steps = Arc<Mutex<Vec<(f64, i32, i32, f64)>>>;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "hpa").await?;
    scene.cluster.apply(&keda_credentials(&scene.namespace)).await?;
    queue.send(LENGTHS[0].0).await?;
    let stop = CancellationToken::new();
    let _ended = stop.clone().drop_guard();
    let mut recordings = Vec::new();
    for (name, behavior) in behaviors() {
        let object = scaled_object(scene, &queue, name, &behavior);
        scene.cluster.apply(&[workers(&scene.namespace, name), object]).await?;
        let steps = Steps::default();
        let api = Api::namespaced(scene.cluster.client.clone(), &scene.namespace);
        let follow = follow(api, format!("keda-hpa-{name}"), steps.clone(), scene.teller());
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
        recordings.push((name, behavior, steps));
    }
    for (index, (length, seconds)) in LENGTHS.into_iter().enumerate() {
        if index > 0 {
            queue.client.purge_queue().queue_url(&queue.url).send().await?;
            queue.send(length).await?;
        }
        scene.tell(format!("{length} orders in the queue"));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    let recorded: Vec<Value> = recordings
        .iter()
        .map(|(name, behavior, steps)| {
            let steps = steps.lock().unwrap().clone();
            scene.figure(format!("{name}: steps recorded"), steps.len(), "");
            json!({"name": name, "maxReplicaCount": MOST_REPLICAS, "behavior": behavior, "steps": steps})
        })
        .collect();
    let enough = recordings.iter().all(|(.., steps)| steps.lock().unwrap().len() > LENGTHS.len());
    ensure!(enough, "the HPA did not follow: {recorded:?}");
    let recording = json!({
        "origin": format!("kube-controller-manager {}, recorded by `make e2e ARGS=hpa`", version()?),
        "columns": ["seconds", "replicas", "desiredReplicas", "orders"],
        "hpas": recorded,
    });
    Ok(fs::write(directory().join("hpa-steps.json"), serde_json::to_vec(&recording)?)?)
}

/// Kubernetes' own behaviour, and one with policies of each kind.
fn behaviors() -> [(&'static str, Value); 2] {
    let policy = |kind: &str, value: u32, seconds: u32| json!({"type": kind, "value": value, "periodSeconds": seconds});
    let limited = json!({
        "scaleUp": {"tolerance": "0", "stabilizationWindowSeconds": 30, "selectPolicy": "Min",
            "policies": [policy("Percent", 100, 30), policy("Pods", 12, 60)]},
        "scaleDown": {"tolerance": "0", "stabilizationWindowSeconds": 60, "selectPolicy": "Max",
            "policies": [policy("Percent", 10, 30), policy("Pods", 4, 60)]},
    });
    [("default", json!({})), ("limited", limited)]
}

fn scaled_object(scene: &Scene, queue: &Queue, name: &str, behavior: &Value) -> Value {
    let trigger = json!({"type": "aws-sqs-queue", "authenticationRef": {"name": "keda-aws"},
        "metadata": {"queueLength": "1"}});
    let object = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {"scaleTargetRef": {"name": name}, "minReplicaCount": 1, "maxReplicaCount": MOST_REPLICAS,
            "pollingInterval": POLL_SECONDS, "triggers": [trigger],
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}}}});
    ScaledObject(object).keda_reads(queue, scene.cluster.ports.sqs).0
}

async fn follow(api: Api<HorizontalPodAutoscaler>, name: String, steps: Steps, teller: Teller) {
    let mut objects = pin!(watcher::watch_object(api, &name));
    while let Some(object) = objects.next().await {
        let Some(step) = object.ok().flatten().and_then(|hpa| step(&hpa, teller.seconds())) else { continue };
        let mut steps = steps.lock().unwrap();
        let (_, replicas, desired, orders) = step;
        if steps.last().is_none_or(|last| (last.1, last.2, last.3) != (replicas, desired, orders)) {
            teller.tell(&format!("{name}: {orders} orders, {replicas} replicas, {desired} wanted"));
            steps.push(step);
        }
    }
}

/// What a status says, once it has read the metric: that is told as a mean over replicas.
fn step(hpa: &HorizontalPodAutoscaler, at_seconds: f64) -> Option<(f64, i32, i32, f64)> {
    let status = hpa.status.as_ref()?;
    let metric = status.current_metrics.as_ref()?.first()?.external.as_ref()?;
    let mean = metric.current.average_value.as_ref()?.0.as_str();
    let mean: f64 = match mean.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<f64>().ok()? / 1000.0,
        None => mean.parse().ok()?,
    };
    let replicas = status.current_replicas?;
    Some((
        (at_seconds * 10.0).round() / 10.0,
        replicas,
        status.desired_replicas,
        (mean * f64::from(replicas)).round(),
    ))
}

/// The release that `e2e/k8s` pins.
fn version() -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/k8s/go.mod");
    let pins = fs::read_to_string(path)?;
    let pinned =
        pins.lines().find_map(|line| line.trim_start_matches("require ").strip_prefix("k8s.io/kubernetes "));
    Ok(pinned.and_then(|rest| rest.split_whitespace().next()).context("no kubernetes in go.mod")?.to_owned())
}
