//! SQS counters: one `GetQueueAttributes` a queue and period, whatever the number of triggers on it.
//!
//! Standard and FIFO queues answer alike. The counters are approximate; what is doubtful in them
//! is for the core to bridge. Here they are kept with the moment at which they were asked for.

use std::sync::Arc;

use aws_sdk_sqs::types::QueueAttributeName;
use jiff::Timestamp;
use tokio::runtime::Handle;

use super::aws::{Call, ClientKey, ClientLease};
use super::poll::{Cell, ReadError, Schedule, Task, run};
use crate::clock::Clock;

/// Which poll.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct QueueKey {
    pub(super) client: ClientKey,
    pub(super) url: String,
}

/// A queue's counters, in messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counters {
    pub(super) at: Timestamp,
    pub(super) visible: f64,
    pub(super) in_flight: f64,
    pub(super) delayed: f64,
    pub(super) visibility_timeout_seconds: Option<f64>,
}

/// The poll of one queue.
#[derive(Debug)]
pub(super) struct QueuePoll {
    pub(super) cell: Arc<Cell<Option<Counters>>>,
    _task: Task,
}

impl QueuePoll {
    pub(super) fn start(
        runtime: &Handle,
        clock: &Clock,
        schedule: Schedule,
        client: ClientLease,
        url: String,
    ) -> Self {
        let cell = Arc::new(Cell::<Option<Counters>>::default());
        let task = runtime.spawn({
            let (clock, cell) = (clock.clone(), cell.clone());
            let (client, url) = (client, Arc::<str>::from(url));
            run(clock, schedule, cell.clone(), move |at| {
                let (client, url, cell) = (client.clone(), url.clone(), cell.clone());
                async move {
                    let counters = read(&client, &url, at).await?;
                    *cell.value() = Some(counters);
                    Ok(())
                }
            })
        });
        Self { cell, _task: Task::new(task) }
    }
}

async fn read(client: &ClientLease, url: &str, at: Timestamp) -> Result<Counters, ReadError> {
    let (sqs, _permit) = client.sqs().await?;
    let answer = sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
        .attribute_names(QueueAttributeName::VisibilityTimeout)
        .send()
        .await
        .map_err(|error| {
            let call = Call { action: "sqs:GetQueueAttributes", resource: url, key: client.key() };
            call.explain(&error)
        })?;
    let attributes = answer.attributes().cloned().unwrap_or_default();
    let number = |name: &QueueAttributeName| {
        attributes.get(name).and_then(|text| text.parse::<u64>().ok()).map(|number| number as f64)
    };
    let count = |name: QueueAttributeName| {
        number(&name)
            .ok_or_else(|| ReadError::new(format!("the answer for queue {url} has no {}", name.as_str())))
    };
    Ok(Counters {
        at,
        visible: count(QueueAttributeName::ApproximateNumberOfMessages)?,
        in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
        delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
        visibility_timeout_seconds: number(&QueueAttributeName::VisibilityTimeout),
    })
}
