//! Whether a buffer or placeholder may be written, and if not, the finding that says why.

use jiff::Timestamp;

use super::finding::{Finding, FindingKind, Severity};
use crate::observe::WorkloadId;
use crate::observe::cluster::facts::{CapacityFacts, HolderFacts, HolderKind, Named, TargetFacts};

/// Leave to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Permit {
    /// What stands there now.
    pub present: u32,
    /// Take the field from another manager, who holds no room with it.
    pub takes_over: bool,
}

/// Whether room may be written for `workload`; `None` when the trigger names nothing that holds room, or when that is
/// not known yet.
///
/// # Errors
/// The finding that forbids it.
pub fn permit(
    facts: &CapacityFacts,
    named: Option<(HolderKind, &str)>,
    workload: &WorkloadId,
    now: Timestamp,
) -> Result<Option<Permit>, Finding> {
    let Some((kind, name)) = named else { return Ok(None) };
    let what = format!("{} {}/{name}", kind.word(), workload.namespace);
    let warning = |kind, text: String| Err(Finding::new(kind, Severity::Warning, text));
    let holder = match &facts.holder {
        Named::NotNamed | Named::Unknown => return Ok(None),
        Named::NoSuchKind => {
            return warning(
                FindingKind::BufferKindMissing,
                format!(
                    "{what} cannot be: this cluster has no CapacityBuffer (autoscaling.x-k8s.io/v1beta1; Karpenter 1.14 \
                     or later with the feature gate CapacityBuffer); name a placeholder Deployment instead"
                ),
            );
        }
        Named::Missing => {
            return warning(
                FindingKind::HolderMissing,
                format!("{what} does not exist: no room is held ahead; create it with replicas: 0"),
            );
        }
        Named::Found(holder) => holder,
    };
    match &facts.target {
        Named::Found(target) => {
            if let Some(finding) = for_other_pods(holder, &what, target) {
                return Err(finding);
            }
        }
        // Workers that are gone need no room: it may be given back.
        Named::Missing => {}
        Named::NotNamed | Named::Unknown | Named::NoSuchKind => return Ok(None),
    }
    if let Some(other) = held_for_another(holder, workload, now) {
        return warning(
            FindingKind::HolderShared,
            format!("{what} is held for {other}: nothing is written; give each workload its own"),
        );
    }
    match &holder.other_manager {
        Some(other) if holder.replicas > 0 => warning(
            FindingKind::HolderOfOthers,
            format!(
                "{what} has replicas: {} set by {other}: nothing is written; set them to 0 to hand it over",
                holder.replicas
            ),
        ),
        other => Ok(Some(Permit { present: holder.replicas, takes_over: other.is_some() })),
    }
}

fn for_other_pods(holder: &HolderFacts, what: &str, target: &TargetFacts) -> Option<Finding> {
    match (holder.kind, &holder.refers_to) {
        (HolderKind::CapacityBuffer, Some((kind, name))) if *kind == target.kind && *name == target.name => {
            None
        }
        (HolderKind::CapacityBuffer, refers_to) => {
            let other = refers_to.as_ref().map_or_else(
                || "no scalableRef".to_owned(),
                |(kind, name)| format!("a scalableRef to {kind} {name}"),
            );
            Some(Finding::new(
                FindingKind::HolderRefersElsewhere,
                Severity::Warning,
                format!(
                    "{what} has {other}, but the workers are {} {}: nothing is written; let it refer to them",
                    target.kind, target.name
                ),
            ))
        }
        (HolderKind::Placeholder, _) if holder.name == target.name || holder.selected_as_worker => {
            Some(Finding::new(
                FindingKind::PlaceholderTakenForWorkers,
                Severity::Critical,
                format!(
                    "{what}: its pods have the labels by which {} {} knows its workers: nothing is written; give them \
                     labels of their own",
                    target.kind, target.name
                ),
            ))
        }
        (HolderKind::Placeholder, _) => None,
    }
}

/// The workload that a buffer says it is held for, when that is another one and still holds it.
fn held_for_another<'a>(holder: &'a HolderFacts, workload: &WorkloadId, now: Timestamp) -> Option<&'a str> {
    let other = holder.held_for.as_deref().filter(|other| *other != workload.to_string())?;
    let is_held = holder.replicas > 0 && holder.expires.is_none_or(|expires| expires > now);
    is_held.then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::findings::tests::{facts, holder, workload};

    #[test]
    fn what_may_be_written() {
        let now: Timestamp = "2026-11-27T08:00:00Z".parse().unwrap();
        let buffer = holder(HolderKind::CapacityBuffer);
        let placeholder = holder(HolderKind::Placeholder);
        let others = |manager: &str, replicas| {
            let other_manager = Some(manager.to_owned());
            Named::Found(HolderFacts { replicas, other_manager, ..buffer.clone() })
        };
        let held = |by: &str, expires: &str| {
            Named::Found(HolderFacts {
                held_for: Some(by.to_owned()),
                expires: Some(expires.parse().unwrap()),
                replicas: 4,
                ..buffer.clone()
            })
        };
        let refers = |name: &str| Some(("Deployment".to_owned(), name.to_owned()));
        let permitted = |present, takes_over| Ok(Some(Permit { present, takes_over }));
        for (what, found, expected) in [
            ("none named", Named::NotNamed, Ok(None)),
            ("not known yet", Named::Unknown, Ok(None)),
            ("no such kind", Named::NoSuchKind, Err(FindingKind::BufferKindMissing)),
            ("missing", Named::Missing, Err(FindingKind::HolderMissing)),
            ("ours", Named::Found(buffer.clone()), permitted(0, false)),
            ("shipped at 0", others("kubectl-client-side-apply", 0), permitted(0, true)),
            ("set by others", others("argocd-controller", 5), Err(FindingKind::HolderOfOthers)),
            (
                "of another Deployment",
                Named::Found(HolderFacts { refers_to: refers("packers"), ..buffer.clone() }),
                Err(FindingKind::HolderRefersElsewhere),
            ),
            (
                "of a pod template",
                Named::Found(HolderFacts { refers_to: None, ..buffer.clone() }),
                Err(FindingKind::HolderRefersElsewhere),
            ),
            ("held for us", held("shop/pickers", "2026-11-27T08:05:00Z"), permitted(4, false)),
            (
                "held for another",
                held("shop/packers", "2026-11-27T08:05:00Z"),
                Err(FindingKind::HolderShared),
            ),
            ("was held for another", held("shop/packers", "2026-11-27T07:55:00Z"), permitted(4, false)),
            ("a placeholder", Named::Found(placeholder.clone()), permitted(0, false)),
            (
                "a placeholder among the workers",
                Named::Found(HolderFacts { selected_as_worker: true, ..placeholder.clone() }),
                Err(FindingKind::PlaceholderTakenForWorkers),
            ),
            (
                "the workers themselves",
                Named::Found(HolderFacts { name: "pickers".to_owned(), ..placeholder.clone() }),
                Err(FindingKind::PlaceholderTakenForWorkers),
            ),
        ] {
            let facts = CapacityFacts { holder: found, ..facts() };
            let named = Some((HolderKind::CapacityBuffer, "pickers-ahead"));
            let permit = permit(&facts, named, &workload(), now).map_err(|finding| finding.kind);
            assert_eq!(permit, expected, "{what}");
        }
    }
}
