//! What differs, and what cannot be taken again, gathered by its reason: one setting that is another
//! changes a thousand decisions at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jiff::Timestamp;
use serde::Serialize;

use super::compare::Cause;
use super::{Difference, Unusable};
use crate::cli::forecast::{align_left, new_compact_table};
use crate::cli::report::words::grouped;

/// Decisions of one workload that differ for one reason.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    workload: String,
    causes: Vec<Cause>,
    differ: usize,
    /// Of those, the ones that want another number of replicas.
    replicas_differ: usize,
    first: Timestamp,
    last: Timestamp,
    /// Which of the differences they are.
    #[serde(skip)]
    members: Vec<usize>,
}

/// The reasons of all differences, in the order in which they are met.
pub(super) fn gathered(differences: &[Difference]) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    let mut known = HashMap::new();
    for (index, difference) in differences.iter().enumerate() {
        let at = difference.at;
        let next = reasons.len();
        let place = *known.entry((&difference.workload, words(&difference.causes))).or_insert(next);
        if place == next {
            reasons.push(Reason {
                workload: difference.workload.clone(),
                causes: difference.causes.clone(),
                differ: 0,
                replicas_differ: 0,
                first: at,
                last: at,
                members: Vec::new(),
            });
        }
        let reason = &mut reasons[place];
        reason.differ += 1;
        // that of the number comes first
        let of_the_number = difference.changes.first().is_some_and(|change| change.field == "desired");
        reason.replicas_differ += usize::from(of_the_number);
        reason.first = reason.first.min(at);
        reason.last = reason.last.max(at);
        reason.members.push(index);
    }
    reasons
}

fn words(causes: &[Cause]) -> String {
    causes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A line for each reason, and under them the first `show` differences of each.
pub(super) fn text(reasons: &[Reason], differences: &[Difference], show: usize) -> Vec<String> {
    if reasons.is_empty() {
        return Vec::new();
    }
    let mut table =
        new_compact_table(&["reason", "differ", "in replicas", "first", "last", "workload", "because"]);
    for column in [5, 6] {
        align_left(&mut table, column);
    }
    for (number, reason) in (1..).zip(reasons) {
        table.add_row([
            number.to_string(),
            grouped(reason.differ as u64),
            grouped(reason.replicas_differ as u64),
            reason.first.to_string(),
            reason.last.to_string(),
            reason.workload.clone(),
            words(&reason.causes),
        ]);
    }
    let mut parts = vec![table.to_string()];
    for (number, reason) in (1_usize..).zip(reasons) {
        for difference in reason.members.iter().take(show).map(|index| &differences[*index]) {
            let changes: Vec<String> = difference.changes.iter().map(ToString::to_string).collect();
            parts.push(format!(
                "{} (reason {number}) at {}: {}",
                difference.place,
                difference.at,
                changes.join(", ")
            ));
        }
        let more = super::more(reason.differ, show);
        parts.extend(more.map(|more| format!("{more} of reason {number}")));
    }
    parts
}

/// One line for each reason why records cannot be taken again.
pub(super) fn of_unusable(unusable: &[Unusable], show: usize) -> Vec<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut places: HashMap<&str, (&str, &str, usize)> = HashMap::new();
    for Unusable { place, reason } in unusable {
        match places.entry(reason) {
            Entry::Occupied(mut known) => {
                let (_, last, count) = known.get_mut();
                (*last, *count) = (place, *count + 1);
            }
            Entry::Vacant(new) => {
                order.push(reason);
                new.insert((place, place, 1));
            }
        }
    }
    let shown = order.iter().take(show).filter_map(|reason| {
        let (first, last, count) = places.get(reason)?;
        Some(match count {
            1 => format!("{first}: {reason}"),
            _ => format!("{first} and {} more, the last at {last}: {reason}", grouped(*count as u64 - 1)),
        })
    });
    shown.chain(super::more(order.len(), show)).collect()
}
