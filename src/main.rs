//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use peakscaler::cli;

fn main() -> anyhow::Result<ExitCode> {
    cli::run(cli::Cli::parse())
}
