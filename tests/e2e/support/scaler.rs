//! Our server: replicas as plain processes, each with an address of its own under one name, and with the rights of the
//! shipped roles.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use peakscaler::grpc::proto::external_scaler_client::ExternalScalerClient;
use peakscaler::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use serde_json::Value;
use tonic::Status;
use tonic::transport::Channel;

use super::cluster::Cluster;
use super::objects::ScaledObject;
use super::process::{self, Part, free_ports};
use super::scene::Scene;
use super::until;
use crate::parts::process::client as http_client;

const PATIENCE: Duration = Duration::from_mins(1);

/// Replicas under one name.
pub(crate) struct Scaler {
    cluster: Rc<Cluster>,
    name: String,
    port: u16,
    admin_port: u16,
    more: Vec<String>,
    replicas: RefCell<Vec<Replica>>,
    started: RefCell<usize>,
}

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    /// Of its process, and its log.
    pub(crate) process: String,
    pub(crate) address: Ipv4Addr,
    admin: String,
}

impl Scaler {
    /// Starts so many replicas for the scene, which may contact its namespace's queues on any port of 127.0.0.1.
    pub(crate) async fn start(scene: &Scene, count: usize, more: &[&str]) -> anyhow::Result<Self> {
        Self::start_for(scene, &scene.namespace, count, more).await
    }

    /// The same for another namespace's queues.
    pub(crate) async fn start_for(
        scene: &Scene,
        namespace: &str,
        count: usize,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let [port, admin_port] = free_ports()?;
        let mut arguments = vec!["--allow-endpoint".to_owned(), format!("{namespace}=http://127.0.0.1:*")];
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let scaler = Self {
            cluster: scene.cluster.clone(),
            name: scene.namespace.clone(),
            port,
            admin_port,
            more: arguments,
            replicas: RefCell::default(),
            started: RefCell::default(),
        };
        for _ in 0..count {
            scaler.add(scene).await?;
        }
        Ok(scaler)
    }

    /// What goes into `scalerAddress`.
    pub(crate) fn address(&self) -> String {
        format!("dns://127.0.0.1:{}/{}:{}", self.cluster.names.port(), self.host(), self.port)
    }

    fn host(&self) -> String {
        format!("{}.scaler", self.name)
    }

    /// Starts one more replica and, once it is ready, makes it known.
    pub(crate) async fn add(&self, scene: &Scene) -> anyhow::Result<Replica> {
        let number = self.started.replace_with(|number| *number + 1);
        let address = self.cluster.own_address();
        let process = format!("scaler-{}-{number}", self.name);
        let replica = Replica { process, address, admin: format!("http://{address}:{}", self.admin_port) };
        scene.owns(&replica.process);
        self.run(&replica).await?;
        self.replicas.borrow_mut().push(replica.clone());
        self.publish();
        Ok(replica)
    }

    /// Starts a replica that was killed, at its old address.
    pub(crate) async fn start_again(&self, replica: &Replica) -> anyhow::Result<()> {
        self.run(replica).await
    }

    async fn run(&self, replica: &Replica) -> anyhow::Result<()> {
        let part = Part::new(&replica.process, Path::new(env!("CARGO_BIN_EXE_peakscaler")).to_owned())
            .argument("serve")
            .flag("listen", format!("{}:{}", replica.address, self.port))
            .flag("admin-listen", format!("{}:{}", replica.address, self.admin_port))
            .flag("kubeconfig", self.cluster.scaler_kubeconfig().display())
            .flag("sqs-period", "2s")
            .flag("prometheus-period", "2s")
            .flag("tick", "1s")
            .variable("AWS_ACCESS_KEY_ID", "test")
            .variable("AWS_SECRET_ACCESS_KEY", "test");
        let part = self.more.iter().fold(part, Part::argument);
        part.start(&self.cluster.run)?;
        let (http, url) = (http_client(), format!("{}/readyz", replica.admin));
        let look = async || {
            let is_there = process::is_running(&self.cluster.run, &replica.process);
            ensure!(is_there, "{}", process::last_words(&self.cluster.run, &replica.process, 5));
            Ok(http.get(&url).send().await?.status().is_success().then_some(()))
        };
        until(&format!("{} is ready", replica.process), PATIENCE, look).await
    }

    fn publish(&self) {
        let addresses = self.replicas.borrow().iter().map(|replica| replica.address).collect();
        self.cluster.names.set(&self.host(), addresses);
    }

    /// The replicas that are known, the oldest first.
    pub(crate) fn replicas(&self) -> Vec<Replica> {
        self.replicas.borrow().clone()
    }

    /// Takes a replica out of the name and ends it, as a rollout does.
    pub(crate) async fn retire(&self, replica: &Replica) -> anyhow::Result<()> {
        self.replicas.borrow_mut().retain(|other| other.process != replica.process);
        self.publish();
        process::stop(&self.cluster.run, &replica.process).await
    }

    /// Kills a replica; its name keeps its address, since nobody has noticed.
    pub(crate) async fn kill(&self, replica: &Replica) -> anyhow::Result<()> {
        process::kill(&self.cluster.run, &replica.process).await
    }

    /// A client of one replica.
    pub(crate) async fn client(&self, replica: &Replica) -> anyhow::Result<ExternalScalerClient<Channel>> {
        let url = format!("http://{}:{}", replica.address, self.port);
        Ok(ExternalScalerClient::connect(url).await?)
    }

    /// What a replica answers for a ScaledObject: its number, or the status.
    pub(crate) async fn number(
        &self,
        replica: &Replica,
        scaled_object: &ScaledObject,
    ) -> anyhow::Result<Result<i64, Status>> {
        let object = &scaled_object.0;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let reference = ScaledObjectRef {
            name: text(&object["metadata"]["name"]),
            namespace: text(&object["metadata"]["namespace"]),
            scaler_metadata: serde_json::from_value(object["spec"]["triggers"][0]["metadata"].clone())?,
        };
        let request = GetMetricsRequest { scaled_object_ref: Some(reference), metric_name: String::new() };
        match self.client(replica).await?.get_metrics(request).await {
            Ok(answer) => Ok(Ok(answer.into_inner().metric_values.first().context("a value")?.metric_value)),
            Err(status) => Ok(Err(status)),
        }
    }

    /// Where a replica is reached, for programs.
    pub(crate) fn authority(&self, replica: &Replica) -> String {
        format!("{}:{}", replica.address, self.port)
    }

    /// What a replica knows of a workload: the JSON behind `explain`, of the trigger
    /// that was asked for last.
    pub(crate) async fn explain(
        &self,
        replica: &Replica,
        namespace: &str,
        name: &str,
    ) -> anyhow::Result<Value> {
        let url = format!("{}/v1/workloads/{namespace}/{name}/decision", replica.admin);
        let text = http_client().get(url).send().await?.error_for_status()?.text().await?;
        let explanation: Value = serde_json::from_str(&text)?;
        let triggers = explanation["triggers"].as_array().cloned().unwrap_or_default();
        // After an edit the one before is still known for a while.
        let asked = |trigger: &Value| trigger["asked_seconds_ago"].as_f64().unwrap_or(f64::MAX);
        triggers.into_iter().min_by(|one, other| asked(one).total_cmp(&asked(other))).context("no trigger")
    }

    /// The sum of a metric's samples that have such a label, as the replica serves them.
    pub(crate) async fn metric(&self, replica: &Replica, name: &str, label: &str) -> anyhow::Result<f64> {
        let url = format!("{}/metrics", replica.admin);
        let text = http_client().get(url).send().await?.error_for_status()?.text().await?;
        let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }
}
