//! Every metric: name, unit, labels and meaning. Nothing is measured that does not stand here.
//!
//! Labels are bounded: `namespace`, `workload` and `queue` by `--max-workloads`, all others by
//! fixed lists. What is said of a workload is read from its snapshot when Prometheus asks, so that
//! a dropped workload leaves nothing behind.

use std::fmt::Write as _;

/// Prometheus' kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution over [`SECONDS_BUCKETS`].
    Histogram,
}

impl Kind {
    /// The word of the exposition format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Full name; its suffix is the unit.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Label names.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

impl Metric {
    const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }

    const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, labels, help }
    }

    /// Adds one to a counter without labels.
    pub fn count(&self) {
        ::metrics::counter!(self.name).increment(1);
    }

    /// Adds one to a counter with one label.
    pub fn count_with(&self, value: &'static str) {
        ::metrics::counter!(self.name, self.labels[0] => value).increment(1);
    }

    /// Puts one value into a histogram without labels.
    pub fn record(&self, value: f64) {
        ::metrics::histogram!(self.name).record(value);
    }

    /// Sets a gauge without labels.
    pub fn set(&self, value: f64) {
        ::metrics::gauge!(self.name).set(value);
    }

    /// Moves a gauge without labels.
    pub fn add(&self, value: f64) {
        ::metrics::gauge!(self.name).increment(value);
    }
}

/// Upper bounds of the buckets of all histograms, in seconds.
pub const SECONDS_BUCKETS: [f64; 14] =
    [0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.5, 5.0, 10.0];

/// Labels of everything that is said of one workload.
pub const WORKLOAD_LABELS: &[&str] = &["namespace", "workload", "queue"];

/// The running version.
pub const BUILD_INFO: Metric =
    Metric::gauge("peakscaler_build_info", &["version"], "Always 1; says which version runs.");
/// Calls answered.
pub const GRPC_REQUESTS: Metric = Metric::counter(
    "peakscaler_grpc_requests_total",
    &["method", "code"],
    "gRPC calls answered, by method and status code.",
);
/// Time from a decoded request to its answer.
pub const GRPC_DURATION: Metric = Metric::histogram(
    "peakscaler_grpc_request_duration_seconds",
    &["method"],
    "Time from a decoded call to its answer, without the network.",
);
/// Streams that are open.
pub const GRPC_STREAMS: Metric =
    Metric::gauge("peakscaler_grpc_open_streams", &["method"], "Streams that KEDA holds open.");
/// Connections that are open.
pub const CONNECTIONS: Metric =
    Metric::gauge("peakscaler_grpc_open_connections", &[], "Connections open on the gRPC port.");
/// What became of connections.
pub const CONNECTIONS_TOTAL: Metric = Metric::counter(
    "peakscaler_grpc_connections_total",
    &["outcome"],
    "Connections by outcome: accepted, refused (--max-connections), tls_failed, aged (--max-connection-age).",
);
/// Workloads observed.
pub const WORKLOADS: Metric = Metric::gauge(
    "peakscaler_workloads",
    &["state"],
    "Workloads at present, by state of their metadata: valid, invalid.",
);
/// Workloads no longer observed.
pub const WORKLOADS_DROPPED: Metric = Metric::counter(
    "peakscaler_workloads_dropped_total",
    &["reason"],
    "Workloads no longer observed: idle (not asked for), panic (a defect: please report it).",
);
/// Workloads refused.
pub const WORKLOADS_REFUSED: Metric =
    Metric::counter("peakscaler_workloads_refused_total", &[], "Calls refused because of --max-workloads.");
/// Decisions taken.
pub const DECISIONS: Metric = Metric::counter("peakscaler_decisions_total", &[], "Decisions taken.");
/// Time of a decision.
pub const DECISION_DURATION: Metric = Metric::histogram(
    "peakscaler_decision_duration_seconds",
    &[],
    "Time to take one decision, without observing.",
);
/// Records written or lost.
pub const RECORDS: Metric = Metric::counter(
    "peakscaler_records_total",
    &["outcome"],
    "Decision records for --record-dir by outcome: written, lost (the disk is too slow or full).",
);
/// Whether this replica coordinates.
pub const LEADER: Metric = Metric::gauge(
    "peakscaler_coordination_leader",
    &[],
    "1 while this replica holds the Lease and so writes buffers, else 0.",
);
/// Writes on buffers and placeholders.
pub const HOLD_WRITES: Metric = Metric::counter(
    "peakscaler_hold_writes_total",
    &["outcome"],
    "Writes on buffers and placeholders by outcome: written, conflict (changed meanwhile), refused (gone, or somebody else's), failed.",
);
/// Events written.
pub const EVENTS: Metric = Metric::counter(
    "peakscaler_events_total",
    &["outcome"],
    "Events on ScaledObjects by outcome: written, failed.",
);
/// Writes of the history.
pub const HISTORY_WRITES: Metric = Metric::counter(
    "peakscaler_history_writes_total",
    &["outcome"],
    "Writes of past orders to --state-dir by outcome: written, failed, lost (the disk failed for too long).",
);

/// Replicas wanted.
pub const DESIRED: Metric = Metric::gauge(
    "peakscaler_workload_desired_replicas",
    WORKLOAD_LABELS,
    "Replicas wanted now; absent while there is no number.",
);
/// Replicas ready.
pub const READY: Metric = Metric::gauge(
    "peakscaler_workload_ready_replicas",
    WORKLOAD_LABELS,
    "Replicas that are ready, where they are seen.",
);
/// Replicas wanted one node lead time from now.
pub const AHEAD: Metric = Metric::gauge(
    "peakscaler_workload_ahead_replicas",
    WORKLOAD_LABELS,
    "Replicas wanted one node lead time from now.",
);
/// Replicas of the capacity buffer.
pub const BUFFER: Metric =
    Metric::gauge("peakscaler_workload_buffer_replicas", WORKLOAD_LABELS, "Replicas of the capacity buffer.");
/// The backlog.
pub const BACKLOG: Metric = Metric::gauge(
    "peakscaler_workload_backlog_orders",
    WORKLOAD_LABELS,
    "Orders waiting or in work, as estimated.",
);
/// Arrivals.
pub const ARRIVAL_RATE: Metric = Metric::gauge(
    "peakscaler_workload_arrivals_orders_per_second",
    WORKLOAD_LABELS,
    "Orders arriving per second.",
);
/// Service rate.
pub const SERVICE_RATE: Metric = Metric::gauge(
    "peakscaler_workload_service_rate_orders_per_second",
    WORKLOAD_LABELS,
    "Orders per second that one ready replica completes.",
);
/// Orders that will be late.
pub const LATE_EXPECTED: Metric = Metric::gauge(
    "peakscaler_workload_late_expected_orders",
    WORKLOAD_LABELS,
    "Orders that will miss their due time whatever is done now. Above 0 is worth an alarm.",
);
/// Age of the decision.
pub const DECISION_AGE: Metric =
    Metric::gauge("peakscaler_workload_decision_age_seconds", WORKLOAD_LABELS, "Age of the last decision.");
/// Whether KEDA gets a number.
pub const ANSWERING: Metric = Metric::gauge(
    "peakscaler_workload_answering",
    WORKLOAD_LABELS,
    "1 while KEDA gets a number, 0 while it gets an error. 0 for long is worth an alarm.",
);
/// What decided.
pub const BINDING: Metric = Metric::gauge(
    "peakscaler_workload_binding",
    &["namespace", "workload", "queue", "kind"],
    "1 for what decided the number: idle, wait, cut_off, bound, hold, stale.",
);
/// Age of a source.
pub const SOURCE_AGE: Metric = Metric::gauge(
    "peakscaler_workload_source_age_seconds",
    &["namespace", "workload", "queue", "source"],
    "Seconds since a source of the workload was last read well.",
);
/// Room that is free.
pub const FREE_SLOTS: Metric = Metric::gauge(
    "peakscaler_workload_free_slots_replicas",
    WORKLOAD_LABELS,
    "Replicas that fit on initialized nodes of the NodePool now.",
);
/// Room that is coming.
pub const COMING_SLOTS: Metric = Metric::gauge(
    "peakscaler_workload_coming_slots_replicas",
    WORKLOAD_LABELS,
    "Replicas that will fit on nodes that are asked for and not initialized.",
);
/// Room that is held.
pub const HELD: Metric = Metric::gauge(
    "peakscaler_workload_held_replicas",
    WORKLOAD_LABELS,
    "Replicas of the CapacityBuffer or placeholder as they stand in the cluster.",
);
/// Pod lead time.
pub const POD_LEAD: Metric = Metric::gauge(
    "peakscaler_workload_pod_lead_seconds",
    WORKLOAD_LABELS,
    "Pod created to ready where a node has room, 90th percentile as measured.",
);
/// Node lead time.
pub const NODE_LEAD: Metric = Metric::gauge(
    "peakscaler_workload_node_lead_seconds",
    WORKLOAD_LABELS,
    "Node asked for to initialized, 90th percentile as measured.",
);
/// What stands in the way.
pub const FINDING: Metric = Metric::gauge(
    "peakscaler_workload_finding",
    &["namespace", "workload", "queue", "finding", "severity"],
    "1 for each finding on the workload's room and HPA; docs/nodes.md lists them.",
);

/// What is expected.
pub const FORECAST: Metric = Metric::gauge(
    "peakscaler_workload_forecast_orders_per_second",
    WORKLOAD_LABELS,
    "Orders expected per second, mean over the time to a new pod (at least 10 minutes).",
);
/// How much it may be.
pub const FORECAST_QUANTILE: Metric = Metric::gauge(
    "peakscaler_workload_forecast_quantile_orders_per_second",
    &["namespace", "workload", "queue", "quantile"],
    "Quantiles of the same: 0.5, 0.9, 0.99.",
);
/// Whether it is a learned one.
pub const FORECAST_LEARNED: Metric = Metric::gauge(
    "peakscaler_workload_forecast_learned",
    WORKLOAD_LABELS,
    "1 while a learned forecast is planned with, 0 while the present rate alone is.",
);
/// How wrong it was.
pub const FORECAST_ERROR: Metric = Metric::gauge(
    "peakscaler_workload_forecast_error_ratio",
    WORKLOAD_LABELS,
    "Sum of absolute errors of day-ahead forecasts over the orders of the last 14 days (WAPE).",
);
/// How honest it was.
pub const FORECAST_COVERAGE: Metric = Metric::gauge(
    "peakscaler_workload_forecast_coverage_ratio",
    WORKLOAD_LABELS,
    "Share of the last 14 days' slots at or below the 0.9 quantile of day-ahead forecasts; right is 0.9.",
);
/// What people know.
pub const CALENDAR_ORDERS: Metric = Metric::gauge(
    "peakscaler_workload_calendar_orders",
    WORKLOAD_LABELS,
    "Orders that calendar entries add to what is expected within the plan's horizon, or take from it.",
);
/// What it costs.
pub const CALENDAR_REPLICAS: Metric = Metric::gauge(
    "peakscaler_workload_calendar_replicas",
    WORKLOAD_LABELS,
    "Replicas planned now because of calendar entries.",
);

/// All of them, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    BUILD_INFO,
    GRPC_REQUESTS,
    GRPC_DURATION,
    GRPC_STREAMS,
    CONNECTIONS,
    CONNECTIONS_TOTAL,
    WORKLOADS,
    WORKLOADS_DROPPED,
    WORKLOADS_REFUSED,
    DECISIONS,
    DECISION_DURATION,
    RECORDS,
    LEADER,
    HOLD_WRITES,
    EVENTS,
    HISTORY_WRITES,
    DESIRED,
    READY,
    AHEAD,
    BUFFER,
    BACKLOG,
    ARRIVAL_RATE,
    SERVICE_RATE,
    LATE_EXPECTED,
    DECISION_AGE,
    ANSWERING,
    BINDING,
    SOURCE_AGE,
    FREE_SLOTS,
    COMING_SLOTS,
    HELD,
    POD_LEAD,
    NODE_LEAD,
    FINDING,
    FORECAST,
    FORECAST_QUANTILE,
    FORECAST_LEARNED,
    FORECAST_ERROR,
    FORECAST_COVERAGE,
    CALENDAR_ORDERS,
    CALENDAR_REPLICAS,
];

/// `docs/metrics.md`, generated from [`METRICS`].
pub fn render_metrics_docs() -> String {
    let mut page = String::from(
        "# Metrics\n\n<!-- Generated from src/telemetry/catalogue.rs by `peakscaler docs`: do not edit. -->\n\n\
         Served as `/metrics` on the admin port. The suffix of a name is its unit.\n\n\
         | metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind.word(),
            labels.join(", "),
            metric.help
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_prometheus() {
        let mut seen = HashSet::new();
        for metric in METRICS {
            assert!(seen.insert(metric.name), "{} stands twice", metric.name);
            assert!(metric.name.starts_with("peakscaler_"), "{}", metric.name);
            assert!(
                metric.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}: the help is a sentence", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            if metric.kind == Kind::Histogram {
                assert!(
                    metric.name.ends_with("_seconds"),
                    "{}: histograms have buckets of seconds",
                    metric.name
                );
            }
        }
    }

    #[test]
    fn the_page_names_every_metric() {
        let page = render_metrics_docs();
        for metric in METRICS {
            assert!(page.contains(&format!("| `{}` |", metric.name)));
        }
    }
}
