//! What was decided and why: the output line of `peakscaler decide`, the record that `explain`
//! retells and that `--record-dir` keeps.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::demand::outlook::ForecastQuality;
use super::plan::Situation;
use super::policy::Policy;

/// One decision, with all that is needed to take it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The moment decided for.
    pub at: Timestamp,
    /// Replicas wanted; `None` when KEDA gets an error instead (see `error`).
    pub desired: Option<u32>,
    /// Replicas that the plan alone asks for, before hold and bounds.
    #[serde(default)]
    pub planned: u32,
    /// Why there is no number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<DecisionError>,
    /// Whether the workload is to be active: true while replicas are wanted.
    pub active: bool,
    /// Replicas wanted one node lead time from now.
    pub ahead: u32,
    /// Replicas of the capacity buffer: what is wanted ahead less what exists.
    pub buffer: u32,
    /// What decided.
    pub binding: Binding,
    /// Every bound that changed the number, in the order in which it did.
    pub bounds: Vec<Bound>,
    /// One sentence for a person.
    pub reason: String,
    /// Orders waiting or in work, as estimated.
    pub backlog: f64,
    /// Present arrivals, orders per second.
    pub arrival_rate: f64,
    /// Orders per second that one ready replica completes.
    pub service_rate: f64,
    /// Lower bound (one standard deviation) of `service_rate`.
    pub service_rate_lower: f64,
    /// The forecast behind the plan, where one was used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub forecast: Option<ForecastSummary>,
    /// Calendar entries that the plan counts on, and what each adds.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub calendar: Vec<CalendarPart>,
    /// Orders that will miss their due time whatever is done now.
    pub late_expected: f64,
    /// The first of them, where there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub late_first: Option<LateFirst>,
    /// The bound to raise to save them, where one makes them late.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub relief: Option<Relief>,
    /// Fingerprint of the policy that was in force.
    pub policy_version: String,
    /// All that the decision was taken from: [`crate::core::plan::decide()`] takes it again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inputs: Option<Box<Situation>>,
}

/// The first due time that will be missed whatever is done now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LateFirst {
    /// The carrier whose dispatch is missed; absent where it is the target wait.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cut_off: Option<String>,
    /// That dispatch, or the moment by which the work on the first late order should begin.
    pub at: Timestamp,
    /// The same in seconds from now.
    pub in_seconds: f64,
    /// Orders that miss this dispatch; of the wait, all that will miss it.
    pub orders: f64,
}

/// The bound whose raising saves orders that would be late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relief {
    /// `maximum`, `throughput_limit` or `ramp`.
    pub bound: BoundKind,
    /// The least value that saves all that can be saved: replicas, orders an hour, or replicas a minute.
    pub raise_to: f64,
    /// Orders that it saves.
    pub orders: f64,
}

/// Why KEDA gets a gRPC error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionError {
    /// gRPC status name, for example `UNAVAILABLE`.
    pub code: String,
    /// What is wrong and since when.
    pub reason: String,
}

/// What decided the number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Binding {
    /// Nothing waits and nothing is expected.
    Idle,
    /// The target wait: this many orders are due in so many seconds.
    Wait {
        /// Seconds from now to the due point that binds.
        due_in_seconds: f64,
        /// Orders due by then.
        orders: f64,
    },
    /// A carrier cut-off.
    CutOff {
        /// The carrier's name.
        name: String,
        /// The dispatch by which the orders must be done.
        dispatch: Timestamp,
        /// Orders due by then.
        orders: f64,
    },
    /// A bound of the policy; see the last of `bounds`.
    Bound,
    /// The hold against flapping keeps what was wanted a moment ago.
    Hold {
        /// What the plan alone would want.
        planned: u32,
    },
    /// A source is stale: the last decision is held.
    Stale {
        /// The source.
        source: String,
        /// Seconds since it was last read; `None`: it never was.
        age_seconds: Option<f64>,
    },
}

/// A bound that changed the number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Which.
    pub kind: BoundKind,
    /// Replicas before.
    pub from: u32,
    /// Replicas after.
    pub to: u32,
}

/// The bounds that a plan can run into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundKind {
    /// `minReplicas`.
    Minimum,
    /// `maxReplicas`.
    Maximum,
    /// `rampUp`.
    Ramp,
    /// `throughputLimit`.
    ThroughputLimit,
    /// More workers no longer add throughput.
    Contention,
    /// `activationQueueLength` is not exceeded.
    Activation,
    /// Doubtful data: never down.
    Doubt,
    /// Hysteresis: what was wanted a moment ago is kept.
    Hold,
    /// Orders wait that keep all workers busy for a while: they are worked off first.
    Queue,
    /// An order whose worker is taken away would return to the queue too late.
    Redelivery,
    /// No service rate was seen yet: at most twice as many as are ready, until one is.
    Unlearned,
}

/// The forecast that a decision leaned on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastSummary {
    /// The model's name, for example `present_rate`.
    pub model: String,
    /// Seconds ahead of the figures below.
    pub horizon_seconds: f64,
    /// Orders expected until then.
    pub expected: f64,
    /// One standard deviation of that sum.
    pub deviation: f64,
    /// Quantiles of that sum.
    #[serde(default)]
    pub quantiles: Vec<Quantile>,
    /// How right day-ahead forecasts were over the last days; absent without a learned one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quality: Option<ForecastQuality>,
    /// Why a learned forecast was not used, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distrust: Option<String>,
}

/// A count that is not exceeded with this probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// The probability.
    pub level: f64,
    /// The count.
    pub orders: f64,
}

/// What one entry of the calendar adds: the plan against the same plan without it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalendarPart {
    /// The entry.
    pub name: String,
    /// Start, ramps included.
    pub from: Timestamp,
    /// End, ramps included.
    pub to: Timestamp,
    /// Seconds ahead of the orders below: all that the plan looks at.
    pub horizon_seconds: f64,
    /// Orders expected more until then, or fewer.
    pub orders: f64,
    /// Replicas planned more now, or fewer.
    pub replicas: i64,
    /// Replicas wanted more one node lead time from now, or fewer.
    pub ahead: i64,
}

/// Fingerprint of a policy: the same settings give the same text, on every machine.
pub fn policy_version(policy: &Policy) -> String {
    // FNV-1a over the canonical JSON: stable across builds, unlike the standard hasher.
    let json = serde_json::to_vec(policy).unwrap_or_default();
    let hash = json.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
