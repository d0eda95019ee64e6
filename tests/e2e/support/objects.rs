//! The objects that a user applies: the shipped examples, changed only in what names this cluster.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::cluster::FIXED_NODES;
use super::queue::Queue;
use super::scaler::Scaler;
use crate::parts::emulator::REGION;

/// KEDA asks us this often.
pub(crate) const POLL_SECONDS: u64 = 5;

/// A Deployment of order workers without replicas; their pods go to nodes with this label.
pub(crate) fn deployment(namespace: &str, name: &str, nodes: (&str, &str)) -> Value {
    let requests = json!({"cpu": "1", "memory": "1Gi"});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"nodeSelector": {nodes.0: nodes.1}, "terminationGracePeriodSeconds": 1, "containers": [
                {"name": "worker", "image": "worker", "resources": {"requests": requests}}]}}}})
}

/// A Deployment of order workers on the nodes that are always there.
pub(crate) fn workers(namespace: &str, name: &str) -> Value {
    deployment(namespace, name, FIXED_NODES)
}

/// A shipped example's objects.
pub(crate) fn shipped(file: &str) -> anyhow::Result<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples").join(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_saphyr::from_multiple(&text)?)
}

/// A ScaledObject under way to the cluster.
#[derive(Debug, Clone)]
pub(crate) struct ScaledObject(pub(crate) Value);

impl ScaledObject {
    /// The ScaledObject of a shipped example, for a Deployment of the same name.
    pub(crate) fn shipped(file: &str, namespace: &str, name: &str) -> anyhow::Result<Self> {
        let objects = shipped(file)?;
        let object = objects.into_iter().find(|object| object["kind"] == "ScaledObject");
        let mut object = object.with_context(|| format!("{file} holds a ScaledObject"))?;
        object["metadata"] = json!({"name": name, "namespace": namespace});
        let spec = &mut object["spec"];
        spec["scaleTargetRef"] = json!({"name": name});
        spec["pollingInterval"] = json!(POLL_SECONDS);
        spec["cooldownPeriod"] = json!(20);
        Ok(Self(object))
    }

    /// Least and most replicas, for KEDA.
    pub(crate) fn bounds(mut self, least: u32, most: u32) -> Self {
        self.0["spec"]["minReplicaCount"] = json!(least);
        self.0["spec"]["maxReplicaCount"] = json!(most);
        self
    }

    /// Sets a key of `spec`.
    pub(crate) fn spec(mut self, key: &str, value: Value) -> Self {
        self.0["spec"][key] = value;
        self
    }

    /// Sets keys of the metadata of the trigger of such a type; an empty value takes the key out.
    pub(crate) fn metadata(mut self, trigger_type: &str, keys: &[(&str, &str)]) -> Self {
        let triggers = self.0["spec"]["triggers"].as_array_mut().into_iter().flatten();
        for trigger in triggers.filter(|trigger| trigger["type"] == trigger_type) {
            if let Some(metadata) = trigger["metadata"].as_object_mut() {
                set(metadata, keys);
            }
        }
        self
    }

    /// Our trigger asks `scaler` about `queue`, read at `sqs_port`: the queue server's own, or that of a gate before it.
    pub(crate) fn reads(self, scaler: &Scaler, queue: &Queue, sqs_port: u16) -> Self {
        self.ours(&[
            ("scalerAddress", &scaler.address()),
            ("queueURL", &queue.url_at(sqs_port)),
            ("awsEndpoint", &format!("http://127.0.0.1:{sqs_port}")),
            ("awsRegion", REGION),
            ("throughputSource", "queue"),
            ("cutOffs", ""),
            ("timeZone", ""),
        ])
    }

    /// The trigger of KEDA's own SQS scaler reads `queue`, with [`keda_credentials`].
    pub(crate) fn keda_reads(self, queue: &Queue, sqs_port: u16) -> Self {
        let endpoint = format!("http://127.0.0.1:{sqs_port}");
        let keys = [("queueURL", queue.url.as_str()), ("awsEndpoint", &endpoint), ("awsRegion", REGION)];
        self.metadata("aws-sqs-queue", &keys)
    }

    /// [`Self::metadata`] of our own trigger.
    pub(crate) fn ours(self, keys: &[(&str, &str)]) -> Self {
        self.metadata("external-push", keys)
    }
}

fn set(metadata: &mut Map<String, Value>, keys: &[(&str, &str)]) {
    for (key, value) in keys {
        if value.is_empty() {
            metadata.remove(*key);
        } else {
            metadata.insert((*key).to_owned(), json!(value));
        }
    }
}

/// Keys with which KEDA's own scaler reads the cluster's queues, under the name that the shipped examples use.
pub(crate) fn keda_credentials(namespace: &str) -> [Value; 2] {
    let name = "keda-aws";
    let reference = |parameter: &str, key: &str| json!({"parameter": parameter, "name": name, "key": key});
    let references = [reference("awsAccessKeyID", "id"), reference("awsSecretAccessKey", "secret")];
    [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
            "stringData": {"id": "test", "secret": "test"}}),
        json!({"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
            "metadata": {"name": name, "namespace": namespace}, "spec": {"secretTargetRef": references}}),
    ]
}
