//! `decide`: the pure core as a filter of lines.
//!
//! One observation a line in, one decision a line out, flushed at once, so that the writer may wait
//! for each answer before it goes on. No clock is read: the same input gives the same bytes.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::calendar;
use super::forecast::read_history;
use crate::core::demand::calendar::Calendar;
use crate::core::demand::forecast::{ProfileForecast, slot_seconds_for};
use crate::core::demand::outlook::ArrivalForecast as _;
use crate::core::{CutOff, DecisionRecord, Interval, Observation, Workload};
use crate::telemetry::records::BYTE_ORDER_MARK;
use crate::trigger::scaled_object::load_trigger;
use crate::trigger::yaml::without_place;

/// Arguments of `decide`.
#[derive(Debug, clap::Args)]
pub(super) struct DecideArguments {
    /// A ScaledObject (its first trigger that is ours) or a bare `metadata:` map, as YAML.
    #[arg(long, value_name = "FILE")]
    trigger: PathBuf,
    /// Known peaks, as YAML.
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// Past orders to learn the forecast from: `timestamp,count` on a regular grid, as CSV.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Print with each decision all that it was taken from, as `--record-dir` keeps it.
    #[arg(long)]
    inputs: bool,
}

pub(super) fn run(arguments: &DecideArguments) -> anyhow::Result<ExitCode> {
    let filter = Filter::open(arguments)?;
    let outcome = filter.run(io::stdin().lock(), io::BufWriter::new(io::stdout().lock()));
    match outcome {
        // The reader of our lines has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => other.context("reading observations and writing decisions").map(|()| ExitCode::SUCCESS),
    }
}

/// What goes out in place of a decision.
#[derive(serde::Serialize)]
struct Refusal {
    error: String,
    line: u64,
}

/// A workload, and the history that it learns from before its first observation.
struct Filter {
    workload: Workload,
    history: Option<(ProfileForecast, Vec<Interval>)>,
    calendar: Arc<Calendar>,
    inputs: bool,
}

impl Filter {
    fn open(arguments: &DecideArguments) -> anyhow::Result<Self> {
        let trigger = load_trigger(&arguments.trigger).context("--trigger")?;
        let history = match &arguments.history {
            Some(path) => {
                let zone = TimeZone::get(&trigger.policy.time_zone).context("timeZone")?;
                let history = read_history(path, &zone)?;
                let slot = slot_seconds_for(history.step_seconds as f64);
                Some((ProfileForecast::new(zone, slot), history.intervals))
            }
            None => None,
        };
        let calendar = match &arguments.calendar {
            Some(path) => Arc::new(calendar::open(path).context("--calendar")?),
            None => Arc::default(),
        };
        for exception in calendar.cut_offs() {
            let known = |cut_off: &CutOff| cut_off.name.eq_ignore_ascii_case(&exception.carrier);
            if !trigger.policy.cut_offs.iter().any(known) {
                let (carrier, date) = (&exception.carrier, exception.date);
                eprintln!(
                    "warning: --calendar: cutOffs has {carrier:?} on {date}; the trigger's cutOffs has no such carrier"
                );
            }
        }
        let mut workload = Workload::new(trigger.policy);
        workload.set_calendar(Arc::clone(&calendar));
        Ok(Self { workload, history, calendar, inputs: arguments.inputs })
    }

    fn run(mut self, mut lines: impl BufRead, mut out: impl Write) -> io::Result<()> {
        let mut line = Vec::new();
        let mut number = 0_u64;
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            number += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match self.decide(&line) {
                Ok(record) => serde_json::to_writer(&mut out, &record)?,
                Err(error) => serde_json::to_writer(&mut out, &Refusal { error, line: number })?,
            }
            out.write_all(b"\n")?;
            out.flush()?;
        }
    }

    fn decide(&mut self, line: &[u8]) -> Result<DecisionRecord, String> {
        let line = line.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(line).trim_ascii();
        if !line.starts_with(b"{") {
            // serde would take a list of the fields' values in their order.
            return Err("not an observation: must be one JSON object".to_owned());
        }
        let observation: Observation =
            serde_json::from_slice(line).map_err(|error| in_words(line, &error))?;
        self.learn_history(observation.at);
        let mut record = self.workload.step(&observation).map_err(|error| error.to_string())?;
        if !self.inputs {
            record.inputs = None;
        }
        Ok(record)
    }

    /// Only what was over before the first observation is history: a file that goes on must not
    /// foretell what is observed.
    fn learn_history(&mut self, now: Timestamp) {
        let Some((mut forecast, intervals)) = self.history.take() else { return };
        if !self.calendar.is_empty() {
            // Before the history, so that past peaks stay out of what is learned.
            forecast.set_calendar(&self.calendar);
        }
        let past = intervals.partition_point(|interval| interval.to <= now);
        for interval in &intervals[..past] {
            forecast.observe(interval);
        }
        if past < intervals.len() {
            let left = intervals.len() - past;
            eprintln!(
                "warning: --history: {left} rows end after the first observation at {now}; they are left out"
            );
        }
        self.workload.set_forecast(Box::new(forecast));
    }
}

/// Without serde's own "line 1", as the number that counts is the line of the input; a value with its key.
fn in_words(line: &[u8], error: &serde_json::Error) -> String {
    let text = error.to_string();
    let words = without_place(&text)
        .replace("expected u32", "expected a whole number of 0 or above")
        .replace("expected f64", "expected a number")
        .replace("expected struct ", "expected an object: ")
        .replace(
            "failed to find offset component, which is required for parsing a timestamp",
            "has no offset, must be like 2026-11-27T08:00:00Z or 2026-11-27T09:00:00+01:00",
        );
    let is_of_a_value =
        error.is_data() && !["missing", "unknown", "duplicate"].iter().any(|start| words.starts_with(start));
    let key = is_of_a_value.then(|| last_key(&line[..error.column().min(line.len())])).flatten();
    let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
    format!("not an observation: {key}{words} (column {})", error.column())
}

/// The key before a place in JSON.
fn last_key(before: &[u8]) -> Option<String> {
    let before = String::from_utf8_lossy(before);
    let (head, _) = before.rsplit_once("\":")?;
    head.rsplit('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Policy;

    fn filter() -> Filter {
        Filter {
            workload: Workload::new(Policy::default()),
            history: None,
            calendar: Arc::default(),
            inputs: false,
        }
    }

    fn answers(input: &str) -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        filter().run(input.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_bad_line_is_answered_and_the_next_is_read() {
        let answers = answers(
            "{\"at\":\"2026-11-27T08:00:00Z\"}\n\n   \nnonsense\n{\"at\":\"2026-11-27T08:00:05Z\",\"queu\":null}\n\
             {\"at\":\"2026-11-27T09:00:10+01:00\"}",
        );
        assert_eq!(answers.len(), 4);
        assert_eq!(answers[0]["at"], "2026-11-27T08:00:00Z");
        assert_eq!(answers[1]["line"], 4);
        assert_eq!(answers[2]["line"], 5);
        assert!(answers[2]["error"].as_str().unwrap().contains("`queu`"), "{}", answers[2]);
        assert_eq!(answers[3]["at"], "2026-11-27T08:00:10Z");
    }

    #[test]
    fn a_value_that_is_wrong_is_told_with_its_key() {
        let at = r#"{"at":"2026-11-27T08:00:00Z","#;
        for (line, expected) in [
            (
                r#"{"at":5}"#.to_owned(),
                "at: invalid type: integer `5`, expected a timestamp string (column 7)",
            ),
            (
                format!(r#"{at}"queue":{{"visible":"4","in_flight":1}}}}"#),
                "visible: invalid type: string \"4\", expected a number (column 51)",
            ),
            (
                format!(r#"{at}"replicas":{{"ready":3.5,"wanted":1}}}}"#),
                "ready: invalid type: floating point `3.5`, expected a whole number of 0 or above (column 52)",
            ),
            (
                r#"{"at":"2026-11-27T08:00:00"}"#.to_owned(),
                "at: has no offset, must be like 2026-11-27T08:00:00Z or 2026-11-27T09:00:00+01:00 (column 27)",
            ),
            (format!(r#"{at}"queue":{{"visible":4}}}}"#), "missing field `in_flight` (column 50)"),
            (format!(r#"{at}"a at line b":1}}"#), "unknown field `a at line b`, expected one of"),
            (at.to_owned(), "EOF while parsing a value (column 29)"),
        ] {
            let error = answers(&line)[0]["error"].as_str().unwrap().to_owned();
            let words = error.strip_prefix("not an observation: ").unwrap_or(&error);
            assert!(words.starts_with(expected), "{line}\n{error}");
        }
        let marked = answers("\u{feff}{\"at\":\"2026-11-27T08:00:00Z\"}\r\n");
        assert_eq!(marked[0]["at"], "2026-11-27T08:00:00Z");
    }

    #[test]
    fn a_figure_that_no_centre_has_is_refused_with_its_bound() {
        let at = r#"{"at":"2026-11-27T08:00:00Z","#;
        for (rest, expected) in [
            (
                r#""queue":{"visible":1e308,"in_flight":1}}"#,
                "queue.visible is 1e308, must be a number from 0 to 1000000000",
            ),
            (
                r#""queue":{"visible":1,"in_flight":-1}}"#,
                "queue.in_flight is -1, must be a number from 0 to 1000000000",
            ),
            (
                r#""arrivals":[{"from":"2026-11-27T07:00:00Z","to":"2026-11-27T07:01:00Z","count":1e12}]}"#,
                "arrivals.count is 1000000000000, must be a number from 0 to 1000000000",
            ),
            (
                r#""bounds":{"min":4294967295}}"#,
                "bounds.min is 4294967295, must be a number from 0 to 1000000",
            ),
            (
                r#""replicas":{"ready":4294967295,"pending":1}}"#,
                "replicas.ready is 4294967295, must be a number from 0 to 1000000",
            ),
            (
                r#""nodes":{"free_slots":4294967295,"coming":1}}"#,
                "nodes.free_slots is 4294967295, must be a number from 0 to 1000000000",
            ),
            (
                r#""replicas":{"ready":1,"starting":[1e300]}}"#,
                "replicas.starting is 1e300, must be a number from 0 to 1000000000",
            ),
        ] {
            assert_eq!(answers(&format!("{at}{rest}"))[0]["error"], expected, "{rest}");
        }
        assert!(answers(&format!(r#"{at}"queue":{{"visible":1e9,"in_flight":0}}}}"#))[0]["error"].is_null());
    }

    #[test]
    fn what_has_not_come_yet_is_no_observation() {
        let at = r#"{"at":"2026-11-27T08:00:00Z","#;
        for (flow, from, to, error) in [
            ("arrivals", "07:59:00", "08:00:00", None),
            ("completions", "08:00:30", "08:01:00", None),
            (
                "completions",
                "07:59:00",
                "08:01:01",
                Some(
                    "completions has an interval that ends at 2026-11-27T08:01:01Z, after at (2026-11-27T08:00:00Z); orders are counted when they have come: it must end by at, 60 s later at most where clocks differ",
                ),
            ),
            (
                "arrivals",
                "08:00:00",
                "08:00:00",
                Some(
                    "arrivals has an interval from 2026-11-27T08:00:00Z to 2026-11-27T08:00:00Z, must end after it starts",
                ),
            ),
        ] {
            let interval = format!(r#"{{"from":"2026-11-27T{from}Z","to":"2026-11-27T{to}Z","count":60}}"#);
            let line = format!(r#"{at}"{flow}":[{interval}]}}"#);
            assert_eq!(answers(&line)[0]["error"].as_str(), error, "{line}");
        }
    }

    #[test]
    fn a_refused_line_leaves_nothing_behind() {
        let at = r#"{"at":"2026-11-27T08:00:00Z""#;
        let later = r#"{"at":"2026-11-27T08:00:05Z","queue":{"visible":40,"in_flight":2}}"#;
        let ahead =
            r#""arrivals":[{"from":"2026-11-27T09:00:00Z","to":"2026-11-27T10:00:00Z","count":9000}]}"#;
        let found = answers(&format!("{at}}}\n{at},{ahead}\n{later}"));
        assert_eq!(found[1]["line"], 2, "{}", found[1]);
        assert_eq!(found[2], answers(&format!("{at}}}\n{later}"))[1]);
        let back = answers(&format!("{later}\n{at}}}"));
        let expected = "at 2026-11-27T08:00:00Z is before the last observation's 2026-11-27T08:00:05Z; lines are in order of time";
        assert_eq!(back[1]["error"], expected);
    }

    #[test]
    fn bytes_that_are_not_text_are_answered() {
        let mut out = Vec::new();
        filter().run(&b"\xff\xfe{\n"[..], &mut out).unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(answer["line"], 1);
    }
}
