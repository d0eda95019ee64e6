//! The binary: allocator, crypto provider, arguments, run.

use std::process::ExitCode;

use clap::Parser as _;
use peakscaler::cli::{Cli, told};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything opens a TLS connection. It only fails when a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = match Cli::try_parse() {
        Ok(arguments) => arguments,
        // 1, as other bad input: 2 is a finding of `plan` and `replay`.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match arguments.run() {
        Ok(code) => code,
        // A reader that has enough, as `head` has, is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
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
