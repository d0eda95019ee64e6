//! The page `/metrics`: what the process counted, and what each workload's snapshot says now.

use std::fmt::Write as _;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

use super::catalogue::{self, Kind, METRICS, Metric, SECONDS_BUCKETS};
use crate::capacity::findings::of_entry;
use crate::capacity::{Coordination, Finding};
use crate::clock::seconds_between;
use crate::core::decision::ForecastSummary;
use crate::core::demand::outlook::PRESENT_RATE;
use crate::core::{Binding, DecisionRecord};
use crate::engine::{Engine, Entry, Snapshot, Subject};
use crate::observe::CapacityFacts;

/// The process's recorder. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder of this process; later calls return the same.
    ///
    /// # Errors
    /// When another library installed a recorder first.
    pub fn install() -> Result<Self, String> {
        static INSTALLED: OnceLock<Result<Metrics, String>> = OnceLock::new();
        INSTALLED.get_or_init(|| Self::build().map_err(|error| error.to_string())).clone()
    }

    fn build() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new().set_buckets(&SECONDS_BUCKETS)?.install_recorder()?;
        for metric in METRICS {
            match metric.kind {
                Kind::Counter => ::metrics::describe_counter!(metric.name, metric.help),
                Kind::Gauge => ::metrics::describe_gauge!(metric.name, metric.help),
                Kind::Histogram => ::metrics::describe_histogram!(metric.name, metric.help),
            }
        }
        ::metrics::gauge!(catalogue::BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self { handle })
    }

    /// Folds what histograms collected into their buckets; to be called every few seconds.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// The page in Prometheus' text format.
    pub fn render(&self, engine: &Engine, coordination: &Coordination) -> String {
        let entries = engine.entries();
        let valid = entries.iter().filter(|entry| matches!(entry.subject(), Subject::Accepted(_))).count();
        let state = |state: &'static str| ::metrics::gauge!(catalogue::WORKLOADS.name, "state" => state);
        state("valid").set(valid as f64);
        state("invalid").set((entries.len() - valid) as f64);
        let mut page = self.handle.render();
        render_workloads(&mut page, &views(engine, coordination));
        page
    }
}

/// What is said of one workload and queue.
struct View {
    labels: String,
    snapshot: std::sync::Arc<Snapshot>,
    age_seconds: f64,
    findings: Vec<Finding>,
}

/// One view a workload and queue.
fn views(engine: &Engine, coordination: &Coordination) -> Vec<View> {
    let now = engine.clock().now();
    let view = |entry: std::sync::Arc<Entry>| {
        let (id, queue) = (entry.id(), &entry.accepted()?.queue);
        let snapshot = entry.snapshot()?;
        Some(View {
            labels: format!(
                "namespace=\"{}\",workload=\"{}\",queue=\"{}\"",
                escaped(&id.namespace),
                escaped(&id.name),
                escaped(queue)
            ),
            age_seconds: seconds_between(snapshot.at, now),
            findings: of_entry(&entry, coordination, now),
            snapshot,
        })
    };
    engine.newest_entries().into_iter().filter_map(view).collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

type Reading = fn(&View) -> Option<f64>;

fn of_record(view: &View, reading: impl Fn(&DecisionRecord) -> f64) -> Option<f64> {
    view.snapshot.record.as_deref().map(reading)
}

fn of_room(view: &View, reading: impl Fn(&CapacityFacts) -> Option<f64>) -> Option<f64> {
    view.snapshot.capacity.as_deref().and_then(reading)
}

fn of_forecast(view: &View, reading: impl Fn(&ForecastSummary) -> Option<f64>) -> Option<f64> {
    view.snapshot.record.as_deref()?.forecast.as_ref().and_then(reading)
}

const READINGS: &[(Metric, Reading)] = &[
    (catalogue::DESIRED, |view| view.snapshot.outcome.as_ref().ok().map(|desired| f64::from(*desired))),
    (catalogue::READY, |view| view.snapshot.ready_replicas.map(f64::from)),
    (catalogue::AHEAD, |view| of_record(view, |record| f64::from(record.ahead))),
    (catalogue::BUFFER, |view| of_record(view, |record| f64::from(record.buffer))),
    (catalogue::BACKLOG, |view| of_record(view, |record| record.backlog)),
    (catalogue::ARRIVAL_RATE, |view| of_record(view, |record| record.arrival_rate)),
    (catalogue::SERVICE_RATE, |view| of_record(view, |record| record.service_rate)),
    (catalogue::LATE_EXPECTED, |view| of_record(view, |record| record.late_expected)),
    (catalogue::FORECAST, |view| {
        of_forecast(view, |forecast| Some(forecast.expected / forecast.horizon_seconds))
    }),
    (catalogue::FORECAST_LEARNED, |view| {
        of_forecast(view, |forecast| Some(f64::from(u8::from(!forecast.model.starts_with(PRESENT_RATE)))))
    }),
    (catalogue::FORECAST_ERROR, |view| of_forecast(view, |forecast| Some(forecast.quality?.error))),
    (catalogue::FORECAST_COVERAGE, |view| of_forecast(view, |forecast| Some(forecast.quality?.coverage))),
    (catalogue::CALENDAR_ORDERS, |view| {
        of_record(view, |record| record.calendar.iter().map(|part| part.orders).sum())
    }),
    (catalogue::CALENDAR_REPLICAS, |view| {
        of_record(view, |record| record.calendar.iter().map(|part| part.replicas as f64).sum())
    }),
    (catalogue::DECISION_AGE, |view| Some(view.age_seconds)),
    (catalogue::ANSWERING, |view| Some(f64::from(u8::from(view.snapshot.outcome.is_ok())))),
    (catalogue::FREE_SLOTS, |view| of_room(view, |room| room.slots.map(|slots| f64::from(slots.free_slots)))),
    (catalogue::COMING_SLOTS, |view| of_room(view, |room| room.slots.map(|slots| f64::from(slots.coming)))),
    (catalogue::HELD, |view| {
        of_room(view, |room| room.holder.found().map(|holder| f64::from(holder.replicas)))
    }),
    (catalogue::POD_LEAD, |view| of_room(view, |room| room.leads.pod_seconds)),
    (catalogue::NODE_LEAD, |view| of_room(view, |room| room.leads.node_seconds)),
];

fn render_workloads(page: &mut String, views: &[View]) {
    for (metric, reading) in READINGS {
        heading(page, metric, views);
        for view in views {
            if let Some(value) = reading(view) {
                let _ = writeln!(page, "{}{{{}}} {value}", metric.name, view.labels);
            }
        }
    }
    heading(page, &catalogue::BINDING, views);
    for view in views {
        if let Some(record) = &view.snapshot.record {
            let kind = binding_kind(&record.binding);
            let _ = writeln!(page, "{}{{{},kind=\"{kind}\"}} 1", catalogue::BINDING.name, view.labels);
        }
    }
    render_findings(page, views);
    heading(page, &catalogue::FORECAST_QUANTILE, views);
    for view in views {
        let forecast = view.snapshot.record.as_deref().and_then(|record| record.forecast.as_ref());
        for (forecast, quantile) in forecast
            .iter()
            .flat_map(|forecast| forecast.quantiles.iter().map(move |quantile| (forecast, quantile)))
        {
            let (level, rate) = (quantile.level, quantile.orders / forecast.horizon_seconds);
            let name = catalogue::FORECAST_QUANTILE.name;
            let _ = writeln!(page, "{name}{{{},quantile=\"{level}\"}} {rate}", view.labels);
        }
    }
    heading(page, &catalogue::SOURCE_AGE, views);
    for view in views {
        for source in &view.snapshot.sources {
            if let Some(age) = source.age_seconds {
                let name = escaped(&source.source);
                let _ = writeln!(
                    page,
                    "{}{{{},source=\"{name}\"}} {age}",
                    catalogue::SOURCE_AGE.name,
                    view.labels
                );
            }
        }
    }
}

fn render_findings(page: &mut String, views: &[View]) {
    heading(page, &catalogue::FINDING, views);
    for view in views {
        // One of a kind is one line, however often it is found.
        let mut told = Vec::new();
        for finding in &view.findings {
            if told.contains(&finding.kind) {
                continue;
            }
            told.push(finding.kind);
            let (kind, severity) = (finding.kind.word(), finding.severity.word());
            let _ = writeln!(
                page,
                "{}{{{},finding=\"{kind}\",severity=\"{severity}\"}} 1",
                catalogue::FINDING.name,
                view.labels
            );
        }
    }
}

fn heading(page: &mut String, metric: &Metric, views: &[View]) {
    if !views.is_empty() {
        let _ = writeln!(page, "# HELP {} {}", metric.name, metric.help);
        let _ = writeln!(page, "# TYPE {} {}", metric.name, metric.kind.word());
    }
}

/// The binding's `kind` as in JSON.
pub fn binding_kind(binding: &Binding) -> &'static str {
    match binding {
        Binding::Idle => "idle",
        Binding::Wait { .. } => "wait",
        Binding::CutOff { .. } => "cut_off",
        Binding::Bound => "bound",
        Binding::Hold { .. } => "hold",
        Binding::Stale { .. } => "stale",
    }
}
