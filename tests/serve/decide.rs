//! `decide` as a program: what it writes for what it reads.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

const TRIGGER: &str = "metadata:\n  queueURL: https://sqs.eu-central-1.amazonaws.com/123456789012/orders\n  \
                       targetWait: 300s\n  minReplicas: \"2\"\n  maxReplicas: \"40\"\n  throughputSource: queue\n";

fn start(directory: &std::path::Path, more: &[&str]) -> Child {
    start_on(TRIGGER, directory, more)
}

fn start_on(metadata: &str, directory: &std::path::Path, more: &[&str]) -> Child {
    let trigger = directory.join("trigger.yaml");
    std::fs::write(&trigger, metadata).unwrap();
    Command::new(env!("CARGO_BIN_EXE_peakscaler"))
        .arg("decide")
        .arg("--trigger")
        .arg(trigger)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run(input: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(directory.path(), &[]);
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn line(second: u32, visible: u32) -> String {
    format!(
        "{{\"at\":\"2026-11-27T08:00:{second:02}Z\",\"queue\":{{\"visible\":{visible},\"in_flight\":2,\"age_seconds\":0}},\
         \"arrivals\":[{{\"from\":\"2026-11-27T07:59:00Z\",\"to\":\"2026-11-27T08:00:00Z\",\"count\":60}}],\
         \"replicas\":{{\"ready\":2,\"starting\":[4.5],\"pending\":1,\"wanted\":4}},\
         \"nodes\":{{\"free_slots\":3,\"coming\":0}},\"lead_times\":{{\"pod_seconds\":31.5}}}}"
    )
}

#[test]
fn each_line_is_answered_before_the_next_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(directory.path(), &[]);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for second in [0, 5, 10] {
        writeln!(input, "{}", line(second, 100)).unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["at"], format!("2026-11-27T08:00:{second:02}Z"), "{answer}");
        assert!(answer["desired"].as_u64().unwrap() >= 2, "{answer}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let input: String = (0..60).map(|second| line(second, 10 * second) + "\n").collect();
    let output = run(&input);
    assert_eq!(output.lines().count(), 60);
    assert_eq!(output, run(&input));
    for answer in output.lines() {
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        for field in [
            "at",
            "desired",
            "active",
            "ahead",
            "buffer",
            "binding",
            "backlog",
            "arrival_rate",
            "service_rate",
            "service_rate_lower",
            "late_expected",
        ] {
            assert!(answer.get(field).is_some(), "{field} is missing in {answer}");
        }
    }
}

#[test]
fn garbage_is_answered_line_by_line() {
    let input = [
        "not json",
        "",
        "[]",
        "{}",
        r#"{"at":"yesterday"}"#,
        r#"{"at":"2026-11-27T08:00:00"}"#,
        r#"{"at":"2026-11-27T08:00:00Z","colour":"red"}"#,
        r#"{"at":"2026-11-27T08:00:00Z","queue":{"visible":1}}"#,
        r#"{"at":"2026-11-27T08:00:00Z","replicas":{"ready":-1}}"#,
        r#"{"at":"2026-11-27T08:00:00Z","arrivals":[{"from":"2026-11-27T07:00:00Z","count":1}]}"#,
        r#"{"at":"2026-11-27T08:00:00Z"} trailing"#,
    ]
    .join("\n");
    insta::assert_snapshot!(run(&input));
}

#[test]
fn time_never_goes_back() {
    let output = run(&format!("{}\n{}\n{}\n", line(10, 1), line(5, 1), line(10, 1)));
    let answers: Vec<serde_json::Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[1]["line"], 2, "{output}");
    assert!(answers[1]["error"].as_str().unwrap().contains("at"), "{output}");
    assert_eq!(answers[2]["at"], "2026-11-27T08:00:10Z", "{output}");
}

#[test]
fn a_bad_trigger_ends_with_its_problems() {
    let directory = tempfile::tempdir().unwrap();
    let trigger = directory.path().join("bad.yaml");
    std::fs::write(&trigger, TRIGGER.replace("\"40\"", "many").replace("300s", "soon")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_peakscaler"))
        .arg("decide")
        .arg("--trigger")
        .arg(&trigger)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for key in ["maxReplicas", "targetWait", "bad.yaml"] {
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn a_calendar_raises_what_is_wanted_ahead_of_its_peak() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peaks.yaml");
    let input: String = (0..10).map(|second| line(second, 100) + "\n").collect();
    // No more is wanted of a guessed rate than twice of what is there, whatever a calendar says.
    let given = TRIGGER.to_owned() + "  serviceRate: \"2\"\n";
    let ahead = |text: Option<&str>| {
        std::fs::write(&path, text.unwrap_or_default()).unwrap();
        let arguments = ["--calendar", path.to_str().unwrap()];
        let mut child = start_on(&given, directory.path(), if text.is_some() { &arguments } else { &[] });
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let peak = "timeZone: Europe/Prague\npeaks:\n- {name: a, from: 2026-11-27T09:01, to: 2026-11-27T12:00, uplift: 8}\n";
    assert_eq!(ahead(Some("peaks: []\n")), ahead(None), "an empty calendar changes nothing");
    let wanted = |output: &str| {
        let last: serde_json::Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
        last["ahead"].as_u64().unwrap()
    };
    assert!(wanted(&ahead(Some(peak))) > wanted(&ahead(None)), "{}", ahead(Some(peak)));
}

#[test]
fn a_bad_calendar_ends_with_the_lines_of_its_problems() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peaks.yaml");
    std::fs::write(&path, "peaks:\n- name: a\n  from: soon\n  to: 2026-11-27\n  uplift: -1\n").unwrap();
    let output = start(directory.path(), &["--calendar", path.to_str().unwrap()]).wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for part in ["peaks.yaml:3:", "peaks[0].from: is \"soon\"", "peaks.yaml:5:", "peaks[0].uplift: is -1"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let check = Command::new(env!("CARGO_BIN_EXE_peakscaler"))
        .args(["calendar", "check"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(1));
    assert_eq!(String::from_utf8(check.stdout).unwrap().lines().count(), 2);
}

#[test]
fn a_preview_shows_the_uplift_of_its_day() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peaks.yaml");
    std::fs::write(&path, "peaks:\n- {name: a, from: 2012-11-23, to: 2012-11-23, uplift: 4}\n").unwrap();
    let history = concat!(env!("CARGO_MANIFEST_DIR"), "/data/online_retail_orders_hourly.csv");
    let preview = |format: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_peakscaler"))
            .args(["calendar", "preview", path.to_str().unwrap(), "--history", history, "--output", format])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let days: serde_json::Value = serde_json::from_str(&preview("json")).unwrap();
    let day = &days.as_array().unwrap()[0];
    let orders = |key: &str| day[key].as_f64().unwrap();
    assert_eq!((day["date"].as_str(), days.as_array().unwrap().len()), (Some("2012-11-23"), 1));
    assert!(
        orders("ordinary") > 10.0 && (orders("with_calendar") / orders("ordinary") - 4.0).abs() < 1e-9,
        "{day}"
    );
    let table = preview("table");
    assert!(table.contains("Fri 2012-11-23 (a)"));
    // Three times as much of what the calendar adds as of what is ordinary.
    let bars = |fill: char| table.lines().map(|line| line.matches(fill).count()).max();
    assert_eq!((bars('█'), bars('▒')), (Some(15), Some(45)), "{table}");
    assert!(preview("svg").trim_end().ends_with("</svg>"));
}
