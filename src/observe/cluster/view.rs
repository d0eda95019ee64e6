//! One workload's pods and room, among all that the watches see.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{DynamicObject, GroupVersionKind};
use kube::core::{Selector, SelectorExt};
use kube::runtime::reflector::Store;

use super::facts::{CapacityFacts, Named, ScaledObjectFacts, TargetFacts};
use super::gather;
use super::kubernetes::{Karpenter, Namespace};
use super::lead_times::LeadTimes;
use super::watch::Standing;
use super::{ClusterReading, ClusterView, Interest, pods};
use crate::clock::seconds_between;
use crate::observe::poll::Lease;

/// One workload's pods among those of its namespace, and the nodes of its pool.
pub(super) struct View {
    pub(super) name: String,
    pub(super) interest: Interest,
    pub(super) namespace: Arc<Lease<String, Namespace>>,
    pub(super) karpenter: Option<Arc<Lease<(), Karpenter>>>,
    pub(super) leads: LeadTimes,
    /// As of a version: nothing is searched again while nothing changes.
    members: Option<([u64; 2], Members)>,
}

/// What was found.
#[derive(Clone, Default)]
struct Members {
    pods: Vec<Arc<Pod>>,
    wanted: Option<u32>,
    standings: Vec<Standing>,
    error: Option<String>,
    facts: Arc<CapacityFacts>,
}

/// The scale target, once its kind is listed.
pub(super) struct Target {
    pub(super) selector: Selector,
    pub(super) facts: TargetFacts,
    wanted: Option<u32>,
}

impl ClusterView for View {
    fn read(&mut self, now: Timestamp) -> ClusterReading {
        let karpenter = self.karpenter.as_ref().map_or(0, |karpenter| karpenter.changes.version());
        let version = [self.namespace.changes.version(), karpenter];
        if self.members.as_ref().is_none_or(|(known, _)| *known != version) {
            self.members = Some((version, self.find(now)));
        }
        let members = self.members.as_ref().map(|(_, members)| members.clone()).unwrap_or_default();
        let broken = members.standings.iter().filter_map(|standing| standing.broken.as_ref());
        let is_known = members.error.is_none() && members.standings.iter().all(|standing| standing.is_listed);
        let age = broken.clone().map(|(since, _)| seconds_between(*since, now)).fold(0.0, f64::max);
        ClusterReading {
            replicas: is_known
                .then(|| pods::count(members.pods.iter().map(|pod| &**pod), members.wanted, now)),
            age_seconds: is_known.then_some(age),
            error: broken.map(|(_, message)| message.clone()).next().or(members.error),
            capacity: Some(members.facts),
        }
    }
}

impl View {
    pub(super) fn new(
        name: String,
        interest: Interest,
        namespace: Arc<Lease<String, Namespace>>,
        karpenter: Option<Arc<Lease<(), Karpenter>>>,
    ) -> Self {
        Self { name, interest, namespace, karpenter, leads: LeadTimes::default(), members: None }
    }

    fn find(&mut self, now: Timestamp) -> Members {
        let mut standings = vec![self.namespace.scaled_objects.standing(), self.namespace.pods.standing()];
        if !standings[0].is_listed {
            let facts = gather::facts(self, Named::Unknown, &Named::Unknown, &[], &standings, now);
            return Members { standings, facts: Arc::new(facts), ..Members::default() };
        }
        let object = self.scaled_object();
        let found = object.clone().and_then(|object| self.target(&object, &mut standings));
        let (target, error) = match found {
            Ok(Some(target)) => (Named::Found(target), None),
            Ok(None) => (Named::Unknown, None),
            Err(error) => (Named::Missing, Some(error)),
        };
        let found = target.found();
        let pods = found.map(|target| members_of(&self.namespace.pods.store, &target.selector));
        let pods = pods.unwrap_or_default();
        let wanted = found.and_then(|target| target.wanted);
        let object = object.map_or(Named::Missing, |object| {
            let uid = object.metadata.uid.clone().unwrap_or_default();
            Named::Found(ScaledObjectFacts::of_json(uid, &object.data))
        });
        let facts = gather::facts(self, object, &target, &pods, &standings, now);
        Members { pods, wanted, standings, error, facts: Arc::new(facts) }
    }

    fn scaled_object(&self) -> Result<Arc<DynamicObject>, String> {
        let namespace = &*self.namespace;
        let found = namespace.scaled_objects.get(&self.name, &namespace.name);
        found.ok_or_else(|| format!("there is no ScaledObject {}/{}", namespace.name, self.name))
    }

    /// The scale target; `None` while its kind is not listed yet.
    fn target(
        &self,
        scaled_object: &DynamicObject,
        standings: &mut Vec<Standing>,
    ) -> Result<Option<Target>, String> {
        let namespace = &*self.namespace;
        let place = format!("{}/{}", namespace.name, self.name);
        let reference = &scaled_object.data["spec"]["scaleTargetRef"];
        let name = reference["name"]
            .as_str()
            .ok_or_else(|| format!("ScaledObject {place} has no spec.scaleTargetRef.name"))?;
        let kind = reference["kind"].as_str().unwrap_or("Deployment");
        let api_version = reference["apiVersion"].as_str().unwrap_or("apps/v1");
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let watch = namespace.targets(&GroupVersionKind::gvk(group, version, kind));
        let standing = watch.standing();
        standings.push(standing.clone());
        if !standing.is_listed {
            return Ok(None);
        }
        let target = watch
            .get(name, &namespace.name)
            .ok_or_else(|| format!("ScaledObject {place} scales {kind} {name}, which does not exist"))?;
        let selector = selector_of(&target)
            .ok_or_else(|| format!("{kind} {name} has no spec.selector that tells its pods apart"))?;
        // The API server's default where the field is left out.
        let replicas = &target.data["spec"]["replicas"];
        let wanted = if replicas.is_null() {
            Some(1)
        } else {
            replicas.as_u64().and_then(|count| u32::try_from(count).ok())
        };
        Ok(Some(Target { selector, facts: gather::target_facts(kind, name, &target.data), wanted }))
    }
}

/// The selector of a scale target, where it tells its pods apart.
pub(super) fn selector_of(target: &DynamicObject) -> Option<Selector> {
    serde_json::from_value::<LabelSelector>(target.data["spec"]["selector"].clone())
        .ok()
        .and_then(|selector| Selector::try_from(selector).ok())
        .filter(|selector| !selector.selects_all())
}

fn members_of(store: &Store<Pod>, selector: &Selector) -> Vec<Arc<Pod>> {
    store.state_filter(|pod| pod.metadata.labels.as_ref().is_some_and(|labels| selector.matches(labels)))
}
