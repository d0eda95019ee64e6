//! `loadtest run`: sends when it is due, whatever has been answered. A server that falls behind is
//! not asked less, and every wait counts from the moment at which the call was due.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use peakscaler::clock::Stopwatch;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::Output;
use crate::record::{Recorder, Series};
use crate::report::{Report, Setting};
use crate::schedule::{Due, Schedule};
use crate::target::{Target, What};
use crate::wire::{Caller, Method, Prepared};

/// Arguments of `loadtest run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// gRPC address of a server on this machine; by default one is started for the run.
    #[arg(long, value_parser = loopback)]
    address: Option<SocketAddr>,
    /// ScaledObjects.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    objects: u32,
    /// KEDA's `pollingInterval`: `GetMetricSpec`, `GetMetrics` and `IsActive` for each object.
    #[arg(long, default_value = "30s", value_parser = duration)]
    polling_interval: Duration,
    /// The HPA's sync period: the same three calls.
    #[arg(long, default_value = "15s", value_parser = duration)]
    sync_period: Duration,
    /// So many `GetMetrics` a second in place of KEDA's cadence.
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// How long calls are sent, at most an hour.
    #[arg(long, default_value = "60s", value_parser = duration)]
    length: Duration,
    /// Connections; KEDA has one to an address.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Most polls, syncs and calls under way; what is due beyond them counts as not sent.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_in_flight: u32,
    /// Scaler metadata in addition to, or in place of, what each object has.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Decides where in their periods the objects start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| format!("{text:?} is not like 127.0.0.1:9443"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!("{address} is not on this machine: load is only ever put on a loopback address"))
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration from 10ms to 1h: write it like 500ms, 5s or 15m");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let duration = Duration::try_from(span).map_err(|_| wrong())?;
    let allowed = Duration::from_millis(10)..=Duration::from_hours(1);
    if allowed.contains(&duration) { Ok(duration) } else { Err(wrong()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of calls a second"))?;
    if (0.1..=100_000.0).contains(&rate) { Ok(rate) } else { Err(format!("{rate} is not in 0.1..=100000")) }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not like targetWait=10m"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs and prints the result.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let own = match arguments.address {
        Some(_) => None,
        None => Some(Target::start(What::Peakscaler, Duration::from_secs(5))?),
    };
    let address = match &own {
        Some(target) => target.address(),
        None => arguments.address.context("an address or a server of our own")?,
    };
    let mut callers = Vec::new();
    for _ in 0..arguments.connections {
        callers.push(Caller::connect(address).await?);
    }
    let objects: Arc<[Prepared]> = Prepared::objects(arguments.objects as usize, &arguments.metadata).into();
    introduce(&callers[0], &objects).await?;
    let before = own.as_ref().map(Target::usage).transpose()?;
    let recorder = Arc::new(Recorder::new());
    let watch = Stopwatch::start();
    send(arguments, &callers, objects, &recorder).await?;
    let seconds = watch.elapsed().as_secs_f64();
    let after = own.as_ref().map(Target::usage).transpose()?;
    let setting = Setting {
        address,
        objects: arguments.objects,
        rate: arguments.rate,
        polling_seconds: arguments.polling_interval.as_secs_f64(),
        sync_seconds: arguments.sync_period.as_secs_f64(),
        connections: arguments.connections,
    };
    let report = Report::new(setting, &recorder, seconds, before.zip(after));
    match arguments.output {
        Output::Text => print!("{}", report.text()),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}

/// Asks once for each object, so that the run finds a server that knows them.
///
/// # Errors
/// When even one has no answer: the run would measure errors.
pub(crate) async fn introduce(caller: &Caller, objects: &[Prepared]) -> anyhow::Result<()> {
    let progress = ProgressBar::new(objects.len() as u64).with_style(style("introducing")?);
    let calls = futures::stream::iter(objects).map(|object| {
        let mut caller = caller.clone();
        async move { caller.call(Method::GetMetrics, object).await }
    });
    let mut calls = calls.buffer_unordered(64);
    while let Some(answer) = calls.next().await {
        answer.map_err(|status| anyhow::anyhow!("{:?}: {}", status.code(), status.message()))?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

pub(crate) fn style(what: &str) -> anyhow::Result<ProgressStyle> {
    Ok(ProgressStyle::with_template(&format!("{what} {{bar:30}} {{pos}}/{{len}} {{msg}}"))?)
}

async fn send(
    arguments: &Arguments,
    callers: &[Caller],
    objects: Arc<[Prepared]>,
    recorder: &Arc<Recorder>,
) -> anyhow::Result<()> {
    let schedule = match arguments.rate {
        Some(rate) => Schedule::rate(objects.len(), rate),
        None => Schedule::cadence(
            objects.len(),
            arguments.polling_interval,
            arguments.sync_period,
            arguments.seed,
        ),
    };
    let watch = Stopwatch::start();
    let (mut due, _pacer) = pace(schedule, watch, arguments.length)?;
    let room = Arc::new(Semaphore::new(arguments.max_in_flight as usize));
    let tasks = TaskTracker::new();
    let progress = ProgressBar::new(arguments.length.as_secs()).with_style(style("sending")?);
    let mut sent = 0;
    while let Some(due) = due.recv().await {
        progress.set_position(due.at.as_secs());
        let Ok(permit) = room.clone().try_acquire_owned() else {
            recorder.not_sent();
            continue;
        };
        let caller = callers[sent % callers.len()].clone();
        sent += 1;
        let (objects, recorder) = (objects.clone(), recorder.clone());
        tasks.spawn(async move {
            carry_out(due, caller, &objects[due.object], watch, &recorder).await;
            drop(permit);
        });
    }
    // Each call ends by itself, by its deadline at the latest.
    tasks.close();
    tasks.wait().await;
    progress.finish_and_clear();
    ensure!(sent > 0, "nothing was due within {:?}: make it longer", arguments.length);
    Ok(())
}

/// Hands on what is due at its time, on a thread of its own: timers of the runtime are as coarse as
/// a millisecond, and late when it is busy.
fn pace(
    schedule: Schedule,
    watch: Stopwatch,
    length: Duration,
) -> anyhow::Result<(mpsc::Receiver<Due>, DropGuard)> {
    let (sender, receiver) = mpsc::channel(65_536);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let thread = std::thread::Builder::new().name("pacer".to_owned());
    thread.spawn(move || {
        for due in schedule.take_while(|due| due.at < length) {
            let ahead = due.at.saturating_sub(watch.elapsed());
            if !ahead.is_zero() {
                std::thread::sleep(ahead);
            }
            if stopped.is_cancelled() || sender.blocking_send(due).is_err() {
                return;
            }
        }
    })?;
    Ok((receiver, stop.drop_guard()))
}

/// Calls in turn, as KEDA does. The first was due at its time, each other when the one before it
/// was answered; the whole counts from its time.
async fn carry_out(due: Due, mut caller: Caller, object: &Prepared, watch: Stopwatch, recorder: &Recorder) {
    let since = |moment: Duration| watch.elapsed().saturating_sub(moment);
    recorder.record(Series::Lag, since(due.at), None);
    let mut from = due.at;
    let mut failure = None;
    for method in due.what.methods() {
        let answer = caller.call(*method, object).await;
        let status = answer.err();
        recorder.record(Series::Method(*method), since(from), status.as_ref());
        failure = failure.or(status);
        from = watch.elapsed();
    }
    if due.what.methods().len() > 1 {
        recorder.record(Series::Whole(due.what), since(due.at), failure.as_ref());
    }
}
