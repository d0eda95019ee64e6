//! One connection: its HTTP/2 service, its age, its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::service::Routes;

use super::proto::external_scaler_server::ExternalScalerServer;
use super::service::ScalerService;
use crate::telemetry::catalogue;

/// Put into the requests that open a stream: cancelled when the connection is to end.
#[derive(Clone)]
struct Ending(CancellationToken);

/// The end of the connection that a request came on.
pub(super) fn ending(extensions: &tonic::Extensions) -> CancellationToken {
    extensions.get::<Ending>().map_or_else(CancellationToken::new, |ending| ending.0.clone())
}

/// Dispatches to KEDA's service directly, and to health and reflection by the router.
#[derive(Clone)]
pub(super) struct Dispatch {
    pub(super) scaler: ExternalScalerServer<ScalerService>,
    pub(super) routes: Routes,
    pub(super) ending: CancellationToken,
}

const SCALER: &str = "/externalscaler.ExternalScaler/";

impl hyper::service::Service<Request<Incoming>> for Dispatch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let Some(method) = request.uri().path().strip_prefix(SCALER) else {
            return Box::pin(self.routes.clone().call(request));
        };
        if method.starts_with("Stream") {
            request.extensions_mut().insert(Ending(self.ending.clone()));
        }
        self.scaler.clone().call(request)
    }
}

/// Bounds of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_streams: u32,
    /// Already with its jitter; `None` for no bound.
    pub(super) max_age: Option<Duration>,
    /// For calls under way after the end was announced.
    pub(super) grace: Duration,
}

/// Serves until the peer closes, the connection is too old, or `stop`.
pub(super) async fn serve<S>(stream: S, mut dispatch: Dispatch, bounds: Bounds, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ending = CancellationToken::new();
    dispatch.ending = ending.clone();
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.max_streams)
        // A peer that vanished without a word is found by this; KEDA sends no pings of its own.
        .keep_alive_interval(Duration::from_mins(1))
        .keep_alive_timeout(Duration::from_secs(20))
        .serve_connection(TokioIo::new(stream), dispatch);
    let mut connection = pin!(connection);
    let old = async {
        match bounds.max_age {
            Some(age) => tokio::time::sleep(age).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = &mut connection => return ended(result),
        () = old => catalogue::CONNECTIONS_TOTAL.count_with("aged"),
        () = stop.cancelled() => {}
    }
    // Announces the end to the peer, which opens its next calls elsewhere; calls under way go on.
    connection.as_mut().graceful_shutdown();
    ending.cancel();
    tokio::select! {
        result = &mut connection => ended(result),
        () = tokio::time::sleep(bounds.grace) => tracing::debug!("calls were cut off with their connection"),
    }
}

fn ended(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "connection");
    }
}
