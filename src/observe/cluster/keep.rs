//! What is kept of each object: the few fields that are read, so that a namespace of thousands of pods stays small
//! and a change of anything else is no news.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, Node, NodeSpec, NodeStatus, Pod, PodSpec, PodStatus, PodTemplateSpec, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DynamicObject, ObjectMeta};
use serde_json::{Value, json};

use super::facts::FIELD_MANAGER;
use super::quantity::{self, Resources};

fn keep_metadata(metadata: &mut ObjectMeta) {
    *metadata = ObjectMeta {
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        labels: metadata.labels.take(),
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        ..ObjectMeta::default()
    };
}

/// Place, phase, the moments of being scheduled and ready, and what it asks for, in one container.
pub(super) fn pod(pod: &mut Pod) {
    keep_metadata(&mut pod.metadata);
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        containers: vec![asking_for(&quantity::requested_by(&spec))],
        node_name: spec.node_name,
        ..PodSpec::default()
    });
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        conditions: status.conditions.map(|mut conditions| {
            conditions.retain(|condition| matches!(condition.type_.as_str(), "Ready" | "PodScheduled"));
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

fn asking_for(requests: &Resources) -> Container {
    let quantity = |(name, amount): (&String, &f64)| (name.clone(), Quantity(amount.to_string()));
    let requests = Some(requests.iter().map(quantity).collect());
    let resources = Some(ResourceRequirements { requests, ..ResourceRequirements::default() });
    Container { resources, ..Container::default() }
}

/// What a kept pod asks for.
pub(super) fn request_of(pod: &Pod) -> Resources {
    pod.spec.as_ref().map(quantity::requested_by).unwrap_or_default()
}

/// The target, the bounds, and what KEDA says of the HPA.
pub(super) fn scaled_object(object: &mut DynamicObject) {
    keep_metadata(&mut object.metadata);
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    object.data = json!({
        "spec": {
            "scaleTargetRef": spec["scaleTargetRef"],
            "minReplicaCount": spec["minReplicaCount"],
            "maxReplicaCount": spec["maxReplicaCount"],
        },
        "status": {"externalMetricNames": status["externalMetricNames"], "hpaName": status["hpaName"]},
    });
}

/// Replicas, selector, who else sets the replicas, and the pods' shape.
pub(super) fn scale(target: &mut DynamicObject) {
    let other_manager = other_manager(&target.metadata);
    keep_metadata(&mut target.metadata);
    let spec = &target.data["spec"];
    target.data = json!({
        "spec": {"replicas": spec["replicas"], "selector": spec["selector"]},
        "otherManager": other_manager,
        "shape": shape(&spec["template"]),
    });
}

/// What pods of a template ask for, their labels, and what makes the room for them uncountable.
fn shape(template: &Value) -> Value {
    let Ok(template) = serde_json::from_value::<PodTemplateSpec>(template.clone()) else {
        return Value::Null;
    };
    let Some(spec) = template.spec else { return Value::Null };
    let labels = template.metadata.and_then(|metadata| metadata.labels);
    json!({"request": quantity::requested_by(&spec), "labels": labels, "obstacles": obstacles(&spec)})
}

fn obstacles(spec: &PodSpec) -> Vec<&'static str> {
    let spreads = spec.topology_spread_constraints.iter().flatten();
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let apart = affinity.and_then(|apart| apart.required_during_scheduling_ignored_during_execution.as_ref());
    let claims = spec.volumes.iter().flatten().filter(|volume| volume.persistent_volume_claim.is_some());
    let mut found = Vec::new();
    if spreads.into_iter().any(|spread| spread.when_unsatisfiable == "DoNotSchedule") {
        found.push("a topology spread that must hold");
    }
    if apart.is_some_and(|terms| !terms.is_empty()) {
        found.push("a required anti-affinity");
    }
    if claims.count() > 0 {
        found.push("persistent volumes");
    }
    found
}

/// What a buffer holds, for whom, and what is said of it.
pub(super) fn buffer(buffer: &mut DynamicObject) {
    let other_manager = other_manager(&buffer.metadata);
    let resource_version = buffer.metadata.resource_version.take();
    let annotations = buffer.metadata.annotations.take();
    keep_metadata(&mut buffer.metadata);
    buffer.metadata.resource_version = resource_version;
    buffer.metadata.annotations = annotations.map(ours);
    let (spec, conditions) = (&buffer.data["spec"], &buffer.data["status"]["conditions"]);
    buffer.data = json!({
        "spec": {"replicas": spec["replicas"], "scalableRef": spec["scalableRef"], "limits": spec["limits"]},
        "status": {"conditions": conditions},
        "otherManager": other_manager,
    });
}

fn ours(annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let prefix = format!("{FIELD_MANAGER}/");
    annotations.into_iter().filter(|(key, _)| key.starts_with(&prefix)).collect()
}

/// Who else has set `spec.replicas`.
fn other_manager(metadata: &ObjectMeta) -> Option<String> {
    let mut entries = metadata.managed_fields.iter().flatten().filter(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0["f:spec"]["f:replicas"]);
        fields.is_some_and(|fields| !fields.is_null())
    });
    let other = entries.find(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER))?;
    Some(other.manager.clone().unwrap_or_else(|| "unknown".to_owned()))
}

/// The parts of an HPA that bend our number.
pub(super) fn autoscaler(autoscaler: &mut DynamicObject) {
    keep_metadata(&mut autoscaler.metadata);
    let spec = &autoscaler.data["spec"];
    let tolerance = |side: &str| json!({"tolerance": spec["behavior"][side]["tolerance"]});
    let target = |metric: &Value| json!({"external": {"target": {"averageValue": metric["external"]["target"]["averageValue"]}}});
    let metrics: Vec<Value> = spec["metrics"].as_array().into_iter().flatten().map(target).collect();
    autoscaler.data = json!({"spec": {
        "minReplicas": spec["minReplicas"],
        "maxReplicas": spec["maxReplicas"],
        "behavior": {"scaleUp": tolerance("scaleUp"), "scaleDown": tolerance("scaleDown")},
        "metrics": metrics,
    }});
}

/// Limits, what is in use, and the rules of disruption.
pub(super) fn node_pool(pool: &mut DynamicObject) {
    keep_metadata(&mut pool.metadata);
    let (spec, status) = (&pool.data["spec"], &pool.data["status"]);
    pool.data = json!({
        "spec": {"limits": spec["limits"], "disruption": spec["disruption"]},
        "status": {"resources": status["resources"]},
    });
}

/// The moments of its life, its size and its end.
pub(super) fn node_claim(claim: &mut DynamicObject) {
    keep_metadata(&mut claim.metadata);
    let (spec, status) = (&claim.data["spec"], &claim.data["status"]);
    let relevant = |condition: &&Value| {
        matches!(condition["type"].as_str(), Some("Launched" | "Registered" | "Initialized"))
    };
    let conditions: Vec<&Value> =
        status["conditions"].as_array().into_iter().flatten().filter(relevant).collect();
    claim.data = json!({
        "spec": {"expireAfter": spec["expireAfter"], "resources": spec["resources"]},
        "status": {
            "nodeName": status["nodeName"],
            "capacity": status["capacity"],
            "allocatable": status["allocatable"],
            "conditions": conditions,
        },
    });
}

/// Whether pods can be put on it, and how much.
pub(super) fn node(node: &mut Node) {
    keep_metadata(&mut node.metadata);
    if let Some(labels) = &mut node.metadata.labels {
        labels.retain(|key, _| key.starts_with("karpenter.sh/"));
    }
    node.spec = node.spec.take().map(|spec| NodeSpec {
        taints: spec.taints,
        unschedulable: spec.unschedulable,
        ..NodeSpec::default()
    });
    node.status = node.status.take().map(|status| NodeStatus {
        allocatable: status.allocatable,
        conditions: status.conditions.map(|mut conditions| {
            conditions.retain(|condition| condition.type_ == "Ready");
            for condition in &mut conditions {
                // The kubelet's heartbeat is no news.
                condition.last_heartbeat_time = None;
            }
            conditions
        }),
        ..NodeStatus::default()
    });
}

/// Of what, why, and when it was last seen.
pub(super) fn warning(event: &mut DynamicObject) {
    keep_metadata(&mut event.metadata);
    let data = &event.data;
    let last = [&data["series"]["lastObservedTime"], &data["lastTimestamp"], &data["eventTime"]];
    let last = last.into_iter().find(|time| !time.is_null()).unwrap_or(&Value::Null);
    event.data = json!({
        "regarding": data["involvedObject"]["name"],
        "kind": data["involvedObject"]["kind"],
        "reason": data["reason"],
        "message": data["message"],
        "last": last,
    });
}
