//! The triggers themselves: their metadata, address, metric type and what stands beside them.

use super::{Findings, Ours, Subject};
use crate::trigger::scaled_object::place_of_key;
use crate::trigger::yaml::{Data, Node};
use crate::trigger::{Parsed, Problem};

/// KEDA's own default, and the HPA's sync beside it.
const USUAL_POLLING_SECONDS: i64 = 30;

pub(super) fn review(subject: &Subject<'_>, findings: &mut Findings) {
    for ours in &subject.ours {
        report(&ours.parsed, ours.metadata, findings);
        review_strings(ours.metadata, findings);
        review_address(ours.metadata, findings);
        review_metric_type(ours.node, findings);
        review_pace(subject, ours, findings);
    }
    review_company(subject, findings);
}

/// What is wrong where triggers are written, but not as a list of some: nothing would scale.
pub(super) fn no_list(object: &Node) -> Option<String> {
    let value = match &object.path(&["spec", "triggers"])?.data {
        Data::Sequence(items) if !items.is_empty() => return None,
        Data::Sequence(_) => "[]".to_owned(),
        Data::Mapping(pairs) if pairs.is_empty() => "{}".to_owned(),
        Data::Mapping(_) => "a map".to_owned(),
        Data::Scalar { text, .. } => format!("{text:?}"),
    };
    Some(format!(
        "spec.triggers: is {value}, must be a list of one trigger or more, each like `- type: external-push` with its metadata"
    ))
}

/// What reading the metadata found, each at its key.
pub(super) fn report(parsed: &Parsed, metadata: &Node, findings: &mut Findings) {
    let place = |problem: &Problem| place_of_key(metadata, &problem.key);
    for problem in &parsed.problems {
        findings.error(place(problem), problem.to_string());
    }
    for warning in &parsed.warnings {
        findings.warning(place(warning), warning.to_string());
    }
}

/// KEDA's schema allows nothing but strings in a trigger's metadata.
fn review_strings(metadata: &Node, findings: &mut Findings) {
    for (key, value) in metadata.pairs() {
        match &value.data {
            Data::Scalar { is_string: true, .. } => {}
            Data::Scalar { text, is_string: false } => {
                let message = format!(
                    "{}: {text} is not a string, and Kubernetes refuses it; write \"{text}\" in quotes",
                    key.text
                );
                findings.error(value.place, message);
            }
            Data::Sequence(_) | Data::Mapping(_) => {
                let message =
                    format!("{}: is a list or a map, and Kubernetes refuses it; write one string", key.text);
                findings.error(value.place, message);
            }
        }
    }
}

fn review_address(metadata: &Node, findings: &mut Findings) {
    let Some(address) = metadata.get("scalerAddress") else {
        let place = metadata.place;
        findings.error(place, "scalerAddress: is missing; write the host and port of peakscaler, like peakscaler.peakscaler:9443");
        return;
    };
    let text = address.text().unwrap_or_default();
    let port = text.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
    let wrong = if text.contains("://") {
        "is a URL"
    } else if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        "has no port"
    } else {
        return;
    };
    findings.error(
        address.place,
        format!("scalerAddress: {text:?} {wrong}; write host:port, like peakscaler.peakscaler:9443"),
    );
}

fn review_metric_type(trigger: &Node, findings: &mut Findings) {
    let Some(metric_type) = trigger.get("metricType") else { return };
    let message = match metric_type.text().unwrap_or_default() {
        "AverageValue" => return,
        "Value" => {
            "metricType: \"Value\" multiplies by the ready pods, which is wrong while pods start; write AverageValue".to_owned()
        }
        other => format!("metricType: {other:?} does not fit an external metric; write AverageValue"),
    };
    findings.error(metric_type.place, message);
}

/// How old the number is that the HPA sees, and how soon the first order starts a worker.
fn review_pace(subject: &Subject<'_>, ours: &Ours<'_>, findings: &mut Findings) {
    let polling = subject.count("pollingInterval").unwrap_or(USUAL_POLLING_SECONDS);
    let cached = ours.node.get("useCachedMetrics").filter(|node| node.text() == Some("true"));
    if let Some(cached) = cached {
        let message = format!(
            "useCachedMetrics: true lets the HPA see a number that is up to pollingInterval ({polling} s) old; leave it out"
        );
        findings.warning(cached.place, message);
    }
    let kind = ours.node.get("type");
    let from_zero = subject.count("minReplicaCount").unwrap_or(0) == 0 && !ours.advises();
    if let Some(kind) = kind.filter(|kind| kind.text() == Some("external") && from_zero) {
        let message = format!(
            "type: \"external\" starts from zero only at the next poll, up to {polling} s after the first order; external-push starts at once"
        );
        findings.notice(kind.place, message);
    } else if polling > USUAL_POLLING_SECONDS {
        let message = format!(
            "spec.pollingInterval: {polling} s is slow; {USUAL_POLLING_SECONDS} or less costs nothing, as peakscaler answers from memory"
        );
        findings.notice(subject.place(&["spec", "pollingInterval"]), message);
    }
}

/// What the triggers are to each other.
fn review_company(subject: &Subject<'_>, findings: &mut Findings) {
    let others = subject.triggers.len() - subject.ours.len();
    for ours in subject.ours.iter().filter(|ours| ours.advises()) {
        if others == 0 && !subject.acts() {
            let message = "mode: \"advise\" answers 0, and no other trigger decides, so there would be no workers; add a trigger or write act";
            findings.error(place_of_key(ours.metadata, "mode"), message);
        }
    }
    let acting: Vec<&Ours<'_>> = subject.ours.iter().filter(|ours| !ours.advises()).collect();
    if let [_, second, ..] = acting[..] {
        let message = "triggers: a second trigger of peakscaler does not add its workers, the HPA takes the larger; write all queues into one queueURL";
        findings.warning(second.node.place, message);
    }
    let has_formula = subject.object.path(&["spec", "advanced", "scalingModifiers", "formula"]).is_some();
    if others > 0 && !acting.is_empty() && !has_formula {
        let message = "triggers: the HPA takes the larger of all triggers, so the others are a floor under peakscaler's number";
        findings.notice(subject.place(&["spec", "triggers"]), message);
    }
}

#[cfg(test)]
mod tests {
    use crate::trigger::review::{Severity, review};

    #[test]
    fn triggers_that_are_no_list_are_an_error() {
        for (triggers, value) in [
            ("{}", "{}"),
            ("[]", "[]"),
            ("{type: external-push}", "a map"),
            ("external-push", "\"external-push\""),
        ] {
            for kind in ["ScaledObject", "ScaledJob"] {
                let findings = review(&format!("kind: {kind}\nspec:\n  triggers: {triggers}\n"));
                let [finding] = &findings[..] else { panic!("{findings:?}") };
                assert_eq!((finding.line, finding.severity), (3, Severity::Error), "{triggers}");
                let words = format!("spec.triggers: is {value}, must be a list of one trigger or more");
                assert!(finding.message.starts_with(&words), "{}", finding.message);
            }
        }
    }
}
