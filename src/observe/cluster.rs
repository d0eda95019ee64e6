//! The workers as the cluster sees them: ready, starting with their ages, and without a node.
//!
//! [`Cluster`] is the small trait behind which Kubernetes stands; [`kubernetes`] implements it with
//! watches. What a pod counts as is a pure function in [`pods`]. Beside the pods it sees the room for them: [`facts`].

pub mod facts;
mod gather;
mod keep;
pub mod kubernetes;
pub mod lead_times;
pub mod pods;
pub mod quantity;
pub mod room;
mod view;
mod watch;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::WorkloadId;
use crate::core::Replicas;
use crate::trigger::Trigger;

pub use facts::{CapacityFacts, HolderKind};
pub use kubernetes::KubernetesCluster;

/// Where a workload's pods can be seen.
pub trait Cluster: Send + Sync {
    /// Starts watching a workload's pods and room; `listener` is woken when they change. Never waits.
    fn watch(
        &self,
        workload: &WorkloadId,
        interest: &Interest,
        listener: &Arc<Notify>,
    ) -> Box<dyn ClusterView>;
}

/// What of a cluster a trigger asks for, beside the pods.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interest {
    /// Karpenter's NodePool for the workers.
    pub node_pool: Option<String>,
    /// What holds room ahead.
    pub holder: Option<(HolderKind, String)>,
    /// What a pod is taken to need until it is measured.
    pub pod_lead_seconds: f64,
    /// What a node is taken to need until it is measured.
    pub node_lead_seconds: f64,
}

impl Interest {
    /// Of a trigger.
    pub fn of(trigger: &Trigger) -> Self {
        let buffer = trigger.capacity_buffer.clone().map(|name| (HolderKind::CapacityBuffer, name));
        let placeholder = trigger.placeholder.clone().map(|name| (HolderKind::Placeholder, name));
        Self {
            node_pool: trigger.node_pool.clone(),
            holder: buffer.or(placeholder),
            pod_lead_seconds: trigger.policy.pod_lead_seconds,
            node_lead_seconds: trigger.policy.node_lead_seconds,
        }
    }
}

/// A view on one workload's pods; dropping it ends watches that nobody else uses.
pub trait ClusterView: Send {
    /// What is known at `now`. Never waits.
    fn read(&mut self, now: Timestamp) -> ClusterReading;
}

/// What is known of a workload's pods.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterReading {
    /// The pods; `None` before they are first known.
    pub replicas: Option<Replicas>,
    /// Seconds since this was known to be so: 0 while the watches stand.
    pub age_seconds: Option<f64>,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
    /// The room for them, and what scales them; `None` where nobody tells.
    pub capacity: Option<Arc<CapacityFacts>>,
}
