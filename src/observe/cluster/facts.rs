//! What the cluster says of the room for one workload: typed facts out of cut-down objects.
//!
//! Everything here is data. What it means is told by `capacity`; what cannot be read is left out, never assumed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lead_times::{ClaimLife, MeasuredLeads};
use super::quantity::{self, Resources};
use crate::core::{NodeSlots, ReplicaBounds};

/// The field manager and annotation prefix of what we write; facts tell ours from others'.
pub const FIELD_MANAGER: &str = "peakscaler";
/// Annotation on what holds room: the workload that it is held for.
pub const WORKLOAD_ANNOTATION: &str = "peakscaler/workload";
/// Annotation on what holds room: until when it is held, unless renewed.
pub const EXPIRES_ANNOTATION: &str = "peakscaler/expires";

/// All that is known of the room for a workload; `None` and empty is what is not known (yet).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CapacityFacts {
    /// When this was put together.
    pub at: Option<Timestamp>,
    /// Since when the workload, its pods or what holds room cannot be seen, while so: they are as of then.
    pub broken_since: Option<Timestamp>,
    /// Since when anything cannot be watched, while so.
    pub troubled_since: Option<Timestamp>,
    /// What cannot be watched, and why.
    pub troubles: Vec<String>,
    /// The ScaledObject.
    pub scaled_object: Named<ScaledObjectFacts>,
    /// Its HPA.
    pub autoscaler: Option<AutoscalerFacts>,
    /// The scale target.
    pub target: Named<TargetFacts>,
    /// Whether there is Karpenter; `None` when that is not known.
    pub has_karpenter: Option<bool>,
    /// The NodePool that the trigger names.
    pub pool: Named<PoolFacts>,
    /// Its NodeClaims.
    pub claims: Vec<ClaimFacts>,
    /// Pods that one more of its nodes takes.
    pub pods_a_node: Option<u32>,
    /// Room for worker pods.
    pub slots: Option<NodeSlots>,
    /// What holds room ahead: the buffer or placeholder that the trigger names.
    pub holder: Named<HolderFacts>,
    /// Lead times as measured.
    pub leads: MeasuredLeads,
    /// Events that say that nodes cannot be had.
    pub refusals: Vec<Refusal>,
}

/// An object that a trigger names.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Named<T> {
    /// The trigger names none.
    NotNamed,
    /// Not known yet, or not to be watched.
    #[default]
    Unknown,
    /// The cluster has no such kind.
    NoSuchKind,
    /// It does not exist.
    Missing,
    /// It exists.
    Found(T),
}

impl<T> Named<T> {
    /// The same of what is found.
    pub fn map<U>(&self, of: impl FnOnce(&T) -> U) -> Named<U> {
        match self {
            Self::NotNamed => Named::NotNamed,
            Self::Unknown => Named::Unknown,
            Self::NoSuchKind => Named::NoSuchKind,
            Self::Missing => Named::Missing,
            Self::Found(found) => Named::Found(of(found)),
        }
    }

    /// The object, where it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(found) => Some(found),
            Self::NotNamed | Self::Unknown | Self::NoSuchKind | Self::Missing => None,
        }
    }
}

/// Of the ScaledObject.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScaledObjectFacts {
    /// Tells it from another of the same name.
    pub uid: String,
    /// Fewest and most replicas by its spec.
    pub bounds: ReplicaBounds,
    /// The metrics that KEDA has put into the HPA; `None` before it has.
    pub metric_names: Option<Vec<String>>,
    /// The HPA's name by its status.
    pub autoscaler_name: Option<String>,
}

impl ScaledObjectFacts {
    pub(super) fn of_json(uid: String, object: &Value) -> Self {
        let spec = &object["spec"];
        // KEDA's own defaults where the field is left out.
        let count = |key: &str, standard: u32| {
            let standard = spec[key].is_null().then_some(standard);
            standard.or_else(|| spec[key].as_u64().and_then(|count| u32::try_from(count).ok()))
        };
        let status = &object["status"];
        let names = status["externalMetricNames"].as_array();
        Self {
            uid,
            bounds: ReplicaBounds { min: count("minReplicaCount", 0), max: count("maxReplicaCount", 100) },
            metric_names: names
                .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            autoscaler_name: status["hpaName"].as_str().map(str::to_owned),
        }
    }
}

/// Of the HPA that KEDA made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AutoscalerFacts {
    /// Its name.
    pub name: String,
    /// Fewest replicas; KEDA alone goes below, to zero.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Share of a change that is ignored when scaling up and down; `None` is the cluster's default, a tenth.
    pub tolerances: [Option<f64>; 2],
    /// The target average values of its external metrics.
    pub targets: Vec<f64>,
}

impl AutoscalerFacts {
    pub(super) fn of_json(name: &str, object: &Value) -> Self {
        let spec = &object["spec"];
        let count = |key: &str| spec[key].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
        let tolerance = |side: &str| spec["behavior"][side]["tolerance"].as_str().and_then(quantity::parse);
        let target =
            |metric: &Value| metric["external"]["target"]["averageValue"].as_str().and_then(quantity::parse);
        Self {
            name: name.to_owned(),
            min: count("minReplicas"),
            max: count("maxReplicas"),
            tolerances: [tolerance("scaleUp"), tolerance("scaleDown")],
            targets: spec["metrics"].as_array().into_iter().flatten().filter_map(target).collect(),
        }
    }
}

/// Of the workers' scale target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetFacts {
    /// `Deployment` and the like.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What one of its pods asks for; `None` when neither its template nor a pod tells.
    pub request: Option<Resources>,
    /// What its pods ask for that makes slots uncountable, in words.
    pub obstacles: Vec<String>,
}

/// Of a NodePool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolFacts {
    /// Its name.
    pub name: String,
    /// Most of each resource; empty without limits.
    pub limits: Resources,
    /// What its nodes have now.
    pub in_use: Resources,
    /// Whether nodes that are used little are taken away too, not only empty ones.
    pub moves_pods: bool,
    /// `spec.disruption.consolidateAfter` is `Never`.
    pub never_consolidates: bool,
    /// Disruption budgets.
    pub budgets: Vec<BudgetFacts>,
}

/// Of a disruption budget.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BudgetFacts {
    /// Nodes that may go at once: a number or a share.
    pub nodes: String,
    /// Cron expression, in UTC; without one the budget always counts.
    pub schedule: Option<String>,
    /// How long it counts from each time of the schedule, in seconds.
    pub duration_seconds: Option<f64>,
    /// Reasons that it is about; empty for all.
    pub reasons: Vec<String>,
}

impl PoolFacts {
    pub(super) fn of_json(name: &str, object: &Value) -> Self {
        let disruption = &object["spec"]["disruption"];
        let budget = |budget: &Value| BudgetFacts {
            nodes: budget["nodes"].as_str().unwrap_or("10%").to_owned(),
            schedule: budget["schedule"].as_str().map(str::to_owned),
            duration_seconds: duration_seconds(&budget["duration"]),
            reasons: strings(&budget["reasons"]),
        };
        Self {
            name: name.to_owned(),
            limits: quantity::of_json(&object["spec"]["limits"]),
            in_use: quantity::of_json(&object["status"]["resources"]),
            moves_pods: disruption["consolidationPolicy"].as_str() != Some("WhenEmpty"),
            never_consolidates: disruption["consolidateAfter"].as_str() == Some("Never"),
            budgets: disruption["budgets"].as_array().into_iter().flatten().map(budget).collect(),
        }
    }
}

/// Of a NodeClaim.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimFacts {
    /// Its name.
    pub name: String,
    /// Tells it from another of the same name.
    pub uid: String,
    /// The moments of its life.
    pub life: ClaimLife,
    /// When it expires; `None` for never.
    pub expires: Option<Timestamp>,
    /// It is being taken away.
    pub is_going: bool,
    /// What it was launched for.
    pub requests: Resources,
    /// The node's size, once launched.
    pub capacity: Resources,
    /// What pods can have of it, once launched.
    pub allocatable: Resources,
    /// Its node, once registered.
    pub node_name: Option<String>,
}

impl ClaimFacts {
    /// Its node is asked for and cannot take pods yet.
    pub fn is_coming(&self) -> bool {
        !self.is_going && self.life.initialized.is_none()
    }

    pub(super) fn of_json(name: &str, uid: &str, created: Timestamp, is_going: bool, object: &Value) -> Self {
        let (spec, status) = (&object["spec"], &object["status"]);
        let since = |kind: &str| {
            let conditions = status["conditions"].as_array()?;
            let one = conditions.iter().find(|one| one["type"] == kind && one["status"] == "True")?;
            one["lastTransitionTime"].as_str()?.parse::<Timestamp>().ok()
        };
        let expires = duration_seconds(&spec["expireAfter"])
            .map(|seconds| crate::clock::later(created, std::time::Duration::from_secs_f64(seconds)));
        Self {
            name: name.to_owned(),
            uid: uid.to_owned(),
            life: ClaimLife {
                created,
                launched: since("Launched"),
                registered: since("Registered"),
                initialized: since("Initialized"),
            },
            expires,
            is_going,
            requests: quantity::of_json(&spec["resources"]["requests"]),
            capacity: quantity::of_json(&status["capacity"]),
            allocatable: quantity::of_json(&status["allocatable"]),
            node_name: status["nodeName"].as_str().map(str::to_owned),
        }
    }
}

/// What holds room ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HolderKind {
    /// A `CapacityBuffer` of `autoscaling.x-k8s.io/v1beta1`.
    CapacityBuffer,
    /// A Deployment of pause pods.
    Placeholder,
}

impl HolderKind {
    /// For sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::CapacityBuffer => "CapacityBuffer",
            Self::Placeholder => "placeholder Deployment",
        }
    }
}

/// Of what holds room ahead.
#[derive(Debug, Clone, PartialEq)]
pub struct HolderFacts {
    /// Buffer or placeholder.
    pub kind: HolderKind,
    /// Its name.
    pub name: String,
    /// For writing nothing that was not seen.
    pub resource_version: Option<String>,
    /// `spec.replicas`.
    pub replicas: u32,
    /// Another field manager that has set `spec.replicas`.
    pub other_manager: Option<String>,
    /// The workload that it says it is held for.
    pub held_for: Option<String>,
    /// Until when it says it is held.
    pub expires: Option<Timestamp>,
    /// Kind and name that a buffer refers to; `None` where it has a pod template instead.
    pub refers_to: Option<(String, String)>,
    /// Whether it has limits of its own.
    pub has_limits: bool,
    /// What the autoscaler says of a buffer.
    pub conditions: Vec<Condition>,
    /// What a placeholder's pod asks for.
    pub request: Option<Resources>,
    /// A placeholder whose pods the workers' selector takes for workers.
    pub selected_as_worker: bool,
}

/// A status condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// An event that says that a node cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When it was last said.
    pub at: Timestamp,
    /// Why.
    pub kind: RefusalKind,
    /// As it was said.
    pub message: String,
}

/// Why a node cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The NodePool's limits.
    Limits,
    /// The cloud has none.
    InsufficientCapacity,
}

/// Seconds of a Go duration such as `720h` or `10m30s`; `None` for `Never` and nonsense.
fn duration_seconds(value: &Value) -> Option<f64> {
    let duration: jiff::SignedDuration = value.as_str()?.parse().ok()?;
    Some(duration.as_secs_f64()).filter(|seconds| *seconds > 0.0)
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A claim of ten minutes before 08:10 with these parts.
    pub(crate) fn claim(parts: &Value) -> ClaimFacts {
        ClaimFacts::of_json("pickers-abcde", "uid", "2026-11-27T08:00:00Z".parse().unwrap(), false, parts)
    }

    #[test]
    fn a_claims_life_is_read_off_its_conditions() {
        let claim = claim(&json!({
            "spec": {"expireAfter": "720h0m0s", "resources": {"requests": {"cpu": "3200m"}}},
            "status": {"nodeName": "node-1", "capacity": {"cpu": "4"}, "conditions": [
                {"type": "Launched", "status": "True", "lastTransitionTime": "2026-11-27T08:00:03Z"},
                {"type": "Registered", "status": "True", "lastTransitionTime": "2026-11-27T08:00:50Z"},
                {"type": "Initialized", "status": "Unknown", "lastTransitionTime": "2026-11-27T08:00:50Z"},
            ]},
        }));
        assert!(claim.is_coming());
        assert_eq!(claim.life.launched, Some("2026-11-27T08:00:03Z".parse().unwrap()));
        assert_eq!(claim.life.initialized, None);
        assert_eq!(claim.expires, Some("2026-12-27T08:00:00Z".parse().unwrap()));
        assert_eq!((claim.requests["cpu"], claim.capacity["cpu"]), (3.2, 4.0));
    }

    #[test]
    fn never_is_no_time() {
        for text in ["Never", "soon", ""] {
            assert_eq!(claim(&json!({"spec": {"expireAfter": text}})).expires, None, "{text}");
        }
    }

    #[test]
    fn kedas_defaults_hold_where_the_spec_is_silent() {
        for (spec, expected) in [
            (json!({}), (Some(0), Some(100))),
            (json!({"minReplicaCount": 2, "maxReplicaCount": 30}), (Some(2), Some(30))),
            (json!({"minReplicaCount": -1}), (None, Some(100))),
        ] {
            let facts = ScaledObjectFacts::of_json(String::new(), &json!({"spec": spec}));
            assert_eq!((facts.bounds.min, facts.bounds.max), expected, "{spec}");
        }
    }

    #[test]
    fn the_hpa_tells_its_tolerance_and_target() {
        let facts = AutoscalerFacts::of_json(
            "keda-hpa-pickers",
            &json!({"spec": {
                "minReplicas": 1, "maxReplicas": 200,
                "behavior": {"scaleUp": {"tolerance": "0"}, "scaleDown": {}},
                "metrics": [{"type": "External", "external": {"target": {"type": "AverageValue", "averageValue": "1"}}}],
            }}),
        );
        assert_eq!((facts.max, facts.tolerances, facts.targets), (200, [Some(0.0), None], vec![1.0]));
    }

    #[test]
    fn a_pool_tells_limits_and_budgets() {
        let pool = PoolFacts::of_json(
            "pickers",
            &json!({
                "spec": {"limits": {"cpu": "100"}, "disruption": {
                    "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "1m",
                    "budgets": [{"nodes": "0", "schedule": "0 12 * * *", "duration": "4h", "reasons": ["Empty"]}],
                }},
                "status": {"resources": {"cpu": "96"}},
            }),
        );
        assert_eq!((pool.limits["cpu"], pool.in_use["cpu"]), (100.0, 96.0));
        assert!(pool.moves_pods && !pool.never_consolidates);
        assert_eq!(pool.budgets[0].duration_seconds, Some(14_400.0));
    }
}
