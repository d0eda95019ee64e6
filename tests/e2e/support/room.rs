//! Room ahead: the rights and objects for it as they ship, and what became of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::objects::{deployment, shipped};
use super::scaler::{Replica, Scaler};
use super::scene::{PATIENCE, Scene};
use super::until;

/// The buffer that the shipped role names.
pub(crate) const BUFFER: &str = "pickers-ahead";
/// And the placeholder.
pub(crate) const PLACEHOLDER: &str = "pickers-placeholder";

/// Grants the shipped rights for the scene's namespace, with a Lease of its own.
pub(crate) async fn grant(scene: &Scene) -> anyhow::Result<()> {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    for file in ["lease.yaml", "optional/karpenter.yaml"] {
        let text = fs::read_to_string(manifests.join(file)).with_context(|| file.to_owned())?;
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        for object in &mut objects {
            // What belongs to no namespace, and to events of such objects, stays where it is.
            if matches!(object["metadata"]["namespace"].as_str(), Some("peakscaler" | "fulfilment")) {
                object["metadata"]["namespace"] = json!(scene.namespace);
            }
        }
        scene.cluster.apply(&objects).await?;
    }
    Ok(())
}

/// Two replicas that coordinate.
pub(crate) async fn scaler(scene: &Scene, more: &[String]) -> anyhow::Result<Scaler> {
    let mut flags = vec!["--coordinate", "--lease-namespace", &scene.namespace];
    flags.extend(more.iter().map(String::as_str));
    Scaler::start(scene, 2, &flags).await
}

/// The shipped buffer, in the scene's namespace.
pub(crate) fn buffer(scene: &Scene) -> anyhow::Result<Value> {
    let mut buffer = shipped("capacity-buffer.yaml")?.into_iter().next().context("a buffer")?;
    buffer["metadata"]["namespace"] = json!(scene.namespace);
    Ok(buffer)
}

/// The shipped placeholder and its priority, in the scene's namespace: for such nodes, and with the requests of a
/// worker.
pub(crate) fn placeholder(scene: &Scene, nodes: (&str, &str)) -> anyhow::Result<Vec<Value>> {
    let worker = &deployment(&scene.namespace, PLACEHOLDER, nodes)["spec"]["template"]["spec"];
    let mut objects = shipped("placeholder.yaml")?;
    for object in objects.iter_mut().filter(|object| object["kind"] == "Deployment") {
        object["metadata"]["namespace"] = json!(scene.namespace);
        let pod = &mut object["spec"]["template"]["spec"];
        pod["nodeSelector"] = worker["nodeSelector"].clone();
        pod["containers"][0]["resources"] = worker["containers"][0]["resources"].clone();
    }
    Ok(objects)
}

async fn buffer_as_it_is(scene: &Scene, name: &str) -> anyhow::Result<DynamicObject> {
    let kind = GroupVersionKind::gvk("autoscaling.x-k8s.io", "v1beta1", "CapacityBuffer");
    let kind = ApiResource::from_gvk(&kind);
    let api = Api::<DynamicObject>::namespaced_with(scene.cluster.client.clone(), &scene.namespace, &kind);
    Ok(api.get(name).await?)
}

/// A buffer's replicas.
pub(crate) async fn held(scene: &Scene, name: &str) -> anyhow::Result<u64> {
    Ok(buffer_as_it_is(scene, name).await?.data["spec"]["replicas"].as_u64().unwrap_or(0))
}

/// Counts the edits of a buffer's spec.
pub(crate) async fn generation(scene: &Scene, name: &str) -> anyhow::Result<i64> {
    Ok(buffer_as_it_is(scene, name).await?.metadata.generation.unwrap_or(0))
}

/// Waits until the buffer holds room as wanted; returns when.
pub(crate) async fn until_held(scene: &Scene, wanted: u64) -> anyhow::Result<f64> {
    let look = async || Ok((held(scene, BUFFER).await? == wanted).then_some(()));
    let found = until(&format!("room for {wanted} is held"), PATIENCE, look).await;
    let held = held(scene, BUFFER).await?;
    found.map_err(|error| error.context(format!("it is {held}")))?;
    Ok(scene.seconds())
}

/// The replica that writes.
pub(crate) async fn leader(scene: &Scene, scaler: &Scaler, name: &str) -> anyhow::Result<Replica> {
    let look = async || {
        for replica in scaler.replicas() {
            let Ok(explained) = scaler.explain(&replica, &scene.namespace, name).await else { continue };
            if explained["room"]["is_leader"] == true {
                return Ok(Some(replica));
            }
        }
        Ok(None)
    };
    until("a replica that holds the Lease", PATIENCE, look).await
}

/// Waits until a replica tells such a finding; returns its text.
pub(crate) async fn until_found(
    scene: &Scene,
    scaler: &Scaler,
    name: &str,
    kind: &str,
) -> anyhow::Result<String> {
    let look = async || {
        for replica in scaler.replicas() {
            let Ok(explained) = scaler.explain(&replica, &scene.namespace, name).await else { continue };
            let mut findings = explained["findings"].as_array().into_iter().flatten();
            if let Some(found) = findings.find(|finding| finding["kind"] == kind) {
                return Ok(found["text"].as_str().map(str::to_owned));
            }
        }
        Ok(None)
    };
    until(&format!("{name}: {kind}"), PATIENCE, look).await
}

/// Waits for an event of such a reason on a ScaledObject; returns its note.
pub(crate) async fn until_told(scene: &Scene, name: &str, reason: &str) -> anyhow::Result<String> {
    let look =
        async || Ok(events(scene, name, reason).await?.into_iter().next().and_then(|event| event.message));
    until(&format!("the event {reason} on {name}"), PATIENCE, look).await
}

/// How often it was told.
pub(crate) async fn told(scene: &Scene, name: &str, reason: &str) -> anyhow::Result<i32> {
    let events = events(scene, name, reason).await?;
    let times = |event: &Event| event.series.as_ref().and_then(|series| series.count).or(event.count);
    Ok(events.iter().map(|event| times(event).unwrap_or(1).max(1)).sum())
}

async fn events(scene: &Scene, name: &str, reason: &str) -> anyhow::Result<Vec<Event>> {
    let selector = format!("involvedObject.kind=ScaledObject,involvedObject.name={name},reason={reason}");
    let api = Api::<Event>::namespaced(scene.cluster.client.clone(), &scene.namespace);
    Ok(api.list(&ListParams::default().fields(&selector)).await?.items)
}

/// When each pod, by uid, was created and got its node.
type Seen = Arc<Mutex<BTreeMap<String, (Timestamp, Option<Timestamp>)>>>;

/// How long each pod of a Deployment waited for its node, until it is dropped.
pub(crate) struct PodWaits {
    seen: Seen,
    _stop: DropGuard,
}

impl PodWaits {
    pub(crate) fn start(scene: &Scene, app: &str) -> Self {
        let stop = CancellationToken::new();
        let seen = Arc::<Mutex<BTreeMap<_, _>>>::default();
        let api = Api::namespaced(scene.cluster.client.clone(), &scene.namespace);
        let look = look(api, format!("app={app}"), seen.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(look));
        Self { seen, _stop: stop.drop_guard() }
    }

    /// Seconds from creation to a node of the pods made since then, ascending; those without a node up to `now`.
    pub(crate) fn since(&self, from: Timestamp, now: Timestamp) -> Vec<f64> {
        let seen = self.seen.lock().unwrap();
        let made = seen.values().filter(|(created, _)| *created >= from);
        let mut waits: Vec<f64> = made
            .map(|(created, scheduled)| scheduled.unwrap_or(now).duration_since(*created).as_secs_f64())
            .collect();
        waits.sort_by(f64::total_cmp);
        waits
    }
}

async fn look(api: Api<Pod>, selector: String, seen: Seen) {
    loop {
        if let Ok(pods) = api.list(&ListParams::default().labels(&selector)).await {
            for pod in pods {
                let (Some(uid), Some(created)) = (pod.metadata.uid, pod.metadata.creation_timestamp) else {
                    continue;
                };
                let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
                let scheduled =
                    conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "True");
                let scheduled =
                    scheduled.and_then(|one| one.last_transition_time.as_ref().map(|time| time.0));
                seen.lock().unwrap().insert(uid, (created.0, scheduled));
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
