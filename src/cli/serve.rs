//! `serve`: the gRPC port, the admin port, the engine between, and a clean end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin, Readiness};
use crate::calendar;
use crate::calendar::live::Calendars;
use crate::capacity::Coordination;
use crate::clock::Clock;
use crate::engine::{Engine, EngineOptions, Knowledge};
use crate::grpc::{GrpcOptions, GrpcServer, TlsFiles};
use crate::history::Recorder;
use crate::observe::Sources;
use crate::telemetry::{LogFormat, Metrics, RecordOptions, RecordSink, logs};

/// Arguments of `serve`. Each can be given as an environment variable too.
#[derive(Debug, clap::Args)]
pub struct ServeArguments {
    /// gRPC address for KEDA.
    #[arg(long, env = "PEAKSCALER_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:9443")]
    listen: SocketAddr,
    /// HTTP address for metrics, probes and `explain`.
    #[arg(long, env = "PEAKSCALER_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    admin_listen: SocketAddr,
    /// Longest time between two decisions of a workload (5s, 500ms).
    #[arg(long, env = "PEAKSCALER_TICK", value_name = "DURATION", default_value = "5s", value_parser = duration)]
    tick: Duration,
    /// Most workloads at a time; more get `RESOURCE_EXHAUSTED`.
    #[arg(long, env = "PEAKSCALER_MAX_WORKLOADS", value_name = "NUMBER", default_value_t = 10_000)]
    max_workloads: usize,
    /// Drop a workload that KEDA has not asked for in this time.
    #[arg(long, env = "PEAKSCALER_IDLE_AFTER", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    idle_after: Duration,

    #[command(flatten)]
    sources: super::sources::SourceArguments,

    #[command(flatten)]
    coordinate: super::coordinate::CoordinateArguments,

    /// Close connections of this age, one tenth more or less, so that KEDA finds new pods (0s: never).
    #[arg(long, env = "PEAKSCALER_MAX_CONNECTION_AGE", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    max_connection_age: Duration,
    /// Most connections at a time; further ones are closed at once.
    #[arg(long, env = "PEAKSCALER_MAX_CONNECTIONS", value_name = "NUMBER", default_value_t = 1024)]
    max_connections: usize,
    /// Most calls and streams at a time on one connection; KEDA holds two streams a workload.
    #[arg(long, env = "PEAKSCALER_MAX_STREAMS", value_name = "NUMBER", default_value_t = 32_768)]
    max_streams: u32,
    /// Largest request, in bytes.
    #[arg(long, env = "PEAKSCALER_MAX_MESSAGE_BYTES", value_name = "BYTES", default_value_t = 256 * 1024)]
    max_message_bytes: usize,
    /// At the end, keep answering this long while the cluster takes the pod out of its Service.
    #[arg(long, env = "PEAKSCALER_SHUTDOWN_DELAY", value_name = "DURATION", default_value = "3s", value_parser = duration)]
    shutdown_delay: Duration,
    /// After that, let calls under way end within this time.
    #[arg(long, env = "PEAKSCALER_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    drain_timeout: Duration,

    /// Certificate chain for TLS on the gRPC port, PEM; read again when it changes.
    #[arg(long, env = "PEAKSCALER_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "PEAKSCALER_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Authorities of client certificates, PEM; clients must then show one.
    #[arg(long, env = "PEAKSCALER_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_certificate")]
    tls_client_ca: Option<PathBuf>,

    /// Keep every decision record as a line of JSON in compressed files in this directory; `replay` reads them.
    #[arg(long, env = "PEAKSCALER_RECORD_DIR", value_name = "DIRECTORY")]
    record_dir: Option<PathBuf>,
    /// Most bytes of all of these files together.
    #[arg(long, env = "PEAKSCALER_RECORD_MAX_BYTES", value_name = "BYTES", default_value_t = 1 << 30)]
    record_max_bytes: u64,

    /// Known peaks, closures and cut-offs of single dates, for the workloads of all namespaces; read again
    /// when it changes.
    #[arg(long, env = "PEAKSCALER_CALENDAR", value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// Keep past orders and what was learned in this directory; without it they are read anew at each start.
    #[arg(long, env = "PEAKSCALER_STATE_DIR", value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Most bytes of the file in it; the oldest minutes go first.
    #[arg(long, env = "PEAKSCALER_STATE_MAX_BYTES", value_name = "BYTES", default_value_t = super::history::DEFAULT_MAX_BYTES)]
    state_max_bytes: u64,
    /// Don't read past orders from CloudWatch or Prometheus at the start: forecasts begin with what comes.
    #[arg(long, env = "PEAKSCALER_NO_BACKFILL")]
    no_backfill: bool,

    /// How log lines look.
    #[arg(long, env = "PEAKSCALER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged, in tracing's filter syntax.
    #[arg(long, env = "PEAKSCALER_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = |_| format!("{text:?} is not a duration: write it like 500ms, 5s or 15m");
    let span: jiff::SignedDuration = text.parse().map_err(wrong)?;
    Duration::try_from(span).map_err(wrong)
}

pub(super) fn run(arguments: &ServeArguments) -> anyhow::Result<ExitCode> {
    logs::start(arguments.log_format, &arguments.log)
        .with_context(|| format!("--log {:?}", arguments.log))?;
    let deciders = deciders()?;
    let result = super::runtime()?.block_on(async {
        let clock = Clock::real();
        let client = arguments.sources.client().await?;
        let sources = arguments.sources.open(&clock, client.clone())?;
        serve(arguments, deciders.handle().clone(), sources, clock, client).await?;
        Ok(ExitCode::SUCCESS)
    });
    deciders.shutdown_background();
    result
}

/// A thread that decides, so that answering never waits for it. One is enough for ten thousand
/// decisions a second.
///
/// # Errors
/// When the system gives no thread.
pub fn deciders() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("decide")
        .enable_all()
        .build()
        .context("starting the thread that decides")
}

async fn serve(
    arguments: &ServeArguments,
    deciders: tokio::runtime::Handle,
    sources: Arc<dyn Sources>,
    clock: Clock,
    client: Option<kube::Client>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut settings = arguments.settings();
    settings.engine.deciders = Some(deciders);
    let server = Server::start(&settings, sources, clock.clone()).await?;
    if let Some(client) = client.clone() {
        let (calendars, users) = (server.knowledge.calendars.clone(), Arc::new(server.engine.clone()));
        tokio::spawn(calendar::cluster::follow(client, calendars, users, clock));
    }
    let coordinator = arguments.coordinate.start(server.coordination(), server.engine(), client);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    server.announce_end().await;
    if let Some(coordinator) = coordinator {
        coordinator.stop().await;
    }
    // A second signal is impatience: go on at once.
    tokio::select! {
        () = tokio::time::sleep(arguments.shutdown_delay) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}

impl ServeArguments {
    fn settings(&self) -> Settings {
        let tls = self.tls_certificate.clone().zip(self.tls_key.clone()).map(|(certificate, key)| TlsFiles {
            certificate,
            key,
            client_authorities: self.tls_client_ca.clone(),
        });
        Settings {
            listen: self.listen,
            admin_listen: self.admin_listen,
            engine: EngineOptions {
                tick: self.tick.max(Duration::from_millis(10)),
                idle_after: self.idle_after,
                max_workloads: self.max_workloads,
                ..EngineOptions::default()
            },
            grpc: GrpcOptions {
                max_connections: self.max_connections,
                max_streams: self.max_streams,
                max_message_bytes: self.max_message_bytes,
                max_connection_age: Some(self.max_connection_age).filter(|age| !age.is_zero()),
                grace: self.drain_timeout,
                tls,
            },
            records: self
                .record_dir
                .clone()
                .map(|directory| RecordOptions { directory, max_bytes: self.record_max_bytes }),
            state: self
                .state_dir
                .clone()
                .map(|directory| StateOptions { directory, max_bytes: self.state_max_bytes }),
            calendar: self.calendar.clone(),
            backfill: !self.no_backfill,
        }
    }
}

/// What a [`Server`] needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// gRPC address; port 0 for any free one.
    pub listen: SocketAddr,
    /// Admin address; port 0 for any free one.
    pub admin_listen: SocketAddr,
    /// The engine.
    pub engine: EngineOptions,
    /// The gRPC port.
    pub grpc: GrpcOptions,
    /// Where decision records are kept.
    pub records: Option<RecordOptions>,
    /// Where past orders are kept.
    pub state: Option<StateOptions>,
    /// The operator's calendar.
    pub calendar: Option<PathBuf>,
    /// Whether sources are asked for their past.
    pub backfill: bool,
}

/// Where past orders are kept between two starts.
#[derive(Debug, Clone)]
pub struct StateOptions {
    /// Made where it is missing.
    pub directory: PathBuf,
    /// Bound of the file in it.
    pub max_bytes: u64,
}

impl Settings {
    fn knowledge(&self, clock: &Clock) -> anyhow::Result<Knowledge> {
        let history = self
            .state
            .as_ref()
            .map(|state| {
                Recorder::open(&state.directory, state.max_bytes, clock.clone()).context("--state-dir")
            })
            .transpose()?;
        let calendars = Calendars::default();
        if let Some(path) = &self.calendar {
            calendar::live::follow(path.clone(), calendars.clone(), clock.clone()).context("--calendar")?;
        }
        Ok(Knowledge { history, calendars, backfill: self.backfill })
    }
}

impl Default for Settings {
    /// Free ports on 127.0.0.1, and the defaults of `serve`.
    fn default() -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: free,
            admin_listen: free,
            engine: EngineOptions::default(),
            grpc: GrpcOptions::default(),
            records: None,
            state: None,
            calendar: None,
            backfill: true,
        }
    }
}

/// The whole server in this process: what `serve` runs, the demo embeds and tests drive.
pub struct Server {
    grpc: GrpcServer,
    engine: Engine,
    knowledge: Knowledge,
    readiness: Readiness,
    coordination: Coordination,
    admin_address: SocketAddr,
    admin_stop: CancellationToken,
    admin_task: tokio::task::JoinHandle<std::io::Result<()>>,
}

const METRICS_UPKEEP_EVERY: Duration = Duration::from_secs(5);

impl Server {
    /// Binds both ports and serves in the background.
    ///
    /// # Errors
    /// When a port is taken, or the TLS files or the record directory cannot be used.
    pub async fn start(settings: &Settings, sources: Arc<dyn Sources>, clock: Clock) -> anyhow::Result<Self> {
        let metrics = Metrics::install().map_err(anyhow::Error::msg)?;
        let records = settings
            .records
            .as_ref()
            .map(|options| {
                RecordSink::open(options)
                    .with_context(|| format!("--record-dir {}", options.directory.display()))
            })
            .transpose()?;
        let listener = bind("--listen", settings.listen).await?;
        let admin_listener = bind("--admin-listen", settings.admin_listen).await?;
        let admin_address = admin_listener.local_addr()?;
        let knowledge = settings.knowledge(&clock)?;
        let engine =
            Engine::start_knowing(settings.engine.clone(), sources, clock, records, knowledge.clone());
        let grpc = GrpcServer::start(listener, engine.clone(), settings.grpc.clone()).await?;
        let readiness = Readiness::default();
        let admin_stop = CancellationToken::new();
        let coordination = Coordination::default();
        let admin = Admin {
            engine: engine.clone(),
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            coordination: coordination.clone(),
        };
        let stopped = admin_stop.clone().cancelled_owned();
        let admin_task = tokio::spawn(admin::serve(admin_listener, admin.router(), stopped));
        tokio::spawn(upkeep(metrics, admin_stop.clone()));
        readiness.set(true);
        tracing::info!(grpc = %grpc.address(), admin = %admin_address, "serving");
        Ok(Self { grpc, engine, knowledge, readiness, coordination, admin_address, admin_stop, admin_task })
    }

    /// Where KEDA is answered.
    pub fn address(&self) -> SocketAddr {
        self.grpc.address()
    }

    /// Where the admin port is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The engine inside.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What is coordinated: nothing, until a coordinator is started on it.
    pub fn coordination(&self) -> &Coordination {
        &self.coordination
    }

    /// Not ready and `NOT_SERVING` from now on, though everything is still answered.
    pub async fn announce_end(&self) {
        self.readiness.set(false);
        self.grpc.announce_end().await;
    }

    /// Drains the gRPC port, then ends the rest.
    pub async fn stop(self) {
        self.announce_end().await;
        self.grpc.stop().await;
        self.engine.stop();
        if let Some(Err(error)) = self.knowledge.history.as_ref().map(Recorder::write) {
            tracing::error!(%error, "the last minute of the history cannot be written");
        }
        self.admin_stop.cancel();
        // A scraper that keeps its connection open must not keep the process.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.admin_task).await;
    }
}

async fn bind(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{flag} {address} cannot be bound"))
}

async fn upkeep(metrics: Metrics, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(METRICS_UPKEEP_EVERY) => metrics.upkeep(),
        }
    }
}
