//! CloudWatch: messages sent to and deleted from each queue, by the minute.
//!
//! One task a client reads all of its queues together, once a minute, 100 queues a call. A
//! queue that joins is read at once; it then skips the next common read when that comes within
//! the minute, so that no queue is ever asked about more than once a minute. Which minutes are believed is
//! [`super::settle`]'s to say.
//!
//! The past is read in the same beat: a window of it takes the place of a queue's minute every other time,
//! and the next common read makes up for that.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat};
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::PastWindow;
use super::aws::{Call, ClientLease};
use super::poll::{Cell, ReadError, Task, lock};
use super::settle::{Settling, window};
use crate::clock::{Clock, earlier, later, seconds_between};
use crate::core::Flow;

/// From one read of a queue to its next: one-minute metrics hold nothing new before.
pub(super) const PERIOD: Duration = Duration::from_mins(1);
/// A queue read less than this ago is left out of the common read.
const NOT_BEFORE_SECONDS: f64 = 59.5;
/// Two metrics a queue, 180 minutes at most: 36,000 points, well within one page of 100,800.
const QUEUES_A_CALL: usize = 100;
/// Points of the past asked for in one call: one page.
const POINTS_A_CALL: i64 = 100_000;
/// Believed minutes kept for workloads that join later: two hours of both metrics.
const KEPT: usize = 240;
/// The longest wait after failures, in periods.
const LONGEST_BACK_OFF_PERIODS: f64 = 5.0;

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
    /// Whether the last call about it was one for the past.
    was_past: AtomicBool,
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
    /// Windows of the past that somebody waits for.
    past: Mutex<VecDeque<PastJob>>,
}

/// A count of the past: of what, since when, how many.
type PastCount = (Flow, Timestamp, f64);

/// A window of one queue's past, and who waits for it.
#[derive(Debug)]
struct PastJob {
    series: Arc<Series>,
    window: PastWindow,
    answer: oneshot::Sender<Result<Vec<PastCount>, String>>,
}

/// Asks for one queue's past.
pub(super) struct PastOfQueue {
    shared: Arc<Shared>,
    series: Arc<Series>,
    /// Keeps the poll running.
    _poll: Arc<dyn Any + Send + Sync>,
}

impl PastOfQueue {
    /// Waits for the turn of this queue, and for the answer.
    pub(super) async fn read(&self, window: PastWindow) -> Result<Vec<PastCount>, String> {
        let (answer, answered) = oneshot::channel();
        lock(&self.shared.past).push_back(PastJob { series: self.series.clone(), window, answer });
        answered.await.unwrap_or_else(|_| Err("the poll of CloudWatch has ended".to_owned()))
    }
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
            was_past: AtomicBool::default(),
        });
        lock(&self.shared.series).push(Arc::downgrade(&series));
        self.shared.joined.notify_one();
        series
    }

    /// Asks for the past of a queue that has joined; `poll` is kept running meanwhile.
    pub(super) fn past(&self, series: Arc<Series>, poll: Arc<dyn Any + Send + Sync>) -> PastOfQueue {
        PastOfQueue { shared: self.shared.clone(), series, _poll: poll }
    }
}

impl Shared {
    /// The next windows of the past, at most one a queue, and none of a queue whose last call was one.
    fn past_due(&self) -> Vec<PastJob> {
        let mut waiting = lock(&self.past);
        let mut due: Vec<PastJob> = Vec::new();
        for _ in 0..waiting.len() {
            let Some(job) = waiting.pop_front() else { break };
            let is_taken = due.iter().any(|other| Arc::ptr_eq(&other.series, &job.series));
            if job.answer.is_closed() {
                continue;
            }
            if is_taken || job.series.was_past.load(Ordering::Relaxed) || lock(&job.series.asked).is_none() {
                waiting.push_back(job);
            } else {
                due.push(job);
            }
        }
        due
    }

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
        if is_common && failures == 0 {
            for mut jobs in in_calls(shared.past_due()) {
                let pages = read_past(&client, &mut jobs, &clock).await;
                wait = wait.max(PERIOD * pages);
            }
        }
        for due in shared.due(now, is_common).chunks(QUEUES_A_CALL) {
            let answer = read(&client, due, now).await;
            for series in due {
                *lock(&series.asked) = Some(clock.now());
                series.was_past.store(false, Ordering::Relaxed);
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

/// Jobs for the same window, as many together as fit into one answer.
fn in_calls(mut jobs: Vec<PastJob>) -> Vec<Vec<PastJob>> {
    jobs.sort_by_key(|job| (job.window.from, job.window.to));
    let mut calls: Vec<Vec<PastJob>> = Vec::new();
    for job in jobs {
        let seconds = job.window.to.duration_since(job.window.from).as_secs();
        let points = 2 * seconds / job.window.step_seconds.max(1);
        let fits = usize::try_from(POINTS_A_CALL / points.max(1)).unwrap_or(1).clamp(1, QUEUES_A_CALL);
        match calls.last_mut().filter(|call| call[0].window == job.window && call.len() < fits) {
            Some(call) => call.push(job),
            None => calls.push(vec![job]),
        }
    }
    calls
}

/// Reads a window of the past of some queues, and answers those who wait; returns how many calls it took.
async fn read_past(client: &ClientLease, jobs: &mut Vec<PastJob>, clock: &Clock) -> u32 {
    let series: Vec<Arc<Series>> = jobs.iter().map(|job| job.series.clone()).collect();
    let window = jobs[0].window;
    let answer = fetch(client, &series, window.from, window.to, window.step_seconds).await;
    for series in &series {
        *lock(&series.asked) = Some(clock.now());
        series.was_past.store(true, Ordering::Relaxed);
    }
    match answer {
        Ok((mut results, pages)) => {
            for (index, job) in jobs.drain(..).enumerate() {
                let mut told = Vec::new();
                for (flow, prefix) in PREFIXES {
                    let points = results.remove(&format!("{prefix}{index}")).unwrap_or_default();
                    let usable = points.into_iter().filter(|(_, sum)| sum.is_finite() && *sum >= 0.0);
                    told.extend(usable.map(|(at, sum)| (flow, at, sum)));
                }
                // Whoever no longer waits misses nothing.
                let _ = job.answer.send(Ok(told));
            }
            pages
        }
        Err(error) => {
            for job in jobs.drain(..) {
                let _ = job.answer.send(Err(error.message.clone()));
            }
            1
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
    // One window for all: the longest that any of them needs.
    let (_, to) = window(now, None);
    let from = due
        .iter()
        .map(|series| window(now, series.cell.health().last_good).0)
        .min()
        .unwrap_or_else(|| earlier(to, PERIOD));
    let (mut results, pages) = fetch(client, due, from, to, 60).await?;
    for (index, series) in due.iter().enumerate() {
        {
            let mut minutes = series.cell.value();
            for (flow, prefix) in PREFIXES {
                let points = results.remove(&format!("{prefix}{index}")).unwrap_or_default();
                minutes.take_in(flow, &points, now);
            }
        }
        series.cell.succeeded(now);
    }
    Ok(pages)
}

/// The metric of each flow begins its query's name so.
const PREFIXES: [(Flow, &str); 2] = [(Flow::Arrivals, "sent"), (Flow::Completions, "deleted")];

/// Counts by the name of their query, and how many calls they took.
type Fetched = (HashMap<String, Vec<(Timestamp, f64)>>, u32);

/// Counts of `[from, to)` by `step_seconds`.
async fn fetch(
    client: &ClientLease,
    due: &[Arc<Series>],
    from: Timestamp,
    to: Timestamp,
    step_seconds: i64,
) -> Result<Fetched, ReadError> {
    let (cloudwatch, _permit) = client.cloudwatch().await?;
    let named = due.iter().enumerate();
    let queries: Vec<_> =
        named.flat_map(|(index, series)| queries(index, &series.queue_name, step_seconds)).collect();
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
            return Ok((results, pages));
        }
    }
}

fn names(due: &[Arc<Series>]) -> String {
    match due {
        [only] => format!("queue {}", only.queue_name),
        [first, ..] => format!("queue {} and {} more", first.queue_name, due.len() - 1),
        [] => "no queue".to_owned(),
    }
}

fn queries(index: usize, queue_name: &str, step_seconds: i64) -> [MetricDataQuery; 2] {
    [("sent", "NumberOfMessagesSent"), ("deleted", "NumberOfMessagesDeleted")].map(|(prefix, metric_name)| {
        let metric = Metric::builder()
            .namespace("AWS/SQS")
            .metric_name(metric_name)
            .dimensions(Dimension::builder().name("QueueName").value(queue_name).build())
            .build();
        let period = i32::try_from(step_seconds).unwrap_or(i32::MAX);
        let statistic = MetricStat::builder().metric(metric).period(period).stat("Sum").build();
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
            was_past: AtomicBool::default(),
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
