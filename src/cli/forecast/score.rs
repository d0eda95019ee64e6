//! `peakscaler forecast score`: rolling day-ahead and hour-ahead scores on a known history.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::mstl::Mstl;
use super::{new_table, read_history, time_zone};
use crate::cli::calendar;
use crate::cli::report::Output;
use crate::core::demand::forecast::baselines::SameSlotMean;
use crate::core::demand::forecast::score::{DayAhead, Ours, OursWithCalendar, Past, Score, Tally};
use crate::core::demand::forecast::{DayCounts, ProfileForecast, days_of, slot_seconds_for};
use crate::core::demand::outlook::ArrivalForecast;
use crate::core::observation::Interval;
use crate::history::csv::History;

/// Days of history that must lie before the first day scored.
const LEAST_PAST_DAYS: usize = 28;

/// Arguments of `peakscaler forecast score`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// CSV file with lines `timestamp,count`: local times on a regular grid
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// Calendar of known peaks and closures: adds a line of ours that was told of it
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// First day to score; at least 28 days of history must lie before it
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// Last day to score [default: the last whole day of the history]
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    /// Time zone of the timestamps (IANA name)
    #[arg(long, default_value = "UTC", value_parser = time_zone)]
    time_zone: TimeZone,
    /// Leave out the slow baseline (MSTL)
    #[arg(long)]
    fast: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    history: String,
    time_zone: String,
    from: Date,
    until: Date,
    slot_seconds: f64,
    day_ahead: Vec<Line>,
    hour_ahead: HourAhead,
}

#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    score: Score,
    milliseconds_per_fit: f64,
}

/// Errors over orders of the next hour's forecasts, made at every slot (at most every half hour).
#[derive(Debug, Serialize)]
struct HourAhead {
    forecasts: usize,
    wape_without_ratio: f64,
    wape_with_ratio: f64,
}

/// Runs the subcommand.
///
/// # Errors
/// Unreadable history, or days that it does not hold.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let history = read_history(&args.history, &args.time_zone)?;
    let slot_seconds = slot_seconds_for(history.step_seconds as f64);
    let days = days_of(&history.intervals, &args.time_zone, slot_seconds);
    let (first, last) = span(args, &days)?;
    let calendar = args.calendar.as_deref().map(calendar::open).transpose()?.map(Arc::new);
    let mut forecasters: Vec<Box<dyn DayAhead>> = vec![Box::new(Ours)];
    if let Some(calendar) = &calendar {
        let zone = args.time_zone.clone();
        forecasters.push(Box::new(OursWithCalendar::new(calendar, &history.intervals, zone, slot_seconds)));
    }
    forecasters.extend([1, 4].map(|weeks| Box::new(SameSlotMean { weeks }) as Box<dyn DayAhead>));
    if !args.fast {
        forecasters.push(Box::new(Mstl));
    }
    let progress = ProgressBar::new(((last - first + 1) * (forecasters.len() + 1)) as u64);
    progress.set_style(ProgressStyle::with_template("{msg:28} {wide_bar} {pos}/{len} days, {eta} left")?);
    let mut day_ahead = Vec::new();
    for forecaster in &mut forecasters {
        progress.set_message(forecaster.name());
        day_ahead.push(roll(&days, first, last, slot_seconds, forecaster.as_mut(), &progress)?);
    }
    progress.set_message("hour ahead");
    let mut forecast = ProfileForecast::new(args.time_zone.clone(), slot_seconds);
    if let Some(calendar) = &calendar {
        forecast.set_calendar(calendar);
    }
    let hour_ahead =
        hour_ahead(&history, forecast, &args.time_zone, (days[first].date, days[last].date), &progress)?;
    progress.finish_and_clear();
    let report = Report {
        history: args.history.display().to_string(),
        time_zone: args.time_zone.iana_name().unwrap_or("UTC").to_owned(),
        from: days[first].date,
        until: days[last].date,
        slot_seconds,
        day_ahead,
        hour_ahead,
    };
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Output::Table => print(&report),
    }
    Ok(ExitCode::SUCCESS)
}

fn span(args: &Args, days: &[DayCounts]) -> anyhow::Result<(usize, usize)> {
    let (Some(oldest), Some(newest)) = (days.first(), days.last()) else { bail!("history has no days") };
    let find = |date: Date, option: &str| {
        let right = format!("the history has {} to {}", oldest.date, newest.date);
        days.iter().position(|day| day.date == date).with_context(|| format!("{option} {date}: {right}"))
    };
    let first = find(args.from, "--from")?;
    if first < LEAST_PAST_DAYS {
        let right = days
            .get(LEAST_PAST_DAYS)
            .map_or_else(|| "a longer history".to_owned(), |day| day.date.to_string());
        bail!(
            "--from {}: {LEAST_PAST_DAYS} days of history must lie before it; first possible: {right}",
            args.from
        );
    }
    let last = match args.until {
        Some(until) => find(until, "--until")?,
        None => days.iter().rposition(|day| day.slots().any(|(_, covered)| covered > 0.0)).unwrap_or(first),
    };
    if last < first {
        bail!("--until {} is before --from {}", days[last].date, args.from);
    }
    Ok((first, last))
}

#[expect(clippy::disallowed_methods, reason = "times the fits, which is what the command reports")]
fn roll(
    days: &[DayCounts],
    first: usize,
    last: usize,
    slot_seconds: f64,
    forecaster: &mut dyn DayAhead,
    progress: &ProgressBar,
) -> anyhow::Result<Line> {
    let values: Vec<Vec<f64>> = days.iter().map(|day| day.values(slot_seconds)).collect();
    let mut tally = Tally::default();
    let mut spent = Duration::ZERO;
    for (index, day) in days.iter().enumerate().take(last + 1).skip(first) {
        let past = Past { days: &values[..index], date: day.date };
        let start = Instant::now();
        let path = forecaster.path(&past);
        spent += start.elapsed();
        let path =
            path.with_context(|| format!("{} gives no forecast for {}", forecaster.name(), day.date))?;
        tally.add(day, slot_seconds, &values[..index], &path);
        progress.inc(1);
    }
    let score = tally.score(forecaster.name()).context("no order came in the days to score")?;
    let milliseconds_per_fit = spent.as_secs_f64() * 1e3 / score.days as f64;
    Ok(Line { score, milliseconds_per_fit })
}

/// Forecasts of the next hour at the end of every interval, at most one every half hour.
fn hour_ahead(
    history: &History,
    mut forecast: ProfileForecast,
    zone: &TimeZone,
    span: (Date, Date),
    progress: &ProgressBar,
) -> anyhow::Result<HourAhead> {
    let (mut orders, mut without, mut with, mut forecasts) = (0.0, 0.0, 0.0, 0);
    let mut day = None;
    for (index, interval) in history.intervals.iter().enumerate() {
        forecast.observe(interval);
        let now = interval.to;
        let date = zone.to_datetime(now).date();
        if !(span.0..=span.1).contains(&date) || now.as_second() % 1800 != 0 {
            continue;
        }
        let hour = now + SignedDuration::from_hours(1);
        if let Some(count) = count_in(&history.intervals[index + 1..], now, hour) {
            without += (count - forecast.expected(now, hour, false)?).abs();
            with += (count - forecast.expected(now, hour, true)?).abs();
            orders += count;
            forecasts += 1;
        }
        if day != Some(date) {
            day = Some(date);
            progress.inc(1);
        }
    }
    if orders <= 0.0 {
        bail!("no hour between {} and {} is wholly known and has orders", span.0, span.1);
    }
    Ok(HourAhead { forecasts, wape_without_ratio: without / orders, wape_with_ratio: with / orders })
}

/// Orders in `[from, to)` by the intervals that follow, where they cover it without a gap.
fn count_in(following: &[Interval], from: jiff::Timestamp, to: jiff::Timestamp) -> Option<f64> {
    let (mut at, mut sum) = (from, 0.0);
    for interval in following {
        if interval.from != at || interval.to > to {
            return None;
        }
        sum += interval.count;
        at = interval.to;
        if at == to {
            return Some(sum);
        }
    }
    None
}

fn print(report: &Report) {
    println!(
        "{}: day ahead from midnight, {} to {} ({}), slots of {} s",
        report.history, report.from, report.until, report.time_zone, report.slot_seconds
    );
    let mut table = new_table(&[
        "forecast",
        "WAPE",
        "pinball 0.5",
        "0.9",
        "0.99",
        "coverage 0.5",
        "0.9",
        "0.99",
        "0.9, all slots",
        "ms a fit",
    ]);
    for line in &report.day_ahead {
        let score = &line.score;
        let mut row = vec![score.name.clone(), format!("{:.3}", score.wape)];
        row.extend(score.pinball.map(|loss| format!("{loss:.3}")));
        row.extend(score.coverage.map(|share| format!("{share:.3}")));
        row.push(format!("{:.3}", score.coverage_all_slots));
        row.push(format!("{:.2}", line.milliseconds_per_fit));
        table.add_row(row);
    }
    println!("{table}");
    let hour = &report.hour_ahead;
    println!(
        "one hour ahead, {} forecasts: WAPE {:.3} without the intraday ratio, {:.3} with it",
        hour.forecasts, hour.wape_without_ratio, hour.wape_with_ratio
    );
}
