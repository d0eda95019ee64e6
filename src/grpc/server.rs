//! The listener: accepts, bounds, and drains.
//!
//! KEDA spreads its calls over the pods it knew when it connected. So connections end at a certain
//! age (with jitter, so that they do not all end at once), and KEDA finds new pods.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::connections::{self, Bounds, Dispatch};
use super::proto;
use super::proto::external_scaler_server::ExternalScalerServer;
use super::service::ScalerService;
use super::tls::{Tls, TlsError, TlsFiles};
use crate::engine::Engine;
use crate::telemetry::catalogue;

/// Bounds and times of the gRPC port. The defaults are those of `serve`.
#[derive(Debug, Clone)]
pub struct GrpcOptions {
    /// Most connections at a time; further ones are closed at once.
    pub max_connections: usize,
    /// Most calls and streams at a time on one connection.
    pub max_streams: u32,
    /// Largest request in bytes.
    pub max_message_bytes: usize,
    /// Connections end after this time, one tenth more or less; `None` for never.
    pub max_connection_age: Option<Duration>,
    /// How long calls under way may take when their connection ends.
    pub grace: Duration,
    /// TLS; plain text without.
    pub tls: Option<TlsFiles>,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_streams: 32_768,
            max_message_bytes: 256 * 1024,
            max_connection_age: Some(Duration::from_mins(5)),
            grace: Duration::from_secs(10),
            tls: None,
        }
    }
}

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A bound port that serves.
pub struct GrpcServer {
    address: SocketAddr,
    health: HealthReporter,
    stop: CancellationToken,
    tasks: TaskTracker,
    grace: Duration,
}

impl GrpcServer {
    /// Serves on `listener` in the background.
    ///
    /// # Errors
    /// When the TLS files cannot be used or the port's address cannot be told.
    pub async fn start(
        listener: TcpListener,
        engine: Engine,
        options: GrpcOptions,
    ) -> Result<Self, StartError> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let tls = match options.tls.clone() {
            Some(files) => {
                let (tls, contents) = Tls::load(files)?;
                tasks.spawn(tls.clone().watch(contents, stop.clone()));
                Some(tls)
            }
            None => None,
        };
        let (health, routes) = routes().await?;
        let scaler = ExternalScalerServer::new(ScalerService::new(engine))
            .max_decoding_message_size(options.max_message_bytes);
        let acceptor = Acceptor {
            connections: Arc::new(Semaphore::new(options.max_connections)),
            dispatch: Dispatch { scaler, routes, ending: CancellationToken::new() },
            tls,
            stop: stop.clone(),
            tasks: tasks.clone(),
            options: options.clone(),
        };
        tasks.spawn(acceptor.run(listener));
        Ok(Self { address, health, stop, tasks, grace: options.grace })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says `NOT_SERVING` by the health service; everything is still answered.
    pub async fn announce_end(&self) {
        self.health.set_service_status("", ServingStatus::NotServing).await;
        self.health.set_not_serving::<ExternalScalerServer<ScalerService>>().await;
    }

    /// Takes no more connections, lets calls under way end within the grace time, then closes.
    pub async fn stop(self) {
        self.announce_end().await;
        self.stop.cancel();
        self.tasks.close();
        // Each connection closes by itself after its grace; the second is for the tasks to notice.
        let bound = self.grace + Duration::from_secs(1);
        if tokio::time::timeout(bound, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "still open at the end");
        }
    }
}

/// Why the port cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener is unusable.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The TLS files are.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The descriptors compiled into the binary are.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Health and reflection.
async fn routes() -> Result<(HealthReporter, Routes), StartError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::Serving).await;
    reporter.set_serving::<ExternalScalerServer<ScalerService>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .prepare();
    Ok((reporter, routes))
}

struct Acceptor {
    connections: Arc<Semaphore>,
    dispatch: Dispatch,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    options: GrpcOptions,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.take(stream),
                Err(error) => {
                    // Out of file descriptors, most likely: do not spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream) {
        let Ok(permit) = self.connections.clone().try_acquire_owned() else {
            catalogue::CONNECTIONS_TOTAL.count_with("refused");
            return;
        };
        // Answers are single small frames: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let dispatch = self.dispatch.clone();
        let bounds = Bounds {
            max_streams: self.options.max_streams,
            max_age: self.options.max_connection_age.map(with_jitter),
            grace: self.options.grace,
        };
        let (tls, stop) = (self.tls.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let open = OpenConnection::new(permit);
            match tls {
                None => connections::serve(stream, dispatch, bounds, stop).await,
                Some(tls) => {
                    match tokio::time::timeout(HANDSHAKE_WITHIN, tls.acceptor().accept(stream)).await {
                        Ok(Ok(stream)) => connections::serve(stream, dispatch, bounds, stop).await,
                        Ok(Err(_)) | Err(_) => catalogue::CONNECTIONS_TOTAL.count_with("tls_failed"),
                    }
                }
            }
            drop(open);
        });
    }
}

/// Counts a connection for as long as it lives.
struct OpenConnection {
    _permit: OwnedSemaphorePermit,
}

impl OpenConnection {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        catalogue::CONNECTIONS_TOTAL.count_with("accepted");
        catalogue::CONNECTIONS.add(1.0);
        Self { _permit: permit }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        catalogue::CONNECTIONS.add(-1.0);
    }
}

fn with_jitter(age: Duration) -> Duration {
    age.mul_f64(rand::random_range(0.9..1.1))
}
