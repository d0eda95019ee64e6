//! peakscaler: how many order workers a fulfilment centre needs, when, and why.
//!
//! Data flows one way: observe -> core -> snapshot -> {grpc, capacity, console, telemetry}.
//! `core` is pure; `engine` is the only place where observing and deciding meet.

pub mod admin;
pub mod calendar;
pub mod capacity;
pub mod cli;
pub mod clock;
pub mod core;
pub mod demo;
pub mod engine;
pub mod grpc;
pub mod history;
pub mod observe;
pub mod replay;
pub mod telemetry;
pub mod trigger;
