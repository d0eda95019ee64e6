//! The load generator against the real server, for two seconds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

use serde_json::Value;

fn run(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn json(arguments: &[&str]) -> Value {
    let (success, output, error) = run(arguments);
    assert!(success, "{error}");
    serde_json::from_str(&output).unwrap()
}

#[test]
fn at_kedas_cadence_every_call_is_answered_and_counted() {
    let report = json(&[
        "run",
        "--objects",
        "20",
        "--polling-interval",
        "1s",
        "--sync-period",
        "500ms",
        "--length",
        "2s",
        "--output",
        "json",
    ]);
    // 20 objects poll twice and are synced four times, with three calls each.
    assert_eq!(report["calls"], 20 * 6 * 3, "{report:#}");
    assert_eq!(report["errors"], serde_json::json!({}), "{report:#}");
    assert_eq!(report["not_sent"], 0, "{report:#}");
    let waits = report["waits"].as_array().unwrap();
    let counts: Vec<_> =
        waits.iter().map(|line| (line["name"].as_str().unwrap(), line["count"].as_u64().unwrap())).collect();
    assert_eq!(
        counts,
        [
            ("GetMetricSpec", 120),
            ("GetMetrics", 120),
            ("IsActive", 120),
            ("whole poll", 40),
            ("whole sync", 80),
            ("generator's delay", 120),
        ]
    );
    for line in waits {
        let figure = |name: &str| line[name].as_f64().unwrap();
        assert!(0.0 < figure("p50") && figure("p50") <= figure("p99_99"), "{line:#}");
    }
}

#[test]
fn a_fixed_rate_is_kept() {
    let report = json(&["run", "--objects", "5", "--rate", "200", "--length", "1s", "--output", "json"]);
    assert_eq!(report["calls"], 200, "{report:#}");
    assert_eq!(report["errors"], serde_json::json!({}), "{report:#}");
}

#[test]
fn both_servers_are_compared_while_workloads_tick() {
    let report = json(&[
        "compare",
        "--workloads",
        "20",
        "--tick",
        "100ms",
        "--streams",
        "1,4",
        "--rounds",
        "2",
        "--round",
        "100ms",
        "--output",
        "json",
    ]);
    assert!(report["decisions_per_second"].as_f64().unwrap() > 20.0, "{report:#}");
    for (comparison, streams) in report["comparisons"].as_array().unwrap().iter().zip([1, 4]) {
        assert_eq!(comparison["streams"], streams);
        for figure in ["ratio", "peakscaler_calls_per_second", "echo_calls_per_second"] {
            assert!(comparison[figure].as_f64().unwrap() > 0.0, "{report:#}");
        }
    }
}

#[test]
fn load_is_only_put_on_this_machine() {
    for address in ["192.0.2.1:9443", "example.com:9443"] {
        let (success, _, error) = run(&["run", "--address", address]);
        assert!(!success);
        assert!(error.contains(address), "{error}");
    }
}
