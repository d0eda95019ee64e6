//! The core's promises, as properties: bounds, monotonicity, reproducible decisions, and a plan
//! that keeps every wait when nothing disturbs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod centre;
mod closed_loop;
mod draw;
mod forecast;
mod properties;
mod series;
mod situations;
mod world;
mod worlds;
