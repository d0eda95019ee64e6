//! The demo's edges against the real clients, and the demo as a process of its own.

#![expect(clippy::unwrap_used, reason = "a test's own helpers may end it")]

mod metrics;
mod page;
mod process;
mod queue;
mod score;

use axum::Router;
use peakscaler::demo::http_server::BoundPort;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server for the length of one test.
struct Served {
    url: String,
    _stop: DropGuard,
}

async fn serve(router: impl FnOnce(&str, CancellationToken) -> Router) -> Served {
    let port = BoundPort::bind(0).await.unwrap();
    let stop = CancellationToken::new();
    let url = port.url();
    port.serve(router(&url, stop.clone()), stop.clone());
    Served { url, _stop: stop.drop_guard() }
}
