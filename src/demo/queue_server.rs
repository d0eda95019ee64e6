//! An embedded queue service: SQS's AWS JSON 1.0 protocol over HTTP on 127.0.0.1.
//!
//! It understands what the real SDK sends for the eight actions below; signatures are not checked.
//! Behind each queue stands a [`QueueView`]: the simulated centre, or a real queue in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::memory_queue::MemoryQueue;
use super::queue_view::{QueueError, QueueView};
use crate::clock::Clock;

/// Account in queue URLs and ARNs.
const ACCOUNT: &str = "000000000000";
/// Most messages one receive may ask for, as SQS has it.
const MOST_RECEIVED: usize = 10;
/// Visibility time-out where the receiver names none, as SQS has it.
const VISIBILITY_SECONDS: u64 = 30;

/// The queues by name.
pub struct Queues {
    /// `http://127.0.0.1:PORT`, the base of queue URLs.
    endpoint: String,
    region: String,
    clock: Clock,
    by_name: Mutex<BTreeMap<String, Arc<dyn QueueView>>>,
}

impl Queues {
    /// No queues yet; `endpoint` is where [`router`] will be served.
    pub fn new(endpoint: impl Into<String>, region: impl Into<String>, clock: Clock) -> Self {
        Self { endpoint: endpoint.into(), region: region.into(), clock, by_name: Mutex::default() }
    }

    /// Adds a queue, or puts another in the place of the one with this name; returns its URL.
    pub fn insert(&self, name: &str, queue: Arc<dyn QueueView>) -> String {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), queue);
        self.url(name)
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.endpoint)
    }

    fn find(&self, name: &str) -> Result<Arc<dyn QueueView>, Refusal> {
        let queues = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        queues.get(name).cloned().ok_or_else(|| Refusal::no_such_queue(name))
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let queues = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        queues.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }
}

/// The HTTP side: one route, the action in `X-Amz-Target`.
pub fn router(queues: Arc<Queues>) -> Router {
    Router::new().route("/", post(answer)).route("/{*path}", post(answer)).with_state(queues)
}

/// A failure as the SDK reads it.
#[derive(Debug)]
struct Refusal {
    /// Shape name, for example `QueueDoesNotExist`.
    kind: &'static str,
    /// Code of the older query protocol that the SDK shows.
    code: &'static str,
    message: String,
}

impl Refusal {
    fn no_such_queue(name: &str) -> Self {
        let message = format!("queue {name:?} does not exist");
        Self { kind: "QueueDoesNotExist", code: "AWS.SimpleQueueService.NonExistentQueue", message }
    }

    fn invalid(message: String) -> Self {
        Self { kind: "InvalidParameterValueException", code: "InvalidParameterValue", message }
    }

    fn unsupported(message: String) -> Self {
        Self { kind: "UnsupportedOperation", code: "AWS.SimpleQueueService.UnsupportedOperation", message }
    }
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        let message = error.to_string();
        match error {
            QueueError::CountersOnly => Self::unsupported(message),
            QueueError::UnknownReceipt(_) => {
                Self { kind: "ReceiptHandleIsInvalid", code: "ReceiptHandleIsInvalid", message }
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "__type": format!("com.amazonaws.sqs#{}", self.kind), "message": self.message });
        let query_error = format!("{};Sender", self.code);
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("x-amzn-query-error", query_error.as_str())];
        (StatusCode::BAD_REQUEST, headers, body.to_string()).into_response()
    }
}

async fn answer(State(queues): State<Arc<Queues>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let action = target.strip_prefix("AmazonSQS.").unwrap_or(target);
    match act(&queues, action, &body) {
        Ok(value) => {
            ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], value.to_string()).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn act(queues: &Queues, action: &str, body: &[u8]) -> Result<Value, Refusal> {
    match action {
        "GetQueueAttributes" => get_queue_attributes(queues, &read(body)?),
        "GetQueueUrl" => get_queue_url(queues, &read(body)?),
        "ListQueues" => list_queues(queues, &read(body)?),
        "CreateQueue" => create_queue(queues, &read(body)?),
        "SendMessage" => send_message(queues, &read(body)?),
        "ReceiveMessage" => receive_message(queues, &read(body)?),
        "DeleteMessage" => delete_message(queues, &read(body)?),
        _ => {
            Err(Refusal::unsupported(format!("action {action:?} is not one that this embedded queue knows")))
        }
    }
}

fn read<'body, T: Deserialize<'body>>(body: &'body [u8]) -> Result<T, Refusal> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("the request body is not as expected: {error}")))
}

/// The last segment of a queue's URL.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

fn get_queue_attributes(queues: &Queues, request: &GetQueueAttributes) -> Result<Value, Refusal> {
    let name = name_of(&request.queue_url);
    let counters = queues.find(name)?.counters();
    let known: [(&str, String); 5] = [
        ("ApproximateNumberOfMessages", counters.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counters.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counters.delayed.to_string()),
        ("QueueArn", format!("arn:aws:sqs:{}:{ACCOUNT}:{name}", queues.region)),
        ("VisibilityTimeout", VISIBILITY_SECONDS.to_string()),
    ];
    let asked = &request.attribute_names;
    if let Some(unknown) =
        asked.iter().find(|asked| *asked != "All" && known.iter().all(|(key, _)| key != asked))
    {
        let message = format!("attribute {unknown:?} is not one that this embedded queue knows");
        return Err(Refusal { kind: "InvalidAttributeName", code: "InvalidAttributeName", message });
    }
    let all = asked.iter().any(|asked| asked == "All");
    let attributes: Map<String, Value> = known
        .into_iter()
        .filter(|(key, _)| all || asked.iter().any(|asked| asked == key))
        .map(|(key, value)| (key.to_owned(), Value::String(value)))
        .collect();
    Ok(json!({ "Attributes": attributes }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueName {
    queue_name: String,
}

fn get_queue_url(queues: &Queues, request: &QueueName) -> Result<Value, Refusal> {
    queues.find(&request.queue_name)?;
    Ok(json!({ "QueueUrl": queues.url(&request.queue_name) }))
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all actions")]
fn create_queue(queues: &Queues, request: &QueueName) -> Result<Value, Refusal> {
    if queues.find(&request.queue_name).is_err() {
        queues.insert(&request.queue_name, Arc::new(MemoryQueue::new(queues.clock.clone())));
    }
    Ok(json!({ "QueueUrl": queues.url(&request.queue_name) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all actions")]
fn list_queues(queues: &Queues, request: &ListQueues) -> Result<Value, Refusal> {
    let names = queues.names(&request.queue_name_prefix);
    let urls: Vec<String> = names.iter().map(|name| queues.url(name)).collect();
    Ok(json!({ "QueueUrls": urls }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: String,
    message_body: String,
    #[serde(default)]
    delay_seconds: u64,
    #[serde(default)]
    message_attributes: Map<String, Value>,
}

fn send_message(queues: &Queues, request: &SendMessage) -> Result<Value, Refusal> {
    if !request.message_attributes.is_empty() {
        return Err(Refusal::unsupported("MessageAttributes are not kept by this embedded queue".to_owned()));
    }
    let queue = queues.find(name_of(&request.queue_url))?;
    let id = queue.send(request.message_body.clone(), Duration::from_secs(request.delay_seconds))?;
    Ok(json!({ "MessageId": id, "MD5OfMessageBody": md5_hex(&request.message_body) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u64>,
}

/// Answers at once with what is there: waiting (`WaitTimeSeconds`) is left to the caller's next ask.
fn receive_message(queues: &Queues, request: &ReceiveMessage) -> Result<Value, Refusal> {
    let most = request.max_number_of_messages.unwrap_or(1);
    if !(1..=MOST_RECEIVED).contains(&most) {
        return Err(Refusal::invalid(format!(
            "MaxNumberOfMessages {most} is not between 1 and {MOST_RECEIVED}"
        )));
    }
    let visibility = Duration::from_secs(request.visibility_timeout.unwrap_or(VISIBILITY_SECONDS));
    let received = queues.find(name_of(&request.queue_url))?.receive(most, visibility)?;
    let messages: Vec<Value> = received
        .into_iter()
        .map(|message| {
            json!({
                "MessageId": message.id,
                "ReceiptHandle": message.receipt,
                "MD5OfBody": md5_hex(&message.body),
                "Body": message.body,
                "Attributes": { "ApproximateReceiveCount": message.receive_count.to_string() },
            })
        })
        .collect();
    Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

fn delete_message(queues: &Queues, request: &DeleteMessage) -> Result<Value, Refusal> {
    queues.find(name_of(&request.queue_url))?.delete(&request.receipt_handle)?;
    Ok(json!({}))
}

/// Clients of other languages check it, so it must be right.
fn md5_hex(text: &str) -> String {
    use std::fmt::Write;
    Md5::digest(text.as_bytes()).iter().fold(String::with_capacity(32), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::md5_hex;

    #[test]
    fn md5_is_that_of_rfc_1321() {
        assert_eq!(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(md5_hex(""), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
