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
        // A reader that has enough, as `head` has, is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut kinds = error.chain().filter_map(|cause| {
        let of_json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        of_json.or_else(|| cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind))
    });
    kinds.any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}
