//! The server from outside: gRPC as KEDA speaks it, the admin port, and the command line.

mod admin;
mod decide;
mod lifecycle;
mod process;
mod support;
mod wire;
