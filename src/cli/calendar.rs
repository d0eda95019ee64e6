//! `peakscaler calendar`: checks a calendar of known peaks, shows what it does to a history, and measures
//! what past peaks have brought.

mod learn;
mod preview;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
pub(super) use preview::Hour;

use crate::calendar::{LoadError, load};
use crate::core::demand::calendar::Calendar;

/// Arguments of `peakscaler calendar`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Name everything that is wrong with a calendar, by line.
    Check {
        /// The calendar, as YAML.
        file: PathBuf,
    },
    /// Measure what past entries have truly brought, to be said the next time.
    Learn(learn::LearnArguments),
    /// Show ordinary orders against those with the calendar.
    Preview(preview::PreviewArguments),
}

/// Runs the subcommand.
///
/// # Errors
/// When a file cannot be read, or there is too little history for a preview.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check { file } => check(&file),
        Command::Learn(arguments) => learn::run(&arguments),
        Command::Preview(arguments) => preview::run(&arguments),
    }
}

/// Loads `--calendar FILE`.
pub(super) fn open(path: &Path) -> anyhow::Result<Calendar> {
    Ok(load(path)?)
}

fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match load(path) {
        Ok(calendar) => {
            let (entries, cut_offs) = (calendar.entries().count(), calendar.cut_offs().len());
            writeln!(
                out,
                "{}: {entries} peaks and closures, {cut_offs} cut-offs, nothing wrong",
                path.display()
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ LoadError::Wrong { .. }) => {
            writeln!(out, "{error}")?;
            Ok(ExitCode::FAILURE)
        }
        Err(error @ LoadError::Read { .. }) => Err(error.into()),
    }
}
