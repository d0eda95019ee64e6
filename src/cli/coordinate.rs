//! Flags of `serve` that say whether room is held ahead, and by whom.

use kube::Client;

use crate::capacity::{Coordination, CoordinationOptions, Coordinator};
use crate::engine::Engine;

/// Who writes buffers.
#[derive(Debug, clap::Args)]
pub(super) struct CoordinateArguments {
    /// Hold room ahead: write the CapacityBuffers and placeholders that triggers name, and tell findings as events. Of
    /// several replicas the one that holds the Lease does.
    #[arg(long, env = "PEAKSCALER_COORDINATE", conflicts_with = "no_cluster")]
    coordinate: bool,
    /// The Lease, which must exist.
    #[arg(long, env = "PEAKSCALER_LEASE_NAME", value_name = "NAME", default_value = "peakscaler")]
    lease_name: String,
    /// Its namespace; the pod's own unless given.
    #[arg(long, env = "PEAKSCALER_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
}

impl CoordinateArguments {
    /// Starts coordinating where the flags ask for it.
    pub(super) fn start(
        &self,
        coordination: &Coordination,
        engine: &Engine,
        client: Option<Client>,
    ) -> Option<Coordinator> {
        let client = client.filter(|_| self.coordinate)?;
        let namespace = self.lease_namespace.clone();
        let options = CoordinationOptions {
            lease_name: self.lease_name.clone(),
            lease_namespace: namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
            identity: identity(),
        };
        Some(Coordinator::start(coordination, engine.clone(), client, options))
    }
}

/// The pod's name, and what tells two processes on one machine apart.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "peakscaler".to_owned());
    format!("{host}-{:08x}", rand::random::<u32>())
}
