//! Bounds that say one thing to KEDA and another to us.

use super::{Findings, Ours, Subject};
use crate::trigger::scaled_object::place_of_key;

/// What KEDA takes where `maxReplicaCount` is not set.
const KEDA_MOST: i64 = 100;

pub(super) fn review(subject: &Subject<'_>, findings: &mut Findings) {
    for (key, least) in [
        ("minReplicaCount", 0),
        ("maxReplicaCount", 1),
        ("idleReplicaCount", 0),
        ("pollingInterval", 1),
        ("cooldownPeriod", 0),
        ("initialCooldownPeriod", 0),
    ] {
        review_count(subject, key, least, findings);
    }
    let is_wrong = |key: &str| subject.object.path(&["spec", key]).is_some() && subject.count(key).is_none();
    if is_wrong("minReplicaCount") || is_wrong("maxReplicaCount") {
        // What it would be is not known, and nothing is to be said against it.
        return;
    }
    let least = subject.count("minReplicaCount").unwrap_or(0);
    let most = subject.count("maxReplicaCount").unwrap_or(KEDA_MOST);
    if least > most {
        let message = format!("spec.minReplicaCount: {least} is above maxReplicaCount {most}");
        findings.error(subject.place(&["spec", "minReplicaCount"]), message);
    }
    for ours in subject.ours.iter().filter(|ours| !ours.advises()) {
        review_most(ours, subject, most, findings);
        review_least(ours, subject, least, findings);
    }
}

fn review_count(subject: &Subject<'_>, key: &str, least: i64, findings: &mut Findings) {
    let Some(node) = subject.object.path(&["spec", key]) else { return };
    if node.integer().is_none_or(|count| count < least) {
        let text = node.text().unwrap_or_default();
        let wrong = node
            .quoted_number(least)
            .unwrap_or_else(|| format!("{text:?} is not a whole number of {least} or more"));
        findings.error(node.place, format!("spec.{key}: {wrong}"));
    }
}

fn review_most(ours: &Ours<'_>, subject: &Subject<'_>, most: i64, findings: &mut Findings) {
    let Some(wanted) = ours.parsed.max_replicas.map(i64::from) else { return };
    let limit = match subject.count("maxReplicaCount") {
        Some(count) => format!("spec.maxReplicaCount {count}"),
        None => format!("{KEDA_MOST}, which KEDA takes without spec.maxReplicaCount"),
    };
    // Left out, the ScaledObject's own bound is taken.
    if wanted <= most || ours.metadata.get("maxReplicas").is_none() {
        return;
    }
    let message = format!(
        "maxReplicas: {wanted} is above {limit}: the HPA stops there while the plan counts on more; write the same number in both"
    );
    findings.error(place_of_key(ours.metadata, "maxReplicas"), message);
}

fn review_least(ours: &Ours<'_>, subject: &Subject<'_>, least: i64, findings: &mut Findings) {
    let Some(wanted) = ours.parsed.min_replicas.map(i64::from) else { return };
    if ours.metadata.get("minReplicas").is_none() {
        return;
    }
    if wanted < least {
        let message = format!(
            "minReplicas: is {wanted}, but spec.minReplicaCount keeps {least}; write \"{least}\", so that plan and explanation reckon with them"
        );
        findings.warning(place_of_key(ours.metadata, "minReplicas"), message);
    } else if wanted > least {
        let message = format!(
            "spec.minReplicaCount: is {least}, below minReplicas {wanted}; write {wanted}, so that these workers stay when peakscaler does not answer"
        );
        findings.warning(subject.place(&["spec", "minReplicaCount"]), message);
    }
}

#[cfg(test)]
mod tests {
    use crate::trigger::review::review;

    #[test]
    fn a_bound_that_is_no_number_is_told_once() {
        for (count, expected) in [
            ("many", "spec.maxReplicaCount: \"many\" is not a whole number of 1 or more"),
            ("2.5", "spec.maxReplicaCount: \"2.5\" is not a whole number of 1 or more"),
            (
                "'200'",
                "spec.maxReplicaCount: \"200\" is text in quotes, and Kubernetes refuses it; write 200 without quotes",
            ),
        ] {
            let text = format!(
                "kind: ScaledObject\nspec:\n  maxReplicaCount: {count}\n  triggers:\n  - type: external-push\n    \
                 metadata: {{scalerAddress: peakscaler:9443, maxReplicas: \"200\"}}\n"
            );
            let found = review(&text).into_iter().map(|finding| finding.message);
            let found: Vec<String> = found.filter(|message| message.contains("axReplica")).collect();
            assert_eq!(found, [expected]);
        }
    }

    #[test]
    fn numbers_in_quotes_are_told_as_such() {
        let text = "kind: ScaledObject\nspec:\n  pollingInterval: \"30\"\n  cooldownPeriod: '60'\n  fallback: {failureThreshold: \"3\", replicas: \"6\", behavior: currentReplicasIfHigher}\n  \
                    advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: \"0\"}}}}\n  triggers:\n  - type: external-push\n    \
                    metadata: {scalerAddress: peakscaler:9443, maxReplicas: \"9\"}\n";
        let findings = review(text);
        for (line, key, number) in [
            (3, "spec.pollingInterval", 30),
            (4, "spec.cooldownPeriod", 60),
            (5, "spec.fallback.failureThreshold", 3),
            (5, "spec.fallback.replicas", 6),
            (6, "scaleDown.stabilizationWindowSeconds", 0),
        ] {
            let words = format!(
                "{key}: \"{number}\" is text in quotes, and Kubernetes refuses it; write {number} without quotes"
            );
            let found = findings.iter().any(|one| one.line == line && one.message.ends_with(&words));
            assert!(found, "{words}\n{findings:#?}");
        }
    }
}
