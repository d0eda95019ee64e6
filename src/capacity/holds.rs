//! What this installation holds, kept where a successor finds it: a list in an annotation of the Lease.
//!
//! Who takes the Lease over reads the list. What it does not wish for itself is given back when its time is over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::observe::cluster::HolderKind;

/// Names what holds room.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HolderId {
    /// Buffer or placeholder.
    pub kind: HolderKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for HolderId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}/{}", self.kind.word(), self.namespace, self.name)
    }
}

/// Holders with replicas above 0, and until when they are held unless renewed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Holds(BTreeMap<HolderId, Timestamp>);

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    holder: HolderId,
    until: Timestamp,
}

impl Holds {
    /// Reads the list of a predecessor; one that cannot be read is empty.
    pub fn parse(text: &str) -> Self {
        let lines: Vec<Line> = serde_json::from_str(text).unwrap_or_default();
        Self(lines.into_iter().map(|line| (line.holder, line.until)).collect())
    }

    /// The list for a successor.
    pub fn to_text(&self) -> String {
        let line = |(holder, until): (&HolderId, &Timestamp)| Line { holder: holder.clone(), until: *until };
        let lines: Vec<Line> = self.0.iter().map(line).collect();
        serde_json::to_string(&lines).unwrap_or_default()
    }

    /// Adds what a predecessor held and this one does not.
    pub fn take_over(&mut self, predecessor: Self) {
        for (holder, until) in predecessor.0 {
            self.0.entry(holder).or_insert(until);
        }
    }

    /// It has been written: held until then, or given back with 0.
    pub fn note(&mut self, holder: &HolderId, replicas: u32, until: Timestamp) {
        if replicas > 0 {
            self.0.insert(holder.clone(), until);
        } else {
            self.0.remove(holder);
        }
    }

    /// Drops it without writing: it is gone, or somebody else's.
    pub fn forget(&mut self, holder: &HolderId) {
        self.0.remove(holder);
    }

    /// Until when it is held.
    pub fn until(&self, holder: &HolderId) -> Option<Timestamp> {
        self.0.get(holder).copied()
    }

    /// Those that nobody wishes for: of these `mine` at once, a predecessor's when their time is over.
    pub fn to_give_back(
        &self,
        wished: impl Fn(&HolderId) -> bool,
        mine: impl Fn(&HolderId) -> bool,
        now: Timestamp,
    ) -> Vec<HolderId> {
        let unwished = self.0.iter().filter(|(holder, _)| !wished(holder));
        let due = unwished.filter(|(holder, until)| mine(holder) || **until <= now);
        due.map(|(holder, _)| holder.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str) -> HolderId {
        HolderId { kind: HolderKind::CapacityBuffer, namespace: "shop".to_owned(), name: name.to_owned() }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    #[test]
    fn a_successor_gives_back_what_nobody_wishes_for() {
        let mut old = Holds::default();
        for name in ["pickers", "packers", "returns"] {
            old.note(&holder(name), 5, at(10));
        }
        old.note(&holder("returns"), 0, at(20));
        let mut new = Holds::default();
        new.note(&holder("sorters"), 2, at(12));
        new.take_over(Holds::parse(&old.to_text()));

        let wished = |holder: &HolderId| holder.name == "pickers";
        let mine = |holder: &HolderId| holder.name == "sorters";
        assert_eq!(new.to_give_back(wished, mine, at(5)), [holder("sorters")]);
        assert_eq!(new.to_give_back(wished, mine, at(10)), [holder("packers"), holder("sorters")]);
        assert_eq!(new.until(&holder("returns")), None);
        assert_eq!(Holds::parse("nonsense"), Holds::default());
    }
}
