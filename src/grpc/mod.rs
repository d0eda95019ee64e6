//! KEDA's edge: decode a request, read a snapshot, encode the answer. No I/O on the way.

mod connections;
mod server;
mod service;
pub mod status;
mod streams;
mod tls;

pub use server::{GrpcOptions, GrpcServer, StartError};
pub use service::ScalerService;
pub use tls::{TlsError, TlsFiles};

/// Messages and services generated from `proto/externalscaler.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    clippy::pedantic,
    reason = "generated code; its documentation is the proto file"
)]
pub mod proto {
    tonic::include_proto!("externalscaler");

    /// The encoded descriptor set, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/externalscaler.bin"));
}
