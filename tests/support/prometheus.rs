//! A real Prometheus: with a history made beforehand, or scraping an exporter of the test's own.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::emulator::PATIENCE;
use super::process::{Part, client, free_port, tools};

/// A running Prometheus; it ends when this is dropped.
pub(crate) struct Prometheus {
    process: Part,
    port: u16,
    directory: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that knows `history` (`OpenMetrics` text with timestamps, ending in `# EOF`) and scrapes `target`
    /// (`127.0.0.1:PORT`) every second.
    pub(crate) async fn start(history: Option<&str>, target: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if let Some(history) = history {
            backfill(directory.path(), &data, history);
        }
        let mut config = "global: {scrape_interval: 1s}\nscrape_configs:\n".to_owned();
        if let Some(target) = target {
            writeln!(config, "- {{job_name: tests, static_configs: [{{targets: ['{target}']}}]}}").unwrap();
        }
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        let port = free_port();
        let process = start(port, directory.path()).await;
        Self { process, port, directory }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until an instant query gives something.
    pub(crate) async fn knows(&self, query: &str) {
        let url = format!("{}/api/v1/query", self.address());
        let client = client();
        let asking = async {
            loop {
                let answer = client.get(&url).query(&[("query", query)]).send().await.unwrap();
                let answer: serde_json::Value = answer.json().await.unwrap();
                if answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty()) {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let known = tokio::time::timeout(PATIENCE, asking).await;
        assert!(known.is_ok(), "Prometheus does not learn of {query}");
    }

    /// Ends it; its data stay.
    pub(crate) fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again on the same port and data.
    pub(crate) async fn start_again(&mut self) {
        self.process = start(self.port, self.directory.path()).await;
    }
}

async fn start(port: u16, directory: &Path) -> Part {
    // A killed one leaves its lock behind.
    let _ = std::fs::remove_file(directory.join("data/lock"));
    let mut command = Command::new(tools().join("prometheus/usr/bin/prometheus"));
    command
        .current_dir(directory)
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg("--log.level=error");
    let mut process = Part::start("prometheus", &mut command);
    process.ready(&format!("http://127.0.0.1:{port}/-/ready")).await;
    process
}

fn backfill(directory: &Path, data: &Path, history: &str) {
    let file = directory.join("history.txt");
    std::fs::write(&file, history).unwrap();
    let output = Command::new(tools().join("prometheus/usr/bin/promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&file)
        .arg(data)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Serves a text at `/metrics`.
#[derive(Clone, Default)]
pub(crate) struct Exporter {
    text: Arc<Mutex<String>>,
}

impl Exporter {
    /// Starts serving and returns `127.0.0.1:PORT`.
    pub(crate) async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let metrics = async |State(exporter): State<Self>| exporter.text.lock().unwrap().clone();
        let router = Router::new().route("/metrics", get(metrics)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        target
    }

    /// Serves this from now on.
    pub(crate) fn set(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap());
    }
}
