//! `peakscaler backtest`: past days, or scenarios, lived through again under the settings in force
//! and under ours, side by side.

pub(super) mod contest;
pub(super) mod figures;
mod html;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::civil::Date;

use super::centre::{Assumption, CentreArguments, MOST_DAYS, Recorded, Seen, date, read_calendar, read_cell};
use super::report::ReportArguments;
use super::report::words::span;
use crate::core::demand::calendar::{Calendar, CalendarSpec};
use crate::core::demand::forecast::{ProfileForecast, slot_seconds_for};
use crate::core::demand::outlook::ArrivalForecast as _;
use crate::core::{Policy, ServiceRate, Workload};
use crate::replay::ScalingPolicy;
use crate::replay::keda::ScaledObject;
use crate::replay::policies::{CorePolicy, KedaSqs};
use crate::replay::recorded::cell_of;
use crate::replay::run::Cell;
use crate::replay::scenario::{Keda, Pods, Scenario, ScenarioError, Service};
use contest::{Contest, Contestant, run_all};
use figures::Report;

/// What a scenario says by itself: a flag beside it would go unheard.
const OF_A_HISTORY: [&str; 15] = [
    "calendar",
    "from",
    "days",
    "dispersion",
    "service_time",
    "concurrency",
    "target_wait",
    "cut_offs",
    "time_zone",
    "pod_lead",
    "node_lead",
    "pods_per_node",
    "node_limit",
    "grace",
    "seed",
];

/// Share by which a given service rate may be off before it is worth a note.
const TELLING_DIFFERENCE: f64 = 0.05;

/// Arguments of `backtest`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("orders").required(true).args(["scenario", "history"])))]
pub(super) struct BacktestArguments {
    /// Scenarios to live through in place of a history (docs/scenarios.md); their files say days and centre, so flags
    /// that do are refused beside them
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with_all = OF_A_HISTORY)]
    scenario: Vec<PathBuf>,
    /// Orders of the past: CSV with lines `timestamp,count`, local times on a regular grid
    #[arg(long, value_name = "FILE", requires = "scaledobject")]
    history: Option<PathBuf>,
    /// The ScaledObject in force, as `kubectl get scaledobject NAME -o yaml` prints it
    #[arg(long, value_name = "FILE")]
    scaledobject: Option<PathBuf>,
    /// Another ScaledObject to compare it with; default: peakscaler with the same bounds
    #[arg(long, value_name = "FILE", requires = "scaledobject")]
    against: Option<PathBuf>,
    /// Peaks and closures that peakscaler would have been told of, as YAML
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// First day; default: the last 14 days of the history
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: Option<Date>,
    /// How many days; default: to the end of the history, at most 14
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true, value_parser = super::whole(1, MOST_DAYS))]
    days: Option<u32>,
    /// How orders cluster within a row of the history, whose count stands: variance over mean of a
    /// minute's orders; 1 is evenly at random
    #[arg(long, default_value_t = 1.5, allow_negative_numbers = true, value_parser = dispersion)]
    dispersion: f64,
    #[command(flatten)]
    centre: CentreArguments,
    #[command(flatten)]
    report: ReportArguments,
}

/// Runs the subcommand.
pub(super) fn run(arguments: &BacktestArguments) -> anyhow::Result<ExitCode> {
    let object = arguments.scaledobject.as_deref().map(ScaledObject::load).transpose()?;
    let against = arguments.against.as_deref().map(ScaledObject::load).transpose()?;
    let contests = match (&arguments.history, &object) {
        (Some(history), Some(object)) => {
            vec![arguments.of_history(history, object, against.as_ref())?]
        }
        _ => arguments.of_scenarios(object.as_ref(), against.as_ref())?,
    };
    let trails = run_all(&contests);
    let report = Report::new(&contests, &trails, arguments.centre.price_per_node_hour);
    arguments.report.tell(&report, Report::text, |report| html::page(report, &contests, &trails))?;
    Ok(ExitCode::SUCCESS)
}

impl BacktestArguments {
    fn of_history(
        &self,
        path: &std::path::Path,
        object: &ScaledObject,
        against: Option<&ScaledObject>,
    ) -> anyhow::Result<Contest> {
        let objects: Vec<&ScaledObject> = against.into_iter().chain([object]).collect();
        let mut centre = self.centre.complete(&objects, Seen::default())?;
        let history = Recorded::open(path, &centre.zone)?;
        let stretch = history.stretch(self.from, self.days)?;
        let calendar = self.calendar.as_deref().map(read_calendar).transpose()?.unwrap_or_default();
        let title = format!("{} under {}", path.display(), object.name);
        let scenario = Scenario { calendar: calendar.clone(), ..centre.scenario(title, stretch) };
        let start = history.midnight(stretch.start)?;
        let rate = history.rate_at(start);
        let cell = cell_of(scenario, &history.intervals, history.step_seconds, self.dispersion)
            .map_err(|error| of_the_file(path, error))?;
        let bounded = |object: &ScaledObject, ours: Option<&Policy>| {
            let (pods, keda) = centre.bounds(object, rate);
            cell.under(within(pods, ours), cell.scenario().nodes.clone(), keda)
        };
        let workload = learned(&history, &centre, start, &calendar)?;
        let ours = |object: &ScaledObject, name: &str| -> anyhow::Result<Contestant> {
            let behavior = object.ours.as_ref().map(|_| object.behavior.clone());
            let policy = CorePolicy::new(name, workload.clone());
            let policy =
                behavior.map_or_else(|| policy.clone(), |behavior| policy.clone().with_behavior(behavior));
            Ok(Contestant::new(name, bounded(object, Some(&centre.policy))?, policy))
        };
        let keda = |object: &ScaledObject, name: &str| -> anyhow::Result<Option<Contestant>> {
            let Some(policy) = object.policy() else { return Ok(None) };
            Ok(Some(Contestant::new(&format!("{name}: {}", policy.name()), bounded(object, None)?, policy)))
        };
        let mut contestants = Vec::new();
        contestants.extend(keda(object, "now")?);
        let beside = against.filter(|against| against.ours.is_some() || against.keda.is_empty());
        match (contestants.is_empty(), beside) {
            (true, None) => contestants.push(ours(object, "now: peakscaler")?),
            (true, Some(other)) => {
                let mut now = centre.clone();
                now.policy = object.ours.as_ref().map_or(now.policy, |ours| (*ours.policy).clone());
                let workload = learned(&history, &now, start, &calendar)?;
                let policy =
                    CorePolicy::new("now: peakscaler", workload).with_behavior(object.behavior.clone());
                let cell = bounded(object, Some(&now.policy))?;
                contestants.push(Contestant::new("now: peakscaler", cell, policy));
                contestants.push(ours(other, "against: peakscaler")?);
            }
            (false, other) => contestants.push(ours(other.unwrap_or(object), "peakscaler")?),
        }
        if let Some(against) = against {
            contestants.extend(keda(against, "against")?);
        }
        let mut notes = notes_of(&objects, &cell);
        notes.push(learned_note(&history, start));
        notes.extend(history.missing_note());
        let mut assumptions = std::mem::take(&mut centre.assumptions);
        assumptions.push(self.moments());
        Ok(Contest { contestants, assumptions, notes })
    }

    /// What is taken from the history as it is, and what is drawn.
    fn moments(&self) -> Assumption {
        let clusters = if self.dispersion > 1.0 {
            format!("clustered by the minute, dispersion {}", self.dispersion)
        } else {
            "evenly at random".to_owned()
        };
        let value = format!(
            "as many as its count says, at moments drawn from seed {} ({clusters})",
            self.centre.seed
        );
        Assumption { what: "the orders of a row", value, source: "history" }
    }

    fn of_scenarios(
        &self,
        object: Option<&ScaledObject>,
        against: Option<&ScaledObject>,
    ) -> anyhow::Result<Vec<Contest>> {
        let mut contests = Vec::new();
        for path in &self.scenario {
            let cell = read_cell(path)?;
            let mut contestants = Vec::new();
            for (object, name) in
                object.map(|one| (one, "now")).into_iter().chain(against.map(|one| (one, "against")))
            {
                contestants.push(Self::in_scenario(&cell, object, name)?);
            }
            if object.is_none() {
                let keda = KedaSqs::with_defaults();
                contestants.push(Contestant::new("KEDA aws-sqs-queue, its defaults", cell.clone(), keda));
            }
            // beside a ScaledObject ours has its bounds and pace, as with a history
            let bounds = against.filter(|against| against.ours.is_some()).or(object);
            let ours = match bounds {
                Some(object) => under(&cell, object, object.ours.as_ref().map(|ours| &*ours.policy))?,
                None => cell.clone(),
            };
            let policy = CorePolicy::ours(&ours);
            contestants.push(Contestant::new("peakscaler", ours, policy));
            let objects: Vec<&ScaledObject> = object.into_iter().chain(against).collect();
            let mut notes = notes_of(&objects, &cell);
            if cell.scenario().history_days == 0 {
                notes.push(
                    "the scenario has no history_days: peakscaler runs without a learned forecast".to_owned(),
                );
            }
            notes.extend(cell.scenario().clock_changes_note());
            contests.push(Contest { contestants, assumptions: Vec::new(), notes });
        }
        Ok(contests)
    }

    /// A ScaledObject in a scenario: its triggers, bounds and pace, in the scenario's centre.
    fn in_scenario(cell: &Cell, object: &ScaledObject, name: &str) -> anyhow::Result<Contestant> {
        match (object.policy(), &object.ours) {
            (Some(policy), _) => {
                let bounded = under(cell, object, None)?;
                Ok(Contestant::new(&format!("{name}: {}", policy.name()), bounded, policy))
            }
            (None, Some(ours)) => {
                let bounded = under(cell, object, Some(&*ours.policy))?;
                let workload = Workload::new(ours.policy.clone());
                let policy = CorePolicy::new(name, workload).with_behavior(object.behavior.clone());
                Ok(Contestant::new(&format!("{name}: peakscaler"), bounded, policy))
            }
            (None, None) => unreachable!("a ScaledObject without a trigger is refused when it is read"),
        }
    }
}

/// A scenario's centre under a ScaledObject's bounds and pace, and those of a trigger of ours.
fn under(cell: &Cell, object: &ScaledObject, ours: Option<&Policy>) -> anyhow::Result<Cell> {
    let scenario = cell.scenario();
    let initial = scenario.pods.initial.clamp(object.min_replicas, object.max_replicas);
    let pods = Pods { min: object.min_replicas, max: object.max_replicas, initial, ..scenario.pods.clone() };
    let keda = Keda {
        polling_seconds: object.polling_seconds,
        cooldown_seconds: object.cooldown_seconds,
        ..scenario.keda.clone()
    };
    Ok(cell.under(within(pods, ours), scenario.nodes.clone(), keda)?)
}

/// The HPA's bounds, narrowed by those of a trigger of ours: it asks for nothing beyond them.
fn within(pods: Pods, ours: Option<&Policy>) -> Pods {
    let Some(policy) = ours else { return pods };
    let max = pods.max.min(policy.max_replicas);
    let min = pods.min.max(policy.min_replicas).min(max);
    Pods { min, max, initial: pods.initial.clamp(min, max), ..pods }
}

/// Ours as it would have stood on the first morning: with all of the history before it learned.
fn learned(
    history: &Recorded,
    centre: &super::centre::Centre,
    start: jiff::Timestamp,
    calendar: &CalendarSpec,
) -> anyhow::Result<Workload> {
    let mut forecast =
        ProfileForecast::new(centre.zone.clone(), slot_seconds_for(history.step_seconds as f64));
    let known = Arc::new(Calendar::new(calendar).map_err(|problems| {
        anyhow::anyhow!(
            "--calendar: {}",
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        )
    })?);
    let mut workload = Workload::new(centre.policy.clone());
    if !known.is_empty() {
        forecast.set_calendar(&known);
        workload.set_calendar(known);
    }
    history.before(start).iter().for_each(|interval| forecast.observe(interval));
    workload.set_forecast(Box::new(forecast));
    Ok(workload)
}

/// A history is no scenario in the eyes of its owner.
fn of_the_file(path: &std::path::Path, error: ScenarioError) -> anyhow::Error {
    match error {
        ScenarioError::Invalid { problems, .. } => {
            anyhow::anyhow!("{}: {}", path.display(), problems.join("; "))
        }
        other @ (ScenarioError::Read { .. } | ScenarioError::Parse { .. } | ScenarioError::Orders { .. }) => {
            other.into()
        }
    }
}

/// What is to be known of ScaledObjects, and of them in this centre.
fn notes_of(objects: &[&ScaledObject], cell: &Cell) -> Vec<String> {
    let of_files = objects.iter().flat_map(|object| object.notes.clone());
    of_files.chain(objects.iter().filter_map(|object| rate_note(object, &cell.scenario().service))).collect()
}

/// What is to be said where a trigger of ours is told another service rate than the workers have here.
fn rate_note(object: &ScaledObject, service: &Service) -> Option<String> {
    let ServiceRate::PerMinute(rate) = object.ours.as_ref()?.policy.service_rate else { return None };
    let told = 60.0 * f64::from(service.concurrency) / rate;
    let off = (told / service.mean_seconds - 1.0).abs() > TELLING_DIFFERENCE;
    off.then(|| {
        format!(
            "serviceRate of {} is {rate} orders a minute, {} an order, and peakscaler plans with it; here an order takes {}: correct serviceRate, or leave it out and it is learned",
            object.name,
            span(told),
            span(service.mean_seconds)
        )
    })
}

fn learned_note(history: &Recorded, start: jiff::Timestamp) -> String {
    // a sum of nothing would be -0
    let seconds = history
        .before(start)
        .iter()
        .fold(0.0, |sum, one| sum + one.to.duration_since(one.from).as_secs_f64());
    let days = seconds / 86_400.0;
    if days < 3.0 {
        format!(
            "the history holds {days:.1} days before the first: too little for a forecast, peakscaler plans from the present rate until it has three"
        )
    } else {
        format!(
            "peakscaler's forecast has learned the {days:.0} days before, as it would have; it sees none of the days to come"
        )
    }
}

fn dispersion(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| (1.0..=100.0).contains(value));
    value.ok_or_else(|| format!("{text:?} is not a number from 1 (evenly at random) to 100"))
}
