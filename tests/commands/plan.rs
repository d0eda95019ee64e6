//! `peakscaler plan`.

use crate::support::{Folder, KEDA, OURS, assert_page, json};

const USUAL: &str = "plan --history orders.csv --scaledobject ours.yaml --service-time 60s";

#[test]
fn a_limit_that_binds_is_to_be_raised_or_orders_are_lost() {
    let folder = Folder::new();
    folder.write("ours.yaml", &OURS.replace("maxReplicaCount: 30", "maxReplicaCount: 2"));
    let command =
        format!("{USUAL} --uplift 3 --on 2026-11-11 --quantiles 0.9 --output json --html plan.html");
    let text = folder.says(&command, 2);
    let report = json(&text);
    assert_eq!(report["fails"], true);
    let sentence = report["sentences"][0].as_str().unwrap();
    assert!(sentence.starts_with("Raise maxReplicaCount to "), "{sentence}");
    assert!(sentence.contains("DPD's 14:00 cut-off loses"), "{sentence}");
    let raised: u64 = sentence.split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(Some(raised), report["limits"][0]["needed"][0].as_u64());
    let cut_off = &report["cut_offs"][0];
    assert_eq!(cut_off["fails"], true);
    assert!(cut_off["lost"][0].as_u64() > cut_off["lost_without_limits"][0].as_u64(), "{cut_off}");
    assert_page(&folder.read("plan.html"));
    assert!(folder.read("plan.html").contains(sentence));

    // what the sentence says helps; and what no limit touches comes out as before, to the last digit
    folder.write("ours.yaml", &OURS.replace("maxReplicaCount: 30", &format!("maxReplicaCount: {raised}")));
    let again = json(&folder.says(&command, 0));
    assert_eq!(again["fails"], false);
    assert_eq!(again["cut_offs"][0]["lost_without_limits"], cut_off["lost_without_limits"]);
    assert_eq!(again["limits"][0]["needed"], report["limits"][0]["needed"]);
    let orders = |report: &serde_json::Value| -> Vec<serde_json::Value> {
        report["hours"].as_array().unwrap().iter().map(|hour| hour["orders"].clone()).collect()
    };
    assert_eq!(orders(&again), orders(&report));
}

#[test]
fn the_plan_is_hour_by_hour_at_each_quantile() {
    let folder = Folder::new();
    let report = json(
        &folder.says(&format!("{USUAL} --output json --pods-per-node 1 --node-limit 9 --quota-pods 40"), 0),
    );
    assert_eq!((report["on"].as_str(), report["fails"].as_bool()), (Some("2026-11-11"), Some(false)));
    let hours = report["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 24);
    for hour in hours {
        let orders: Vec<f64> =
            hour["orders"].as_array().unwrap().iter().map(|at| at.as_f64().unwrap()).collect();
        assert!(orders.is_sorted() && orders.len() == 3, "{hour}");
    }
    for level in 0..3 {
        let came: u64 = hours.iter().map(|hour| hour["orders"][level].as_u64().unwrap()).sum();
        assert_eq!(Some(came), report["totals"][level]["orders"].as_u64(), "whole orders, and all of them");
    }
    let noon = &hours[12];
    assert!((60.0..110.0).contains(&noon["orders"][0].as_f64().unwrap()), "four rows of 20: {noon}");
    assert!(noon["pods"][0].as_u64().unwrap() >= 1, "{noon}");
    let limits: Vec<&str> =
        report["limits"].as_array().unwrap().iter().map(|limit| limit["name"].as_str().unwrap()).collect();
    assert_eq!(limits, ["maxReplicaCount", "maxReplicas", "ResourceQuota (pods)", "NodePool limit (nodes)"]);
    assert!(hours.iter().any(|hour| hour["order_nodes_by"].is_string()), "nodes are ordered at some time");
    folder.write("bare.yaml", &OURS.replace("        maxReplicas: \"30\"\n", ""));
    let bare = USUAL.replace("ours.yaml", "bare.yaml");
    let bare = json(&folder.says(&format!("{bare} --quantiles 0.9 --output json"), 0));
    assert_eq!(
        bare["limits"].as_array().unwrap().len(),
        1,
        "what the trigger leaves out is no limit of its own"
    );
    let text = folder.says(&format!("{USUAL} --quantiles 0.9"), 0);
    for part in ["nothing fails", "order nodes by", "14:00 DPD", "quantile"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_limit_is_raised_only_where_that_keeps_orders() {
    let folder = Folder::new();
    folder.write("keda.yaml", &KEDA.replace("maxReplicaCount: 30", "maxReplicaCount: 34"));
    let history = concat!(env!("CARGO_MANIFEST_DIR"), "/data/bike_sharing_hourly.csv");
    folder.write("bike.csv", &std::fs::read_to_string(history).unwrap());
    let command = "plan --history bike.csv --scaledobject keda.yaml --service-time 90s --grace 5m --target-wait 5m \
        --uplift 2.5 --on 2012-11-23 --node-limit 10 --quantiles 0.9 --output json";
    let report = json(&folder.says(command, 2));
    let sentence = report["sentences"][0].as_str().unwrap();
    // ten nodes hold forty pods; what is needed without limits is more for a while
    assert!(report["limits"][1]["needed"][0].as_u64().unwrap() > 10, "{report}");
    assert!(
        sentence.starts_with("Raise maxReplicaCount to ") && !sentence.contains("NodePool"),
        "{sentence}"
    );
    let raised = sentence.split(' ').nth(3).unwrap();
    folder.write("keda.yaml", &KEDA.replace("maxReplicaCount: 30", &format!("maxReplicaCount: {raised}")));
    let text = folder.says(command.trim_end_matches(" --output json"), 0);
    // ten nodes are still fewer than are taken without a limit, and nothing fails by that
    let limit = text.lines().find(|line| line.contains("NodePool limit (nodes)")).unwrap();
    assert!(!limit.contains('!'), "{limit}");
}

#[test]
fn late_orders_stand_in_the_hour_in_which_they_come() {
    let folder = Folder::new();
    folder.write("keda.yaml", &KEDA.replace("maxReplicaCount: 30", "maxReplicaCount: 1"));
    let command = USUAL.replace("ours.yaml", "keda.yaml");
    let flags = "--time-zone Europe/Prague --cut-offs DPD_daily_14:00+45m --uplift 3 --on 2026-11-11";
    let report = json(&folder.says(&format!("{command} {flags} --quantiles 0.9 --output json"), 2));
    let late: Vec<u64> =
        report["hours"].as_array().unwrap().iter().map(|hour| hour["late"][0].as_u64().unwrap()).collect();
    let lost = report["cut_offs"][0]["lost"][0].as_u64().unwrap();
    assert!(lost > 0);
    assert_eq!(late[..14].iter().sum::<u64>(), lost, "those of before 14:00: {late:?}");
    assert_eq!(late[14..].iter().sum::<u64>(), 0, "those after it are not due: {late:?}");
}

#[test]
fn orders_that_wait_for_the_next_cut_off_are_told() {
    let folder = Folder::new();
    let command = USUAL.replace("ours.yaml", "keda.yaml") + " --on 2026-11-11 --uplift 20 --quantiles 0.9";
    let told = |flags: &str| {
        let flags = format!("{command} --time-zone Europe/Prague --cut-offs {flags} --output json");
        let output = folder.run(&flags);
        json(&String::from_utf8(output.stdout).unwrap())["notes"].to_string()
    };
    let notes = told("DPD_daily_14:00+45m");
    assert!(
        notes.contains("at Thu 00:00 ") && notes.contains(" orders wait for the next cut-off"),
        "{notes}"
    );
    for flags in ["DPD_daily_14:00+45m --target-wait 5m", "DPD_daily_23:00+45m"] {
        let notes = told(flags);
        assert!(!notes.contains("for the next cut-off"), "{notes}");
    }
}

#[test]
fn thousands_are_parted_in_every_figure_of_the_text() {
    let folder = Folder::new();
    let output = folder.run(&format!("{USUAL} --uplift 20 --on 2026-11-11 --quantiles 0.9"));
    let text = String::from_utf8(output.stdout).unwrap();
    let bare: Vec<&str> = text
        .split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| digits.len() > 3 && *digits != "2026")
        .collect();
    assert!(bare.is_empty(), "{bare:?}\n{text}");
    let noon =
        text.lines().find(|line| line.trim_start_matches(['│', '┆', ' ']).starts_with("12:00")).unwrap();
    assert!(noon.contains(','), "{noon}");
}

#[test]
fn a_day_far_ahead_is_planned_like_the_last_weeks() {
    let folder = Folder::new();
    let report = json(&folder.says(&format!("{USUAL} --on 2027-03-03 --quantiles 0.9 --output json"), 0));
    let notes = report["notes"].to_string();
    assert!(notes.contains("112 days before 2027-03-03"), "{notes}");
    assert!((300.0..600.0).contains(&report["totals"][0]["orders"].as_f64().unwrap()), "{report}");
}

#[test]
fn a_calendar_closes_a_day() {
    let folder = Folder::new();
    folder.write(
        "peaks.yaml",
        "timeZone: Europe/Prague\nclosures: [{name: stocktaking, from: 2026-11-11, to: 2026-11-11}]\n",
    );
    let report =
        json(&folder.says(&format!("{USUAL} --calendar peaks.yaml --quantiles 0.9 --output json"), 0));
    assert!(report["totals"][0]["orders"].as_f64().unwrap() < 1.0, "{}", report["totals"]);
}

#[test]
fn an_uplift_beside_a_peak_of_the_calendar_is_refused() {
    let folder = Folder::new();
    let write = |peak: &str| {
        let document = format!("timeZone: Europe/Prague\npeaks: [{{name: Singles day, {peak}}}]\n");
        folder.write("peaks.yaml", &document);
    };
    let command = format!("{USUAL} --calendar peaks.yaml --uplift 2.5 --on 2026-11-11 --quantiles 0.9");
    for (peak, told) in [
        ("from: 2026-11-10, to: 2026-11-11, uplift: 3", "uplift 3, 2026-11-10 to 2026-11-11"),
        ("from: 2026-11-12, to: 2026-11-12, uplift: 3, ramp: 6h", "uplift 3, 2026-11-12 to 2026-11-12"),
        ("from: 2026-11-11T10:00, to: 2026-11-11T12:00, orders: 900", "900 orders, "),
    ] {
        write(peak);
        let error = folder.refuses(&command);
        let expected = format!("--uplift 2.5: the calendar has \"Singles day\" ({told}");
        assert!(error.contains(&expected), "{error}");
    }
    // another day's, and one shop's, count beside it
    for peak in [
        "from: 2026-11-10, to: 2026-11-10, uplift: 3",
        "from: 2026-11-11, to: 2026-11-11, orders: 900, by: Acme",
    ] {
        write(peak);
        folder.says(&command, 0);
    }
}

#[test]
fn bad_input_is_named() {
    let folder = Folder::new();
    folder.write("short.csv", "timestamp,count\n2026-11-02T00:00:00,1\n2026-11-02T01:00:00,1\n");
    folder.write("day.csv", &crate::support::history(2));
    folder.write("cron.yaml", &KEDA.replace("0 18 * * *", "0 25 * * *"));
    let mut shown = String::new();
    for arguments in [
        format!("{USUAL} --at 0.8"),
        format!("{USUAL} --quantiles 0.9,0.5"),
        USUAL.replace("orders.csv", "day.csv"),
        USUAL.replace("orders.csv", "short.csv"),
        USUAL.replace("orders.csv", "missing.csv"),
        USUAL.replace(" --service-time 60s", ""),
        format!("{USUAL} --calendar missing.yaml"),
        format!("{USUAL} --node-limit 0"),
        format!("{USUAL} --days two"),
        format!("{USUAL} --node-pool workers"),
        format!("{USUAL} --on 2026-10-01"),
        format!("{} --on 2026-11-06", USUAL.replace("orders.csv", "day.csv")),
        USUAL.replace(" --scaledobject ours.yaml", ""),
        format!("{USUAL} --from-cluster shop/pickers"),
        USUAL.replace("ours.yaml", "cron.yaml"),
    ] {
        shown.push_str(&folder.refuses(&arguments));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn days_on_which_the_clocks_change_are_planned_whole() {
    let folder = Folder::new();
    folder.write("ours.yaml", &OURS.replace("14:00+45m", "23:30+29m"));
    for (on, length, last) in
        [("2027-03-28", 23, "2027-03-28T21:00:00Z"), ("2027-10-31", 25, "2027-10-31T22:00:00Z")]
    {
        let command = format!("{USUAL} --on {on} --quantiles 0.9");
        let report = json(&folder.says(&format!("{command} --output json"), 0));
        let hours = report["hours"].as_array().unwrap();
        assert_eq!((hours.len(), hours[hours.len() - 1]["from"].as_str()), (length, Some(last)), "{on}");
        let cut_offs = report["cut_offs"].as_array().unwrap();
        assert_eq!(cut_offs.len(), 1, "{on}");
        let all = report["totals"][0]["orders"].as_f64().unwrap();
        assert!(cut_offs[0]["orders"][0].as_f64().unwrap() > 0.7 * all, "{on}: {}", cut_offs[0]);
        let node_hours = report["totals"][0]["node_hours"].as_f64().unwrap();
        assert!(node_hours > length as f64 - 1.0, "{on}: {node_hours}");
        let note = format!("the clocks change on {on}: {length} hours are planned");
        let text = folder.says(&command, 0);
        assert!(text.contains(&note), "{text}");
        assert_eq!(text.contains("02:00 CEST") && text.contains("02:00 CET"), length == 25, "{text}");
    }
}
