//! `plan --from-cluster` by a user with no more rights than it needs: what it reads off the cluster, and that what it says
//! to raise, raised there, is enough.

use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::commands::Folder;
use crate::support::keys;
use crate::support::nodes::POOL_LABEL;
use crate::support::objects::{ScaledObject, deployment, workers};
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::shop::PICKERS;
use crate::support::track::Track;

/// Cores of a node, and what the NodePool's limit is: two nodes.
const CORES: u64 = 8;
const LIMIT: u32 = 16;
/// Pods of somebody else in the namespace, a core each.
const OTHERS: u64 = 2;
/// Cores of the namespace's quota; 16 pods of ours.
const QUOTA: u64 = 18;
const MOST: &str = "12";
/// As people tell it to the user of the kubeconfig; see docs/backtest.md.
const USER: &str = "planner";
const CLUSTER_ROLE: &str = "e2e-plan";
/// The day after the history's last.
const DAY: &str = "2026-11-11";

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, &scene.namespace).await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let pool = scene.add_pool(PICKERS, LIMIT).await?;
    scene.cluster.apply(&rights(&scene.namespace)).await?;
    scene.cluster.apply(&[quota(&scene.namespace, QUOTA), calendar(&scene.namespace)]).await?;
    // Pods made before a quota counts are missing in what it says is used, for minutes.
    let jsonpath = "--for=jsonpath={.status.used.pods}=0";
    let namespace = format!("--namespace={}", scene.namespace);
    scene
        .cluster
        .kubectl(&["wait", jsonpath, "resourcequota", "workers", &namespace, "--timeout=60s"])
        .await?;
    scene.cluster.apply(&deployments(&scene.namespace, &pool)).await?;
    let object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, PICKERS)?
        .bounds(0, 60)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("cutOffs", "DPD daily 17:30+45m"), ("timeZone", "Europe/Prague"), ("serviceRate", "0.5")])
        .ours(&[("maxReplicas", MOST), ("podLeadTime", "1s"), ("nodeLeadTime", "20s"), ("nodePool", &pool)]);
    scene.cluster.apply(std::slice::from_ref(&object.0)).await?;
    scene.is_polled(PICKERS).await?;
    let planner = Planner::new(scene)?;

    let report = planner.report(2).await?;
    let bound = limit(&report, "NodePool limit (pods)")?;
    scene.figure("pods within the limit of 16 cores, while the pool has no node", bound["value"].clone(), "");
    ensure!(bound["value"] == LIMIT, "{bound}");

    let track = Track::start(scene, PICKERS);
    let object = object.bounds(1, 60).ours(&[("minReplicas", "1")]);
    scene.cluster.apply(std::slice::from_ref(&object.0)).await?;
    track.until("a worker on a node", PATIENCE, |now| now.ready >= 1).await?;
    let report = planner.report(2).await?;
    reads(scene, &report)?;
    raised(scene, &report, &pool, object).await?;
    let report = planner.report(0).await?;
    scene.figure("and with that", report["sentences"][0].clone(), "");
    planner.wrong().await?;
    // They are in no namespace that would take them along.
    let delete = ["delete", "clusterrole,clusterrolebinding", CLUSTER_ROLE];
    scene.cluster.kubectl(&delete).await.map(|_| ())
}

/// Workers of ours and of somebody else.
fn deployments(namespace: &str, pool: &str) -> [Value; 2] {
    let mut pickers = deployment(namespace, PICKERS, (POOL_LABEL, pool));
    // An order takes two minutes: none is to be lost to a worker that goes.
    pickers["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(600);
    let mut others = workers(namespace, "packers");
    others["spec"]["replicas"] = json!(OTHERS);
    [pickers, others]
}

/// A sale on the day.
fn calendar(namespace: &str) -> Value {
    let sale = json!({"name": "Sale", "from": DAY, "to": DAY, "uplift": 10});
    super::calendar::calendar(namespace, "season", &json!({"timeZone": "Europe/Prague", "peaks": [sale]}))
}

fn quota(namespace: &str, cores: u64) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "workers", "namespace": namespace},
        "spec": {"hard": {"pods": "100", "requests.cpu": cores.to_string()}}})
}

/// What docs/backtest.md says that a plan's user needs.
fn rights(namespace: &str) -> [Value; 4] {
    let may = |group: &str, kinds: Value, verbs: Value| json!({"apiGroups": [group], "resources": kinds, "verbs": verbs});
    let watched = json!(["list", "watch"]);
    let here = [
        may("keda.sh", json!(["scaledobjects"]), watched.clone()),
        may("apps", json!(["deployments"]), watched.clone()),
        may("", json!(["pods"]), watched.clone()),
        may("", json!(["resourcequotas"]), json!(["list"])),
        may("peakscaler.io", json!(["peakcalendars"]), json!(["list"])),
    ];
    let of_nodes = [may("karpenter.sh", json!(["nodepools", "nodeclaims"]), watched)];
    let granted = |kind: &str, metadata: &Value, rules: &[Value]| {
        let group = "rbac.authorization.k8s.io";
        let role =
            json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": metadata, "rules": rules});
        let binding = json!({"apiVersion": format!("{group}/v1"), "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": kind, "name": metadata["name"]},
            "subjects": [{"apiGroup": group, "kind": "User", "name": USER}]});
        [role, binding]
    };
    let [role, binding] = granted("Role", &json!({"name": "plan", "namespace": namespace}), &here);
    let [nodes, nodes_binding] = granted("ClusterRole", &json!({"name": CLUSTER_ROLE}), &of_nodes);
    [role, binding, nodes, nodes_binding]
}

/// What was read, each with its source, and what is to be done.
fn reads(scene: &Scene, report: &Value) -> anyhow::Result<()> {
    for (what, expected) in [
        ("worker pods on a node", Some("7")),
        ("most nodes", Some("2")),
        ("terminationGracePeriodSeconds", Some("600")),
        ("from a pod's place on a node to Ready", None),
        ("from asking for a node to Initialized", None),
    ] {
        let found = row(report, "assumptions", "what", what)?;
        ensure!(found["source"] == "cluster", "{found}");
        ensure!(expected.is_none_or(|expected| found["value"] == expected), "{found}");
        scene.figure(what, found["value"].clone(), "");
    }
    for (name, expected) in [
        ("maxReplicaCount", json!(60)),
        ("maxReplicas", json!(12)),
        ("ResourceQuota (pods)", json!(QUOTA - OTHERS)),
        ("NodePool limit (nodes)", json!(2)),
    ] {
        let found = limit(report, name)?;
        ensure!(found["value"] == expected, "{found}");
        scene.figure(
            format!("{name}, and what is needed"),
            format!("{expected}, {}", found["needed"][0]),
            "",
        );
    }
    let orders = report["totals"][0]["orders"].as_f64().context("orders")?;
    let what = "orders of the day: ten times the 400 of the days before, by the calendar";
    scene.figure(what, orders.round(), "");
    ensure!((3900.0..4300.0).contains(&orders), "{orders} orders");
    let cut_off = &report["cut_offs"][0];
    ensure!(cut_off["fails"] == true, "{cut_off}");
    let sentence = report["sentences"][0].as_str().context("a sentence")?;
    scene.figure("what it says, with exit code 2", sentence, "");
    let loses = format!("or DPD's 17:30 cut-off loses {} of ", cut_off["lost"][0]);
    for part in [
        "Raise maxReplicas to ",
        " (it is 12)",
        "ResourceQuota (pods) to ",
        "NodePool limit (nodes) to ",
        &loses,
    ] {
        ensure!(sentence.replace(',', "").contains(part), "no {part:?} in: {sentence}");
    }
    let notes = report["notes"].to_string();
    ensure!(!notes.contains("cannot be"), "the rights do not do: {notes}");
    Ok(())
}

/// Does in the cluster what the plan says.
async fn raised(scene: &Scene, report: &Value, pool: &str, object: ScaledObject) -> anyhow::Result<()> {
    let needed = |name: &str| limit(report, name)?["needed"][0].as_u64().context("what is needed");
    let cores = json!({"spec": {"limits": {"cpu": (CORES * needed("NodePool limit (nodes)")?).to_string()}}});
    scene.cluster.kubectl(&["patch", "nodepool", pool, "--type=merge", "-p", &cores.to_string()]).await?;
    let object = object.ours(&[("maxReplicas", &needed("maxReplicas")?.to_string())]);
    let quota = quota(&scene.namespace, needed("ResourceQuota (pods)")? + OTHERS);
    scene.cluster.apply(&[quota, object.0]).await
}

fn limit<'a>(report: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    row(report, "limits", "name", name)
}

/// A row of a list of the report's, by the value of a key.
fn row<'a>(report: &'a Value, list: &str, key: &str, value: &str) -> anyhow::Result<&'a Value> {
    let rows = report[list].as_array().with_context(|| list.to_owned())?;
    let found = rows.iter().find(|row| row[key] == value);
    found.with_context(|| format!("no {value:?} in {}", report[list]))
}

/// The user at the command line, with a history of nine days.
struct Planner<'a> {
    scene: &'a Scene,
    folder: Arc<Folder>,
    kubeconfig: PathBuf,
}

impl<'a> Planner<'a> {
    fn new(scene: &'a Scene) -> anyhow::Result<Self> {
        let kubeconfig = scene.cluster.run.join("planner.kubeconfig");
        keys::impersonate(&scene.cluster.kubeconfig(), USER, &kubeconfig)?;
        Ok(Self { scene, folder: Arc::new(Folder::new()), kubeconfig })
    }

    /// Plans for the workload of a namespace; the others' scenarios go on meanwhile.
    async fn plan(&self, workload: &str, more: &str) -> anyhow::Result<Output> {
        let command = format!(
            "plan --history orders.csv --on {DAY} --quantiles 0.9 --output json --from-cluster {workload} {more}"
        );
        let (folder, kubeconfig) = (self.folder.clone(), self.kubeconfig.display().to_string());
        let run = move || folder.run_with(&command, &[("KUBECONFIG", &kubeconfig)]);
        Ok(tokio::task::spawn_blocking(run).await?)
    }

    /// The plan for the workers, which must end with this exit code.
    async fn report(&self, code: i32) -> anyhow::Result<Value> {
        let output = self.plan(&format!("{}/{PICKERS}", self.scene.namespace), "").await?;
        let words = String::from_utf8_lossy(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout).with_context(|| words.into_owned())?;
        let is = output.status.code();
        ensure!(is == Some(code), "exit code {is:?}: {}", report["sentences"]);
        Ok(report)
    }

    /// What is not there, and what must not be read, is named.
    async fn wrong(&self) -> anyhow::Result<()> {
        let namespace = &self.scene.namespace;
        let none = format!("{namespace}/none");
        let here = format!("{namespace}/{PICKERS}");
        for (what, workload, more, words) in [
            ("of a workload that is not there", &*none, "", &*format!("there is no ScaledObject {none}")),
            ("of a NodePool that is not there", &here, "--node-pool none", "there is no NodePool none"),
            ("without rights", "default/pickers", "", "cannot list resource \"scaledobjects\""),
        ] {
            let output = self.plan(workload, more).await?;
            let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            ensure!(output.status.code() == Some(1) && told.contains(words), "no {words:?} in: {told}");
            self.scene.figure(format!("what it says {what}"), told, "");
        }
        Ok(())
    }
}
