//! Why a request cannot be answered with a number. `grpc::status` maps each to a gRPC status.

use crate::core::DecisionError;
use crate::observe::AttachError;

/// Why there is no number.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// The trigger's metadata does not pass validation.
    #[error("{}", .problems.join("; "))]
    InvalidMetadata {
        /// Every problem, each naming its key.
        problems: Vec<String>,
    },
    /// The sources may not or cannot be opened.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// No room for another workload.
    #[error(
        "{maximum} workloads are observed already: raise --max-workloads, or wait until idle ones are dropped"
    )]
    TooManyWorkloads {
        /// The bound.
        maximum: usize,
    },
    /// No observation has come in yet.
    #[error("no observation yet, {waited_seconds:.0} s after the first request")]
    NotYet {
        /// Seconds since the workload was first asked for.
        waited_seconds: f64,
    },
    /// The core refuses a number.
    #[error("{}", .0.reason)]
    Decision(DecisionError),
    /// The task that decides has not done so for too long.
    #[error("the last decision is {age_seconds:.0} s old; staleAfter is {stale_after_seconds:.0} s")]
    Stalled {
        /// Age of the snapshot in seconds.
        age_seconds: f64,
        /// The policy's `staleAfter` in seconds.
        stale_after_seconds: f64,
    },
    /// The task that decided has ended; the next request starts it again.
    #[error("the workload is no longer observed: ask again")]
    Ended,
}
