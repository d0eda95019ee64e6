//! What a run has cost and done, day by day, within the scored time only.

use crate::replay::units::{DAY, Millis, count, index, seconds};

/// One scored day's account.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DayTally {
    /// Pods on nodes, nodes and workers at work, each times milliseconds.
    pods: i64,
    nodes: i64,
    work: i64,
}

/// What a run has cost and done, within the scored time only.
#[derive(Debug, Clone)]
pub struct Tally {
    from: Millis,
    to: Millis,
    last: Millis,
    wanted: u32,
    pods: u32,
    nodes: u32,
    days: Vec<DayTally>,
    peak_replicas: u32,
    peak_nodes: u32,
    actions: u32,
    killed: u32,
}

impl Tally {
    /// An empty account of `[from, to)`, whole days.
    pub(super) fn new(from: Millis, to: Millis) -> Self {
        Self {
            from,
            to,
            last: 0,
            wanted: 0,
            pods: 0,
            nodes: 0,
            days: vec![DayTally::default(); index((to - from) / DAY)],
            peak_replicas: 0,
            peak_nodes: 0,
            actions: 0,
            killed: 0,
        }
    }

    /// Books the time until `now` at the present numbers of pods and nodes.
    fn book(&mut self, now: Millis) {
        let until = now.min(self.to);
        let mut at = self.last.max(self.from);
        if at < until {
            self.peak_replicas = self.peak_replicas.max(self.wanted);
            self.peak_nodes = self.peak_nodes.max(self.nodes);
        }
        while at < until {
            let day = (at - self.from) / DAY;
            let end = until.min(self.from + (day + 1) * DAY);
            if let Some(day) = self.days.get_mut(index(day)) {
                day.pods += i64::from(self.pods) * (end - at);
                day.nodes += i64::from(self.nodes) * (end - at);
            }
            at = end;
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
        if self.scored(now)
            && let Some(day) = self.days.get_mut(index((now - self.from) / DAY))
        {
            day.work += work;
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

    /// The account of each scored day.
    pub fn days(&self) -> &[DayTally] {
        &self.days
    }

    /// Seconds of pods on nodes, summed.
    pub fn replica_seconds(&self) -> f64 {
        self.days.iter().map(DayTally::replica_seconds).sum()
    }

    /// Seconds of nodes from claim to removal, summed.
    pub fn node_seconds(&self) -> f64 {
        self.days.iter().map(DayTally::node_seconds).sum()
    }

    /// Seconds of work in the orders completed.
    pub fn work_seconds(&self) -> f64 {
        self.days.iter().map(DayTally::work_seconds).sum()
    }

    /// Most replicas wanted at any time.
    pub fn peak_replicas(&self) -> u32 {
        self.peak_replicas
    }

    /// Most nodes at any time.
    pub fn peak_nodes(&self) -> u32 {
        self.peak_nodes
    }

    /// Changes of the replicas wanted, a scored day.
    pub fn actions_per_day(&self) -> f64 {
        f64::from(self.actions) / f64::from(count(self.days.len()).max(1))
    }

    /// Orders that a killed worker had in hand.
    pub fn orders_killed(&self) -> u32 {
        self.killed
    }
}

impl DayTally {
    /// Seconds of pods on nodes, summed.
    pub fn replica_seconds(&self) -> f64 {
        seconds(self.pods)
    }

    /// Seconds of nodes from claim to removal, summed.
    pub fn node_seconds(&self) -> f64 {
        seconds(self.nodes)
    }

    /// Seconds of work in the orders completed.
    pub fn work_seconds(&self) -> f64 {
        seconds(self.work)
    }
}
