//! `peakscaler forecast`: what a history of orders says of the hours ahead, and `forecast score`:
//! how right it would have been.

pub(super) mod chart;
mod mstl;
mod score;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use comfy_table::{CellAlignment, Table, TableComponent, presets};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::calendar;
use crate::core::demand::forecast::{ProfileForecast, SlotForecast, slot_seconds_for};
use crate::core::demand::outlook::ArrivalForecast;
use crate::history::csv::{self, History};

/// Levels of the quantiles that are shown.
const LEVELS: [f64; 4] = [0.1, 0.5, 0.9, 0.99];

/// Arguments of `peakscaler forecast`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// CSV file with lines `timestamp,count`: local times on a regular grid
    #[arg(long, required = true, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Calendar of known peaks and closures
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// How far ahead to look, for example 24h or 90m; at most 168h
    #[arg(long, default_value = "24h", value_parser = horizon)]
    horizon: SignedDuration,
    /// Time zone of the timestamps (IANA name)
    #[arg(long, default_value = "UTC", value_parser = time_zone)]
    time_zone: TimeZone,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Score day-ahead and hour-ahead forecasts against what came, beside plain ones
    Score(score::Args),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
    Svg,
}

/// What `--output json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    time_zone: &'a str,
    last_known: Timestamp,
    trusted: bool,
    distrust: Option<String>,
    levels: [f64; LEVELS.len()],
    slots: &'a [SlotForecast],
    candidates: Vec<Candidate>,
}

#[derive(Debug, Serialize)]
struct Candidate {
    name: String,
    weight: f64,
}

/// Runs the subcommand.
///
/// # Errors
/// Unreadable history, an option out of bounds, or too little history for a forecast.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(Command::Score(score)) = args.command {
        return score::run(&score);
    }
    let path = args.history.context("--history FILE is required")?;
    let history = read_history(&path, &args.time_zone)?;
    let mut forecast =
        ProfileForecast::new(args.time_zone.clone(), slot_seconds_for(history.step_seconds as f64));
    if let Some(path) = &args.calendar {
        forecast.set_calendar(&Arc::new(calendar::open(path)?));
    }
    history.intervals.iter().for_each(|interval| forecast.observe(interval));
    let last_known = forecast.last_end().context("history has no interval that can be used")?;
    let slots = forecast.slots(last_known, args.horizon.as_secs_f64(), &LEVELS)?;
    let distrust = forecast.trusted(last_known).err().map(|reason| reason.to_string());
    if let Some(reason) = &distrust {
        eprintln!("warning: the planner would not use this forecast: {reason}");
    }
    match args.output {
        Output::Table => say(&table(&slots, &args.time_zone).to_string())?,
        Output::Svg => say(&chart::svg(&history.intervals, &slots, &args.time_zone))?,
        Output::Json => {
            let report = Report {
                time_zone: args.time_zone.iana_name().unwrap_or("UTC"),
                last_known,
                trusted: distrust.is_none(),
                distrust,
                levels: LEVELS,
                slots: &slots,
                candidates: candidates(&forecast),
            };
            say(&serde_json::to_string_pretty(&report)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output; a reader that went away (`| head`) is no error.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn candidates(forecast: &ProfileForecast) -> Vec<Candidate> {
    forecast.candidates().into_iter().map(|(name, weight)| Candidate { name, weight }).collect()
}

fn table(slots: &[SlotForecast], zone: &TimeZone) -> Table {
    let mut table = new_compact_table(&["from", "orders", "q 0.1", "q 0.5", "q 0.9", "q 0.99"]);
    for slot in slots {
        let from = slot.from.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M").to_string();
        let numbers = std::iter::once(slot.mean).chain(slot.quantiles.iter().copied());
        table.add_row(std::iter::once(from).chain(numbers.map(|number| format!("{number:.1}"))));
    }
    let total: f64 = slots.iter().map(|slot| slot.mean).sum();
    table.add_row(["total", &format!("{total:.0}")]);
    table
}

pub(super) fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(header);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// A column of bars.
pub(super) fn align_left(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Left);
    }
}

/// A bar of so many columns.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the width of a bar")]
pub(super) fn bar(fill: char, columns: f64) -> String {
    fill.to_string().repeat(columns.round() as usize)
}

/// The same without a line below each row, for long tables.
pub(super) fn new_compact_table(header: &[&str]) -> Table {
    let mut table = new_table(header);
    table.remove_style(TableComponent::HorizontalLines).remove_style(TableComponent::MiddleIntersections);
    table
}

/// Reads `--history FILE`; what was odd in it goes to standard error.
pub(super) fn read_history(path: &std::path::Path, zone: &TimeZone) -> anyhow::Result<History> {
    read_named(&format!("--history {}", path.display()), path, zone)
}

/// The same of a file that errors call `name`.
pub(super) fn read_named(name: &str, path: &std::path::Path, zone: &TimeZone) -> anyhow::Result<History> {
    let file = std::fs::File::open(path).with_context(|| name.to_owned())?;
    let history = csv::read(file, zone).with_context(|| name.to_owned())?;
    history.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    if history.missing > 0 {
        eprintln!(
            "note: {} steps of {} s have no row; they count as unknown, not as zero",
            history.missing, history.step_seconds
        );
    }
    Ok(history)
}

pub(super) fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("{name:?} is not an IANA time zone such as Europe/Prague or UTC"))
}

fn horizon(text: &str) -> Result<SignedDuration, String> {
    let wanted = || format!("{text:?} is not a duration from 1m to 168h such as 24h or 90m");
    let duration: SignedDuration = text.parse().map_err(|_| wanted())?;
    let bounds = SignedDuration::from_mins(1)..=SignedDuration::from_hours(168);
    if bounds.contains(&duration) { Ok(duration) } else { Err(wanted()) }
}
