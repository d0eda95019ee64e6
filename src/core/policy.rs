//! What the operator asked for, as the core needs it: typed, validated, in seconds and orders.
//!
//! `trigger` builds it from scaler metadata. It is serialised into every decision record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings of one workload that decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The longest an order may wait before its work starts, in seconds. `None` only with cut-offs.
    pub target_wait_seconds: Option<f64>,
    /// Carrier cut-offs; may be empty when there is a target wait.
    pub cut_offs: Vec<CutOff>,
    /// IANA name of the zone in which the cut-offs are meant.
    pub time_zone: String,
    /// Where the service rate comes from.
    pub service_rate: ServiceRate,
    /// Least replicas.
    pub min_replicas: u32,
    /// Most replicas.
    pub max_replicas: u32,
    /// Pod created to Ready where a node has room, in seconds; measured values take its place.
    pub pod_lead_seconds: f64,
    /// Node asked for to Initialized, in seconds; measured values take its place.
    pub node_lead_seconds: f64,
    /// Most replicas added a minute; `None` for no bound.
    pub ramp_up_per_minute: Option<f64>,
    /// Scale down only to the maximum wanted over this many seconds.
    pub hold_down_seconds: f64,
    /// Orders an hour that what stands behind the workers can take; `None` for no bound.
    pub throughput_limit_per_hour: Option<f64>,
    /// Data older than this many seconds is not decided on.
    pub stale_after_seconds: f64,
    /// Messages in flight count as backlog.
    pub scale_on_in_flight: bool,
    /// Delayed messages count as backlog.
    pub scale_on_delayed: bool,
    /// From zero only when the backlog is strictly above this many orders.
    pub activation_queue_length: f64,
    /// Whether a learned forecast may be used where there is a history.
    pub forecast: bool,
}

/// Where the service rate of one replica comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceRate {
    /// Learned from completions and messages in flight.
    Learned,
    /// Orders a minute and replica, as the operator says.
    PerMinute(f64),
}

/// Orders in by `at` on one of `weekdays` are done `within_seconds` later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CutOff {
    /// The carrier, for example `DPD`.
    pub name: String,
    /// Days on which it collects, Monday first.
    pub weekdays: [bool; 7],
    /// Local time of the cut-off, seconds after midnight by the wall clock.
    pub at_seconds_of_day: u32,
    /// From the cut-off to the dispatch, in seconds.
    pub within_seconds: f64,
}

impl Default for Policy {
    /// The documented defaults of the metadata keys.
    fn default() -> Self {
        Self {
            target_wait_seconds: Some(300.0),
            cut_offs: Vec::new(),
            time_zone: "UTC".to_owned(),
            service_rate: ServiceRate::Learned,
            min_replicas: 0,
            max_replicas: 100,
            pod_lead_seconds: 30.0,
            node_lead_seconds: 90.0,
            ramp_up_per_minute: None,
            hold_down_seconds: 60.0,
            throughput_limit_per_hour: None,
            stale_after_seconds: 180.0,
            scale_on_in_flight: true,
            scale_on_delayed: false,
            activation_queue_length: 0.0,
            forecast: true,
        }
    }
}
