//! Time integrals and counts over the scored time.

use crate::replay::units::{Millis, seconds};

/// What a run has cost and done, within the scored time only.
#[derive(Debug, Clone)]
pub struct Tally {
    from: Millis,
    to: Millis,
    last: Millis,
    wanted: u32,
    pods: u32,
    nodes: u32,
    pod_millis: i64,
    node_millis: i64,
    work_millis: i64,
    peak_replicas: u32,
    peak_nodes: u32,
    actions: u32,
    killed: u32,
}

impl Tally {
    /// An empty account of `[from, to)`.
    pub(super) fn new(from: Millis, to: Millis) -> Self {
        Self {
            from,
            to,
            last: 0,
            wanted: 0,
            pods: 0,
            nodes: 0,
            pod_millis: 0,
            node_millis: 0,
            work_millis: 0,
            peak_replicas: 0,
            peak_nodes: 0,
            actions: 0,
            killed: 0,
        }
    }

    /// Books the time until `now` at the present numbers of pods and nodes.
    fn book(&mut self, now: Millis) {
        let span = now.min(self.to) - self.last.max(self.from);
        if span > 0 {
            self.pod_millis += i64::from(self.pods) * span;
            self.node_millis += i64::from(self.nodes) * span;
            self.peak_replicas = self.peak_replicas.max(self.wanted);
            self.peak_nodes = self.peak_nodes.max(self.nodes);
        }
        self.last = now;
    }

    fn scored(&self, now: Millis) -> bool {
        (self.from..self.to).contains(&now)
    }

    /// The number of pods that hold a place on a node, from `now` on.
    pub(super) fn pods(&mut self, now: Millis, change: i32) {
        self.book(now);
        self.pods = self.pods.saturating_add_signed(change);
    }

    /// The number of nodes bought, from `now` on.
    pub(super) fn nodes(&mut self, now: Millis, change: i32) {
        self.book(now);
        self.nodes = self.nodes.saturating_add_signed(change);
    }

    /// Replicas wanted have changed.
    pub(super) fn wanted(&mut self, now: Millis, wanted: u32) {
        self.book(now);
        self.wanted = wanted;
        self.actions += u32::from(self.scored(now));
    }

    /// An order was completed after so much work.
    pub(super) fn worked(&mut self, now: Millis, work: Millis) {
        if self.scored(now) {
            self.work_millis += work;
        }
    }

    /// Orders were taken from a killed worker.
    pub(super) fn killed(&mut self, now: Millis, orders: u32) {
        if self.scored(now) {
            self.killed += orders;
        }
    }

    /// Books until the end.
    pub(super) fn close(&mut self, now: Millis) {
        self.book(now);
    }

    /// Seconds of pods on nodes, summed.
    pub fn replica_seconds(&self) -> f64 {
        seconds(self.pod_millis)
    }

    /// Seconds of nodes from claim to removal, summed.
    pub fn node_seconds(&self) -> f64 {
        seconds(self.node_millis)
    }

    /// Seconds of work in the orders completed.
    pub fn work_seconds(&self) -> f64 {
        seconds(self.work_millis)
    }

    /// Most replicas wanted at any time.
    pub fn peak_replicas(&self) -> u32 {
        self.peak_replicas
    }

    /// Most nodes at any time.
    pub fn peak_nodes(&self) -> u32 {
        self.peak_nodes
    }

    /// Changes of the replicas wanted.
    pub fn actions(&self) -> u32 {
        self.actions
    }

    /// Orders that a killed worker had in hand.
    pub fn orders_killed(&self) -> u32 {
        self.killed
    }
}
