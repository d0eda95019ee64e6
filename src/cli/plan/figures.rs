//! What came of a plan: hour by hour, cut-off by cut-off, limit by limit, and the sentences that
//! people act on.

mod advice;
mod text;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::PlanArguments;
use super::demand::Demand;
use super::raises::Raise;
use super::runs::{LevelRun, Limits};
use crate::cli::backtest::figures::about_killed;
use crate::cli::centre::{Assumption, Centre};
use crate::cli::report::words::{counted, grouped};
use crate::replay::keda::ScaledObject;
use crate::replay::scenario::Scenario;
use crate::replay::trail::{Point, STEP};
use crate::replay::units::{HOUR, Millis, count, millis, timestamp};

/// The days that were planned.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Plan")]
pub(in crate::cli) struct Report {
    /// Always `plan`.
    pub(super) command: &'static str,
    /// Version of the binary.
    pub(super) version: &'static str,
    /// Whose plan it is, and for when.
    pub(super) title: String,
    /// The first day.
    pub(super) on: Date,
    /// How many days.
    pub(super) days: u32,
    /// The zone whose days and hours these are.
    pub(super) time_zone: String,
    /// Quantiles of the orders, ascending; lists of one figure a quantile are in this order.
    pub(super) quantiles: Vec<f64>,
    /// The quantile at which nothing may fail.
    pub(super) at: f64,
    /// Its place among the quantiles.
    #[serde(skip)]
    pub(super) deciding: usize,
    /// Whether orders are late at that quantile: exit code 2.
    pub(super) fails: bool,
    /// What to do, one sentence each; what is fine where nothing is to be done.
    pub(super) sentences: Vec<String>,
    /// The days in all, one for each quantile.
    pub(super) totals: Vec<Total>,
    /// Limits against what is needed.
    pub(super) limits: Vec<LimitReport>,
    /// Carriers' cut-offs.
    pub(super) cut_offs: Vec<CutOffReport>,
    /// Hour by hour.
    pub(super) hours: Vec<HourReport>,
    /// What the plan rests on.
    pub(super) assumptions: Vec<Assumption>,
    /// What else is to be known.
    pub(super) notes: Vec<String>,
    /// Whether workers are killed in the middle of orders, at the deciding quantile.
    #[serde(skip)]
    by_kills: bool,
}

/// One quantile in all.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(super) struct Total {
    /// Of the orders.
    pub(super) quantile: f64,
    /// Orders that come.
    pub(super) orders: u32,
    /// Late orders within the limits.
    pub(super) late: u32,
    /// Late orders without limits: pods and nodes need their time all the same.
    pub(super) late_without_limits: u32,
    /// Most replicas, without limits.
    pub(super) peak_replicas: u32,
    /// Most nodes, without limits.
    pub(super) peak_nodes: u32,
    /// Node-hours, within the limits.
    pub(super) node_hours: f64,
    /// Their price; null without `--price-per-node-hour`.
    pub(super) node_cost: Option<f64>,
}

/// One limit against what is needed; one figure a quantile.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct LimitReport {
    /// Which limit.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) value: u32,
    /// What is needed without limits.
    pub(super) needed: Vec<u32>,
    /// From when it binds at the deciding quantile; null where it does not.
    pub(super) binds_from: Option<Timestamp>,
}

/// One carrier's cut-off of one date; one figure a quantile.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct CutOffReport {
    /// Its name.
    pub(super) carrier: String,
    /// Until when orders make it.
    pub(super) cut_off: Timestamp,
    /// When the carrier leaves.
    pub(super) dispatch: Timestamp,
    /// Orders that make it.
    pub(super) orders: Vec<u32>,
    /// Of those, lost within the limits.
    pub(super) lost: Vec<u32>,
    /// Of those, lost without limits.
    pub(super) lost_without_limits: Vec<u32>,
    /// Whether orders are lost at the deciding quantile.
    pub(super) fails: bool,
}

/// One hour; one figure a quantile. Pods and nodes are what is needed, without limits.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct HourReport {
    /// Its start.
    pub(super) from: Timestamp,
    /// Orders that come.
    pub(super) orders: Vec<u32>,
    /// Most pods wanted.
    pub(super) pods: Vec<u32>,
    /// Most nodes, those on their way included.
    pub(super) nodes: Vec<u32>,
    /// When the first node of this hour is to be ordered at the latest, at the deciding quantile; null where no
    /// more come than there were.
    pub(super) order_nodes_by: Option<Timestamp>,
    /// Of the orders that come in this hour, those that are late within the limits, whenever they become so.
    pub(super) late: Vec<u32>,
    /// Whether orders are late at the deciding quantile.
    pub(super) fails: bool,
}

impl Report {
    pub(super) fn new(
        arguments: &PlanArguments,
        centre: &Centre,
        object: &ScaledObject,
        demand: &Demand,
        runs: &[LevelRun],
        (limits, deciding): (Limits, usize),
    ) -> Self {
        let gather = Gather { arguments, demand, runs, deciding };
        let hours = gather.hours();
        let cut_offs = gather.cut_offs();
        let limits = gather.limits(limits);
        let mut notes = demand.notes.clone();
        notes.extend(changed_clocks(demand, runs[0].cell.scenario()));
        notes.extend(object.notes.iter().cloned());
        notes.push(format!(
            "each hour is taken at its own quantile; that all hours of a day reach theirs at {} is rarer than that one does",
            arguments.at
        ));
        let killed = runs[deciding].within.score.killed;
        let about_killed = about_killed(killed, runs[deciding].cell.scenario());
        let by_kills = about_killed.is_some();
        notes.extend(about_killed);
        notes.extend(gather.waiting_for_a_cut_off());
        if !object.keda.is_empty() {
            notes.push("planned with peakscaler's decisions; what KEDA's own triggers in this file would do, backtest tells".to_owned());
        }
        Self {
            command: "plan",
            version: env!("CARGO_PKG_VERSION"),
            title: format!("{} on {}", object.name, demand.stretch.start.strftime("%a %Y-%m-%d")),
            on: demand.stretch.start,
            days: demand.stretch.days,
            time_zone: centre.policy.time_zone.clone(),
            quantiles: demand.levels.clone(),
            at: arguments.at,
            deciding,
            fails: hours.iter().any(|hour| hour.fails) || cut_offs.iter().any(|cut_off| cut_off.fails),
            sentences: Vec::new(),
            totals: gather.totals(),
            limits,
            cut_offs,
            hours,
            assumptions: centre.assumptions.clone(),
            notes,
            by_kills,
        }
    }

    /// The level of which the limits to raise are told: what fails, or what would at the highest quantile.
    pub(super) fn advised_level(&self) -> usize {
        if self.fails { self.deciding } else { self.totals.len() - 1 }
    }

    /// Writes the sentences, the limits to raise at [`Self::advised_level`] being known.
    pub(super) fn advise(&mut self, raises: &[Raise], zone: &TimeZone) {
        self.sentences = advice::sentences(self, raises, zone);
    }
}

struct Gather<'a> {
    arguments: &'a PlanArguments,
    demand: &'a Demand,
    runs: &'a [LevelRun],
    deciding: usize,
}

impl Gather<'_> {
    fn at(&self, time: Millis) -> Timestamp {
        timestamp(self.demand.start, time)
    }

    fn too_many(&self, late: u32, orders: u32) -> bool {
        f64::from(late) > self.arguments.allow_late * f64::from(orders) && late > 0
    }

    fn totals(&self) -> Vec<Total> {
        let price = self.arguments.centre.price_per_node_hour;
        let totals = self.runs.iter().zip(&self.demand.levels);
        totals
            .map(|(run, quantile)| Total {
                quantile: *quantile,
                orders: count(run.cell.orders().len()),
                late: run.within.score.late,
                late_without_limits: run.free.score.late,
                peak_replicas: run.free.score.peak_replicas,
                peak_nodes: run.free.score.peak_nodes,
                node_hours: run.within.node_hours(),
                node_cost: price.map(|price| price * run.within.node_hours()),
            })
            .collect()
    }

    fn limits(&self, limits: Limits) -> Vec<LimitReport> {
        let pods: Vec<u32> = self.runs.iter().map(|run| run.free.score.peak_replicas).collect();
        let nodes: Vec<u32> = self.runs.iter().map(|run| run.free.score.peak_nodes).collect();
        let points = &self.runs[self.deciding].free.points;
        let listed = limits.listed().into_iter().filter_map(|limit| {
            let value = limit.value?;
            let needed = if limit.of_nodes { &nodes } else { &pods };
            let beyond = points.iter().find(|at| if limit.of_nodes { at.nodes } else { at.wanted } > value);
            Some(LimitReport {
                name: limit.name,
                value,
                needed: needed.clone(),
                binds_from: beyond.map(|point| self.at(point.at)),
            })
        });
        listed.collect()
    }

    fn cut_offs(&self) -> Vec<CutOffReport> {
        let levels: Vec<_> = self.runs.iter().map(LevelRun::cut_offs).collect();
        let rows = levels.first().map_or(0, Vec::len);
        (0..rows)
            .map(|row| {
                let figures =
                    |of: fn(&(_, u32, u32, u32)) -> u32| levels.iter().map(|level| of(&level[row])).collect();
                let (moment, orders, lost, _) = &levels[self.deciding][row];
                CutOffReport {
                    carrier: moment.name.clone(),
                    cut_off: self.at(moment.at),
                    dispatch: self.at(moment.dispatch),
                    orders: figures(|row| row.1),
                    lost: figures(|row| row.2),
                    lost_without_limits: figures(|row| row.3),
                    fails: self.too_many(*lost, *orders),
                }
            })
            .collect()
    }

    fn hours(&self) -> Vec<HourReport> {
        let end = self.runs[0].cell.scenario().end();
        (0..end.div_euclid(HOUR) + i64::from(end % HOUR > 0))
            .map(|hour| {
                let (from, to) = (hour * HOUR, (hour + 1) * HOUR);
                let most = |value: fn(&Point) -> u32| -> Vec<u32> {
                    let most =
                        |run: &LevelRun| run.free.between(from, to).iter().map(value).max().unwrap_or(0);
                    self.runs.iter().map(most).collect()
                };
                let orders: Vec<u32> = self.runs.iter().map(|run| orders_in(run, from, to)).collect();
                let late: Vec<u32> = self.runs.iter().map(|run| late_in(run, from, to)).collect();
                HourReport {
                    from: self.at(from),
                    pods: most(|point| point.wanted),
                    nodes: most(|point| point.nodes),
                    order_nodes_by: self.order_nodes_by(from, to),
                    fails: self.too_many(late[self.deciding], orders[self.deciding]),
                    orders,
                    late,
                }
            })
            .collect()
    }

    /// Without a target wait nothing is due between a day's last cut-off and the next one's: where orders wait at
    /// midnight for it, that is said, the most of them.
    fn waiting_for_a_cut_off(&self) -> Option<String> {
        let run = &self.runs[self.deciding];
        let scenario = run.cell.scenario();
        if scenario.goal.target_wait_seconds.is_some() {
            return None;
        }
        let zone = TimeZone::get(&scenario.time_zone).ok()?;
        let points = &run.within.points;
        let midnight = |point: &&Point| zone.to_datetime(self.at(point.at)).time() == Time::midnight();
        let ends = points.iter().skip(1).filter(midnight).chain(points.last());
        let waiting =
            |point: &Point| point.backlog.saturating_sub(point.ready * scenario.service.concurrency);
        let worst = ends.max_by_key(|point| waiting(point)).filter(|point| waiting(point) > 0)?;
        let by = zone.to_datetime(self.at(worst.at + STEP / 2)).round(jiff::Unit::Hour).ok()?;
        Some(format!(
            "at {} {} for the next cut-off, {} being ready: without a target wait they are due only by its dispatch; give --target-wait as well where that is too late",
            by.strftime("%a %H:%M"),
            if waiting(worst) == 1 {
                "1 order waits".to_owned()
            } else {
                format!("{} orders wait", grouped(waiting(worst)))
            },
            counted(worst.ready as usize, "pod"),
        ))
    }

    /// When the first of the nodes that this hour brings beyond those then present must be ordered: a node's
    /// lead time before the pods that need it are wanted.
    fn order_nodes_by(&self, from: Millis, to: Millis) -> Option<Timestamp> {
        let run = &self.runs[self.deciding];
        let nodes = &run.cell.scenario().nodes;
        let needed = needed_at(&run.free.points, (from, to), nodes.pods_per_node)?;
        Some(self.at(needed - millis(nodes.lead_seconds)))
    }
}

/// When pods first need the nodes of the first rise in `[from, to)`. Nodes that come, and go or see the next
/// hour, without a pod are needed as they come.
fn needed_at(points: &[Point], (from, to): (Millis, Millis), pods_per_node: u32) -> Option<Millis> {
    let first = points.partition_point(|point| point.at < from).max(1);
    let last = points.partition_point(|point| point.at < to);
    let rise = (first..last).find(|&index| points[index].nodes > points[index - 1].nodes)?;
    let present = points[rise - 1].nodes;
    // the pods may be wanted already in the minute before, in which Karpenter waits for more of them
    let until_gone = points[rise..].iter().take_while(|point| point.nodes > present && point.at < to);
    let mut there = points[rise - 1..rise].iter().chain(until_gone);
    let needing = there.find(|point| point.wanted.div_ceil(pods_per_node) > present);
    Some(needing.unwrap_or(&points[rise]).at)
}

/// Days of 23 or 25 hours are planned as they are; that they are is said.
fn changed_clocks(demand: &Demand, scenario: &Scenario) -> Option<String> {
    let changes: Vec<String> = scenario.clock_changes().iter().map(ToString::to_string).collect();
    let hours = demand.end.duration_since(demand.start).as_secs_f64() / 3600.0;
    (!changes.is_empty())
        .then(|| format!("the clocks change on {}: {hours} hours are planned", changes.join(" and ")))
}

/// Orders that come in a time. What is foreseen is no whole number; these are the ones that may be late.
fn orders_in(run: &LevelRun, from: Millis, to: Millis) -> u32 {
    let arrivals = &run.cell.orders().arrivals;
    count(arrivals.partition_point(|at| *at < to) - arrivals.partition_point(|at| *at < from))
}

fn late_in(run: &LevelRun, from: Millis, to: Millis) -> u32 {
    count(run.within.late.iter().filter(|order| (from..to).contains(&order.arrival)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_ordered_at_each_rise_above_those_then_present() {
        // a point a minute as (pods wanted, nodes), four pods on a node
        let day = [(4, 1), (4, 2), (5, 2), (9, 2), (9, 3), (4, 3), (4, 1), (4, 2), (4, 1), (13, 4)];
        let points: Vec<Point> = (0..)
            .zip(day)
            .map(|(minute, (wanted, nodes))| Point {
                at: minute * STEP,
                backlog: 0,
                wanted,
                ready: wanted,
                pending: 0,
                nodes,
                oldest_wait_seconds: 0.0,
            })
            .collect();
        for (from, to, needed) in [
            (0, 1, None),
            (0, 3, Some(2)), // asked for ahead of its pod
            (3, 5, Some(3)), // after its pod
            (5, 7, None),
            (7, 9, Some(7)), // for nobody
            (9, 10, Some(9)),
        ] {
            let found = needed_at(&points, (from * STEP, to * STEP), 4);
            assert_eq!(found, needed.map(|minute: Millis| minute * STEP), "{from} to {to}");
        }
    }
}
