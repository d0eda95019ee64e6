//! What a run has cost and done, day by day, within the scored time only.

use crate::replay::units::{Millis, count, seconds};

/// One scored day's account.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DayTally {
    /// Pods on nodes, nodes and workers at work, each times milliseconds.
    pods: i64,
    nodes: i64,
    work: i64,
}

/// Which of the days that begin at `bounds` a moment is in; the last bound is where the last day ends.
pub fn day_of(bounds: &[Millis], at: Millis) -> Option<usize> {
    let day = bounds.partition_point(|bound| *bound <= at).checked_sub(1)?;
    (day + 1 < bounds.len()).then_some(day)
}

/// What a run has cost and done, within the scored time only.
#[derive(Debug, Clone)]
pub struct Tally {
    /// When each scored day begins, and when the last one ends.
    bounds: Vec<Millis>,
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
    /// An empty account of days that begin at `bounds`; the last of them is where the last day ends.
    pub(super) fn new(bounds: Vec<Millis>) -> Self {
        Self {
            days: vec![DayTally::default(); bounds.len().saturating_sub(1)],
            bounds,
            last: 0,
            wanted: 0,
            pods: 0,
            nodes: 0,
            peak_replicas: 0,
            peak_nodes: 0,
            actions: 0,
            killed: 0,
        }
    }

    /// Books the time until `now` at the present numbers of pods and nodes.
    fn book(&mut self, now: Millis) {
        let (last, wanted) = (self.last, self.wanted);
        let first = day_of(&self.bounds, last).unwrap_or(0);
        for (bounds, day) in self.bounds.windows(2).zip(&mut self.days).skip(first) {
            let booked = now.min(bounds[1]) - last.max(bounds[0]);
            if booked <= 0 {
                break;
            }
            self.peak_replicas = self.peak_replicas.max(wanted);
            self.peak_nodes = self.peak_nodes.max(self.nodes);
            day.pods += i64::from(self.pods) * booked;
            day.nodes += i64::from(self.nodes) * booked;
        }
        self.last = now;
    }

    fn scored(&self, now: Millis) -> bool {
        day_of(&self.bounds, now).is_some()
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
        if let Some(day) = day_of(&self.bounds, now).and_then(|day| self.days.get_mut(day)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::units::HOUR;

    #[test]
    fn time_is_booked_on_the_day_that_it_is_in() {
        let bounds = [24, 47, 71].map(|hour| hour * HOUR).to_vec();
        let days = [0, 24, 46, 47, 70, 71].map(|hour| day_of(&bounds, hour * HOUR));
        assert_eq!(days, [None, Some(0), Some(0), Some(1), Some(1), None]);
        let mut tally = Tally::new(bounds);
        tally.pods(0, 2);
        tally.pods(30 * HOUR, 1);
        tally.worked(47 * HOUR - 1, HOUR);
        tally.close(80 * HOUR);
        let pods: Vec<f64> = tally.days().iter().map(|day| day.replica_seconds() / 3_600.0).collect();
        assert_eq!(pods, [6.0 * 2.0 + 17.0 * 3.0, 24.0 * 3.0]);
        assert_eq!(tally.days().iter().map(DayTally::work_seconds).collect::<Vec<_>>(), [3_600.0, 0.0]);
    }
}
