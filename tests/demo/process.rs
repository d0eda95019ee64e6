//! `peakscaler demo` as a process of its own.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(2);

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peakscaler"));
    command.arg("demo").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn finished(arguments: &[&str]) -> Output {
    timeout(PATIENCE, demo(arguments).output()).await.unwrap().unwrap()
}

/// The page's address, from the first lines on standard error; the rest is read and dropped.
async fn page_of(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("the demo ended before it told its page");
        if let Some(address) = line.trim().strip_prefix("live page") {
            break address.trim().to_owned();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    address
}

/// Follows the page's stream until the server has given a number that was acted on.
async fn watch_until_decided(page: &str) {
    let mut stream = reqwest::get(format!("{page}api/stream")).await.unwrap();
    let mut text = String::new();
    while !text.contains("replicas:") {
        let chunk = stream.chunk().await.unwrap().expect("the stream ended before a decision");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.starts_with("event: start\n"), "{text}");
}

#[tokio::test]
async fn it_plays_live_and_ends_by_an_interrupt_with_the_score() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments =
        ["--scenario", "normal", "--speed", "600", "--start-hour", "6", "--hours", "8", "--output", "json"];
    let mut child = demo(&arguments).spawn().unwrap();
    let page = timeout(PATIENCE, page_of(&mut child)).await.unwrap();
    timeout(PATIENCE, watch_until_decided(&page)).await.unwrap();

    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    let mut printed = String::new();
    let mut output = child.stdout.take().unwrap();
    timeout(PATIENCE, output.read_to_string(&mut printed)).await.unwrap().unwrap();
    let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status:?}");

    let score: Value = serde_json::from_str(&printed).unwrap();
    let kinds: Vec<&str> =
        score["decided_by"].as_array().unwrap().iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ours", "keda", "fixed"]);
    assert!(score["to_hour"].as_f64().unwrap() > 6.0, "{score}");
    assert!(reqwest::get(&page).await.is_err(), "the page is still served");
}

#[tokio::test]
async fn it_ends_by_itself_at_the_end_of_the_stretch() {
    let output =
        finished(&["--scenario", "normal", "--speed", "600", "--start-hour", "2", "--hours", "0.1"]).await;
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("normal (Tuesday 2026-11-24, seed 11), 02:00 to 02:06: "), "{printed}");
    for name in ["peakscaler", "KEDA aws-sqs-queue, queueLength", "fixed fleet of"] {
        assert!(printed.contains(name), "{printed}");
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_score() {
    let arguments = ["--fast", "--scenario", "slow-workers", "--hours", "2", "--output", "json"];
    let (first, second) = tokio::join!(finished(&arguments), finished(&arguments));
    assert!(first.status.success(), "{first:?}");
    assert_eq!(first.stdout, second.stdout);
}

#[tokio::test]
async fn bad_flags_say_what_would_be_right() {
    let cases: [(&[&str], &str); 6] = [
        (&["--speed", "0"], "0 is not between 1 and 1000 simulated seconds a second"),
        (&["--hours", "25"], "25 is not between"),
        (&["--scenario", "easter"], "normal, black-friday, slow-workers"),
        (&["--start-hour", "24"], "24 is not in 0..24"),
        (&["--port", "99999"], "99999 is not in 0..=65535"),
        (&["--fast", "--speed", "2"], "cannot be used with"),
    ];
    for (arguments, expected) in cases {
        let output = finished(arguments).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = finished(&["--port", &port]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains(&format!("--port {port} cannot be bound")), "{error}");
}
