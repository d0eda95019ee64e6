//! What is measured, as processes of their own: so the system accounts for their time apart from
//! the generator's.
//!
//! A target prints its addresses as one line of JSON and serves until its standard input closes,
//! which also happens when the generator dies.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use peakscaler::cli::serve::{Server, Settings, deciders};
use peakscaler::clock::Clock;
use peakscaler::engine::EngineOptions;
use peakscaler::grpc::proto::external_scaler_server::ExternalScalerServer;
use peakscaler::telemetry::logs::{self, LogFormat};
use serde::{Deserialize, Serialize};
use tokio_stream::wrappers::TcpListenerStream;

use crate::centre::Centres;
use crate::echo::Echo;

/// Arguments of the hidden command that a target runs as.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to serve.
    #[arg(value_enum)]
    what: What,
    /// Longest time between two decisions of a workload, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    tick_milliseconds: u64,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum What {
    /// The real server over simulated centres.
    Peakscaler,
    /// The bare echo.
    Echo,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Peakscaler => "peakscaler",
            Self::Echo => "echo",
        }
    }
}

/// Where a target listens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Addresses {
    grpc: SocketAddr,
    admin: Option<SocketAddr>,
}

/// Serves until standard input closes.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    logs::start(LogFormat::Text, "warn")?;
    match arguments.what {
        What::Peakscaler => peakscaler(arguments).await,
        What::Echo => echo().await,
    }
}

async fn peakscaler(arguments: &Arguments) -> anyhow::Result<()> {
    let deciders = deciders()?;
    let settings = Settings {
        engine: EngineOptions {
            tick: Duration::from_millis(arguments.tick_milliseconds.max(10)),
            max_workloads: 100_000,
            deciders: Some(deciders.handle().clone()),
            ..EngineOptions::default()
        },
        ..Settings::default()
    };
    let server = Server::start(&settings, Arc::new(Centres), Clock::real()).await?;
    announce(Addresses { grpc: server.address(), admin: Some(server.admin_address()) })?;
    input_closed().await;
    server.stop().await;
    deciders.shutdown_background();
    Ok(())
}

async fn echo() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(Addresses { grpc: listener.local_addr()?, admin: None })?;
    let connections = futures::StreamExt::map(TcpListenerStream::new(listener), |stream| {
        // As the real server does, and as tonic does with a listener of its own.
        stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream))
    });
    tonic::transport::Server::builder()
        .add_service(ExternalScalerServer::new(Echo))
        .serve_with_incoming_shutdown(connections, input_closed())
        .await?;
    Ok(())
}

fn announce(addresses: Addresses) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(&addresses)?);
    Ok(())
}

async fn input_closed() {
    // An error is an end too.
    let _ = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await;
}

/// A target under way; ends with this value.
pub(crate) struct Target {
    child: Child,
    input: Option<ChildStdin>,
    addresses: Addresses,
}

impl Target {
    /// Starts this program anew as a target and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started or ends at once.
    pub(crate) fn start(what: What, tick: Duration) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["target", what.name(), "--tick-milliseconds", &tick.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", what.name()))?;
        let input = child.stdin.take();
        let Some(output) = child.stdout.take() else { bail!("{} has no output", what.name()) };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let addresses =
            serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", what.name()))?;
        Ok(Self { child, input, addresses })
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses.grpc
    }

    /// Processor time that it took so far, and memory that it holds.
    ///
    /// # Errors
    /// Where `/proc` does not tell.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let process = format!("/proc/{}", self.child.id());
        let mut cpu_nanoseconds = 0.0;
        for thread in fs::read_dir(format!("{process}/task"))? {
            // A thread may have ended in between.
            let Ok(schedule) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            let on_cpu = schedule.split_whitespace().next().and_then(|field| field.parse::<f64>().ok());
            cpu_nanoseconds += on_cpu.with_context(|| format!("{process}/task/*/schedstat: {schedule:?}"))?;
        }
        let status = fs::read_to_string(format!("{process}/status"))?;
        Ok(Usage {
            cpu_seconds: cpu_nanoseconds / 1e9,
            resident_megabytes: crate::memory::resident_megabytes(&status).unwrap_or(0.0),
        })
    }

    /// Decisions taken so far; `None` for the echo.
    pub(crate) fn decisions(&self) -> Option<f64> {
        let mut stream = TcpStream::connect(self.addresses.admin?).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: loadtest\r\nConnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        page.lines().find_map(|line| line.strip_prefix("peakscaler_decisions_total "))?.trim().parse().ok()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_megabytes: f64,
}
