//! The days planned, lived through at each quantile: within the limits, and without any.

use serde::Serialize;

use super::demand::Demand;
use crate::cli::backtest::contest::{Contest, Contestant, run_all};
use crate::cli::centre::Centre;
use crate::core::demand::calendar::CalendarSpec;
use crate::core::{Policy, ServiceRate, Workload};
use crate::replay::keda::ScaledObject;
use crate::replay::lateness::by_cut_off;
use crate::replay::policies::CorePolicy;
use crate::replay::recorded::cell_of;
use crate::replay::run::Cell;
use crate::replay::scenario::{CutOffMoment, Keda, Nodes, Pods, Scenario};
use crate::replay::trail::Trail;
use crate::replay::units::ceil;

/// Replicas where there is no limit: this many times the least peak, and some.
const FREE_OVER_LEAST: f64 = 5.0;

/// What bounds the workers.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Limits {
    /// `maxReplicaCount` of the ScaledObject.
    pub(super) max_replicas: u32,
    /// `maxReplicas` of peakscaler's trigger.
    pub(super) trigger_max_replicas: Option<u32>,
    /// The `ResourceQuota`, in worker pods.
    pub(super) quota_pods: Option<u32>,
    /// The NodePool's limits in worker pods, where their nodes' shape is not known.
    pub(super) pool_pods: Option<u32>,
    /// The NodePool's limits, in nodes.
    pub(super) nodes: Option<u32>,
}

impl Limits {
    /// All of them, those of pods before those of nodes.
    pub(super) fn listed(&self) -> [Limit; 5] {
        let pods = |name, value| Limit { name, value, of_nodes: false };
        [
            pods("maxReplicaCount", Some(self.max_replicas)),
            pods("maxReplicas", self.trigger_max_replicas),
            pods("ResourceQuota (pods)", self.quota_pods),
            pods("NodePool limit (pods)", self.pool_pods),
            Limit { name: "NodePool limit (nodes)", value: self.nodes, of_nodes: true },
        ]
    }

    /// The same with one of them, by its name, at another value.
    pub(super) fn with(mut self, name: &str, value: u32) -> Self {
        match name {
            "maxReplicaCount" => self.max_replicas = value,
            "maxReplicas" => self.trigger_max_replicas = Some(value),
            "ResourceQuota (pods)" => self.quota_pods = Some(value),
            "NodePool limit (pods)" => self.pool_pods = Some(value),
            _ => self.nodes = Some(value),
        }
        self
    }

    /// Most replicas that can be.
    pub(super) fn replicas(&self) -> u32 {
        let others = [self.trigger_max_replicas, self.quota_pods, self.pool_pods];
        others.into_iter().flatten().fold(self.max_replicas, u32::min)
    }
}

/// One limit, as reports name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) value: Option<u32>,
    /// Whether it counts nodes and not pods.
    pub(super) of_nodes: bool,
}

/// What the days are lived through with, beside centre and demand.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) object: &'a ScaledObject,
    pub(super) calendar: &'a CalendarSpec,
    pub(super) limits: Limits,
}

/// One quantile's days.
pub(super) struct LevelRun {
    pub(super) cell: Cell,
    pub(super) within: Trail,
    pub(super) free: Trail,
}

impl LevelRun {
    /// Each cut-off with its orders and those lost within the limits and without.
    pub(super) fn cut_offs(&self) -> Vec<(CutOffMoment, u32, u32, u32)> {
        let (scenario, orders) = (self.cell.scenario(), self.cell.orders());
        let within = by_cut_off(scenario, orders, &self.within.late);
        let free = by_cut_off(scenario, orders, &self.free.late);
        within
            .into_iter()
            .zip(free)
            .filter(|((moment, ..), _)| moment.dispatch <= scenario.end())
            .map(|((moment, all, lost), (_, _, anyway))| (moment, all, lost, anyway))
            .collect()
    }
}

/// Lives through all quantiles.
pub(super) fn live_through(
    centre: &Centre,
    demand: &Demand,
    around: &Around<'_>,
) -> anyhow::Result<Vec<LevelRun>> {
    let mut cells = Vec::new();
    let mut contestants = Vec::new();
    for (level, path) in demand.paths.iter().enumerate() {
        let scenario = Scenario {
            calendar: around.calendar.clone(),
            ..centre.scenario(format!("quantile {}", demand.levels[level]), demand.stretch)
        };
        let cell = cell_of(scenario, path, demand.slot_seconds, 1.0)?;
        let (pods, keda) = bounds(centre, demand, around, level);
        let free = ceil(cell.least_peak() * FREE_OVER_LEAST).saturating_add(100);
        let unbounded = Pods { max: free.max(pods.max), ..pods };
        let endless = Nodes { limit: None, ..cell.scenario().nodes.clone() };
        let beyond = cell.under(unbounded, endless, keda)?;
        contestants.push(within(centre, demand, around, (&cell, level))?);
        contestants.push(Contestant::new("free", beyond.clone(), ours(centre, demand, &beyond)));
        cells.push(cell);
    }
    let contest = Contest { contestants, assumptions: Vec::new(), notes: Vec::new() };
    let mut trails = run_all(&[contest]).into_iter().flatten();
    let mut runs = Vec::new();
    for cell in cells {
        if let (Some(within), Some(free)) = (trails.next(), trails.next()) {
            runs.push(LevelRun { cell, within, free });
        }
    }
    Ok(runs)
}

/// The days of a cell within limits, to be lived through.
pub(super) fn within(
    centre: &Centre,
    demand: &Demand,
    around: &Around<'_>,
    (cell, level): (&Cell, usize),
) -> anyhow::Result<Contestant> {
    let (pods, keda) = bounds(centre, demand, around, level);
    let nodes = Nodes { limit: around.limits.nodes, ..cell.scenario().nodes.clone() };
    let within = cell.under(pods, nodes, keda)?;
    let mut policy = ours(centre, demand, &within);
    if around.object.ours.is_some() {
        policy = policy.with_behavior(around.object.behavior.clone());
    }
    Ok(Contestant::new("within", within, policy))
}

/// Pods and pace within the limits.
fn bounds(centre: &Centre, demand: &Demand, around: &Around<'_>, level: usize) -> (Pods, Keda) {
    let most = around.limits.replicas();
    // what is raised is the limit and not the file
    let object = ScaledObject { max_replicas: around.limits.max_replicas, ..around.object.clone() };
    let (pods, keda) = centre.bounds(&object, demand.first_rate(level));
    (Pods { max: most, min: pods.min.min(most), initial: pods.initial.min(most), ..pods }, keda)
}

/// Peakscaler in a cell: the forecast learned, and the service rate as it is, for by then it has long
/// been learned too.
fn ours(centre: &Centre, demand: &Demand, cell: &Cell) -> CorePolicy {
    let (service, pods) = (&cell.scenario().service, &cell.scenario().pods);
    let per_minute = 60.0 * f64::from(service.concurrency) / service.mean_seconds;
    let policy = Policy {
        service_rate: ServiceRate::PerMinute(per_minute),
        min_replicas: centre.policy.min_replicas.min(pods.max),
        max_replicas: pods.max,
        ..centre.policy.clone()
    };
    let mut workload = Workload::new(policy);
    if !demand.calendar.is_empty() {
        workload.set_calendar(demand.calendar.clone());
    }
    CorePolicy::new("peakscaler", workload.with_forecast(Box::new(demand.forecast.clone())))
}
