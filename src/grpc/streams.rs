//! The two streams. They end cleanly when their connection grows old or the server stops: KEDA
//! then opens them again after two seconds, on whatever pod it finds.

use std::sync::Arc;

use futures::Stream;
use futures::stream::{self, StreamExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::proto::{GetMetricSpecResponse, IsActiveResponse};
use crate::engine::{Engine, Entry};
use crate::telemetry::catalogue;

/// Moves the gauge of open streams for as long as it lives.
struct Open(metrics::Gauge);

impl Open {
    fn new(method: &'static str) -> Self {
        let gauge = metrics::gauge!(catalogue::GRPC_STREAMS.name, "method" => method);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

struct Activity {
    engine: Engine,
    entry: Arc<Entry>,
    version: watch::Receiver<u64>,
    ending: CancellationToken,
    said: Option<bool>,
    _open: Open,
}

/// Whether the workload is active: once when known, and at every change. Silent while there is no
/// number, since neither true nor false would be known to hold.
pub(super) fn activity(
    engine: Engine,
    entry: Arc<Entry>,
    ending: CancellationToken,
) -> impl Stream<Item = Result<IsActiveResponse, Status>> + Send {
    let activity = Activity {
        engine,
        version: entry.subscribe(),
        entry,
        ending,
        said: None,
        _open: Open::new("StreamIsActive"),
    };
    stream::unfold(activity, |mut activity| async move {
        let result = activity.next().await?;
        Some((Ok(IsActiveResponse { result }), activity))
    })
}

impl Activity {
    /// The next thing to say; `None` at the end.
    async fn next(&mut self) -> Option<bool> {
        loop {
            self.version.mark_unchanged();
            let now = self.engine.clock().now();
            // An open stream counts as asking.
            self.entry.touch(now);
            let margin_seconds = self.engine.options().tick.as_secs_f64() * 2.0;
            if let Ok(answer) = self.entry.answer(now, margin_seconds)
                && self.said != Some(answer.active)
            {
                self.said = Some(answer.active);
                return self.said;
            }
            tokio::select! {
                changed = self.version.changed() => changed.ok()?,
                () = self.ending.cancelled() => return None,
                () = self.entry.ended().cancelled() => return None,
            }
        }
    }
}

/// The spec at once. It never changes for a ScaledObject, so what follows is only the end.
pub(super) fn specs(
    spec: GetMetricSpecResponse,
    ending: CancellationToken,
) -> impl Stream<Item = Result<GetMetricSpecResponse, Status>> + Send {
    let open = Open::new("StreamMetricSpec");
    let end = async move {
        ending.cancelled().await;
        drop(open);
    };
    let never = stream::once(end).filter_map(|()| std::future::ready(None));
    stream::once(std::future::ready(Ok(spec))).chain(never)
}
