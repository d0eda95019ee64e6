//! Facts in: what the queue, the metrics store and the cluster say of a workload.
//!
//! Pollers run in the background and write to memory; a [`WorkloadSource`] only reads that memory,
//! so the engine can build an observation at any moment without waiting for the network.

pub mod allow;
mod aws;
mod cloudwatch;
pub mod cluster;
pub mod live;
mod needs;
mod past;
mod poll;
mod prometheus;
mod settle;
pub mod simulated;
mod sqs;
mod sum;

pub use allow::AllowList;
pub use cluster::CapacityFacts;
pub use live::{LiveOptions, LiveSources};
pub use simulated::SimulatedSources;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::{Flow, Interval, Observation};
use crate::trigger::Trigger;

/// Namespace and name of a ScaledObject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadId {
    /// Kubernetes namespace.
    pub namespace: String,
    /// The ScaledObject's name.
    pub name: String,
}

impl std::fmt::Display for WorkloadId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// Opens the sources that a trigger names. Implemented over the real edges, and simulated.
pub trait Sources: Send + Sync {
    /// Starts observing for a workload; pollers are shared between workloads on the same queue.
    ///
    /// # Errors
    /// When an endpoint, role or tenant is not on the operator's allow-list, or cannot be used at all.
    fn attach(
        &self,
        workload: &WorkloadId,
        trigger: &Trigger,
    ) -> Result<Box<dyn WorkloadSource>, AttachError>;

    /// What the same sources still know of the past; `None` where nobody can be asked.
    fn past(&self, _workload: &WorkloadId, _trigger: &Trigger) -> Option<Box<dyn PastReader>> {
        None
    }
}

/// Tells what sources still know of a workload's past. Reading takes minutes, so as to stay within the
/// calls that its sources allow.
pub trait PastReader: Send + Sync {
    /// What can be asked for at `now`, the newest first; windows do not overlap.
    fn windows(&self, now: Timestamp) -> Vec<PastWindow>;
    /// Counts within a window, where there are any. What is missing is unknown, not zero.
    fn read(&self, window: PastWindow) -> PastRead<'_>;
}

/// What [`PastReader::read`] resolves to; the error says what is wrong and what to do about it.
pub type PastRead<'a> = Pin<Box<dyn Future<Output = Result<Vec<(Flow, Interval)>, String>> + Send + 'a>>;

/// A piece of the past that is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastWindow {
    /// Start.
    pub from: Timestamp,
    /// End, excluded.
    pub to: Timestamp,
    /// Length of the counts in it.
    pub step_seconds: i64,
}

/// One workload's view on its sources. Dropping it stops pollers that nobody else uses.
pub trait WorkloadSource: Send {
    /// What became known since the last call; never waits.
    fn observe(&mut self, now: Timestamp) -> Observed;
    /// Resolves when something new has been read since the last `observe`.
    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// An observation and how each source is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// What the core gets.
    pub observation: Observation,
    /// One entry a source, for `explain`, metrics and logs.
    pub sources: Vec<SourceHealth>,
    /// What the cluster says of the room for the workers, for coordination and its findings.
    pub capacity: Option<Arc<CapacityFacts>>,
}

/// How a source is doing.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SourceHealth {
    /// For example `sqs`, `cloudwatch`, `prometheus`, `cluster`.
    pub source: String,
    /// Seconds since the last good reading; `None` before the first.
    pub age_seconds: Option<f64>,
    /// The last failure, while it lasts.
    pub error: Option<String>,
}

/// Why a trigger's sources cannot be opened.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum AttachError {
    /// Not on the operator's allow-list for that namespace; no connection was made.
    #[error("{key} {value:?} is not allowed for namespace {namespace:?}: the operator allows it with {flag}")]
    Forbidden {
        /// Metadata key.
        key: &'static str,
        /// Value that came.
        value: String,
        /// Namespace of the ScaledObject.
        namespace: String,
        /// Flag of `serve` that would allow it.
        flag: &'static str,
    },
    /// Anything else that makes the sources unusable.
    #[error("{0}")]
    Unusable(String),
}
