//! The room for a workload and what stands in the plan's way, for `explain`.

use std::fmt::Write as _;

use comfy_table::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capacity::findings::{named_holder, of_entry};
use crate::capacity::{Coordination, Finding, HoldStatus};
use crate::engine::Entry;
use crate::observe::cluster::facts::ClaimFacts;
use crate::observe::cluster::lead_times::MeasuredLeads;

/// The room for a workload, as the cluster has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomExplanation {
    /// The NodePool that the trigger names.
    pub node_pool: Option<String>,
    /// Nodes of it on which pods can be started.
    pub nodes: usize,
    /// Nodes asked for and not there yet.
    pub nodes_coming: usize,
    /// Pods that fit on them now; absent where it cannot be counted.
    pub free_slots: Option<u32>,
    /// Pods that will fit on nodes that are coming.
    pub coming_slots: Option<u32>,
    /// Lead times as measured.
    pub leads: MeasuredLeads,
    /// What holds room ahead, in words.
    pub holder: Option<String>,
    /// Its replicas.
    pub held: Option<u32>,
    /// What this process wished for and wrote.
    pub hold: Option<HoldStatus>,
    /// Whether this process is the one that writes.
    pub is_leader: bool,
}

impl RoomExplanation {
    /// Of an entry; `None` where no cluster tells or the trigger names neither nodes nor what holds room.
    pub fn of(entry: &Entry, coordination: &Coordination) -> Option<Self> {
        let trigger = &entry.accepted()?.trigger;
        let snapshot = entry.snapshot()?;
        let facts = snapshot.capacity.as_deref()?;
        let holder = named_holder(trigger);
        if trigger.node_pool.is_none() && holder.is_none() {
            return None;
        }
        let is_coming = facts.claims.iter().filter(|claim| claim.is_coming()).count();
        let is_there = |claim: &&ClaimFacts| !claim.is_going && claim.life.initialized.is_some();
        Some(Self {
            node_pool: trigger.node_pool.clone(),
            nodes: facts.claims.iter().filter(is_there).count(),
            nodes_coming: is_coming,
            free_slots: facts.slots.map(|slots| slots.free_slots),
            coming_slots: facts.slots.map(|slots| slots.coming),
            leads: facts.leads,
            holder: holder.map(|(kind, name)| format!("{} {name}", kind.word())),
            held: facts.holder.found().map(|holder| holder.replicas),
            hold: coordination.hold_of(entry.id()),
            is_leader: coordination.is_leader(),
        })
    }

    /// Adds rows of name, value and unit.
    pub(super) fn add_rows(&self, table: &mut Table) {
        let mut row = |name: &str, value: Option<String>, unit: &str| {
            if let Some(value) = value {
                table.add_row([name, &value, unit]);
            }
        };
        if let Some(pool) = &self.node_pool {
            let unit = format!("initialized of {pool}, {} coming", self.nodes_coming);
            row("nodes", Some(self.nodes.to_string()), &unit);
            let unit = format!("pods, {} on nodes that are coming", self.coming_slots.unwrap_or(0));
            row("free room", self.free_slots.map(|slots| slots.to_string()), &unit);
        }
        let wished = self.hold.as_ref().and_then(|hold| hold.wished);
        row("wished room", wished.map(|room| room.to_string()), "pods, to be held ahead");
        if let Some(holder) = &self.holder {
            let who = if self.is_leader { "written by this replica" } else { "as it stands there" };
            row("held room", self.held.map(|held| held.to_string()), &format!("pods by {holder}, {who}"));
        }
        let leads = &self.leads;
        let seconds = |value: Option<f64>| value.map(|seconds| format!("{seconds:.0}"));
        let unit = format!("s created to ready, of {} pods (90 %)", leads.pod_samples);
        row("pod lead", seconds(leads.pod_seconds), &unit);
        let parts: Vec<String> =
            [("launched", leads.launched_seconds), ("registered", leads.registered_seconds)]
                .iter()
                .filter_map(|(name, seconds)| seconds.map(|seconds| format!("{name} {seconds:.0}")))
                .collect();
        let parts = if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) };
        let unit = format!("s asked for to initialized, of {} nodes (90 %){parts}", leads.node_samples);
        row("node lead", seconds(leads.node_seconds), &unit);
    }
}

/// The findings on an entry, the worst first.
pub(super) fn findings(entry: &Entry, coordination: &Coordination, now: Timestamp) -> Vec<Finding> {
    of_entry(entry, coordination, now)
}

/// One line a finding.
pub(super) fn write_findings(text: &mut String, findings: &[Finding]) {
    for finding in findings {
        let _ = writeln!(
            text,
            "  Finding ({}): {}.",
            finding.severity.word(),
            finding.text.trim_end_matches('.')
        );
    }
}
