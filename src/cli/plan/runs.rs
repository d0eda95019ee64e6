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
use crate::replay::scenario::{CutOffMoment, Nodes, Pods, Scenario};
use crate::replay::trail::Trail;
use crate::replay::units::{ceil, millis};

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
    /// Most replicas that can be.
    pub(super) fn replicas(&self) -> u32 {
        let others = [self.trigger_max_replicas, self.quota_pods, self.pool_pods];
        others.into_iter().flatten().fold(self.max_replicas, u32::min)
    }
}

/// What the days are lived through with, beside centre and demand.
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
    let Around { object, calendar, limits } = around;
    let mut cells = Vec::new();
    let mut contestants = Vec::new();
    for (level, path) in demand.paths.iter().enumerate() {
        let scenario = Scenario {
            length: Some(millis(demand.end.duration_since(demand.start).as_secs_f64())),
            calendar: (*calendar).clone(),
            ..centre.scenario(format!("quantile {}", demand.levels[level]), demand.stretch)
        };
        let cell = cell_of(scenario, path, demand.slot_seconds, 1.0)?;
        let (pods, keda) = centre.bounds(object, demand.first_rate(level));
        let most = limits.replicas();
        let pods = Pods { max: most, min: pods.min.min(most), initial: pods.initial.min(most), ..pods };
        let free = ceil(cell.least_peak() * FREE_OVER_LEAST).saturating_add(100);
        let unbounded = Pods { max: free.max(most), ..pods.clone() };
        let endless = Nodes { limit: None, ..cell.scenario().nodes.clone() };
        let within = cell.under(pods, cell.scenario().nodes.clone(), keda.clone())?;
        let beyond = cell.under(unbounded, endless, keda)?;
        let mut policy = ours(centre, demand, &within);
        if object.ours.is_some() {
            policy = policy.with_behavior(object.behavior.clone());
        }
        contestants.push(Contestant::new("within", within, policy));
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
