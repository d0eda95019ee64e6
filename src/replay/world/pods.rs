//! Worker pods: created, placed, started, stopped, killed.

use rand_distr::{Distribution, LogNormal};

use super::{Event, World};
use crate::core::Replicas;
use crate::replay::units::{Millis, count, millis, seconds};

/// Lead times remembered for the measured percentile.
const LEADS_KEPT: usize = 50;

/// One worker pod.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    state: State,
    created: Millis,
    placed: Millis,
    ready: Millis,
    node: u32,
    work: Vec<(u32, Millis)>,
}

/// Life of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No node has room.
    Pending,
    /// On a node and not Ready.
    Starting,
    /// Takes orders.
    Ready,
    /// Told to stop: finishes what it has.
    Stopping,
    /// Gone.
    Gone,
}

impl Pod {
    pub(super) fn begin(&mut self, order: u32, now: Millis) {
        self.work.push((order, now));
    }

    /// Takes a finished order off; false when the pod no longer has it.
    pub(super) fn finish(&mut self, order: u32) -> bool {
        let held = self.work.iter().position(|(held, _)| *held == order);
        held.map(|index| self.work.swap_remove(index)).is_some()
    }
}

impl World {
    /// Sets the replicas wanted: the Deployment creates or removes pods at once.
    pub fn set_wanted(&mut self, wanted: u32) {
        if wanted == self.wanted {
            return;
        }
        self.wanted = wanted;
        self.tally.wanted(self.now, wanted);
        let existing = count(self.live.len());
        for _ in existing..wanted {
            let pod = self.create();
            self.pending.push_back(pod);
        }
        if wanted < existing {
            self.remove((existing - wanted) as usize);
        }
        self.place_pending();
    }

    fn create(&mut self) -> u32 {
        let id = count(self.pods.len());
        let pod =
            Pod { state: State::Pending, created: self.now, placed: 0, ready: 0, node: 0, work: Vec::new() };
        self.pods.push(pod);
        self.live.push(id);
        id
    }

    pub(super) fn start_with_initial_pods(&mut self) {
        let initial = self.scenario.pods.initial;
        self.wanted = initial;
        self.tally.wanted(0, initial);
        self.fleet.open(initial);
        self.tally.nodes(0, i32::try_from(self.fleet.len()).unwrap_or(0));
        for _ in 0..initial {
            let id = self.create();
            if let Some(node) = self.fleet.place() {
                self.pods[id as usize].node = node;
                self.pods[id as usize].state = State::Starting;
                self.tally.pods(0, 1);
                self.schedule(0, Event::PodReady { pod: id });
            } else {
                self.pending.push_back(id);
            }
        }
        self.place_pending();
    }

    /// Removes pods as the `ReplicaSet` controller ranks them: without a node first, then not
    /// Ready, then the one that was Ready for the shortest time.
    fn remove(&mut self, how_many: usize) {
        let rank = |id: u32| {
            let pod = &self.pods[id as usize];
            match pod.state {
                State::Pending => (0, -pod.created, id),
                State::Starting => (1, -pod.created, id),
                State::Ready | State::Stopping | State::Gone => (2, -pod.ready, id),
            }
        };
        let mut ranked: Vec<_> = self.live.iter().map(|&id| rank(id)).collect();
        ranked.sort_unstable();
        for (_, _, id) in ranked.into_iter().take(how_many) {
            self.stop(id);
        }
        let pods = &self.pods;
        self.live
            .retain(|&id| matches!(pods[id as usize].state, State::Pending | State::Starting | State::Ready));
        self.pending.retain(|&id| pods[id as usize].state == State::Pending);
    }

    fn stop(&mut self, id: u32) {
        let pod = &mut self.pods[id as usize];
        match pod.state {
            State::Pending => pod.state = State::Gone,
            State::Starting => self.leave(id),
            State::Ready if pod.work.is_empty() => self.leave(id),
            State::Ready => {
                pod.state = State::Stopping;
                let grace = millis(self.scenario.service.grace_seconds);
                if grace == 0 {
                    self.kill(id);
                } else {
                    self.schedule(self.now + grace, Event::GraceOver { pod: id });
                }
            }
            State::Stopping | State::Gone => {}
        }
    }

    /// Ends a stopping pod; its orders return after their visibility time-out.
    pub(super) fn kill(&mut self, id: u32) {
        if self.pods[id as usize].state != State::Stopping {
            return;
        }
        let work = std::mem::take(&mut self.pods[id as usize].work);
        self.tally.killed(self.now, count(work.len()));
        let hidden = millis(self.scenario.service.visibility_timeout_seconds);
        for (order, started) in work {
            self.outcomes.starts[order as usize] = super::NEVER;
            self.schedule((started + hidden).max(self.now), Event::Returned { order });
        }
        self.leave(id);
    }

    /// Takes a pod off its node.
    fn leave(&mut self, id: u32) {
        self.pods[id as usize].state = State::Gone;
        self.tally.pods(self.now, -1);
        let node = self.pods[id as usize].node;
        if self.fleet.release(node, self.now) {
            self.look_for_empty_nodes_later();
        }
        self.place_pending();
    }

    /// Places pods that wait for a node, the oldest first, and asks Karpenter for the rest.
    pub(super) fn place_pending(&mut self) {
        while let Some(&id) = self.pending.front() {
            if self.pods[id as usize].state != State::Pending {
                self.pending.pop_front();
                continue;
            }
            let Some(node) = self.fleet.place() else { break };
            self.pending.pop_front();
            let lead = self.draw_pod_lead();
            let pod = &mut self.pods[id as usize];
            (pod.node, pod.state, pod.placed) = (node, State::Starting, self.now);
            self.tally.pods(self.now, 1);
            self.schedule(self.now + lead, Event::PodReady { pod: id });
        }
        self.ask_for_nodes();
    }

    fn draw_pod_lead(&mut self) -> Millis {
        let pods = &self.scenario.pods;
        draw_lead(pods.lead_seconds, pods.lead_variation, &mut self.pod_leads)
    }

    pub(super) fn pod_is_ready(&mut self, id: u32) {
        let pod = &mut self.pods[id as usize];
        if pod.state != State::Starting {
            return;
        }
        (pod.state, pod.ready) = (State::Ready, self.now);
        let lead = self.now - pod.placed;
        self.record.pod_leads.remember(lead, LEADS_KEPT);
        for _ in 0..self.scenario.service.concurrency {
            self.idle.push_back(id);
        }
        self.serve();
    }

    pub(super) fn worker_is_free(&mut self, id: u32) {
        match self.pods[id as usize].state {
            State::Ready => self.idle.push_back(id),
            State::Stopping if self.pods[id as usize].work.is_empty() => self.leave(id),
            State::Pending | State::Starting | State::Stopping | State::Gone => {}
        }
    }

    /// The worker that has been idle for longest; stopped ones are passed over.
    pub(super) fn next_idle(&mut self) -> Option<u32> {
        while let Some(id) = self.idle.pop_front() {
            if self.pods[id as usize].state == State::Ready {
                return Some(id);
            }
        }
        None
    }

    /// Replicas wanted.
    pub fn wanted(&self) -> u32 {
        self.wanted
    }

    /// Pods that take orders.
    pub fn ready(&self) -> u32 {
        count(self.live.iter().filter(|&&id| self.pods[id as usize].state == State::Ready).count())
    }

    /// Pods on a node that are not Ready.
    pub fn starting(&self) -> u32 {
        count(self.live.iter().filter(|&&id| self.pods[id as usize].state == State::Starting).count())
    }

    /// Pods without a node.
    pub fn pending(&self) -> u32 {
        count(self.pending.len())
    }

    /// The pods as their conditions tell.
    pub fn replicas(&self) -> Replicas {
        let mut replicas = Replicas { ready: 0, starting: Vec::new(), pending: 0, wanted: Some(self.wanted) };
        for &id in &self.live {
            let pod = &self.pods[id as usize];
            match pod.state {
                State::Pending => replicas.pending += 1,
                State::Starting => replicas.starting.push(seconds(self.now - pod.created)),
                State::Ready => replicas.ready += 1,
                State::Stopping | State::Gone => {}
            }
        }
        replicas
    }
}

/// A lead time of the given mean and coefficient of variation.
pub(super) fn draw_lead(mean: f64, variation: f64, random: &mut rand_chacha::ChaCha8Rng) -> Millis {
    let variance = (1.0 + variation * variation).ln();
    let lead = LogNormal::new(mean.max(1e-6).ln() - variance / 2.0, variance.sqrt());
    millis(lead.map_or(mean, |lead| lead.sample(random)))
}
