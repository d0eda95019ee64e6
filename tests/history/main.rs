//! The embedded history: killed in the middle of writes, damaged at random, bounded, and by its command line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod store;
