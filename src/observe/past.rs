//! What `CloudWatch` and Prometheus still know of a workload's past orders, in windows.
//!
//! `CloudWatch` keeps a minute's count for 15 days, five minutes' for 63 and an hour's for 455; the same
//! windows are asked of Prometheus or Mimir, which say nothing of what they have dropped. The newest hour
//! is left to the polls. `CloudWatch` is asked through the poll that reads the queue's minutes anyway
//! ([`super::cloudwatch`]), so that no queue is asked about more often than once a minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::cloudwatch::PastOfQueue;
use super::prometheus::{Prometheus, QueryKey};
use super::{PastRead, PastReader, PastWindow};
use crate::core::{Flow, Interval};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Days from and until which a step is asked for, and the days of one window.
struct Span {
    step_seconds: i64,
    until_days: i32,
    from_days: i32,
    window_days: i32,
}

const fn span(step_seconds: i64, until_days: i32, from_days: i32, window_days: i32) -> Span {
    Span { step_seconds, until_days, from_days, window_days }
}

/// At most some 15,000 points of two metrics a window: an answer within seconds.
const CLOUDWATCH: [Span; 3] = [span(60, 0, 15, 5), span(300, 15, 63, 24), span(3600, 63, 455, 196)];
/// Well within the 11,000 points a series that Prometheus gives at once.
const PROMETHEUS: [Span; 3] = [span(60, 0, 15, 1), span(300, 15, 63, 6), span(3600, 63, 455, 28)];

fn windows(spans: &[Span], now: Timestamp) -> Vec<PastWindow> {
    let second = now.as_second();
    let end = Timestamp::from_second(second - second.rem_euclid(3600)).unwrap_or(now);
    let mut windows = Vec::new();
    for span in spans {
        let mut until_days = span.until_days;
        while until_days < span.from_days {
            let from_days = (until_days + span.window_days).min(span.from_days);
            windows.push(PastWindow {
                from: end - DAY * from_days,
                to: end - DAY * until_days,
                step_seconds: span.step_seconds,
            });
            until_days = from_days;
        }
    }
    windows
}

/// The queues of a workload, as `CloudWatch` knows them; their counts are added up.
pub(super) struct QueuesPast(pub(super) Vec<PastOfQueue>);

impl PastReader for QueuesPast {
    fn windows(&self, now: Timestamp) -> Vec<PastWindow> {
        windows(&CLOUDWATCH, now)
    }

    fn read(&self, window: PastWindow) -> PastRead<'_> {
        Box::pin(async move {
            let mut sums: BTreeMap<(Flow, Timestamp), f64> = BTreeMap::new();
            for told in futures::future::try_join_all(self.0.iter().map(|queue| queue.read(window))).await? {
                for (flow, at, count) in told {
                    *sums.entry((flow, at)).or_default() += count;
                }
            }
            let step = SignedDuration::from_secs(window.step_seconds);
            let interval = |((flow, from), count)| (flow, Interval { from, to: from + step, count });
            Ok(sums.into_iter().map(interval).collect())
        })
    }
}

/// A workload's rates, as Prometheus knows them.
pub(super) struct RatesPast {
    pub(super) client: Arc<Prometheus>,
    pub(super) rates: Vec<(Flow, QueryKey)>,
}

impl PastReader for RatesPast {
    fn windows(&self, now: Timestamp) -> Vec<PastWindow> {
        windows(&PROMETHEUS, now)
    }

    fn read(&self, window: PastWindow) -> PastRead<'_> {
        Box::pin(async move {
            let step = SignedDuration::from_secs(window.step_seconds);
            let mut told = Vec::new();
            for (flow, key) in &self.rates {
                for (to, rate) in self.client.past(key, window).await.map_err(|error| error.message)? {
                    let count = rate * window.step_seconds as f64;
                    told.push((*flow, Interval { from: to - step, to, count }));
                }
            }
            Ok(told)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_meet_and_reach_as_far_as_cloudwatch_keeps_counts() {
        let now: Timestamp = "2026-11-27T08:12:34Z".parse().unwrap();
        for spans in [&CLOUDWATCH, &PROMETHEUS] {
            let windows = windows(spans, now);
            assert_eq!(windows[0].to.to_string(), "2026-11-27T08:00:00Z");
            assert!(windows.windows(2).all(|pair| pair[0].from == pair[1].to), "{windows:?}");
            let last = windows.last().unwrap();
            assert_eq!(windows[0].to.duration_since(last.from), DAY * 455);
            for window in &windows {
                let points = window.to.duration_since(window.from).as_secs() / window.step_seconds;
                assert!(points <= 7200, "{points} points of {window:?}");
                let age_days = now.duration_since(window.from).as_hours() / 24;
                let kept = match window.step_seconds {
                    60 => 15,
                    300 => 63,
                    _ => 455,
                };
                assert!(age_days <= kept, "{window:?}");
            }
        }
    }
}
