//! The core's promises, as properties: bounds, monotonicity, reproducible decisions, and a plan
//! that keeps every wait when nothing disturbs it.

mod centre;
mod closed_loop;
mod properties;
