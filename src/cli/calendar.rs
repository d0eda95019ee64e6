//! `peakscaler calendar`: checks a calendar of known peaks, shows what it does to a history, and measures
//! what past peaks have brought.

mod learn;
mod preview;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
pub(super) use preview::Hour;

use super::forecast::time_zone;
use super::report::words::counted;
use crate::calendar::{LoadError, load, load_both};
use crate::clock::Clock;
use crate::core::demand::calendar::Calendar;

/// How far ahead public holidays are counted.
const A_YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

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

/// Loads a calendar and the zone to read a history in: as asked for, else the calendar's own, else UTC.
/// Which one was taken unasked goes to standard error.
fn open_in_zone(path: &Path, asked: Option<&TimeZone>) -> anyhow::Result<(Calendar, TimeZone)> {
    let (calendar, spec) = load_both(path)?;
    let zone = match (asked, spec.time_zone) {
        (Some(zone), _) => zone.clone(),
        (None, Some(name)) => {
            eprintln!(
                "note: times are read and shown in {name}, the calendar's timeZone; --time-zone names another"
            );
            time_zone(&name).map_err(anyhow::Error::msg)?
        }
        (None, None) => {
            eprintln!(
                "note: times are read and shown in UTC, as the calendar has no timeZone; --time-zone names another"
            );
            TimeZone::UTC
        }
    };
    Ok((calendar, zone))
}

fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match load_both(path) {
        Ok((calendar, spec)) => {
            let now = Clock::real().now();
            let holidays = calendar.public_holidays(now, now + A_YEAR).len();
            writeln!(
                out,
                "{}: {}, {}, {} within a year from now, {}, nothing wrong",
                path.display(),
                counted(spec.peaks.len(), "peak"),
                counted(spec.closures.len(), "closure"),
                counted(holidays, "public holiday"),
                counted(calendar.cut_offs().len(), "cut-off")
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
