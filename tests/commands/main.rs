//! `backtest`, `plan`, `replay`, `forecast` and `calendar` as an operator or a pipeline runs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backtest;
mod forecast;
mod from_cluster;
mod plan;
mod replay;
mod support;
