//! `fallback`: what scales while our data is too old to decide on.

use super::formula::MODIFIERS;
use super::{Findings, Subject};
use crate::trigger::keys::nearest;
use crate::trigger::yaml::Node;

const BEHAVIORS: [&str; 5] =
    ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers"];
/// More failures than this are minutes without a decision.
const MANY_FAILURES: i64 = 20;

pub(super) fn review(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(fallback) = subject.object.path(&["spec", "fallback"]) else {
        let message = "spec.fallback: is missing, so the HPA holds its replicas for as long as the data is stale; write failureThreshold, replicas and behavior: currentReplicasIfHigher";
        findings.warning(subject.place(&["spec"]), message);
        return;
    };
    review_threshold(subject, fallback, findings);
    let behavior = fallback.get("behavior").and_then(Node::text).unwrap_or("static");
    if !BEHAVIORS.contains(&behavior) {
        let hint = nearest(behavior, BEHAVIORS.into_iter())
            .map(|word| format!("; did you mean {word}?"))
            .unwrap_or_default();
        let message =
            format!("spec.fallback.behavior: {behavior:?} is not one of {}{hint}", BEHAVIORS.join(", "));
        findings.error(subject.place(&["spec", "fallback", "behavior"]), message);
    }
    review_replicas(subject, fallback, behavior, findings);
    review_modifiers(subject, behavior, findings);
}

fn review_threshold(subject: &Subject<'_>, fallback: &Node, findings: &mut Findings) {
    let place = subject.place(&["spec", "fallback", "failureThreshold"]);
    if let Some(quoted) = fallback.get("failureThreshold").and_then(|node| node.quoted_number(0)) {
        findings.error(place, format!("spec.fallback.failureThreshold: {quoted}"));
        return;
    }
    match fallback.get("failureThreshold").map(Node::integer) {
        Some(Some(0)) => {
            findings.warning(place, "spec.fallback.failureThreshold: 0 falls back at the first failure, even of one call; write 3");
        }
        Some(Some(count)) if count > MANY_FAILURES => {
            let message = format!(
                "spec.fallback.failureThreshold: {count} failures are many minutes without a decision; write 3"
            );
            findings.warning(place, message);
        }
        Some(Some(count)) if count > 0 => {}
        Some(_) => findings
            .error(place, "spec.fallback.failureThreshold: is not a whole number of 0 or more; write 3"),
        None => findings.error(place, "spec.fallback.failureThreshold: is missing; write 3"),
    }
}

fn review_replicas(subject: &Subject<'_>, fallback: &Node, behavior: &str, findings: &mut Findings) {
    let place = subject.place(&["spec", "fallback", "replicas"]);
    if let Some(quoted) = fallback.get("replicas").and_then(|node| node.quoted_number(0)) {
        findings.error(place, format!("spec.fallback.replicas: {quoted}"));
        return;
    }
    let most = subject.count("maxReplicaCount").unwrap_or(100);
    match fallback.get("replicas").map(Node::integer) {
        Some(Some(0)) if matches!(behavior, "static" | "currentReplicasIfLower") => {
            let message = "spec.fallback.replicas: 0 takes every worker away when the data is stale; write what an ordinary hour needs, or behavior: currentReplicasIfHigher";
            findings.error(place, message);
        }
        Some(Some(count)) if count > most => {
            findings.warning(
                place,
                format!(
                    "spec.fallback.replicas: {count} is above maxReplicaCount {most}, where the HPA stops"
                ),
            );
        }
        Some(Some(count)) if count >= 0 => {}
        Some(_) => findings.error(place, "spec.fallback.replicas: is not a whole number of 0 or more"),
        None => {
            findings.error(place, "spec.fallback.replicas: is missing; write what an ordinary hour needs");
        }
    }
}

fn review_modifiers(subject: &Subject<'_>, behavior: &str, findings: &mut Findings) {
    let formula =
        subject.object.path(&MODIFIERS).and_then(|modifiers| modifiers.get("formula")).and_then(Node::text);
    match formula {
        None if behavior == "scalingModifiers" => {
            let message = "spec.fallback.behavior: \"scalingModifiers\" needs spec.advanced.scalingModifiers.formula, like peak ?? (sqs / 5)";
            findings.error(subject.place(&["spec", "fallback", "behavior"]), message);
        }
        Some(formula) if behavior == "scalingModifiers" && !formula.contains("??") => {
            let message = "spec.advanced.scalingModifiers.formula: has no ??, so it has no number while peakscaler's fails; write it like peak ?? (sqs / 5)";
            findings.warning(subject.place(&[MODIFIERS[0], MODIFIERS[1], MODIFIERS[2], "formula"]), message);
        }
        None | Some(_) => {}
    }
}
