//! From demand to capacity: due curve, taut string, replicas, nodes, and the reason.
//!
//! - [`situation`]: all that a decision depends on, in one serialisable value;
//! - [`ceiling`]: how much of the wait a plan uses;
//! - [`curves`]: what must be done by when, and what can be done at the earliest;
//! - [`string`]: the shortest path between the two;
//! - [`capacity`]: what the pods that exist will get done;
//! - [`keep`]: the workers that stay though fewer would do;
//! - [`lumps`]: the room that is kept for orders that come at once;
//! - [`late`]: the orders that nothing saves any more;
//! - [`mod@decide`]: replicas, nodes and the reason.

pub mod capacity;
pub mod ceiling;
pub mod curves;
pub mod decide;
pub mod keep;
pub mod late;
pub mod lumps;
pub mod reason;
pub mod situation;
pub mod string;
pub mod tuning;

pub use decide::{decide, decide_silently};
pub use situation::{Cohort, Deadline, Fleet, Service, Situation};
