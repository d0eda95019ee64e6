//! What is written to the cluster: replicas of what holds room, the list of holds, and events.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use serde_json::{Value, json};

use super::coordinator::CoordinationOptions;
use super::finding::{Finding, Severity};
use super::holds::{HolderId, Holds};
use crate::observe::WorkloadId;
use crate::observe::cluster::HolderKind;
use crate::observe::cluster::facts::{EXPIRES_ANNOTATION, FIELD_MANAGER, WORKLOAD_ANNOTATION};

/// A call that takes longer has failed.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Annotation on the Lease: what is held.
const HOLDS_ANNOTATION: &str = "peakscaler/holds";
/// The API server's bound on an event's note.
const LONGEST_NOTE: usize = 1024;

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    /// `spec.replicas`.
    pub(super) replicas: u32,
    /// For which workload; `None` when it is given back.
    pub(super) workload: Option<String>,
    /// Until when it is held unless renewed.
    pub(super) expires: Timestamp,
    /// Only on what was seen.
    pub(super) resource_version: Option<String>,
    /// From a manager that holds nothing with it.
    pub(super) takes_over: bool,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// It changed since it was seen: to be looked at again.
    #[error("it was changed meanwhile")]
    Changed,
    /// Another manager has the field.
    #[error("somebody else has set its replicas: {0}")]
    Owned(String),
    /// It does not exist.
    #[error("it does not exist")]
    Gone,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else { return Self::Failed(error.to_string()) };
        match status.code {
            404 => Self::Gone,
            409 if status.message.contains("Apply failed") => Self::Owned(status.message.clone()),
            409 => Self::Changed,
            403 => Self::Failed(format!("{}: grant patch on it to the service account", status.message)),
            _ => Self::Failed(status.message.clone()),
        }
    }
}

/// The cluster, for writing.
#[derive(Clone)]
pub(super) struct Edge {
    client: Client,
    recorder: Recorder,
    leases: Api<Lease>,
    lease_name: String,
}

impl Edge {
    pub(super) fn new(client: Client, options: &CoordinationOptions) -> Self {
        let reporter =
            Reporter { controller: FIELD_MANAGER.to_owned(), instance: Some(options.identity.clone()) };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            leases: Api::namespaced(client.clone(), &options.lease_namespace),
            lease_name: options.lease_name.clone(),
            client,
        }
    }

    /// Writes the replicas of what holds room, by server-side apply.
    pub(super) async fn write(&self, holder: &HolderId, order: &Order) -> Result<(), WriteError> {
        let mut parameters = PatchParams::apply(FIELD_MANAGER);
        parameters.force = order.takes_over;
        match holder.kind {
            HolderKind::CapacityBuffer => {
                let kind = GroupVersionKind::gvk("autoscaling.x-k8s.io", "v1beta1", "CapacityBuffer");
                let resource = ApiResource::from_gvk(&kind);
                let api: Api<DynamicObject> =
                    Api::namespaced_with(self.client.clone(), &holder.namespace, &resource);
                let patch = buffer_patch(&holder.name, order);
                in_time(api.patch(&holder.name, &parameters, &Patch::Apply(&patch))).await?;
            }
            HolderKind::Placeholder => {
                let api: Api<Deployment> = Api::namespaced(self.client.clone(), &holder.namespace);
                let patch = json!({
                    "apiVersion": "autoscaling/v1", "kind": "Scale",
                    "metadata": {"name": holder.name}, "spec": {"replicas": order.replicas},
                });
                in_time(api.patch_scale(&holder.name, &parameters, &Patch::Apply(&patch))).await?;
            }
        }
        Ok(())
    }

    /// What the holder of the Lease before this one held.
    pub(super) async fn read_holds(&self) -> Result<Holds, WriteError> {
        let lease = in_time(self.leases.get(&self.lease_name)).await?;
        let annotations = lease.metadata.annotations.unwrap_or_default();
        Ok(annotations.get(HOLDS_ANNOTATION).map(|text| Holds::parse(text)).unwrap_or_default())
    }

    /// Keeps the list where a successor finds it.
    pub(super) async fn keep_holds(&self, text: &str) -> Result<(), WriteError> {
        let patch = json!({"metadata": {"annotations": {HOLDS_ANNOTATION: text}}});
        let parameters = PatchParams::default();
        in_time(self.leases.patch(&self.lease_name, &parameters, &Patch::Merge(&patch))).await?;
        Ok(())
    }

    /// Tells a finding as an event on the ScaledObject.
    pub(super) async fn tell(
        &self,
        workload: &WorkloadId,
        uid: &str,
        finding: &Finding,
    ) -> Result<(), WriteError> {
        let reference = ObjectReference {
            api_version: Some("keda.sh/v1alpha1".to_owned()),
            kind: Some("ScaledObject".to_owned()),
            namespace: Some(workload.namespace.clone()),
            name: Some(workload.name.clone()),
            uid: Some(uid.to_owned()).filter(|uid| !uid.is_empty()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: if finding.severity == Severity::Info { EventType::Normal } else { EventType::Warning },
            reason: finding.kind.reason().to_owned(),
            note: Some(finding.text.chars().take(LONGEST_NOTE).collect()),
            action: "Coordinate".to_owned(),
            secondary: None,
        };
        in_time(self.recorder.publish(&event, &reference)).await
    }
}

/// Replicas and, for people and successors, for whom and how long. Given back, these go.
fn buffer_patch(name: &str, order: &Order) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(workload) = &order.workload {
        let mut annotations = json!({WORKLOAD_ANNOTATION: workload});
        if order.replicas > 0 {
            annotations[EXPIRES_ANNOTATION] = json!(order.expires.to_string());
        }
        metadata["annotations"] = annotations;
    }
    if let Some(version) = &order.resource_version {
        metadata["resourceVersion"] = json!(version);
    }
    json!({
        "apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer",
        "metadata": metadata, "spec": {"replicas": order.replicas},
    })
}

async fn in_time<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, WriteError> {
    match tokio::time::timeout(CALL_WITHIN, call).await {
        Ok(answer) => answer.map_err(WriteError::from),
        Err(_) => Err(WriteError::Failed(format!("no answer within {} s", CALL_WITHIN.as_secs()))),
    }
}
