//! One watch on one kind of object: what it has seen, how it is doing, and its return after a failure.
//!
//! A watch that fails is begun again with a fresh list, after a wait with jitter: only a completed list proves
//! that what is kept is true again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use kube::api::Api;
use kube::core::Status;
use kube::runtime::reflector::{Lookup, ObjectRef, Store, store::Writer};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::observe::poll::{Listeners, Task, lock};

/// The first bound of the random wait before a failed watch is begun again; it doubles up to the longest.
const FIRST_WAIT_SECONDS: f64 = 1.0;
const LONGEST_WAIT_SECONDS: f64 = 30.0;

/// What every watch needs.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) runtime: Handle,
}

/// Tells views that something changed.
#[derive(Default)]
pub(super) struct Changes {
    version: AtomicU64,
    pub(super) listeners: Listeners,
}

impl Changes {
    /// Changes with every change.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    fn note(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.listeners.wake();
    }
}

/// How a watch is doing.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// A list was completed: what is kept was true at least once.
    pub(super) is_listed: bool,
    /// Since when it is broken, and why.
    pub(super) broken: Option<(Timestamp, String)>,
    /// The cluster knows no such kind.
    pub(super) is_absent: bool,
}

/// A watch and what it has seen.
pub(super) struct Watch<K: Lookup + Clone + 'static>
where
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    kind: K::DynamicType,
    pub(super) store: Store<K>,
    standing: Arc<Mutex<Standing>>,
    _task: Task,
}

impl<K> Watch<K>
where
    K: Resource + Clone + DeserializeOwned + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone + Send + Sync + 'static,
{
    pub(super) fn start(
        context: &Context,
        api: Api<K>,
        kind: K::DynamicType,
        changes: &Arc<Changes>,
        keep: fn(&mut K),
    ) -> Self {
        Self::start_with(context, api, kind, changes, keep, watcher::Config::default())
    }

    /// Of those objects alone that `config` selects.
    pub(super) fn start_with(
        context: &Context,
        api: Api<K>,
        kind: K::DynamicType,
        changes: &Arc<Changes>,
        keep: fn(&mut K),
        config: watcher::Config,
    ) -> Self {
        let writer = Writer::new(kind.clone());
        let store = writer.as_reader();
        let standing = Arc::<Mutex<Standing>>::default();
        let follower = Follower {
            clock: context.clock.clone(),
            resource: format!("{}.{}", K::plural(&kind), K::group(&kind)).trim_end_matches('.').to_owned(),
            store: store.clone(),
            kind: kind.clone(),
            writer,
            standing: standing.clone(),
            changes: changes.clone(),
            keep,
        };
        let task = context.runtime.spawn(follower.follow(api, config));
        Self { kind, store, standing, _task: Task::new(task) }
    }

    pub(super) fn get(&self, name: &str, namespace: &str) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::new_with(name, self.kind.clone()).within(namespace))
    }

    pub(super) fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }
}

/// The task behind a watch.
struct Follower<K: Lookup + Clone + 'static>
where
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    clock: Clock,
    resource: String,
    store: Store<K>,
    kind: K::DynamicType,
    writer: Writer<K>,
    standing: Arc<Mutex<Standing>>,
    changes: Arc<Changes>,
    keep: fn(&mut K),
}

impl<K> Follower<K>
where
    K: Resource + Clone + DeserializeOwned + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    async fn follow(mut self, api: Api<K>, config: watcher::Config) {
        let mut failures = 0_i32;
        loop {
            let mut events = std::pin::pin!(watcher::watcher(api.clone(), config.clone()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        if matches!(event, Event::InitDone) {
                            failures = 0;
                        }
                        self.take_in(&event.modify(self.keep));
                    }
                    Err(error) => {
                        self.broke(&error);
                        break;
                    }
                }
            }
            failures = (failures + 1).min(16);
            let bound = (FIRST_WAIT_SECONDS * 2_f64.powi(failures - 1)).min(LONGEST_WAIT_SECONDS);
            self.clock.sleep(Duration::from_secs_f64(bound * rand::random::<f64>())).await;
        }
    }

    fn take_in(&mut self, event: &Event<K>) {
        let is_news = match event {
            Event::Apply(object) => self.kept(object).as_deref() != Some(object),
            Event::Delete(_) | Event::InitDone => true,
            Event::Init | Event::InitApply(_) => false,
        };
        self.writer.apply_watcher_event(event);
        if matches!(event, Event::InitDone) {
            *lock(&self.standing) = Standing { is_listed: true, ..Standing::default() };
        }
        if is_news {
            self.changes.note();
        }
    }

    fn kept(&self, object: &K) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::from_obj_with(object, self.kind.clone()))
    }

    fn broke(&self, error: &watcher::Error) {
        let code = status(error).map(|status| status.code);
        let advice =
            if code == Some(403) { ": the service account needs get, list and watch on them" } else { "" };
        let message = format!("{} cannot be watched: {}{advice}", self.resource, words(error));
        let mut standing = lock(&self.standing);
        // The API server knows no such path: the kind is not installed.
        let is_absent = code == Some(404);
        if standing.broken.is_none() && !is_absent {
            tracing::warn!(error = %message, "a watch ended");
        } else {
            tracing::debug!(error = %message, "a watch ended");
        }
        let since = standing.broken.take().map_or_else(|| self.clock.now(), |(since, _)| since);
        *standing = Standing { is_listed: standing.is_listed, broken: Some((since, message)), is_absent };
        drop(standing);
        self.changes.note();
    }
}

/// What the API server answered, where it answered.
fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => {
            if let kube::Error::Api(status) = error {
                Some(status)
            } else {
                None
            }
        }
        watcher::Error::WatchError(status) => Some(status),
        watcher::Error::NoResourceVersion => None,
    }
}

/// An error for a person: the API server's own words, where there are any.
fn words(error: &watcher::Error) -> String {
    status(error).map_or_else(|| error.to_string(), |status| status.message.clone())
}
