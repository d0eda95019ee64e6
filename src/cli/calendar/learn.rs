//! `peakscaler calendar learn`: what past entries of a calendar have truly brought, and what to say the
//! next time.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::forecast::{new_table, read_history, say, time_zone};
use crate::core::demand::calendar::{CalendarSpec, Measured, PeakSpec, measure};
use crate::core::demand::forecast::slot_seconds_for;

/// The same weekday of about the same date.
const A_YEAR: SignedDuration = SignedDuration::from_hours(364 * 24);

/// Arguments of `calendar learn`.
#[derive(Debug, clap::Args)]
pub(super) struct LearnArguments {
    /// The calendar, as YAML.
    file: PathBuf,
    /// CSV file with lines `timestamp,count`: local times on a regular grid.
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// Time zone of the timestamps, and of what is printed (IANA name); default: the calendar's timeZone, or UTC
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    time_zone: Option<TimeZone>,
    /// `yaml` is a calendar for the same weekdays of next year, with the measured uplifts
    #[arg(long, value_enum, default_value_t = LearnOutput::Table)]
    output: LearnOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LearnOutput {
    Table,
    Json,
    Yaml,
}

/// A line of `--output json`.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    uplift: Option<f64>,
}

pub(super) fn run(arguments: &LearnArguments) -> anyhow::Result<ExitCode> {
    let (calendar, zone) = super::open_in_zone(&arguments.file, arguments.time_zone.as_ref())?;
    let history = read_history(&arguments.history, &zone)?;
    let slot_seconds = slot_seconds_for(history.step_seconds as f64);
    let measured = measure(&calendar, &history.intervals, &zone, slot_seconds);
    if measured.is_empty() {
        eprintln!(
            "note: no entry lies within the history with at least three days before it: nothing is measured"
        );
    }
    match arguments.output {
        LearnOutput::Table if measured.is_empty() => {}
        LearnOutput::Table => say(&table(&measured, &zone))?,
        LearnOutput::Json => {
            let lines: Vec<_> =
                measured.iter().map(|measured| Line { measured, uplift: measured.uplift() }).collect();
            say(&serde_json::to_string_pretty(&lines)?)?;
        }
        LearnOutput::Yaml => {
            let spec = next_year(&measured, &zone);
            say(serde_saphyr::to_string(&spec)?.trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(measured: &[Measured], zone: &TimeZone) -> String {
    let mut table =
        new_table(&["entry", "from", "to", "ordinary", "came", "said", "measured", "together with"]);
    let moment = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M").to_string();
    let times = |uplift: Option<f64>| uplift.map_or_else(|| "-".to_owned(), |uplift| format!("{uplift:.2}"));
    for entry in measured {
        table.add_row([
            entry.name.clone(),
            moment(entry.from),
            moment(entry.to),
            format!("{:.0}", entry.ordinary),
            format!("{:.0}", entry.came),
            times(entry.said),
            times(entry.uplift()),
            entry.beside.join(", "),
        ]);
    }
    table.to_string()
}

/// The same entries on the same weekdays, 52 weeks later.
fn next_year(measured: &[Measured], zone: &TimeZone) -> CalendarSpec {
    let local = |at: Timestamp| zone.to_datetime(at + A_YEAR).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let peaks = measured.iter().filter(|entry| entry.said != Some(0.0)).filter_map(|entry| {
        Some(PeakSpec {
            name: entry.name.clone(),
            from: local(entry.from),
            to: local(entry.to),
            uplift: Some((entry.uplift()? * 100.0).round() / 100.0),
            ..PeakSpec::default()
        })
    });
    CalendarSpec {
        time_zone: Some(zone.iana_name().unwrap_or("UTC").to_owned()),
        peaks: peaks.collect(),
        ..CalendarSpec::default()
    }
}
