//! The server from outside: gRPC as KEDA speaks it, the admin port, and the command line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod decide;
mod lifecycle;
#[path = "../support/mod.rs"]
mod parts;
mod past;
mod process;
mod real;
mod records;
mod support;
mod wire;
