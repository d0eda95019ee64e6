//! The task that holds room: it follows the engine's snapshots, and writes while it holds the Lease.
//!
//! What is wished for is reckoned by every replica, so that the one that takes over knows the last minutes. Only the
//! holder of the Lease writes, first of all the list of what it holds, then the replicas.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::edge::{Edge, Order, WriteError};
use super::events::Told;
use super::findings::{existing, named_holder, of_entry};
use super::holds::{HolderId, Holds};
use super::lease;
use super::permit::{Permit, permit};
use super::wish::{LastWrite, Wish, to_write};
use crate::clock::{Clock, later, seconds_between};
use crate::engine::{Engine, Entry};
use crate::observe::WorkloadId;
use crate::observe::cluster::facts::{CapacityFacts, HolderFacts, Named};
use crate::telemetry::catalogue;
use crate::trigger::Mode;

/// How often snapshots are looked at: pods that come must not be bought room for twice.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the list of workloads is read.
const LIST_EVERY_SECONDS: f64 = 3.0;
/// How often findings are looked at for events.
const TELL_EVERY_SECONDS: f64 = 10.0;
/// Room is held for this long unless renewed.
const HELD_FOR: Duration = Duration::from_mins(10);
/// It is renewed when less than this is left.
const RENEW_SECONDS: f64 = 300.0;
/// A watch that is broken for less than this is begun again: no doubt yet.
const DOUBT_SECONDS: f64 = 5.0;
/// A conflict that lasts longer than this is a failure.
const CONFLICT_SECONDS: f64 = 30.0;

/// How to coordinate.
#[derive(Debug, Clone)]
pub struct CoordinationOptions {
    /// The Lease that decides who writes.
    pub lease_name: String,
    /// Its namespace.
    pub lease_namespace: String,
    /// This process among its replicas.
    pub identity: String,
}

/// What was done for a workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HoldStatus {
    /// Room wanted, in pods.
    pub wished: Option<u32>,
    /// Room written last by this process, in pods.
    pub written: Option<u32>,
    /// When.
    pub written_at: Option<Timestamp>,
    /// Why it cannot be written.
    pub error: Option<String>,
}

/// What is known of coordination; cheap to clone. Off until a [`Coordinator`] is started on it.
#[derive(Debug, Clone, Default)]
pub struct Coordination(Arc<Board>);

#[derive(Debug, Default)]
struct Board {
    is_on: AtomicBool,
    is_leader: AtomicBool,
    holds: Mutex<HashMap<WorkloadId, HoldStatus>>,
}

impl Coordination {
    /// Whether this process may write, should it hold the Lease.
    pub fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Acquire)
    }

    /// Whether it holds the Lease.
    pub fn is_leader(&self) -> bool {
        self.0.is_leader.load(Ordering::Acquire)
    }

    /// What was done for a workload.
    pub fn hold_of(&self, workload: &WorkloadId) -> Option<HoldStatus> {
        self.0.holds.lock().unwrap_or_else(PoisonError::into_inner).get(workload).cloned()
    }

    fn update(&self, workload: &WorkloadId, change: impl FnOnce(&mut HoldStatus)) {
        let mut holds = self.0.holds.lock().unwrap_or_else(PoisonError::into_inner);
        change(holds.entry(workload.clone()).or_default());
    }

    fn retain(&self, is_there: impl Fn(&WorkloadId) -> bool) {
        self.0.holds.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| is_there(id));
    }
}

/// The running task.
pub struct Coordinator {
    task: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
}

impl Coordinator {
    /// Starts coordinating what `engine` decides, in `client`'s cluster.
    pub fn start(
        coordination: &Coordination,
        engine: Engine,
        client: Client,
        options: CoordinationOptions,
    ) -> Self {
        coordination.0.is_on.store(true, Ordering::Release);
        let stop = CancellationToken::new();
        let task = Task {
            clock: engine.clock().clone(),
            edge: Edge::new(client.clone(), &options),
            board: coordination.clone(),
            engine,
            workloads: BTreeMap::new(),
            listed_at: None,
            told: Told::default(),
            told_at: None,
            term: None,
            said_no_karpenter: false,
        };
        let task = tokio::spawn(task.run(client, options, stop.clone()));
        Self { task, stop }
    }

    /// Gives the Lease back and ends; what is held stays, for the successor.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

struct Task {
    clock: Clock,
    engine: Engine,
    edge: Edge,
    board: Coordination,
    workloads: BTreeMap<WorkloadId, Coordinated>,
    listed_at: Option<Timestamp>,
    told: Told,
    told_at: Option<Timestamp>,
    /// `None` while another process holds the Lease.
    term: Option<Term>,
    said_no_karpenter: bool,
}

/// The time for which the Lease is held.
#[derive(Default)]
struct Term {
    holds: Holds,
    /// Written in this term.
    mine: HashSet<HolderId>,
    kept: String,
}

/// A workload whose trigger names what holds room.
struct Coordinated {
    holder: HolderId,
    entries: Vec<Arc<Entry>>,
    wish: Wish,
    last: Option<LastWrite>,
    conflict_since: Option<Timestamp>,
}

/// What is to be written for one workload.
struct Due {
    workload: Option<WorkloadId>,
    holder: HolderId,
    order: Order,
}

impl Task {
    async fn run(mut self, client: Client, options: CoordinationOptions, stop: CancellationToken) {
        let (sender, holds_lease) = watch::channel(false);
        let lease = tokio::spawn(lease::follow(client, options, self.clock.clone(), sender, stop.clone()));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.clock.sleep(LOOK_EVERY) => {}
            }
            let holds = *holds_lease.borrow();
            self.take_or_leave_office(holds).await;
            let now = self.clock.now();
            self.list(now);
            let due = self.due(now);
            if self.term.is_some() {
                self.write(due, now).await;
                self.tell(now).await;
            }
        }
        let _ = lease.await;
        self.board.0.is_leader.store(false, Ordering::Release);
        catalogue::LEADER.set(0.0);
    }

    async fn take_or_leave_office(&mut self, holds_lease: bool) {
        match (holds_lease, self.term.is_some()) {
            (true, false) => match self.edge.read_holds().await {
                Ok(holds) => {
                    let kept = holds.to_text();
                    tracing::info!(held = kept, "coordinating: this process holds the Lease");
                    self.term = Some(Term { holds, kept, ..Term::default() });
                }
                Err(error) => tracing::debug!(%error, "the list of what is held cannot be read"),
            },
            (false, true) => {
                tracing::info!("another process coordinates");
                self.term = None;
            }
            _ => {}
        }
        let is_leader = self.term.is_some();
        if self.board.0.is_leader.swap(is_leader, Ordering::AcqRel) != is_leader {
            catalogue::LEADER.set(f64::from(u8::from(is_leader)));
        }
    }

    /// Finds the workloads that name what holds room.
    fn list(&mut self, now: Timestamp) {
        if self.listed_at.is_some_and(|at| seconds_between(at, now) < LIST_EVERY_SECONDS) {
            return;
        }
        self.listed_at = Some(now);
        let mut found: BTreeMap<WorkloadId, (HolderId, Vec<Arc<Entry>>)> = BTreeMap::new();
        for entry in self.engine.newest_entries() {
            let Some(accepted) = entry.accepted().filter(|one| one.trigger.mode == Mode::Act) else {
                continue;
            };
            let Some((kind, name)) = named_holder(&accepted.trigger) else { continue };
            let id = entry.id().clone();
            let holder = HolderId { kind, namespace: id.namespace.clone(), name: name.to_owned() };
            let (known, entries) = found.entry(id).or_insert_with(|| (holder.clone(), Vec::new()));
            if *known == holder {
                entries.push(entry);
            }
        }
        // Of two workloads that name the same, the first by name has it; the annotation tells the other.
        let mut taken = HashSet::new();
        found.retain(|_, (holder, _)| taken.insert(holder.clone()));
        self.board.retain(|id| found.contains_key(id));
        self.workloads.retain(|id, known| found.get(id).is_some_and(|(holder, _)| *holder == known.holder));
        for (id, (holder, entries)) in found {
            let known = self.workloads.entry(id).or_insert_with(|| Coordinated {
                holder,
                entries: Vec::new(),
                wish: Wish::default(),
                last: None,
                conflict_since: None,
            });
            known.entries = entries;
        }
    }

    /// What is to be written now, for all workloads and for what nobody wishes for any more.
    fn due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        let mut has_no_karpenter = false;
        for (id, workload) in &mut self.workloads {
            let Some(facts) = workload.facts() else { continue };
            has_no_karpenter |= facts.has_karpenter == Some(false);
            let Some(wished) = workload.wished(&facts, now) else { continue };
            self.board.update(id, |status| status.wished = Some(wished));
            if let Some(order) = workload.order(id, &facts, wished, now) {
                due.push(Due { workload: Some(id.clone()), holder: workload.holder.clone(), order });
            }
        }
        if has_no_karpenter && !self.said_no_karpenter {
            self.said_no_karpenter = true;
            tracing::info!("there is no Karpenter in this cluster: nodes are not coordinated");
        }
        if let Some(term) = &self.term {
            let wished = |holder: &HolderId| self.workloads.values().any(|known| known.holder == *holder);
            let given_back = term.holds.to_give_back(wished, |holder| term.mine.contains(holder), now);
            due.extend(given_back.into_iter().map(|holder| Due {
                workload: None,
                holder,
                order: Order {
                    replicas: 0,
                    workload: None,
                    expires: now,
                    resource_version: None,
                    takes_over: false,
                },
            }));
        }
        due
    }

    async fn write(&mut self, due: Vec<Due>, now: Timestamp) {
        let Some(term) = &mut self.term else { return };
        for one in due.iter().filter(|one| one.order.replicas > 0) {
            term.holds.note(&one.holder, one.order.replicas, one.order.expires);
        }
        if !keep(&self.edge, term).await && due.iter().any(|one| one.order.replicas > 0) {
            // A successor would not know of it: nothing new is held.
            return;
        }
        let edge = &self.edge;
        let writes = due.iter().map(|one| edge.write(&one.holder, &one.order));
        let results = futures::future::join_all(writes).await;
        for (one, result) in due.iter().zip(results) {
            self.note(one, result, now);
        }
        if let Some(term) = &mut self.term {
            keep(&self.edge, term).await;
        }
    }

    fn note(&mut self, one: &Due, result: Result<(), WriteError>, now: Timestamp) {
        let Some(term) = &mut self.term else { return };
        let replicas = one.order.replicas;
        let workload = one.workload.as_ref().and_then(|id| self.workloads.get_mut(id));
        match &result {
            Ok(()) => {
                catalogue::HOLD_WRITES.count_with("written");
                term.holds.note(&one.holder, replicas, one.order.expires);
                term.mine.insert(one.holder.clone());
                tracing::info!(holder = %one.holder, replicas, "room is held");
            }
            Err(WriteError::Gone | WriteError::Owned(_)) => {
                catalogue::HOLD_WRITES.count_with("refused");
                term.holds.forget(&one.holder);
            }
            Err(WriteError::Changed) => catalogue::HOLD_WRITES.count_with("conflict"),
            Err(WriteError::Failed(error)) => {
                catalogue::HOLD_WRITES.count_with("failed");
                tracing::debug!(holder = %one.holder, error, "room cannot be held");
            }
        }
        let (Some(workload), Some(id)) = (workload, &one.workload) else { return };
        if result.is_ok() {
            workload.last = Some(LastWrite { at: now, replicas });
            workload.conflict_since = None;
        }
        let error = match result {
            Ok(()) => None,
            Err(WriteError::Changed) => {
                let since = *workload.conflict_since.get_or_insert(now);
                (seconds_between(since, now) > CONFLICT_SECONDS).then(|| WriteError::Changed.to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        self.board.update(id, |status| {
            if let Some(last) = workload.last {
                (status.written, status.written_at) = (Some(last.replicas), Some(last.at));
            }
            status.error = error;
        });
    }

    /// Tells what is found as events on the ScaledObjects.
    async fn tell(&mut self, now: Timestamp) {
        if self.told_at.is_some_and(|at| seconds_between(at, now) < TELL_EVERY_SECONDS) {
            return;
        }
        self.told_at = Some(now);
        self.told.tidy(now);
        for entry in self.engine.newest_entries() {
            let facts = entry.snapshot().and_then(|snapshot| snapshot.capacity.clone());
            let uid =
                facts.as_ref().and_then(|facts| facts.scaled_object.found().map(|object| object.uid.clone()));
            let Some(uid) = uid else { continue };
            let findings = of_entry(&entry, &self.board, now);
            for finding in self.told.due(now, entry.id(), &findings) {
                tracing::info!(workload = %entry.id(), finding = finding.kind.word(), "{}", finding.text);
                let outcome = match self.edge.tell(entry.id(), &uid, &finding).await {
                    Ok(()) => "written",
                    Err(error) => {
                        tracing::debug!(%error, "an event cannot be written");
                        "failed"
                    }
                };
                catalogue::EVENTS.count_with(outcome);
            }
        }
    }
}

/// Keeps the list of holds on the Lease where it changed; true when it stands there.
async fn keep(edge: &Edge, term: &mut Term) -> bool {
    let text = term.holds.to_text();
    if text == term.kept {
        return true;
    }
    match edge.keep_holds(&text).await {
        Ok(()) => {
            term.kept = text;
            true
        }
        Err(error) => {
            tracing::debug!(%error, "the list of what is held cannot be kept");
            false
        }
    }
}

impl Coordinated {
    fn facts(&self) -> Option<Arc<CapacityFacts>> {
        self.entries.iter().find_map(|entry| entry.snapshot()?.capacity.clone())
    }

    /// Room wanted, in pods; `None` while that is not known: then it stays as it is.
    fn wished(&mut self, facts: &CapacityFacts, now: Timestamp) -> Option<u32> {
        let is_gone = facts.scaled_object == Named::Missing || facts.target == Named::Missing;
        if is_gone {
            return facts.broken_since.is_none().then_some(0);
        }
        let mut ahead = 0;
        let mut there = None;
        for entry in &self.entries {
            let snapshot = entry.snapshot()?;
            snapshot.outcome.as_ref().ok()?;
            let record = snapshot.record.as_ref()?;
            ahead = ahead.max(record.ahead);
            there = there.max(existing(record));
        }
        Some(self.wish.step(now, ahead, there?))
    }

    fn order(&self, id: &WorkloadId, facts: &CapacityFacts, wished: u32, now: Timestamp) -> Option<Order> {
        let named = Some((self.holder.kind, self.holder.name.as_str()));
        let Permit { present, takes_over } = permit(facts, named, id, now).ok()??;
        let holder = facts.holder.found()?;
        // What was written may not have been seen yet.
        let unseen = self.last.filter(|last| facts.at.is_none_or(|at| at < last.at));
        let present = unseen.map_or(present, |last| last.replicas);
        let in_doubt = facts.broken_since.is_some_and(|since| seconds_between(since, now) > DOUBT_SECONDS);
        let replicas = to_write(now, wished, present, self.last, in_doubt)
            .or_else(|| (wished == present && self.is_to_be_renewed(holder, now)).then_some(wished))?;
        Some(Order {
            replicas,
            workload: Some(id.to_string()),
            expires: later(now, HELD_FOR),
            resource_version: holder.resource_version.clone().filter(|_| unseen.is_none()),
            takes_over,
        })
    }

    /// A buffer that holds room and whose time is nearly over.
    fn is_to_be_renewed(&self, holder: &HolderFacts, now: Timestamp) -> bool {
        if holder.replicas == 0 || self.last.is_some_and(|last| seconds_between(last.at, now) < RENEW_SECONDS)
        {
            return false;
        }
        holder.expires.is_none_or(|expires| seconds_between(now, expires) < RENEW_SECONDS)
    }
}

#[cfg(test)]
mod tests;
