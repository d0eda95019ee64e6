//! All that a decision depends on, in one serialisable value: the inputs of a decision record.
//!
//! Times are seconds relative to `at`: ages look back, the rest looks ahead.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::demand::arrivals::LumpRate;
use crate::core::demand::outlook::{ForecastQuality, Outlook};
use crate::core::observation::NodeSlots;

/// What is known and remembered of a workload at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// The moment to decide for.
    pub at: Timestamp,
    /// Seconds since the queue was last read; `None` when it never was.
    pub queue_age_seconds: Option<f64>,
    /// Seconds since the workers were last read; `None` when they never were.
    pub fleet_age_seconds: Option<f64>,
    /// Seconds since the newest arrival count that is known ends; `None` when there is none.
    pub arrivals_age_seconds: Option<f64>,
    /// The queue's counters contradict what is known: nothing is scaled down on them.
    pub doubtful: bool,
    /// Orders waiting and in work, by the policy's way of counting.
    pub backlog: f64,
    /// Orders in work.
    pub started: f64,
    /// Orders whose work has not started, oldest first.
    pub waiting: Vec<Cohort>,
    /// The counters have shown more than `activationQueueLength` convincingly.
    pub activated: bool,
    /// Seconds for which the queue has been seen empty.
    pub empty_seconds: f64,
    /// Present arrivals, orders per second.
    pub arrival_rate: f64,
    /// Expected arrivals.
    pub outlook: Outlook,
    /// Why a learned forecast was not used, where there is one.
    pub forecast_distrust: Option<String>,
    /// How right the forecast was lately, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast_quality: Option<ForecastQuality>,
    /// Calendar entries within the outlook, and the outlook without each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calendar: Vec<KnownEntry>,
    /// What one replica gets done.
    pub service: Service,
    /// The pods; `None` when never read.
    pub fleet: Option<Fleet>,
    /// Room on nodes, where known.
    pub nodes: Option<NodeSlots>,
    /// Pod created to Ready, seconds.
    pub pod_lead_seconds: f64,
    /// Node asked for to Initialized, seconds.
    pub node_lead_seconds: f64,
    /// An order whose worker is taken away in the middle of it returns to the queue after so long, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility_timeout_seconds: Option<f64>,
    /// The longest that an order has waited which is in work now or comes next, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_wait_seconds: Option<f64>,
    /// Carrier cut-offs whose dispatch is to come, soonest first.
    pub deadlines: Vec<Deadline>,
    /// The decision before, where there was one.
    pub last_desired: Option<u32>,
    /// Most replicas planned over the hold's time.
    pub hold_replicas: u32,
    /// Most replicas planned over the longer time that small steps down wait for.
    pub settled_replicas: u32,
    /// The same over the time that a single worker of a small fleet stays; `None` in records that are older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_one: Option<u32>,
    /// Replicas wanted a minute ago, for the ramp.
    pub minute_ago_replicas: Option<u32>,
    /// Replicas at work, while too little was seen to plan for fewer.
    #[serde(default)]
    pub busy_at_start: Option<u32>,
    /// Lumps of orders at this time of the day, where they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lumps: Option<LumpRate>,
    /// The most to have while the service rate is a guess.
    #[serde(default)]
    pub unlearned_replicas: Option<u32>,
    /// Workers beyond this many no longer add throughput.
    pub contention_replicas: Option<u32>,
}

impl Situation {
    /// Waiting orders that arrive by `x` seconds from now, which may lie in the past.
    pub fn in_by(&self, x: f64) -> f64 {
        let by = |cohort: &&Cohort| -cohort.age_seconds <= x;
        let waiting: f64 = self.waiting.iter().filter(by).map(|cohort| cohort.orders).sum();
        if x > 0.0 { waiting + self.outlook.at(x).0 } else { waiting }
    }
}

/// An entry of the calendar, and what would be expected without it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownEntry {
    /// Its name.
    pub name: String,
    /// Start, ramps included.
    pub from: Timestamp,
    /// End, ramps included.
    pub to: Timestamp,
    /// Expected arrivals had it not been told.
    pub without: Outlook,
}

/// Orders of about the same age.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cohort {
    /// Seconds since they arrived.
    pub age_seconds: f64,
    /// How many.
    pub orders: f64,
}

/// A cut-off of one date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deadline {
    /// The carrier.
    pub name: String,
    /// Seconds until the cut-off; negative when it has passed.
    pub cut_off_in_seconds: f64,
    /// Seconds until the dispatch.
    pub dispatch_in_seconds: f64,
}

/// The deadline of what comes now: the soonest whose cut-off is to come. Between a cut-off and its dispatch, orders
/// wait for the one after it.
pub fn next_due(deadlines: &[Deadline]) -> Option<&Deadline> {
    deadlines.iter().find(|deadline| deadline.cut_off_in_seconds > 0.0).or(deadlines.last())
}

impl Deadline {
    /// Seconds from the cut-off to the dispatch.
    pub fn window_seconds(&self) -> f64 {
        self.dispatch_in_seconds - self.cut_off_in_seconds
    }

    /// Seconds until the work on its orders must begin when `share` of its window may be used: their
    /// own work, and half as much again for its spread, comes before the dispatch.
    pub fn start_by_seconds(&self, service: &Service, share: f64) -> f64 {
        let window = self.window_seconds();
        let work = service.most_seconds_per_order().min(window * 0.8);
        self.dispatch_in_seconds - (1.0 - share) * window - work
    }
}

/// What one ready replica gets done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Orders per second and replica.
    pub per_second: f64,
    /// The same, one standard deviation lower.
    pub lower_per_second: f64,
    /// Orders that one replica works on at once.
    pub concurrency: f64,
    /// A queue has shown how many it works on at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// Where the rate comes from.
    pub source: ServiceSource,
    /// What one is seen to do where the rate is given and is clearly not met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmet_per_second: Option<f64>,
}

/// Where a service rate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceSource {
    /// The operator's figure.
    Given,
    /// Nothing seen yet: the prior.
    Prior,
    /// Learned from completions and work in progress.
    Learned,
}

impl Service {
    /// Seconds that one order takes a worker.
    pub fn seconds_per_order(&self) -> f64 {
        self.concurrency / self.per_second
    }

    /// The same with half as much again for its spread.
    pub fn most_seconds_per_order(&self) -> f64 {
        1.5 * self.seconds_per_order()
    }
}

/// The pods that exist or were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// Ready.
    pub ready: u32,
    /// Seconds until each of the others is expected to be ready, ascending.
    pub ready_in_seconds: Vec<f64>,
    /// Of those, pods that have no node.
    pub pending: u32,
}

impl Fleet {
    /// Pods that exist or were asked for.
    pub fn existing(&self) -> u32 {
        self.ready.saturating_add(u32::try_from(self.ready_in_seconds.len()).unwrap_or(u32::MAX))
    }

    /// Pods at work or soon to be: those that wait for a node are left out.
    pub fn on_nodes(&self) -> u32 {
        self.existing().saturating_sub(self.pending)
    }
}
