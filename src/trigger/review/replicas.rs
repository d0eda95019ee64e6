//! Bounds that say one thing to KEDA and another to us.

use super::{Findings, Ours, Subject};
use crate::trigger::scaled_object::place_of_key;

/// What KEDA takes where `maxReplicaCount` is not set.
const KEDA_MOST: i64 = 100;

pub(super) fn review(subject: &Subject<'_>, findings: &mut Findings) {
    for (key, least) in [("minReplicaCount", 0), ("maxReplicaCount", 1), ("pollingInterval", 1)] {
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
        let is_quoted = node.integer().is_none() && text.parse::<i64>().is_ok_and(|count| count >= least);
        let message = if is_quoted {
            format!("spec.{key}: {text:?} is in quotes, and Kubernetes refuses it; write {text}")
        } else {
            format!("spec.{key}: {text:?} is not a whole number of {least} or more")
        };
        findings.error(node.place, message);
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
            ("'200'", "spec.maxReplicaCount: \"200\" is in quotes, and Kubernetes refuses it; write 200"),
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
}
