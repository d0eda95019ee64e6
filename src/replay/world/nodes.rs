//! Nodes as Karpenter buys and removes them: batches, limits, buffers, emptiness.
//!
//! Kinder than the real one in two ways: pods go to the first node with room (the scheduler
//! spreads them), and only empty nodes are consolidated (no pod is moved).

use rand_chacha::ChaCha8Rng;

use super::pods::draw_lead;
use super::{Event, World};
use crate::core::NodeSlots;
use crate::replay::orders::{Stream, random};
use crate::replay::scenario::Scenario;
use crate::replay::units::{Millis, SECOND, count, millis};

/// Interval of Karpenter's disruption controller.
const DISRUPTION_POLL: Millis = 10 * SECOND;
/// Lead times remembered for the measured percentile.
const LEADS_KEPT: usize = 20;

#[derive(Debug, Clone)]
struct Node {
    id: u32,
    claimed: Millis,
    ready: bool,
    pods: u32,
    empty_since: Millis,
}

/// All nodes, and the batch that is being gathered.
#[derive(Debug, Clone)]
pub(super) struct Fleet {
    nodes: Vec<Node>,
    next: u32,
    pods_per_node: u32,
    limit: u32,
    buffer: u32,
    batch: Option<Batch>,
    consolidation_due: bool,
    leads: ChaCha8Rng,
}

#[derive(Debug, Clone, Copy)]
struct Batch {
    opened: Millis,
    last: Millis,
    asked: u32,
}

impl Fleet {
    pub(super) fn new(scenario: &Scenario, limit: Option<u32>) -> Self {
        Self {
            nodes: Vec::new(),
            next: 0,
            pods_per_node: scenario.nodes.pods_per_node,
            limit: limit.or(scenario.nodes.limit).unwrap_or(u32::MAX),
            buffer: 0,
            batch: None,
            consolidation_due: false,
            leads: random(scenario.seed, Stream::Nodes),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Opens ready nodes for so many pods, without a lead time.
    pub(super) fn open(&mut self, pods: u32) {
        for _ in 0..pods.div_ceil(self.pods_per_node).min(self.limit) {
            let node = self.claim(0);
            self.initialize(node, 0);
        }
    }

    fn claim(&mut self, now: Millis) -> u32 {
        self.next += 1;
        self.nodes.push(Node { id: self.next, claimed: now, ready: false, pods: 0, empty_since: 0 });
        self.next
    }

    /// Makes a node ready; gives its lead time.
    fn initialize(&mut self, id: u32, now: Millis) -> Millis {
        let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else { return 0 };
        (node.ready, node.empty_since) = (true, now);
        now - node.claimed
    }

    /// Takes a place on the first node with room.
    pub(super) fn place(&mut self) -> Option<u32> {
        let room = self.pods_per_node;
        let node = self.nodes.iter_mut().find(|node| node.ready && node.pods < room)?;
        node.pods += 1;
        Some(node.id)
    }

    /// Gives a place back; true when the node is now empty.
    pub(super) fn release(&mut self, id: u32, now: Millis) -> bool {
        let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else { return false };
        node.pods = node.pods.saturating_sub(1);
        node.empty_since = now;
        node.pods == 0
    }

    fn free(&self) -> u32 {
        let ready = self.nodes.iter().filter(|node| node.ready);
        ready.map(|node| self.pods_per_node - node.pods).sum()
    }

    fn coming(&self) -> u32 {
        count(self.nodes.iter().filter(|node| !node.ready).count()) * self.pods_per_node
    }

    /// Nodes to buy for `pending` pods and the buffer.
    fn missing(&self, pending: u32) -> u32 {
        let wanted = pending + self.buffer;
        let slots = wanted.saturating_sub(self.free() + self.coming());
        let nodes = slots.div_ceil(self.pods_per_node);
        nodes.min(self.limit.saturating_sub(count(self.nodes.len())))
    }
}

impl World {
    /// Sets the capacity buffer: room for so many further pods is held, and bought again as pods
    /// move in.
    pub fn set_buffer(&mut self, replicas: u32) {
        if replicas == self.fleet.buffer {
            return;
        }
        let shrinks = replicas < self.fleet.buffer;
        self.fleet.buffer = replicas;
        self.ask_for_nodes();
        if shrinks {
            self.look_for_empty_nodes_later();
        }
    }

    /// Opens a batch, or lengthens it when more is asked for than before.
    pub(super) fn ask_for_nodes(&mut self) {
        let asked = count(self.pending.len()) + self.fleet.buffer;
        if self.fleet.missing(count(self.pending.len())) == 0 {
            return;
        }
        match &mut self.fleet.batch {
            Some(batch) if batch.asked != asked => (batch.last, batch.asked) = (self.now, asked),
            Some(_) => {}
            None => {
                self.fleet.batch = Some(Batch { opened: self.now, last: self.now, asked });
                let idle = millis(self.scenario.nodes.batch_idle_seconds);
                self.schedule(self.now + idle, Event::BatchOver);
            }
        }
    }

    pub(super) fn batch_may_be_over(&mut self) {
        let Some(batch) = self.fleet.batch else { return };
        let settings = &self.scenario.nodes;
        let idle_over = batch.last + millis(settings.batch_idle_seconds);
        let over = idle_over.min(batch.opened + millis(settings.batch_max_seconds));
        if self.now < over {
            self.schedule(over, Event::BatchOver);
            return;
        }
        self.fleet.batch = None;
        for _ in 0..self.fleet.missing(count(self.pending.len())) {
            let node = self.fleet.claim(self.now);
            self.tally.nodes(self.now, 1);
            let settings = &self.scenario.nodes;
            let mean = settings.lead_seconds * settings.lead_factor;
            let lead = draw_lead(mean, settings.lead_variation, &mut self.fleet.leads);
            self.schedule(self.now + lead, Event::NodeReady { node });
        }
    }

    pub(super) fn node_is_ready(&mut self, node: u32) {
        let lead = self.fleet.initialize(node, self.now);
        self.record.node_leads.remember(lead, LEADS_KEPT);
        self.place_pending();
        self.look_for_empty_nodes_later();
    }

    /// Makes sure that Karpenter looks at empty nodes once their time may be over.
    pub(super) fn look_for_empty_nodes_later(&mut self) {
        if !self.fleet.consolidation_due {
            self.fleet.consolidation_due = true;
            let next = (self.now / DISRUPTION_POLL + 1) * DISRUPTION_POLL;
            self.schedule(next, Event::Consolidate);
        }
    }

    /// Removes nodes that were empty for long enough and whose room no buffer holds.
    pub(super) fn consolidate(&mut self) {
        self.fleet.consolidation_due = false;
        let kept_for = millis(self.scenario.nodes.consolidate_after_seconds);
        let mut spare = self.fleet.free().saturating_sub(self.fleet.buffer) / self.fleet.pods_per_node;
        let (now, before) = (self.now, self.fleet.nodes.len());
        let mut young = false;
        self.fleet.nodes.retain(|node| {
            let empty = node.ready && node.pods == 0;
            young |= empty && now - node.empty_since < kept_for;
            let removed = empty && now - node.empty_since >= kept_for && spare > 0;
            spare -= u32::from(removed);
            !removed
        });
        let removed = i32::try_from(before - self.fleet.nodes.len()).unwrap_or(0);
        if removed > 0 {
            self.tally.nodes(now, -removed);
        }
        if young {
            self.look_for_empty_nodes_later();
        }
    }

    /// Nodes that take pods.
    pub fn nodes_ready(&self) -> u32 {
        count(self.fleet.nodes.iter().filter(|node| node.ready).count())
    }

    /// Nodes ordered and not yet there.
    pub fn nodes_coming(&self) -> u32 {
        count(self.fleet.nodes.iter().filter(|node| !node.ready).count())
    }

    /// Replicas of the capacity buffer.
    pub fn buffer(&self) -> u32 {
        self.fleet.buffer
    }

    /// Room for pods.
    pub fn node_slots(&self) -> NodeSlots {
        NodeSlots { free_slots: self.fleet.free(), coming: self.fleet.coming() }
    }
}
