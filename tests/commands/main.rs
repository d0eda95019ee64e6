//! `backtest`, `plan` and `replay` as an operator or a pipeline runs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backtest;
mod plan;
mod replay;
mod support;
