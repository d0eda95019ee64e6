//! `peakscaler plan`: what a day ahead will need, hour by hour, and what fails within the limits.
//!
//! The days are foreseen by the forecast from the history and the calendar, at several quantiles, and
//! lived through in the simulated centre under peakscaler's own decisions: once within the limits, and
//! once without any. Exit code 2 when orders are lost within the limits, so that it can stand in a
//! pipeline.

mod demand;
mod figures;
mod html;
mod runs;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use jiff::civil::Date;

use super::backtest::Output;
use super::centre::{CentreArguments, Recorded, read_calendar};
use super::forecast::say;
use crate::core::demand::calendar::{CalendarSpec, PeakSpec};
use crate::replay::keda::ScaledObject;
use demand::Demand;
use figures::Report;
use runs::{Limits, live_through};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArguments {
    /// Orders of the past: CSV with lines `timestamp,count`, local times on a regular grid
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// The ScaledObject in force: bounds, behaviour, and what peakscaler's trigger says
    #[arg(long, value_name = "FILE")]
    scaledobject: PathBuf,
    /// Known peaks, closures and cut-offs of single dates, as YAML
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// Times what such a day ordinarily brings
    #[arg(long, value_name = "TIMES", requires = "on", value_parser = uplift)]
    uplift: Option<f64>,
    /// The first day planned; default: the day after the history
    #[arg(long, value_name = "DATE")]
    on: Option<Date>,
    /// How many days
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=7))]
    days: u32,
    /// Quantiles of the demand, ascending
    #[arg(long, value_delimiter = ',', default_value = "0.5,0.9,0.99", value_parser = quantile)]
    quantiles: Vec<f64>,
    /// The quantile at which nothing may fail; one of --quantiles
    #[arg(long, default_value_t = 0.9, value_parser = quantile)]
    at: f64,
    /// Share of a cut-off's or an hour's orders that may be late
    #[arg(long, default_value_t = 0.001, value_name = "SHARE", value_parser = share)]
    allow_late: f64,
    /// Most worker pods that the namespace's `ResourceQuota` allows
    #[arg(long, value_name = "PODS")]
    quota_pods: Option<u32>,
    #[command(flatten)]
    centre: CentreArguments,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Write a report with charts to this file as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs the subcommand.
pub(super) fn run(arguments: &PlanArguments) -> anyhow::Result<ExitCode> {
    ensure!(
        arguments.quantiles.windows(2).all(|pair| pair[0] < pair[1]),
        "--quantiles {:?} must ascend",
        arguments.quantiles
    );
    let Some(deciding) = arguments.quantiles.iter().position(|level| (level - arguments.at).abs() < 1e-9)
    else {
        bail!("--at {} is not one of --quantiles {:?}", arguments.at, arguments.quantiles);
    };
    let object = ScaledObject::load(&arguments.scaledobject)?;
    let centre = arguments.centre.complete(&[&object])?;
    let history = Recorded::open(&arguments.history, &centre.zone)?;
    let on = arguments.on.map_or_else(|| history.end(), Ok)?;
    let calendar = arguments.calendar(on, &centre.policy.time_zone)?;
    let demand =
        Demand::foresee(&history, &centre.zone, &calendar, on, arguments.days, &arguments.quantiles)?;
    let limits = Limits {
        max_replicas: object.max_replicas,
        trigger_max_replicas: object.ours.as_ref().map(|ours| ours.policy.max_replicas),
        quota_pods: arguments.quota_pods,
        nodes: arguments.centre.node_limit(),
    };
    let runs = live_through(&centre, &object, &demand, &calendar, limits)?;
    let report = Report::new(arguments, &centre, &object, &demand, &runs, (limits, deciding));
    match arguments.output {
        Output::Table => say(&report.text())?,
        Output::Json => say(&serde_json::to_string_pretty(&report)?)?,
    }
    if let Some(path) = &arguments.html {
        std::fs::write(path, html::page(&report, &centre.zone))
            .with_context(|| format!("--html {}", path.display()))?;
    }
    Ok(if report.fails { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

impl PlanArguments {
    /// The calendar's document, with the uplift asked for as one entry more.
    fn calendar(&self, on: Date, zone: &str) -> anyhow::Result<CalendarSpec> {
        let mut spec = self.calendar.as_deref().map(read_calendar).transpose()?.unwrap_or_default();
        spec.time_zone.get_or_insert_with(|| zone.to_owned());
        if let Some(uplift) = self.uplift {
            let last = on.checked_add(jiff::Span::new().days(i64::from(self.days) - 1))?;
            spec.peaks.push(PeakSpec {
                name: format!("--uplift {uplift}"),
                from: on.to_string(),
                to: last.to_string(),
                time_zone: Some(zone.to_owned()),
                uplift: Some(uplift),
                ..PeakSpec::default()
            });
        }
        Ok(spec)
    }
}

fn uplift(text: &str) -> Result<f64, String> {
    let uplift = text.parse::<f64>().ok().filter(|uplift| (0.01..=100.0).contains(uplift));
    uplift.ok_or_else(|| format!("{text:?} is not a number from 0.01 to 100, such as 2.5"))
}

fn quantile(text: &str) -> Result<f64, String> {
    let level = text.parse::<f64>().ok().filter(|level| (0.01..=0.999).contains(level));
    level.ok_or_else(|| format!("{text:?} is not a quantile from 0.01 to 0.999, such as 0.9"))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| format!("{text:?} is not a share from 0 to below 1, such as 0.001"))
}
