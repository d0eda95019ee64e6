//! A server in this process over sources that a test writes itself, on a clock that it moves.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use peakscaler::cli::serve::{Server, Settings};
use peakscaler::clock::{Clock, ManualClock};
use peakscaler::core::{Observation, QueueReading, Replicas};
use peakscaler::grpc::proto::external_scaler_client::ExternalScalerClient;
use peakscaler::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use peakscaler::observe::{AttachError, Observed, SourceHealth, Sources, WorkloadId, WorkloadSource};
use peakscaler::trigger::Trigger;
use tokio::sync::watch;
use tonic::transport::Channel;

/// What the sources of every workload show. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Script {
    shown: Arc<watch::Sender<Shown>>,
    attached: Arc<Mutex<usize>>,
}

#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) queue: Option<QueueReading>,
    pub(crate) replicas: Option<Replicas>,
    pub(crate) attach_error: Option<AttachError>,
    pub(crate) panics: bool,
    /// In place of now, as if the observer stood still.
    pub(crate) frozen_at: Option<Timestamp>,
}

impl Script {
    pub(crate) fn set(&self, change: impl FnOnce(&mut Shown)) {
        self.shown.send_modify(change);
    }

    /// How often sources were opened.
    pub(crate) fn attached(&self) -> usize {
        *self.attached.lock().unwrap()
    }
}

impl Default for Script {
    fn default() -> Self {
        let shown = Shown {
            queue: Some(QueueReading::default()),
            replicas: Some(Replicas { ready: 0, starting: Vec::new(), pending: 0, wanted: Some(0) }),
            attach_error: None,
            panics: false,
            frozen_at: None,
        };
        Self { shown: Arc::new(watch::Sender::new(shown)), attached: Arc::default() }
    }
}

impl Sources for Script {
    fn attach(&self, _: &WorkloadId, _: &Trigger) -> Result<Box<dyn WorkloadSource>, AttachError> {
        if let Some(error) = self.shown.borrow().attach_error.clone() {
            return Err(error);
        }
        *self.attached.lock().unwrap() += 1;
        Ok(Box::new(ScriptedSource(self.shown.subscribe())))
    }
}

struct ScriptedSource(watch::Receiver<Shown>);

impl WorkloadSource for ScriptedSource {
    fn observe(&mut self, now: Timestamp) -> Observed {
        let shown = self.0.borrow_and_update().clone();
        assert!(!shown.panics, "a defect");
        let error = shown.queue.is_none().then(|| "the emulator is stopped".to_owned());
        Observed {
            observation: Observation {
                at: shown.frozen_at.unwrap_or(now),
                queue: shown.queue,
                arrivals: Vec::new(),
                completions: Vec::new(),
                replicas: shown.replicas,
                nodes: None,
                lead_times: None,
                bounds: None,
            },
            sources: vec![SourceHealth { source: "sqs".to_owned(), age_seconds: Some(0.0), error }],
            capacity: None,
        }
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let _ = self.0.changed().await;
        })
    }
}

/// A running server and the hands on it.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) script: Script,
    pub(crate) hand: ManualClock,
}

impl Running {
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::start_with(settings, Script::default()).await
    }

    pub(crate) async fn start_with(settings: Settings, script: Script) -> Self {
        let (clock, hand) = Clock::manual(start());
        let server = Server::start(&settings, Arc::new(script.clone()), clock).await.unwrap();
        Self { server, script, hand }
    }

    pub(crate) async fn client(&self) -> ExternalScalerClient<Channel> {
        ExternalScalerClient::new(self.channel().await)
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.server.address())).unwrap().connect().await.unwrap()
    }
}

pub(crate) fn start() -> Timestamp {
    "2026-11-27T08:00:00Z".parse().unwrap()
}

/// Metadata of a valid trigger, with `more` in addition or in place.
pub(crate) fn metadata(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let valid = [
        ("scalerAddress", "peakscaler.keda:9443"),
        ("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/orders"),
        ("awsRegion", "eu-central-1"),
        ("throughputSource", "queue"),
        ("targetWait", "300s"),
        ("minReplicas", "3"),
        ("maxReplicas", "50"),
    ];
    valid.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn reference(name: &str, more: &[(&str, &str)]) -> ScaledObjectRef {
    ScaledObjectRef { name: name.to_owned(), namespace: "shop".to_owned(), scaler_metadata: metadata(more) }
}

pub(crate) fn ask(reference: ScaledObjectRef) -> GetMetricsRequest {
    GetMetricsRequest { scaled_object_ref: Some(reference), metric_name: "peakscaler".to_owned() }
}

/// How long what must come may take: the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// Yields until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Asks again and again until there is something; fails after two minutes.
pub(crate) async fn until_some<T>(what: &str, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = asked().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), asking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Fails when `future` does not end.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// HTTP GET by hand: status and body.
pub(crate) async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
