//! `peakscaler plan`: what a day ahead will need, hour by hour, and what fails within the limits.
//!
//! The days are foreseen by the forecast from the history and the calendar, at several quantiles, and
//! lived through in the simulated centre under peakscaler's own decisions: once within the limits, and
//! once without any. Exit code 2 when orders are lost within the limits, so that it can stand in a
//! pipeline.

mod cluster;
mod demand;
pub(super) mod figures;
mod html;
mod raises;
mod runs;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{bail, ensure};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::centre::{CentreArguments, Recorded, date, read_calendar};
use super::report::ReportArguments;
use crate::core::demand::calendar::{Calendar, CalendarSpec, PeakSpec};
use crate::observe::WorkloadId;
use crate::replay::keda::ScaledObject;
use cluster::FromCluster;
use demand::Demand;
use figures::Report;
use runs::{Around, Limits, live_through};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("workload").required(true).args(["scaledobject", "from_cluster"])))]
pub(super) struct PlanArguments {
    /// Orders of the past: CSV with lines `timestamp,count`, local times on a regular grid
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// The ScaledObject in force: bounds, behaviour, and what peakscaler's trigger says
    #[arg(long, value_name = "FILE")]
    scaledobject: Option<PathBuf>,
    /// The same out of the cluster of the kubeconfig, with nodes' shape and limits, lead times, quotas and `PeakCalendar`s
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = workload)]
    from_cluster: Option<WorkloadId>,
    /// Karpenter's NodePool for the workers, with --from-cluster; default: the trigger's nodePool
    #[arg(long, value_name = "NAME", conflicts_with = "scaledobject")]
    node_pool: Option<String>,
    /// Known peaks, closures and cut-offs of single dates, as YAML; default: the cluster's, with --from-cluster
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// Orders as times what such days ordinarily bring; needs --on
    #[arg(long, value_name = "TIMES", requires = "on", allow_negative_numbers = true, value_parser = uplift)]
    uplift: Option<f64>,
    /// The first day planned; default: the day after the history
    #[arg(long, value_name = "DATE", value_parser = date)]
    on: Option<Date>,
    /// How many days
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = super::whole(1, 7))]
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
    /// Most worker pods that the namespace's `ResourceQuota` allows; default: the cluster's, with --from-cluster
    #[arg(long, value_name = "PODS", allow_negative_numbers = true, value_parser = super::whole(1, u32::MAX))]
    quota_pods: Option<u32>,
    #[command(flatten)]
    centre: CentreArguments,
    #[command(flatten)]
    report: ReportArguments,
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
    let found = arguments.found()?;
    let object = &found.object;
    let centre = arguments.centre.complete(&[object], found.seen)?;
    let history = Recorded::open(&arguments.history, &centre.zone)?;
    let on = arguments.on.map_or_else(|| history.end(), Ok)?;
    let calendar = arguments.calendar(found.calendar, on, &centre.policy.time_zone)?;
    let mut demand =
        Demand::foresee(&history, &centre.zone, &calendar, on, arguments.days, &arguments.quantiles)?;
    demand.notes.extend(found.notes);
    let limits = Limits {
        max_replicas: object.max_replicas,
        trigger_max_replicas: object
            .ours
            .as_ref()
            .filter(|ours| ours.max_replicas_given)
            .map(|ours| ours.policy.max_replicas),
        quota_pods: arguments.quota_pods.or(found.quota_pods),
        // A limit that is given stands above the cluster's.
        pool_pods: found.pool_pods.filter(|_| !arguments.centre.tells_node_limit()),
        nodes: centre.node_limit(),
    };
    let around = Around { object, calendar: &calendar, limits };
    let runs = live_through(&centre, &demand, &around)?;
    let mut report = Report::new(arguments, &centre, object, &demand, &runs, (limits, deciding));
    let level = report.advised_level();
    let raises = raises::needed(&centre, &demand, &around, (&runs[level], level))?;
    report.advise(&raises, &centre.zone);
    arguments.report.tell(&report, Report::text, |report| html::page(report, &centre.zone))?;
    Ok(if report.fails { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

impl PlanArguments {
    /// The workload, out of a file or the cluster.
    fn found(&self) -> anyhow::Result<FromCluster> {
        match (&self.from_cluster, &self.scaledobject) {
            (Some(workload), _) => cluster::look(workload, self.node_pool.as_deref()),
            (None, Some(path)) => Ok(FromCluster::file(ScaledObject::load(path)?)),
            (None, None) => bail!("--scaledobject FILE or --from-cluster NAMESPACE/NAME is required"),
        }
    }

    /// The calendar's document, with the uplift asked for as one entry more.
    fn calendar(&self, seen: Option<CalendarSpec>, on: Date, zone: &str) -> anyhow::Result<CalendarSpec> {
        let told = self.calendar.as_deref().map(read_calendar).transpose()?;
        let mut spec = told.or(seen).unwrap_or_default();
        spec.time_zone.get_or_insert_with(|| zone.to_owned());
        if let Some(uplift) = self.uplift {
            let last = on.checked_add(jiff::Span::new().days(i64::from(self.days) - 1))?;
            if let Some(peak) = known_peak(&spec, (on, last), zone) {
                bail!(
                    "--uplift {uplift}: the calendar has {} on these days already, and both would not add up; leave out --uplift, or that entry and give the rest by --calendar",
                    in_words(peak)
                );
            }
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

/// An entry of the calendar for all orders on the days planned: of two such only one would count.
fn known_peak<'a>(spec: &'a CalendarSpec, (on, last): (Date, Date), zone: &str) -> Option<&'a PeakSpec> {
    let zone = TimeZone::get(zone).ok()?;
    let midnight = |date: Date| date.to_zoned(zone.clone()).ok().map(|midnight| midnight.timestamp());
    let (from, to) = (midnight(on)?, midnight(last.tomorrow().ok()?)?);
    // what is wrong with it is told where it is used
    let calendar = Calendar::new(spec).ok()?;
    let spans = spec.peaks.iter().zip(calendar.entries());
    let mut here = spans.filter(|(_, (_, start, end))| *start < to && from < *end);
    here.find(|(peak, _)| peak.by.is_none()).map(|(peak, _)| peak)
}

/// An entry as messages name it.
fn in_words(peak: &PeakSpec) -> String {
    let rise = match (peak.uplift, peak.orders, peak.orders_per_hour) {
        (Some(uplift), ..) => format!("uplift {uplift}"),
        (None, Some(orders), _) => format!("{orders} orders"),
        (None, None, Some(orders)) => format!("{orders} orders an hour"),
        (None, None, None) => "a peak".to_owned(),
    };
    format!("{:?} ({rise}, {} to {})", peak.name, peak.from, peak.to)
}

fn workload(text: &str) -> Result<WorkloadId, String> {
    super::history::workload(text).map(|(namespace, name)| WorkloadId { namespace, name })
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
