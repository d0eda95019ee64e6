//! All that stands in the plan's way, from one snapshot.
//!
//! A pure function: every replica tells the same of the same snapshot, whoever holds the Lease.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::coordinator::{Coordination, HoldStatus};
use super::disruption;
use super::finding::{Finding, FindingKind, Severity};
use super::headroom::{Shortfall, shortfall};
use super::peak::{Peak, ahead_of};
use super::permit::permit;
use crate::clock::seconds_between;
use crate::core::DecisionRecord;
use crate::engine::Entry;
use crate::observe::WorkloadId;
use crate::observe::cluster::facts::{CapacityFacts, HolderFacts, HolderKind, Named, PoolFacts, RefusalKind};
use crate::trigger::{Mode, Trigger};

/// An event older than this tells of the past.
const RECENT_SECONDS: f64 = 600.0;
/// A watch that broke a moment ago is begun again before anybody could act.
const UNSEEN_SECONDS: f64 = 15.0;
/// The HPA's tolerance where none is set.
const STANDARD_TOLERANCE: f64 = 0.1;

/// What findings are made of.
pub struct Scene<'a> {
    /// Namespace and name.
    pub id: &'a WorkloadId,
    /// The metric as KEDA knows it, without KEDA's prefix.
    pub metric_name: &'a str,
    /// What the operator asked for.
    pub trigger: &'a Trigger,
    /// The newest decision.
    pub record: Option<&'a DecisionRecord>,
    /// What the cluster says.
    pub facts: &'a CapacityFacts,
    /// What was written; `None` where this process writes nothing.
    pub hold: Option<&'a HoldStatus>,
    /// Whether this process may become the one that writes.
    pub coordinates: bool,
    /// The moment.
    pub now: Timestamp,
}

/// The findings on an entry's newest snapshot; none where no cluster tells.
pub fn of_entry(entry: &Entry, coordination: &Coordination, now: Timestamp) -> Vec<Finding> {
    let (Some(accepted), Some(snapshot)) = (entry.accepted(), entry.snapshot()) else { return Vec::new() };
    let Some(facts) = &snapshot.capacity else { return Vec::new() };
    let hold = coordination.hold_of(entry.id());
    findings(&Scene {
        id: entry.id(),
        metric_name: entry.metric_name(),
        trigger: &accepted.trigger,
        record: snapshot.record.as_deref(),
        facts,
        hold: hold.as_ref(),
        coordinates: coordination.is_on(),
        now,
    })
}

/// All findings, the worst first.
pub fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    on_watching(scene, &mut found);
    on_autoscaler(scene, &mut found);
    on_holder(scene, &mut found);
    on_pool(scene, &mut found);
    found.sort_by(|one, other| other.severity.cmp(&one.severity).then(one.kind.cmp(&other.kind)));
    found
}

/// The buffer or placeholder that a trigger names.
pub fn named_holder(trigger: &Trigger) -> Option<(HolderKind, &str)> {
    let buffer = trigger.capacity_buffer.as_deref().map(|name| (HolderKind::CapacityBuffer, name));
    buffer.or_else(|| trigger.placeholder.as_deref().map(|name| (HolderKind::Placeholder, name)))
}

/// Pods that exist or were asked for, where they are known.
pub fn existing(record: &DecisionRecord) -> Option<u32> {
    record.inputs.as_ref()?.fleet.as_ref().map(crate::core::plan::Fleet::existing)
}

fn on_watching(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let facts = scene.facts;
    let Some(since) = facts.broken_since.or(facts.troubled_since) else { return };
    // They mostly break together, and for one reason.
    let first = facts.troubles.first().map_or("", String::as_str);
    let others = facts.troubles.len().saturating_sub(1);
    let trouble = if others > 0 { format!("{first} (and {others} more)") } else { first.to_owned() };
    let was_known = facts.scaled_object.found().is_some();
    if seconds_between(since, scene.now) < UNSEEN_SECONDS {
        return;
    }
    let (kind, text) = if was_known && facts.broken_since.is_some() {
        let text = format!(
            "the cluster is unseen since {}: the last known stands, and nothing is scaled down; {trouble}",
            clock_time(since)
        );
        (FindingKind::ClusterUnseen, text)
    } else {
        (FindingKind::NotWatched, trouble)
    };
    found.push(Finding::new(kind, Severity::Warning, text));
}

fn on_autoscaler(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    if scene.trigger.mode == Mode::Advise {
        return;
    }
    let names = scene.facts.scaled_object.found().and_then(|object| object.metric_names.as_ref());
    if let Some(names) = names.filter(|names| !names.is_empty())
        && !names.iter().any(|name| name.ends_with(scene.metric_name))
    {
        let told = scene.facts.scaled_object.found().and_then(|object| object.autoscaler_name.clone());
        let text = format!(
            "KEDA has no metric {} in the HPA (it has {}): it looked while no peakscaler answered; from 2.21 on an \
             external-push trigger has it look again within two minutes of an answer, otherwise a change does: kubectl -n \
             {} annotate hpa {} peakscaler/looked-at=\"$(date)\" --overwrite",
            scene.metric_name,
            names.join(", "),
            scene.id.namespace,
            told.unwrap_or_else(|| format!("keda-hpa-{}", scene.id.name)),
        );
        found.push(Finding::new(FindingKind::MetricMissing, Severity::Critical, text));
    }
    let Some(autoscaler) = &scene.facts.autoscaler else { return };
    let widest =
        autoscaler.tolerances.iter().map(|one| one.unwrap_or(STANDARD_TOLERANCE)).fold(0.0, f64::max);
    if widest > 0.0 {
        let text = format!(
            "HPA {} ignores changes of up to {:.0} %: set tolerance: \"0\" on both sides of the behavior",
            autoscaler.name,
            widest * 100.0
        );
        found.push(Finding::new(FindingKind::AutoscalerTolerance, Severity::Warning, text));
    }
    let is_ours_alone = autoscaler.targets.len() == 1;
    if let Some(target) =
        autoscaler.targets.first().filter(|target| is_ours_alone && (**target - 1.0).abs() > 1e-6)
    {
        let text = format!(
            "HPA {} divides the number of workers by its target {target}: set the target to 1",
            autoscaler.name
        );
        found.push(Finding::new(FindingKind::AutoscalerTarget, Severity::Critical, text));
    }
    let most = scene.trigger.policy.max_replicas;
    if scene.trigger.max_replicas_given && most > autoscaler.max {
        let text = format!(
            "maxReplicas {most} is above maxReplicas {} of HPA {}: the plan counts on workers that never come; write \
             the same number in both",
            autoscaler.max, autoscaler.name
        );
        found.push(Finding::new(FindingKind::AutoscalerBounds, Severity::Warning, text));
    }
}

fn on_holder(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let Some((kind, name)) = named_holder(scene.trigger) else { return };
    let what = format!("{} {}/{name}", kind.word(), scene.id.namespace);
    match permit(scene.facts, Some((kind, name)), scene.id, scene.now) {
        Err(finding) => {
            found.push(finding);
            return;
        }
        Ok(None) => return,
        Ok(Some(_)) => {}
    }
    if !scene.coordinates {
        let text = format!("{what} is not written: start serve with --coordinate");
        found.push(Finding::new(FindingKind::NotCoordinated, Severity::Info, text));
    }
    if let Some(error) = scene.hold.and_then(|hold| hold.error.as_ref()) {
        let text = format!("{what} cannot be written: {error}");
        found.push(Finding::new(FindingKind::WriteFailed, Severity::Warning, text));
    }
    let Some(holder) = scene.facts.holder.found() else { return };
    let wanted = scene.facts.target.found().and_then(|target| target.request.as_ref());
    if holder.kind == HolderKind::Placeholder
        && let (Some(placeholder), Some(worker)) = (&holder.request, wanted)
        && placeholder != worker
    {
        let text = format!("{what} asks for other amounts than a worker: give it the same requests");
        found.push(Finding::new(FindingKind::PlaceholderDiffers, Severity::Warning, text));
    }
    if holder.kind == HolderKind::CapacityBuffer {
        on_buffer(holder, &what, found);
    }
}

fn on_buffer(buffer: &HolderFacts, what: &str, found: &mut Vec<Finding>) {
    if !buffer.has_limits {
        let text =
            format!("{what} has no limits: should peakscaler die for good, nothing bounds what it costs");
        found.push(Finding::new(FindingKind::BufferUnlimited, Severity::Info, text));
    }
    for condition in &buffer.conditions {
        let refused = match condition.kind.as_str() {
            "Provisioning" => failed_pods(&condition.message) > 0,
            "ReadyForProvisioning" => condition.status == "False" && buffer.replicas > 0,
            "LimitedByQuotas" => condition.status == "True",
            _ => false,
        };
        if refused {
            let text = format!("{what}: {} ({})", condition.message, condition.reason);
            found.push(Finding::new(FindingKind::BufferRefused, Severity::Warning, text));
        }
    }
}

/// Of Karpenter's `3/10 virtual pods required new capacity, 2 failed`: 2.
fn failed_pods(message: &str) -> u32 {
    let count = message.strip_suffix(" failed").and_then(|rest| rest.rsplit(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn on_pool(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let facts = scene.facts;
    let Some(name) = &scene.trigger.node_pool else { return };
    if facts.has_karpenter == Some(false) {
        let text = "there is no Karpenter (karpenter.sh/v1) in this cluster: nodes are not coordinated, workers are \
                    scaled all the same";
        found.push(Finding::new(FindingKind::NoKarpenter, Severity::Info, text));
        return;
    }
    if facts.pool == Named::Missing {
        let text = format!("NodePool {name} does not exist: nodes are not coordinated; correct nodePool");
        found.push(Finding::new(FindingKind::PoolMissing, Severity::Warning, text));
    }
    let obstacles = facts.target.found().map(|target| target.obstacles.as_slice()).unwrap_or_default();
    if !obstacles.is_empty() {
        let text =
            format!("room on nodes is not counted, since the workers ask for {}", obstacles.join(" and "));
        found.push(Finding::new(FindingKind::SlotsUnknown, Severity::Info, text));
    }
    on_refusals(scene, found);
    if let Some(pool) = facts.pool.found() {
        on_limits(scene, pool, found);
        on_disruption(scene, pool, found);
    }
}

fn on_refusals(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    for refusal in &scene.facts.refusals {
        if seconds_between(refusal.at, scene.now) > RECENT_SECONDS {
            continue;
        }
        let (kind, what) = match refusal.kind {
            RefusalKind::Limits => (FindingKind::LimitsExceeded, "workers get no node"),
            RefusalKind::InsufficientCapacity => {
                (FindingKind::InsufficientCapacity, "the cloud gives no node")
            }
        };
        let text = format!("{what}, said at {}: {}", clock_time(refusal.at), refusal.message);
        found.push(Finding::new(kind, Severity::Critical, text));
    }
}

/// Pods of `wanted` that have no place: neither a node, nor a slot that is free or coming.
fn without_place(scene: &Scene<'_>, wanted: u32) -> Option<u32> {
    let fleet = scene.record?.inputs.as_ref()?.fleet.as_ref()?;
    let slots = scene.facts.slots.unwrap_or(crate::core::NodeSlots { free_slots: 0, coming: 0 });
    let placed = fleet.existing().saturating_sub(fleet.pending);
    Some(wanted.saturating_sub(placed).saturating_sub(slots.free_slots).saturating_sub(slots.coming))
}

fn on_limits(scene: &Scene<'_>, pool: &PoolFacts, found: &mut Vec<Finding>) {
    let facts = scene.facts;
    let request = facts.target.found().and_then(|target| target.request.as_ref());
    let Some((request, record)) = request.zip(scene.record) else { return };
    let short_of = |wanted: u32| -> Option<Shortfall> {
        shortfall(pool, &facts.claims, request, facts.pods_a_node, without_place(scene, wanted)?)
    };
    let most = bounds(scene).1;
    let peak = peak(scene);
    let planned = peak.map_or(record.ahead, |peak| peak.replicas).max(record.desired.unwrap_or(0)).min(most);
    if let Some(short) = short_of(planned) {
        let severity = if short.is_certain { Severity::Critical } else { Severity::Warning };
        let when = peak.map(|peak| format!(" at {}", clock_time(peak.from))).unwrap_or_default();
        let text = format!(
            "NodePool {} is too small for the {planned} workers planned{when}: {}; raise its limits",
            pool.name,
            short.sentence()
        );
        found.push(Finding::new(FindingKind::PoolLimitBelowPlan, severity, text));
    } else if let Some(short) = short_of(most).filter(|short| short.is_certain) {
        let text = format!(
            "NodePool {} is too small for maxReplicas {most}: {}; raise its limits, or know that they bind first",
            pool.name,
            short.sentence()
        );
        found.push(Finding::new(FindingKind::PoolLimitBelowMaximum, Severity::Warning, text));
    }
}

/// Fewest and most replicas in force.
fn bounds(scene: &Scene<'_>) -> (u32, u32) {
    let policy = &scene.trigger.policy;
    let told = scene.facts.scaled_object.found().map(|object| object.bounds).unwrap_or_default();
    let min = told.min.filter(|_| !scene.trigger.min_replicas_given).unwrap_or(policy.min_replicas);
    let max = told.max.filter(|_| !scene.trigger.max_replicas_given).unwrap_or(policy.max_replicas);
    (min, max)
}

fn peak(scene: &Scene<'_>) -> Option<Peak> {
    let record = scene.record?;
    ahead_of(record, existing(record).unwrap_or(0))
}

fn on_disruption(scene: &Scene<'_>, pool: &PoolFacts, found: &mut Vec<Finding>) {
    let Some(peak) = peak(scene) else { return };
    let span = format!("{} to {}", clock_time(peak.from), clock_time(peak.until));
    let expiring = disruption::expiring(&scene.facts.claims, &peak);
    if let Some(first) = expiring.first() {
        let at = first.expires.map(clock_time).unwrap_or_default();
        let text = format!(
            "{} of NodePool {} reach expireAfter in the peak ({span}), the first ({}) at {at}: no budget stops that; \
             replace them before",
            count(expiring.len(), "node"),
            pool.name,
            first.name
        );
        found.push(Finding::new(FindingKind::NodesExpireInPeak, Severity::Warning, text));
    }
    if let Some(at) = disruption::moves_pods_at(pool, &peak) {
        let text = format!(
            "NodePool {} may consolidate at {}, in the peak ({span}), and so move workers: add a disruption budget with \
             nodes: \"0\", a schedule (in UTC) and a duration",
            pool.name,
            clock_time(at)
        );
        found.push(Finding::new(FindingKind::ConsolidationInPeak, Severity::Warning, text));
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Day and minute, in UTC as schedules are.
fn clock_time(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
pub(crate) mod tests;
