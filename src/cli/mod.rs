//! The command line: one file a subcommand.

pub mod check;
pub mod docs;
pub mod forecast;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Event-driven autoscaling advisor for fulfilment centres.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Validate ScaledObject YAML offline.
    Check(check::Args),
    /// Write the generated documents.
    Docs(docs::Args),
    /// Foresee the orders of the hours ahead from a history, and score such forecasts.
    Forecast(forecast::Args),
}

/// Runs the subcommand that was asked for.
///
/// # Errors
/// What the subcommand fails with.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Check(args) => check::run(args),
        Command::Docs(args) => docs::run(args),
        Command::Forecast(args) => forecast::run(args),
    }
}
