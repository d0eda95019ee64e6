//! `plan --from-cluster` against a small API server of our own: the kinds that it lists, and watches that stay silent.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::support::{Folder, OURS, json as read_json};

type Objects = Arc<HashMap<&'static str, Vec<Value>>>;

const SCALED_OBJECTS: &str = "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects";

/// Serves objects by the path of their list; other kinds are not installed.
async fn serve(objects: Objects) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(objects);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn answer(
    State(objects): State<Objects>,
    uri: Uri,
    Query(parameters): Query<HashMap<String, String>>,
) -> Response {
    if let Some(items) = objects.get(uri.path()) {
        if parameters.get("watch").is_some_and(|watch| watch == "true") {
            let silent = futures::stream::pending::<Result<Bytes, std::convert::Infallible>>();
            return Body::from_stream(silent).into_response();
        }
        let list =
            json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items});
        return axum::Json(list).into_response();
    }
    let one = uri
        .path()
        .rsplit_once('/')
        .and_then(|(list, name)| objects.get(list)?.iter().find(|object| object["metadata"]["name"] == name));
    if let Some(object) = one {
        return axum::Json(object).into_response();
    }
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
        "reason": "NotFound", "message": "the server could not find the requested resource"});
    (StatusCode::NOT_FOUND, axum::Json(status)).into_response()
}

/// A Deployment whose pods ask for a core each, on nodes of five cores that take four; a pool of fourteen cores, which is
/// two such nodes; a quota of eleven pods, two of which are somebody else's; and a sale.
fn cluster() -> HashMap<&'static str, Vec<Value>> {
    let of = |kind: &str, version: &str, name: &str, rest: Value| {
        let mut object = json!({"apiVersion": version, "kind": kind,
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1",
                "creationTimestamp": "2026-11-10T08:00:00Z", "labels": {"app": "pickers", "karpenter.sh/nodepool": "pickers"}}});
        for (key, value) in rest.as_object().unwrap() {
            object[key] = value.clone();
        }
        object
    };
    let mut scaled_object: Value = serde_saphyr::from_str(OURS).unwrap();
    scaled_object["apiVersion"] = json!("keda.sh/v1alpha1");
    scaled_object["metadata"]["resourceVersion"] = json!("1");
    scaled_object["spec"]["triggers"][0]["metadata"]["nodePool"] = json!("pickers");
    let container = json!([{"name": "worker", "resources": {"requests": {"cpu": "1"}}}]);
    let deployment = json!({"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "pickers"}},
        "template": {"metadata": {"labels": {"app": "pickers"}}, "spec": {"containers": container, "terminationGracePeriodSeconds": 120}}}});
    let condition = |kind: &str, second: u32| json!({"type": kind, "status": "True", "lastTransitionTime": format!("2026-11-10T08:01:{second:02}Z")});
    let pod = json!({"spec": {"nodeName": "a", "containers": container}, "status": {"phase": "Running",
        "conditions": [condition("PodScheduled", 0), condition("Ready", 40)]}});
    let claim = json!({
        "spec": {"resources": {"requests": {"cpu": "1500m", "pods": "2"}}},
        "status": {"nodeName": "a", "capacity": {"cpu": "5"}, "allocatable": {"cpu": "4500m", "pods": "110"},
            "conditions": [condition("Launched", 1), condition("Registered", 20), condition("Initialized", 30)]},
    });
    let node = json!({"status": {"allocatable": {"cpu": "4500m", "pods": "110"}, "conditions": [condition("Ready", 30)]}});
    let pool = json!({"spec": {"limits": {"cpu": "14"}}});
    let quota = json!({"spec": {"hard": {"pods": "11"}}, "status": {"used": {"pods": "3"}}});
    let sale = json!({"spec": {"timeZone": "Europe/Prague",
        "peaks": [{"name": "Sale", "from": "2026-11-11", "to": "2026-11-11", "uplift": 3}]}});
    HashMap::from([
        (SCALED_OBJECTS, vec![scaled_object]),
        ("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers", Vec::new()),
        (
            "/apis/apps/v1/namespaces/shop/deployments",
            vec![of("Deployment", "apps/v1", "pickers", deployment)],
        ),
        ("/api/v1/namespaces/shop/pods", vec![of("Pod", "v1", "pickers-1", pod)]),
        ("/api/v1/namespaces/shop/events", Vec::new()),
        ("/api/v1/namespaces/default/events", Vec::new()),
        ("/api/v1/namespaces/shop/resourcequotas", vec![of("ResourceQuota", "v1", "pods", quota)]),
        ("/apis/karpenter.sh/v1/nodepools", vec![of("NodePool", "karpenter.sh/v1", "pickers", pool)]),
        ("/apis/karpenter.sh/v1/nodeclaims", vec![of("NodeClaim", "karpenter.sh/v1", "pickers-a", claim)]),
        ("/api/v1/nodes", vec![of("Node", "v1", "a", node)]),
        (
            "/apis/peakscaler.io/v1alpha1/namespaces/shop/peakcalendars",
            vec![of("PeakCalendar", "peakscaler.io/v1alpha1", "season", sale)],
        ),
    ])
}

/// A folder whose `kubeconfig` names a server of these objects.
async fn folder(objects: HashMap<&'static str, Vec<Value>>) -> Folder {
    let server = serve(Arc::new(objects)).await;
    let folder = Folder::new();
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]});
    folder.write("kubeconfig", &config.to_string());
    folder
}

/// The cluster with an empty list, by the end of its path.
fn without(list: &str) -> HashMap<&'static str, Vec<Value>> {
    let mut objects = cluster();
    objects.insert(cluster().keys().find(|known| known.ends_with(list)).unwrap(), Vec::new());
    objects
}

const PLAN: &str =
    "plan --history orders.csv --service-time 60s --on 2026-11-11 --quantiles 0.9 --output json";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_limits_quota_lead_times_and_calendar_are_the_clusters() {
    let folder = folder(cluster()).await;
    let output =
        folder.run_with(&format!("{PLAN} --from-cluster shop/pickers"), &[("KUBECONFIG", "kubeconfig")]);
    let report = read_json(&String::from_utf8(output.stdout).unwrap_or_default());
    let assumption = |what: &str| {
        let found = report["assumptions"].as_array().unwrap().iter().find(|one| one["what"] == what);
        let found = found.unwrap_or_else(|| panic!("{what}: {}", report["assumptions"]));
        (found["value"].as_str().unwrap().to_owned(), found["source"].as_str().unwrap().to_owned())
    };
    let from_cluster = |value: &str| (value.to_owned(), "cluster".to_owned());
    assert_eq!(assumption("worker pods on a node"), from_cluster("4"));
    assert_eq!(assumption("most nodes"), from_cluster("2"));
    assert_eq!(assumption("terminationGracePeriodSeconds"), from_cluster("120"));
    assert_eq!(assumption("from a pod's place on a node to Ready").1, "cluster");
    assert_eq!(assumption("from asking for a node to Initialized").1, "cluster");
    let limit = |name: &str| {
        let limits = report["limits"].as_array().unwrap();
        limits.iter().find(|limit| limit["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(limit("ResourceQuota (pods)"), 9, "{}", report["limits"]);
    assert_eq!(limit("NodePool limit (nodes)"), 2, "{}", report["limits"]);

    let other = folder.run_with(
        &format!("{PLAN} --from-cluster shop/pickers --pods-per-node 2 --calendar none.yaml"),
        &[("KUBECONFIG", "kubeconfig")],
    );
    assert!(String::from_utf8_lossy(&other.stderr).contains("none.yaml"), "a calendar given is read");
    folder.write("none.yaml", "peaks: []\n");
    let plain = folder.run_with(
        &format!("{PLAN} --from-cluster shop/pickers --pods-per-node 2 --calendar none.yaml"),
        &[("KUBECONFIG", "kubeconfig")],
    );
    let plain = read_json(&String::from_utf8(plain.stdout).unwrap());
    let noon = |report: &Value| report["hours"][12]["orders"][0].as_f64().unwrap();
    assert!(noon(&report) > 2.0 * noon(&plain), "the sale counts: {} and {}", noon(&report), noon(&plain));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_without_nodes_still_bounds_and_a_wrong_calendar_is_left_out() {
    let mut objects = without("/nodeclaims");
    let calendars = objects.get_mut("/apis/peakscaler.io/v1alpha1/namespaces/shop/peakcalendars").unwrap();
    let mut wrong = calendars[0].clone();
    wrong["metadata"]["name"] = json!("wrong");
    wrong["spec"]["timeZone"] = json!("Europe/Atlantis");
    calendars.push(wrong);
    let folder = folder(objects).await;
    let output =
        folder.run_with(&format!("{PLAN} --from-cluster shop/pickers"), &[("KUBECONFIG", "kubeconfig")]);
    let report = read_json(&String::from_utf8(output.stdout).unwrap());
    let limits = report["limits"].as_array().unwrap();
    let of_pool = limits.iter().find(|limit| limit["name"] == "NodePool limit (pods)").unwrap();
    assert_eq!(of_pool["value"], 14, "a core each of fourteen: {limits:?}");
    let notes = report["notes"].to_string();
    for words in ["its limits are taken for 14 pods", "PeakCalendar wrong is not in force, and left out"] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flag_that_says_the_same_as_the_cluster_is_a_flag() {
    let mut objects = without("/nodeclaims");
    objects.get_mut("/apis/karpenter.sh/v1/nodepools").unwrap()[0]["spec"]["limits"]["nodes"] = json!("2");
    let folder = folder(objects).await;
    let output = folder.run_with(
        &format!("{PLAN} --from-cluster shop/pickers --node-limit 2 --grace 30s"),
        &[("KUBECONFIG", "kubeconfig")],
    );
    let report = read_json(&String::from_utf8(output.stdout).unwrap());
    for (what, value) in [("most nodes", "2"), ("terminationGracePeriodSeconds", "30")] {
        let mut assumptions = report["assumptions"].as_array().unwrap().iter();
        let found = assumptions.find(|one| one["what"] == what).unwrap();
        assert_eq!(
            (found["value"].as_str(), found["source"].as_str()),
            (Some(value), Some("flag")),
            "{what}"
        );
    }
    let limits = report["limits"].as_array().unwrap();
    assert!(limits.iter().all(|limit| limit["name"] != "NodePool limit (pods)"), "{limits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_count_limits_and_the_pods_of_their_scopes() {
    let mut objects = cluster();
    let containers =
        json!([{"name": "worker", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}]);
    objects.get_mut("/apis/apps/v1/namespaces/shop/deployments").unwrap()[0]["spec"]["template"]["spec"]["containers"] =
        containers;
    let quotas = objects.get_mut("/api/v1/namespaces/shop/resourcequotas").unwrap();
    let quota = |name: &str, spec: Value| json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name, "namespace": "shop"}, "spec": spec});
    let of_class = |class: &str| json!({"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": [class]}]});
    quotas.extend([
        quota("limits", json!({"hard": {"limits.cpu": "16"}})),
        quota("jobs", json!({"hard": {"pods": "1"}, "scopes": ["Terminating"]})),
        quota("urgent", json!({"hard": {"pods": "2"}, "scopeSelector": of_class("urgent")})),
        quota("usual", json!({"hard": {"pods": "7"}, "scopeSelector": of_class("usual")})),
        quota("odd", json!({"hard": {"pods": "3"}, "scopes": ["Sunny"]})),
    ]);
    let planned = async |objects| {
        let folder = folder(objects).await;
        let output =
            folder.run_with(&format!("{PLAN} --from-cluster shop/pickers"), &[("KUBECONFIG", "kubeconfig")]);
        let report = read_json(&String::from_utf8(output.stdout).unwrap());
        let limits = report["limits"].as_array().unwrap().clone();
        let of_quotas = limits.iter().find(|limit| limit["name"] == "ResourceQuota (pods)").unwrap();
        (of_quotas["value"].clone(), report["notes"].to_string())
    };
    let (pods, notes) = planned(objects.clone()).await;
    assert_eq!(pods, 8, "two cores each of sixteen: {notes}");
    for words in [
        "ResourceQuota odd is left out: it counts pods of scope Sunny",
        "ResourceQuota urgent is left out: it counts pods of scope PriorityClass, and the workers name no priorityClassName",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    assert!(!notes.contains("ResourceQuota jobs") && !notes.contains("ResourceQuota limits"), "{notes}");
    // Admission gives the default class to pods that name none.
    objects.insert(
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        vec![json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": "usual"}, "globalDefault": true, "value": 5})],
    );
    let (pods, notes) = planned(objects).await;
    assert_eq!(pods, 7, "{notes}");
    assert!(!notes.contains("PriorityClass"), "{notes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cluster_does_not_have_is_named() {
    let unknown = |list: &str| {
        let mut objects = cluster();
        objects.retain(|known, _| !known.ends_with(list));
        objects
    };
    for (objects, words) in [
        (without("/scaledobjects"), "there is no ScaledObject shop/pickers"),
        (unknown("/scaledobjects"), "the cluster knows no ScaledObject (keda.sh/v1alpha1)"),
        (without("/nodepools"), "there is no NodePool pickers"),
        (unknown("/nodepools"), "the cluster knows no NodePool (karpenter.sh/v1)"),
        (without("/deployments"), "scales Deployment pickers, which does not exist"),
    ] {
        let folder = folder(objects).await;
        let output =
            folder.run_with(&format!("{PLAN} --from-cluster shop/pickers"), &[("KUBECONFIG", "kubeconfig")]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(words), "{words}: {told}");
        assert_eq!(output.status.code(), Some(1), "{told}");
    }
    let folder = Folder::new();
    let none = folder.run_with(&format!("{PLAN} --from-cluster shop/pickers"), &[("KUBECONFIG", "none")]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no cluster is configured"), "{none:?}");
}
