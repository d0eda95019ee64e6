//! What `--record-dir` keeps, and `replay` of it.

use std::process::Command;
use std::time::Duration;

use peakscaler::cli::serve::Settings;
use peakscaler::core::QueueReading;
use peakscaler::telemetry::RecordOptions;
use peakscaler::telemetry::records::{files_of, read};

use crate::support::{Running, ask, metadata, reference, soon, until};

#[tokio::test]
async fn what_serve_decided_is_decided_again() {
    let directory = tempfile::tempdir().unwrap();
    let records = directory.path().join("records");
    let options = RecordOptions { directory: records.clone(), max_bytes: 1 << 20 };
    let running = Running::start(Settings { records: Some(options), ..Settings::default() }).await;
    let mut client = running.client().await;
    for visible in [0.0, 400.0, 900.0, 20.0] {
        running.script.set(|shown| {
            shown.queue = Some(QueueReading { visible, in_flight: 2.0, ..QueueReading::default() });
        });
        running.hand.advance(Duration::from_secs(5));
        soon("a number", client.get_metrics(ask(reference("packers", &[])))).await.unwrap();
    }
    drop(client);
    let stopped = tokio::spawn(running.server.stop());
    until("the server waits for the drain", || running.hand.sleepers() > 0 || stopped.is_finished()).await;
    running.hand.advance(Duration::from_mins(1));
    soon("the end", stopped).await.unwrap();
    // The writing thread ends with the last hand on it, and closes its file.
    until("the records are whole", || {
        files_of(&records)
            .is_ok_and(|files| files.iter().all(|file| read(file).is_ok_and(|lines| !lines.cut_off)))
    })
    .await;

    let replay = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_peakscaler"))
            .arg("replay")
            .arg(&records)
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = replay(&["--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Some(0), "{text}");
    assert!(report["decisions"].as_u64().unwrap() >= 3, "{text}");
    assert_eq!(report["workloads"][0]["workload"], "shop/packers");

    let other = directory.path().join("other.yaml");
    let lines =
        metadata(&[("maxReplicas", "7")]).into_iter().map(|(key, value)| format!("{key}: \"{value}\"\n"));
    std::fs::write(&other, lines.collect::<String>()).unwrap();
    let (code, text) = replay(&["--trigger", other.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("maxReplicas 50 -> 7"), "{text}");
}
