//! The day's score: ours, KEDA's formula at its best, and a fixed fleet, on the same orders.
//!
//! A [`Judge`] counts late orders of a stretch of the day; an [`Account`] takes what a centre has
//! cost in it. [`play`] does the whole comparison in the simulator, without a server.

use std::fmt;
use std::sync::Arc;

use comfy_table::{Cell as TableCell, CellAlignment, Table, presets};
use serde::Serialize;

use super::contenders::{Contender, Kind, Rivals};
use super::day::{Day, Stretch};
use crate::replay::orders::Orders;
use crate::replay::run::Cell;
use crate::replay::scenario::{Scenario, ScenarioError};
use crate::replay::units::{HOUR, Millis, index, millis};
use crate::replay::world::{Outcomes, World};

/// Knows when each order of the day is late.
#[derive(Debug)]
pub struct Judge {
    orders: Arc<Orders>,
    dispatches: Vec<Option<Millis>>,
    wait: Option<Millis>,
}

impl Judge {
    /// For the orders of a cell.
    pub fn new(cell: &Cell) -> Self {
        let orders = cell.orders().clone();
        Self {
            dispatches: cell.scenario().dispatches(&orders.arrivals),
            wait: cell.scenario().goal.target_wait_seconds.map(millis),
            orders,
        }
    }

    /// Orders that arrived from `stretch.from` on and were due by `stretch.to`, and of those the
    /// ones begun after the target wait or done after their carrier's dispatch.
    pub fn count(&self, outcomes: &Outcomes, stretch: Stretch) -> Lateness {
        let arrivals = &self.orders.arrivals;
        let first = arrivals.partition_point(|arrival| *arrival < stretch.from);
        let last = arrivals.partition_point(|arrival| *arrival <= stretch.to);
        let mut lateness = Lateness::default();
        for (order, arrival) in arrivals.iter().enumerate().take(last).skip(first) {
            let due = self.wait.map_or(Millis::MAX, |wait| arrival + wait);
            let dispatch = self.dispatches[order].unwrap_or(Millis::MAX);
            if due.min(dispatch) > stretch.to {
                continue;
            }
            let begun_late = due <= stretch.to && outcomes.starts[order] > due;
            let done_late = dispatch <= stretch.to && outcomes.completions[order] > dispatch;
            lateness.orders += 1;
            lateness.late += u64::from(begun_late || done_late);
        }
        lateness
    }
}

/// Orders, and how many of them were late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Orders judged.
    pub orders: u64,
    /// Of those, late.
    pub late: u64,
}

/// What a centre has cost since its start.
#[derive(Debug, Clone)]
pub struct Account {
    /// What became of each order.
    pub outcomes: Outcomes,
    /// Seconds of pods on nodes.
    pub replica_seconds: f64,
    /// Seconds of work in the orders completed.
    pub work_seconds: f64,
}

impl Account {
    /// Until the world's present moment.
    pub fn of(world: &World) -> Self {
        let concurrency = f64::from(world.scenario().service.concurrency);
        let (outcomes, tally) = world.clone().finish();
        Self {
            outcomes,
            replica_seconds: tally.replica_seconds(),
            work_seconds: tally.work_seconds() / concurrency,
        }
    }
}

/// One line of the score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Who decided.
    pub kind: Kind,
    /// For a person.
    pub name: String,
    /// Orders begun too late or done after their carrier's dispatch.
    pub late_orders: u64,
    /// Hours of pods on nodes.
    pub replica_hours: f64,
    /// The same over the hours of work in the orders; `None` before the first was completed.
    pub hours_over_work: Option<f64>,
    /// Most replicas wanted at once.
    pub peak_replicas: u32,
}

/// The score of a stretch of one day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayScore {
    /// Which day.
    pub scenario: &'static str,
    /// Its date.
    pub date: String,
    /// What it was drawn from.
    pub seed: u64,
    /// Hour of the day from which orders are judged.
    pub from_hour: f64,
    /// Hour of the day until which they are.
    pub to_hour: f64,
    /// Longest wait before work starts, in seconds.
    pub target_wait_seconds: f64,
    /// Mean pod lead time in seconds.
    pub pod_lead_seconds: f64,
    /// Mean node lead time in seconds.
    pub node_lead_seconds: f64,
    /// Orders judged.
    pub orders: u64,
    /// Ours first.
    pub decided_by: Vec<Line>,
}

impl DayScore {
    /// An empty score of what is played.
    pub fn new(day: Day, scenario: &Scenario, stretch: Stretch, orders: u64, decided_by: Vec<Line>) -> Self {
        let hour = |time: Millis| time as f64 / HOUR as f64;
        Self {
            scenario: day.name(),
            date: scenario.start.strftime("%A %Y-%m-%d").to_string(),
            seed: scenario.seed,
            from_hour: hour(stretch.from),
            to_hour: hour(stretch.to),
            target_wait_seconds: scenario.goal.target_wait_seconds.unwrap_or_default(),
            pod_lead_seconds: scenario.pods.lead_seconds,
            node_lead_seconds: scenario.nodes.lead_seconds,
            orders,
            decided_by,
        }
    }
}

/// What the score's words mean, for page and terminal.
pub fn explanation(scenario: &Scenario) -> String {
    format!(
        "Late: work begun more than {} s after the order came in, or done after its carrier's dispatch. \
         Over the work: replica-hours divided by the hours of work in the orders. \
         KEDA's queueLength and the fixed fleet are those that do best on the whole of what is played of this very day, \
         found by trying: nobody knows them before.",
        scenario.goal.target_wait_seconds.unwrap_or_default()
    )
}

/// `8.5` as `08:30`.
pub fn wall_clock(hour: f64) -> String {
    let minutes = index(millis(hour * 60.0) / 1_000);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

impl fmt::Display for DayScore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} ({}, seed {}), {} to {}: {} orders; wait {} s, pods {} s, nodes {} s",
            self.scenario,
            self.date,
            self.seed,
            wall_clock(self.from_hour),
            wall_clock(self.to_hour),
            self.orders,
            self.target_wait_seconds,
            self.pod_lead_seconds,
            self.node_lead_seconds,
        )?;
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["decided by", "late orders", "replica-hours", "over the work", "peak replicas"]);
        for line in &self.decided_by {
            let number = |text: String| TableCell::new(text).set_alignment(CellAlignment::Right);
            table.add_row([
                TableCell::new(&line.name),
                number(line.late_orders.to_string()),
                number(format!("{:.1}", line.replica_hours)),
                number(line.hours_over_work.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}"))),
                number(line.peak_replicas.to_string()),
            ]);
        }
        write!(formatter, "{table}")
    }
}

/// Plays a stretch of a day in the simulator with the very core of the server, and the rivals.
///
/// # Errors
/// When the day's scenario contradicts itself.
pub fn play(day: Day, seed: Option<u64>, stretch: Stretch) -> Result<DayScore, ScenarioError> {
    let cell = Cell::new(day.scenario(seed)?)?;
    let judge = Judge::new(&cell);
    let mut ours = Contender::ours(&cell, stretch);
    ours.advance_to(stretch.to);
    let (line, lateness) = ours.line(&judge, stretch);
    let mut decided_by = vec![line];
    for mut rival in Rivals::find(&cell, &judge, stretch).contenders(&cell, stretch) {
        rival.advance_to(stretch.to);
        decided_by.push(rival.line(&judge, stretch).0);
    }
    Ok(DayScore::new(day, cell.scenario(), stretch, lateness.orders, decided_by))
}
