//! The admin port: metrics, probes, and the last decisions as JSON. For operators, not for KEDA.

pub mod explanation;
pub mod retelling;
pub mod room;
pub mod unobserved;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::capacity::Coordination;
use crate::engine::Engine;
use crate::observe::WorkloadId;
use crate::telemetry::Metrics;
use explanation::{Explanation, Summary};
use unobserved::Unobserved;

/// Whether the process wants traffic. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says so.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the routes read.
#[derive(Clone)]
pub struct Admin {
    /// The engine.
    pub engine: Engine,
    /// The recorder.
    pub metrics: Metrics,
    /// The answer of `/readyz`.
    pub readiness: Readiness,
    /// What is coordinated.
    pub coordination: Coordination,
}

impl Admin {
    /// The routes, for a server of one's own or [`serve`].
    pub fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/v1/workloads", get(workloads))
            .route("/v1/workloads/{namespace}/{name}/decision", get(decision))
            .with_state(self)
    }
}

/// Serves `router` until `stop` resolves.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let page = admin.metrics.render(&admin.engine, &admin.coordination);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.readiness.get() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn workloads(State(admin): State<Admin>) -> Json<Vec<Summary>> {
    let now = admin.engine.clock().now();
    Json(admin.engine.entries().iter().map(|entry| Summary::of(entry, now)).collect())
}

async fn decision(State(admin): State<Admin>, Path((namespace, name)): Path<(String, String)>) -> Response {
    let id = WorkloadId { namespace, name };
    let entries = admin.engine.entries_of(&id);
    if entries.is_empty() {
        let known = admin.engine.entries().iter().map(|entry| entry.id().clone()).collect();
        let answer = Unobserved::new(&id, &known, admin.engine.options().idle_after);
        return (StatusCode::NOT_FOUND, Json(answer)).into_response();
    }
    Json(Explanation::of(&id, &entries, &admin.coordination, admin.engine.clock().now())).into_response()
}
