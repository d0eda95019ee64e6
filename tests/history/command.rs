//! `peakscaler history`: what is put in is shown, and comes out again.

use std::path::Path;
use std::process::{Command, Output};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;
use peakscaler::history::csv;

fn history(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peakscaler"));
    let (verb, rest) = arguments.split_first().unwrap();
    command.arg("history").arg(verb).arg("--state-dir").arg(directory).args(rest).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Forty days of hours, the last of which ended some hours ago.
fn orders(file: &Path, zone: &TimeZone) {
    let now = Clock::real().now().as_second();
    let start = Timestamp::from_second(now - now % 86_400 - 40 * 86_400).unwrap();
    let hours = (0..40 * 24).filter(|hour| hour % 100 != 7);
    let count = |hour: i64| (start + SignedDuration::from_hours(hour), 100.0 + (hour % 24) as f64);
    csv::write(std::fs::File::create(file).unwrap(), hours.map(count), zone).unwrap();
}

#[test]
fn what_is_put_in_is_shown_and_comes_out_again() {
    let directory = tempfile::tempdir().unwrap();
    let (state, file) = (directory.path().join("state"), directory.path().join("orders.csv"));
    orders(&file, &TimeZone::UTC);
    let name = file.to_str().unwrap();

    let refused = history(&state, &["import", "shop/pickers", name]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--queue orders"), "{refused:?}");
    let put_in = text(&history(&state, &["import", "shop/pickers", name, "--queue", "orders"]));
    assert_eq!(put_in, "shop/pickers (queue orders): 950 steps of 3600 s put in\n");
    // What is known is not counted again.
    text(&history(&state, &["import", "shop/pickers", name]));

    let taken_out = text(&history(&state, &["export", "shop/pickers"]));
    assert_eq!(taken_out, std::fs::read_to_string(&file).unwrap());

    let shown: serde_json::Value =
        serde_json::from_str(&text(&history(&state, &["show", "--output", "json"]))).unwrap();
    assert_eq!(shown[0]["workload"], "pickers");
    assert_eq!(shown[0]["flow"], "arrivals");
    let known = shown[0]["known"].as_f64().unwrap();
    assert!((known - 950.0 / 960.0).abs() < 0.002, "{known}");
    let table = text(&history(&state, &["show"]));
    assert!(table.contains("shop/pickers") && table.contains("99.0 %"), "{table}");
    let days = text(&history(&state, &["show", "shop/pickers"]));
    assert!(days.matches('█').count() > 40 * 30, "{days}");
    let days: serde_json::Value =
        serde_json::from_str(&text(&history(&state, &["show", "shop/pickers", "--output", "json"]))).unwrap();
    for day in days.as_object().unwrap().values() {
        assert!(
            day["arrivals"].is_number() && day["completions"].is_null(),
            "nobody told what was done: {day}"
        );
    }
}

#[test]
fn errors_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let (state, file) = (directory.path().join("state"), directory.path().join("old.csv"));
    std::fs::write(&file, "timestamp,count\n2011-01-01T00:00:00,1\n2011-01-01T01:00:00,2\n").unwrap();
    for (arguments, words) in [
        (vec!["show"], "`serve --state-dir` or `history import` begins one"),
        (vec!["export", "pickers"], "NAMESPACE/NAME"),
        (
            vec!["import", "shop/pickers", "missing.csv", "--queue", "orders"],
            "error: missing.csv: No such file",
        ),
        (vec!["import", "shop/pickers", file.to_str().unwrap(), "--queue", "orders"], "keeps 455 days"),
    ] {
        let output = history(&state, &arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("history.redb"), "not a history").unwrap();
    let output = history(&state, &["show"]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("history.redb: ") && error.contains("set a damaged file aside"), "{error}");
}
