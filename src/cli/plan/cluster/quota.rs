//! How many worker pods the namespace's quotas leave: by pods, requests and limits, and by the scopes that say
//! which pods a quota counts. What cannot be decided from the workers' template is noted by its name.

use k8s_openapi::api::core::v1::{
    Container, PodSpec, ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement,
};
use kube::ResourceExt as _;

use crate::observe::cluster::quantity::{self, Resources};

/// What Kubernetes demands of every container under a quota on it.
const DEMANDED: [&str; 2] = ["cpu", "memory"];

/// What quotas count of the workers.
pub(super) struct Worker {
    /// What one asks for.
    pub(super) request: Resources,
    /// Its template, where it can be read.
    pub(super) spec: Option<PodSpec>,
    /// Its priority class, where it has one; or why that is not known.
    pub(super) priority_class: Result<Option<String>, String>,
    /// How many there are.
    pub(super) own: u32,
}

/// Whether any quota tells pods by their priority class.
pub(super) fn ask_priority(quotas: &[ResourceQuota]) -> bool {
    let mut specs = quotas.iter().filter_map(|quota| quota.spec.as_ref());
    specs.any(|spec| scopes(spec).iter().any(|scope| scope.scope_name == "PriorityClass"))
}

/// Most worker pods under all quotas; `None` where none bounds them.
pub(super) fn pods_left(quotas: &[ResourceQuota], worker: &Worker, notes: &mut Vec<String>) -> Option<u32> {
    quotas.iter().filter_map(|quota| worker.left_by(quota, notes)).min()
}

/// All scopes of a quota; a pod is counted that is in each.
fn scopes(spec: &ResourceQuotaSpec) -> Vec<ScopedResourceSelectorRequirement> {
    let plain = spec.scopes.iter().flatten().map(|scope| ScopedResourceSelectorRequirement {
        operator: "Exists".to_owned(),
        scope_name: scope.clone(),
        values: None,
    });
    let selected =
        spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    plain.chain(selected.cloned()).collect()
}

impl Worker {
    /// Most worker pods under a quota: what others of the namespace use stays theirs.
    fn left_by(&self, quota: &ResourceQuota, notes: &mut Vec<String>) -> Option<u32> {
        let name = quota.name_any();
        let spec = quota.spec.as_ref()?;
        let mut unknown = None;
        for scope in scopes(spec) {
            match self.is_in(&scope) {
                Ok(true) => {}
                // Outside of one scope is outside of the quota, whatever the others are.
                Ok(false) => return None,
                Err(why) => unknown = Some((scope.scope_name, why)),
            }
        }
        if let Some((scope, why)) = unknown {
            notes.push(format!(
                "ResourceQuota {name} is left out: it counts pods of scope {scope}, and {why}: --quota-pods counts"
            ));
            return None;
        }
        let hard = quantity::of_list(spec.hard.as_ref()?);
        let used = quota.status.as_ref().and_then(|status| status.used.as_ref());
        let used = used.map(quantity::of_list).unwrap_or_default();
        let limits = self.spec.as_ref().map(quantity::limited_by).unwrap_or_default();
        let mut most = Vec::new();
        for (resource, hard) in &hard {
            if let Some(why) = self.uncounted(resource) {
                notes.push(format!("ResourceQuota {name} bounds {resource}, and {why}"));
            }
            let one = match resource.strip_prefix("limits.") {
                Some(limited) => limits.get(limited).copied(),
                None if matches!(resource.as_str(), "pods" | "count/pods") => Some(1.0),
                None => self.request.get(requested(resource)).copied(),
            };
            if let Some(one) = one.filter(|amount| *amount > 0.0) {
                let others =
                    used.get(resource).map_or(0.0, |used| (used - f64::from(self.own) * one).max(0.0));
                most.push((hard - others).max(0.0) / one);
            }
        }
        most.into_iter().map(quantity::whole).min()
    }

    /// Why a worker's share of a bound resource is not wholly known.
    fn uncounted(&self, resource: &str) -> Option<String> {
        let limited = resource.strip_prefix("limits.");
        let plain = limited.unwrap_or_else(|| requested(resource));
        let Some(spec) = &self.spec else {
            let is_unknown =
                limited.is_some() || (DEMANDED.contains(&plain) && !self.request.contains_key(plain));
            return is_unknown
                .then(|| "the workers' template cannot be read: --quota-pods counts".to_owned());
        };
        // What the pod sets as a whole frees its containers from it.
        if !DEMANDED.contains(&plain) || spec.resources.is_some() {
            return None;
        }
        // A limit stands for a request that is left out.
        let sets = |container: &Container| {
            let resources = container.resources.as_ref();
            let limits = resources.and_then(|resources| resources.limits.as_ref());
            let requests = resources.and_then(|resources| resources.requests.as_ref());
            let lists = [limits, requests.filter(|_| limited.is_none())];
            lists.into_iter().flatten().any(|list| list.contains_key(plain))
        };
        let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let without = containers.find(|container| !sets(container))?;
        Some(format!(
            "the workers' container {} does not set it: unless a LimitRange does, Kubernetes refuses them, and what it sets is not counted here",
            without.name
        ))
    }

    /// Whether the workers are pods of a scope, or why that is not known.
    fn is_in(&self, scope: &ScopedResourceSelectorRequirement) -> Result<bool, String> {
        let spec = || self.spec.as_ref().ok_or_else(|| "the workers' template cannot be read".to_owned());
        match scope.scope_name.as_str() {
            "Terminating" => Ok(spec()?.active_deadline_seconds.is_some()),
            "NotTerminating" => Ok(spec()?.active_deadline_seconds.is_none()),
            "BestEffort" => Ok(is_best_effort(spec()?)),
            "NotBestEffort" => Ok(!is_best_effort(spec()?)),
            "PriorityClass" => self.is_of_class(scope),
            "CrossNamespacePodAffinity" => match &spec()?.affinity {
                Some(affinity) if affinity.pod_affinity.is_some() || affinity.pod_anti_affinity.is_some() => {
                    Err("whether the workers' affinity reaches into other namespaces is not looked at"
                        .to_owned())
                }
                Some(_) | None => Ok(false),
            },
            // Of volume claims alone.
            "VolumeAttributesClass" => Ok(false),
            _ => Err("that scope is not known here".to_owned()),
        }
    }

    /// As a label selector reads it: what has no class is not in any list.
    fn is_of_class(&self, scope: &ScopedResourceSelectorRequirement) -> Result<bool, String> {
        let class = self.priority_class.as_ref().map_err(Clone::clone)?.as_deref();
        let listed = class.is_some_and(|class| scope.values.iter().flatten().any(|value| value == class));
        match scope.operator.as_str() {
            "In" => Ok(listed),
            "NotIn" => Ok(!listed),
            "Exists" => Ok(class.is_some()),
            "DoesNotExist" => Ok(class.is_none()),
            other => Err(format!("its operator {other} is not known here")),
        }
    }
}

/// The resource of a quota's bound on requests.
fn requested(resource: &str) -> &str {
    resource.strip_prefix("requests.").unwrap_or(resource)
}

/// Nothing is asked for, and nothing limited.
fn is_best_effort(spec: &PodSpec) -> bool {
    let amounts = [quantity::requested_by(spec), quantity::limited_by(spec)];
    let mut told = amounts.iter().flat_map(|amounts| DEMANDED.iter().filter_map(|name| amounts.get(*name)));
    told.all(|amount| *amount <= 0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn worker(spec: Value) -> Worker {
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let priority_class = Ok(spec.priority_class_name.clone());
        Worker { request: quantity::requested_by(&spec), spec: Some(spec), priority_class, own: 1 }
    }

    /// A core at least and two at most.
    fn usual() -> Value {
        json!({"containers": [{"name": "pick", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}]})
    }

    fn with(key: &str, value: Value) -> Worker {
        let mut spec = usual();
        spec[key] = value;
        worker(spec)
    }

    fn left(worker: &Worker, quota: Value) -> (Option<u32>, Vec<String>) {
        let mut quota: ResourceQuota = serde_json::from_value(quota).unwrap();
        quota.metadata.name = Some("team".to_owned());
        let mut notes = Vec::new();
        (pods_left(&[quota], worker, &mut notes), notes)
    }

    #[test]
    fn requests_and_limits_bound_pods() {
        for (hard, used, expected) in [
            (json!({"pods": "11"}), json!({"pods": "3"}), Some(9)),
            (json!({"requests.cpu": "10"}), json!({}), Some(10)),
            (json!({"cpu": "10"}), json!({"cpu": "4"}), Some(7)),
            (json!({"limits.cpu": "10"}), json!({}), Some(5)),
            (json!({"limits.cpu": "10"}), json!({"limits.cpu": "8"}), Some(2)),
            (json!({"limits.cpu": "10", "requests.cpu": "3"}), json!({}), Some(3)),
            (json!({"limits.cpu": "1"}), json!({}), Some(0)),
            (json!({"services": "1", "requests.nvidia.com/gpu": "1"}), json!({}), None),
        ] {
            let quota = json!({"spec": {"hard": hard}, "status": {"used": used}});
            assert_eq!(left(&worker(usual()), quota.clone()), (expected, Vec::new()), "{quota}");
        }
    }

    #[test]
    fn scopes_tell_which_pods_are_counted() {
        let of_class = |operator: &str, values: Value| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": values}]}});
        let jobs = with("activeDeadlineSeconds", json!(60));
        let urgent = with("priorityClassName", json!("urgent"));
        let plain = worker(usual());
        let idle = worker(json!({"containers": [{"name": "pick"}]}));
        for (worker, scopes, is_counted) in [
            (&plain, json!({"scopes": ["NotTerminating"]}), true),
            (&plain, json!({"scopes": ["Terminating"]}), false),
            (&jobs, json!({"scopes": ["Terminating"]}), true),
            (&jobs, json!({"scopes": ["NotTerminating"]}), false),
            (&plain, json!({"scopes": ["NotBestEffort", "NotTerminating"]}), true),
            (&plain, json!({"scopes": ["NotBestEffort", "Terminating"]}), false),
            (&plain, json!({"scopes": ["BestEffort"]}), false),
            (&idle, json!({"scopes": ["BestEffort"]}), true),
            (&plain, json!({"scopes": ["CrossNamespacePodAffinity"]}), false),
            (&urgent, json!({"scopes": ["PriorityClass"]}), true),
            (&urgent, of_class("In", json!(["urgent", "normal"])), true),
            (&urgent, of_class("In", json!(["normal"])), false),
            (&urgent, of_class("NotIn", json!(["normal"])), true),
            (&plain, of_class("In", json!(["urgent"])), false),
            (&plain, of_class("NotIn", json!(["urgent"])), true),
            (&plain, of_class("Exists", json!([])), false),
            (&plain, of_class("DoesNotExist", json!([])), true),
        ] {
            let mut spec = scopes.clone();
            spec["hard"] = json!({"pods": "7"});
            let expected = (is_counted.then_some(7), Vec::new());
            assert_eq!(left(worker, json!({"spec": spec})), expected, "{scopes}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_by_name() {
        let blind = Worker { spec: None, ..worker(usual()) };
        let unranked = Worker { priority_class: Err("no class is named".to_owned()), ..worker(usual()) };
        let near = with("affinity", json!({"podAffinity": {}}));
        let helped = json!({"containers": [{"name": "pick", "resources": {"limits": {"cpu": "2"}}}, {"name": "proxy"}]});
        for (worker, spec, expected, part) in [
            (
                &blind,
                json!({"hard": {"limits.cpu": "4"}}),
                None,
                "ResourceQuota team bounds limits.cpu, and the workers' template",
            ),
            (
                &blind,
                json!({"hard": {"pods": "4"}, "scopes": ["BestEffort"]}),
                None,
                "pods of scope BestEffort, and the workers' template",
            ),
            (
                &unranked,
                json!({"hard": {"pods": "4"}, "scopes": ["PriorityClass"]}),
                None,
                "ResourceQuota team is left out: it counts pods of scope PriorityClass, and no class is named",
            ),
            (
                &near,
                json!({"hard": {"pods": "4"}, "scopes": ["CrossNamespacePodAffinity"]}),
                None,
                "scope CrossNamespacePodAffinity",
            ),
            (
                &near,
                json!({"hard": {"pods": "4"}, "scopes": ["Sunny"]}),
                None,
                "scope Sunny, and that scope is not known here",
            ),
            (
                &worker(helped),
                json!({"hard": {"limits.cpu": "4"}}),
                Some(2),
                "bounds limits.cpu, and the workers' container proxy does not set it",
            ),
            (
                &worker(usual()),
                json!({"hard": {"memory": "4Gi", "pods": "3"}}),
                Some(3),
                "bounds memory, and the workers' container pick does not set it",
            ),
        ] {
            let (found, notes) = left(worker, json!({"spec": spec}));
            assert_eq!((found, notes.len()), (expected, 1), "{spec} {notes:?}");
            assert!(notes[0].contains(part), "{part}\n{}", notes[0]);
        }
    }
}
