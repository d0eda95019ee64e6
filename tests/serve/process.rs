//! `serve` as a process of its own, from its first line to its end.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use peakscaler::grpc::proto::external_scaler_client::ExternalScalerClient;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tonic::Code;

use crate::support::{ask, get, reference, soon};

pub(crate) struct Process {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Process {
    async fn start(more: &[&str]) -> Self {
        Self::start_as(more, &[]).await
    }

    /// With `more` arguments and an environment of its own.
    pub(crate) async fn start_as(more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_peakscaler"))
            .args(["serve", "--no-cluster", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--log-format", "json", "--shutdown-delay", "0s"])
            .args(more)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let serving = soon("a line that says serving", wait_for(&mut log, "serving")).await;
        let address = |field: &str| serving[field].as_str().unwrap().parse().unwrap();
        Self { child, log, address: address("grpc"), admin: address("admin") }
    }

    pub(crate) async fn client(&self) -> ExternalScalerClient<tonic::transport::Channel> {
        ExternalScalerClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    /// Ends it cleanly.
    pub(crate) async fn end(mut self) {
        self.signal("-TERM");
        soon("the end", self.child.wait()).await.unwrap();
    }

    /// Ends it at once, whatever it does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &process]).status().unwrap().success());
    }
}

/// The first line of the log with this message.
async fn wait_for(log: &mut Lines<BufReader<ChildStderr>>, message: &str) -> serde_json::Value {
    loop {
        let line = log.next_line().await.unwrap().unwrap_or_else(|| panic!("ended without {message:?}"));
        let line: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a line of JSON: {line}"));
        if line["message"] == message {
            return line;
        }
    }
}

#[tokio::test]
async fn it_serves_and_ends_cleanly_on_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut process = Process::start(&[]).await;
        let mut client = process.client().await;
        client.get_metric_spec(reference("packers", &[])).await.unwrap();
        assert_eq!(get(process.admin, "/readyz").await.0, 200);
        let mut specs = client.stream_metric_spec(reference("packers", &[])).await.unwrap().into_inner();
        specs.message().await.unwrap().unwrap();
        process.signal(signal);
        assert!(soon("the stream's end", specs.message()).await.unwrap().is_none());
        soon("a line that says stopped", wait_for(&mut process.log, "stopped")).await;
        assert!(soon("the end", process.child.wait()).await.unwrap().success());
    }
}

#[tokio::test]
async fn an_endpoint_is_contacted_only_when_the_operator_allows_it() {
    let endpoint = ("awsEndpoint", "http://127.0.0.1:9");
    let process = Process::start(&[]).await;
    let status =
        process.client().await.get_metrics(ask(reference("packers", &[endpoint]))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("--allow-endpoint"), "{}", status.message());
    drop(process);

    let process = Process::start(&["--allow-endpoint", "shop=http://127.0.0.1:9"]).await;
    let began = peakscaler::clock::Stopwatch::start();
    let status =
        process.client().await.get_metrics(ask(reference("packers", &[endpoint]))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    // The first call waits two seconds for a number, and not for the queue.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_flag_that_cannot_be_used_is_named() {
    for (flag, value) in [
        ("--tick", "soon"),
        ("--listen", "here"),
        ("--allow-endpoint", "nonsense"),
        ("--allow-tenant", "shop=a|b"),
        ("--log", "peakscaler=loud"),
        ("--record-dir", "/dev/null/records"),
        ("--state-dir", "/dev/null/state"),
        ("--calendar", "/dev/null/peaks.yaml"),
    ] {
        let mut arguments = vec!["serve", "--no-cluster", "--admin-listen", "127.0.0.1:0"];
        if flag != "--listen" {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        let output = Command::new(env!("CARGO_BIN_EXE_peakscaler"))
            .args(arguments)
            .args([flag, value])
            .kill_on_drop(true)
            .output();
        let output = soon("a refusal", output).await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{flag} {value}");
        assert!(error.contains(flag), "{flag} is not in {error}");
    }
}
