//! Bounds that say one thing to KEDA and another to us.

use super::{Findings, Ours, Subject};
use crate::trigger::scaled_object::place_of_key;

/// What KEDA takes where `maxReplicaCount` is not set.
const KEDA_MOST: i64 = 100;

pub(super) fn review(subject: &Subject<'_>, findings: &mut Findings) {
    for (key, least) in [("minReplicaCount", 0), ("maxReplicaCount", 1), ("pollingInterval", 1)] {
        review_count(subject, key, least, findings);
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
        let message = format!(
            "spec.{key}: {:?} is not a whole number of {least} or more",
            node.text().unwrap_or_default()
        );
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
