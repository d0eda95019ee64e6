//! One workload as the edges see it: who it is, what its metadata says, and its newest snapshot.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::EngineError;
use super::feed::Feed;
use super::metadata::Metadata;
use crate::clock::{Clock, seconds_between};
use crate::core::demand::calendar::{Calendar, EntryEffect};
use crate::core::demand::forecast::ProfileForecast;
use crate::core::demand::outlook::ArrivalForecast as _;
use crate::core::{DecisionRecord, Interval, Workload};
use crate::history::SeriesKey;
use crate::observe::{CapacityFacts, Observed, SourceHealth, WorkloadId};
use crate::trigger::{BacklogSource, Mode, Origin, Problem, Trigger};

/// What KEDA is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Replicas: the value of the one metric, whose target is 1.
    pub replicas: u32,
    /// Whether the workload is to be active.
    pub active: bool,
}

/// What is known of a workload at one moment. Immutable; the next tick puts another in its place.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The moment decided for.
    pub at: Timestamp,
    /// Replicas wanted, or why there is no number.
    pub outcome: Result<u32, EngineError>,
    /// The decision of this moment; `None` when the sources could not be opened.
    pub record: Option<Arc<DecisionRecord>>,
    /// The last decision with a number.
    pub last_good: Option<Arc<DecisionRecord>>,
    /// How each source is doing.
    pub sources: Vec<SourceHealth>,
    /// Ready replicas, where they were seen.
    pub ready_replicas: Option<u32>,
    /// Why the core refused the newest observation; this snapshot is then still the one before.
    pub trouble: Option<String>,
    /// What the cluster says of the room for the workers.
    pub capacity: Option<Arc<CapacityFacts>>,
}

/// What the metadata says.
#[derive(Debug)]
pub enum Subject {
    /// A valid trigger.
    Accepted(Arc<Accepted>),
    /// Every problem found.
    Rejected(Vec<String>),
}

/// A valid trigger and what goes with it.
#[derive(Debug)]
pub struct Accepted {
    /// The trigger.
    pub trigger: Trigger,
    /// What is odd about the metadata, for example unknown keys.
    pub warnings: Vec<String>,
    /// The queue's short name, for labels and tables.
    pub queue: String,
}

impl Subject {
    /// Validates metadata as it came over the wire.
    pub fn parse(metadata: &BTreeMap<String, String>) -> Self {
        let in_words = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect();
        match Trigger::parse(metadata, Origin::Request) {
            Ok((trigger, warnings)) => {
                let queue = queue_name(&trigger.backlog);
                let warnings = in_words(warnings);
                Self::Accepted(Arc::new(Accepted { trigger, warnings, queue }))
            }
            Err(problems) => Self::Rejected(in_words(problems)),
        }
    }
}

/// The last part of each queue URL; a query has no name.
fn queue_name(backlog: &BacklogSource) -> String {
    match backlog {
        BacklogSource::Sqs(urls) => {
            let names: Vec<_> = urls.iter().map(|url| url.rsplit('/').next().unwrap_or(url)).collect();
            names.join(",")
        }
        BacklogSource::Prometheus(_) => "prometheus".to_owned(),
    }
}

/// One workload: immutable but for the snapshot and the moment it was last asked for.
pub struct Entry {
    key: u64,
    id: WorkloadId,
    metadata: Metadata,
    metric_name: String,
    subject: Subject,
    created_at: Timestamp,
    asked_at_millis: AtomicI64,
    snapshot: ArcSwapOption<Snapshot>,
    version: watch::Sender<u64>,
    /// `None` without a valid trigger. Locked by the one task that steps it, and to inherit from it.
    state: Mutex<Option<Workload>>,
    feed: Mutex<Weak<Feed>>,
    ended: CancellationToken,
    series: Option<SeriesKey>,
    /// What arrived since the entry was made, while a forecast is being learned.
    news: Mutex<Option<VecDeque<Interval>>>,
}

/// Arrivals kept while a forecast is being learned: hours of them.
const MOST_NEWS: usize = 4096;

impl Entry {
    pub(super) fn new(
        key: u64,
        id: WorkloadId,
        metadata: &BTreeMap<String, String>,
        subject: Subject,
        state: Option<Workload>,
        now: Timestamp,
    ) -> Self {
        let series = match &subject {
            Subject::Accepted(accepted) => Some(SeriesKey {
                namespace: id.namespace.clone(),
                workload: id.name.clone(),
                queue: accepted.queue.clone(),
            }),
            Subject::Rejected(_) => None,
        };
        Self {
            key,
            metric_name: metric_name(&id.namespace, &id.name),
            id,
            metadata: Metadata::of(metadata),
            subject,
            created_at: now,
            asked_at_millis: AtomicI64::new(now.as_millisecond()),
            snapshot: ArcSwapOption::empty(),
            version: watch::Sender::new(0),
            state: Mutex::new(state),
            feed: Mutex::new(Weak::new()),
            ended: CancellationToken::new(),
            series,
            news: Mutex::new(Some(VecDeque::new())),
        }
    }

    /// Namespace and name.
    pub fn id(&self) -> &WorkloadId {
        &self.id
    }

    /// The metric's name on the wire.
    pub fn metric_name(&self) -> &str {
        &self.metric_name
    }

    /// What the metadata says.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The trigger, when the metadata is valid.
    pub fn accepted(&self) -> Option<&Arc<Accepted>> {
        match &self.subject {
            Subject::Accepted(accepted) => Some(accepted),
            Subject::Rejected(_) => None,
        }
    }

    /// When it was first asked for.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it was last asked for.
    pub fn asked_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.asked_at_millis.load(Ordering::Relaxed)).unwrap_or(self.created_at)
    }

    /// Counts as asking for it.
    pub fn touch(&self, now: Timestamp) {
        self.asked_at_millis.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// The newest snapshot; `None` before the first observation.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Changes with every snapshot.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Resolves when the entry was dropped from the engine.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// What KEDA is told now; never waits.
    ///
    /// # Errors
    /// Every [`EngineError`] but the bound on workloads.
    pub fn answer(&self, now: Timestamp, stall_margin_seconds: f64) -> Result<Answer, EngineError> {
        let accepted = match &self.subject {
            Subject::Accepted(accepted) => accepted,
            Subject::Rejected(problems) => {
                return Err(EngineError::InvalidMetadata { problems: problems.clone() });
            }
        };
        // An adviser must not disturb: an error would keep the HPA from scaling down by other triggers.
        if accepted.trigger.mode == Mode::Advise {
            return Ok(Answer { replicas: 0, active: false });
        }
        let snapshot = self.snapshot.load();
        let Some(snapshot) = snapshot.as_deref() else {
            return Err(EngineError::NotYet { waited_seconds: seconds_between(self.created_at, now) });
        };
        let replicas = snapshot.outcome.clone()?;
        let stale_after_seconds = accepted.trigger.policy.stale_after_seconds;
        let age_seconds = seconds_between(snapshot.at, now);
        if age_seconds > stale_after_seconds + stall_margin_seconds {
            return Err(EngineError::Stalled { age_seconds, stale_after_seconds });
        }
        Ok(Answer { replicas, active: replicas > 0 })
    }

    /// The same, but a workload that is still young waits for its first number.
    ///
    /// # Errors
    /// As [`Entry::answer`].
    pub async fn first_answer(
        &self,
        clock: &Clock,
        options: &super::EngineOptions,
    ) -> Result<Answer, EngineError> {
        let margin_seconds = options.tick.as_secs_f64() * 2.0;
        let mut version = self.subscribe();
        let deadline = crate::clock::later(self.created_at, options.first_answer_within);
        loop {
            version.mark_unchanged();
            let answer = self.answer(clock.now(), margin_seconds);
            let is_final = match &answer {
                Ok(_) | Err(EngineError::InvalidMetadata { .. }) => true,
                Err(_) => clock.now() >= deadline || self.has_been_good(),
            };
            if is_final {
                return answer;
            }
            tokio::select! {
                _ = version.changed() => {}
                () = clock.sleep_until(deadline) => {}
                () = self.ended.cancelled() => return Err(EngineError::Ended),
            }
        }
    }

    fn has_been_good(&self) -> bool {
        self.snapshot.load().as_deref().is_some_and(|snapshot| snapshot.last_good.is_some())
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }

    pub(super) fn is_for(&self, namespace: &str, name: &str, metadata: &BTreeMap<String, String>) -> bool {
        self.id.namespace == namespace && self.id.name == name && self.metadata.is(metadata)
    }

    /// Whether `self` is what `earlier` became: a valid trigger on the same backlog.
    pub(super) fn replaces(&self, earlier: &Self) -> bool {
        match (self.accepted(), earlier.accepted()) {
            (Some(new), Some(old)) => new.trigger.backlog == old.trigger.backlog,
            (_, None) => true,
            (None, Some(_)) => false,
        }
    }

    pub(super) fn learned(&self) -> Option<Workload> {
        self.state().clone()
    }

    pub(super) fn feed(&self) -> Option<Arc<Feed>> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    pub(super) fn set_feed(&self, feed: &Arc<Feed>) {
        *self.feed.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(feed);
    }

    /// Ends streams and leaves the task.
    pub(super) fn end(&self) {
        self.ended.cancel();
        if let Some(feed) = self.feed() {
            feed.leave(self);
        }
    }

    /// What its past is kept under.
    pub(super) fn series(&self) -> Option<&SeriesKey> {
        self.series.as_ref()
    }

    pub(super) fn has_forecast(&self) -> bool {
        self.state().as_ref().is_some_and(Workload::has_forecast)
    }

    /// Puts a forecast in place, and tells it what arrived meanwhile.
    pub(super) fn set_forecast(&self, mut forecast: ProfileForecast) {
        // In the order in which decisions take them.
        let mut state = self.state();
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.iter().flatten().for_each(|interval| forecast.observe(interval));
        if let Some(workload) = state.as_mut() {
            workload.set_forecast(Box::new(forecast));
        }
    }

    pub(super) fn stop_keeping_news(&self) {
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn resume_service(&self, per_second: f64, concurrency: f64, settled: bool) {
        if let Some(workload) = self.state().as_mut() {
            workload.resume_service(per_second, concurrency, settled);
        }
    }

    /// What each entry of a calendar, and each of its holidays from `from` to `to`, does to the
    /// workload's orders.
    pub(super) fn effects(&self, calendar: &Calendar, from: Timestamp, to: Timestamp) -> Vec<EntryEffect> {
        self.state().as_mut().map(|workload| workload.effects(calendar, from, to)).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, Option<Workload>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_news(&self, arrivals: &[Interval]) {
        if let Some(news) = self.news.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            news.extend(arrivals);
            let surplus = news.len().saturating_sub(MOST_NEWS);
            news.drain(..surplus);
        }
    }

    /// Steps the core and publishes what it decided.
    pub(super) fn decide(&self, observed: &Observed, calendar: &Arc<Calendar>) -> Option<Arc<Snapshot>> {
        let stepped = {
            let mut state = self.state();
            let workload = state.as_mut()?;
            if !Arc::ptr_eq(workload.calendar(), calendar) {
                workload.set_calendar(calendar.clone());
            }
            self.keep_news(&observed.observation.arrivals);
            workload.step(&observed.observation)
        };
        let before = self.snapshot();
        let last_good = before.as_ref().and_then(|before| before.last_good.clone());
        let snapshot = match stepped {
            Ok(record) => decided(record, last_good, observed),
            Err(trouble) => refused(before.as_deref(), trouble.to_string(), observed),
        };
        Some(self.publish(snapshot))
    }

    /// Publishes that the sources cannot be opened.
    pub(super) fn fail(&self, error: EngineError, now: Timestamp) {
        let last_good = self.snapshot().and_then(|before| before.last_good.clone());
        self.publish(Snapshot {
            at: now,
            outcome: Err(error),
            record: None,
            last_good,
            sources: Vec::new(),
            ready_replicas: None,
            trouble: None,
            capacity: None,
        });
    }

    fn publish(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        self.snapshot.store(Some(snapshot.clone()));
        self.version.send_modify(|version| *version += 1);
        snapshot
    }
}

fn decided(record: DecisionRecord, last_good: Option<Arc<DecisionRecord>>, observed: &Observed) -> Snapshot {
    let outcome = record.desired.ok_or_else(|| {
        EngineError::Decision(record.error.clone().unwrap_or_else(|| crate::core::decision::DecisionError {
            code: "UNAVAILABLE".to_owned(),
            reason: record.reason.clone(),
        }))
    });
    let at = record.at;
    let record = Arc::new(record);
    Snapshot {
        at,
        last_good: if outcome.is_ok() { Some(record.clone()) } else { last_good },
        outcome,
        record: Some(record),
        sources: observed.sources.clone(),
        ready_replicas: observed.observation.replicas.as_ref().map(|replicas| replicas.ready),
        trouble: None,
        capacity: observed.capacity.clone(),
    }
}

/// The core refused the observation: what was decided before holds, and ages.
fn refused(before: Option<&Snapshot>, trouble: String, observed: &Observed) -> Snapshot {
    match before {
        Some(before) => {
            Snapshot { trouble: Some(trouble), sources: observed.sources.clone(), ..before.clone() }
        }
        None => Snapshot {
            at: observed.observation.at,
            outcome: Err(EngineError::Decision(crate::core::decision::DecisionError {
                code: "UNAVAILABLE".to_owned(),
                reason: format!("the first observation cannot be used: {trouble}"),
            })),
            record: None,
            last_good: None,
            sources: observed.sources.clone(),
            ready_replicas: None,
            trouble: Some(trouble),
            capacity: observed.capacity.clone(),
        },
    }
}

/// Stable for a ScaledObject whatever its metadata, in the characters that KEDA leaves as they are.
pub fn metric_name(namespace: &str, name: &str) -> String {
    let mut metric = String::with_capacity(12 + namespace.len() + name.len());
    metric.push_str("peakscaler");
    for part in [namespace, name] {
        metric.push('-');
        metric.extend(part.chars().map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => letter,
            _ => '-',
        }));
    }
    metric
}
