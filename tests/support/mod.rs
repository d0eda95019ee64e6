//! What several test binaries share: real parts as child processes, and waiting for them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod emulator;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod recorder;
