//! Demand: what is expected to arrive.

pub mod forecast;
pub mod outlook;
