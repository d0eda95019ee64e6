//! What several test binaries share: real parts as child processes, and waiting for them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod emulator;
pub mod process;
pub mod prometheus;
pub mod recorder;
