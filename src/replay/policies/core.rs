//! Ours: the very core that the server runs, whole and with one part taken away at a time.

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::super::run::Cell;
use super::super::scenario::Scenario;
use super::super::world::hpa::Behavior;
use super::super::{Answer, ScalingPolicy};
use super::foresight::Foresight;
use crate::core::demand::forecast::ProfileForecast;
use crate::core::demand::outlook::ArrivalForecast;
use crate::core::plan::capacity::room_ahead;
use crate::core::{DecisionRecord, Interval, Observation, Policy, ServiceRate, Workload};

/// Width of the history's bins.
const HISTORY_BIN: SignedDuration = SignedDuration::from_mins(15);
/// Orders that will be late whatever is done, from which a warning is given.
const WARNED_ORDERS: f64 = 1.0;

/// `core::Workload` behind the same trait as everybody.
#[derive(Debug, Clone)]
pub struct CorePolicy {
    name: String,
    workload: Workload,
    last: Option<DecisionRecord>,
    buffers: bool,
    behavior: Option<Behavior>,
}

impl CorePolicy {
    /// Ours as it runs in production: what an operator of this scenario would write (nothing is
    /// tuned to it), its calendar, and a forecast that has learned the days before the start.
    pub fn ours(cell: &Cell) -> Self {
        Self::learned("peakscaler", cell, policy_for(cell.scenario()))
    }

    /// The same that plans from the present rate alone; the calendar stays.
    pub fn for_scenario(scenario: &Scenario) -> Self {
        Self::new("peakscaler no forecast", with_calendar(scenario, policy_for(scenario)))
    }

    /// Ours with the true arrivals as its forecast.
    pub fn with_foresight(cell: &Cell) -> Self {
        let workload = with_calendar(cell.scenario(), policy_for(cell.scenario()));
        Self::new("peakscaler foresight", workload.with_forecast(Box::new(Foresight::of(cell))))
    }

    /// Ours with the service rate that the scenario has without a fault, never learned.
    pub fn with_given_rate(cell: &Cell) -> Self {
        let service = &cell.scenario().service;
        let per_minute = 60.0 * f64::from(service.concurrency) / service.mean_seconds;
        let service_rate = ServiceRate::PerMinute(per_minute);
        Self::learned("peakscaler given rate", cell, Policy { service_rate, ..policy_for(cell.scenario()) })
    }

    /// Ours without knowing of the carriers' cut-offs: the target wait alone decides.
    pub fn without_cut_offs(cell: &Cell) -> Self {
        let policy = Policy { cut_offs: Vec::new(), ..policy_for(cell.scenario()) };
        Self::learned("peakscaler no cut-offs", cell, policy)
    }

    /// Ours without a capacity buffer: nodes come only after pods wait for them.
    pub fn without_buffer(cell: &Cell) -> Self {
        let policy = Self::learned("peakscaler no buffer", cell, policy_for(cell.scenario()));
        Self { buffers: false, ..policy }
    }

    /// Any workload under any name.
    pub fn new(name: &str, workload: Workload) -> Self {
        Self { name: name.to_owned(), workload, last: None, buffers: true, behavior: None }
    }

    /// The same behind an HPA that is set otherwise than our manifests set it.
    #[must_use]
    pub fn with_behavior(self, behavior: Behavior) -> Self {
        Self { behavior: Some(behavior), ..self }
    }

    fn learned(name: &str, cell: &Cell, policy: Policy) -> Self {
        let mut workload = with_calendar(cell.scenario(), policy);
        if let Some(forecast) = learned_forecast(cell) {
            workload.set_forecast(forecast);
        }
        Self::new(name, workload)
    }

    /// The last decision, without its sentence.
    pub fn last(&self) -> Option<&DecisionRecord> {
        self.last.as_ref()
    }
}

/// What an operator would write for a scenario.
pub fn policy_for(scenario: &Scenario) -> Policy {
    Policy {
        target_wait_seconds: scenario.goal.target_wait_seconds,
        cut_offs: scenario.goal.cut_offs.clone(),
        time_zone: scenario.time_zone.clone(),
        service_rate: ServiceRate::Learned,
        min_replicas: scenario.pods.min,
        max_replicas: scenario.pods.max,
        pod_lead_seconds: scenario.pods.lead_seconds,
        node_lead_seconds: scenario.nodes.lead_seconds,
        ..Policy::default()
    }
}

fn with_calendar(scenario: &Scenario, policy: Policy) -> Workload {
    let mut workload = Workload::new(policy);
    // a cell's scenario was validated, so its calendar is sound
    if let Some(known) = scenario.known().ok().filter(|known| !known.is_empty()) {
        workload.set_calendar(Arc::new(known));
    }
    workload
}

/// A forecast that has seen the days before the start; `None` where there is no history.
fn learned_forecast(cell: &Cell) -> Option<Box<dyn ArrivalForecast>> {
    let history = &cell.orders().history;
    if history.is_empty() {
        return None;
    }
    let zone = TimeZone::get(&cell.scenario().time_zone).unwrap_or(TimeZone::UTC);
    let mut forecast = ProfileForecast::new(zone, HISTORY_BIN.as_secs_f64());
    if let Ok(known) = cell.scenario().known() {
        forecast.set_calendar(&Arc::new(known));
    }
    for bin in history {
        forecast.observe(&Interval { from: bin.from, to: bin.from + HISTORY_BIN, count: bin.count });
    }
    Some(Box::new(forecast))
}

impl ScalingPolicy for CorePolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        // an observation that the core refuses is an error for KEDA: the HPA holds
        self.last = self.workload.step_silently(observation).ok();
        let Some(record) = &self.last else {
            return Answer { desired: None, active: false, buffer: 0 };
        };
        // The simulated autoscaler asks for the pods in the same step: what is wanted now is there already.
        let wanted = record.desired.unwrap_or(0);
        let buffer = record.buffer.min(room_ahead(record.ahead, wanted));
        Answer {
            desired: record.desired.map(f64::from),
            active: record.active,
            buffer: if self.buffers { buffer } else { 0 },
        }
    }

    fn behavior(&self) -> Behavior {
        let exact = || Behavior::exact(self.workload.policy().max_replicas);
        self.behavior.clone().unwrap_or_else(exact)
    }

    fn samples_itself(&self) -> bool {
        true
    }

    fn warns(&self) -> Option<bool> {
        Some(self.last.as_ref().is_some_and(|record| record.late_expected >= WARNED_ORDERS))
    }
}
