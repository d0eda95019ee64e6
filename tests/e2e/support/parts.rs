//! How each part of the cluster is started. Flags and pitfalls:
//!
//! - The aggregated metrics API needs no kube-proxy: its Service is of type `ExternalName` to localhost.
//! - KEDA wants `WATCH_NAMESPACE` set (empty: all) and certificates given, with rotation off.
//! - `ServiceAccount` admission is off, so that pods need no token; identities are client certificates.
//! - kwok has no stages of its own; the delay of `pod-ready` is how long a worker takes to start.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::keys::file;
use super::process::{Part, free_ports};

/// A worker takes this long from its node to Ready, and up to so much more.
const POD_START_MILLISECONDS: (u32, u32) = (4_000, 8_000);

/// The ports of one cluster, all on 127.0.0.1.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Ports {
    etcd: u16,
    etcd_peer: u16,
    pub(crate) api: u16,
    controllers: u16,
    scheduler: u16,
    keda_metrics: u16,
    pub(crate) keda_health: u16,
    keda_service: u16,
    adapter_metrics: u16,
    pub(crate) adapter: u16,
    kwok: u16,
    karpenter_metrics: u16,
    pub(crate) karpenter_health: u16,
    pub(crate) sqs: u16,
}

impl Ports {
    pub(crate) fn free() -> anyhow::Result<Self> {
        let [etcd, etcd_peer, api, controllers, scheduler, keda_metrics, keda_health, rest @ ..] =
            free_ports::<14>()?;
        let [keda_service, adapter_metrics, adapter, kwok, karpenter_metrics, karpenter_health, sqs] = rest;
        Ok(Self {
            etcd,
            etcd_peer,
            api,
            controllers,
            scheduler,
            keda_metrics,
            keda_health,
            keda_service,
            adapter_metrics,
            adapter,
            kwok,
            karpenter_metrics,
            karpenter_health,
            sqs,
        })
    }
}

/// Where `scripts/e2e-parts.sh` puts what it builds.
pub(crate) fn built() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/e2e")
}

pub(crate) fn program(name: &str) -> PathBuf {
    built().join("bin").join(name)
}

/// A directory of files that a part ships.
pub(crate) fn share(name: &str) -> PathBuf {
    built().join("share").join(name)
}

/// All parts of a cluster in `run`, in the order in which they are started.
pub(crate) fn all(run: &Path, ports: &Ports) -> anyhow::Result<Vec<Part>> {
    Ok(vec![
        etcd(run, ports),
        api_server(run, ports),
        controllers(run, ports),
        scheduler(run, ports),
        keda_operator(run, ports),
        keda_adapter(run, ports),
        kwok(run, ports)?,
        karpenter(run, ports)?,
        elastic_mq(run, ports)?,
    ])
}

fn etcd(run: &Path, ports: &Ports) -> Part {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    Part::new("etcd", program("etcd"))
        .flag("data-dir", run.join("etcd").display())
        .flag("listen-client-urls", &client)
        .flag("advertise-client-urls", &client)
        .flag("listen-peer-urls", format!("http://127.0.0.1:{}", ports.etcd_peer))
        .flag("unsafe-no-fsync", "true")
        .flag("log-level", "warn")
}

fn api_server(run: &Path, ports: &Ports) -> Part {
    let key = |name: &str| file(run, name).display().to_string();
    Part::new("apiserver", program("kube-apiserver"))
        .flag("etcd-servers", format!("http://127.0.0.1:{}", ports.etcd))
        .flag("bind-address", "127.0.0.1")
        .flag("advertise-address", "127.0.0.1")
        .flag("secure-port", ports.api)
        .flag("tls-cert-file", key("apiserver.crt"))
        .flag("tls-private-key-file", key("apiserver.key"))
        .flag("client-ca-file", key("ca.crt"))
        .flag("authorization-mode", "RBAC")
        .flag("disable-admission-plugins", "ServiceAccount")
        .flag("service-account-issuer", "https://kubernetes.default.svc")
        .flag("service-account-key-file", key("accounts.key"))
        .flag("service-account-signing-key-file", key("accounts.key"))
        .flag("service-cluster-ip-range", "10.0.0.0/16")
        .flag("requestheader-client-ca-file", key("proxy-ca.crt"))
        .flag("requestheader-allowed-names", "front-proxy")
        .flag("requestheader-username-headers", "X-Remote-User")
        .flag("requestheader-group-headers", "X-Remote-Group")
        .flag("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        .flag("proxy-client-cert-file", key("front-proxy.crt"))
        .flag("proxy-client-key-file", key("front-proxy.key"))
}

/// What every client of the API server is told.
fn with_kubeconfig(part: Part, run: &Path) -> Part {
    let kubeconfig = run.join("kubeconfig").display().to_string();
    part.flag("kubeconfig", &kubeconfig)
        .flag("authentication-kubeconfig", &kubeconfig)
        .flag("authorization-kubeconfig", &kubeconfig)
        .flag("bind-address", "127.0.0.1")
        .flag("leader-elect", "false")
}

fn controllers(run: &Path, ports: &Ports) -> Part {
    with_kubeconfig(Part::new("controllers", program("kube-controller-manager")), run)
        .flag("secure-port", ports.controllers)
        .flag("service-account-private-key-file", file(run, "accounts.key").display())
        .flag("root-ca-file", file(run, "ca.crt").display())
        // With the default of 20 a second, 250 pods take half a minute to be created.
        .flag("kube-api-qps", 100)
        .flag("kube-api-burst", 200)
}

fn scheduler(run: &Path, ports: &Ports) -> Part {
    with_kubeconfig(Part::new("scheduler", program("kube-scheduler")), run)
        .flag("secure-port", ports.scheduler)
}

fn with_keda(part: Part, run: &Path) -> Part {
    part.variable("WATCH_NAMESPACE", "")
        .variable("POD_NAMESPACE", "keda")
        .variable("KEDA_CLUSTER_OBJECT_NAMESPACE", "keda")
        .variable("KUBECONFIG", run.join("kubeconfig").display().to_string())
        .flag("cert-dir", file(run, "for-keda").display())
}

fn keda_operator(run: &Path, ports: &Ports) -> Part {
    with_keda(Part::new("keda-operator", program("keda-operator")), run)
        .flag("metrics-bind-address", format!("127.0.0.1:{}", ports.keda_metrics))
        .flag("health-probe-bind-address", format!("127.0.0.1:{}", ports.keda_health))
        .flag("metrics-service-bind-address", format!("127.0.0.1:{}", ports.keda_service))
        .flag("enable-cert-rotation", "false")
        .flag("zap-encoder", "console")
}

fn keda_adapter(run: &Path, ports: &Ports) -> Part {
    let kubeconfig = run.join("kubeconfig").display().to_string();
    with_keda(Part::new("keda-adapter", program("keda-adapter")), run)
        .flag("port", ports.adapter_metrics)
        .flag("secure-port", ports.adapter)
        .flag("bind-address", "127.0.0.1")
        .flag("client-ca-file", file(run, "for-keda/ca.crt").display())
        .flag("tls-cert-file", file(run, "for-keda/tls.crt").display())
        .flag("tls-private-key-file", file(run, "for-keda/tls.key").display())
        .flag("metrics-service-address", format!("localhost:{}", ports.keda_service))
        .flag("lister-kubeconfig", &kubeconfig)
        .flag("authentication-kubeconfig", &kubeconfig)
        .flag("authorization-kubeconfig", &kubeconfig)
}

fn kwok(run: &Path, ports: &Ports) -> anyhow::Result<Part> {
    let stages = share("kwok-stages");
    let ready = fs::read_to_string(stages.join("pod-ready.yaml")).context("kwok's stages")?;
    let (least, more) = POD_START_MILLISECONDS;
    let delay = format!(
        "\n  delay: {{durationMilliseconds: {least}, jitterDurationMilliseconds: {}}}\n  next:",
        least + more
    );
    let slow = run.join("pod-ready.yaml");
    fs::write(&slow, ready.replacen("\n  next:", &delay, 1))?;
    let mut part = Part::new("kwok", program("kwok"))
        .flag("kubeconfig", run.join("kubeconfig").display())
        .flag("manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake")
        .flag("server-address", format!("127.0.0.1:{}", ports.kwok))
        .flag("node-ip", "127.0.0.1")
        .flag("cidr", "10.1.0.0/16")
        .flag("node-lease-duration-seconds", 40);
    let own = ["node-initialize.yaml", "node-heartbeat-with-lease.yaml", "pod-delete.yaml"];
    for stage in own.iter().map(|name| stages.join(name)).chain([slow]) {
        part = part.flag("config", stage.display());
    }
    Ok(part)
}

/// One instance type: 8 cores, 16 GiB. With one choice, nodes can be counted against what was needed.
const INSTANCE_TYPES: &str = r#"[{
  "name": "w8.large", "architecture": "amd64", "operatingSystems": ["linux"],
  "resources": {"cpu": "8", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110"},
  "offerings": [{"Price": 0.4, "Available": true, "Requirements": [
    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z-a"]}]}]
}]"#;

fn karpenter(run: &Path, ports: &Ports) -> anyhow::Result<Part> {
    let types = run.join("instance-types.json");
    fs::write(&types, INSTANCE_TYPES)?;
    Ok(Part::new("karpenter", program("karpenter-kwok"))
        .variable("KUBECONFIG", run.join("kubeconfig").display().to_string())
        .variable("METRICS_PORT", ports.karpenter_metrics.to_string())
        .variable("HEALTH_PROBE_PORT", ports.karpenter_health.to_string())
        .variable("DISABLE_LEADER_ELECTION", "true")
        .variable("FEATURE_GATES", "CapacityBuffer=true,StaticCapacity=true")
        .variable("SYSTEM_NAMESPACE", "kube-system")
        .variable("KARPENTER_SERVICE", "karpenter")
        .variable("INSTANCE_TYPES_FILE_PATH", types.display().to_string()))
}

/// A second API server on the same etcd, whose objects are its own; its keys and kubeconfigs are in `files`.
pub(crate) fn second_api_server(files: &Path, ports: &Ports, listens_on: u16) -> Part {
    let mut part = api_server(files, ports).flag("etcd-prefix", "/second");
    "apiserver-second".clone_into(&mut part.name);
    // The last of two flags counts.
    part.flag("secure-port", listens_on)
}

/// The queue server.
pub(crate) fn elastic_mq(run: &Path, ports: &Ports) -> anyhow::Result<Part> {
    let port = ports.sqs;
    let config = run.join("elasticmq.conf");
    let text = format!(
        "include classpath(\"application.conf\")\n\
         node-address {{ protocol = http, host = \"127.0.0.1\", port = {port}, context-path = \"\" }}\n\
         rest-sqs {{ enabled = true, bind-hostname = \"127.0.0.1\", bind-port = {port}, sqs-limits = strict }}\n\
         rest-stats {{ enabled = false }}\n"
    );
    fs::write(&config, text)?;
    Ok(Part::new("elasticmq", PathBuf::from("java"))
        .argument("-Xmx256m")
        .argument("-XX:+UseSerialGC")
        .argument(format!("-Dconfig.file={}", config.display()))
        .argument("-cp")
        .argument(built().join("elasticmq").join("*").display().to_string())
        .argument("org.elasticmq.server.Main"))
}
