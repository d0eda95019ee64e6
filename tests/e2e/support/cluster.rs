//! One cluster in a directory: started, found again, parts of it stopped and started, ended.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::dns::Names;
use super::parts::{self, Ports, program, share};
use super::process::{self, Part, free_ports};
use super::{keys, until};
use crate::parts::process::{client as http_client, install_crypto};

/// How long a part may take to be there on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// Label of the nodes that are always there, for workers whose nodes are not the question.
pub(crate) const FIXED_NODES: (&str, &str) = ("e2e/nodes", "fixed");

pub(crate) struct Cluster {
    /// Where its processes are kept track of.
    pub(crate) run: PathBuf,
    /// Where its keys and kubeconfigs are.
    files: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) client: kube::Client,
    pub(crate) names: Names,
    parts: Vec<Part>,
    next_address: AtomicU8,
}

impl Cluster {
    /// Starts a cluster in `run` and installs what belongs to it.
    pub(crate) async fn up(run: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(run)?;
        let ports = Ports::free()?;
        keys::make(run, ports.api)?;
        let all = parts::all(run, &ports)?;
        fs::write(run.join("cluster.json"), serde_json::to_vec_pretty(&(ports, &all))?)?;
        let cluster = Self::over(run, run, ports, all).await?;
        let started = cluster.start_all().await;
        if started.is_err() {
            for name in process::started(run) {
                eprintln!("--- the end of {name}.log\n{}", process::last_words(run, &name, 15));
            }
            Self::down(run).await?;
        }
        started.map(|()| cluster)
    }

    /// The cluster that runs in `run`.
    pub(crate) async fn found(run: &Path) -> anyhow::Result<Self> {
        let what = || format!("no cluster in {}: `make e2e-up` starts one", run.display());
        let (ports, all) = serde_json::from_slice(&fs::read(run.join("cluster.json")).with_context(what)?)?;
        Self::over(run, run, ports, all).await
    }

    /// A cluster that somebody else runs, with KEDA in it: only the queue server and our replicas are started, in `run`.
    pub(crate) async fn foreign(run: &Path, kubeconfig: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(run)?;
        let ports = Ports::free()?;
        keys::borrow(run, kubeconfig)?;
        let cluster = Self::over(run, run, ports, vec![parts::elastic_mq(run, &ports)?]).await?;
        let keda = cluster.kubectl(&["get", "crd", "scaledobjects.keda.sh"]).await;
        keda.context("KEDA is not in this cluster: install it first")?;
        let (label, value) = FIXED_NODES;
        let nodes =
            cluster.kubectl(&["get", "nodes", "-l", &format!("{label}={value}"), "-o", "name"]).await?;
        ensure!(!nodes.is_empty(), "no node for order workers: label some of kwok's with {label}={value}");
        if cluster.kubectl(&["get", "deployment", "peakscaler", "-n", "peakscaler"]).await.is_err() {
            cluster.install().await?;
        }
        cluster.start("elasticmq")?;
        cluster.sqs_answers().await?;
        Ok(cluster)
    }

    /// Whether its parts are processes that a scenario may stop.
    pub(crate) fn has_parts(&self) -> bool {
        self.parts.iter().any(|part| part.name == "apiserver")
    }

    /// Whether it has Karpenter with kwok's nodes.
    pub(crate) async fn has_nodes(&self) -> bool {
        self.kubectl(&["get", "kwoknodeclass", "default"]).await.is_ok()
    }

    /// Another API server beside this cluster, which has nothing but the kinds of KEDA and what a user installs of us:
    /// no Karpenter, and nobody who acts.
    pub(crate) async fn bare(&self) -> anyhow::Result<Self> {
        let files = self.run.join("second");
        let [port] = free_ports()?;
        keys::make(&files, port)?;
        parts::second_api_server(&files, &self.ports, port).start(&self.run)?;
        let bare = Self::over(&self.run, &files, self.ports, Vec::new()).await?;
        bare.answers().await?;
        bare.kubectl(&["apply", "--server-side", "-f", &share("keda-crds").display().to_string()]).await?;
        bare.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"]).await?;
        bare.install().await?;
        Ok(bare)
    }

    async fn over(run: &Path, files: &Path, ports: Ports, all: Vec<Part>) -> anyhow::Result<Self> {
        install_crypto();
        let kubeconfig = Kubeconfig::read_from(files.join("kubeconfig"))?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self {
            run: run.to_owned(),
            files: files.to_owned(),
            ports,
            client: kube::Client::try_from(config)?,
            names: Names::start().await?,
            parts: all,
            next_address: AtomicU8::new(1),
        })
    }

    async fn start_all(&self) -> anyhow::Result<()> {
        self.start("etcd")?;
        self.start("apiserver")?;
        self.start("elasticmq")?;
        self.answers().await?;
        self.start("controllers")?;
        self.start("scheduler")?;
        let [keda, karpenter] = ["keda-crds", "karpenter-crds"].map(|name| share(name).display().to_string());
        self.kubectl(&["apply", "--server-side", "-f", &keda, "-f", &karpenter]).await?;
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"]).await?;
        self.apply(&keda_objects(self.ports.adapter)).await?;
        for name in ["keda-operator", "keda-adapter", "kwok", "karpenter"] {
            self.start(name)?;
        }
        self.apply(&[node_class(), fixed_node()]).await?;
        self.install().await?;
        self.is_ready("keda-operator", &format!("http://127.0.0.1:{}/readyz", self.ports.keda_health))
            .await?;
        self.is_ready("karpenter", &format!("http://127.0.0.1:{}/readyz", self.ports.karpenter_health))
            .await?;
        self.metrics_answer().await?;
        self.sqs_answers().await
    }

    /// As a user installs us. The pods of this Deployment are kwok's: the servers that answer are processes.
    async fn install(&self) -> anyhow::Result<()> {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
        self.kubectl(&["apply", "-k", &manifests.display().to_string()]).await.map(|_| ())
    }

    /// Starts a part by its name.
    pub(crate) fn start(&self, name: &str) -> anyhow::Result<()> {
        let part = self.parts.iter().find(|part| part.name == name);
        part.with_context(|| format!("no part is called {name}"))?.start(&self.run)
    }

    /// Starts parts that have ended by themselves, as a cluster does with its pods.
    pub(crate) async fn revive(&self) -> anyhow::Result<()> {
        for part in &self.parts {
            if !process::is_running(&self.run, &part.name) {
                part.start(&self.run)?;
            }
        }
        self.is_ready("keda-operator", &format!("http://127.0.0.1:{}/readyz", self.ports.keda_health))
            .await?;
        self.metrics_answer().await
    }

    /// Ends all processes that were started in `run`: etcd last, since the API server does not end without it.
    pub(crate) async fn down(run: &Path) -> anyhow::Result<()> {
        let (last, first): (Vec<_>, Vec<_>) = process::started(run)
            .into_iter()
            .partition(|name| ["apiserver", "etcd"].contains(&name.as_str()));
        for name in &first {
            process::signal(run, name, "TERM");
        }
        for name in first.iter().chain(&last) {
            process::stop(run, name).await?;
        }
        Ok(())
    }

    /// Waits until the API server answers.
    pub(crate) async fn answers(&self) -> anyhow::Result<()> {
        let look = async || {
            let request = axum::http::Request::get("/readyz").body(Vec::new())?;
            Ok((self.client.request_text(request).await? == "ok").then_some(()))
        };
        until("the API server answers", PATIENCE, look).await
    }

    async fn is_ready(&self, name: &str, url: &str) -> anyhow::Result<()> {
        let http = http_client();
        let look = async || {
            ensure!(process::is_running(&self.run, name), "{name} has ended");
            Ok(http.get(url).send().await?.status().is_success().then_some(()))
        };
        until(&format!("{name} is ready"), PATIENCE, look).await
    }

    async fn metrics_answer(&self) -> anyhow::Result<()> {
        let look = async || {
            let request =
                axum::http::Request::get("/apis/external.metrics.k8s.io/v1beta1").body(Vec::new())?;
            self.client.request_text(request).await?;
            Ok(Some(()))
        };
        until("KEDA's metrics are served", PATIENCE, look).await
    }

    async fn sqs_answers(&self) -> anyhow::Result<()> {
        let http = http_client();
        let url = format!("http://127.0.0.1:{}/?Action=ListQueues", self.ports.sqs);
        let look = async || Ok(http.get(&url).send().await?.status().is_success().then_some(()));
        until("the queue server answers", PATIENCE, look).await
    }

    /// Runs kubectl and returns what it says.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.kubectl_with(arguments, &[]).await
    }

    /// Applies objects as a user would.
    pub(crate) async fn apply(&self, objects: &[Value]) -> anyhow::Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl_with(&["apply", "-f", "-"], list.to_string().as_bytes()).await.map(|_| ())
    }

    async fn kubectl_with(&self, arguments: &[&str], input: &[u8]) -> anyhow::Result<String> {
        let mut child = Command::new(program("kubectl"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).await?;
        }
        let output = child.wait_with_output().await?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {words}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The administrator's.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.files.join("kubeconfig")
    }

    /// Our server's: a user with exactly the shipped roles.
    pub(crate) fn scaler_kubeconfig(&self) -> PathBuf {
        self.files.join("scaler.kubeconfig")
    }

    /// An address of the loopback network that nobody else in this cluster was given.
    pub(crate) fn own_address(&self) -> Ipv4Addr {
        let number = self.next_address.fetch_add(1, Ordering::Relaxed);
        Ipv4Addr::new(127, 0, 7, number)
    }
}

fn keda_objects(adapter_port: u16) -> [Value; 3] {
    let service = json!({"name": "keda-metrics-apiserver", "namespace": "keda", "port": adapter_port});
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}}),
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "keda-metrics-apiserver", "namespace": "keda"},
            "spec": {"type": "ExternalName", "externalName": "localhost"}}),
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
            "spec": {"service": service, "group": "external.metrics.k8s.io", "version": "v1beta1",
                "insecureSkipTLSVerify": true, "groupPriorityMinimum": 100, "versionPriority": 100}}),
    ]
}

/// Nodes of Karpenter take a minute to register.
fn node_class() -> Value {
    json!({"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass",
        "metadata": {"name": "default"}, "spec": {"nodeRegistrationDelay": "60s"}})
}

/// Room for thousands of pods, not Karpenter's.
fn fixed_node() -> Value {
    let (label, value) = FIXED_NODES;
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": "fixed",
        "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
        "labels": {label: value, "kubernetes.io/hostname": "fixed", "topology.kubernetes.io/zone": "z-a"}},
        "status": {"allocatable": {"cpu": "4000", "memory": "16Ti", "pods": "5000"},
            "capacity": {"cpu": "4000", "memory": "16Ti", "pods": "5000"}}})
}
