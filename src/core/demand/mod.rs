//! Demand: what waits, what arrives, what is expected, and what a worker gets done.
//!
//! - [`arrivals`]: when orders arrived, by age;
//! - [`contention`]: whether more workers still add throughput;
//! - [`counters`]: the backlog behind queue counters that lie;
//! - [`ledger`]: the three together;
//! - [`present`]: the present rate and its slope;
//! - [`forecast`] and [`outlook`]: what a history foresees, and the contract with the planner;
//! - [`service`]: the service rate; [`witness`]: the same from the counters alone;
//! - [`deadlines`]: carrier cut-offs as moments; [`calendar`]: what people know of the days ahead.

pub mod arrivals;
pub mod calendar;
pub mod contention;
pub mod counters;
pub mod deadlines;
pub mod forecast;
pub mod ledger;
pub mod outlook;
pub mod present;
pub mod service;
pub mod witness;
