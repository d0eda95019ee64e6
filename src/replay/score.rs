//! How good a run was: late orders, waits, and what it cost over what had to be.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use super::orders::Orders;
use super::scenario::Scenario;
use super::units::{Millis, SECOND, millis};
use super::world::{Outcomes, Tally, day_of};

/// Orders late after this long without one are another miss.
const MISS_APART: Millis = 1_800 * SECOND;

/// The score of one policy in one scenario, warm-up left out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Score {
    /// The policy.
    pub policy: String,
    /// The scenario.
    pub scenario: String,
    /// Orders scored: those that arrived after the warm-up and were due before the end.
    pub orders: u32,
    /// Of those, begun too late or done after their carrier's dispatch.
    pub late: u32,
    /// Orders, late orders and costs of each scored day.
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
    /// Peak replicas over the least possible.
    pub peak_over_least: f64,
    /// Changes of the replicas a day.
    pub actions_per_day: f64,
    /// Orders taken from a killed worker.
    pub killed: u32,
    /// Times at which orders began to be late, half an hour and more apart.
    pub misses: u32,
    /// Minutes from the warning to the first late order, the mean over all misses, a miss without
    /// one counting as none; null in JSON where the policy never warns or nothing was missed.
    pub warning_minutes: Option<f64>,
    #[serde(skip)]
    waits: Histogram<u32>,
}

/// One day's orders, by the day of arrival, and what the day cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct DayScore {
    /// Orders scored.
    pub orders: u32,
    /// Of those, late.
    pub late: u32,
    /// Hours of pods on nodes.
    pub replica_hours: f64,
    /// Hours of work in the orders completed.
    pub work_hours: f64,
    /// Hours of nodes.
    pub node_hours: f64,
}

/// Times `[from, to]` during which a policy said that orders would be late whatever is done;
/// `None` of a policy that never says so.
pub type Warnings = Option<Vec<(Millis, Millis)>>;

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

    /// Scores a finished run against the scenario's least peak.
    pub fn of(
        policy: &str,
        scenario: &Scenario,
        orders: &Orders,
        (outcomes, tally): (&Outcomes, &Tally),
        least_peak: f64,
        warnings: &Warnings,
    ) -> Self {
        let judged = Judged::new(scenario, orders, outcomes, tally, warnings);
        let concurrency = f64::from(scenario.service.concurrency);
        let mut score = Self {
            policy: policy.to_owned(),
            scenario: scenario.name.clone(),
            orders: judged.days.iter().map(|day| day.orders).sum(),
            late: judged.days.iter().map(|day| day.late).sum(),
            wait_p50_seconds: 0.0,
            wait_p99_seconds: 0.0,
            wait_max_seconds: 0.0,
            replica_hours: tally.replica_seconds() / 3_600.0,
            work_hours: tally.work_seconds() / concurrency / 3_600.0,
            node_hours: tally.node_seconds() / 3_600.0,
            peak_replicas: tally.peak_replicas(),
            peak_nodes: tally.peak_nodes(),
            least_peak,
            peak_over_least: f64::from(tally.peak_replicas()) / least_peak.max(1e-9),
            actions_per_day: tally.actions_per_day(),
            killed: tally.orders_killed(),
            misses: judged.misses,
            warning_minutes: judged.warning_minutes,
            days: judged.days,
            waits: judged.waits,
        };
        score.read_waits();
        score
    }

    fn read_waits(&mut self) {
        let seconds = |millis: u64| millis as f64 / 1_000.0;
        self.wait_p50_seconds = seconds(self.waits.value_at_quantile(0.5));
        self.wait_p99_seconds = seconds(self.waits.value_at_quantile(0.99));
        self.wait_max_seconds = seconds(self.waits.max());
    }

    /// The same policy's scores in several runs of one kind as one score: days side by side, sums
    /// of what adds up, means of what is over the least of its own run. `None` of nothing.
    pub fn pooled(scores: &[Self]) -> Option<Self> {
        let (first, rest) = scores.split_first()?;
        let mut pool = first.clone();
        let mean = |value: fn(&Self) -> f64| scores.iter().map(value).sum::<f64>() / scores.len() as f64;
        pool.peak_over_least = mean(|score| score.peak_over_least);
        pool.actions_per_day = mean(|score| score.actions_per_day);
        let warned: f64 =
            scores.iter().filter_map(|one| Some(one.warning_minutes? * f64::from(one.misses))).sum();
        for score in rest {
            pool.orders += score.orders;
            pool.late += score.late;
            pool.days.extend_from_slice(&score.days);
            pool.replica_hours += score.replica_hours;
            pool.work_hours += score.work_hours;
            pool.node_hours += score.node_hours;
            pool.peak_replicas = pool.peak_replicas.max(score.peak_replicas);
            pool.peak_nodes = pool.peak_nodes.max(score.peak_nodes);
            pool.least_peak = pool.least_peak.max(score.least_peak);
            pool.killed += score.killed;
            pool.misses += score.misses;
            // both grow by themselves, so that nothing is out of range
            pool.waits += &score.waits;
        }
        let warns = scores.iter().any(|score| score.warning_minutes.is_some());
        pool.warning_minutes = (warns && pool.misses > 0).then(|| warned / f64::from(pool.misses));
        pool.read_waits();
        Some(pool)
    }
}

/// What the orders of a run say.
struct Judged {
    days: Vec<DayScore>,
    waits: Histogram<u32>,
    misses: u32,
    warning_minutes: Option<f64>,
}

impl Judged {
    fn new(
        scenario: &Scenario,
        orders: &Orders,
        outcomes: &Outcomes,
        tally: &Tally,
        warnings: &Warnings,
    ) -> Self {
        let bounds = scenario.scored_days();
        let (from, to) = (scenario.scored_from(), scenario.end());
        let dispatches = scenario.dispatches(&orders.arrivals);
        let wait = scenario.goal.target_wait_seconds.map(millis);
        let mut days = day_costs(scenario, tally);
        let mut waits = waits();
        let mut late_at = Vec::new();
        let first = orders.arrivals.partition_point(|arrival| *arrival < from);
        for (order, dispatch) in dispatches.iter().enumerate().skip(first) {
            let arrival = orders.arrivals[order];
            let due = wait.map_or(i64::MAX, |wait| arrival + wait);
            let dispatch = dispatch.unwrap_or(i64::MAX);
            if due.min(dispatch) > to {
                continue; // whether it is late lies beyond the simulated time
            }
            let start = outcomes.starts[order];
            // due by the end, so that it came on one of the days
            let Some(day) = day_of(&bounds, arrival).and_then(|day| days.get_mut(day)) else { continue };
            day.orders += 1;
            if start > due || outcomes.completions[order] > dispatch {
                day.late += 1;
                late_at.push(due.min(dispatch));
            }
            // the histogram grows by itself, so that no wait is out of its range
            let _ = waits.record((start.min(to) - arrival).unsigned_abs());
        }
        late_at.sort_unstable();
        let (misses, warning_minutes) = warned(&late_at, warnings);
        Self { days, waits, misses, warning_minutes }
    }
}

/// A histogram of waits in milliseconds, exact to a thousandth.
fn waits() -> Histogram<u32> {
    match Histogram::new(3) {
        Ok(waits) => waits,
        Err(_) => unreachable!("three digits are allowed"),
    }
}

fn day_costs(scenario: &Scenario, tally: &Tally) -> Vec<DayScore> {
    let concurrency = f64::from(scenario.service.concurrency);
    let costs = tally.days().iter().map(|day| DayScore {
        replica_hours: day.replica_seconds() / 3_600.0,
        work_hours: day.work_seconds() / concurrency / 3_600.0,
        node_hours: day.node_seconds() / 3_600.0,
        ..DayScore::default()
    });
    costs.collect()
}

/// Misses among the sorted moments at which orders became late, and the mean minutes of warning.
fn warned(late_at: &[Millis], warnings: &Warnings) -> (u32, Option<f64>) {
    let mut misses = 0_u32;
    let mut minutes = 0.0;
    let mut before = Millis::MIN / 2;
    for &at in late_at {
        if at - before > MISS_APART {
            misses += 1;
            let spans = warnings.iter().flatten();
            let ahead = spans.filter(|(from, to)| (*from..=*to).contains(&at)).map(|(from, _)| at - from);
            minutes += ahead.max().unwrap_or(0) as f64 / 60_000.0;
        }
        before = at;
    }
    (misses, (warnings.is_some() && misses > 0).then(|| minutes / f64::from(misses)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_is_warned_of_by_the_span_that_reaches_it() {
        let minute = 60 * SECOND;
        let late = [100 * minute, 101 * minute, 200 * minute];
        let spans = Some(vec![(90 * minute, 105 * minute), (150 * minute, 160 * minute)]);
        assert_eq!(warned(&late, &spans), (2, Some(5.0)));
        assert_eq!(warned(&late, &None), (2, None));
        assert_eq!(warned(&[], &spans), (0, None));
    }
}
