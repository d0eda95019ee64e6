//! What an observation must be, checked before any of it is taken in.

use crate::core::demand::deadlines::seconds;
use crate::core::observation::{Interval, MOST_COUNT, MOST_PODS, Observation};

/// Seconds by which the clock of who counts orders may be ahead of the one that says `at`.
const CLOCK_SKEW_SECONDS: f64 = 60.0;

/// Why an observation was refused; nothing of it was taken in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ObservationError {
    /// Time went back.
    #[error("at {at} is before the last observation's {last}; lines are in order of time")]
    TimeWentBack {
        /// Of this observation.
        at: jiff::Timestamp,
        /// Of the one before.
        last: jiff::Timestamp,
    },
    /// A figure is not finite, negative, or more than there can be.
    #[error("{field} is {}, must be a number from 0 to {most}", shown(*value))]
    NotACount {
        /// The field's path.
        field: &'static str,
        /// What came.
        value: f64,
        /// The most there can be.
        most: f64,
    },
    /// An interval's end is not after its start.
    #[error("{field} has an interval from {from} to {to}, must end after it starts")]
    EmptyInterval {
        /// `arrivals` or `completions`.
        field: &'static str,
        /// Start.
        from: jiff::Timestamp,
        /// End.
        to: jiff::Timestamp,
    },
    /// An interval ends so long after the observation's moment that no clock explains it.
    #[error(
        "{field} has an interval that ends at {to}, after at ({at}); orders are counted when they have come: it must end by at, {CLOCK_SKEW_SECONDS} s later at most where clocks differ"
    )]
    FutureInterval {
        /// `arrivals` or `completions`.
        field: &'static str,
        /// The interval's end.
        to: jiff::Timestamp,
        /// Of this observation.
        at: jiff::Timestamp,
    },
}

/// Refuses what is no observation of the moment `last`, in seconds, or later.
pub(super) fn check(observation: &Observation, last: f64) -> Result<(), ObservationError> {
    let at = observation.at;
    if seconds(at) < last {
        let last = jiff::Timestamp::from_duration(jiff::SignedDuration::from_secs_f64(last));
        return Err(ObservationError::TimeWentBack { at, last: last.unwrap_or_default() });
    }
    for (field, intervals) in [("arrivals", &observation.arrivals), ("completions", &observation.completions)]
    {
        for Interval { from, to, .. } in intervals {
            if from >= to {
                return Err(ObservationError::EmptyInterval { field, from: *from, to: *to });
            }
            if seconds(*to) > seconds(at) + CLOCK_SKEW_SECONDS {
                return Err(ObservationError::FutureInterval { field, to: *to, at });
            }
        }
    }
    let mut figures = figures(observation);
    match figures.find(|(_, value, most)| !(0.0..=*most).contains(value)) {
        Some((field, value, most)) => Err(ObservationError::NotACount { field, value, most }),
        None => Ok(()),
    }
}

/// A figure without hundreds of zeros.
fn shown(value: f64) -> String {
    if value.abs() < 1e15 { value.to_string() } else { format!("{value:e}") }
}

/// Every figure of an observation with its field's path, and the most that it can be.
fn figures(observation: &Observation) -> impl Iterator<Item = (&'static str, f64, f64)> {
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
    let min = observation.bounds.and_then(|bounds| bounds.min).map(|min| ("bounds.min", min));
    let counts = queue
        .chain(ages.map(|age| ("replicas.starting", *age)))
        .chain(leads)
        .chain(orders("arrivals.count", &observation.arrivals))
        .chain(orders("completions.count", &observation.completions))
        .chain(slots);
    counts
        .map(|(field, value)| (field, value, MOST_COUNT))
        .chain(pods.chain(min).map(|(field, pods)| (field, f64::from(pods), MOST_PODS)))
}
