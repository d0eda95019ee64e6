//! What a pod counts as.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::clock::seconds_between;
use crate::core::Replicas;

/// What a pod counts as at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PodState {
    /// It works.
    Ready,
    /// It has a node and is not ready; its age in seconds since creation.
    Starting(f64),
    /// It has no node yet.
    Pending,
    /// It is being deleted or has ended: the scale target makes another in its place.
    Gone,
}

/// Classifies one pod at `now`.
pub fn classify(pod: &Pod, now: Timestamp) -> PodState {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    if pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed")) {
        return PodState::Gone;
    }
    let is_ready = status
        .and_then(|status| status.conditions.as_ref())
        .is_some_and(|conditions| conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True"));
    if is_ready {
        return PodState::Ready;
    }
    let has_node =
        pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|name| !name.is_empty());
    if !has_node {
        return PodState::Pending;
    }
    let created = pod.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    PodState::Starting(seconds_between(created, now).max(0.0))
}

/// Counts pods at `now`; `wanted` is the scale's `spec.replicas`. Youngest starting pods come last.
pub fn count<'a>(pods: impl IntoIterator<Item = &'a Pod>, wanted: Option<u32>, now: Timestamp) -> Replicas {
    let mut replicas = Replicas { ready: 0, starting: Vec::new(), pending: 0, wanted };
    for pod in pods {
        match classify(pod, now) {
            PodState::Ready => replicas.ready += 1,
            PodState::Starting(age_seconds) => replicas.starting.push(age_seconds),
            PodState::Pending => replicas.pending += 1,
            PodState::Gone => {}
        }
    }
    replicas.starting.sort_by(|left, right| right.total_cmp(left));
    replicas
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-27T08:00:00Z";

    fn pod(changes: &Value) -> Pod {
        let mut pod = json!({
            "metadata": {"name": "worker", "creationTimestamp": "2026-11-27T07:59:20Z"},
            "spec": {"containers": [], "nodeName": "node-1"},
            "status": {"phase": "Running", "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "ContainersReady", "status": "True"},
                {"type": "Ready", "status": "True"},
            ]},
        });
        for (path, value) in changes.as_object().unwrap() {
            let (parent, key) = path.rsplit_once('/').unwrap();
            let parent = pod.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            if value.is_null() {
                parent.remove(key);
            } else {
                parent.insert(key.to_owned(), value.clone());
            }
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_pod_counts_as_what_it_is() {
        let not_ready =
            json!([{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]);
        for (name, changes, expected) in [
            ("ready", json!({}), PodState::Ready),
            ("not ready", json!({"/status/conditions": not_ready}), PodState::Starting(40.0)),
            (
                "unknown",
                json!({"/status/conditions": [{"type": "Ready", "status": "Unknown"}]}),
                PodState::Starting(40.0),
            ),
            (
                "readiness gate open",
                json!({"/status/conditions": [{"type": "ContainersReady", "status": "True"}]}),
                PodState::Starting(40.0),
            ),
            (
                "just bound",
                json!({"/status/phase": "Pending", "/status/conditions": null}),
                PodState::Starting(40.0),
            ),
            ("no status yet, bound", json!({"/status": null}), PodState::Starting(40.0)),
            (
                "no node",
                json!({"/spec/nodeName": null, "/status/phase": "Pending", "/status/conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}),
                PodState::Pending,
            ),
            ("brand new", json!({"/spec/nodeName": null, "/status": null}), PodState::Pending),
            ("empty node name", json!({"/spec/nodeName": "", "/status/conditions": null}), PodState::Pending),
            (
                "terminating though ready",
                json!({"/metadata/deletionTimestamp": "2026-11-27T07:59:59Z"}),
                PodState::Gone,
            ),
            (
                "terminating without a node",
                json!({"/metadata/deletionTimestamp": NOW, "/spec/nodeName": null, "/status/conditions": null}),
                PodState::Gone,
            ),
            ("evicted", json!({"/status/phase": "Failed", "/status/conditions": not_ready}), PodState::Gone),
            (
                "completed",
                json!({"/status/phase": "Succeeded", "/status/conditions": not_ready}),
                PodState::Gone,
            ),
            (
                "crash loop",
                json!({"/status/conditions": not_ready, "/metadata/creationTimestamp": "2026-11-27T07:00:00Z"}),
                PodState::Starting(3600.0),
            ),
            (
                "created ahead of our clock",
                json!({"/status/conditions": not_ready, "/metadata/creationTimestamp": "2026-11-27T08:00:02Z"}),
                PodState::Starting(0.0),
            ),
        ] {
            assert_eq!(classify(&pod(&changes), NOW.parse().unwrap()), expected, "{name}");
        }
    }

    #[test]
    fn pods_are_counted() {
        let pods = [
            pod(&json!({})),
            pod(&json!({"/status": null})),
            pod(&json!({"/status": null, "/metadata/creationTimestamp": "2026-11-27T07:59:00Z"})),
            pod(&json!({"/status": null, "/spec/nodeName": null})),
            pod(&json!({"/metadata/deletionTimestamp": NOW})),
        ];
        let replicas = count(&pods, Some(5), NOW.parse().unwrap());
        let expected = Replicas { ready: 1, starting: vec![60.0, 40.0], pending: 1, wanted: Some(5) };
        assert_eq!(replicas, expected);
        assert_eq!(replicas.existing(), 4);
    }
}
