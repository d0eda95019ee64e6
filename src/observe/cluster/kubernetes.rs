//! Kubernetes behind [`Cluster`]: watches, never polls.
//!
//! A namespace in which somebody observes has one watch each on its `ScaledObject`s, its pods and the
//! kinds that `scaleTargetRef` names (any kind with `spec.replicas` and `spec.selector`: Deployment, `StatefulSet`,
//! Rollout, ...). They end with the last view on the namespace. Objects are cut down to the few fields
//! needed before they are kept.
//!
//! A watch that fails is begun again with a fresh list, after a wait with jitter: only a completed list proves
//! that what is kept is true again. Until then the last known pods are given, with their age.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ObjectMeta};
use kube::core::{Selector, SelectorExt};
use kube::runtime::reflector::{Lookup, ObjectRef, Store, store::Writer};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::{Cluster, ClusterReading, ClusterView, pods};
use crate::clock::{Clock, seconds_between};
use crate::observe::WorkloadId;
use crate::observe::poll::{Lease, Listeners, Registry, Task, lock};

/// The first bound of the random wait before a failed watch is begun again; it doubles up to the longest.
const FIRST_WAIT_SECONDS: f64 = 1.0;
const LONGEST_WAIT_SECONDS: f64 = 30.0;

/// Watches a cluster, namespace by namespace.
pub struct KubernetesCluster {
    context: Context,
    namespaces: Registry<String, Namespace>,
}

#[derive(Clone)]
struct Context {
    client: Client,
    clock: Clock,
    runtime: Handle,
}

impl KubernetesCluster {
    /// The cluster that the environment names: a kubeconfig, or the pod's service account.
    ///
    /// # Errors
    /// When neither is there or usable.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(clock: Clock) -> Result<Self, kube::Error> {
        let mut config = kube::Config::infer().await.map_err(kube::Error::InferConfig)?;
        // The watches begin again by themselves; a retry below them would hide an outage for minutes.
        config.default_retry = false;
        Ok(Self::new(Client::try_from(config)?, clock))
    }

    /// Over a client that is allowed to get, list and watch `ScaledObject`s, their targets and pods, and that does
    /// not retry by itself.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(client: Client, clock: Clock) -> Self {
        Self {
            context: Context { client, clock, runtime: Handle::current() },
            namespaces: Registry::default(),
        }
    }
}

impl Cluster for KubernetesCluster {
    fn watch(&self, workload: &WorkloadId, listener: &Arc<Notify>) -> Box<dyn ClusterView> {
        let namespace = self
            .namespaces
            .get(&workload.namespace, || Namespace::start(self.context.clone(), workload.namespace.clone()));
        namespace.changes.listeners.add(listener);
        Box::new(View { name: workload.name.clone(), namespace, members: None })
    }
}

/// Tells views that something changed.
#[derive(Default)]
struct Changes {
    version: AtomicU64,
    listeners: Listeners,
}

impl Changes {
    fn note(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.listeners.wake();
    }
}

/// The watches on one namespace.
struct Namespace {
    context: Context,
    name: String,
    changes: Arc<Changes>,
    scaled_objects: Watch<DynamicObject>,
    pods: Watch<Pod>,
    targets: Mutex<HashMap<GroupVersionKind, Arc<Watch<DynamicObject>>>>,
}

impl Namespace {
    fn start(context: Context, name: String) -> Self {
        let changes = Arc::<Changes>::default();
        let scaled_object =
            ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"));
        let api = Api::namespaced_with(context.client.clone(), &name, &scaled_object);
        let scaled_objects = Watch::start(&context, api, scaled_object, &changes, keep_target);
        let api = Api::namespaced(context.client.clone(), &name);
        let pods = Watch::start(&context, api, (), &changes, keep_pod);
        Self { context, name, changes, scaled_objects, pods, targets: Mutex::default() }
    }

    /// The watch on all objects of a kind, begun when it is first asked for.
    fn targets(&self, kind: &GroupVersionKind) -> Arc<Watch<DynamicObject>> {
        let mut targets = lock(&self.targets);
        let watch = targets.entry(kind.clone()).or_insert_with(|| {
            let resource = ApiResource::from_gvk(kind);
            let api = Api::namespaced_with(self.context.client.clone(), &self.name, &resource);
            Arc::new(Watch::start(&self.context, api, resource, &self.changes, keep_scale))
        });
        watch.clone()
    }
}

/// How a watch is doing.
#[derive(Debug, Clone, Default)]
struct Standing {
    is_listed: bool,
    broken: Option<(Timestamp, String)>,
}

/// A watch and what it has seen.
struct Watch<K: Lookup + Clone + 'static>
where
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    kind: K::DynamicType,
    store: Store<K>,
    standing: Arc<Mutex<Standing>>,
    _task: Task,
}

impl<K> Watch<K>
where
    K: Resource + Clone + DeserializeOwned + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone + Send + Sync + 'static,
{
    fn start(
        context: &Context,
        api: Api<K>,
        kind: K::DynamicType,
        changes: &Arc<Changes>,
        keep: fn(&mut K),
    ) -> Self {
        let writer = Writer::new(kind.clone());
        let store = writer.as_reader();
        let standing = Arc::<Mutex<Standing>>::default();
        let follower = Follower {
            clock: context.clock.clone(),
            resource: format!("{}.{}", K::plural(&kind), K::group(&kind)).trim_end_matches('.').to_owned(),
            store: store.clone(),
            kind: kind.clone(),
            writer,
            standing: standing.clone(),
            changes: changes.clone(),
            keep,
        };
        let task = context.runtime.spawn(follower.follow(api));
        Self { kind, store, standing, _task: Task::new(task) }
    }

    fn get(&self, name: &str, namespace: &str) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::new_with(name, self.kind.clone()).within(namespace))
    }

    fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }
}

/// The task behind a watch.
struct Follower<K: Lookup + Clone + 'static>
where
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    clock: Clock,
    resource: String,
    store: Store<K>,
    kind: K::DynamicType,
    writer: Writer<K>,
    standing: Arc<Mutex<Standing>>,
    changes: Arc<Changes>,
    keep: fn(&mut K),
}

impl<K> Follower<K>
where
    K: Resource + Clone + DeserializeOwned + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    async fn follow(mut self, api: Api<K>) {
        let mut failures = 0_i32;
        loop {
            let mut events = std::pin::pin!(watcher::watcher(api.clone(), watcher::Config::default()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        if matches!(event, Event::InitDone) {
                            failures = 0;
                        }
                        self.take_in(&event.modify(self.keep));
                    }
                    Err(error) => {
                        self.broke(&error);
                        break;
                    }
                }
            }
            failures = (failures + 1).min(16);
            let bound = (FIRST_WAIT_SECONDS * 2_f64.powi(failures - 1)).min(LONGEST_WAIT_SECONDS);
            self.clock.sleep(Duration::from_secs_f64(bound * rand::random::<f64>())).await;
        }
    }

    fn take_in(&mut self, event: &Event<K>) {
        let is_news = match event {
            Event::Apply(object) => self.kept(object).as_deref() != Some(object),
            Event::Delete(_) | Event::InitDone => true,
            Event::Init | Event::InitApply(_) => false,
        };
        self.writer.apply_watcher_event(event);
        if matches!(event, Event::InitDone) {
            *lock(&self.standing) = Standing { is_listed: true, broken: None };
        }
        if is_news {
            self.changes.note();
        }
    }

    fn kept(&self, object: &K) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::from_obj_with(object, self.kind.clone()))
    }

    fn broke(&self, error: &watcher::Error) {
        let message = format!(
            "{} cannot be watched: {error}: the service account needs get, list and watch on them",
            self.resource
        );
        tracing::warn!(error = %message, "a watch ended");
        let mut standing = lock(&self.standing);
        let since = standing.broken.take().map_or_else(|| self.clock.now(), |(since, _)| since);
        standing.broken = Some((since, message));
        drop(standing);
        self.changes.note();
    }
}

/// One workload's pods among those of its namespace.
struct View {
    name: String,
    namespace: Arc<Lease<String, Namespace>>,
    /// As of a version: nothing is searched again while nothing changes.
    members: Option<(u64, Members)>,
}

#[derive(Clone, Default)]
struct Members {
    pods: Vec<Arc<Pod>>,
    wanted: Option<u32>,
    standings: Vec<Standing>,
    error: Option<String>,
}

impl ClusterView for View {
    fn read(&mut self, now: Timestamp) -> ClusterReading {
        let version = self.namespace.changes.version.load(Ordering::SeqCst);
        if self.members.as_ref().is_none_or(|(known, _)| *known != version) {
            self.members = Some((version, self.find()));
        }
        let members = self.members.as_ref().map(|(_, members)| members.clone()).unwrap_or_default();
        let broken = members.standings.iter().filter_map(|standing| standing.broken.as_ref());
        let is_known = members.error.is_none() && members.standings.iter().all(|standing| standing.is_listed);
        let age = broken.clone().map(|(since, _)| seconds_between(*since, now)).fold(0.0, f64::max);
        ClusterReading {
            replicas: is_known
                .then(|| pods::count(members.pods.iter().map(|pod| &**pod), members.wanted, now)),
            age_seconds: is_known.then_some(age),
            error: broken.map(|(_, message)| message.clone()).next().or(members.error),
        }
    }
}

impl View {
    fn find(&self) -> Members {
        let namespace = &*self.namespace;
        let mut standings = vec![namespace.scaled_objects.standing(), namespace.pods.standing()];
        if !standings[0].is_listed {
            return Members { standings, ..Members::default() };
        }
        match self.target(&mut standings) {
            Ok((selector, wanted)) => Members {
                pods: match selector {
                    Some(selector) => members_of(&namespace.pods.store, &selector),
                    None => Vec::new(),
                },
                wanted,
                standings,
                error: None,
            },
            Err(error) => Members { standings, error: Some(error), ..Members::default() },
        }
    }

    /// The selector of the scale target (`None` while its kind is not listed yet) and its `spec.replicas`.
    fn target(&self, standings: &mut Vec<Standing>) -> Result<(Option<Selector>, Option<u32>), String> {
        let namespace = &*self.namespace;
        let place = format!("{}/{}", namespace.name, self.name);
        let scaled_object = namespace
            .scaled_objects
            .get(&self.name, &namespace.name)
            .ok_or_else(|| format!("there is no ScaledObject {place}"))?;
        let reference = &scaled_object.data["spec"]["scaleTargetRef"];
        let name = reference["name"]
            .as_str()
            .ok_or_else(|| format!("ScaledObject {place} has no spec.scaleTargetRef.name"))?;
        let kind = reference["kind"].as_str().unwrap_or("Deployment");
        let api_version = reference["apiVersion"].as_str().unwrap_or("apps/v1");
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let watch = namespace.targets(&GroupVersionKind::gvk(group, version, kind));
        let standing = watch.standing();
        standings.push(standing.clone());
        if !standing.is_listed {
            return Ok((None, None));
        }
        let target = watch
            .get(name, &namespace.name)
            .ok_or_else(|| format!("ScaledObject {place} scales {kind} {name}, which does not exist"))?;
        let spec = &target.data["spec"];
        let selector = serde_json::from_value::<LabelSelector>(spec["selector"].clone())
            .ok()
            .and_then(|selector| Selector::try_from(selector).ok())
            .filter(|selector| !selector.selects_all())
            .ok_or_else(|| format!("{kind} {name} has no spec.selector that tells its pods apart"))?;
        // The API server's default where the field is left out.
        let wanted = if spec["replicas"].is_null() {
            Some(1)
        } else {
            spec["replicas"].as_u64().and_then(|count| u32::try_from(count).ok())
        };
        Ok((Some(selector), wanted))
    }
}

fn members_of(store: &Store<Pod>, selector: &Selector) -> Vec<Arc<Pod>> {
    store.state_filter(|pod| pod.metadata.labels.as_ref().is_some_and(|labels| selector.matches(labels)))
}

fn keep_metadata(metadata: &mut ObjectMeta) {
    *metadata = ObjectMeta {
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        labels: metadata.labels.take(),
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        ..ObjectMeta::default()
    };
}

fn keep_pod(pod: &mut Pod) {
    keep_metadata(&mut pod.metadata);
    pod.spec = pod.spec.take().map(|spec| PodSpec { node_name: spec.node_name, ..PodSpec::default() });
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        conditions: status.conditions.map(|mut conditions| {
            conditions.retain(|condition| condition.type_ == "Ready");
            for condition in &mut conditions {
                // These change without the answer changing.
                condition.last_probe_time = None;
                condition.message = None;
            }
            conditions
        }),
        ..PodStatus::default()
    });
}

fn keep_target(scaled_object: &mut DynamicObject) {
    keep_metadata(&mut scaled_object.metadata);
    let reference = scaled_object.data["spec"]["scaleTargetRef"].take();
    scaled_object.data = json!({"spec": {"scaleTargetRef": reference}});
}

fn keep_scale(target: &mut DynamicObject) {
    keep_metadata(&mut target.metadata);
    let spec = &mut target.data["spec"];
    let (replicas, selector) = (spec["replicas"].take(), spec["selector"].take());
    target.data = json!({"spec": {"replicas": replicas, "selector": selector}});
}

#[cfg(test)]
mod tests;
