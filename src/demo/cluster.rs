//! The simulated centre's pods in the place of watched ones.
//!
//! Queue and throughput reach the server through their real clients; pods would reach it by
//! watching Kubernetes, and there is none here.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::centre::Centre;
use crate::observe::WorkloadId;
use crate::observe::cluster::{Cluster, ClusterReading, ClusterView, Interest};

/// A cluster that runs nothing but the centre's workers.
pub struct SimulatedCluster(pub Arc<Centre>);

impl Cluster for SimulatedCluster {
    fn watch(
        &self,
        _workload: &WorkloadId,
        _interest: &Interest,
        _listener: &Arc<Notify>,
    ) -> Box<dyn ClusterView> {
        Box::new(View(self.0.clone()))
    }
}

struct View(Arc<Centre>);

impl ClusterView for View {
    fn read(&mut self, _now: Timestamp) -> ClusterReading {
        ClusterReading {
            replicas: Some(self.0.replicas()),
            age_seconds: Some(0.0),
            error: None,
            capacity: None,
        }
    }
}
