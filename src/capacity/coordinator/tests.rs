//! The coordinator over a real engine, against a small API server of our own that keeps objects and notes writes.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::*;
use crate::capacity::findings::tests::{facts, holder};
use crate::core::{Observation, QueueReading, Replicas};
use crate::engine::EngineOptions;
use crate::observe::cluster::HolderKind;
use crate::observe::cluster::kubernetes::tests::client_of;
use crate::observe::{Observed, SimulatedSources};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/peakscaler/leases/peakscaler";
const BUFFER: &str = "/apis/autoscaling.x-k8s.io/v1beta1/namespaces/shop/capacitybuffers/pickers-ahead";
const SCALE: &str = "/apis/apps/v1/namespaces/shop/deployments/pickers-ahead/scale";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

/// Objects by path, and every write.
#[derive(Clone, Default)]
struct ApiServer {
    objects: Arc<Mutex<HashMap<String, Value>>>,
    writes: Arc<Mutex<Vec<(Method, String, Value)>>>,
    is_down: Arc<AtomicBool>,
}

impl ApiServer {
    async fn start(&self) -> Client {
        client_of(Router::new().fallback(answer).with_state(self.clone())).await
    }

    fn put(&self, path: &str, object: Value) {
        self.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    fn get(&self, path: &str) -> Value {
        self.objects.lock().unwrap().get(path).cloned().unwrap_or(Value::Null)
    }

    fn buffer_writes(&self) -> Vec<u64> {
        let writes = self.writes.lock().unwrap();
        let of_buffer = writes.iter().filter(|(_, path, _)| path == BUFFER);
        of_buffer.filter_map(|(_, _, body)| body["spec"]["replicas"].as_u64()).collect()
    }
}

async fn answer(State(server): State<ApiServer>, method: Method, uri: Uri, body: Bytes) -> Response {
    let failure = |code: StatusCode, reason: &str| {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(),
            "reason": reason, "message": reason, "metadata": {},
        });
        (code, axum::Json(status)).into_response()
    };
    if server.is_down.load(Ordering::SeqCst) {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "Unavailable");
    }
    let path = uri.path().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if method != Method::GET {
        server.writes.lock().unwrap().push((method.clone(), path.clone(), body.clone()));
    }
    if method == Method::POST {
        return (StatusCode::CREATED, axum::Json(body)).into_response();
    }
    let mut objects = server.objects.lock().unwrap();
    let Some(object) = objects.get_mut(&path) else { return failure(StatusCode::NOT_FOUND, "NotFound") };
    if method == Method::PATCH {
        let seen = &body["metadata"]["resourceVersion"];
        if !seen.is_null() && *seen != object["metadata"]["resourceVersion"] {
            return failure(StatusCode::CONFLICT, "Conflict");
        }
        merge(object, &body);
        let version =
            object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse::<u64>().ok());
        object["metadata"]["resourceVersion"] = json!((version.unwrap_or(0) + 1).to_string());
    }
    axum::Json(object.clone()).into_response()
}

fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    object.remove(key);
                } else {
                    merge(object.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

/// What the centre looks like to the engine.
#[derive(Clone, Copy)]
struct Centre {
    backlog: f64,
    pods: u32,
    has_workload: bool,
}

/// A cluster with one workload and its buffer, a centre, and an engine over both.
struct Scene {
    server: ApiServer,
    centre: Arc<Mutex<Centre>>,
    engine: Engine,
    client: Client,
    kind: HolderKind,
}

impl Scene {
    async fn start() -> Self {
        Self::start_with(HolderKind::CapacityBuffer).await
    }

    async fn start_with(kind: HolderKind) -> Self {
        let server = ApiServer::default();
        server.put(
            LEASE,
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "peakscaler", "namespace": "peakscaler", "resourceVersion": "1"},
            }),
        );
        server.put(
            BUFFER,
            json!({
                "apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer",
                "metadata": {"name": "pickers-ahead", "namespace": "shop", "resourceVersion": "1"},
                "spec": {"replicas": 0, "scalableRef": {"kind": "Deployment", "name": "pickers"}},
            }),
        );
        server.put(
            SCALE,
            json!({
                "apiVersion": "autoscaling/v1", "kind": "Scale",
                "metadata": {"name": "pickers-ahead", "namespace": "shop"}, "spec": {"replicas": 0},
            }),
        );
        let centre = Arc::new(Mutex::new(Centre { backlog: 6000.0, pods: 4, has_workload: true }));
        let seen = (server.clone(), centre.clone());
        let sources =
            SimulatedSources::generated(move |_, now| observed(&seen.0, kind, *seen.1.lock().unwrap(), now));
        let options = EngineOptions { tick: Duration::from_millis(100), ..EngineOptions::default() };
        let engine = Engine::start(options, Arc::new(sources), Clock::real(), None);
        let client = server.start().await;
        let scene = Self { server, centre, engine, client, kind };
        scene.ask();
        scene
    }

    /// As KEDA asks.
    fn ask(&self) -> Arc<Entry> {
        let metadata = [
            ("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/orders"),
            ("targetWait", "5m"),
            ("serviceRate", "60"),
            ("nodePool", "pickers"),
            (
                if self.kind == HolderKind::Placeholder { "placeholder" } else { "capacityBuffer" },
                "pickers-ahead",
            ),
        ];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.engine.entry("shop", "pickers", &metadata.into()).unwrap()
    }

    fn coordinate(&self, identity: &str) -> (Coordination, Coordinator) {
        let coordination = Coordination::default();
        let options = CoordinationOptions {
            lease_name: "peakscaler".to_owned(),
            lease_namespace: "peakscaler".to_owned(),
            identity: identity.to_owned(),
        };
        let coordinator =
            Coordinator::start(&coordination, self.engine.clone(), self.client.clone(), options);
        (coordination, coordinator)
    }

    fn change(&self, change: impl FnOnce(&mut Centre)) {
        change(&mut self.centre.lock().unwrap());
    }

    fn held(&self) -> u64 {
        self.server.get(BUFFER)["spec"]["replicas"].as_u64().unwrap()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} does not come: {:?}", self.server.writes.lock().unwrap());
    }
}

fn observed(server: &ApiServer, kind: HolderKind, centre: Centre, now: Timestamp) -> Observed {
    let buffer = server.get(if kind == HolderKind::Placeholder { SCALE } else { BUFFER });
    let mut found = holder(kind);
    found.replicas = buffer["spec"]["replicas"].as_u64().unwrap().try_into().unwrap();
    found.resource_version = buffer["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    found.expires =
        buffer["metadata"]["annotations"]["peakscaler/expires"].as_str().map(|at| at.parse().unwrap());
    let mut facts = CapacityFacts { at: Some(now), holder: Named::Found(found), ..facts() };
    facts.leads.node_seconds = Some(60.0);
    if !centre.has_workload {
        facts.scaled_object = Named::Missing;
    } else if let Named::Found(object) = &mut facts.scaled_object {
        // More than the pool takes.
        object.bounds.max = Some(100);
    }
    Observed {
        observation: Observation {
            at: now,
            queue: Some(QueueReading { visible: centre.backlog, ..QueueReading::default() }),
            arrivals: Vec::new(),
            completions: Vec::new(),
            replicas: Some(Replicas {
                ready: centre.pods,
                starting: Vec::new(),
                pending: 0,
                wanted: Some(centre.pods),
            }),
            nodes: None,
            lead_times: None,
            bounds: None,
        },
        sources: Vec::new(),
        capacity: Some(Arc::new(facts)),
    }
}

fn ahead(scene: &Scene) -> u64 {
    let snapshot = scene.ask().snapshot();
    snapshot.and_then(|snapshot| Some(u64::from(snapshot.record.as_ref()?.ahead))).unwrap_or(0)
}

#[tokio::test]
async fn room_is_held_lowered_as_pods_move_in_and_given_back() {
    let scene = Scene::start().await;
    let (coordination, coordinator) = scene.coordinate("one");
    // What is wanted ahead goes on rising, and is written every five seconds.
    scene.until("room", |scene| scene.held() > 0 && scene.held() + 4 == ahead(scene)).await;
    assert!(coordination.is_leader());
    let buffer = scene.server.get(BUFFER);
    assert_eq!(buffer["metadata"]["annotations"]["peakscaler/workload"], "shop/pickers");
    let listed =
        |scene: &Scene| scene.server.get(LEASE)["metadata"]["annotations"]["peakscaler/holds"].to_string();
    assert!(listed(&scene).contains("pickers-ahead"), "a successor knows of it");

    // Written once: what stands there is not written again.
    let writes = scene.server.buffer_writes().len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.server.buffer_writes().len(), writes, "{:?}", scene.server.buffer_writes());

    let wanted = ahead(&scene);
    scene.change(|centre| centre.pods = u32::try_from(wanted).unwrap() - 2);
    scene.until("less room", |scene| scene.held() < 10).await;

    scene.change(|centre| centre.pods = 4);
    scene.until("room again", |scene| scene.held() > 10).await;
    scene.change(|centre| centre.has_workload = false);
    scene.until("none for a workload that is gone", |scene| scene.held() == 0).await;
    scene.until("an empty list", |scene| !listed(scene).contains("pickers-ahead")).await;
    coordinator.stop().await;
    assert!(scene.server.get(LEASE)["spec"]["holderIdentity"].is_null(), "the Lease is given back");
}

#[tokio::test]
async fn what_nobody_wishes_for_is_given_back_when_its_time_is_over() {
    let scene = Scene::start().await;
    let other = "/apis/autoscaling.x-k8s.io/v1beta1/namespaces/shop/capacitybuffers/left-behind";
    scene.server.put(other, json!({"metadata": {"name": "left-behind"}, "spec": {"replicas": 7}}));
    let mut lease = scene.server.get(LEASE);
    lease["metadata"]["annotations"]["peakscaler/holds"] = json!(
        json!([{"kind": "CapacityBuffer", "namespace": "shop", "name": "left-behind", "until": "2026-01-01T00:00:00Z"}])
            .to_string()
    );
    scene.server.put(LEASE, lease);
    let (_, coordinator) = scene.coordinate("two");
    scene.until("the predecessor's buffer", |scene| scene.server.get(other)["spec"]["replicas"] == 0).await;
    coordinator.stop().await;
}

#[tokio::test]
async fn an_outage_lowers_nothing_and_writes_nothing_twice() {
    let scene = Scene::start().await;
    let (_, coordinator) = scene.coordinate("three");
    scene.until("room", |scene| scene.held() > 0).await;
    let held = scene.held();
    scene.server.is_down.store(true, Ordering::SeqCst);
    scene.change(|centre| centre.backlog = 12_000.0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = scene.server.buffer_writes().len();
    scene.server.is_down.store(false, Ordering::SeqCst);
    scene.until("more room", |scene| scene.held() > held).await;
    let wanted = scene.held();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let writes = scene.server.buffer_writes()[before..].to_vec();
    assert_eq!(writes.iter().filter(|replicas| **replicas == wanted).count(), 1, "{writes:?}");
    assert!(writes.iter().all(|replicas| *replicas >= held), "{writes:?}");
    coordinator.stop().await;
}

#[tokio::test]
async fn findings_are_told_on_the_scaled_object() {
    let scene = Scene::start().await;
    let (_, coordinator) = scene.coordinate("four");
    let told = |scene: &Scene| {
        let writes = scene.server.writes.lock().unwrap();
        let mut events = writes.iter().filter(|(method, path, _)| *method == Method::POST && path == EVENTS);
        events.find(|(_, _, body)| body["reason"] == "PoolLimitBelowPlan").map(|(_, _, body)| body.clone())
    };
    // The plan wants more than the pool of 60 cores takes.
    scene.change(|centre| centre.backlog = 60_000.0);
    scene.until("an event", |scene| told(scene).is_some()).await;
    let event = told(&scene).unwrap();
    assert_eq!(
        (&event["regarding"]["kind"], &event["regarding"]["name"]),
        (&"ScaledObject".into(), &"pickers".into())
    );
    assert!(event["note"].as_str().unwrap().contains("cpu limit 60, 12 in use"), "{event}");
    assert_eq!(event["type"], "Warning");
    coordinator.stop().await;
}

#[tokio::test]
async fn a_placeholder_is_scaled_in_the_place_of_a_buffer() {
    let scene = Scene::start_with(HolderKind::Placeholder).await;
    let (_, coordinator) = scene.coordinate("five");
    let placeholders = |scene: &Scene| scene.server.get(SCALE)["spec"]["replicas"].as_u64().unwrap();
    let as_wanted = |scene: &Scene| placeholders(scene) > 0 && placeholders(scene) + 4 == ahead(scene);
    scene.until("placeholders", as_wanted).await;
    assert_eq!(scene.held(), 0, "nobody writes the buffer");
    scene.change(|centre| centre.has_workload = false);
    scene.until("none", |scene| placeholders(scene) == 0).await;
    coordinator.stop().await;
}
