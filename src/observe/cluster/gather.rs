//! From what the watches keep to [`CapacityFacts`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DynamicObject, GroupVersionKind};
use kube::core::SelectorExt;
use serde_json::Value;

use super::facts::{
    AutoscalerFacts, CapacityFacts, ClaimFacts, Condition, EXPIRES_ANNOTATION, HolderFacts, HolderKind,
    Named, PoolFacts, Refusal, RefusalKind, ScaledObjectFacts, TargetFacts, WORKLOAD_ANNOTATION,
};
use super::keep;
use super::kubernetes::{Karpenter, Namespace, POOL_LABEL};
use super::lead_times::PodLife;
use super::pods::{PodState, classify};
use super::quantity::{self, Resources};
use super::room::{self, NodeRoom};
use super::view::{Target, View, selector_of};
use super::watch::{Standing, Watch};
use crate::clock::seconds_between;

/// All facts about the room for a view's workload, as of what the watches have seen by `now`.
pub(super) fn facts(
    view: &mut View,
    scaled_object: Named<ScaledObjectFacts>,
    target: &Named<Target>,
    pods: &[Arc<Pod>],
    standings: &[Standing],
    now: Timestamp,
) -> CapacityFacts {
    let mut facts = CapacityFacts { at: Some(now), pool: Named::NotNamed, ..CapacityFacts::default() };
    let mut seen = Vec::new();
    let namespace = view.namespace.clone();
    let autoscalers = note(&namespace.autoscalers, &mut seen);
    if autoscalers.is_listed {
        let name = scaled_object.found().and_then(|object| object.autoscaler_name.clone());
        let name = name.unwrap_or_else(|| format!("keda-hpa-{}", view.name));
        let found = namespace.autoscalers.get(&name, &namespace.name);
        facts.autoscaler = found.map(|found| AutoscalerFacts::of_json(&name, &found.data));
    }
    facts.scaled_object = scaled_object;
    let mut essential = standings.to_vec();
    let request = |target: &Target| {
        target.facts.request.clone().or_else(|| pods.first().map(|pod| keep::request_of(pod)))
    };
    facts.target = target.map(|target| TargetFacts { request: request(target), ..target.facts.clone() });
    facts.holder = match view.interest.holder.clone() {
        None => Named::NotNamed,
        Some((HolderKind::CapacityBuffer, name)) => buffer(&namespace, &name, &mut essential),
        Some((HolderKind::Placeholder, name)) => {
            placeholder(&namespace, &name, target.found(), &mut essential)
        }
    };
    if let (Some(karpenter), Some(pool)) = (view.karpenter.clone(), view.interest.node_pool.clone()) {
        of_pool(&mut facts, &karpenter, &pool, &mut seen);
        room_on_nodes(&mut facts, view, &karpenter, pods, &pool);
        note(namespace.warnings(), &mut seen);
        facts.refusals = refusals(&namespace, &karpenter, &pool, pods);
    }
    measure(&mut facts, view, pods, now);
    let since = |standings: &[Standing]| {
        standings.iter().filter_map(|standing| Some(standing.broken.as_ref()?.0)).min()
    };
    facts.broken_since = since(&essential);
    facts.troubled_since = facts.broken_since.into_iter().chain(since(&seen)).min();
    let all = essential.into_iter().chain(seen);
    facts.troubles = all.filter_map(|standing| Some(standing.broken?.1)).collect();
    facts.troubles.dedup();
    facts
}

/// A watch's standing, noted unless its kind is not installed: that is no fault.
fn note<K>(watch: &Watch<K>, seen: &mut Vec<Standing>) -> Standing
where
    K: kube::Resource
        + Clone
        + serde::de::DeserializeOwned
        + PartialEq
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone + Send + Sync + 'static,
{
    let standing = watch.standing();
    if !standing.is_absent {
        seen.push(standing.clone());
    }
    standing
}

/// What is known of an object that a trigger names, before it is looked for.
fn named<T>(standing: &Standing, find: impl FnOnce() -> Option<T>) -> Named<T> {
    if standing.is_absent {
        Named::NoSuchKind
    } else if standing.is_listed {
        find().map_or(Named::Missing, Named::Found)
    } else {
        Named::Unknown
    }
}

/// What a scale target says of its pods.
pub(super) fn target_facts(kind: &str, name: &str, data: &Value) -> TargetFacts {
    let obstacles = data["shape"]["obstacles"].as_array().into_iter().flatten();
    TargetFacts {
        kind: kind.to_owned(),
        name: name.to_owned(),
        request: request_of(&data["shape"]),
        obstacles: obstacles.filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

fn request_of(shape: &Value) -> Option<Resources> {
    shape["request"].is_object().then(|| quantity::of_json(&shape["request"]))
}

fn buffer(namespace: &Namespace, name: &str, seen: &mut Vec<Standing>) -> Named<HolderFacts> {
    let watch = namespace.buffers();
    let standing = note(watch, seen);
    named(&standing, || {
        let found = watch.get(name, &namespace.name)?;
        let (spec, annotations) = (&found.data["spec"], found.metadata.annotations.as_ref());
        let annotation = |key: &str| annotations.and_then(|annotations| annotations.get(key)).cloned();
        let reference = &spec["scalableRef"];
        let word = |key: &str| reference[key].as_str().map(str::to_owned);
        Some(HolderFacts {
            kind: HolderKind::CapacityBuffer,
            resource_version: found.metadata.resource_version.clone(),
            held_for: annotation(WORKLOAD_ANNOTATION),
            expires: annotation(EXPIRES_ANNOTATION).and_then(|text| text.parse().ok()),
            refers_to: word("kind").zip(word("name")),
            has_limits: spec["limits"].as_object().is_some_and(|limits| !limits.is_empty()),
            conditions: conditions(&found.data["status"]["conditions"]),
            ..holder(HolderKind::CapacityBuffer, name, &found.data)
        })
    })
}

fn placeholder(
    namespace: &Namespace,
    name: &str,
    target: Option<&Target>,
    seen: &mut Vec<Standing>,
) -> Named<HolderFacts> {
    let watch = namespace.targets(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
    let standing = note(&*watch, seen);
    named(&standing, || {
        let found = watch.get(name, &namespace.name)?;
        let labels: BTreeMap<String, String> =
            serde_json::from_value(found.data["shape"]["labels"].clone()).unwrap_or_default();
        Some(HolderFacts {
            request: request_of(&found.data["shape"]),
            selected_as_worker: target.is_some_and(|target| target.selector.matches(&labels)),
            ..holder(HolderKind::Placeholder, name, &found.data)
        })
    })
}

/// What buffers and placeholders have in common.
fn holder(kind: HolderKind, name: &str, data: &Value) -> HolderFacts {
    HolderFacts {
        kind,
        name: name.to_owned(),
        resource_version: None,
        replicas: data["spec"]["replicas"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        other_manager: data["otherManager"].as_str().map(str::to_owned),
        held_for: None,
        expires: None,
        refers_to: None,
        has_limits: false,
        conditions: Vec::new(),
        request: None,
        selected_as_worker: false,
    }
}

fn conditions(list: &Value) -> Vec<Condition> {
    let conditions = list.as_array().into_iter().flatten();
    conditions.filter_map(|condition| serde_json::from_value(condition.clone()).ok()).collect()
}

fn of_pool(facts: &mut CapacityFacts, karpenter: &Karpenter, pool: &str, seen: &mut Vec<Standing>) {
    let standing = note(&karpenter.pools, seen);
    facts.has_karpenter = match (standing.is_absent, standing.is_listed) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        (false, false) => None,
    };
    facts.pool = named(&standing, || {
        let found = karpenter.pools.store.find(|found| found.metadata.name.as_deref() == Some(pool))?;
        Some(PoolFacts::of_json(pool, &found.data))
    });
    note(&karpenter.claims, seen);
    note(&karpenter.nodes, seen);
    note(&karpenter.warnings, seen);
    let claims =
        karpenter.claims.store.state_filter(|claim| is_of_pool(claim.metadata.labels.as_ref(), pool));
    facts.claims = claims.iter().filter_map(|claim| claim_facts(claim)).collect();
    facts.claims.sort_by(|one, other| one.name.cmp(&other.name));
}

fn is_of_pool(labels: Option<&BTreeMap<String, String>>, pool: &str) -> bool {
    labels.and_then(|labels| labels.get(POOL_LABEL)).is_some_and(|label| label == pool)
}

fn claim_facts(claim: &DynamicObject) -> Option<ClaimFacts> {
    let metadata = &claim.metadata;
    Some(ClaimFacts::of_json(
        metadata.name.as_deref()?,
        metadata.uid.as_deref()?,
        metadata.creation_timestamp.as_ref()?.0,
        metadata.deletion_timestamp.is_some(),
        &claim.data,
    ))
}

/// Slots for worker pods, where they can be counted.
fn room_on_nodes(
    facts: &mut CapacityFacts,
    view: &View,
    karpenter: &Karpenter,
    pods: &[Arc<Pod>],
    pool: &str,
) {
    let Some(target) = facts.target.found() else { return };
    let Some(request) = &target.request else { return };
    facts.pods_a_node = room::pods_a_node(&facts.claims, request);
    let known = karpenter.nodes.standing().is_listed && karpenter.claims.standing().is_listed;
    if !known || !target.obstacles.is_empty() || facts.pool.found().is_none() {
        return;
    }
    let used = used_by_node(view);
    let of_pool = karpenter.nodes.store.state_filter(|node| is_of_pool(node.metadata.labels.as_ref(), pool));
    let nodes: Vec<NodeRoom> = of_pool.iter().filter_map(|node| node_room(node, &used)).collect();
    facts.slots =
        Some(room::slots(&nodes, &facts.claims, request, pods.iter().any(|pod| is_unschedulable(pod))));
}

/// What the pods of the namespace ask for on each node. Placeholders make way, so they take nothing.
fn used_by_node(view: &View) -> BTreeMap<String, Resources> {
    let namespace = &*view.namespace;
    let making_way = match &view.interest.holder {
        Some((HolderKind::Placeholder, name)) => namespace
            .targets(&GroupVersionKind::gvk("apps", "v1", "Deployment"))
            .get(name, &namespace.name)
            .and_then(|placeholder| selector_of(&placeholder)),
        _ => None,
    };
    let mut used: BTreeMap<String, Resources> = BTreeMap::new();
    for pod in namespace.pods.store.state() {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let makes_way = making_way.as_ref().is_some_and(|selector| selector.matches(&labels));
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        if let (Some(node), false, false) = (node, makes_way, matches!(phase, Some("Succeeded" | "Failed"))) {
            quantity::add(used.entry(node).or_default(), &keep::request_of(&pod));
        }
    }
    used
}

fn node_room(node: &Node, used: &BTreeMap<String, Resources>) -> Option<NodeRoom> {
    let name = node.metadata.name.clone()?;
    let labels = node.metadata.labels.as_ref()?;
    let (spec, status) = (node.spec.as_ref(), node.status.as_ref()?);
    let is_initialized = labels.get("karpenter.sh/initialized").is_some_and(|label| label == "true");
    let is_ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    let is_cordoned = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
    let mut taints = spec.and_then(|spec| spec.taints.as_ref()).into_iter().flatten();
    let is_going = node.metadata.deletion_timestamp.is_some()
        || taints.any(|taint| taint.key == "karpenter.sh/disrupted");
    Some(NodeRoom {
        is_usable: is_initialized && is_ready && !is_cordoned && !is_going,
        allocatable: status.allocatable.as_ref().map(quantity::of_list).unwrap_or_default(),
        used: used.get(&name).cloned().unwrap_or_default(),
        name,
    })
}

fn is_unschedulable(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().flatten().any(|one| {
            one.type_ == "PodScheduled"
                && one.status == "False"
                && one.reason.as_deref() == Some("Unschedulable")
        })
}

fn measure(facts: &mut CapacityFacts, view: &mut View, pods: &[Arc<Pod>], now: Timestamp) {
    let alive = pods.iter().filter(|pod| classify(pod, now) != PodState::Gone);
    let lives = alive.filter_map(|pod| Some((pod.metadata.uid.as_deref()?, life(pod)?)));
    view.leads.see_pods(lives);
    view.leads.see_claims(facts.claims.iter().map(|claim| (claim.uid.as_str(), claim.life)));
    let coming = facts.claims.iter().filter(|claim| claim.is_coming());
    let in_flight: Vec<f64> = coming.map(|claim| seconds_between(claim.life.created, now)).collect();
    let interest = &view.interest;
    facts.leads = view.leads.measured(interest.pod_lead_seconds, interest.node_lead_seconds, &in_flight);
}

fn life(pod: &Pod) -> Option<PodLife> {
    let since = |kind: &str| {
        let conditions = pod.status.as_ref()?.conditions.as_ref()?;
        let one = conditions.iter().find(|one| one.type_ == kind && one.status == "True")?;
        Some(one.last_transition_time.as_ref()?.0)
    };
    let created = pod.metadata.creation_timestamp.as_ref()?.0;
    Some(PodLife { created, scheduled: since("PodScheduled"), ready: since("Ready") })
}

/// Warnings that say that nodes cannot be had: of our pods against the pool's limits, of the pool's claims.
fn refusals(namespace: &Namespace, karpenter: &Karpenter, pool: &str, pods: &[Arc<Pod>]) -> Vec<Refusal> {
    let is_ours = |name: &str| pods.iter().any(|pod| pod.metadata.name.as_deref() == Some(name));
    let of_pods = namespace.warnings().store.state().into_iter().filter_map(|event| {
        let message = event.data["message"].as_str()?;
        let about = event.data["regarding"].as_str()?;
        (is_ours(about) && message.contains("exceed limits"))
            .then(|| refusal(&event, RefusalKind::Limits, message))?
    });
    let of_claims = karpenter.warnings.store.state().into_iter().filter_map(|event| {
        let about = event.data["regarding"].as_str()?;
        let is_of_pool = about.rsplit_once('-').is_some_and(|(prefix, _)| prefix == pool);
        let insufficient = event.data["reason"] == "InsufficientCapacityError";
        let message = event.data["message"].as_str()?;
        (is_of_pool && insufficient).then(|| refusal(&event, RefusalKind::InsufficientCapacity, message))?
    });
    let mut refusals: Vec<Refusal> = of_pods.chain(of_claims).collect();
    refusals.sort_by(|one, other| other.at.cmp(&one.at).then_with(|| one.message.cmp(&other.message)));
    // The newest of each kind tells.
    let mut told = Vec::new();
    refusals.retain(|refusal| {
        let is_new = !told.contains(&refusal.kind);
        told.push(refusal.kind);
        is_new
    });
    refusals
}

fn refusal(event: &DynamicObject, kind: RefusalKind, message: &str) -> Option<Refusal> {
    let at = event.data["last"].as_str()?.parse().ok()?;
    Some(Refusal { at, kind, message: message.to_owned() })
}
