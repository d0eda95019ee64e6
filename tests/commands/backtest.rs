//! `peakscaler backtest`.

use crate::support::{Folder, KEDA, OURS, assert_page, history, json};

const USUAL: &str = "backtest --history orders.csv --scaledobject keda.yaml --time-zone Europe/Prague --target-wait 5m --service-time 60s --days 1";

#[test]
fn a_history_is_lived_through_under_both_settings() {
    let folder = Folder::new();
    let command = format!("{USUAL} --price-per-node-hour 0.2 --output json --html report.html");
    let text = folder.says(&command, 0);
    let report = json(&text);
    let contest = &report["contests"][0];
    assert_eq!((contest["from"].as_str(), contest["days"].as_u64()), (Some("2026-11-10"), Some(1)));
    let runs = contest["runs"].as_array().unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["now: keda sqs 20 + cron", "peakscaler"]);
    for run in runs {
        let score = &run["score"];
        assert_eq!(score["orders"], contest["orders"], "none comes after 16:00");
        assert!(score["replica_hours"].as_f64() > score["work_hours"].as_f64(), "{score}");
        let cost = run["node_cost"].as_f64().unwrap();
        assert!((cost - 0.2 * score["node_hours"].as_f64().unwrap()).abs() < 1e-9);
        let late: u64 =
            score["days"].as_array().unwrap().iter().map(|day| day["late"].as_u64().unwrap()).sum();
        assert_eq!(Some(late), score["late"].as_u64());
        assert_eq!(run["worst_day"].is_null(), late == 0);
        for field in ["wait_p50_seconds", "wait_p99_seconds", "wait_max_seconds", "actions_per_day", "misses"]
        {
            assert!(score[field].is_number(), "{field}: {score}");
        }
    }
    assert_eq!(contest["verdicts"].as_array().unwrap().len(), 1);
    let page = folder.read("report.html");
    assert_page(&page);
    for part in [
        "now: keda sqs 20 + cron",
        "Longest wait of the first in line, minutes",
        "2026-11-10",
        "What this rests on",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // the same seed gives the same bytes
    assert_eq!(folder.says(&command, 0), text);
    assert_eq!(folder.read("report.html"), page);
}

/// The counts are the operator's own: a seed moves orders within their rows, and no further.
#[test]
fn the_orders_of_a_report_are_those_of_the_file() {
    let folder = Folder::new();
    // orders until midnight, and a day of them that isn't scored
    folder.write("late.csv", &folder.read("orders.csv").replace(",0\n", ",3\n"));
    let rows = |text: &str, from: &str| -> u64 {
        let rows = text.lines().filter_map(|line| line.split_once(',')).filter(|(at, _)| *at >= from);
        rows.filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
    };
    let expected = rows(&folder.read("late.csv"), "2026-11-10");
    for seed in [1, 2, 3] {
        for dispersion in ["1", "1.5", "20"] {
            let usual = USUAL.replace("orders.csv", "late.csv");
            let command = format!("{usual} --seed {seed} --dispersion {dispersion} --output json");
            let report = json(&folder.says(&command, 0));
            let contest = &report["contests"][0];
            assert_eq!(contest["orders"].as_u64(), Some(expected), "seed {seed}, dispersion {dispersion}");
            let judged = contest["runs"][0]["score"]["orders"].as_u64().unwrap();
            assert!(
                (expected - 3..=expected).contains(&judged),
                "those of the last five minutes are not: {judged}"
            );
        }
    }
}

#[test]
fn another_scaled_object_may_be_compared() {
    let folder = Folder::new();
    folder.write("other.yaml", &KEDA.replace("\"20\"", "\"2\""));
    let text = folder.says(&format!("{USUAL} --from 2026-11-02 --against other.yaml"), 0);
    for part in [
        "now: keda sqs 20 + cron",
        "against: keda sqs 2 + cron",
        "Under peakscaler, compared with \"now: keda",
        "wait, 99th percentile",
        "(flag)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let ours = folder.says(
        "backtest --history orders.csv --scaledobject ours.yaml --service-time 60s --from 2026-11-02 --days 1 --output json",
        0,
    );
    assert_eq!(json(&ours)["contests"][0]["runs"][0]["name"], "now: peakscaler");
    // workers as they are told, and others
    let told = OURS.replace("targetWait", "serviceRate: \"7\"\n        targetWait");
    folder.write("told.yaml", &told);
    for (flags, noted) in [("", false), ("--service-time 60s", true)] {
        let command = format!("backtest --history orders.csv --scaledobject told.yaml --days 1 {flags}");
        let text = folder.says(&command, 0);
        let note = "note: serviceRate of shop/pickers is 7 orders a minute, 8.6 s an order";
        assert_eq!(text.contains(note), noted, "{text}");
    }
}

#[test]
fn scenarios_are_lived_through() {
    let folder = Folder::new();
    folder.write(
        "small.yaml",
        "name: small\ndays: 1\nwarm_up_days: 0\norders: {generator: {orders_per_day: 2000}}\n",
    );
    let report = json(&folder.says("backtest --scenario small.yaml --output json", 0));
    let names: Vec<_> =
        report["contests"][0]["runs"].as_array().unwrap().iter().map(|run| run["name"].clone()).collect();
    assert_eq!(names, ["KEDA aws-sqs-queue, its defaults", "peakscaler"]);
    let report = json(
        &folder.says("backtest --scenario small.yaml small.yaml --scaledobject keda.yaml --output json", 0),
    );
    assert_eq!(report["contests"].as_array().unwrap().len(), 2);
    assert_eq!(bounds(&report), [(1, 30), (1, 30)], "peakscaler with the same bounds");
}

/// Least and most replicas of each run of the first contest.
fn bounds(report: &serde_json::Value) -> Vec<(u64, u64)> {
    let runs = report["contests"][0]["runs"].as_array().unwrap().iter();
    let bound = |run: &serde_json::Value, key: &str| run[key].as_u64().unwrap();
    runs.map(|run| (bound(run, "min_replicas"), bound(run, "max_replicas"))).collect()
}

#[test]
fn the_bounds_told_are_those_that_act() {
    let folder = Folder::new();
    let history = "backtest --history orders.csv --scaledobject other.yaml --service-time 60s --from 2026-11-02 --days 1 --output json";
    folder.write("small.yaml", "days: 1\nwarm_up_days: 0\norders: {generator: {orders_per_day: 500}}\n");
    let scenario = "backtest --scenario small.yaml --scaledobject other.yaml --output json";
    for (key, expected) in [("maxReplicas: \"20\"", (1, 20)), ("minReplicas: \"3\"", (3, 30))] {
        folder.write("other.yaml", &OURS.replace("maxReplicas: \"30\"", key));
        assert_eq!(bounds(&json(&folder.says(history, 0))), [expected]);
        assert_eq!(bounds(&json(&folder.says(scenario, 0))), [expected; 2]);
    }
}

#[test]
fn bad_input_is_named_with_its_place() {
    let folder = Folder::new();
    let good = history(9);
    let spoiled = |name: &str, spoil: &dyn Fn(&mut Vec<&str>)| {
        let mut lines: Vec<&str> = good.lines().collect();
        spoil(&mut lines);
        folder.write(name, &lines.join("\n"));
    };
    spoiled("gap.csv", &|lines| drop(lines.drain(800..812)));
    spoiled("unsorted.csv", &|lines| lines.swap(700, 701));
    spoiled("negative.csv", &|lines| lines[9] = "2026-11-02T02:00:00,-4");
    spoiled("offset.csv", &|lines| lines[9] = "2026-11-02T02:00:00+01:00,4");
    let spring: Vec<_> =
        (0..48).map(|hour| format!("2026-03-{:02}T{:02}:00:00,5\n", 28 + hour / 24, hour % 24)).collect();
    folder.write("zone.csv", &format!("timestamp,count\n{}", spring.concat()));
    folder.write("kafka.yaml", &KEDA.replace("type: cron", "type: kafka"));
    folder.write("semicolons.csv", &good.replace(',', ";"));
    folder.write("huge.csv", &good.replace(",20", ",200000000"));
    folder.write("two.yaml", "days: 2\n---\ndays: 3\n");
    folder.write("words.yaml", "pods:\n  max: lots\n");
    folder.write("trace.yaml", "orders: {trace: {path: missing.csv}}\n");
    folder.write("contradiction.yaml", "days: 3\nwarm_up_days: 3\npods: {min: 9, max: 4, initial: 2}\n");
    let mut shown = String::new();
    for arguments in [
        USUAL.replace("orders.csv", "gap.csv"),
        USUAL.replace("orders.csv", "unsorted.csv"),
        USUAL.replace("orders.csv", "negative.csv"),
        USUAL.replace("orders.csv", "offset.csv"),
        USUAL.replace("orders.csv", "zone.csv"),
        USUAL.replace("keda.yaml", "kafka.yaml"),
        USUAL.replace("--target-wait 5m", ""),
        USUAL.replace("--service-time 60s", ""),
        USUAL.replace("--service-time 60s", "--service-time -90s"),
        USUAL.replace("--days 1", "--days 20"),
        USUAL.replace("--days 1", "--days 0"),
        USUAL.replace("--days 1", "--from 2026-11-02T10:00"),
        USUAL.replace("--days 1", "--days 1 --from 2027-01-01"),
        USUAL.replace("--days 1", "--days 1 --node-limit -1"),
        USUAL.replace("--days 1", "--days 1 --seed -1"),
        USUAL.replace("orders.csv", "missing.csv"),
        USUAL.replace("orders.csv", "semicolons.csv"),
        USUAL.replace("orders.csv", "huge.csv"),
        "backtest".to_owned(),
        "backtest --scenario contradiction.yaml --grace 5m".to_owned(),
        "backtest --scenario two.yaml".to_owned(),
        "backtest --scenario words.yaml".to_owned(),
        "backtest --scenario trace.yaml".to_owned(),
        "backtest --scenario contradiction.yaml".to_owned(),
        "backtest --scenario missing.yaml".to_owned(),
    ] {
        shown.push_str(&folder.refuses(&arguments));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn days_on_which_the_clocks_change_are_named() {
    let folder = Folder::new();
    folder.write("clocks.yaml", "start: 2026-10-24\ndays: 2\norders: {generator: {orders_per_day: 300}}\n");
    let text = folder.says("backtest --scenario clocks.yaml", 0);
    assert!(text.contains("the clocks of Europe/Prague change on 2026-10-25"), "{text}");
    assert!(text.contains("the last one ends at 2026-10-25 23:00"), "{text}");
    // the hour that was not has no orders
    let hours = (27..=29).flat_map(|day| (0..24).map(move |hour| (day, hour)));
    let row = |(day, hour)| format!("2026-03-{day}T{hour:02}:00:00,{}\n", u8::from((day, hour) != (29, 2)));
    let rows: Vec<String> = hours.map(row).collect();
    folder.write("orders.csv", &format!("timestamp,count\n{}", rows.concat()));
    assert!(!folder.says(USUAL, 0).contains("change on"), "days of a history are those of the wall clock");
}

#[test]
fn a_day_of_a_history_ends_at_midnight() {
    let folder = Folder::new();
    let day = |date: &str| -> String {
        let row = |hour: u8| format!("{date}T{hour:02}:00:00,{}\n", if hour == 23 { 7 } else { 0 });
        (0..24).map(row).collect::<Vec<_>>().concat()
    };
    for dates in [["2026-03-28", "2026-03-29", "2026-03-30"], ["2026-10-24", "2026-10-25", "2026-10-26"]] {
        let mut rows = dates.map(day).concat();
        if dates[0] == "2026-10-24" {
            // the hour that was twice has a row for each
            rows = rows.replace("2026-10-25T02:00:00,0\n", "2026-10-25T02:00:00,0\n2026-10-25T02:00:00,0\n");
        }
        folder.write("orders.csv", &format!("timestamp,count\n{rows}"));
        let text = folder
            .says(&format!("{USUAL} --from {} --days 2 --output json", dates[0]).replace("--days 1 ", ""), 0);
        let contest = &json(&text)["contests"][0];
        assert_eq!(contest["orders"], 14, "{text}");
        let note = contest["notes"][0].as_str().unwrap();
        assert!(note.starts_with("the history holds 0.0 days before the first"), "{note}");
        assert_eq!(contest["runs"][0]["score"]["days"][0]["orders"], 7, "{text}");
        let day = contest["runs"][0]["score"]["days"][1]["orders"].as_u64().unwrap();
        assert!((1..=7).contains(&day), "the last hour before midnight belongs to the day: {text}");
    }
}
