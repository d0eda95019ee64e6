//! A centre of single orders, pods and nodes with instruments that err: small, in steps of a second,
//! and on purpose not the simulator of `replay`, so that the two don't share a mistake.

mod score;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use peakscaler::core::observation::LeadTimes;
use peakscaler::core::{
    DecisionRecord, Interval, NodeSlots, Observation, Policy, QueueReading, Replicas, Workload,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Normal, Poisson};

/// The HPA looks this often.
const SYNC_SECONDS: u32 = 15;
/// Worlds start on a Monday at this time of the day.
pub(crate) const START_SECONDS_OF_DAY: u32 = 9 * 3600 + 20 * 60;
/// A node with nothing on it goes after this long.
const EMPTY_NODE_SECONDS: u32 = 60;

/// What is simulated.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) policy: Policy,
    /// Seconds simulated, and those at the start that are not scored.
    pub(crate) seconds: u32,
    pub(crate) unscored_seconds: u32,
    /// Orders a second.
    pub(crate) rate: f64,
    pub(crate) shape: Shape,
    /// Lumps: so many in the whole time, of so many orders on average, within so many seconds.
    pub(crate) lumps: (u32, f64, u32),
    pub(crate) service_seconds: f64,
    pub(crate) service_variation: f64,
    /// Work takes so many times as long in `[from, to)`.
    pub(crate) slow: Option<(u32, u32, f64)>,
    pub(crate) pod_lead: f64,
    /// Node lead time and pods a node; `None`: there is always room.
    pub(crate) nodes: Option<(f64, u32)>,
    pub(crate) node_limit: u32,
    pub(crate) pods_at_start: u32,
    pub(crate) backlog_at_start: u32,
    /// The scaler forgets all at this second.
    pub(crate) restart: Option<u32>,
    pub(crate) instruments: Instruments,
}

/// How arrivals change over the time simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    Flat,
    /// Up to so many times, and back, around the middle.
    Hill(f64),
    /// So many times as much in the middle third, from one second to the next.
    Step(f64),
    /// An hour so, an hour so many times as much.
    Waves(f64),
}

/// What is seen, and how well.
#[derive(Debug, Clone)]
pub(crate) struct Instruments {
    pub(crate) poll_seconds: u32,
    pub(crate) noise: f64,
    pub(crate) lag_seconds: u32,
    /// Delay of arrival and completion counts; `None`: never known.
    pub(crate) arrivals_delay: Option<u32>,
    pub(crate) completions_delay: Option<u32>,
    /// `[from, to)` whose counts are never told.
    pub(crate) uncounted: Option<(u32, u32)>,
    pub(crate) tells_replicas: bool,
    pub(crate) tells_nodes: bool,
    /// `[from, to)` in which the queue can't be read, or reads zero.
    pub(crate) blackout: Option<(u32, u32)>,
    pub(crate) zeros: Option<(u32, u32)>,
}

impl Shape {
    fn factor(self, at: f64, of: f64) -> f64 {
        match self {
            Self::Flat => 1.0,
            Self::Hill(times) => 1.0 + (times - 1.0) * (1.0 - (at / of - 0.5).abs() / 0.3).max(0.0),
            Self::Step(times) => {
                if (1.0 / 3.0..2.0 / 3.0).contains(&(at / of)) {
                    times
                } else {
                    1.0
                }
            }
            Self::Waves(times) => {
                if at % 7200.0 < 3600.0 {
                    1.0
                } else {
                    times
                }
            }
        }
    }
}

/// How it went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) orders: u32,
    pub(crate) late: u32,
    pub(crate) longest_wait: f64,
    pub(crate) replica_seconds: f64,
    pub(crate) work_seconds: f64,
    pub(crate) peak: u32,
    pub(crate) least_peak: f64,
    pub(crate) actions: u32,
    pub(crate) scored_seconds: f64,
    pub(crate) node_seconds: f64,
    /// Every decision: second, record without its inputs.
    pub(crate) records: Vec<(u32, DecisionRecord)>,
}

impl Outcome {
    pub(crate) fn hours_over_work(&self) -> f64 {
        self.replica_seconds / self.work_seconds.max(1.0)
    }

    /// Replicas that had work, on average.
    pub(crate) fn needed(&self) -> f64 {
        self.work_seconds / self.scored_seconds
    }

    /// Replicas that had nothing to do, on average.
    pub(crate) fn idle_replicas(&self) -> f64 {
        (self.replica_seconds - self.work_seconds) / self.scored_seconds
    }

    pub(crate) fn actions_a_day(&self) -> f64 {
        f64::from(self.actions) * 86_400.0 / self.scored_seconds
    }
}

#[derive(Debug, Clone, Copy)]
struct Pod {
    created: u32,
    /// Has a node since.
    placed: Option<u32>,
    ready_at: u32,
    busy_until: u32,
    stopping: bool,
}

struct Run<'a> {
    world: &'a World,
    random: ChaCha8Rng,
    workload: Workload,
    now: u32,
    /// Waiting orders: arrival.
    queue: VecDeque<u32>,
    /// Ends of orders in work.
    in_work: BinaryHeap<Reverse<u32>>,
    pods: Vec<Pod>,
    wanted: u32,
    desired: Option<u32>,
    node_count: u32,
    nodes_coming: VecDeque<u32>,
    room_since: Option<u32>,
    buffer: u32,
    arrived: Vec<u32>,
    completed: Vec<u32>,
    /// Visible and in flight, each second.
    counters: Vec<(u32, u32)>,
    told: [u32; 2],
    /// Begin and end of each order's work, in order of arrival.
    works: Vec<(u32, u32)>,
    arrivals: Vec<u32>,
    outcome: Outcome,
}

impl World {
    /// Runs to the end.
    pub(crate) fn run(&self) -> Outcome {
        let per_node = self.nodes.map_or(1, |(_, pods)| pods);
        let pod = Pod { created: 0, placed: Some(0), ready_at: 0, busy_until: 0, stopping: false };
        let mut run = Run {
            world: self,
            random: ChaCha8Rng::seed_from_u64(self.seed),
            workload: Workload::new(self.policy.clone()),
            now: 0,
            queue: (0..self.backlog_at_start).map(|_| 0).collect(),
            in_work: BinaryHeap::new(),
            pods: vec![pod; self.pods_at_start as usize],
            wanted: self.pods_at_start,
            desired: None,
            node_count: self.pods_at_start.div_ceil(per_node),
            nodes_coming: VecDeque::new(),
            room_since: None,
            buffer: 0,
            arrived: Vec::new(),
            completed: Vec::new(),
            counters: Vec::new(),
            told: [0, 0],
            works: Vec::new(),
            arrivals: vec![0; self.backlog_at_start as usize],
            outcome: Outcome::default(),
        };
        let lumps = run.draw_lumps();
        while run.now < self.seconds {
            run.second(&lumps);
        }
        run.score()
    }
}

impl Run<'_> {
    fn draw_lumps(&mut self) -> Vec<u32> {
        let (count, mean, over) = self.world.lumps;
        let mut lumps = vec![0; self.world.seconds as usize];
        for _ in 0..count {
            let at = self.random.random_range(0..self.world.seconds);
            let orders = -mean * self.random.random_range(f64::MIN_POSITIVE..1.0).ln();
            for _ in 0..whole(orders) {
                let second = at + self.random.random_range(0..over.max(1));
                if let Some(orders) = lumps.get_mut(second as usize) {
                    *orders += 1;
                }
            }
        }
        lumps
    }

    fn second(&mut self, lumps: &[u32]) {
        let world = self.world;
        let at = f64::from(self.now);
        let mean = world.rate * world.shape.factor(at, f64::from(world.seconds));
        let drawn = Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(&mut self.random));
        let arrived = whole(drawn) + lumps[self.now as usize];
        for _ in 0..arrived {
            self.queue.push_back(self.now);
            self.arrivals.push(self.now);
        }
        self.arrived.push(arrived);
        let mut completed = 0;
        while self.in_work.peek().is_some_and(|Reverse(end)| *end <= self.now) {
            self.in_work.pop();
            completed += 1;
        }
        self.completed.push(completed);
        self.move_nodes();
        self.serve();
        let (visible, in_flight) = (self.queue.len(), self.in_work.len());
        self.counters.push((u32::try_from(visible).unwrap(), u32::try_from(in_flight).unwrap()));
        if self.now.is_multiple_of(world.instruments.poll_seconds) {
            self.decide();
        }
        if self.now % SYNC_SECONDS == 5 {
            self.sync();
        }
        self.tally();
        self.now += 1;
    }

    fn move_nodes(&mut self) {
        let now = self.now;
        self.pods.retain(|pod| !pod.stopping || pod.busy_until > now);
        let Some((lead, per_node)) = self.world.nodes else {
            return;
        };
        while self.nodes_coming.front().is_some_and(|at| *at <= now) {
            self.nodes_coming.pop_front();
            self.node_count += 1;
        }
        let on_nodes = self.pods.iter().filter(|pod| pod.placed.is_some()).count();
        let mut free = (self.node_count * per_node).saturating_sub(u32::try_from(on_nodes).unwrap());
        let mut pending = 0;
        for pod in self.pods.iter_mut().filter(|pod| pod.placed.is_none()) {
            if free == 0 {
                pending += 1;
                continue;
            }
            free -= 1;
            pod.placed = Some(now);
            pod.ready_at += now - pod.created;
        }
        let coming = u32::try_from(self.nodes_coming.len()).unwrap();
        let slots_missing = (pending + self.buffer).saturating_sub(free + coming * per_node);
        let ordered = slots_missing
            .div_ceil(per_node)
            .min(self.world.node_limit.saturating_sub(self.node_count + coming));
        for _ in 0..ordered {
            let lead = whole(lead * self.random.random_range(0.85..1.15));
            self.nodes_coming.push_back(now + lead);
        }
        self.nodes_coming.make_contiguous().sort_unstable();
        // A node's room of its own is a node too many; where pods stand is not simulated.
        self.room_since = if free >= self.buffer + per_node { self.room_since.or(Some(now)) } else { None };
        if self.room_since.is_some_and(|since| now - since >= EMPTY_NODE_SECONDS) {
            self.node_count -= 1;
            self.room_since = None;
        }
    }

    fn serve(&mut self) {
        let world = self.world;
        let slow = world
            .slow
            .filter(|(from, to, _)| (*from..*to).contains(&self.now))
            .map_or(1.0, |(_, _, factor)| factor);
        for index in 0..self.pods.len() {
            let pod = self.pods[index];
            if pod.stopping || pod.placed.is_none() || pod.ready_at > self.now || pod.busy_until > self.now {
                continue;
            }
            let Some(arrival) = self.queue.pop_front() else { return };
            let work = world.service_seconds * slow * self.draw_work();
            let end = self.now + whole(work).max(1);
            self.pods[index].busy_until = end;
            self.in_work.push(Reverse(end));
            self.works.push((self.now, end));
            self.outcome.longest_wait = self.outcome.longest_wait.max(f64::from(self.now - arrival));
            if self.now >= world.unscored_seconds {
                self.outcome.work_seconds += f64::from(end - self.now);
            }
        }
    }

    fn draw_work(&mut self) -> f64 {
        let variance = self.world.service_variation.powi(2);
        if variance < 1e-6 {
            return 1.0;
        }
        Gamma::new(1.0 / variance, variance).map_or(1.0, |gamma| gamma.sample(&mut self.random))
    }

    fn decide(&mut self) {
        if self
            .world
            .restart
            .is_some_and(|at| self.now >= at && self.now < at + self.world.instruments.poll_seconds)
        {
            self.workload = Workload::new(self.world.policy.clone());
        }
        let observation = self.observe();
        let mut record = self.workload.step(&observation).unwrap();
        record.inputs = None;
        self.desired = record.desired.or(self.desired);
        self.buffer = record.buffer;
        self.outcome.records.push((self.now, record));
    }

    fn observe(&mut self) -> Observation {
        let arrivals = self.tell(0);
        let completions = self.tell(1);
        let ready = |pod: &&Pod| !pod.stopping && pod.placed.is_some() && pod.ready_at <= self.now;
        let starting = |pod: &&Pod| !pod.stopping && pod.placed.is_some() && pod.ready_at > self.now;
        let pending = self.pods.iter().filter(|pod| pod.placed.is_none()).count();
        let placed = u32::try_from(self.pods.len() - pending).unwrap();
        let replicas = Replicas {
            ready: u32::try_from(self.pods.iter().filter(ready).count()).unwrap(),
            starting: self
                .pods
                .iter()
                .filter(starting)
                .map(|pod| f64::from(self.now - pod.created))
                .collect(),
            pending: u32::try_from(pending).unwrap(),
            wanted: Some(self.wanted),
        };
        let nodes =
            self.world.nodes.filter(|_| self.world.instruments.tells_nodes).map(|(_, per_node)| NodeSlots {
                free_slots: (self.node_count * per_node).saturating_sub(placed),
                coming: u32::try_from(self.nodes_coming.len()).unwrap() * per_node,
            });
        Observation {
            at: moment(self.now),
            queue: self.read_queue(),
            arrivals,
            completions,
            replicas: self.world.instruments.tells_replicas.then_some(replicas),
            nodes,
            bounds: None,
            lead_times: self.world.instruments.tells_nodes.then(|| LeadTimes {
                pod_seconds: Some(1.15 * self.world.pod_lead),
                node_seconds: self.world.nodes.map(|(lead, _)| 1.1 * lead),
            }),
        }
    }

    fn read_queue(&mut self) -> Option<QueueReading> {
        let instruments = &self.world.instruments;
        let within =
            |window: Option<(u32, u32)>| window.is_some_and(|(from, to)| (from..to).contains(&self.now));
        if within(instruments.blackout) {
            return None;
        }
        if within(instruments.zeros) {
            return Some(QueueReading::default());
        }
        let lag = self.random.random_range(0..=instruments.lag_seconds).min(self.now);
        let (visible, in_flight) = self.counters[(self.now - lag) as usize];
        let noise = Normal::new(1.0, instruments.noise.max(1e-9)).unwrap();
        let mut distort = |count: u32| (f64::from(count) * noise.sample(&mut self.random)).round().max(0.0);
        let (visible, in_flight) = (distort(visible), distort(in_flight));
        Some(QueueReading { visible, in_flight, ..QueueReading::default() })
    }

    /// Counts of minutes that have become known.
    fn tell(&mut self, which: usize) -> Vec<Interval> {
        let instruments = &self.world.instruments;
        let delay = [instruments.arrivals_delay, instruments.completions_delay][which];
        let mut intervals = Vec::new();
        let Some(delay) = delay else { return intervals };
        let counts = [&self.arrived, &self.completed][which];
        while self.told[which] + 60 + delay <= self.now {
            let from = self.told[which];
            let count: u32 = counts[from as usize..from as usize + 60].iter().sum();
            let interval = Interval { from: moment(from), to: moment(from + 60), count: f64::from(count) };
            let is_told = instruments.uncounted.is_none_or(|(start, end)| !(start..end).contains(&from));
            intervals.extend(is_told.then_some(interval));
            self.told[which] += 60;
        }
        intervals
    }

    fn sync(&mut self) {
        let Some(desired) = self.desired else { return };
        let present = u32::try_from(self.pods.iter().filter(|pod| !pod.stopping).count()).unwrap();
        if desired != self.wanted && self.now >= self.world.unscored_seconds {
            self.outcome.actions += 1;
        }
        self.wanted = desired;
        for _ in present..desired {
            let lead = whole(self.world.pod_lead * self.random.random_range(0.8..1.2));
            let placed = if self.world.nodes.is_some() { None } else { Some(self.now) };
            let ready_at = self.now + lead;
            self.pods.push(Pod { created: self.now, placed, ready_at, busy_until: 0, stopping: false });
        }
        for _ in desired..present {
            // Pods that are not ready go first, then the youngest.
            let last = (0..self.pods.len())
                .filter(|index| !self.pods[*index].stopping)
                .max_by_key(|index| (self.pods[*index].ready_at > self.now, *index));
            let Some(index) = last else { return };
            if self.pods[index].busy_until > self.now {
                self.pods[index].stopping = true;
            } else {
                self.pods.remove(index);
            }
        }
    }

    fn tally(&mut self) {
        if self.now < self.world.unscored_seconds {
            return;
        }
        let placed = self.pods.iter().filter(|pod| pod.placed.is_some()).count();
        self.outcome.replica_seconds += placed as f64;
        self.outcome.node_seconds += f64::from(self.node_count);
        self.outcome.peak = self.outcome.peak.max(self.wanted);
        self.outcome.scored_seconds += 1.0;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn whole(value: f64) -> u32 {
    value.round().clamp(0.0, 4e9) as u32
}

fn moment(second: u32) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_767_000_000 + i64::from(second))
}
