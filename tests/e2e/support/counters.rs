//! The shop's own counters: orders received and completed, as a Prometheus scrapes them from a fulfilment centre's
//! software. The queue's counters alone do not show arrivals while workers keep up, and the SQS here has no CloudWatch.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::objects::ScaledObject;
use super::queue::Queue;
use super::workers::Workers;
use crate::parts::prometheus::{Exporter, Prometheus};

const UPDATE_EVERY: Duration = Duration::from_secs(1);

/// Counters of one workload, and the Prometheus that has them; both end when this is dropped.
pub(crate) struct Counters {
    prometheus: Prometheus,
    _stop: DropGuard,
}

impl Counters {
    pub(crate) async fn start(queue: &Queue, workers: &Workers) -> Self {
        let exporter = Exporter::default();
        let target = exporter.start().await;
        let (received, completed) = (queue.sent.clone(), workers.completed.clone());
        let stop = CancellationToken::new();
        let update = async move {
            loop {
                let (received, completed) =
                    (received.load(Ordering::Relaxed), completed.load(Ordering::Relaxed));
                exporter
                    .set(&format!("orders_received_total {received}\norders_completed_total {completed}\n"));
                tokio::time::sleep(UPDATE_EVERY).await;
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(update));
        let prometheus = Prometheus::start(None, Some(&target)).await;
        prometheus.knows("orders_completed_total").await;
        Self { prometheus, _stop: stop.drop_guard() }
    }

    /// The trigger reads arrivals and completions here.
    pub(crate) fn read_by(&self, scaled_object: ScaledObject) -> ScaledObject {
        scaled_object.ours(&[
            ("throughputSource", "prometheus"),
            ("prometheusServerAddress", &self.prometheus.address()),
            ("arrivalQuery", "sum(rate(orders_received_total[20s]))"),
            ("completionQuery", "sum(rate(orders_completed_total[20s]))"),
        ])
    }
}
