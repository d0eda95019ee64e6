//! `peakscaler history`: what `serve --state-dir` keeps of past orders: shown, taken out, put in.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::forecast::{align_left, bar, new_compact_table, new_table, read_named, say, time_zone};
use crate::clock::Clock;
use crate::core::Flow;
use crate::history::{Past, Resolution, SeriesKey, Store, StoreError, csv};

/// Arguments of `peakscaler history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What is kept of each workload; of one, its days
    Show(Show),
    /// Write one workload's past as CSV, as `forecast --history` reads it
    Export(Export),
    /// Put a CSV of past orders in; what is known already is not counted again. Not while `serve` runs
    Import(Import),
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    place: Place,
    /// One workload's days, in place of the list
    #[arg(value_name = "NAMESPACE/NAME", value_parser = workload)]
    workload: Option<(String, String)>,
    /// Time zone of the days (IANA name)
    #[arg(long, default_value = "UTC", value_parser = time_zone)]
    time_zone: TimeZone,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Export {
    #[command(flatten)]
    place: Place,
    /// The ScaledObject
    #[arg(value_name = "NAMESPACE/NAME", value_parser = workload)]
    workload: (String, String),
    /// Arrivals, or completions
    #[arg(long, value_enum, default_value_t = FlowName::Arrivals)]
    flow: FlowName,
    /// Length of a step
    #[arg(long, value_enum, default_value_t = Step::Hour)]
    step: Step,
    /// Time zone of the timestamps (IANA name)
    #[arg(long, default_value = "UTC", value_parser = time_zone)]
    time_zone: TimeZone,
}

#[derive(Debug, clap::Args)]
struct Import {
    #[command(flatten)]
    place: Place,
    /// The ScaledObject
    #[arg(value_name = "NAMESPACE/NAME", value_parser = workload)]
    workload: (String, String),
    /// CSV file with lines `timestamp,count`: local times on a regular grid
    file: PathBuf,
    /// Arrivals, or completions
    #[arg(long, value_enum, default_value_t = FlowName::Arrivals)]
    flow: FlowName,
    /// Time zone of the timestamps (IANA name)
    #[arg(long, default_value = "UTC", value_parser = time_zone)]
    time_zone: TimeZone,
    /// Most bytes of the file, as given to `serve`
    #[arg(long, env = "PEAKSCALER_STATE_MAX_BYTES", value_name = "BYTES", default_value_t = DEFAULT_MAX_BYTES)]
    state_max_bytes: u64,
}

/// Most bytes of the history's file, where nothing else is said.
pub(super) const DEFAULT_MAX_BYTES: u64 = 1 << 30;

#[derive(Debug, clap::Args)]
struct Place {
    /// The state directory of `serve`
    #[arg(long, env = "PEAKSCALER_STATE_DIR", value_name = "DIRECTORY")]
    state_dir: PathBuf,
    /// The queue's short name; needed where the workload has had several
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FlowName {
    Arrivals,
    Completions,
}

impl From<FlowName> for Flow {
    fn from(name: FlowName) -> Self {
        match name {
            FlowName::Arrivals => Self::Arrivals,
            FlowName::Completions => Self::Completions,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    #[value(name = "1m")]
    Minute,
    #[value(name = "5m")]
    FiveMinutes,
    #[value(name = "1h")]
    Hour,
}

impl From<Step> for Resolution {
    fn from(step: Step) -> Self {
        match step {
            Step::Minute => Self::Minute,
            Step::FiveMinutes => Self::FiveMinutes,
            Step::Hour => Self::Hour,
        }
    }
}

pub(super) fn workload(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err(format!("{text:?} is not NAMESPACE/NAME, such as fulfilment/pickers")),
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When the store or a file cannot be used, or nothing is kept of the workload.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let now = Clock::real().now();
    match args.command {
        Command::Show(show) => match &show.workload {
            Some(workload) => show_days(&show, workload, now),
            None => show_all(&show, now),
        },
        Command::Export(export) => take_out(&export, now),
        Command::Import(import) => put_in(&import, now),
    }
    .map_err(with_next_step)?;
    Ok(ExitCode::SUCCESS)
}

/// Of a damaged file, what becomes of it.
fn with_next_step(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<StoreError>() {
        Some(StoreError::Damaged { .. }) => anyhow!(
            "{error:#}: `serve` and `history import` set a damaged file aside beside it, and begin a new one"
        ),
        _ => error,
    }
}

impl Place {
    fn open(&self) -> anyhow::Result<Store> {
        Store::open_to_read(&self.state_dir).context("--state-dir")
    }

    /// The one series meant.
    fn series(&self, store: &Store, workload: &(String, String)) -> anyhow::Result<SeriesKey> {
        let mut keys: Vec<SeriesKey> = store.list()?.into_iter().map(|(key, _)| key).collect();
        keys.retain(|key| key.namespace == workload.0 && key.workload == workload.1);
        keys.dedup();
        let name = format!("{}/{}", workload.0, workload.1);
        if let Some(queue) = &self.queue {
            keys.retain(|key| key.queue == *queue);
            ensure!(!keys.is_empty(), "nothing is kept of {name} with --queue {queue}: see `history show`");
        }
        match keys.as_slice() {
            [only] => Ok(only.clone()),
            [] => bail!("nothing is kept of {name}: see `history show`"),
            several => {
                let queues: Vec<&str> = several.iter().map(|key| key.queue.as_str()).collect();
                bail!("{name} has had several queues: give one of them with --queue: {}", queues.join("; "))
            }
        }
    }
}

/// A line of `history show`.
#[derive(Debug, Serialize)]
struct Kept {
    #[serde(flatten)]
    series: SeriesKey,
    flow: Flow,
    from: Timestamp,
    to: Timestamp,
    /// Share of the hours between that is known.
    known: f64,
    orders_per_day: f64,
    /// Start of what is kept by the minute.
    minutes_from: Option<Timestamp>,
    five_minutes_from: Option<Timestamp>,
}

fn show_all(show: &Show, now: Timestamp) -> anyhow::Result<()> {
    let store = show.place.open()?;
    let mut lines = Vec::new();
    for (series, flow) in store.list()? {
        let past = store.read(&series, flow, now)?;
        let Some((from, to, known)) = past.span(Resolution::Hour) else { continue };
        let orders: f64 = past.cells(Resolution::Hour).map(|(_, cell)| f64::from(cell.count)).sum();
        let days = to.duration_since(from).as_secs_f64() / 86_400.0 * known;
        let start = |resolution| past.span(resolution).map(|(from, ..)| from);
        lines.push(Kept {
            orders_per_day: if days > 0.0 { orders / days } else { 0.0 },
            minutes_from: start(Resolution::Minute),
            five_minutes_from: start(Resolution::FiveMinutes),
            series,
            flow,
            from,
            to,
            known,
        });
    }
    if show.output == Output::Json {
        return say(&serde_json::to_string_pretty(&lines)?);
    }
    let mut table = new_table(&[
        "workload",
        "queue",
        "flow",
        "by hours from",
        "by 5 min from",
        "by minutes from",
        "to",
        "known",
        "orders a day",
    ]);
    let moment = |at: Timestamp| at.to_zoned(show.time_zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let start = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), moment);
    for line in lines {
        table.add_row([
            format!("{}/{}", line.series.namespace, line.series.workload),
            line.series.queue,
            flow_word(line.flow).to_owned(),
            moment(line.from),
            start(line.five_minutes_from),
            start(line.minutes_from),
            moment(line.to),
            format!("{:.1} %", 100.0 * line.known),
            format!("{:.0}", line.orders_per_day),
        ]);
    }
    say(&table.to_string())
}

fn flow_word(flow: Flow) -> &'static str {
    match flow {
        Flow::Arrivals => "arrivals",
        Flow::Completions => "completions",
    }
}

/// One day of `history show NAMESPACE/NAME`; what nobody has told is unknown, not zero.
#[derive(Debug, Default, Serialize)]
struct Day {
    arrivals: Option<f64>,
    completions: Option<f64>,
    /// Of the arrivals.
    known_hours: f64,
}

fn show_days(show: &Show, workload: &(String, String), now: Timestamp) -> anyhow::Result<()> {
    const BAR: f64 = 40.0;
    let store = show.place.open()?;
    let series = show.place.series(&store, workload)?;
    let mut days: std::collections::BTreeMap<jiff::civil::Date, Day> = std::collections::BTreeMap::new();
    for flow in [Flow::Arrivals, Flow::Completions] {
        let past = store.read(&series, flow, now)?;
        for (start, cell) in past.cells(Resolution::Hour) {
            let date = show.time_zone.to_datetime(Timestamp::from_second(start)?).date();
            let day = days.entry(date).or_default();
            match flow {
                Flow::Arrivals => {
                    *day.arrivals.get_or_insert(0.0) += f64::from(cell.count);
                    day.known_hours += cell.known(Resolution::Hour);
                }
                Flow::Completions => *day.completions.get_or_insert(0.0) += f64::from(cell.count),
            }
        }
    }
    if show.output == Output::Json {
        return say(&serde_json::to_string_pretty(&days)?);
    }
    let most = days.values().filter_map(|day| day.arrivals).fold(1.0, f64::max);
    let orders = |count: Option<f64>| count.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}"));
    let mut table = new_compact_table(&["day", "arrivals", "completions", "hours known", ""]);
    align_left(&mut table, 4);
    for (date, day) in &days {
        table.add_row([
            date.strftime("%a %Y-%m-%d").to_string(),
            orders(day.arrivals),
            orders(day.completions),
            format!("{:.1}", day.known_hours),
            bar('█', day.arrivals.unwrap_or(0.0) / most * BAR),
        ]);
    }
    say(&format!("{series}\n{table}"))
}

fn take_out(export: &Export, now: Timestamp) -> anyhow::Result<()> {
    /// A step of which less is known is unknown.
    const WHOLE: f64 = 0.99;
    let store = export.place.open()?;
    let series = export.place.series(&store, &export.workload)?;
    let past = store.read(&series, export.flow.into(), now)?;
    let resolution = Resolution::from(export.step);
    let known = past.cells(resolution).filter(|(_, cell)| cell.known(resolution) >= WHOLE);
    let counts = known
        .filter_map(|(start, cell)| Timestamp::from_second(start).ok().map(|at| (at, f64::from(cell.count))));
    let mut text = Vec::new();
    csv::write(&mut text, counts, &export.time_zone)?;
    match std::io::stdout().lock().write_all(&text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn put_in(import: &Import, now: Timestamp) -> anyhow::Result<()> {
    let history = read_named(&import.file.display().to_string(), &import.file, &import.time_zone)?;
    let longest = Resolution::Hour.seconds();
    ensure!(
        history.step_seconds <= longest,
        "{}: its steps are {} s long, at most {longest} s (an hour) have a place in the history",
        import.file.display(),
        history.step_seconds
    );
    let kept_since = Timestamp::from_second(Resolution::Hour.kept_since(now))?;
    let in_time = |at: Timestamp| kept_since <= at && at <= now;
    let kept: Vec<_> = history.intervals.iter().copied().filter(|interval| in_time(interval.from)).collect();
    let taken = kept.len();
    let left_out = history.intervals.len() - taken;
    ensure!(
        taken > 0,
        "{}: none of its {left_out} steps lies between {kept_since} and now: the history keeps {} days",
        import.file.display(),
        Resolution::Hour.kept_days()
    );
    let store = Store::open(&import.place.state_dir, import.state_max_bytes).context("--state-dir")?;
    let series = match &import.place.queue {
        Some(queue) => {
            let (namespace, workload) = import.workload.clone();
            SeriesKey { namespace, workload, queue: queue.clone() }
        }
        None => import.place.series(&store, &import.workload).context(
            "of a workload that has no history yet the queue's short name must be told: --queue orders",
        )?,
    };
    store.write(&[(series.clone(), import.flow.into(), Past::of(&kept))], &[], now)?;
    let note =
        if left_out > 0 { format!(", {left_out} older or later ones left out") } else { String::new() };
    say(&format!("{series}: {taken} steps of {} s put in{note}", history.step_seconds))
}
