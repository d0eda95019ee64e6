//! One task a set of sources: observe, let the core decide, swap in a snapshot.
//!
//! In come requests that name a workload (namespace, name, metadata); out come [`Entry`]s whose
//! snapshot the edges read without waiting. This is the only place where observing and deciding
//! meet. A request starts what it names: there is no other registration, and what is no longer
//! asked for is dropped.
//!
//! Metadata identifies an entry, because KEDA's request does not say which trigger of a
//! ScaledObject it means. Two triggers are two entries. An edited trigger is a new entry that
//! inherits what the one before it on the same backlog had learned; the old one falls idle. Entries
//! whose sources are equal share one task and one view on the sources, so that nothing is counted
//! twice.

mod calendars;
mod entry;
mod error;
mod feed;
mod knowledge;
pub mod learning;
mod metadata;
mod registry;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, seconds_between};
use crate::core::Workload;
use crate::observe::{Sources, WorkloadId};
use crate::telemetry::RecordSink;
use crate::telemetry::catalogue;
use crate::trigger::Trigger;

pub use entry::{Accepted, Answer, Entry, Snapshot, Subject, metric_name};
pub use error::EngineError;
use feed::Feed;
pub use knowledge::Knowledge;
use registry::Registry;

/// How the engine runs. The defaults are those of `serve`.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Longest time between two decisions of a workload.
    pub tick: Duration,
    /// A workload not asked for in this time is dropped.
    pub idle_after: Duration,
    /// The same for metadata that was edited since.
    pub superseded_after: Duration,
    /// A workload younger than this keeps a caller waiting for its first number.
    pub first_answer_within: Duration,
    /// Most workloads at a time, invalid ones included.
    pub max_workloads: usize,
    /// Where sources are read and decisions taken; by default where the engine is started. On a
    /// runtime of their own they keep no request waiting.
    pub deciders: Option<tokio::runtime::Handle>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(5),
            idle_after: Duration::from_mins(15),
            superseded_after: Duration::from_mins(2),
            first_answer_within: Duration::from_secs(2),
            max_workloads: 10_000,
            deciders: None,
        }
    }
}

/// The running engine. Cheap to clone; stops when [`Engine::stop`] is called.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    options: EngineOptions,
    clock: Clock,
    sources: Arc<dyn Sources>,
    records: Option<RecordSink>,
    knowledge: Knowledge,
    learners: learning::Learners,
    registry: Registry,
    /// Taken only to add and to drop; requests for known workloads never touch it.
    index: Mutex<Index>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Index {
    entries: HashMap<WorkloadId, Vec<Arc<Entry>>>,
    count: usize,
}

impl Engine {
    /// Starts the engine and the task that drops idle workloads. Needs a tokio runtime.
    pub fn start(
        options: EngineOptions,
        sources: Arc<dyn Sources>,
        clock: Clock,
        records: Option<RecordSink>,
    ) -> Self {
        Self::start_knowing(options, sources, clock, records, Knowledge::default())
    }

    /// The same with past orders and calendars.
    pub fn start_knowing(
        options: EngineOptions,
        sources: Arc<dyn Sources>,
        clock: Clock,
        records: Option<RecordSink>,
        knowledge: Knowledge,
    ) -> Self {
        let engine = Self {
            shared: Arc::new(Shared {
                options,
                clock,
                sources,
                records,
                knowledge,
                learners: learning::Learners::default(),
                registry: Registry::new(),
                index: Mutex::default(),
                stop: CancellationToken::new(),
            }),
        };
        tokio::spawn(engine.clone().drop_idle());
        engine
    }

    /// Ends all tasks. Snapshots stay readable.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// The clock that decisions are taken by.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// How the engine runs.
    pub fn options(&self) -> &EngineOptions {
        &self.shared.options
    }

    /// The entry for a request, started when it is new; counts as asking for it.
    ///
    /// # Errors
    /// [`EngineError::TooManyWorkloads`]. Invalid metadata makes an entry, which answers the problems.
    pub fn entry(
        &self,
        namespace: &str,
        name: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Arc<Entry>, EngineError> {
        let key = self.shared.registry.key(namespace, name, metadata);
        let now = self.shared.clock.now();
        if let Some(entry) = self.shared.registry.get(key, namespace, name, metadata) {
            entry.touch(now);
            return Ok(entry);
        }
        self.add(key, namespace, name, metadata)
    }

    /// All entries, ordered by namespace and name.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.index().entries.values().flatten().cloned().collect();
        entries.sort_by(|a, b| a.id().cmp(b.id()).then(a.created_at().cmp(&b.created_at())));
        entries
    }

    /// The entries of one ScaledObject, oldest first; empty when it is not known.
    pub fn entries_of(&self, id: &WorkloadId) -> Vec<Arc<Entry>> {
        self.index().entries.get(id).cloned().unwrap_or_default()
    }

    /// The entries that speak now, one a workload and queue: after an edit the newest that was asked for.
    pub fn newest_entries(&self) -> Vec<Arc<Entry>> {
        let mut newest: BTreeMap<(WorkloadId, String), Arc<Entry>> = BTreeMap::new();
        for entry in self.entries() {
            let Some(accepted) = entry.accepted() else { continue };
            let key = (entry.id().clone(), accepted.queue.clone());
            let is_newer = newest.get(&key).is_none_or(|other| other.asked_at() <= entry.asked_at());
            if is_newer {
                newest.insert(key, entry);
            }
        }
        newest.into_values().collect()
    }

    /// Entries at present.
    pub fn count(&self) -> usize {
        self.index().count
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.shared.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(
        &self,
        key: u64,
        namespace: &str,
        name: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Arc<Entry>, EngineError> {
        // Parsed before the lock: validation is the expensive part.
        let subject = Subject::parse(metadata);
        let id = WorkloadId { namespace: namespace.to_owned(), name: name.to_owned() };
        let mut index = self.index();
        if let Some(entry) = self.shared.registry.get(key, namespace, name, metadata) {
            return Ok(entry);
        }
        let maximum = self.shared.options.max_workloads;
        if index.count >= maximum {
            catalogue::WORKLOADS_REFUSED.count();
            return Err(EngineError::TooManyWorkloads { maximum });
        }
        let siblings = index.entries.get(&id).map_or(&[][..], Vec::as_slice);
        let state = match &subject {
            Subject::Accepted(accepted) => Some(inherited(&accepted.trigger, siblings)),
            Subject::Rejected(problems) => {
                tracing::warn!(workload = %id, problems = problems.join("; "), "metadata is invalid");
                None
            }
        };
        let entry = Arc::new(Entry::new(key, id.clone(), metadata, subject, state, self.shared.clock.now()));
        if let Some(accepted) = entry.accepted() {
            for warning in &accepted.warnings {
                tracing::warn!(workload = %id, warning, "metadata");
            }
            self.feed_for(&entry, accepted, siblings);
            self.learn(&entry);
            tracing::info!(workload = %id, queue = accepted.queue, "observing");
        }
        self.shared.registry.insert(key, entry.clone());
        index.entries.entry(id).or_default().push(entry.clone());
        index.count += 1;
        Ok(entry)
    }

    /// Joins the task that already reads the same sources, or starts one.
    fn feed_for(&self, entry: &Arc<Entry>, accepted: &Arc<Accepted>, siblings: &[Arc<Entry>]) {
        let running = siblings.iter().rev().find_map(|sibling| {
            let same =
                sibling.accepted().is_some_and(|other| same_sources(&other.trigger, &accepted.trigger));
            same.then(|| sibling.feed()).flatten()
        });
        if let Some(feed) = running
            && feed.join(entry)
        {
            return;
        }
        let feed = Feed::new(self.shared.stop.child_token());
        feed.join(entry);
        let task = feed::run(feed, self.clone(), entry.id().clone(), accepted.clone());
        match &self.shared.options.deciders {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        };
    }

    /// Begins to learn a forecast, beside the decisions. What was inherited goes on.
    fn learn(&self, entry: &Arc<Entry>) {
        if entry.has_forecast() {
            entry.stop_keeping_news();
            return;
        }
        let task = learning::run(self.clone(), entry.clone());
        match &self.shared.options.deciders {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        };
    }

    /// Takes an entry out; its task ends when it was the last one on it.
    fn remove(&self, entry: &Arc<Entry>, reason: &'static str) {
        let mut index = self.index();
        let Some(siblings) = index.entries.get_mut(entry.id()) else { return };
        let before = siblings.len();
        siblings.retain(|sibling| !Arc::ptr_eq(sibling, entry));
        let removed = before - siblings.len();
        if siblings.is_empty() {
            index.entries.remove(entry.id());
        }
        index.count -= removed;
        self.shared.registry.remove(entry.key());
        drop(index);
        entry.end();
        if removed > 0 {
            catalogue::WORKLOADS_DROPPED.count_with(reason);
            tracing::info!(workload = %entry.id(), reason, "no longer observing");
        }
    }

    async fn drop_idle(self) {
        let period = (self.shared.options.superseded_after / 4).max(Duration::from_millis(10));
        loop {
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = self.shared.clock.sleep(period) => {}
            }
            for entry in self.idle_entries() {
                self.remove(&entry, "idle");
            }
        }
    }

    fn idle_entries(&self) -> Vec<Arc<Entry>> {
        let now = self.shared.clock.now();
        let options = &self.shared.options;
        let index = self.index();
        let mut idle = Vec::new();
        for siblings in index.entries.values() {
            for (position, entry) in siblings.iter().enumerate() {
                // The one asked for last is in force, also when an edit was undone.
                let superseded = siblings.iter().enumerate().any(|(place, other)| {
                    let is_newer = (other.asked_at(), place) > (entry.asked_at(), position);
                    is_newer && other.replaces(entry)
                });
                let limit = if superseded { options.superseded_after } else { options.idle_after };
                if seconds_between(entry.asked_at(), now) > limit.as_secs_f64() {
                    idle.push(entry.clone());
                }
            }
        }
        idle
    }
}

/// What the newest entry on the same backlog knows, under the new policy; otherwise a fresh start.
fn inherited(trigger: &Trigger, siblings: &[Arc<Entry>]) -> Workload {
    let learned = siblings.iter().rev().find_map(|sibling| {
        let same = sibling.accepted().is_some_and(|other| other.trigger.backlog == trigger.backlog);
        same.then(|| sibling.learned()).flatten()
    });
    match learned {
        Some(mut workload) => {
            if workload.policy().time_zone != trigger.policy.time_zone {
                // Its days began at other moments.
                workload.forget_forecast();
            }
            workload.set_policy(trigger.policy.clone());
            workload
        }
        None => Workload::new(trigger.policy.clone()),
    }
}

/// Whether two triggers read the very same sources. Of the policy `staleAfter` plays a part, and the lead times, which
/// stand for those not measured yet.
fn same_sources(a: &Trigger, b: &Trigger) -> bool {
    let reading = |trigger: &Trigger| {
        let stale_after_seconds = trigger.policy.stale_after_seconds;
        let policy = crate::core::Policy {
            stale_after_seconds,
            pod_lead_seconds: trigger.policy.pod_lead_seconds,
            node_lead_seconds: trigger.policy.node_lead_seconds,
            ..crate::core::Policy::default()
        };
        Trigger { policy: policy.into(), mode: crate::trigger::Mode::Act, ..trigger.clone() }
    };
    reading(a) == reading(b)
}
