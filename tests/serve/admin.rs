//! The admin port, and `explain` as its reader.

use std::collections::HashSet;

use peakscaler::cli::serve::Settings;
use peakscaler::telemetry::catalogue::{METRICS, render_metrics_docs};

use crate::support::{Running, ask, get, reference};

#[tokio::test]
async fn every_metric_on_the_page_stands_in_the_catalogue() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    client.get_metrics(ask(reference("packers", &[("maxReplicas", "many")]))).await.unwrap_err();
    let mut specs = client.stream_metric_spec(reference("packers", &[])).await.unwrap().into_inner();
    specs.message().await.unwrap().unwrap();
    let (status, page) = get(running.server.admin_address(), "/metrics").await;
    assert_eq!(status, 200);
    let known: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    let mut typed = HashSet::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(known.contains(name), "{name} is not in the catalogue");
            assert!(typed.insert(name.to_owned()), "{name} is declared twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let declared = typed.contains(name) || family.is_some_and(|family| typed.contains(family));
            assert!(declared, "{name} has no # TYPE line before it");
        }
    }
    let labels = "namespace=\"shop\",workload=\"packers\",queue=\"orders\"";
    for line in [
        format!("peakscaler_workload_desired_replicas{{{labels}}} 3"),
        format!("peakscaler_workload_answering{{{labels}}} 1"),
        "peakscaler_grpc_open_streams{method=\"StreamMetricSpec\"}".to_owned(),
        "peakscaler_build_info{version=".to_owned(),
    ] {
        assert!(page.contains(&line), "{line} is missing in\n{page}");
    }
}

#[test]
fn the_documentation_is_what_the_catalogue_says() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    assert_eq!(page, render_metrics_docs(), "`make docs` writes it anew");
}

#[tokio::test]
async fn probes_tell_alive_from_ready() {
    let running = Running::start(Settings::default()).await;
    let address = running.server.admin_address();
    assert_eq!(get(address, "/livez").await.0, 200);
    assert_eq!(get(address, "/readyz").await.0, 200);
    running.server.announce_end().await;
    assert_eq!(get(address, "/livez").await.0, 200);
    assert_eq!(get(address, "/readyz").await.0, 503);
}

#[tokio::test]
async fn explain_retells_the_decision_and_keeps_the_last_good_over_a_bad_edit() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    let address = running.server.admin_address();
    let text = explain(address, &["shop/packers"]).await.unwrap();
    assert!(text.starts_with("shop/packers (queue orders)\n  3 replicas are wanted.\n"), "{text}");

    client.get_metrics(ask(reference("packers", &[("maxReplicas", "many")]))).await.unwrap_err();
    let text = explain(address, &["shop/packers"]).await.unwrap();
    assert!(text.contains("No number: the metadata is invalid"), "{text}");
    assert!(text.contains("maxReplicas"), "{text}");
    assert!(text.contains("The last number was 3, at 08:00 UTC."), "{text}");

    let json = explain(address, &["shop/packers", "--output", "json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["triggers"][0]["decision"]["desired"], 3);
    assert_eq!(json["triggers"][1]["last_good"]["desired"], 3);

    let (status, list) = get(address, "/v1/workloads").await;
    assert_eq!(status, 200);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["queue"], "orders");
}

#[tokio::test]
async fn explain_says_what_to_do_about_an_unknown_workload() {
    let running = Running::start(Settings::default()).await;
    let address = running.server.admin_address();
    let error = explain(address, &["shop/nobody"]).await.unwrap_err();
    assert!(error.contains("shop/nobody is not observed"), "{error}");
    assert!(!error.contains("observed are"), "{error}");
    let mut client = running.client().await;
    for name in ["pickers", "packers"] {
        client.get_metrics(ask(reference(name, &[]))).await.unwrap();
    }
    let error = explain(address, &["shop/pakers"]).await.unwrap_err();
    assert!(error.contains("observed are, the nearest names first: shop/packers, shop/pickers\n"), "{error}");
    let output = run_explain(address, &["shop/pakers", "--output", "json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["observed"], serde_json::json!(["shop/packers", "shop/pickers"]), "{json}");
    assert_eq!(json["observed_count"], 2);
    let error = explain(address, &["../metrics"]).await.unwrap_err();
    assert!(error.contains("NAMESPACE/NAME"), "{error}");
}

/// The real binary: its output, or its error.
async fn explain(address: std::net::SocketAddr, arguments: &[&str]) -> Result<String, String> {
    let output = run_explain(address, arguments).await;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

async fn run_explain(address: std::net::SocketAddr, arguments: &[&str]) -> std::process::Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_peakscaler"))
        .arg("explain")
        .args(arguments)
        .args(["--admin", &format!("http://{address}")])
        .output()
        .await
        .unwrap()
}
