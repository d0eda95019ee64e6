//! Compiles the wire contract without `protoc`, and keeps its descriptor for gRPC reflection.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["proto/externalscaler.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("externalscaler.bin"), descriptors.encode_to_vec())?;
    // An ordered map: metadata is compared and hashed on every request, in one fixed order.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
