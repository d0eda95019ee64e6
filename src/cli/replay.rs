//! `peakscaler replay RECORDS...`: takes decisions of production again with this binary.
//!
//! A record of `serve --record-dir` carries all that its decision was taken from, so that the same
//! code gives the same number. Exit code 0 when all are the same, 1 when one differs, 2 when a
//! record cannot be read or decided again, be it for want of settings that can be read.

mod compare;
mod foreign;
mod reasons;
mod settings;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressIterator as _};
use jiff::Timestamp;
use serde::Serialize;

use super::forecast::{new_table, say};
use super::report::Output;
use super::report::words::counted;
use crate::core::Policy;
use crate::telemetry::records::{Kept, RecordsError, files_of, read};
use crate::trigger::scaled_object::load_trigger;
use crate::trigger::yaml::without_place;
use compare::{Cause, Change, decide_again};
use reasons::Reason;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArguments {
    /// Files of `serve --record-dir`, or that directory; lines of `decide --inputs` too, with --trigger.
    #[arg(required = true, value_name = "RECORDS")]
    records: Vec<PathBuf>,
    /// Decide with the settings of this ScaledObject (or bare `metadata:` map) in place of those recorded.
    #[arg(long, value_name = "FILE")]
    trigger: Option<PathBuf>,
    /// Differences shown of each reason; all are counted, and JSON has all.
    #[arg(long, default_value_t = 5, value_name = "COUNT", allow_negative_numbers = true, value_parser = super::whole(0, u32::MAX))]
    show: u32,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// What came of all records.
#[derive(Debug, Default, Serialize)]
struct Report {
    version: &'static str,
    decisions: usize,
    same: usize,
    differ: usize,
    /// Records that could not be decided again, with their place.
    unusable: Vec<Unusable>,
    /// Files that end in the middle.
    cut_off: Vec<String>,
    workloads: Vec<WorkloadReport>,
    /// The differences in short: one entry for each workload and reason.
    reasons: Vec<Reason>,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Unusable {
    place: String,
    reason: String,
}

/// What came of one workload's records.
#[derive(Debug, Default, Serialize)]
struct WorkloadReport {
    workload: String,
    decisions: usize,
    differ: usize,
    /// Replicas summed over its decisions, as recorded and as decided again.
    replicas_recorded: u64,
    replicas_again: u64,
}

/// One decision that is another now.
#[derive(Debug, Serialize)]
struct Difference {
    place: String,
    workload: String,
    at: Timestamp,
    changes: Vec<Change>,
    causes: Vec<Cause>,
}

pub(super) fn run(arguments: &ReplayArguments) -> anyhow::Result<ExitCode> {
    let load = |path: &PathBuf| load_trigger(path).context("--trigger");
    let settings = arguments.trigger.as_ref().map(load).transpose().map(|given| given.map(|one| one.policy));
    let report = match settings.and_then(|settings| gather(&arguments.records, settings.as_deref())) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {}", super::told(&error));
            return Ok(ExitCode::from(2));
        }
    };
    match arguments.output {
        Output::Table => say(&text(&report, usize::try_from(arguments.show)?))?,
        Output::Json => say(&serde_json::to_string_pretty(&report)?)?,
    }
    Ok(match (report.unusable.is_empty() && report.decisions > 0, report.differ) {
        (false, _) => ExitCode::from(2),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::FAILURE,
    })
}

fn gather(records: &[PathBuf], settings: Option<&Policy>) -> anyhow::Result<Report> {
    let mut report = Report { version: env!("CARGO_PKG_VERSION"), ..Report::default() };
    let mut workloads: BTreeMap<String, WorkloadReport> = BTreeMap::new();
    let mut files = Vec::new();
    for path in records {
        files.extend(files_of(path)?);
    }
    // A directory and one of its files, or the same twice, are decided again once.
    let mut taken = HashSet::new();
    files.retain(|file| taken.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    for file in &files {
        let place_of_file = file.display().to_string();
        let read = match read(file) {
            Ok(read) => read,
            // the other files may be whole
            Err(RecordsError::Corrupt { source, .. }) => {
                let reason = format!("cannot be decompressed: {source}; none of it was taken");
                report.unusable.push(Unusable { place: place_of_file, reason });
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if read.cut_off {
            report.cut_off.push(place_of_file.clone());
        }
        if let Some(kind) = foreign::of(&read.lines) {
            let reason = format!(
                "is no file of decision records, it seems to be {kind}; give what `serve --record-dir` wrote, or lines of `decide --inputs`"
            );
            report.unusable.push(Unusable { place: place_of_file, reason });
            continue;
        }
        let bar = ProgressBar::new(read.lines.len() as u64).with_message(place_of_file);
        for (number, line) in read.lines.iter().progress_with(bar) {
            take(&mut report, &mut workloads, &place(file, *number), line, settings);
        }
    }
    report.workloads = workloads.into_values().collect();
    report.reasons = reasons::gathered(&report.differences);
    Ok(report)
}

fn place(file: &Path, line: usize) -> String {
    format!("{}:{line}", file.display())
}

fn take(
    report: &mut Report,
    workloads: &mut BTreeMap<String, WorkloadReport>,
    place: &str,
    line: &str,
    settings: Option<&Policy>,
) {
    let mut unusable = |reason: String| report.unusable.push(Unusable { place: place.to_owned(), reason });
    let kept = match Kept::parse(line) {
        Ok(kept) => kept,
        Err(error) => {
            let reason = error.to_string();
            // serde would take a list for an object, and tells names of types where neither came.
            let is_object = line.trim_start().starts_with('{');
            let words = if is_object { without_place(&reason) } else { "must be one JSON object" };
            return unusable(format!("is not a decision record{}: {words}", of_another_version(line)));
        }
    };
    let again = match decide_again(&kept, settings) {
        Ok(again) => again,
        Err(reason) => return unusable(reason),
    };
    let name = match (kept.namespace.as_str(), kept.workload.as_str()) {
        ("", "") => "(no name)".to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    let workload = workloads
        .entry(name.clone())
        .or_insert_with(|| WorkloadReport { workload: name.clone(), ..WorkloadReport::default() });
    report.decisions += 1;
    workload.decisions += 1;
    workload.replicas_recorded += u64::from(kept.record.desired.unwrap_or(0));
    workload.replicas_again += u64::from(again.desired.unwrap_or(0));
    if again.changes.is_empty() {
        report.same += 1;
        return;
    }
    report.differ += 1;
    workload.differ += 1;
    report.differences.push(Difference {
        place: place.to_owned(),
        workload: name,
        at: kept.record.at,
        changes: again.changes,
        causes: again.causes,
    });
}

/// Words on the version that wrote a line, where that is not this one: its records may have other fields.
fn of_another_version(line: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Written {
        version: String,
    }
    let written = serde_json::from_str::<Written>(line).ok();
    let other = written.filter(|written| written.version != env!("CARGO_PKG_VERSION"));
    other.map_or_else(String::new, |written| {
        format!(" of this version, {} wrote it, this is {}", written.version, env!("CARGO_PKG_VERSION"))
    })
}

fn text(report: &Report, show: usize) -> String {
    let mut parts = Vec::new();
    let mut table = new_table(&["workload", "decisions", "same", "differ", "mean replicas", "now"]);
    for workload in &report.workloads {
        let mean = |sum: u64| format!("{:.2}", sum as f64 / workload.decisions.max(1) as f64);
        table.add_row([
            workload.workload.clone(),
            workload.decisions.to_string(),
            (workload.decisions - workload.differ).to_string(),
            workload.differ.to_string(),
            mean(workload.replicas_recorded),
            mean(workload.replicas_again),
        ]);
    }
    if !report.workloads.is_empty() {
        parts.push(table.to_string());
    }
    parts.extend(reasons::text(&report.reasons, &report.differences, show));
    parts.extend(reasons::of_unusable(&report.unusable, show));
    for file in &report.cut_off {
        parts.push(format!("note: {file} ends in the middle (still being written, or its writer was killed); what is whole was taken"));
    }
    if report.decisions == 0 && report.unusable.is_empty() {
        parts.push(
            "there is no whole record in the files; before the first decision they are empty".to_owned(),
        );
    }
    parts.push(format!(
        "{} taken again by version {}: {} the same, {} differ, {} could not be taken again",
        counted(report.decisions, "decision"),
        report.version,
        report.same,
        report.differ,
        report.unusable.len()
    ));
    parts.join("\n")
}

/// What is left out of a list that is shown in part.
fn more(all: usize, show: usize) -> Option<String> {
    (all > show).then(|| format!("and {} more; --show {all} tells all", all - show))
}
