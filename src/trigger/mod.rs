//! Scaler metadata: raw strings in, one typed and validated [`Trigger`] out, or every mistake at once.
//!
//! - [`keys`]: the one table of keys; parsing, suggestions and documentation come from it;
//! - [`scaled_object`]: triggers out of YAML files, with the line of everything;
//! - [`review`]: what a ScaledObject must have for our number to be the number of workers;
//! - [`docs`] writes the text of `docs/metadata.md`.

mod assemble;
mod aws;
pub(crate) mod cut_offs;
pub mod docs;
pub(crate) mod duration;
pub mod keys;
mod problem;
mod reading;
pub mod review;
pub mod scaled_object;
mod values;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{Policy, ServiceRate};

pub use aws::region_of_queue;
pub use problem::{Problem, in_one_line};
pub use values::Kind;

/// Where metadata come from, which decides how strictly they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// KEDA's request: `FromEnv` values are resolved, and an unknown key is a warning, so that
    /// scaling goes on under metadata written for a later version.
    Request,
    /// A file: `FromEnv` values name variables that only the cluster knows, and an unknown key is
    /// an error.
    File,
}

/// Metadata, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The trigger; `None` while there are problems.
    pub trigger: Option<Trigger>,
    /// Everything wrong.
    pub problems: Vec<Problem>,
    /// Everything doubtful.
    pub warnings: Vec<Problem>,
    /// Least workers, default included; `None` where the value is wrong or only known in the cluster.
    pub min_replicas: Option<u32>,
    /// Most workers, likewise.
    pub max_replicas: Option<u32>,
    /// Keys that decide but name a variable of the worker's container: the default stands in their
    /// place. Only from [`Origin::File`].
    pub unresolved: Vec<String>,
}

/// Reads metadata, with everything wrong and doubtful.
pub fn parse<K, V>(metadata: impl IntoIterator<Item = (K, V)>, origin: Origin) -> Parsed
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    assemble::assemble(reading::Reading::new(metadata, origin), origin)
}

/// A validated trigger of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Where the backlog is read.
    pub backlog: BacklogSource,
    /// Where arrivals and completions are read.
    pub throughput: ThroughputSource,
    /// AWS region, from `awsRegion` or the queue's URL.
    pub aws_region: Option<String>,
    /// Endpoint in place of AWS's own.
    pub aws_endpoint: Option<String>,
    /// Role to assume in place of the pod's own identity.
    pub aws_role_arn: Option<String>,
    /// `http(s)://…` of Prometheus or Mimir.
    pub prometheus_server_address: Option<String>,
    /// Mimir's tenant (`X-Scope-OrgID`).
    pub prometheus_tenant: Option<String>,
    /// `PromQL` for ready replicas, where no cluster tells.
    pub replicas_query: Option<String>,
    /// Karpenter's NodePool for the workers.
    pub node_pool: Option<String>,
    /// CapacityBuffer that holds room ahead; never with `placeholder`.
    pub capacity_buffer: Option<String>,
    /// Deployment of pause pods that holds room ahead; never with `capacity_buffer`.
    pub placeholder: Option<String>,
    /// Act, or only advise.
    pub mode: Mode,
    /// `minReplicas` is given, and not left to the ScaledObject.
    pub min_replicas_given: bool,
    /// `maxReplicas` is given, and not left to the ScaledObject.
    pub max_replicas_given: bool,
    /// `timeZone` is given, and not left at its default.
    pub time_zone_given: bool,
    /// `podLeadTime` where it is given, and not left at its default.
    pub pod_lead_seconds: Option<f64>,
    /// `nodeLeadTime` where it is given, and not left at its default.
    pub node_lead_seconds: Option<f64>,
    /// What the core needs; shared with it, as ten thousand workloads keep theirs.
    pub policy: Arc<Policy>,
}

/// Where the backlog is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BacklogSource {
    /// SQS queue URLs; their counters are added up.
    Sqs(Vec<String>),
    /// A `PromQL` query.
    Prometheus(String),
}

/// Where arrivals and completions are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ThroughputSource {
    /// CloudWatch's `NumberOfMessagesSent` and `NumberOfMessagesDeleted`.
    CloudWatch,
    /// Two `PromQL` queries, each orders a second.
    Prometheus {
        /// Orders arriving, a second.
        arrival_query: String,
        /// Orders completed, a second; without it the queue's counters tell.
        completion_query: Option<String>,
    },
    /// The queue's own counters alone.
    Queue,
}

/// Whether our answer scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Act,
    /// KEDA gets 0 and inactive; the decision is only reported.
    Advise,
}

impl Trigger {
    /// Reads metadata; warnings come beside the trigger.
    ///
    /// # Errors
    /// Everything wrong at once.
    pub fn parse<K, V>(
        metadata: impl IntoIterator<Item = (K, V)>,
        origin: Origin,
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let parsed = parse(metadata, origin);
        match parsed.trigger {
            Some(trigger) => Ok((trigger, parsed.warnings)),
            None => Err(parsed.problems),
        }
    }

    /// The metadata that give this trigger, every key written out but bounds and lead times that were left out:
    /// [`Trigger::parse`] backwards.
    pub fn metadata(&self) -> BTreeMap<&'static str, String> {
        let mut metadata = BTreeMap::new();
        let mut put = |key: &'static str, value: Option<String>| {
            if let Some(value) = value {
                metadata.insert(key, value);
            }
        };
        match &self.backlog {
            BacklogSource::Sqs(urls) => put("queueURL", Some(urls.join(","))),
            BacklogSource::Prometheus(query) => put("backlogQuery", Some(query.clone())),
        }
        let source = match &self.throughput {
            ThroughputSource::CloudWatch => "cloudwatch",
            ThroughputSource::Queue => "queue",
            ThroughputSource::Prometheus { arrival_query, completion_query } => {
                put("arrivalQuery", Some(arrival_query.clone()));
                put("completionQuery", completion_query.clone());
                "prometheus"
            }
        };
        put("throughputSource", Some(source.to_owned()));
        put("awsRegion", self.aws_region.clone());
        put("awsEndpoint", self.aws_endpoint.clone());
        put("awsRoleArn", self.aws_role_arn.clone());
        put("prometheusServerAddress", self.prometheus_server_address.clone());
        put("prometheusTenant", self.prometheus_tenant.clone());
        put("replicasQuery", self.replicas_query.clone());
        put("nodePool", self.node_pool.clone());
        put("capacityBuffer", self.capacity_buffer.clone());
        put("placeholder", self.placeholder.clone());
        let mode = if self.mode == Mode::Act { "act" } else { "advise" };
        put("mode", Some(mode.to_owned()));
        metadata.extend(policy_metadata(&self.policy));
        if !self.min_replicas_given {
            metadata.remove("minReplicas");
        }
        if !self.max_replicas_given {
            metadata.remove("maxReplicas");
        }
        for (key, given) in [("podLeadTime", self.pod_lead_seconds), ("nodeLeadTime", self.node_lead_seconds)]
        {
            if given.is_none() {
                metadata.remove(key);
            }
        }
        metadata
    }
}

/// The part of the metadata that decides.
pub fn policy_metadata(policy: &Policy) -> impl Iterator<Item = (&'static str, String)> {
    let seconds = |seconds: f64| Some(duration::format(seconds));
    let cut_offs = (!policy.cut_offs.is_empty()).then(|| cut_offs::format(&policy.cut_offs));
    let service_rate = match policy.service_rate {
        ServiceRate::Learned => "learned".to_owned(),
        ServiceRate::PerMinute(rate) => rate.to_string(),
    };
    [
        ("targetWait", policy.target_wait_seconds.and_then(seconds)),
        ("timeZone", cut_offs.is_some().then(|| policy.time_zone.clone())),
        ("cutOffs", cut_offs),
        ("serviceRate", Some(service_rate)),
        ("minReplicas", Some(policy.min_replicas.to_string())),
        ("maxReplicas", Some(policy.max_replicas.to_string())),
        ("podLeadTime", seconds(policy.pod_lead_seconds)),
        ("nodeLeadTime", seconds(policy.node_lead_seconds)),
        ("rampUp", policy.ramp_up_per_minute.map(|rate| rate.to_string())),
        ("holdDown", seconds(policy.hold_down_seconds)),
        ("throughputLimit", policy.throughput_limit_per_hour.map(|limit| limit.to_string())),
        ("staleAfter", seconds(policy.stale_after_seconds)),
        ("scaleOnInFlight", Some(policy.scale_on_in_flight.to_string())),
        ("scaleOnDelayed", Some(policy.scale_on_delayed.to_string())),
        ("activationQueueLength", Some(policy.activation_queue_length.to_string())),
        ("forecast", Some(policy.forecast.to_string())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
}
