//! How good a run was: late orders, waits, and what it cost over what had to be.

use serde::Serialize;

use super::least::least_peak;
use super::orders::Orders;
use super::scenario::Scenario;
use super::units::{DAY, index, millis, seconds};
use super::world::{Outcomes, Tally, World};

/// The score of one policy in one scenario, warm-up left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// The policy.
    pub policy: String,
    /// The scenario.
    pub scenario: String,
    /// Orders scored: those that arrived after the warm-up and were due before the end.
    pub orders: u32,
    /// Of those, begun too late or done after their carrier's dispatch.
    pub late: u32,
    /// Orders and late orders of each scored day.
    pub days: Vec<DayScore>,
    /// Median wait until the work began, seconds.
    pub wait_p50_seconds: f64,
    /// 99th percentile of the wait, seconds.
    pub wait_p99_seconds: f64,
    /// Longest wait, seconds.
    pub wait_max_seconds: f64,
    /// Hours of pods on nodes.
    pub replica_hours: f64,
    /// Hours of work in the orders completed.
    pub work_hours: f64,
    /// Hours of nodes.
    pub node_hours: f64,
    /// Most replicas wanted at once.
    pub peak_replicas: u32,
    /// Most nodes at once.
    pub peak_nodes: u32,
    /// The least peak that keeps every order in time.
    pub least_peak: f64,
    /// Changes of the replicas a day.
    pub actions_per_day: f64,
    /// Orders taken from a killed worker.
    pub killed: u32,
}

/// One day's orders, by the day of arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DayScore {
    /// Orders scored.
    pub orders: u32,
    /// Of those, late.
    pub late: u32,
}

impl Score {
    /// Share of orders late, 0 to 1.
    pub fn late_share(&self) -> f64 {
        f64::from(self.late) / f64::from(self.orders.max(1))
    }

    /// Share of orders in time on the worst day, 0 to 1.
    pub fn worst_day(&self) -> f64 {
        let share = |day: &DayScore| 1.0 - f64::from(day.late) / f64::from(day.orders.max(1));
        self.days.iter().map(share).fold(1.0, f64::min)
    }

    /// Replica-hours over the work's hours.
    pub fn hours_over_work(&self) -> f64 {
        self.replica_hours / self.work_hours.max(1e-9)
    }

    /// Peak replicas over the least possible.
    pub fn peak_over_least(&self) -> f64 {
        f64::from(self.peak_replicas) / self.least_peak.max(1e-9)
    }

    /// Scores a finished run. `peak` is the scenario's [`least_peak`], where already known.
    pub fn of(
        policy: &str,
        scenario: &Scenario,
        orders: &Orders,
        outcomes: &Outcomes,
        tally: &Tally,
        peak: Option<f64>,
    ) -> Self {
        let (from, to) = (scenario.scored_from(), scenario.end());
        let dispatches = scenario.dispatches(&orders.arrivals);
        let wait = scenario.goal.target_wait_seconds.map(millis);
        let mut days = vec![DayScore::default(); index(i64::from(scenario.days - scenario.warm_up_days))];
        let mut waits = Vec::with_capacity(orders.len());
        let first = orders.arrivals.partition_point(|arrival| *arrival < from);
        for (order, dispatch) in dispatches.iter().enumerate().skip(first) {
            let arrival = orders.arrivals[order];
            let due = wait.map_or(i64::MAX, |wait| arrival + wait);
            let dispatch = dispatch.unwrap_or(i64::MAX);
            if due.min(dispatch) > to {
                continue; // whether it is late lies beyond the simulated time
            }
            let start = outcomes.starts[order];
            let late = start > due || outcomes.completions[order] > dispatch;
            let day = &mut days[index((arrival - from) / DAY)];
            day.orders += 1;
            day.late += u32::from(late);
            waits.push(start.min(to) - arrival);
        }
        waits.sort_unstable();
        let percentile = |share: f64| {
            let rank = (share * waits.len() as f64).ceil();
            let rank = super::units::ceil(rank) as usize;
            rank.checked_sub(1).map_or(0.0, |rank| seconds(waits[rank]))
        };
        Self {
            policy: policy.to_owned(),
            scenario: scenario.name.clone(),
            orders: days.iter().map(|day| day.orders).sum(),
            late: days.iter().map(|day| day.late).sum(),
            wait_p50_seconds: percentile(0.5),
            wait_p99_seconds: percentile(0.99),
            wait_max_seconds: percentile(1.0),
            replica_hours: tally.replica_seconds() / 3_600.0,
            work_hours: tally.work_seconds() / f64::from(scenario.service.concurrency) / 3_600.0,
            node_hours: tally.node_seconds() / 3_600.0,
            peak_replicas: tally.peak_replicas(),
            peak_nodes: tally.peak_nodes(),
            least_peak: peak.unwrap_or_else(|| least_peak(scenario, orders, from, to)),
            actions_per_day: f64::from(tally.actions()) / days.len().max(1) as f64,
            killed: tally.orders_killed(),
            days,
        }
    }
}

/// Orders due so far in a centre that is still running, and how many of them were late.
pub fn late_so_far(world: &World) -> DayScore {
    let scenario = world.scenario();
    let arrivals = &world.orders().arrivals[..world.arrived() as usize];
    let wait = scenario.goal.target_wait_seconds.map(millis);
    let outcomes = world.outcomes();
    let mut score = DayScore::default();
    for (order, (arrival, dispatch)) in arrivals.iter().zip(scenario.dispatches(arrivals)).enumerate() {
        let due = wait.map_or(i64::MAX, |wait| arrival + wait);
        let dispatch = dispatch.unwrap_or(i64::MAX);
        let (start, completion) = (outcomes.starts[order], outcomes.completions[order]);
        if completion <= world.now() || due.min(dispatch) <= world.now() {
            score.orders += 1;
            score.late += u32::from(
                (start > due && due <= world.now()) || (completion > dispatch && dispatch <= world.now()),
            );
        }
    }
    score
}
