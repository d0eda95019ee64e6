//! `PeakCalendar`s of the namespaces in which somebody is observed: watched, put in force, and told what
//! became of them in their status.
//!
//! A tenant's calendar counts in its own namespace alone. One that says something wrong is not in force,
//! and its status says what; the others of the namespace go on. Every replica of ours watches and writes
//! the same status, so a status is written only when it says something new.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio::task::JoinHandle;

use super::live::Calendars;
use super::resource::{CalendarStatus, Condition, EntryStatus};
use crate::clock::{Clock, seconds_between};
use crate::core::demand::calendar::{Calendar, CalendarSpec, EntryEffect};

/// From one look at which namespaces are observed to the next, and between statuses.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After a watch that failed; the kind may not be installed, or not be allowed to be watched.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// A status that differs from ours by less is another replica's, and as good.
const SAME_SHARE: f64 = 0.1;
/// Measured uplifts are looked up again after this time: a history is read for them.
const MEASURED_EVERY_SECONDS: f64 = 600.0;
/// Most entries that a status tells of.
const MOST_TOLD: usize = 50;

/// Whoever plans with calendars.
pub trait CalendarUsers: Send + Sync {
    /// Namespaces in which somebody is observed.
    fn namespaces(&self) -> Vec<String>;
    /// Names of the observed `ScaledObject`s of a namespace, ascending.
    fn workloads(&self, namespace: &str) -> Vec<String>;
    /// What each entry of a calendar adds to the orders of a namespace.
    fn effects(&self, namespace: &str, calendar: &Calendar) -> Vec<EntryEffect>;
    /// Measured uplifts of past entries by name and start, where a history is kept.
    fn measured(&self, namespace: String, calendar: Calendar) -> BoxFuture<'_, Vec<MeasuredUplift>>;
}

/// Name and start of an entry, and times the ordinary that came.
pub type MeasuredUplift = (String, Timestamp, f64);

/// Watches until the process ends.
pub async fn follow(client: Client, calendars: Calendars, users: Arc<dyn CalendarUsers>, clock: Clock) {
    let mut watches: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        let namespaces = users.namespaces();
        watches.retain(|namespace, watch| {
            let stays = namespaces.contains(namespace);
            if !stays {
                watch.abort();
                calendars.set_own(namespace, BTreeMap::new());
            }
            stays
        });
        for namespace in namespaces {
            watches.entry(namespace.clone()).or_insert_with(|| {
                let watch = Watch {
                    api: Api::namespaced_with(client.clone(), &namespace, &resource()),
                    namespace,
                    calendars: calendars.clone(),
                    users: users.clone(),
                    clock: clock.clone(),
                    objects: BTreeMap::new(),
                    listing: None,
                    measured: HashMap::new(),
                };
                tokio::spawn(watch.run())
            });
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

fn resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("peakscaler.io", "v1alpha1", "PeakCalendar"),
        "peakcalendars",
    )
}

/// The watch on one namespace.
struct Watch {
    namespace: String,
    api: Api<DynamicObject>,
    calendars: Calendars,
    users: Arc<dyn CalendarUsers>,
    clock: Clock,
    objects: BTreeMap<String, DynamicObject>,
    /// What a list under way has told so far.
    listing: Option<BTreeMap<String, DynamicObject>>,
    /// What was measured, when and for which calendar, by name.
    measured: HashMap<String, (Timestamp, Calendar, Vec<MeasuredUplift>)>,
}

impl Watch {
    async fn run(mut self) {
        let mut failed = false;
        loop {
            let mut events = Box::pin(watcher::watcher(self.api.clone(), watcher::Config::default()));
            let mut beat = self.clock.interval(LOOK_EVERY);
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    _ = beat.tick() => {
                        self.tell().await;
                        continue;
                    }
                };
                match event {
                    Some(Ok(event)) => {
                        failed = false;
                        if self.take_in(event) {
                            self.put_in_force();
                            self.tell().await;
                        }
                    }
                    Some(Err(error)) => {
                        if !failed {
                            tracing::warn!(
                                namespace = self.namespace, %error,
                                "PeakCalendars cannot be watched: apply manifests/peakcalendar.yaml, and let the service account get, list and watch them"
                            );
                        }
                        failed = true;
                        break;
                    }
                    None => break,
                }
            }
            // What is known stays in force meanwhile.
            self.clock.sleep(AGAIN_AFTER).await;
        }
    }

    /// Whether the set of calendars is another one now.
    fn take_in(&mut self, event: Event<DynamicObject>) -> bool {
        match event {
            Event::Init => self.listing = Some(BTreeMap::new()),
            Event::InitApply(object) => {
                self.listing.get_or_insert_default().insert(object.name_any(), object);
            }
            Event::InitDone => {
                self.objects = self.listing.take().unwrap_or_default();
                return true;
            }
            Event::Apply(object) => {
                let before = self.objects.insert(object.name_any(), object.clone());
                return before.is_none_or(|before| before.data["spec"] != object.data["spec"]);
            }
            Event::Delete(object) => return self.objects.remove(&object.name_any()).is_some(),
        }
        false
    }

    fn put_in_force(&self) {
        let valid = self.objects.iter().filter_map(|(name, object)| Some((name.clone(), read(object).ok()?)));
        let valid: BTreeMap<String, Calendar> = valid.collect();
        tracing::info!(
            namespace = self.namespace,
            found = self.objects.len(),
            in_force = valid.len(),
            "PeakCalendars are read"
        );
        self.calendars.set_own(&self.namespace, valid);
    }

    async fn tell(&mut self) {
        let names: Vec<String> = self.objects.keys().cloned().collect();
        for name in names {
            let Some(object) = self.objects.get(&name).cloned() else { continue };
            let before: CalendarStatus =
                serde_json::from_value(object.data["status"].clone()).unwrap_or_default();
            let status = self.status(&name, &object, &before).await;
            if is_same(&before, &status) {
                continue;
            }
            let patch = Patch::Merge(json!({ "status": status }));
            match self.api.patch_status(&name, &PatchParams::default(), &patch).await {
                Ok(patched) => {
                    self.objects.insert(name, patched);
                }
                Err(error) => tracing::warn!(
                    namespace = self.namespace, calendar = name, %error,
                    "a PeakCalendar's status cannot be written: let the service account patch peakcalendars/status"
                ),
            }
        }
    }

    async fn measure(&mut self, name: &str, calendar: &Calendar, now: Timestamp) -> Vec<MeasuredUplift> {
        if let Some((at, of, measured)) = self.measured.get(name)
            && of == calendar
            && seconds_between(*at, now) < MEASURED_EVERY_SECONDS
        {
            return measured.clone();
        }
        let measured = self.users.measured(self.namespace.clone(), calendar.clone()).await;
        self.measured.insert(name.to_owned(), (now, calendar.clone(), measured.clone()));
        measured
    }

    async fn status(
        &mut self,
        name: &str,
        object: &DynamicObject,
        before: &CalendarStatus,
    ) -> CalendarStatus {
        let now = self.clock.now();
        let read = read(object);
        let problems = read.as_ref().err().cloned().unwrap_or_default();
        let workloads = if problems.is_empty() { self.users.workloads(&self.namespace) } else { Vec::new() };
        let (mut entries, mut next) = (Vec::new(), None);
        if let Ok(calendar) = read {
            let measured = self.measure(name, &calendar, now).await;
            let effects = self.users.effects(&self.namespace, &calendar);
            next = effects.iter().filter(|effect| now < effect.to).min_by_key(|effect| effect.from).map(told);
            entries = effects.iter().take(MOST_TOLD).map(told).collect();
            for (effect, entry) in effects.iter().zip(&mut entries) {
                let own = measured.iter().find(|(name, from, _)| {
                    *name == effect.name && *from >= effect.from && *from < effect.to
                });
                entry.measured_uplift = own.map(|(.., uplift)| (uplift * 100.0).round() / 100.0);
            }
        }
        CalendarStatus {
            observed_generation: object.metadata.generation,
            conditions: vec![condition(&problems, before, now)],
            problems,
            workload_count: i64::try_from(workloads.len()).unwrap_or(i64::MAX),
            workloads,
            entries,
            next,
        }
    }
}

/// The calendar of an object, or everything that is wrong with it.
fn read(object: &DynamicObject) -> Result<Calendar, Vec<String>> {
    let spec = &object.data["spec"];
    let spec = if spec.is_null() {
        CalendarSpec::default()
    } else {
        serde_json::from_value(spec.clone()).map_err(|error| vec![format!("spec: {error}")])?
    };
    Calendar::new(&spec)
        .map_err(|problems| problems.iter().map(|problem| format!("spec.{problem}")).collect())
}

fn told(effect: &EntryEffect) -> EntryStatus {
    #[expect(clippy::cast_possible_truncation, reason = "counts of orders; a cast saturates")]
    let whole = |orders: f64| orders.round() as i64;
    EntryStatus {
        name: effect.name.clone(),
        from: effect.from.to_string(),
        to: effect.to.to_string(),
        ordinary_orders: effect.ordinary.map(whole),
        added_orders: effect.added.map(whole),
        measured_uplift: None,
    }
}

fn condition(problems: &[String], before: &CalendarStatus, now: Timestamp) -> Condition {
    let status = if problems.is_empty() { "True" } else { "False" };
    let earlier = before.conditions.iter().find(|one| one.kind == "Valid" && one.status == status);
    let (reason, message) = match problems {
        [] => ("InForce", "nothing is wrong".to_owned()),
        [only] => ("Wrong", only.clone()),
        [first, more @ ..] => ("Wrong", format!("{first}; and {} more, see problems", more.len())),
    };
    Condition {
        kind: "Valid".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: earlier.map_or_else(
            || Timestamp::from_second(now.as_second()).unwrap_or(now).to_string(),
            |earlier| earlier.last_transition_time.clone(),
        ),
    }
}

/// Whether a status says the same: figures may differ a little between replicas.
fn is_same(one: &CalendarStatus, other: &CalendarStatus) -> bool {
    let close = |one: Option<i64>, other: Option<i64>| match (one, other) {
        (Some(one), Some(other)) => {
            one.abs_diff(other) as f64
                <= SAME_SHARE * one.unsigned_abs().max(other.unsigned_abs()).max(10) as f64
        }
        (one, other) => one == other,
    };
    let entry = |one: &EntryStatus, other: &EntryStatus| {
        (&one.name, &one.from, &one.to, one.measured_uplift)
            == (&other.name, &other.from, &other.to, other.measured_uplift)
            && close(one.ordinary_orders, other.ordinary_orders)
            && close(one.added_orders, other.added_orders)
    };
    let next = match (&one.next, &other.next) {
        (Some(one), Some(other)) => entry(one, other),
        (one, other) => one == other,
    };
    next && one.observed_generation == other.observed_generation
        && one.conditions == other.conditions
        && one.problems == other.problems
        && one.workloads == other.workloads
        && one.entries.len() == other.entries.len()
        && one.entries.iter().zip(&other.entries).all(|(one, other)| entry(one, other))
}
