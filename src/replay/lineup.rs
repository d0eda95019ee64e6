//! Everybody who is compared in a cell, with the numbers that their documents or their operators
//! would give them.

use super::ScalingPolicy;
use super::policies::{
    BacklogPerInstance, CorePolicy, Fixed, KedaSqs, KedaSqsAndCron, Knative, Practo, PredictiveScaling,
    ProphetBlend, Watermark, Zalando, schedule,
};
use super::run::Cell;

/// Share of what a pod takes at which Knative wants it used.
const KNATIVE_USE: f64 = 0.7;
/// Datadog's lower watermark over its upper one.
const LOW_WATERMARK: f64 = 0.5;

/// What was tuned, and on what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuned {
    /// `queueLength` tuned on earlier ordinary weeks; every peer that divides messages takes it.
    pub frozen: f64,
    /// `queueLength` tuned on the very days that are scored.
    pub hindsight: f64,
    /// The smallest fixed fleet that keeps every order in time on those days.
    pub fleet: u32,
}

/// Ours as it runs, and with one part taken away at a time. Without cut-offs there is no part to
/// take away where there are none.
pub fn ours(cell: &Cell) -> Vec<Box<dyn ScalingPolicy>> {
    let mut policies: Vec<Box<dyn ScalingPolicy>> = vec![
        Box::new(CorePolicy::ours(cell)),
        Box::new(CorePolicy::for_scenario(cell.scenario())),
        Box::new(CorePolicy::with_given_rate(cell)),
        Box::new(CorePolicy::without_buffer(cell)),
        Box::new(CorePolicy::with_foresight(cell)),
    ];
    if !cell.scenario().goal.cut_offs.is_empty() {
        policies.push(Box::new(CorePolicy::without_cut_offs(cell)));
    }
    policies
}

/// The peers. Those tuned in hindsight come first.
pub fn peers(cell: &Cell, tuned: Tuned) -> Vec<Box<dyn ScalingPolicy>> {
    let scenario = cell.scenario();
    let (service, max) = (scenario.service.mean_seconds, scenario.pods.max);
    let pod_lead = scenario.pods.lead_seconds;
    let wait = scenario.goal.target_wait_seconds.unwrap_or(300.0);
    let share = tuned.frozen;
    let entries = schedule::of_operator(scenario);
    let history = &cell.orders().history;
    let keda = |length: f64, name: &str| KedaSqs::with_queue_length(length).named(name);
    let frozen = || keda(share, "keda sqs frozen");
    vec![
        Box::new(Fixed::new(tuned.fleet)),
        Box::new(keda(tuned.hindsight, "keda sqs hindsight")),
        Box::new(KedaSqs::with_defaults().named("keda sqs default")),
        Box::new(frozen()),
        Box::new(KedaSqsAndCron::new(frozen(), entries.clone())),
        Box::new(BacklogPerInstance::fixed(wait, service)),
        Box::new(BacklogPerInstance::measured(wait, service)),
        Box::new(Zalando::new(share, entries)),
        Box::new(Practo::new(share, service, scenario.pods.min, max)),
        Box::new(Knative::new((KNATIVE_USE * share).max(1.0), max)),
        Box::new(Watermark::new(LOW_WATERMARK * share, share, max)),
        Box::new(ProphetBlend::new(history, pod_lead, service, frozen())),
        Box::new(PredictiveScaling::new(history, wait, service)),
    ]
}
