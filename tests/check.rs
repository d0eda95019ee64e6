//! `peakscaler check` as an operator or a pipeline runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_peakscaler");

fn check(arguments: &[&str]) -> Output {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    Command::new(BINARY).arg("check").args(arguments).current_dir(fixtures).output().unwrap()
}

/// Exit code and standard output, as one text.
fn shown(output: &Output) -> String {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    format!("exit code {}\n{stdout}", output.status.code().unwrap())
}

#[test]
fn text_points_at_every_line() {
    for file in ["metadata", "behavior", "formula", "broken", "bare", "unrelated"] {
        insta::assert_snapshot!(format!("text_{file}"), shown(&check(&[&format!("{file}.yaml")])));
    }
}

#[test]
fn json_is_for_programs() {
    let output = check(&["--output", "json", "metadata.yaml", "bare.yaml"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["files"], 2);
    assert_eq!(
        report["errors"],
        report["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == "error").count()
    );
    insta::assert_snapshot!("json", shown(&output));
}

#[test]
fn github_annotates_a_pull_request() {
    insta::assert_snapshot!("github", shown(&check(&["--output", "github", "metadata.yaml", "broken.yaml"])));
}

#[test]
fn exit_codes_tell_errors_from_files_that_cannot_be_read() {
    for (arguments, code) in [
        (&["bare.yaml"][..], 0),
        (&["unrelated.yaml"], 0),
        (&["bare.yaml", "metadata.yaml"], 1),
        (&["broken.yaml"], 1),
        (&["no-such-file.yaml"], 2),
        (&["metadata.yaml", "no-such-file.yaml"], 2),
        (&["--output", "json", "no-such-file.yaml"], 2),
        (&["--output", "github", "no-such-file.yaml"], 2),
        (&["."], 2),
        (&[], 1),
    ] {
        assert_eq!(check(arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn standard_input_is_read_for_a_dash() {
    let mut child = Command::new(BINARY)
        .args(["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"metadata:\n  targetWait: 5 minutes\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("<stdin>:2:3: error: queueURL: is missing"), "{stdout}");
    assert!(stdout.contains("<stdin>:2:3: error: targetWait: \"5 minutes\" is not a duration; write it like 300s, 5m or 1h30m\n"), "{stdout}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_examples_pass_without_a_word() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples");
    let mut checked = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with("scaledobject") {
            continue;
        }
        let output = check(&[path.to_str().unwrap()]);
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(stdout, "1 file checked: 0 errors, 0 warnings, 0 notices\n", "{}", path.display());
        assert_eq!(output.status.code(), Some(0));
        checked += 1;
    }
    assert!(checked >= 3);
}
