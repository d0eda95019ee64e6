//! The watches against a small API server of our own: lists, watch streams, and an outage.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;
use crate::core::{NodeSlots, Replicas};
use crate::observe::cluster::facts::Named;
use crate::observe::cluster::{ClusterReading, HolderKind};

/// A client, which does not try again, of an API server that answers so.
pub(crate) async fn client_of(api_server: Router) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, api_server).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::new(uri);
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

type Lines = mpsc::UnboundedSender<Result<Bytes, Infallible>>;

/// What there is by the path of its list.
#[derive(Clone, Default)]
struct ApiServer {
    collections: Arc<Mutex<HashMap<String, Collection>>>,
    is_down: Arc<AtomicBool>,
    /// Paths of kinds that are not installed.
    absent: Arc<Mutex<Vec<&'static str>>>,
}

#[derive(Default)]
struct Collection {
    objects: Vec<Value>,
    /// Every event so far: the resource version is their number.
    events: Vec<Bytes>,
    watches: Vec<Lines>,
}

const SCALED_OBJECTS: &str = "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const BUFFERS: &str = "/apis/autoscaling.x-k8s.io/v1beta1/namespaces/shop/capacitybuffers";
const NODE_POOLS: &str = "/apis/karpenter.sh/v1/nodepools";
const NODE_CLAIMS: &str = "/apis/karpenter.sh/v1/nodeclaims";
const NODES: &str = "/api/v1/nodes";
const WARNINGS: &str = "/api/v1/namespaces/shop/events";

impl ApiServer {
    async fn start(&self) -> Client {
        client_of(Router::new().fallback(answer).with_state(self.clone())).await
    }

    /// Adds or changes an object and tells the watches.
    fn apply(&self, path: &str, object: &Value) {
        let mut collections = lock(&self.collections);
        let collection = collections.entry(path.to_owned()).or_default();
        let objects = &mut collection.objects;
        let known = objects.iter().position(|one| one["metadata"]["name"] == object["metadata"]["name"]);
        let kind = if known.is_some() { "MODIFIED" } else { "ADDED" };
        known.map(|index| objects.remove(index));
        objects.push(object.clone());
        let event = Bytes::from(format!("{}\n", json!({"type": kind, "object": object})));
        collection.events.push(event.clone());
        collection.watches.retain(|lines| lines.send(Ok(event.clone())).is_ok());
    }

    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
        for collection in lock(&self.collections).values_mut() {
            collection.watches.clear();
        }
    }
}

async fn answer(
    State(server): State<ApiServer>,
    uri: Uri,
    Query(parameters): Query<HashMap<String, String>>,
) -> Response {
    if server.is_down.load(Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, "down").into_response();
    }
    if lock(&server.absent).contains(&uri.path()) {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
            "reason": "NotFound", "message": "the server could not find the requested resource",
        });
        return (StatusCode::NOT_FOUND, axum::Json(status)).into_response();
    }
    let mut collections = lock(&server.collections);
    let collection = collections.entry(uri.path().to_owned()).or_default();
    if parameters.get("watch").is_some_and(|watch| watch == "true") {
        let (lines, receiver) = mpsc::unbounded_channel();
        let seen = parameters["resourceVersion"].parse().unwrap();
        for event in collection.events.iter().skip(seen) {
            let _ = lines.send(Ok(event.clone()));
        }
        collection.watches.push(lines);
        return Body::from_stream(UnboundedReceiverStream::new(receiver)).into_response();
    }
    let version = collection.events.len().to_string();
    let list = json!({
        "kind": "List", "apiVersion": "v1",
        "metadata": {"resourceVersion": version}, "items": collection.objects,
    });
    axum::Json(list).into_response()
}

fn scaled_object(target: &Value) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": "orders", "namespace": "shop", "resourceVersion": "2"},
        "spec": {"scaleTargetRef": target, "triggers": []},
    })
}

fn deployment(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "workers", "namespace": "shop", "resourceVersion": "2"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "workers"}}, "template": {}},
    })
}

fn pod(name: &str, app: &str, is_ready: bool) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "resourceVersion": "2", "labels": {"app": app},
            "creationTimestamp": "2026-11-27T07:59:00Z",
        },
        "spec": {"nodeName": "node-1", "containers": []},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": if is_ready { "True" } else { "False" }},
        ]},
    })
}

/// A workload's view and what it takes to wait on it.
struct Watcher {
    view: Box<dyn ClusterView>,
    listener: Arc<Notify>,
    clock: Clock,
}

impl Watcher {
    async fn until(&mut self, what: &str, holds: impl Fn(&ClusterReading) -> bool) -> ClusterReading {
        loop {
            let reading = self.view.read(self.clock.now());
            if holds(&reading) {
                return reading;
            }
            let news = tokio::time::timeout(Duration::from_secs(20), self.listener.notified()).await;
            assert!(news.is_ok(), "{what} does not come: {reading:?}");
        }
    }
}

fn ready(reading: &ClusterReading) -> Option<u32> {
    reading.replicas.as_ref().map(|replicas| replicas.ready)
}

#[tokio::test]
async fn pods_are_followed_through_an_outage() {
    let server = ApiServer::default();
    server.apply(SCALED_OBJECTS, &scaled_object(&json!({"name": "workers"})));
    server.apply(DEPLOYMENTS, &deployment(3));
    server.apply(PODS, &pod("workers-1", "workers", true));
    server.apply(PODS, &pod("workers-2", "workers", false));
    server.apply(PODS, &pod("web-1", "web", true));
    let start = "2026-11-27T08:00:00Z".parse().unwrap();
    // Twenty times as fast, so that the waits between attempts are short.
    let clock = Clock::scaled(start, 20.0);
    let cluster = KubernetesCluster::new(server.start().await, clock.clone());
    let workload = WorkloadId { namespace: "shop".to_owned(), name: "orders".to_owned() };
    let listener = Arc::new(Notify::new());
    let mut watcher = Watcher {
        view: cluster.watch(&workload, &Interest::default(), &listener),
        listener,
        clock: clock.clone(),
    };

    let reading = watcher.until("the first list", |reading| reading.replicas.is_some()).await;
    let replicas = reading.replicas.unwrap();
    assert_eq!((replicas.ready, replicas.starting.len(), replicas.wanted), (1, 1, Some(3)));
    assert!(replicas.starting[0] >= 60.0, "{replicas:?}");
    assert_eq!((reading.age_seconds, reading.error), (Some(0.0), None));

    server.apply(PODS, &pod("workers-2", "workers", true));
    server.apply(DEPLOYMENTS, &deployment(5));
    let both = |reading: &ClusterReading| {
        let replicas = reading.replicas.as_ref();
        replicas.is_some_and(|replicas| replicas.ready == 2 && replicas.wanted == Some(5))
    };
    watcher.until("both changes", both).await;

    server.set_down(true);
    let reading = watcher.until("the outage", |reading| reading.error.is_some()).await;
    assert_eq!(ready(&reading), Some(2), "the last known stays");
    assert!(reading.error.unwrap().contains("cannot be watched"));
    let later = crate::clock::later(clock.now(), Duration::from_secs(100));
    assert!(watcher.view.read(later).age_seconds.unwrap() >= 100.0);

    // What happened meanwhile is seen by the fresh list.
    server.apply(PODS, &pod("workers-3", "workers", true));
    server.set_down(false);
    let reading = watcher.until("the end of the outage", |reading| ready(reading) == Some(3)).await;
    let reading = match reading.error {
        None => reading,
        Some(_) => watcher.until("all watches", |reading| reading.error.is_none()).await,
    };
    assert_eq!(reading.age_seconds, Some(0.0));

    drop(watcher);
    assert_eq!(cluster.namespaces.len(), 0, "the watches end with the last view");
}

#[tokio::test]
async fn what_is_missing_is_said_and_nothing_assumed() {
    let server = ApiServer::default();
    let clock = Clock::scaled("2026-11-27T08:00:00Z".parse().unwrap(), 20.0);
    let cluster = KubernetesCluster::new(server.start().await, clock.clone());
    let workload = WorkloadId { namespace: "shop".to_owned(), name: "orders".to_owned() };
    let listener = Arc::new(Notify::new());
    let mut watcher =
        Watcher { view: cluster.watch(&workload, &Interest::default(), &listener), listener, clock };
    let says = |words: &'static str| {
        move |reading: &ClusterReading| {
            let is_said = reading.error.as_ref().is_some_and(|error| error.contains(words));
            assert!(!is_said || reading.replicas.is_none());
            is_said
        }
    };
    watcher.until("no ScaledObject", says("no ScaledObject shop/orders")).await;
    server.apply(SCALED_OBJECTS, &scaled_object(&json!({"name": "workers", "kind": "Deployment"})));
    watcher.until("no Deployment", says("Deployment workers, which does not exist")).await;
    server.apply(DEPLOYMENTS, &deployment(0));
    let reading = watcher.until("the Deployment", |reading| reading.replicas.is_some()).await;
    let expected = Replicas { ready: 0, starting: Vec::new(), pending: 0, wanted: Some(0) };
    assert_eq!(reading.replicas, Some(expected));
}

/// A node of the pool that takes four workers, and its claim, which asked for two of them and half a core of daemons.
fn node_and_claim(name: &str, is_initialized: bool) -> (Value, Value) {
    let labels =
        json!({"karpenter.sh/nodepool": "pickers", "karpenter.sh/initialized": is_initialized.to_string()});
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "resourceVersion": "2", "labels": labels},
        "status": {
            "allocatable": {"cpu": "4500m", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    let condition = |kind: &str, status: bool, second: u32| {
        let status = if status { "True" } else { "Unknown" };
        json!({"type": kind, "status": status, "lastTransitionTime": format!("2026-11-27T07:58:{second:02}Z")})
    };
    let claim = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {
            "name": format!("pickers-{name}"), "uid": name, "resourceVersion": "2", "labels": labels,
            "creationTimestamp": "2026-11-27T07:57:00Z",
        },
        "spec": {"expireAfter": "720h", "resources": {"requests": {"cpu": "2500m", "pods": "3"}}},
        "status": {
            "nodeName": name, "capacity": {"cpu": "5"}, "allocatable": {"cpu": "4500m", "pods": "110"},
            "conditions": [condition("Launched", true, 1), condition("Registered", true, 20), condition("Initialized", is_initialized, 30)],
        },
    });
    (node, claim)
}

fn asking_pod(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "resourceVersion": "2", "labels": {"app": "workers"},
            "creationTimestamp": "2026-11-27T07:59:00Z",
        },
        "spec": {"nodeName": node, "containers": [{"name": "worker", "resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": "Running", "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-27T07:59:01Z"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-27T07:59:41Z"},
        ]},
    })
}

fn interest() -> Interest {
    Interest {
        node_pool: Some("pickers".to_owned()),
        holder: Some((HolderKind::CapacityBuffer, "ahead".to_owned())),
        pod_lead_seconds: 30.0,
        node_lead_seconds: 60.0,
    }
}

fn watcher(cluster: &KubernetesCluster, clock: &Clock) -> Watcher {
    let workload = WorkloadId { namespace: "shop".to_owned(), name: "orders".to_owned() };
    let listener = Arc::new(Notify::new());
    Watcher { view: cluster.watch(&workload, &interest(), &listener), listener, clock: clock.clone() }
}

#[tokio::test]
async fn room_lead_times_and_what_holds_room_are_seen() {
    let server = ApiServer::default();
    let mut object = scaled_object(&json!({"name": "workers"}));
    object["spec"]["maxReplicaCount"] = json!(30);
    server.apply(SCALED_OBJECTS, &object);
    let mut workers = deployment(3);
    workers["spec"]["template"] =
        json!({"spec": {"containers": [{"name": "worker", "resources": {"requests": {"cpu": "1"}}}]}});
    server.apply(DEPLOYMENTS, &workers);
    for (name, node) in [("workers-1", "a"), ("workers-2", "a"), ("workers-3", "b")] {
        server.apply(PODS, &asking_pod(name, node));
    }
    for (name, is_initialized) in [("a", true), ("b", true), ("c", false)] {
        let (node, claim) = node_and_claim(name, is_initialized);
        server.apply(NODES, &node);
        server.apply(NODE_CLAIMS, &claim);
    }
    server.apply(
        NODE_POOLS,
        &json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
            "metadata": {"name": "pickers", "resourceVersion": "2"},
            "spec": {"limits": {"cpu": "20"}}, "status": {"resources": {"cpu": "15"}},
        }),
    );
    let fields = json!({"f:spec": {"f:replicas": {}}});
    server.apply(
        BUFFERS,
        &json!({
            "apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer",
            "metadata": {
                "name": "ahead", "namespace": "shop", "resourceVersion": "7",
                "annotations": {"peakscaler/workload": "shop/orders", "peakscaler/expires": "2026-11-27T08:05:00Z"},
                "managedFields": [
                    {"manager": "peakscaler", "operation": "Apply", "fieldsV1": fields},
                    {"manager": "kubectl", "operation": "Update", "fieldsV1": fields},
                ],
            },
            "spec": {"replicas": 4, "scalableRef": {"kind": "Deployment", "name": "workers"}},
        }),
    );
    server.apply(
        WARNINGS,
        &json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e1", "namespace": "shop", "resourceVersion": "2"},
            "involvedObject": {"kind": "Pod", "name": "workers-3"}, "reason": "FailedScheduling",
            "message": "Failed to schedule pod, all available instance types exceed limits for nodepool",
            "lastTimestamp": "2026-11-27T07:59:30Z",
        }),
    );
    let clock = Clock::scaled("2026-11-27T08:00:00Z".parse().unwrap(), 20.0);
    let cluster = KubernetesCluster::new(server.start().await, clock.clone());
    let mut watcher = watcher(&cluster, &clock);
    let is_whole = |reading: &ClusterReading| {
        let facts = reading.capacity.as_deref();
        facts.is_some_and(|facts| {
            facts.slots.is_some_and(|slots| slots.free_slots > 0)
                && facts.leads.pod_samples == 3
                && !facts.refusals.is_empty()
                && facts.holder.found().is_some()
        })
    };
    let facts = watcher.until("all facts", is_whole).await.capacity.unwrap();
    // Two nodes with room for four and half a core of daemons; three workers are there. The third node comes.
    assert_eq!(facts.slots, Some(NodeSlots { free_slots: 5, coming: 4 }));
    assert_eq!((facts.pods_a_node, facts.has_karpenter), (Some(4), Some(true)));
    let leads = &facts.leads;
    // One node is on its way for three minutes: at least that long.
    assert!(leads.node_seconds.unwrap() >= 180.0, "{leads:?}");
    assert_eq!((leads.pod_seconds, leads.node_samples), (Some(41.0), 2));
    assert_eq!(facts.scaled_object.found().unwrap().bounds.max, Some(30));
    let pool = facts.pool.found().unwrap();
    assert_eq!((pool.limits["cpu"], pool.in_use["cpu"]), (20.0, 15.0));
    let holder = facts.holder.found().unwrap();
    assert_eq!((holder.replicas, holder.other_manager.as_deref()), (4, Some("kubectl")));
    assert_eq!(holder.held_for.as_deref(), Some("shop/orders"));
    assert_eq!(facts.broken_since, None);
}

#[tokio::test]
async fn kinds_that_are_not_installed_are_told_apart_from_what_is_missing() {
    let server = ApiServer::default();
    lock(&server.absent).extend([NODE_POOLS, NODE_CLAIMS, BUFFERS]);
    server.apply(SCALED_OBJECTS, &scaled_object(&json!({"name": "workers"})));
    server.apply(DEPLOYMENTS, &deployment(0));
    let clock = Clock::scaled("2026-11-27T08:00:00Z".parse().unwrap(), 20.0);
    let cluster = KubernetesCluster::new(server.start().await, clock.clone());
    let mut watcher = watcher(&cluster, &clock);
    let reading = watcher
        .until("what is not installed", |reading| {
            let facts = reading.capacity.as_deref();
            facts.is_some_and(|facts| facts.has_karpenter == Some(false) && facts.holder == Named::NoSuchKind)
        })
        .await;
    assert_eq!(
        (reading.error, reading.capacity.unwrap().slots),
        (None, None),
        "workers are seen all the same"
    );

    lock(&server.absent).clear();
    watcher
        .until("their installation", |reading| {
            let facts = reading.capacity.as_deref();
            facts.is_some_and(|facts| facts.pool == Named::Missing && facts.holder == Named::Missing)
        })
        .await;
}
