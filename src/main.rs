//! The binary: allocator, crypto provider, arguments, run.

use std::process::ExitCode;

use clap::Parser as _;
use peakscaler::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything opens a TLS connection. It only fails when a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
