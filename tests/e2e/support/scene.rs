//! What a scenario works with: a namespace of its own in the cluster, a timeline, and figures.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use peakscaler::clock::Stopwatch;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::nodes::node_pool;
use super::report::{Event, Figure};
use super::scaler::{Replica, Scaler};
use super::{process, until};

/// How long anything may take that takes seconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);

pub(crate) struct Scene {
    pub(crate) cluster: Rc<Cluster>,
    pub(crate) namespace: String,
    teller: Teller,
    figures: RefCell<Vec<Figure>>,
    processes: RefCell<Vec<String>>,
    pools: RefCell<Vec<String>>,
}

/// Writes into the timeline of a scene. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Teller {
    scenario: String,
    watch: Stopwatch,
    timeline: Arc<Mutex<Vec<Event>>>,
}

impl Teller {
    /// Seconds since the scene began.
    pub(crate) fn seconds(&self) -> f64 {
        self.watch.elapsed().as_secs_f64()
    }

    /// Prints an event and keeps it.
    pub(crate) fn tell(&self, what: &str) {
        let at_seconds = self.seconds();
        println!("{:<14} {at_seconds:>6.1} s  {what}", self.scenario);
        self.timeline.lock().unwrap().push(Event { at_seconds, what: what.to_owned() });
    }
}

impl Scene {
    /// Makes the namespace `e2e-NAME`, with the roles that a user grants us in a namespace of workers.
    pub(crate) async fn begin(cluster: Rc<Cluster>, name: &str) -> anyhow::Result<Self> {
        let teller =
            Teller { scenario: name.to_owned(), watch: Stopwatch::start(), timeline: Arc::default() };
        let namespace = format!("e2e-{name}");
        let scene = Self {
            cluster,
            namespace,
            teller,
            figures: RefCell::default(),
            processes: RefCell::default(),
            pools: RefCell::default(),
        };
        scene.grant(&scene.namespace).await?;
        Ok(scene)
    }

    /// Makes a namespace that holds workers, as the README says.
    pub(crate) async fn grant(&self, namespace: &str) -> anyhow::Result<()> {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        self.cluster.apply(&[object]).await?;
        let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/worker-namespace");
        self.cluster
            .kubectl(&["apply", "-n", namespace, "-k", &roles.display().to_string()])
            .await
            .map(|_| ())
    }

    /// Ends what the scene started. Its namespace goes in the background.
    pub(crate) async fn end(&self) -> anyhow::Result<()> {
        let delete = ["delete", "scaledobjects,deployments", "--all", "-n", &self.namespace, "--timeout=60s"];
        let deleted = self.cluster.kubectl(&delete).await;
        let names = self.processes.take();
        for name in &names {
            process::signal(&self.cluster.run, name, "TERM");
        }
        for name in &names {
            process::stop(&self.cluster.run, name).await?;
        }
        for pool in self.pools.take() {
            self.cluster.kubectl(&["delete", "nodepool", &pool, "--wait=false"]).await?;
        }
        self.cluster.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]).await?;
        deleted.map(|_| ())
    }

    /// Makes a NodePool of the scene's for these workers, of so many cores at most; returns its name.
    pub(crate) async fn add_pool(&self, workers: &str, cores: u32) -> anyhow::Result<String> {
        let name = format!("{}-{workers}", self.namespace);
        self.pools.borrow_mut().push(name.clone());
        self.cluster.apply(&[node_pool(&name, cores)]).await?;
        Ok(name)
    }

    /// The process `name` is the scene's: it is stopped at its end, and shown when it fails.
    pub(crate) fn owns(&self, name: &str) {
        self.processes.borrow_mut().push(name.to_owned());
    }

    /// The processes of the scene.
    pub(crate) fn processes(&self) -> Vec<String> {
        self.processes.borrow().clone()
    }

    /// A ScaledObject as the cluster has it.
    pub(crate) async fn scaled_object(&self, name: &str) -> anyhow::Result<Value> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"));
        let api = Api::<DynamicObject>::namespaced_with(self.cluster.client.clone(), &self.namespace, &kind);
        Ok(api.get(name).await?.data)
    }

    /// Waits until a condition of a ScaledObject says so.
    async fn until_condition(&self, name: &str, kind: &str, wanted: &str) -> anyhow::Result<()> {
        let look = async || {
            let object = self.scaled_object(name).await?;
            let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            Ok(conditions.any(|one| one["type"] == kind && one["status"] == wanted).then_some(()))
        };
        until(&format!("{name}: {kind} is {wanted}"), PATIENCE, look).await
    }

    /// Waits until KEDA serves a ScaledObject.
    pub(crate) async fn is_polled(&self, name: &str) -> anyhow::Result<()> {
        self.until_condition(name, "Ready", "True").await
    }

    /// Waits until KEDA is in its `fallback`, or out of it.
    pub(crate) async fn until_fallback(&self, name: &str, wanted: bool) -> anyhow::Result<()> {
        self.until_condition(name, "Fallback", if wanted { "True" } else { "False" }).await
    }

    /// Waits until a replica of ours has a number for a ScaledObject.
    pub(crate) async fn until_answered(
        &self,
        scaler: &Scaler,
        replica: &Replica,
        name: &str,
    ) -> anyhow::Result<()> {
        let look = async || {
            let explained = scaler.explain(replica, &self.namespace, name).await?;
            Ok((!explained["desired"].is_null() && explained["error"].is_null()).then_some(()))
        };
        until(&format!("a number for {name}"), PATIENCE, look).await
    }

    pub(crate) fn teller(&self) -> Teller {
        self.teller.clone()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.teller.seconds()
    }

    /// Prints an event and keeps it in the timeline.
    pub(crate) fn tell(&self, what: impl AsRef<str>) {
        self.teller.tell(what.as_ref());
    }

    /// A result worth a line in the report.
    pub(crate) fn figure(&self, what: impl Into<String>, value: impl Into<Value>, unit: &str) {
        let figure = Figure { what: what.into(), value: value.into(), unit: unit.to_owned() };
        self.tell(format!("= {}: {}", figure.what, figure.shown()));
        self.figures.borrow_mut().push(figure);
    }

    /// What was seen: figures and timeline.
    pub(crate) fn seen(&self) -> (Vec<Figure>, Vec<Event>) {
        (self.figures.borrow().clone(), self.teller.timeline.lock().unwrap().clone())
    }
}
