//! A small HTTP server that records what it is asked and answers as told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// A header's text, or nothing.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

type Answer = dyn Fn(&Request) -> Response + Send + Sync;

/// A running recorder.
#[derive(Clone)]
pub(crate) struct Recorder {
    requests: Arc<Mutex<Vec<Request>>>,
    answer: Arc<Answer>,
    address: String,
}

impl Recorder {
    /// Starts one on a free port of 127.0.0.1.
    pub(crate) async fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self {
            requests: Arc::default(),
            answer: Arc::new(answer),
            address: format!("http://{}", listener.local_addr().unwrap()),
        };
        let router = Router::new().fallback(record).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        recorder
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn record(State(recorder): State<Recorder>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let request = Request { path: uri.path().to_owned(), headers, body };
    let answer = (recorder.answer)(&request);
    recorder.requests.lock().unwrap().push(request);
    answer
}

/// An answer with a status and a JSON body.
pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, axum::Json(body.clone())).into_response()
}
