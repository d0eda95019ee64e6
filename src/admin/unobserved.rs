//! The answer about a workload that is not observed: what to look at, and which ones are observed, the nearest names
//! first, for a slip of the hand is the usual reason.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observe::WorkloadId;

/// Most names in one answer.
const MOST_NAMES: usize = 10;

/// Why there is no explanation, and what there is one of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unobserved {
    /// What to look at.
    pub error: String,
    /// Workloads that are observed, as `namespace/name`; the nearest names first, ten at most.
    #[serde(default)]
    pub observed: Vec<String>,
    /// How many are observed in all.
    #[serde(default)]
    pub observed_count: usize,
}

impl Unobserved {
    /// About `id`, among those known.
    pub fn new(id: &WorkloadId, known: &BTreeSet<WorkloadId>, idle_after: Duration) -> Self {
        let error = format!(
            "{id} is not observed: KEDA has not asked for it in {} s; is its trigger of type external, with our address?",
            idle_after.as_secs()
        );
        let mut nearest: Vec<&WorkloadId> = known.iter().collect();
        nearest.sort_by_cached_key(|other| Reverse(likeness(id, other)));
        let observed = nearest.iter().take(MOST_NAMES).map(ToString::to_string).collect();
        Self { error, observed, observed_count: known.len() }
    }

    /// The same in sentences.
    pub fn to_text(&self) -> String {
        let Self { error, observed, observed_count } = self;
        if observed.is_empty() {
            return error.clone();
        }
        let more = match observed_count.saturating_sub(observed.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{error}\nobserved are, the nearest names first: {}{more}", observed.join(", "))
    }
}

/// In thousandths; the namespace and the name weigh the same, however long each is.
fn likeness(one: &WorkloadId, other: &WorkloadId) -> u32 {
    let of = |one: &str, other: &str| 500.0 * strsim::normalized_damerau_levenshtein(one, other);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    let likeness = (of(&one.namespace, &other.namespace) + of(&one.name, &other.name)).round() as u32;
    likeness
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> WorkloadId {
        let (namespace, name) = text.split_once('/').unwrap();
        WorkloadId { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn the_nearest_names_come_first() {
        let known: BTreeSet<_> =
            ["shop/packers", "shop/pickers", "returns/packers", "shop/labels"].map(id).into();
        for (asked, expected) in [
            ("shop/pakers", ["shop/packers", "shop/pickers", "shop/labels", "returns/packers"]),
            ("default/packers", ["returns/packers", "shop/packers", "shop/pickers", "shop/labels"]),
        ] {
            let answer = Unobserved::new(&id(asked), &known, Duration::from_mins(15));
            assert_eq!(answer.observed, expected, "{asked}");
        }
    }

    #[test]
    fn of_many_ten_are_named() {
        let known: BTreeSet<_> = (0..37).map(|number| id(&format!("shop/picker-{number:02}"))).collect();
        let answer = Unobserved::new(&id("shop/picker-99"), &known, Duration::from_mins(15));
        let text = answer.to_text();
        assert!(
            text.starts_with("shop/picker-99 is not observed: KEDA has not asked for it in 900 s"),
            "{text}"
        );
        assert!(
            text.contains("\nobserved are, the nearest names first: shop/picker-09, shop/picker-19, "),
            "{text}"
        );
        assert!(text.ends_with(" and 27 more"), "{text}");
        assert_eq!((answer.observed.len(), answer.observed_count), (10, 37));
        let alone = Unobserved::new(&id("shop/picker"), &BTreeSet::new(), Duration::from_mins(15));
        assert_eq!(alone.to_text(), alone.error);
    }
}
