//! Nodes of Karpenter: pools, and how many there were over time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::scene::{Scene, Teller};

/// Label by which pods choose a pool.
pub(crate) const POOL_LABEL: &str = "karpenter.sh/nodepool";
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A pool of nodes with 8 cores each, `cpu_limit` cores in all.
pub(super) fn node_pool(name: &str, cpu_limit: u32) -> Value {
    let class = json!({"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"});
    let on_demand = json!({"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]});
    json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": {
        "limits": {"cpu": cpu_limit.to_string()},
        "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "30s"},
        "template": {"spec": {"expireAfter": "720h", "nodeClassRef": class, "requirements": [on_demand]}}}})
}

/// Counts a pool's claims of nodes, as the cloud's bill would, until it is dropped.
pub(crate) struct NodeTrack {
    counts: Arc<Mutex<Vec<(f64, usize)>>>,
    teller: Teller,
    _stop: DropGuard,
}

impl NodeTrack {
    pub(crate) fn start(scene: &Scene, pool: &str) -> Self {
        let stop = CancellationToken::new();
        let counts = Arc::<Mutex<Vec<(f64, usize)>>>::default();
        let count = count(scene.cluster.client.clone(), pool.to_owned(), counts.clone(), scene.teller());
        tokio::spawn(stop.clone().run_until_cancelled_owned(count));
        Self { counts, teller: scene.teller(), _stop: stop.drop_guard() }
    }

    /// The most nodes at a time.
    pub(crate) fn most(&self) -> usize {
        self.counts.lock().unwrap().iter().map(|(_, count)| *count).max().unwrap_or(0)
    }

    /// Minutes of nodes until now.
    pub(crate) fn node_minutes(&self) -> f64 {
        let mut counts = self.counts.lock().unwrap().clone();
        counts.push((self.teller.seconds(), 0));
        counts.windows(2).map(|pair| pair[0].1 as f64 * (pair[1].0 - pair[0].0)).sum::<f64>() / 60.0
    }
}

async fn count(client: kube::Client, pool: String, counts: Arc<Mutex<Vec<(f64, usize)>>>, teller: Teller) {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("karpenter.sh", "v1", "NodeClaim"));
    let api = Api::<DynamicObject>::all_with(client, &kind);
    let selector = ListParams::default().labels(&format!("{POOL_LABEL}={pool}"));
    let mut last = 0;
    loop {
        if let Ok(claims) = api.list_metadata(&selector).await {
            let now = claims.items.len();
            if now != last {
                teller.tell(&format!("pool {pool}: {now} nodes"));
                last = now;
            }
            counts.lock().unwrap().push((teller.seconds(), now));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
