//! Room ahead of the workers: what nodes a workload will need, wished for where Karpenter reads it.
//!
//! In come snapshots of the engine (the plan, and what the cluster says of the room); out go `spec.replicas` of the
//! CapacityBuffer or placeholder Deployment that a trigger names, and findings: what stands in the plan's way, each a
//! sentence with a severity. Findings are pure functions of a snapshot ([`findings`]), so every replica tells the same
//! of them; writing is done by the holder of a Lease alone ([`coordinator`]).

pub mod coordinator;
pub mod disruption;
mod edge;
mod events;
pub mod finding;
pub mod findings;
pub mod headroom;
pub mod holds;
mod lease;
pub mod peak;
pub mod permit;
pub mod wish;

pub use coordinator::{Coordination, CoordinationOptions, Coordinator, HoldStatus};
pub use finding::{Finding, FindingKind, Severity};
