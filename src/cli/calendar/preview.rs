//! `peakscaler calendar preview`: orders of the days that a calendar names, ordinary and with it.
//!
//! What is ordinary is the forecast's view at the end of the history, by weekday and hour, also for
//! days far ahead: nothing else is known of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use comfy_table::Table;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::forecast::{
    Output, align_left, bar, chart, new_compact_table, new_table, read_history, say, time_zone,
};
use crate::core::demand::calendar::Calendar;
use crate::core::demand::forecast::{Event, ProfileForecast, later, seconds_between, slot_seconds_for};
use crate::core::demand::outlook::ArrivalForecast as _;

/// Most days that are shown.
const MOST_DAYS: usize = 400;

/// Columns of the longest bar.
const BAR: f64 = 60.0;

/// Public holidays are shown for a year after the history.
const HOLIDAYS_AHEAD_SECONDS: f64 = 365.0 * 86_400.0;

/// Arguments of `calendar preview`.
#[derive(Debug, clap::Args)]
pub(super) struct PreviewArguments {
    /// The calendar, as YAML.
    file: PathBuf,
    /// CSV file with lines `timestamp,count`: local times on a regular grid.
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// Time zone of the timestamps and of the days shown (IANA name); default: the calendar's timeZone, or UTC
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    time_zone: Option<TimeZone>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// One day.
#[derive(Debug, Serialize)]
struct Day {
    date: Date,
    ordinary: f64,
    with_calendar: f64,
    entries: Vec<String>,
    hours: Vec<Hour>,
}

/// One hour of a day, or less where clocks change or events begin.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::cli) struct Hour {
    pub(in crate::cli) from: Timestamp,
    pub(in crate::cli) to: Timestamp,
    pub(in crate::cli) ordinary: f64,
    pub(in crate::cli) with_calendar: f64,
}

pub(super) fn run(arguments: &PreviewArguments) -> anyhow::Result<ExitCode> {
    let (calendar, zone) = super::open_in_zone(&arguments.file, arguments.time_zone.as_ref())?;
    let history = read_history(&arguments.history, &zone)?;
    let slot_seconds = slot_seconds_for(history.step_seconds as f64);
    let mut forecast = ProfileForecast::new(zone.clone(), slot_seconds);
    forecast.set_calendar(&Arc::new(calendar.clone()));
    history.intervals.iter().for_each(|interval| forecast.observe(interval));
    let days = days(&calendar, &mut forecast, &zone)?;
    match arguments.output {
        Output::Table => say(&text(&days, &zone))?,
        Output::Json => say(&serde_json::to_string_pretty(&days)?)?,
        Output::Svg => {
            let hours: Vec<Hour> = days.iter().flat_map(|day| day.hours.iter().copied()).collect();
            say(&chart::calendar_svg(&hours, &zone))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn days(calendar: &Calendar, forecast: &mut ProfileForecast, zone: &TimeZone) -> anyhow::Result<Vec<Day>> {
    let mut dates = BTreeSet::new();
    let end = forecast.last_end().context("history has no interval that can be used")?;
    let holidays = calendar.public_holidays(end, later(end, HOLIDAYS_AHEAD_SECONDS));
    for (name, from, to) in calendar.entries().chain(holidays.iter().copied()) {
        let mut date = zone.to_datetime(from).date();
        while midnight(date, zone)? < to {
            dates.insert(date);
            ensure!(
                dates.len() <= MOST_DAYS,
                "{name:?}: the calendar has more than {MOST_DAYS} days to show"
            );
            date = date.tomorrow()?;
        }
    }
    dates.into_iter().map(|date| day(date, calendar, forecast, zone)).collect()
}

fn midnight(date: Date, zone: &TimeZone) -> anyhow::Result<Timestamp> {
    Ok(date.to_zoned(zone.clone()).context("a day of the calendar")?.timestamp())
}

fn day(
    date: Date,
    calendar: &Calendar,
    forecast: &mut ProfileForecast,
    zone: &TimeZone,
) -> anyhow::Result<Day> {
    let (start, end) = (midnight(date, zone)?, midnight(date.tomorrow()?, zone)?);
    forecast.ordinary(start, end)?;
    let learned = forecast.learned_holidays().cloned().unwrap_or_default();
    let mut ordinary = |from, to| forecast.ordinary(from, to).unwrap_or(0.0);
    let events = calendar.events(start, end, &learned, Some(&mut ordinary));
    let mut hours = Vec::new();
    let mut from = start;
    while from < end {
        let to = from.checked_add(jiff::SignedDuration::from_hours(1))?.min(end);
        let usual = ordinary(from, to);
        hours.push(Hour {
            from,
            to,
            ordinary: usual,
            with_calendar: changed(&events, from, to, &mut ordinary),
        });
        from = to;
    }
    let holidays = calendar.public_holidays(start, end);
    let entries = calendar.entries().filter(|(_, from, to)| *from < end && start < *to).chain(holidays);
    Ok(Day {
        date,
        ordinary: hours.iter().map(|hour| hour.ordinary).sum(),
        with_calendar: hours.iter().map(|hour| hour.with_calendar).sum(),
        entries: entries.map(|(name, ..)| name.to_owned()).collect(),
        hours,
    })
}

/// Orders from `from` to `to` with all events.
fn changed(
    events: &[Event],
    from: Timestamp,
    to: Timestamp,
    ordinary: &mut impl FnMut(Timestamp, Timestamp) -> f64,
) -> f64 {
    let mut orders = ordinary(from, to);
    for event in events {
        let (start, end) = (event.from.max(from), event.to.min(to));
        if start < end {
            orders += (event.change.uplift - 1.0) * ordinary(start, end)
                + event.change.added_per_second * seconds_between(start, end);
        }
    }
    orders.max(0.0)
}

fn text(days: &[Day], zone: &TimeZone) -> String {
    let mut table = new_table(&["day", "ordinary", "with calendar", "times"]);
    for day in days {
        let times = if day.ordinary > 0.0 {
            format!("{:.2}", day.with_calendar / day.ordinary)
        } else {
            "-".to_owned()
        };
        let date = format!("{} ({})", day.date.strftime("%a %Y-%m-%d"), day.entries.join(", "));
        table.add_row([date, format!("{:.0}", day.ordinary), format!("{:.0}", day.with_calendar), times]);
    }
    let mut text = table.to_string();
    for day in days.iter().filter(|day| day.with_calendar > day.ordinary) {
        let date = day.date.strftime("%a %Y-%m-%d");
        let _ = write!(text, "\n\n{date}, by hour: █ ordinary, ▒ by the calendar\n{}", by_hour(day, zone));
    }
    text
}

/// A day's hours as bars: what is ordinary, and what the calendar adds; of an hour from which it takes,
/// what is left.
fn by_hour(day: &Day, zone: &TimeZone) -> Table {
    let most = day.hours.iter().map(|hour| hour.with_calendar).fold(1.0, f64::max);
    let mut table = new_compact_table(&["hour", "ordinary", "with calendar", ""]);
    align_left(&mut table, 3);
    for hour in &day.hours {
        let ordinary = bar('█', hour.ordinary.min(hour.with_calendar) / most * BAR);
        let added = bar('▒', (hour.with_calendar - hour.ordinary).max(0.0) / most * BAR);
        table.add_row([
            hour.from.to_zoned(zone.clone()).strftime("%H:%M").to_string(),
            format!("{:.1}", hour.ordinary),
            format!("{:.1}", hour.with_calendar),
            ordinary + &added,
        ]);
    }
    table
}
