//! Whether a NodePool's limits leave room for the plan.
//!
//! No condition of a NodePool says that a limit is reached, so it is reckoned: what the pods that have no place yet will
//! need, in whole nodes of the usual size, against the limits less what is in use.

use crate::observe::cluster::facts::{ClaimFacts, PoolFacts};
use crate::observe::cluster::quantity::{self, Resources};

/// A limit that is too low for a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Shortfall {
    /// The resource.
    pub resource: String,
    /// The NodePool's limit.
    pub limit: f64,
    /// What its nodes have now.
    pub in_use: f64,
    /// What the plan's nodes will have beside.
    pub need: f64,
    /// By how much the limit is too low.
    pub short: f64,
    /// Pods that find no place.
    pub pods: u32,
    /// Even nodes of just the right size would not do: it does not hang on the size that Karpenter chooses.
    pub is_certain: bool,
}

/// The worst shortfall when `pods` more of `request` need nodes; `None` when all fit. `pods_a_node` and `claims` tell the
/// usual size of a node.
pub fn shortfall(
    pool: &PoolFacts,
    claims: &[ClaimFacts],
    request: &Resources,
    pods_a_node: Option<u32>,
    pods: u32,
) -> Option<Shortfall> {
    if pods == 0 {
        return None;
    }
    let size = usual_size(claims);
    let nodes = pods_a_node.map(|on_one| f64::from(pods.div_ceil(on_one.max(1))));
    let mut worst: Option<(f64, Shortfall)> = None;
    for (resource, limit) in &pool.limits {
        let in_use = pool.in_use.get(resource).copied().unwrap_or(0.0);
        let bare = f64::from(pods) * request.get(resource).copied().unwrap_or(0.0);
        let need = match (nodes, resource.as_str()) {
            (Some(nodes), "nodes") => nodes,
            (Some(nodes), _) => size.get(resource).map_or(bare, |of_one| nodes * of_one).max(bare),
            (None, "nodes") => 1.0,
            (None, _) => bare,
        };
        let short = in_use + need - limit;
        if need <= 0.0 || short <= 1e-6 {
            continue;
        }
        let is_certain = in_use + bare - limit > 1e-6 || resource == "nodes";
        let share = short / need;
        // Of what is left of the limit, whole nodes can be had.
        let left = (limit - in_use).max(0.0) / need;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between none and all pods"
        )]
        let placed = (left.min(1.0) * f64::from(pods)).floor() as u32;
        let found = Shortfall {
            resource: resource.clone(),
            limit: *limit,
            in_use,
            need,
            short,
            pods: pods - placed.min(pods),
            is_certain,
        };
        if worst.as_ref().is_none_or(|(known, _)| share > *known) {
            worst = Some((share, found));
        }
    }
    worst.map(|(_, shortfall)| shortfall)
}

impl Shortfall {
    /// `cpu limit 20, 16 in use, 12 more needed: 8 short`.
    pub fn sentence(&self) -> String {
        let show = |amount: f64| quantity::display(&self.resource, amount);
        format!(
            "{} limit {}, {} in use, {} more needed: {} short, {} without a node",
            self.resource,
            show(self.limit),
            show(self.in_use),
            show(self.need),
            show(self.short),
            if self.pods == 1 { "1 pod".to_owned() } else { format!("{} pods", self.pods) }
        )
    }
}

/// Most nodes of the usual size that a NodePool's limits allow; `None` without limits, or without a node whose size
/// could be read.
pub fn most_nodes(pool: &PoolFacts, claims: &[ClaimFacts]) -> Option<u32> {
    let size = usual_size(claims);
    let most = pool.limits.iter().filter_map(|(resource, limit)| match resource.as_str() {
        "nodes" => Some(*limit),
        _ => size.get(resource).filter(|of_one| **of_one > 0.0).map(|of_one| limit / of_one),
    });
    most.map(quantity::whole).min()
}

/// The median capacity of the pool's nodes, by resource, and no less than their pods can have: Karpenter's kwok
/// provider tells as a node's capacity what was first asked of it.
fn usual_size(claims: &[ClaimFacts]) -> Resources {
    let mut sizes: std::collections::BTreeMap<String, Vec<f64>> = std::collections::BTreeMap::new();
    for claim in claims {
        let mut size = claim.capacity.clone();
        for (resource, amount) in &claim.allocatable {
            let told = size.entry(resource.clone()).or_default();
            *told = told.max(*amount);
        }
        for (resource, amount) in size {
            sizes.entry(resource).or_default().push(amount);
        }
    }
    let median = |(resource, mut amounts): (String, Vec<f64>)| {
        amounts.sort_by(f64::total_cmp);
        (resource, amounts[amounts.len() / 2])
    };
    sizes.into_iter().map(median).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::cluster::facts::tests::claim;

    #[test]
    fn limits_are_held_against_the_plan() {
        let request = quantity::of_json(&json!({"cpu": "1", "memory": "1Gi", "pods": 1}));
        let of_four = claim(&json!({"status": {"capacity": {"cpu": "4", "memory": "16Gi"}}}));
        let pool = |limits: &serde_json::Value, in_use: &serde_json::Value| PoolFacts {
            limits: quantity::of_json(limits),
            in_use: quantity::of_json(in_use),
            ..PoolFacts::default()
        };
        // (what, limits, in use, size known, pods, [short, pods without a node, certain])
        for (what, limits, in_use, is_known, pods, expected) in [
            ("no limits", json!({}), json!({"cpu": 16}), true, 99, None),
            ("all fit", json!({"cpu": 28}), json!({"cpu": 16}), true, 12, None),
            ("no more pods", json!({"cpu": 4}), json!({"cpu": 16}), true, 0, None),
            ("too low", json!({"cpu": 20}), json!({"cpu": 16}), true, 12, Some((8.0, 8, true))),
            // Nine pods need three nodes of four.
            (
                "too low for whole nodes",
                json!({"cpu": 26}),
                json!({"cpu": 16}),
                true,
                9,
                Some((2.0, 2, false)),
            ),
            ("size unknown", json!({"cpu": 20}), json!({"cpu": 16}), false, 12, Some((8.0, 8, true))),
            ("nodes", json!({"nodes": 5}), json!({"nodes": 4}), true, 12, Some((2.0, 8, true))),
            (
                "the scarcest counts",
                json!({"cpu": 27, "memory": "70Gi"}),
                json!({"cpu": 16, "memory": "64Gi"}),
                true,
                12,
                Some((42.0 * 1024.0 * 1024.0 * 1024.0, 11, true)),
            ),
        ] {
            let claims = if is_known { vec![of_four.clone()] } else { Vec::new() };
            let found = shortfall(&pool(&limits, &in_use), &claims, &request, is_known.then_some(4), pods);
            let found = found.map(|found| (found.short, found.pods, found.is_certain));
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn the_sentence_names_limit_need_and_shortfall() {
        let shortfall = Shortfall {
            resource: "memory".to_owned(),
            limit: 70.0 * 1024.0 * 1024.0 * 1024.0,
            in_use: 64.0 * 1024.0 * 1024.0 * 1024.0,
            need: 48.0 * 1024.0 * 1024.0 * 1024.0,
            short: 42.0 * 1024.0 * 1024.0 * 1024.0,
            pods: 11,
            is_certain: true,
        };
        assert_eq!(
            shortfall.sentence(),
            "memory limit 70Gi, 64Gi in use, 48Gi more needed: 42Gi short, 11 pods without a node"
        );
    }
}
