//! A queue of orders on the cluster's SQS, and a shop that fills it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use peakscaler::clock::Clock;

use super::cluster::Cluster;
use crate::parts::emulator::sqs_client;

const BATCH: usize = 10;
const BATCHES_AT_ONCE: usize = 8;

/// One queue. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) client: aws_sdk_sqs::Client,
    /// On the queue server's own port.
    pub(crate) url: String,
    name: String,
    /// Orders sent so far.
    pub(crate) sent: Arc<AtomicUsize>,
}

impl Queue {
    pub(crate) async fn create(cluster: &Cluster, name: &str) -> anyhow::Result<Self> {
        let client = sqs_client(cluster.ports.sqs);
        client.create_queue().queue_name(name).send().await?;
        let url = url_at(cluster.ports.sqs, name);
        Ok(Self { client, url, name: name.to_owned(), sent: Arc::default() })
    }

    /// Its URL behind another port.
    pub(crate) fn url_at(&self, port: u16) -> String {
        url_at(port, &self.name)
    }

    /// Sends so many orders at once.
    pub(crate) async fn send(&self, count: usize) -> anyhow::Result<()> {
        let batches = (0..count).step_by(BATCH).map(|first| self.send_batch(BATCH.min(count - first)));
        stream::iter(batches).buffer_unordered(BATCHES_AT_ONCE).try_collect().await
    }

    async fn send_batch(&self, count: usize) -> anyhow::Result<()> {
        let mut batch = self.client.send_message_batch().queue_url(&self.url);
        for index in 0..count {
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body("order");
            batch = batch.entries(entry.build()?);
        }
        batch.send().await?;
        self.sent.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Sends orders at `rate(seconds)` a second for so long, a batch each second; returns how many.
    pub(crate) async fn send_for(
        &self,
        duration: Duration,
        rate: impl Fn(f64) -> f64,
    ) -> anyhow::Result<usize> {
        let clock = Clock::real();
        let mut interval = clock.interval(Duration::from_secs(1));
        let began = interval.tick().await;
        let (mut owed, mut until, mut sent) = (0.0, 0.0, 0);
        while until < duration.as_secs_f64() {
            let now = interval.tick().await.duration_since(began).as_secs_f64();
            owed += rate(until) * (now - until);
            until = now;
            let whole = owed.floor();
            owed -= whole;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small whole number"
            )]
            let count = whole as usize;
            self.send(count).await?;
            sent += count;
        }
        Ok(sent)
    }

    /// Orders that wait, and orders in work.
    pub(crate) async fn counts(&self) -> anyhow::Result<(u32, u32)> {
        let visible = QueueAttributeName::ApproximateNumberOfMessages;
        let in_flight = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer =
            request.attribute_names(visible.clone()).attribute_names(in_flight.clone()).send().await?;
        let count = |name| answer.attributes()?.get(name)?.parse().ok();
        Ok((count(&visible).unwrap_or_default(), count(&in_flight).unwrap_or_default()))
    }
}

fn url_at(port: u16, name: &str) -> String {
    format!("http://127.0.0.1:{port}/000000000000/{name}")
}
