//! Order workers: the cluster's pods are kwok's and do nothing, so for each pod that is Ready a task takes orders from
//! the queue, one at a time, as a worker would.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use peakscaler::clock::Clock;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::queue::Queue;

/// An order that was begun after this is lost to its worker only when the worker dies.
const VISIBILITY_SECONDS: i32 = 120;
const LONG_POLL_SECONDS: i32 = 1;

/// The workers of one Deployment; they stop when this is dropped.
pub(crate) struct Workers {
    begun: Arc<Mutex<Vec<f64>>>,
    /// Orders done so far.
    pub(crate) completed: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl Workers {
    /// Workers for the pods of `client`'s cluster with `app=NAME` in `namespace`, each taking `service_time` an order.
    pub(crate) fn start(
        client: kube::Client,
        namespace: &str,
        app: &str,
        queue: &Queue,
        service_time: Duration,
    ) -> Self {
        let stop = CancellationToken::new();
        let begun = Arc::<Mutex<Vec<f64>>>::default();
        let completed = Arc::<AtomicUsize>::default();
        let worker =
            Worker { queue: queue.clone(), service_time, begun: begun.clone(), completed: completed.clone() };
        let pods = Api::namespaced(client, namespace);
        let selector = watcher::Config::default().labels(&format!("app={app}"));
        let follow = follow(pods, selector, worker, stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
        Self { begun, completed, _stop: stop.drop_guard() }
    }

    /// How long each order waited until its work began, in seconds, in the order in which they were begun.
    pub(crate) fn waits(&self) -> Vec<f64> {
        self.begun.lock().unwrap().clone()
    }
}

async fn follow(pods: Api<Pod>, selector: watcher::Config, worker: Worker, stop: CancellationToken) {
    let mut working = HashMap::<String, DropGuard>::new();
    let mut events = pin!(watcher::watcher(pods, selector));
    let mut listed = Vec::new();
    // An error is followed by another try: workers go on while the API server is gone.
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::Apply(pod)) => note(&mut working, &pod, &worker, &stop),
            Ok(Event::InitApply(pod)) => {
                listed.extend(pod.metadata.name.clone());
                note(&mut working, &pod, &worker, &stop);
            }
            Ok(Event::InitDone) => working.retain(|name, _| listed.contains(name)),
            Ok(Event::Delete(pod)) => {
                working.remove(pod.metadata.name.as_deref().unwrap_or_default());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

fn note(working: &mut HashMap<String, DropGuard>, pod: &Pod, worker: &Worker, stop: &CancellationToken) {
    let Some(name) = pod.metadata.name.clone() else { return };
    if is_ready(pod) {
        working.entry(name).or_insert_with(|| {
            let end = stop.child_token();
            tokio::spawn(worker.clone().work(end.clone()));
            end.drop_guard()
        });
    } else {
        working.remove(&name);
    }
}

/// Whether a pod takes orders.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

#[derive(Clone)]
struct Worker {
    queue: Queue,
    service_time: Duration,
    begun: Arc<Mutex<Vec<f64>>>,
    completed: Arc<AtomicUsize>,
}

impl Worker {
    /// Takes orders until `end`, and finishes the one in hand.
    async fn work(self, end: CancellationToken) {
        while !end.is_cancelled() {
            match self.take().await {
                Some(receipt) => {
                    tokio::time::sleep(self.service_time).await;
                    let request = self.queue.client.delete_message().queue_url(&self.queue.url);
                    let _ = request.receipt_handle(receipt).send().await;
                    self.completed.fetch_add(1, Ordering::Relaxed);
                }
                // Nothing came, or the queue server is busy.
                None => tokio::task::yield_now().await,
            }
        }
    }

    async fn take(&self) -> Option<String> {
        let request = self.queue.client.receive_message().queue_url(&self.queue.url);
        let request = request.max_number_of_messages(1).visibility_timeout(VISIBILITY_SECONDS);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let Ok(answer) = request.wait_time_seconds(LONG_POLL_SECONDS).send().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            return None;
        };
        let message = answer.messages().first()?;
        self.begun.lock().unwrap().push(wait_of(message)?);
        message.receipt_handle().map(str::to_owned)
    }
}

fn wait_of(message: &Message) -> Option<f64> {
    let sent: i64 = message.attributes()?.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok()?;
    let waited = Clock::real().now().as_millisecond() - sent;
    Some(waited as f64 / 1000.0)
}
