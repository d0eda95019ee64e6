//! CloudWatch: messages sent to and deleted from each queue, by the minute.
//!
//! One task a client reads all of its queues together, once a minute, 100 queues a call. A
//! queue that joins is read at once; it then skips the next common read when that comes within
//! the minute, so that no queue is ever asked about more than once a minute. Which minutes are believed is
//! [`super::settle`]'s to say.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat};
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::aws::{Call, ClientLease};
use super::poll::{Cell, ReadError, Task, lock};
use super::settle::{Settling, window};
use crate::clock::{Clock, earlier, later, seconds_between};

/// From one read of a queue to its next: one-minute metrics hold nothing new before.
pub(super) const PERIOD: Duration = Duration::from_mins(1);
/// A queue read less than this ago is left out of the common read.
const NOT_BEFORE_SECONDS: f64 = 59.5;
/// Two metrics a queue, 180 minutes at most: 36,000 points, well within one page of 100,800.
const QUEUES_A_CALL: usize = 100;
/// Believed minutes kept for workloads that join later: two hours of both metrics.
const KEPT: usize = 240;
/// The longest wait after failures, in periods.
const LONGEST_BACK_OFF_PERIODS: f64 = 5.0;

/// What a count is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Flow {
    Arrivals,
    Completions,
}

/// A believed minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Minute {
    /// Grows by one with each minute that is believed.
    pub(super) number: u64,
    pub(super) flow: Flow,
    pub(super) from: Timestamp,
    pub(super) count: f64,
}

/// A queue's minutes.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    sent: Settling,
    deleted: Settling,
    believed: VecDeque<Minute>,
    next: u64,
    newest: Option<Timestamp>,
}

impl Minutes {
    /// Believed minutes with `number >= from`, and the number to go on from.
    pub(super) fn since(&self, from: u64) -> (Vec<Minute>, u64) {
        let news = self.believed.iter().filter(|minute| minute.number >= from).copied().collect();
        (news, self.next)
    }

    /// Start of the newest minute that CloudWatch had anything for.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    fn take_in(&mut self, flow: Flow, points: &[(Timestamp, f64)], now: Timestamp) {
        self.newest = self.newest.max(points.iter().map(|(minute, _)| *minute).max());
        let settling = match flow {
            Flow::Arrivals => &mut self.sent,
            Flow::Completions => &mut self.deleted,
        };
        for (from, count) in settling.take_in(points, now) {
            self.believed.push_back(Minute { number: self.next, flow, from, count });
            self.next += 1;
        }
        while self.believed.len() > KEPT {
            self.believed.pop_front();
        }
    }
}

/// One queue among those that are read together.
#[derive(Debug)]
pub(super) struct Series {
    queue_name: String,
    pub(super) cell: Cell<Minutes>,
    asked: Mutex<Option<Timestamp>>,
}

impl Series {
    pub(super) fn queue_name(&self) -> &str {
        &self.queue_name
    }
}

/// Reads all queues of one client.
#[derive(Debug)]
pub(super) struct CloudWatchPoll {
    shared: Arc<Shared>,
    _task: Task,
}

#[derive(Debug, Default)]
struct Shared {
    series: Mutex<Vec<Weak<Series>>>,
    joined: Notify,
}

impl CloudWatchPoll {
    pub(super) fn start(runtime: &Handle, clock: &Clock, client: ClientLease) -> Self {
        let shared = Arc::<Shared>::default();
        let task = runtime.spawn(read_for_ever(clock.clone(), client, shared.clone()));
        Self { shared, _task: Task::new(task) }
    }

    /// Has a queue read from now on, until its series is dropped.
    pub(super) fn join(&self, queue_name: &str) -> Arc<Series> {
        let series = Arc::new(Series {
            queue_name: queue_name.to_owned(),
            cell: Cell::default(),
            asked: Mutex::default(),
        });
        lock(&self.shared.series).push(Arc::downgrade(&series));
        self.shared.joined.notify_one();
        series
    }
}

impl Shared {
    /// The queues that are due; those that nobody uses are forgotten.
    fn due(&self, now: Timestamp, is_common: bool) -> Vec<Arc<Series>> {
        let mut all = lock(&self.series);
        all.retain(|series| series.strong_count() > 0);
        all.iter()
            .filter_map(Weak::upgrade)
            .filter(|series| match *lock(&series.asked) {
                None => true,
                Some(asked) => is_common && seconds_between(asked, now) >= NOT_BEFORE_SECONDS,
            })
            .collect()
    }
}

async fn read_for_ever(clock: Clock, client: ClientLease, shared: Arc<Shared>) {
    let mut failures = 0_u32;
    let mut common_at = clock.now();
    loop {
        let is_common = tokio::select! {
            () = clock.sleep_until(common_at) => true,
            () = shared.joined.notified(), if failures == 0 => false,
        };
        let now = clock.now();
        let mut wait = PERIOD;
        for due in shared.due(now, is_common).chunks(QUEUES_A_CALL) {
            let answer = read(&client, due, now).await;
            for series in due {
                *lock(&series.asked) = Some(clock.now());
            }
            match answer {
                Ok(pages) => {
                    failures = 0;
                    wait = wait.max(PERIOD * pages);
                }
                Err(error) => {
                    failures += 1;
                    wait = wait.max(back_off(failures, rand::random()));
                    if failures == 1 {
                        tracing::warn!(error = %error, "a source cannot be read");
                    }
                    for series in due {
                        series.cell.failed(error.message.clone());
                    }
                }
            }
        }
        if is_common {
            // From the end of the read, so that no two are ever closer than a period.
            common_at = later(clock.now(), wait);
        }
    }
}

/// A period, and a random part of a bound that doubles with each failure.
fn back_off(failures: u32, random: f64) -> Duration {
    let doublings = i32::try_from(failures.saturating_sub(1).min(16)).unwrap_or(16);
    let bound = (0.25 * 2_f64.powi(doublings)).min(LONGEST_BACK_OFF_PERIODS);
    PERIOD + PERIOD.mul_f64(bound * random)
}

/// Reads these queues and returns how many calls that took.
async fn read(client: &ClientLease, due: &[Arc<Series>], now: Timestamp) -> Result<u32, ReadError> {
    let (cloudwatch, _permit) = client.cloudwatch().await?;
    // One window for all: the longest that any of them needs.
    let (_, to) = window(now, None);
    let from = due
        .iter()
        .map(|series| window(now, series.cell.health().last_good).0)
        .min()
        .unwrap_or_else(|| earlier(to, PERIOD));
    let queries: Vec<_> =
        due.iter().enumerate().flat_map(|(index, series)| queries(index, &series.queue_name)).collect();
    let mut results: HashMap<String, Vec<(Timestamp, f64)>> = HashMap::new();
    let mut token = None;
    let mut pages = 0;
    loop {
        let answer = cloudwatch
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_secs(from.as_second()))
            .end_time(DateTime::from_secs(to.as_second()))
            .set_next_token(token.take())
            .send()
            .await
            .map_err(|error| {
                let call =
                    Call { action: "cloudwatch:GetMetricData", resource: &names(due), key: client.key() };
                call.explain(&error)
            })?;
        pages += 1;
        for result in answer.metric_data_results() {
            results.entry(result.id().unwrap_or_default().to_owned()).or_default().extend(points(result));
        }
        token = answer.next_token().map(str::to_owned);
        if token.is_none() || pages >= 5 {
            break;
        }
    }
    for (index, series) in due.iter().enumerate() {
        {
            let mut minutes = series.cell.value();
            for (flow, prefix) in [(Flow::Arrivals, "sent"), (Flow::Completions, "deleted")] {
                let points = results.remove(&format!("{prefix}{index}")).unwrap_or_default();
                minutes.take_in(flow, &points, now);
            }
        }
        series.cell.succeeded(now);
    }
    Ok(pages)
}

fn names(due: &[Arc<Series>]) -> String {
    match due {
        [only] => format!("queue {}", only.queue_name),
        [first, ..] => format!("queue {} and {} more", first.queue_name, due.len() - 1),
        [] => "no queue".to_owned(),
    }
}

fn queries(index: usize, queue_name: &str) -> [MetricDataQuery; 2] {
    [("sent", "NumberOfMessagesSent"), ("deleted", "NumberOfMessagesDeleted")].map(|(prefix, metric_name)| {
        let metric = Metric::builder()
            .namespace("AWS/SQS")
            .metric_name(metric_name)
            .dimensions(Dimension::builder().name("QueueName").value(queue_name).build())
            .build();
        let statistic = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
        MetricDataQuery::builder()
            .id(format!("{prefix}{index}"))
            .metric_stat(statistic)
            .return_data(true)
            .build()
    })
}

fn points(result: &MetricDataResult) -> Vec<(Timestamp, f64)> {
    result
        .timestamps()
        .iter()
        .zip(result.values())
        .filter_map(|(moment, sum)| Timestamp::from_second(moment.secs()).ok().map(|minute| (minute, *sum)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joining_queue_is_read_at_once_and_then_not_before_its_minute() {
        let shared = Shared::default();
        let start: Timestamp = "2026-11-27T08:00:00Z".parse().unwrap();
        let series = Arc::new(Series {
            queue_name: "orders".to_owned(),
            cell: Cell::default(),
            asked: Mutex::default(),
        });
        lock(&shared.series).push(Arc::downgrade(&series));
        let due = |seconds: u64, is_common| {
            let now = later(start, Duration::from_secs(seconds));
            let due = shared.due(now, is_common);
            for series in &due {
                *lock(&series.asked) = Some(now);
            }
            due.len()
        };
        for (seconds, is_common, expected) in
            [(10, false, 1), (12, false, 0), (60, true, 0), (120, true, 1), (125, false, 0), (180, true, 1)]
        {
            assert_eq!(due(seconds, is_common), expected, "{seconds}");
        }
        drop(series);
        assert_eq!(due(999, true), 0);
    }

    #[test]
    fn minutes_are_handed_out_once_each() {
        let mut minutes = Minutes::default();
        let minute: Timestamp = "2026-11-27T08:00:00Z".parse().unwrap();
        let now = later(minute, Duration::from_mins(10));
        minutes.take_in(Flow::Arrivals, &[(minute, 4.0)], now);
        minutes.take_in(Flow::Completions, &[(minute, 3.0)], now);
        let (first, next) = minutes.since(0);
        assert_eq!(first.iter().map(|minute| minute.count).collect::<Vec<_>>(), vec![4.0, 3.0]);
        assert_eq!(minutes.since(next).0, vec![]);
        assert_eq!(minutes.newest(), Some(minute));
    }

    #[test]
    fn a_back_off_never_asks_more_often() {
        for failures in [1, 2, 5, 100] {
            let longest = back_off(failures, 1.0);
            assert!(back_off(failures, 0.0) >= PERIOD && longest <= PERIOD * 6, "{failures}: {longest:?}");
        }
    }
}
