//! What was seen of one workload at one moment: the input line of `peakscaler decide`.
//!
//! The server builds the same value from its sources at every tick. Unknown fields are errors, and so are figures that
//! no centre has.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

/// More orders than any queue or interval has, and more seconds than anything lasts: a figure above is a slip of the
/// hand, or of a query.
pub const MOST_COUNT: f64 = 1e9;
/// More worker pods than any scale target has. Each has its place in a plan.
pub const MOST_PODS: f64 = 1e6;

/// Everything that became known about a workload since the observation before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// Now. Never goes back from one observation to the next.
    pub at: Timestamp,
    /// The queue's counters; `None` where they could not be read.
    #[serde(default)]
    pub queue: Option<QueueReading>,
    /// Orders that arrived, in intervals that became known since the last observation.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub arrivals: Vec<Interval>,
    /// Orders completed, in intervals that became known since the last observation.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub completions: Vec<Interval>,
    /// The workers; `None` where they could not be read.
    #[serde(default)]
    pub replicas: Option<Replicas>,
    /// Room on nodes, where there is a cluster that tells.
    #[serde(default)]
    pub nodes: Option<NodeSlots>,
    /// Measured lead times (90th percentiles); they take the place of the policy's.
    #[serde(default)]
    pub lead_times: Option<LeadTimes>,
    /// Fewest and most replicas as the cluster has them, where the policy leaves them to it.
    #[serde(default)]
    pub bounds: Option<ReplicaBounds>,
}

/// SQS's approximate counters, in messages (one message is one order).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueReading {
    /// Waiting to be received.
    pub visible: f64,
    /// Received and not yet deleted.
    pub in_flight: f64,
    /// Not yet visible because of a delay.
    #[serde(default)]
    pub delayed: f64,
    /// Age of this reading in seconds: it holds for `at - age_seconds`.
    #[serde(default)]
    pub age_seconds: f64,
    /// The queue's visibility time-out: a message whose worker is taken away returns after so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility_timeout_seconds: Option<f64>,
}

/// A count over the half-open interval `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Start, included.
    pub from: Timestamp,
    /// End, excluded; after `from`, and not after the observation's moment: a minute is allowed for clocks that differ.
    pub to: Timestamp,
    /// Orders in the interval.
    pub count: f64,
}

/// What a count is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Orders that came.
    Arrivals,
    /// Orders that were done.
    Completions,
}

/// The worker pods of the scale target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replicas {
    /// Pods that are Ready.
    pub ready: u32,
    /// Ages in seconds since creation of the pods that have a node and are not ready.
    #[serde(default)]
    pub starting: Vec<f64>,
    /// Pods without a node.
    #[serde(default)]
    pub pending: u32,
    /// The scale's `spec.replicas`, where known.
    #[serde(default)]
    pub wanted: Option<u32>,
}

impl Replicas {
    /// Pods that exist: ready, starting and pending.
    pub fn existing(&self) -> u32 {
        self.ready + u32::try_from(self.starting.len()).unwrap_or(u32::MAX) + self.pending
    }
}

/// Room for worker pods.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSlots {
    /// Pods that would fit on initialized nodes now.
    pub free_slots: u32,
    /// Pods that will fit on nodes whose claims are in flight.
    #[serde(default)]
    pub coming: u32,
}

/// Measured lead times, 90th percentile, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadTimes {
    /// Pod created to Ready, where a node has room.
    #[serde(default)]
    pub pod_seconds: Option<f64>,
    /// Node asked for to Initialized.
    #[serde(default)]
    pub node_seconds: Option<f64>,
}

/// Bounds of the scale target; each takes the place of the policy's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaBounds {
    /// Fewest replicas.
    #[serde(default)]
    pub min: Option<u32>,
    /// Most replicas.
    #[serde(default)]
    pub max: Option<u32>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Interval>, D::Error> {
    Ok(Option::<Vec<Interval>>::deserialize(deserializer)?.unwrap_or_default())
}
