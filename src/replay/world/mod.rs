//! The centre itself: a queue served first in, first out, workers in pods, pods on nodes.
//!
//! A discrete-event simulation without an opinion: it is told how many replicas and how much
//! buffer are wanted ([`World::set_wanted`], [`World::set_buffer`]) and moved on by
//! [`World::advance_to`]. Whoever drives it (the replay at full speed, the demo in scaled real
//! time) reads its true state through the accessors, or what could be seen of it through
//! [`sensors`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::orders::{Orders, Stream, random};
use super::scenario::Scenario;
use super::units::{Millis, count, millis};

pub mod hpa;
mod leads;
mod nodes;
mod pods;
pub mod sensors;
mod tally;

pub use tally::{DayTally, Tally, day_of};

use leads::Leads;
use nodes::Fleet;
use pods::Pod;

/// A moment that has not come.
const NEVER: Millis = Millis::MAX;

/// What happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A pod has finished an order.
    Completed { pod: u32, order: u32 },
    /// The visibility time-out of an order whose worker was killed.
    Returned { order: u32 },
    /// A pod is Ready.
    PodReady { pod: u32 },
    /// A stopping pod's grace is over.
    GraceOver { pod: u32 },
    /// A node is Initialized.
    NodeReady { node: u32 },
    /// Karpenter's batch may be over.
    BatchOver,
    /// A node may have been empty for long enough.
    Consolidate,
}

/// What becomes of each order.
#[derive(Debug, Clone)]
pub struct Outcomes {
    /// Last start of work on each order; [`Millis::MAX`] when it was never begun.
    pub starts: Vec<Millis>,
    /// Completion of each order; [`Millis::MAX`] when it was not completed.
    pub completions: Vec<Millis>,
}

/// The simulated fulfilment centre.
#[derive(Debug, Clone)]
pub struct World {
    scenario: Arc<Scenario>,
    orders: Arc<Orders>,
    now: Millis,
    events: BinaryHeap<Reverse<(Millis, u32, Event)>>,
    sequence: u32,
    // the queue
    arrived: usize,
    fresh: usize,
    returned: BinaryHeap<Reverse<u32>>,
    in_flight: u32,
    outcomes: Outcomes,
    // the workers
    pods: Vec<Pod>,
    live: Vec<u32>,
    pending: VecDeque<u32>,
    idle: VecDeque<u32>,
    wanted: u32,
    pod_leads: ChaCha8Rng,
    // the nodes
    fleet: Fleet,
    tally: Tally,
    record: Record,
}

/// What sensors may later be asked about.
#[derive(Debug, Clone, Default)]
struct Record {
    /// Completions in the order in which they happened.
    completions: Vec<Millis>,
    pod_leads: Leads,
    node_leads: Leads,
}

impl World {
    /// A centre at the scenario's start, with `pods.initial` replicas ready on nodes.
    /// `node_limit` is the pool's limit in nodes.
    pub fn new(scenario: Arc<Scenario>, orders: Arc<Orders>, node_limit: Option<u32>) -> Self {
        let expected = orders.len();
        let mut world = Self {
            now: 0,
            events: BinaryHeap::with_capacity(1_024),
            sequence: 0,
            arrived: 0,
            fresh: 0,
            returned: BinaryHeap::new(),
            in_flight: 0,
            outcomes: Outcomes { starts: vec![NEVER; expected], completions: vec![NEVER; expected] },
            pods: Vec::new(),
            live: Vec::new(),
            pending: VecDeque::new(),
            idle: VecDeque::new(),
            wanted: 0,
            pod_leads: random(scenario.seed, Stream::Pods),
            fleet: Fleet::new(&scenario, node_limit),
            tally: Tally::new(scenario.scored_days()),
            record: Record { completions: Vec::with_capacity(expected), ..Record::default() },
            scenario,
            orders,
        };
        world.start_with_initial_pods();
        world
    }

    /// Moves the centre on to `time`, everything until then included.
    pub fn advance_to(&mut self, time: Millis) {
        loop {
            let arrival = self.orders.arrivals.get(self.arrived).copied().unwrap_or(NEVER);
            let event = self.events.peek().map_or(NEVER, |Reverse((at, _, _))| *at);
            let next = arrival.min(event);
            if next > time {
                break;
            }
            self.now = next;
            if arrival <= event {
                self.arrived += 1;
                self.serve();
            } else if let Some(Reverse((_, _, event))) = self.events.pop() {
                self.handle(event);
            }
        }
        self.now = self.now.max(time);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Completed { pod, order } => self.complete(pod, order),
            Event::Returned { order } => {
                self.in_flight -= 1;
                self.returned.push(Reverse(order));
                self.serve();
            }
            Event::PodReady { pod } => self.pod_is_ready(pod),
            Event::GraceOver { pod } => self.kill(pod),
            Event::NodeReady { node } => self.node_is_ready(node),
            Event::BatchOver => self.batch_may_be_over(),
            Event::Consolidate => self.consolidate(),
        }
    }

    fn schedule(&mut self, at: Millis, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    /// Gives waiting orders, the first in line first, to idle workers.
    fn serve(&mut self) {
        while self.returned.peek().is_some() || self.fresh < self.arrived {
            let Some(pod) = self.next_idle() else { return };
            let order = if let Some(Reverse(order)) = self.returned.pop() {
                order
            } else {
                self.fresh += 1;
                count(self.fresh - 1)
            };
            self.begin(pod, order);
        }
    }

    fn begin(&mut self, pod: u32, order: u32) {
        let index = order as usize;
        self.outcomes.starts[index] = self.now;
        let service = &self.scenario.service;
        let work = service.mean_seconds * f64::from(self.orders.work[index]) * service.factor(self.now);
        self.in_flight += 1;
        self.pods[pod as usize].begin(order, self.now);
        self.schedule(self.now + millis(work).max(1), Event::Completed { pod, order });
    }

    fn complete(&mut self, pod: u32, order: u32) {
        if !self.pods[pod as usize].finish(order) {
            return; // the pod was killed
        }
        let started = self.outcomes.starts[order as usize];
        self.outcomes.completions[order as usize] = self.now;
        self.record.completions.push(self.now);
        self.in_flight -= 1;
        self.tally.worked(self.now, self.now - started);
        self.worker_is_free(pod);
        self.serve();
    }

    /// Now.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The scenario that is simulated.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Orders in the queue that nobody works on.
    pub fn waiting(&self) -> u32 {
        count(self.arrived - self.fresh + self.returned.len())
    }

    /// Orders in work, and those of killed workers until their visibility time-out.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Orders waiting or in flight.
    pub fn backlog(&self) -> u32 {
        self.waiting() + self.in_flight()
    }

    /// Orders arrived since the start.
    pub fn arrived(&self) -> u32 {
        count(self.arrived)
    }

    /// Orders completed since the start.
    pub fn completed(&self) -> u32 {
        count(self.record.completions.len())
    }

    /// Orders that arrived in `[from, to)`, as far as time has come.
    pub fn arrivals_between(&self, from: Millis, to: Millis) -> u32 {
        between(&self.orders.arrivals[..self.arrived], from, to)
    }

    /// Orders completed in `[from, to)`, as far as time has come.
    pub fn completions_between(&self, from: Millis, to: Millis) -> u32 {
        between(&self.record.completions, from, to)
    }

    /// Seconds that the first order in line has waited; `None` when none waits.
    pub fn oldest_wait(&self) -> Option<Millis> {
        let first = match self.returned.peek() {
            Some(Reverse(order)) => *order as usize,
            None if self.fresh < self.arrived => self.fresh,
            None => return None,
        };
        Some(self.now - self.orders.arrivals[first])
    }

    /// The next `limit` cut-offs whose dispatch is still to come, as `(cut-off, dispatch)`.
    pub fn next_cut_offs(&self, limit: usize) -> Vec<(Millis, Millis)> {
        let mut coming = self.scenario.cut_offs();
        coming.retain(|(_, dispatch)| *dispatch > self.now);
        coming.truncate(limit);
        coming
    }

    /// All orders of the scenario, those to come included: nothing that a policy may see.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// What became of each order so far.
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// What has been counted so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Ends the account and gives what became of each order.
    pub fn finish(mut self) -> (Outcomes, Tally) {
        self.tally.close(self.now);
        (self.outcomes, self.tally)
    }
}

/// Number of times in `[from, to)`.
fn between(times: &[Millis], from: Millis, to: Millis) -> u32 {
    let first = times.partition_point(|time| *time < from);
    let last = times.partition_point(|time| *time < to);
    count(last.saturating_sub(first))
}

#[cfg(test)]
mod tests;
