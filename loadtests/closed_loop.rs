//! `loadtest compare`: how many `GetMetrics` a second the real server answers beside the bare echo.
//!
//! Both run all the time, each in its process, the real one with its workloads ticking. They are
//! asked in turn, in rounds of changing order, so that whatever else the machine does falls on both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use indicatif::ProgressBar;
use peakscaler::clock::Stopwatch;
use serde::Serialize;

use crate::Output;
use crate::open_loop::{duration, introduce, style};
use crate::report::aligned;
use crate::target::{Target, What};
use crate::wire::{Caller, Method, Prepared};

/// Arguments of `loadtest compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Workloads that tick, and are asked for in turn.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    workloads: u32,
    /// Longest time between two decisions of a workload.
    #[arg(long, default_value = "5s", value_parser = duration)]
    tick: Duration,
    /// Calls at a time on the one connection.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64], value_parser = clap::value_parser!(u16).range(1..=1024))]
    streams: Vec<u16>,
    /// Rounds of each server for each number of streams.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Length of a round: short, so that neighbours find the machine in the same mood.
    #[arg(long, default_value = "250ms", value_parser = duration)]
    round: Duration,
    /// Fails when the median ratio is below this for any number of streams.
    #[arg(long, default_value_t = 0.0)]
    at_least: f64,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// One server under test.
struct Side {
    target: Target,
    caller: Caller,
}

impl Side {
    async fn start(what: What, tick: Duration) -> anyhow::Result<Self> {
        let target = Target::start(what, tick)?;
        let caller = Caller::connect(target.address()).await?;
        Ok(Self { target, caller })
    }
}

/// What a round brought.
#[derive(Debug, Clone, Copy)]
struct Round {
    calls: f64,
    seconds: f64,
    /// Processor time of the server that was asked.
    asked_cpu_seconds: f64,
    /// And of the other, which only decides, or does nothing.
    idle_cpu_seconds: f64,
}

impl Round {
    fn calls_per_second(&self) -> f64 {
        self.calls / self.seconds
    }
}

/// All rounds with one number of streams.
#[derive(Debug, Serialize)]
struct Comparison {
    streams: u16,
    rounds: usize,
    /// Medians.
    peakscaler_calls_per_second: f64,
    echo_calls_per_second: f64,
    /// Median of the ratios of neighbouring rounds, and its 95 % confidence interval.
    ratio: f64,
    ratio_interval: [f64; 2],
    /// Processor time of a call, without that of deciding.
    peakscaler_cpu_microseconds: f64,
    echo_cpu_microseconds: f64,
    /// Processors that deciding for all workloads takes, seen while only the echo is asked.
    deciding_cores: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    workloads: u32,
    decisions_per_second: f64,
    resident_megabytes: f64,
    processors: usize,
    comparisons: Vec<Comparison>,
}

/// Compares and prints the result.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let real = Side::start(What::Peakscaler, arguments.tick).await?;
    let echo = Side::start(What::Echo, arguments.tick).await?;
    let objects: Arc<[Prepared]> = Prepared::objects(arguments.workloads as usize, &[]).into();
    introduce(&real.caller, &objects).await?;
    let decided_before = real.target.decisions();
    let watch = Stopwatch::start();
    let rounds = 2 * u64::from(arguments.rounds) * arguments.streams.len() as u64;
    let progress = ProgressBar::new(rounds).with_style(style("rounds")?);
    let mut comparisons = Vec::new();
    for streams in &arguments.streams {
        comparisons.push(compare(arguments, *streams, [&real, &echo], &objects, &progress).await?);
    }
    progress.finish_and_clear();
    let seconds = watch.elapsed().as_secs_f64();
    let Some((before, after)) = decided_before.zip(real.target.decisions()) else {
        bail!("the server does not say how many decisions it took");
    };
    let report = Report {
        workloads: arguments.workloads,
        decisions_per_second: (after - before) / seconds,
        resident_megabytes: real.target.usage()?.resident_megabytes,
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        comparisons,
    };
    match arguments.output {
        Output::Text => print(&report),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    for comparison in &report.comparisons {
        let Comparison { ratio, streams, .. } = comparison;
        ensure!(
            *ratio >= arguments.at_least,
            "{ratio:.3} of the echo with {streams} streams, must be at least {}",
            arguments.at_least
        );
    }
    Ok(())
}

async fn compare(
    arguments: &Arguments,
    streams: u16,
    sides: [&Side; 2],
    objects: &Arc<[Prepared]>,
    progress: &ProgressBar,
) -> anyhow::Result<Comparison> {
    let mut measured = [Vec::new(), Vec::new()];
    for number in 0..=arguments.rounds {
        // Neither side always comes second.
        let order = if number % 2 == 0 { [0, 1] } else { [1, 0] };
        for side in order {
            let round = measure(sides[side], sides[1 - side], streams, arguments.round, objects).await?;
            // The first is for connections, caches and threads to warm up.
            if number > 0 {
                measured[side].push(round);
                progress.inc(1);
            }
        }
    }
    let [real, echo] = measured;
    let pairs = real.iter().zip(&echo);
    let ratios = sorted(pairs.map(|(real, echo)| real.calls_per_second() / echo.calls_per_second()));
    let rate = |rounds: &[Round]| quantile(&sorted(rounds.iter().map(Round::calls_per_second)), 0.5);
    let sum = |rounds: &[Round], what: fn(&Round) -> f64| rounds.iter().map(what).sum::<f64>();
    let deciding_cores = sum(&echo, |round| round.idle_cpu_seconds) / sum(&echo, |round| round.seconds);
    let cpu = |rounds: &[Round], apart: f64| {
        let seconds =
            sum(rounds, |round| round.asked_cpu_seconds) - apart * sum(rounds, |round| round.seconds);
        seconds * 1e6 / sum(rounds, |round| round.calls)
    };
    Ok(Comparison {
        streams,
        rounds: ratios.len(),
        peakscaler_calls_per_second: rate(&real),
        echo_calls_per_second: rate(&echo),
        ratio: quantile(&ratios, 0.5),
        ratio_interval: median_interval(&ratios),
        peakscaler_cpu_microseconds: cpu(&real, deciding_cores),
        echo_cpu_microseconds: cpu(&echo, 0.0),
        deciding_cores,
    })
}

/// Keeps `streams` calls under way for as long as a round lasts.
async fn measure(
    side: &Side,
    other: &Side,
    streams: u16,
    length: Duration,
    objects: &Arc<[Prepared]>,
) -> anyhow::Result<Round> {
    let over = Arc::new(AtomicBool::new(false));
    let cpu_seconds = || -> anyhow::Result<[f64; 2]> {
        Ok([side.target.usage()?.cpu_seconds, other.target.usage()?.cpu_seconds])
    };
    let before = cpu_seconds()?;
    let watch = Stopwatch::start();
    let callers: Vec<_> = (0..usize::from(streams))
        .map(|stream| {
            let (over, objects, mut caller) = (over.clone(), objects.clone(), side.caller.clone());
            tokio::spawn(async move {
                let mut calls: u32 = 0;
                // Apart from each other, over all objects.
                let mut object = stream * objects.len() / usize::from(streams);
                while !over.load(Ordering::Relaxed) {
                    object = (object + 1) % objects.len();
                    caller.call(Method::GetMetrics, &objects[object]).await?;
                    calls += 1;
                }
                Ok::<u32, tonic::Status>(calls)
            })
        })
        .collect();
    tokio::time::sleep(length).await;
    over.store(true, Ordering::Relaxed);
    let mut calls = 0.0;
    for caller in callers {
        calls += f64::from(caller.await??);
    }
    let seconds = watch.elapsed().as_secs_f64();
    let after = cpu_seconds()?;
    Ok(Round {
        calls,
        seconds,
        asked_cpu_seconds: after[0] - before[0],
        idle_cpu_seconds: after[1] - before[1],
    })
}

fn print(report: &Report) {
    println!(
        "GetMetrics in a closed loop over one connection, {} processors; {} workloads tick: {:.0} decisions \
         a second, {:.0} MB resident\n",
        report.processors, report.workloads, report.decisions_per_second, report.resident_megabytes
    );
    let header =
        ["streams", "peakscaler/s", "echo/s", "ratio", "95 %", "µs/call", "echo's", "deciding", "rounds"];
    let mut table = aligned(&header);
    for comparison in &report.comparisons {
        let [low, high] = comparison.ratio_interval;
        table.add_row([
            comparison.streams.to_string(),
            format!("{:.0}", comparison.peakscaler_calls_per_second),
            format!("{:.0}", comparison.echo_calls_per_second),
            format!("{:.3}", comparison.ratio),
            format!("{low:.3}-{high:.3}"),
            format!("{:.1}", comparison.peakscaler_cpu_microseconds),
            format!("{:.1}", comparison.echo_cpu_microseconds),
            format!("{:.2}", comparison.deciding_cores),
            comparison.rounds.to_string(),
        ]);
    }
    println!(
        "{table}\n\nrates and ratios are medians; µs/call is processor time of the server alone, that of \
         deciding (in processors) taken off"
    );
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values, straight between neighbours; NaN without any.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let place = level * sorted.len().saturating_sub(1) as f64;
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
    at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract()
}

/// 95 % confidence interval of the median, whatever the distribution: by the ranks that the sign test
/// does not refuse.
fn median_interval(sorted: &[f64]) -> [f64; 2] {
    let reach = 0.98 / (sorted.len().max(1) as f64).sqrt();
    [quantile(sorted, (0.5 - reach).max(0.0)), quantile(sorted, (0.5 + reach).min(1.0))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        close(quantile(&[1.0, 2.0], 0.25), 1.25);
        close(quantile(&[3.0], 0.75), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
