//! The figures of an observation, to be checked before any of it is taken in.

use crate::core::observation::{Interval, MOST_COUNT, MOST_PODS, Observation};

/// A figure without hundreds of zeros.
pub(super) fn shown(value: f64) -> String {
    if value.abs() < 1e15 { value.to_string() } else { format!("{value:e}") }
}

/// Every figure of an observation with its field's path, and the most that it can be.
pub(super) fn figures(observation: &Observation) -> impl Iterator<Item = (&'static str, f64, f64)> {
    let queue = observation.queue.iter().flat_map(|queue| {
        [
            ("queue.visible", queue.visible),
            ("queue.in_flight", queue.in_flight),
            ("queue.delayed", queue.delayed),
            ("queue.age_seconds", queue.age_seconds),
            ("queue.visibility_timeout_seconds", queue.visibility_timeout_seconds.unwrap_or(0.0)),
        ]
    });
    let orders =
        |field, intervals: &[Interval]| intervals.iter().map(|one| (field, one.count)).collect::<Vec<_>>();
    let ages = observation.replicas.iter().flat_map(|replicas| &replicas.starting);
    let leads = observation.lead_times.iter().flat_map(|lead| {
        let pod = lead.pod_seconds.map(|seconds| ("lead_times.pod_seconds", seconds));
        pod.into_iter().chain(lead.node_seconds.map(|seconds| ("lead_times.node_seconds", seconds)))
    });
    let slots = observation.nodes.iter().flat_map(|nodes| {
        [("nodes.free_slots", f64::from(nodes.free_slots)), ("nodes.coming", f64::from(nodes.coming))]
    });
    let pods = observation.replicas.iter().flat_map(|replicas| {
        [
            ("replicas.ready", replicas.ready),
            ("replicas.pending", replicas.pending),
            ("replicas.wanted", replicas.wanted.unwrap_or(0)),
        ]
    });
    let counts = queue
        .chain(ages.map(|age| ("replicas.starting", *age)))
        .chain(leads)
        .chain(orders("arrivals.count", &observation.arrivals))
        .chain(orders("completions.count", &observation.completions))
        .chain(slots);
    counts
        .map(|(field, value)| (field, value, MOST_COUNT))
        .chain(pods.map(|(field, pods)| (field, f64::from(pods), MOST_PODS)))
}
