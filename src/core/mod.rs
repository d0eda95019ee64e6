//! The pure core: observations, policy and `now` in, one decision record out.
//!
//! Nothing in here reads a clock, does I/O, draws a random number or knows of a sibling layer
//! (`tests/layers.rs` holds it to that), so that the server, the filter `decide`, the replay and
//! the plan all take the very same decision.
//!
//! - [`observation`]: what was seen, one value a tick;
//! - [`policy`]: what the operator asked for, typed and validated;
//! - [`demand`]: from observations to backlog by age, arrival outlook and service rate;
//! - [`plan`]: from those to replicas and nodes, with the reason;
//! - [`workload`]: the state machine that ties them: [`Workload::step`].

mod decided;
pub mod decision;
pub mod demand;
pub mod observation;
pub mod plan;
pub mod policy;
pub mod workload;

pub use decision::{Binding, Bound, DecisionError, DecisionRecord};
pub use observation::{
    Flow, Interval, LeadTimes, NodeSlots, Observation, QueueReading, ReplicaBounds, Replicas,
};
pub use policy::{CutOff, Policy, ServiceRate};
pub use workload::{ObservationError, Workload};
