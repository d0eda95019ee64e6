//! How many more worker pods fit: on initialized nodes now, and on those whose claims are in flight.
//!
//! Other namespaces' pods are not ours to list, so what daemons take is read off the NodeClaim: it was launched for
//! whole pods of the workload, and the rest of its requests is theirs.

use super::facts::ClaimFacts;
use super::quantity::{self, Resources};
use crate::core::NodeSlots;

/// A node of the pool.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRoom {
    /// Its name.
    pub name: String,
    /// Pods may be put on it: ready, initialized, not cordoned, not going.
    pub is_usable: bool,
    /// What pods can have of it.
    pub allocatable: Resources,
    /// What the pods on it that we see ask for.
    pub used: Resources,
}

/// Counts slots for pods of `request`. Free slots that pods have been overlooking for a while are none:
/// `overlooked` says that pods wait though they should have fitted.
pub fn slots(nodes: &[NodeRoom], claims: &[ClaimFacts], request: &Resources, overlooked: bool) -> NodeSlots {
    let claim_of =
        |node: &NodeRoom| claims.iter().find(|claim| claim.node_name.as_deref() == Some(&*node.name));
    let free = nodes.iter().filter(|node| node.is_usable).map(|node| {
        let daemons = claim_of(node).map(|claim| daemons(&claim.requests, request)).unwrap_or_default();
        let left = less(&less(&node.allocatable, &node.used), &daemons);
        quantity::fitting(&left, request)
    });
    let free_slots = if overlooked { 0 } else { free.fold(0, u32::saturating_add) };
    let coming = claims.iter().filter(|claim| claim.is_coming()).map(|claim| {
        let whole = quantity::fitting(&less(&claim.allocatable, &daemons(&claim.requests, request)), request);
        whole.max(pods_asked_for(&claim.requests, request))
    });
    NodeSlots { free_slots, coming: coming.fold(0, u32::saturating_add) }
}

/// Pods that one more node takes: the median over the claims that tell their size.
pub fn pods_a_node(claims: &[ClaimFacts], request: &Resources) -> Option<u32> {
    let size = |claim: &ClaimFacts| {
        let room = less(&claim.allocatable, &daemons(&claim.requests, request));
        Some(quantity::fitting(&room, request)).filter(|pods| *pods > 0)
    };
    let mut sizes: Vec<u32> = claims.iter().filter_map(size).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied()
}

/// Whole pods of `request` in what a claim asked for.
fn pods_asked_for(requests: &Resources, request: &Resources) -> u32 {
    quantity::fitting(requests, request)
}

/// What is left of a claim's requests after whole pods of `request`.
fn daemons(requests: &Resources, request: &Resources) -> Resources {
    let pods = f64::from(pods_asked_for(requests, request));
    let left = |(name, amount): (&String, &f64)| {
        (name.clone(), (amount - pods * request.get(name).copied().unwrap_or(0.0)).max(0.0))
    };
    requests.iter().map(left).collect()
}

fn less(from: &Resources, amounts: &Resources) -> Resources {
    let left = |(name, amount): (&String, &f64)| {
        (name.clone(), (amount - amounts.get(name).copied().unwrap_or(0.0)).max(0.0))
    };
    from.iter().map(left).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::cluster::facts::tests::claim;

    fn amounts(cpu: f64, pods: f64) -> Resources {
        quantity::of_json(&json!({"cpu": cpu, "pods": pods}))
    }

    fn node(name: &str, used_cpu: f64) -> NodeRoom {
        NodeRoom {
            name: name.to_owned(),
            is_usable: true,
            allocatable: amounts(4.0, 110.0),
            used: amounts(used_cpu, used_cpu),
        }
    }

    #[test]
    fn what_is_free_and_what_comes() {
        let request = amounts(1.0, 1.0);
        let running = |node: &str, cpu| {
            let mut running = claim(&json!({"status": {"nodeName": node, "conditions": [
                {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-11-27T08:01:00Z"},
            ]}}));
            running.requests = amounts(cpu, 3.0);
            running
        };
        let mut coming = claim(&json!({}));
        coming.requests = amounts(3.2, 4.0);
        let mut launched = coming.clone();
        launched.allocatable = amounts(8.0, 110.0);
        let cordoned = NodeRoom { is_usable: false, ..node("c", 0.0) };
        // (what, nodes, claims, free, coming)
        for (what, nodes, claims, free, expected) in [
            ("nothing", vec![], vec![], 0, 0),
            ("an empty node", vec![node("a", 0.0)], vec![], 4, 0),
            ("half full", vec![node("a", 2.0), node("b", 4.0)], vec![], 2, 0),
            ("no pods on it", vec![cordoned], vec![], 0, 0),
            // 2.5 cores asked for: two workers, half a core for daemons.
            ("daemons", vec![node("a", 2.0)], vec![running("a", 2.5)], 1, 0),
            ("asked for, not launched", vec![], vec![coming], 0, 3),
            // 8 cores less the 0.2 of daemons.
            ("launched", vec![], vec![launched], 0, 7),
        ] {
            let slots = slots(&nodes, &claims, &request, false);
            assert_eq!((slots.free_slots, slots.coming), (free, expected), "{what}");
        }
        assert_eq!(slots(&[node("a", 0.0)], &[], &request, true).free_slots, 0, "pods wait all the same");
    }

    #[test]
    fn the_size_of_a_node_is_the_median() {
        let request = amounts(1.0, 1.0);
        let sized = |cpu: f64| {
            let mut sized = claim(&json!({}));
            sized.allocatable = amounts(cpu, 110.0);
            sized
        };
        assert_eq!(pods_a_node(&[], &request), None);
        assert_eq!(pods_a_node(&[sized(4.0), sized(16.0), sized(8.0)], &request), Some(8));
        assert_eq!(pods_a_node(&[sized(0.0)], &request), None);
    }
}
