//! What `serve` learns from the past: from its sources, from the history that it keeps, and from a calendar.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;
use peakscaler::grpc::proto::ScaledObjectRef;
use serde_json::Value;

use crate::parts::prometheus::Prometheus;
use crate::process::Process;
use crate::support::{ask, get, until_some};

/// Five days of minutes: a hundred orders an hour, by day three hundred.
fn five_days(until: Timestamp) -> String {
    let mut text = "# TYPE orders counter\n".to_owned();
    let start = until - SignedDuration::from_hours(5 * 24 + 2);
    let mut total = 0.0;
    for minute in 0..(5 * 24 + 2) * 60 {
        let at = start + SignedDuration::from_mins(minute);
        let hour = at.as_second() / 3600 % 24;
        total += if (8..20).contains(&hour) { 5.0 } else { 100.0 / 60.0 };
        writeln!(text, "orders_total{{site=\"a\"}} {total} {}", at.as_second()).unwrap();
    }
    text + "# EOF\n"
}

fn trigger(prometheus: &Prometheus, more: &[(&str, &str)]) -> ScaledObjectRef {
    let address = prometheus.address();
    let own = [
        ("backlogQuery", "vector(0)"),
        ("prometheusServerAddress", address.as_str()),
        ("throughputSource", "prometheus"),
        ("arrivalQuery", "sum(rate(orders_total[5m]))"),
        ("replicasQuery", "vector(4)"),
        ("targetWait", "120s"),
        ("serviceRate", "2"),
        ("maxReplicas", "500"),
    ];
    let metadata = own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ScaledObjectRef {
        name: "pickers".to_owned(),
        namespace: "shop".to_owned(),
        scaler_metadata: metadata.collect(),
    }
}

/// The newest decision.
async fn decision(process: &Process) -> Option<Value> {
    let (status, body) = get(process.admin, "/v1/workloads/shop/pickers/decision").await;
    let explanation: Value = serde_json::from_str(&body).unwrap();
    (status == 200).then(|| explanation["triggers"][0]["decision"].clone())
}

/// The newest decision once `holds`.
async fn until_decided(process: &Process, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until_some(what, async || decision(process).await.filter(|decision| holds(decision))).await
}

fn is_forecast(decision: &Value) -> bool {
    decision["inputs"]["forecast_distrust"].is_null()
        && decision["forecast"]["model"].as_str().is_some_and(|model| !model.starts_with("present_rate"))
}

#[tokio::test]
async fn a_forecast_is_learned_from_prometheus_and_kept_over_a_kill() {
    let prometheus = Prometheus::start(Some(&five_days(Clock::real().now())), None).await;
    let address = prometheus.address();
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().to_str().unwrap();
    let arguments = ["--prometheus-address", &address, "--tick", "300ms", "--state-dir", state];
    let process = Process::start_as(&arguments, &[]).await;
    let mut client = process.client().await;
    let with = trigger(&prometheus, &[]);
    // The first answer does not wait for the past.
    let first = client.get_metrics(ask(with.clone())).await.unwrap().into_inner();
    assert_eq!(first.metric_values.len(), 1);
    let decided = until_decided(&process, "a learned forecast", is_forecast).await;
    let hours = decided["forecast"]["horizon_seconds"].as_f64().unwrap() / 3600.0;
    let an_hour = decided["forecast"]["expected"].as_f64().unwrap() / hours;
    assert!((70.0..400.0).contains(&an_hour), "{an_hour} an hour");

    // Until what was read is on the disk, a minute at most; a clean end writes it too.
    process.end().await;
    let started = [&arguments[..], &["--no-backfill"]].concat();
    let process = Process::start_as(&started, &[]).await;
    process.client().await.get_metrics(ask(with.clone())).await.unwrap();
    until_decided(&process, "the forecast out of the history", is_forecast).await;
    process.kill().await;
    let process = Process::start_as(&started, &[]).await;
    process.client().await.get_metrics(ask(with)).await.unwrap();
    until_decided(&process, "the forecast after a kill", is_forecast).await;
    drop(process);

    let process = Process::start_as(&started, &[]).await;
    let without = trigger(&prometheus, &[("forecast", "false")]);
    process.client().await.get_metrics(ask(without)).await.unwrap();
    let decided = until_decided(&process, "arrivals", |decision| {
        decision["arrival_rate"].as_f64().is_some_and(|rate| rate > 0.0)
    });
    assert!(!is_forecast(&decided.await), "forecast: false goes without");
}

#[tokio::test]
async fn a_calendar_is_read_again_when_it_changes() {
    let prometheus = Prometheus::start(None, None).await;
    let address = prometheus.address();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("peaks.yaml");
    std::fs::write(&file, "peaks: []\n").unwrap();
    let name = file.to_str().unwrap();
    let arguments =
        ["--prometheus-address", &address, "--tick", "300ms", "--no-backfill", "--calendar", name];
    let process = Process::start_as(&arguments, &[]).await;
    let steady = trigger(&prometheus, &[("arrivalQuery", "vector(1)")]);
    process.client().await.get_metrics(ask(steady)).await.unwrap();
    let before = until_decided(&process, "a rate", |decision| {
        decision["arrival_rate"].as_f64().is_some_and(|rate| (rate - 1.0).abs() < 0.1)
    });
    let before = before.await;
    let soon = Clock::real().now() + SignedDuration::from_mins(10);
    let local = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let until = local(soon + SignedDuration::from_hours(2));
    let peak = format!("peaks: [{{name: a, from: '{}', to: '{until}', uplift: 7}}]\n", local(soon));
    std::fs::write(&file, peak).unwrap();
    let expected = |decision: &Value| {
        let knots = decision["inputs"]["outlook"]["knots"].as_array().unwrap();
        let at = |seconds: f64| {
            let knot = knots.iter().rfind(|knot| knot["x_seconds"].as_f64().unwrap() <= seconds).unwrap();
            knot["mean"].as_f64().unwrap()
        };
        at(1800.0)
    };
    until_decided(&process, "the peak", |decision| expected(decision) > 2.0 * expected(&before)).await;
}
