//! The last decisions of a workload, as JSON and, retold, as text.

use std::fmt::Write as _;
use std::sync::Arc;

use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::room::{self, RoomExplanation};
use crate::capacity::{Coordination, Finding};
use crate::clock::seconds_between;
use crate::core::{Binding, Bound, DecisionRecord, Policy};
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

    /// The same in sentences and a table.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for trigger in &self.triggers {
            if !text.is_empty() {
                text.push('\n');
            }
            trigger.write_text(&mut text);
        }
        text
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
            policy: entry.accepted().map(|accepted| accepted.trigger.policy.clone()),
        }
    }

    fn write_text(&self, text: &mut String) {
        let summary = &self.summary;
        let queue = summary.queue.as_deref().map(|queue| format!(" (queue {queue})")).unwrap_or_default();
        let _ = writeln!(text, "{}/{}{queue}", summary.namespace, summary.name);
        self.write_headline(text);
        self.write_problems(text);
        if let Some(decision) = &self.decision {
            if !decision.reason.is_empty() {
                let _ = writeln!(text, "  Why: {}.", decision.reason.trim_end_matches('.'));
            }
            let _ = writeln!(text, "  Decided by {}.", binding_sentence(&decision.binding, decision.at));
            for bound in &decision.bounds {
                let _ = writeln!(text, "  {}.", bound_sentence(bound));
            }
            if decision.late_expected > 0.0 {
                let late = decision.late_expected.ceil();
                let _ = writeln!(text, "  {late} orders will be late whatever is done now.");
            }
            let _ = writeln!(text, "{}", indented(&self.figures(decision)));
        }
        if !self.sources.is_empty() {
            let _ = writeln!(text, "{}", indented(&sources_table(&self.sources)));
        }
        room::write_findings(text, &self.findings);
        for warning in &self.warnings {
            let _ = writeln!(text, "  Warning: {warning}");
        }
    }

    fn write_headline(&self, text: &mut String) {
        let advises = self.summary.mode.as_deref() == Some(mode_word(Mode::Advise));
        let line = match (self.summary.desired, &self.summary.error) {
            (Some(desired), _) if advises => {
                format!("{} wanted; only advising, so KEDA gets 0 and inactive.", replicas(desired))
            }
            (Some(desired), _) => format!("{} wanted.", replicas(desired)),
            (None, Some(_)) if !self.problems.is_empty() => {
                "No number: the metadata is invalid, and KEDA gets INVALID_ARGUMENT.".to_owned()
            }
            (None, Some(error)) => format!("No number: {error}."),
            (None, None) => "No observation yet.".to_owned(),
        };
        let _ = writeln!(text, "  {line}");
        if let Some(good) = &self.last_good
            && let Some(desired) = good.desired
        {
            let _ = writeln!(text, "  The last number was {desired}, at {}.", good.at);
        }
    }

    fn write_problems(&self, text: &mut String) {
        for problem in &self.problems {
            let _ = writeln!(text, "  Problem: {problem}");
        }
        if !self.problems.is_empty() {
            text.push_str(
                "  Next: correct the trigger's metadata; `peakscaler check FILE` tells the same offline.\n",
            );
        }
        if let Some(trouble) = &self.trouble {
            let _ = writeln!(text, "  The newest observation was refused: {trouble}.");
        }
        for source in &self.sources {
            if let Some(error) = &source.error {
                let _ = writeln!(
                    text,
                    "  Source {} fails: {error}.\n  Next: {}.",
                    source.source,
                    next_step(&source.source)
                );
            }
        }
    }

    fn figures(&self, decision: &DecisionRecord) -> Table {
        let mut table = table();
        let mut row = |name: &str, value: String, unit: &str| {
            table.add_row([name, &value, unit]);
        };
        row("backlog", format!("{:.0}", decision.backlog), "orders");
        row("arrivals", format!("{:.2}", decision.arrival_rate), "orders/s");
        row("service rate", format!("{:.4}", decision.service_rate), "orders/s a replica");
        row("  at least", format!("{:.4}", decision.service_rate_lower), "orders/s a replica");
        if let Some(ready) = self.ready_replicas {
            row("ready", ready.to_string(), "replicas");
        }
        row("wanted ahead", decision.ahead.to_string(), "replicas, one node lead time from now");
        if self.room.is_none() {
            row("buffer", decision.buffer.to_string(), "replicas of room");
        }
        if let Some(forecast) = &decision.forecast {
            let unit = format!(
                "orders (+- {:.0}) in {:.0} s, {}",
                forecast.deviation, forecast.horizon_seconds, forecast.model
            );
            row("forecast", format!("{:.0}", forecast.expected), &unit);
        }
        if let Some(age) = self.decision_age_seconds {
            row("decided", format!("{age:.0}"), "s ago");
        }
        if let Some(room) = &self.room {
            room.add_rows(&mut table);
        }
        align_right(&mut table, 1);
        table
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Act => "act",
        Mode::Advise => "advise",
    }
}

fn replicas(count: u32) -> String {
    if count == 1 { "1 replica is".to_owned() } else { format!("{count} replicas are") }
}

fn binding_sentence(binding: &Binding, at: Timestamp) -> String {
    match binding {
        Binding::Idle => "idleness: nothing waits and nothing is expected".to_owned(),
        Binding::Wait { due_in_seconds, orders } => {
            format!("the target wait: {orders:.0} orders are due within {due_in_seconds:.0} s")
        }
        Binding::CutOff { name, dispatch, orders } => {
            let left = seconds_between(at, *dispatch) / 60.0;
            format!("the cut-off of {name}: {orders:.0} orders must be done by {dispatch}, in {left:.0} min")
        }
        Binding::Bound => "a bound of the settings".to_owned(),
        Binding::Hold { planned } => format!("the hold: the plan alone would want {planned}"),
        Binding::Stale { source, age_seconds } => {
            format!("holding the last number: {source} was last read {age_seconds:.0} s ago")
        }
    }
}

fn bound_sentence(bound: &Bound) -> String {
    use crate::core::decision::BoundKind;
    let why = match bound.kind {
        BoundKind::Minimum => "minReplicas",
        BoundKind::Maximum => "maxReplicas",
        BoundKind::Ramp => "rampUp",
        BoundKind::ThroughputLimit => "throughputLimit",
        BoundKind::Contention => "contention (more workers add no throughput)",
        BoundKind::Activation => "activationQueueLength",
        BoundKind::Doubt => "doubt about the data (then never down)",
        BoundKind::Hold => "the hold against flapping",
    };
    format!("Changed from {} to {} by {why}", bound.from, bound.to)
}

/// What a person looks at first when a source fails.
fn next_step(source: &str) -> &'static str {
    match source {
        "sqs" => "check queueURL, awsRegion and that the role may call sqs:GetQueueAttributes on it",
        "cloudwatch" => "check that the role may call cloudwatch:GetMetricData in that region",
        "prometheus" => "run the query by hand against prometheusServerAddress; it must give one number",
        "cluster" => "check the ServiceAccount's RBAC: get, list and watch on the scale target and its pods",
        _ => "see the server's log for this workload",
    }
}

fn sources_table(sources: &[SourceHealth]) -> Table {
    let mut table = table();
    for source in sources {
        let age = source.age_seconds.map_or_else(|| "never".to_owned(), |age| format!("{age:.0} s ago"));
        let state = if source.error.is_some() { "failing" } else { "fine" };
        table.add_row([source.source.as_str(), &age, state]);
    }
    align_right(&mut table, 1);
    table
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

fn align_right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn indented(table: &Table) -> String {
    let lines: Vec<_> = table.to_string().lines().map(|line| format!("   {}", line.trim_end())).collect();
    lines.join("\n")
}
