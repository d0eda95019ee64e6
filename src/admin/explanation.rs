//! The last decisions of a workload, as JSON; [`super::retelling`] puts them into words.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::room::{self, RoomExplanation};
use crate::capacity::{Coordination, Finding};
use crate::clock::seconds_between;
use crate::core::{DecisionRecord, Policy};
use crate::engine::{Entry, Subject};
use crate::observe::{SourceHealth, WorkloadId};
use crate::trigger::Mode;

/// One line of the list of workloads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Kubernetes namespace.
    pub namespace: String,
    /// The ScaledObject's name.
    pub name: String,
    /// The queue's short name; absent with invalid metadata.
    pub queue: Option<String>,
    /// `act` or `advise`; absent with invalid metadata.
    pub mode: Option<String>,
    /// Replicas wanted.
    pub desired: Option<u32>,
    /// Why there is no number.
    pub error: Option<String>,
    /// Seconds since KEDA asked for it.
    pub asked_seconds_ago: f64,
}

impl Summary {
    /// Of one entry, now.
    pub fn of(entry: &Entry, now: Timestamp) -> Self {
        let outcome = entry.snapshot().map(|snapshot| snapshot.outcome.clone());
        let problems = match entry.subject() {
            Subject::Accepted(_) => None,
            Subject::Rejected(problems) => Some(problems.join("; ")),
        };
        Self {
            namespace: entry.id().namespace.clone(),
            name: entry.id().name.clone(),
            queue: entry.accepted().map(|accepted| accepted.queue.clone()),
            mode: entry.accepted().map(|accepted| mode_word(accepted.trigger.mode).to_owned()),
            desired: outcome.as_ref().and_then(|outcome| outcome.as_ref().ok().copied()),
            error: problems
                .or_else(|| outcome.and_then(|outcome| outcome.err().map(|error| error.to_string()))),
            asked_seconds_ago: seconds_between(entry.asked_at(), now),
        }
    }
}

/// All that is known of a ScaledObject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// Kubernetes namespace.
    pub namespace: String,
    /// The ScaledObject's name.
    pub name: String,
    /// One for each metadata that KEDA asked with, the newest last.
    pub triggers: Vec<TriggerExplanation>,
}

/// All that is known of one of its triggers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TriggerExplanation {
    /// Place in the list of the workloads, number and failure.
    #[serde(flatten)]
    pub summary: Summary,
    /// What is wrong with the metadata, each problem with its key.
    pub problems: Vec<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// The newest decision.
    pub decision: Option<DecisionRecord>,
    /// The last decision with a number, where the newest has none.
    pub last_good: Option<DecisionRecord>,
    /// Seconds since the newest decision.
    pub decision_age_seconds: Option<f64>,
    /// Why the core refused the newest observation.
    pub trouble: Option<String>,
    /// How each source is doing.
    pub sources: Vec<SourceHealth>,
    /// Ready replicas, where they are seen.
    pub ready_replicas: Option<u32>,
    /// The room for the workers, where the trigger names nodes or what holds room.
    #[serde(default)]
    pub room: Option<RoomExplanation>,
    /// What stands in the plan's way, the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The settings in force.
    pub policy: Option<Policy>,
}

impl Explanation {
    /// Of the entries of one ScaledObject, now.
    pub fn of(id: &WorkloadId, entries: &[Arc<Entry>], coordination: &Coordination, now: Timestamp) -> Self {
        let mut triggers: Vec<_> =
            entries.iter().map(|entry| TriggerExplanation::of(entry, coordination, now)).collect();
        keep_last_good_over_an_edit(&mut triggers);
        Self { namespace: id.namespace.clone(), name: id.name.clone(), triggers }
    }
}

/// Invalid metadata has no decision of its own: the one before the edit is shown with it.
fn keep_last_good_over_an_edit(triggers: &mut [TriggerExplanation]) {
    let mut before: Option<DecisionRecord> = None;
    for trigger in triggers {
        if !trigger.problems.is_empty() {
            trigger.last_good.clone_from(&before);
        }
        if let Some(good) = trigger.decision.as_ref().filter(|decision| decision.desired.is_some()) {
            before = Some(good.clone());
        }
    }
}

impl TriggerExplanation {
    fn of(entry: &Entry, coordination: &Coordination, now: Timestamp) -> Self {
        let snapshot = entry.snapshot();
        let snapshot = snapshot.as_deref();
        let problems = match entry.subject() {
            Subject::Accepted(_) => Vec::new(),
            Subject::Rejected(problems) => problems.clone(),
        };
        let failing = snapshot.is_some_and(|snapshot| snapshot.outcome.is_err());
        let last_good =
            snapshot.filter(|_| failing).and_then(|snapshot| snapshot.last_good.as_deref().cloned());
        Self {
            summary: Summary::of(entry, now),
            problems,
            warnings: entry.accepted().map(|accepted| accepted.warnings.clone()).unwrap_or_default(),
            decision: snapshot.and_then(|snapshot| snapshot.record.as_deref().cloned()),
            last_good,
            decision_age_seconds: snapshot.map(|snapshot| seconds_between(snapshot.at, now)),
            trouble: snapshot.and_then(|snapshot| snapshot.trouble.clone()),
            sources: snapshot.map(|snapshot| snapshot.sources.clone()).unwrap_or_default(),
            ready_replicas: snapshot.and_then(|snapshot| snapshot.ready_replicas),
            room: RoomExplanation::of(entry, coordination),
            findings: room::findings(entry, coordination, now),
            policy: entry.accepted().map(|accepted| (*accepted.trigger.policy).clone()),
        }
    }
}

pub(super) fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Act => "act",
        Mode::Advise => "advise",
    }
}
