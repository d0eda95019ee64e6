//! The workers as the cluster sees them: ready, starting with their ages, and without a node.
//!
//! [`Cluster`] is the small trait behind which Kubernetes stands; [`kubernetes`] implements it with
//! watches. What a pod counts as is a pure function in [`pods`].

pub mod kubernetes;
pub mod pods;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::WorkloadId;
use crate::core::Replicas;

pub use kubernetes::KubernetesCluster;

/// Where a workload's pods can be seen.
pub trait Cluster: Send + Sync {
    /// Starts watching a workload's pods; `listener` is woken when they change. Never waits.
    fn watch(&self, workload: &WorkloadId, listener: &Arc<Notify>) -> Box<dyn ClusterView>;
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
}
