//! An [`Explanation`] in sentences and tables, for a person at a terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::explanation::{Explanation, TriggerExplanation, mode_word};
use super::room;
use crate::core::decision::{BoundKind, CalendarPart};
use crate::core::plan::Situation;
use crate::core::plan::reason::{WallClock, span};
use crate::core::plan::situation::ServiceSource;
use crate::core::{Bound, DecisionRecord, Policy};
use crate::observe::SourceHealth;
use crate::trigger::Mode;

impl Explanation {
    /// The same in sentences and tables.
    pub fn to_text(&self) -> String {
        let triggers: Vec<_> = self.triggers.iter().map(TriggerExplanation::to_text).collect();
        triggers.join("\n")
    }
}

impl TriggerExplanation {
    fn to_text(&self) -> String {
        let mut text = String::new();
        let summary = &self.summary;
        let queue = summary.queue.as_deref().map(|queue| format!(" (queue {queue})")).unwrap_or_default();
        let _ = writeln!(text, "{}/{}{queue}", summary.namespace, summary.name);
        self.write_headline(&mut text);
        if let Some(decision) = &self.decision {
            write_decision(&mut text, decision);
            self.write_foresight(&mut text, decision);
        }
        self.write_problems(&mut text);
        if let Some(decision) = &self.decision {
            let _ = writeln!(text, "\n{}", indented(&self.figures(decision)));
        }
        if !self.sources.is_empty() {
            let _ = writeln!(text, "\n{}", indented(&sources_table(&self.sources)));
        }
        if let Some((decision, policy)) = self.decision.as_ref().zip(self.policy.as_ref()) {
            let _ = writeln!(text, "\n  {}", self.provenance(decision, policy));
        }
        room::write_findings(&mut text, &self.findings);
        for warning in &self.warnings {
            let _ = writeln!(text, "  Warning: {warning}");
        }
        text
    }

    fn write_headline(&self, text: &mut String) {
        let advises = self.summary.mode.as_deref() == Some(mode_word(Mode::Advise));
        let line = match (self.summary.desired, &self.summary.error) {
            (Some(desired), _) if advises => {
                format!("{} wanted; only advising, so KEDA gets 0 and inactive.", replicas_are(desired))
            }
            (Some(desired), _) => format!("{} wanted.", replicas_are(desired)),
            (None, Some(_)) if !self.problems.is_empty() => {
                "No number: the metadata is invalid, and KEDA gets INVALID_ARGUMENT.".to_owned()
            }
            (None, Some(error)) => format!("No number: {error}."),
            (None, None) => "No observation yet.".to_owned(),
        };
        let _ = writeln!(text, "  {line}");
        if let Some((good, desired)) =
            self.last_good.as_ref().and_then(|good| good.desired.map(|desired| (good, desired)))
        {
            // Seen from the newest decision, where there is one: another day is said.
            let now = self.decision.as_ref().map_or(good.at, |decision| decision.at);
            let clock = WallClock::new(now, self.policy.as_ref().unwrap_or(&Policy::default()));
            let _ = writeln!(text, "  The last number was {desired}, at {}.", clock.moment(good.at));
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
                let step = next_step(&source.source);
                let _ = writeln!(text, "  Source {} fails: {error}.\n  Next: {step}.", source.source);
            }
        }
    }

    fn write_foresight(&self, text: &mut String, decision: &DecisionRecord) {
        for part in &decision.calendar {
            let _ = writeln!(text, "  {}.", self.calendar_sentence(part));
        }
        if let Some(distrust) = decision.forecast.as_ref().and_then(|forecast| forecast.distrust.as_ref()) {
            let _ = writeln!(text, "  Planned without the learned forecast: {distrust}.");
        }
    }

    fn figures(&self, decision: &DecisionRecord) -> Table {
        let mut table = table();
        let mut row = |name: &str, value: String, unit: &str| {
            table.add_row([name, &value, unit]);
        };
        let inputs = decision.inputs.as_deref();
        row("backlog", format!("{:.0}", decision.backlog), &backlog_note(inputs));
        row("arrivals", format!("{:.1}", decision.arrival_rate * 60.0), "orders a minute");
        let source = inputs.map_or("", |inputs| source_words(inputs.service.source));
        let rate = format!("orders a minute{source}, at least {:.2}", decision.service_rate_lower * 60.0);
        row("a worker does", format!("{:.2}", decision.service_rate * 60.0), &rate);
        if let Some(ready) = self.ready_replicas {
            row("ready", ready.to_string(), &fleet_note(inputs));
        }
        row(
            "wanted",
            decision.desired.map_or_else(|| "-".to_owned(), |desired| desired.to_string()),
            "replicas",
        );
        let node_lead = inputs.map_or_else(
            || "a node's lead time from now".to_owned(),
            |inputs| format!("in {}, when a node asked for now is there", span(inputs.node_lead_seconds)),
        );
        row("wanted ahead", decision.ahead.to_string(), &format!("replicas {node_lead}"));
        if self.room.is_none() {
            row("buffer", decision.buffer.to_string(), "replicas of room to be kept");
        }
        if let Some(forecast) = &decision.forecast {
            let unit = format!(
                "orders in the next {}, give or take {:.0} ({})",
                span(forecast.horizon_seconds),
                forecast.deviation,
                forecast.model.replace('_', " ")
            );
            row("expected", format!("{:.0}", forecast.expected), &unit);
            let quantiles: Vec<String> =
                forecast.quantiles.iter().map(|one| format!("{} by {:.0}", one.level, one.orders)).collect();
            row("  at most", String::new(), &format!("with probability {}", quantiles.join(", ")));
            if let Some(quality) = &forecast.quality {
                let note = "% of the orders of the last two weeks, foreseen a day ahead";
                row("  error", format!("{:.1}", 100.0 * quality.error), note);
                row("  coverage", format!("{:.1}", 100.0 * quality.coverage), "% of them below quantile 0.9");
            }
        }
        if let Some(room) = &self.room {
            room.add_rows(&mut table);
        }
        align_right(&mut table, 1);
        table
    }

    fn calendar_sentence(&self, part: &CalendarPart) -> String {
        let zone = self.policy.as_ref().and_then(|policy| jiff::tz::TimeZone::get(&policy.time_zone).ok());
        let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
        let moment = |at: jiff::Timestamp| at.to_zoned(zone.clone()).strftime("%a %d %b %H:%M").to_string();
        format!(
            "The calendar's {:?} ({} to {}) makes {:+.0} orders in the next {}, {:+} replicas now and {:+} ahead",
            part.name,
            moment(part.from),
            moment(part.to),
            part.orders,
            span(part.horizon_seconds),
            part.replicas,
            part.ahead
        )
    }

    fn provenance(&self, decision: &DecisionRecord, policy: &Policy) -> String {
        let age = self.decision_age_seconds.unwrap_or(0.0);
        let zone = jiff::tz::TimeZone::get(&policy.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
        format!(
            "Decided at {} {}, {} ago, with configuration {}.",
            decision.at.to_zoned(zone).strftime("%H:%M:%S"),
            policy.time_zone,
            span(age),
            decision.policy_version
        )
    }
}

fn write_decision(text: &mut String, decision: &DecisionRecord) {
    if decision.desired.is_some() {
        let _ = writeln!(text, "  Why: {}.", without_number(&decision.reason).trim_end_matches('.'));
    }
    for bound in &decision.bounds {
        let _ = writeln!(text, "  {}.", bound_sentence(bound));
    }
    if decision.late_first.is_some() && decision.relief.is_none() {
        let _ = writeln!(text, "  {}.", too_late(decision));
    }
}

fn replicas_are(count: u32) -> String {
    if count == 1 { "1 replica is".to_owned() } else { format!("{count} replicas are") }
}

/// The headline has said the number already.
fn without_number(reason: &str) -> &str {
    match reason.split_once(": ") {
        Some((number, why)) if number.ends_with(" replica") || number.ends_with(" replicas") => why,
        _ => reason,
    }
}

fn bound_sentence(bound: &Bound) -> String {
    let Bound { kind, from, to } = bound;
    let why = match kind {
        BoundKind::Minimum => "minReplicas",
        BoundKind::Maximum => "maxReplicas",
        BoundKind::Ramp => "rampUp",
        BoundKind::ThroughputLimit => "throughputLimit",
        BoundKind::Contention => "contention: more workers add no throughput",
        BoundKind::Activation => "activationQueueLength",
        BoundKind::Doubt => "doubt about the data, on which nothing is scaled down",
        BoundKind::Hold => "the hold against flapping",
        BoundKind::Queue => "the queue, which is worked off before workers go",
        BoundKind::Redelivery => {
            "the orders in work: one whose worker goes returns after its visibility timeout, too late"
        }
        BoundKind::Unlearned => {
            "the start: no service rate was seen yet, which twice the ready workers will show"
        }
    };
    format!("Changed from {from} to {to} by {why}")
}

/// No bound is in the way: what would have helped.
fn too_late(decision: &DecisionRecord) -> String {
    let lead = decision.inputs.as_ref().map_or_else(String::new, |inputs| {
        let (pod, node) = (span(inputs.pod_lead_seconds), span(inputs.node_lead_seconds));
        format!(" ({pod} for a pod, {node} more where it needs a node)")
    });
    format!(
        "More workers can't be ready in time{lead}; minReplicas, a capacity buffer or a longer targetWait would have helped"
    )
}

fn source_words(source: ServiceSource) -> &'static str {
    match source {
        ServiceSource::Given => ", as given",
        ServiceSource::Prior => ", assumed until something is seen",
        ServiceSource::Learned => ", learned",
    }
}

fn backlog_note(inputs: Option<&Situation>) -> String {
    let oldest = inputs.and_then(|inputs| inputs.waiting.first()).filter(|oldest| oldest.orders >= 0.5);
    oldest.map_or_else(
        || "orders".to_owned(),
        |oldest| format!("orders, the oldest waits for {}", span(oldest.age_seconds)),
    )
}

fn fleet_note(inputs: Option<&Situation>) -> String {
    let Some(fleet) = inputs.and_then(|inputs| inputs.fleet.as_ref()) else { return "replicas".to_owned() };
    match (fleet.ready_in_seconds.len(), fleet.pending) {
        (0, _) => "replicas".to_owned(),
        (coming, 0) => format!("replicas, {coming} more are starting"),
        (coming, pending) => format!("replicas, {coming} more are coming, {pending} of them without a node"),
    }
}

/// What a person looks at first when a source fails.
fn next_step(source: &str) -> &'static str {
    match source {
        "sqs" => "check queueURL, awsRegion and that the role may call sqs:GetQueueAttributes on it",
        "cloudwatch" => "check that the role may call cloudwatch:GetMetricData in that region",
        "cluster" => "check the ServiceAccount's RBAC: get, list and watch on the scale target and its pods",
        "replicas" => "run in a cluster, or give replicasQuery",
        prometheus if prometheus.starts_with("prometheus") => {
            "run the query by hand against prometheusServerAddress; it must give one number"
        }
        _ => "see the server's log for this workload",
    }
}

fn sources_table(sources: &[SourceHealth]) -> Table {
    let mut table = table();
    for source in sources {
        let age = source.age_seconds.map_or_else(|| "never".to_owned(), |age| format!("{} ago", span(age)));
        let state = if source.error.is_some() { "failing" } else { "fine" };
        table.add_row([&source.source.replace('_', " "), "read", &age, state]);
    }
    align_right(&mut table, 2);
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

#[cfg(test)]
mod tests {
    use super::super::explanation::Summary;
    use super::*;
    use crate::core::{Observation, Workload};

    /// 900 orders wait, a worker does two a minute, and five are all that is allowed.
    fn overwhelmed() -> TriggerExplanation {
        let policy = Policy {
            target_wait_seconds: Some(300.0),
            service_rate: crate::core::ServiceRate::PerMinute(2.0),
            max_replicas: 5,
            time_zone: "Europe/Prague".to_owned(),
            ..Policy::default()
        };
        let line = r#"{"at":"2026-11-27T12:30:00Z",
            "queue":{"visible":900,"in_flight":5,"delayed":0,"age_seconds":4},
            "replicas":{"ready":5,"starting":[],"pending":0,"wanted":5}}"#;
        let observation: Observation = serde_json::from_str(line).unwrap();
        let record = Workload::new(policy.clone()).step(&observation).unwrap();
        let health = |source: &str, age_seconds, error: Option<&str>| SourceHealth {
            source: source.to_owned(),
            age_seconds,
            error: error.map(str::to_owned),
        };
        TriggerExplanation {
            summary: Summary {
                namespace: "shop".to_owned(),
                name: "packers".to_owned(),
                queue: Some("orders".to_owned()),
                mode: Some("act".to_owned()),
                desired: record.desired,
                error: None,
                asked_seconds_ago: 1.0,
            },
            problems: Vec::new(),
            warnings: Vec::new(),
            decision: Some(record),
            last_good: None,
            decision_age_seconds: Some(2.0),
            trouble: None,
            sources: vec![
                health("sqs", Some(4.0), None),
                health("prometheus_arrivals", Some(130.0), Some("refused")),
            ],
            ready_replicas: Some(5),
            room: None,
            findings: Vec::new(),
            policy: Some(policy),
        }
    }

    #[test]
    fn says_what_binds_what_helps_and_how_old_all_is() {
        let text = overwhelmed().to_text();
        for part in [
            "shop/packers (queue orders)\n  5 replicas are wanted.\n  Why: maxReplicas 5 binds, ",
            " orders will be late, the first ",
            ": raise maxReplicas to ",
            " to 5 by maxReplicas.",
            "Source prometheus_arrivals fails: refused.\n  Next: run the query by hand",
            "2 min ago  failing",
            "Decided at 13:30:00 Europe/Prague, 2 s ago, with configuration ",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn columns_of_numbers_end_in_one_line() {
        let text = overwhelmed().to_text();
        let ends: Vec<_> = ["backlog", "arrivals", "a worker does", "ready", "wanted ahead"]
            .iter()
            .map(|name| {
                let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
                let number = line.find(|letter: char| letter.is_ascii_digit()).unwrap();
                number + line[number..].find(' ').unwrap()
            })
            .collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "{text}");
    }
}
