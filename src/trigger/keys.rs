//! The one table of metadata keys: parsing, the nearest-key suggestion and `docs/metadata.md` come from it.

use super::values::Kind;

/// A key's suffix when its value comes from a variable of the worker's container.
pub(crate) const FROM_ENV: &str = "FromEnv";

/// Longest word for which a near one is looked up; the effort grows with its length.
const LONGEST_WORD: usize = 64;

/// Shortest beginning of a word that tells the word.
const SHORTEST_BEGINNING: usize = 4;

/// What a key means, and what it may hold.
#[derive(Debug, Clone, Copy)]
pub struct KeyDefinition {
    /// As it is written in metadata.
    pub name: &'static str,
    /// Under which heading it is documented.
    pub group: Group,
    /// Type, unit and bounds.
    pub kind: Kind,
    /// What holds when it is not given.
    pub default: Fallback,
    /// A value that is right.
    pub example: &'static str,
    /// One line, without a full stop.
    pub description: &'static str,
}

/// What holds when a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This value.
    Value(&'static str),
    /// Something that other keys tell, in words.
    Derived(&'static str),
    /// Nothing: the key has no effect.
    Nothing,
    /// It must be given, under a condition in words.
    Required(&'static str),
}

/// Headings of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Where the backlog is read.
    Backlog,
    /// When orders are due.
    Due,
    /// How many workers, how fast.
    Workers,
    /// Where arrivals and completions are read.
    Throughput,
    /// The cluster around the workers.
    Cluster,
    /// What is done with a decision.
    Operation,
}

impl Group {
    /// In the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Backlog, Self::Due, Self::Workers, Self::Throughput, Self::Cluster, Self::Operation];

    /// The heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Backlog => "Where the backlog is read",
            Self::Due => "When orders are due",
            Self::Workers => "How many workers, and how fast",
            Self::Throughput => "Where arrivals and completions are read",
            Self::Cluster => "Room in the cluster",
            Self::Operation => "What is done with a decision",
        }
    }
}

const fn key(
    group: Group,
    name: &'static str,
    kind: Kind,
    default: Fallback,
    example: &'static str,
    description: &'static str,
) -> KeyDefinition {
    KeyDefinition { name, group, kind, default, example, description }
}

const fn seconds(least: f64, most: f64) -> Kind {
    Kind::Duration { least, most }
}

const fn number(zero: bool, unit: &'static str) -> Kind {
    Kind::Number { zero, unit }
}

const HOUR: f64 = 3600.0;

use Fallback::{Derived, Nothing, Required, Value};
use Group::{Backlog, Cluster, Due, Operation, Throughput, Workers};

/// Every key, in the order of the documentation.
#[rustfmt::skip]
pub const KEYS: &[KeyDefinition] = &[
    key(Backlog, "queueURL", Kind::QueueUrls, Required("unless `backlogQuery` is set"),
        "https://sqs.eu-central-1.amazonaws.com/123456789012/orders",
        "Full URL of the SQS queue of orders; the counters of several queues are added up"),
    key(Backlog, "awsRegion", Kind::Region, Derived("the region in the host of `queueURL`"), "eu-central-1",
        "Region of the queue; needed where the queue's host does not tell it"),
    key(Backlog, "awsEndpoint", Kind::ServerUrl, Derived("AWS's own endpoint"), "http://elasticmq.queues:9324",
        "Endpoint in place of AWS's own; only one that the operator allows is contacted"),
    key(Backlog, "awsRoleArn", Kind::RoleArn, Derived("the pod's own identity"),
        "arn:aws:iam::123456789012:role/orders-reader",
        "Role to assume for reading the queue and CloudWatch; only one that the operator allows is assumed"),
    key(Backlog, "backlogQuery", Kind::Query, Nothing, "sum(rabbitmq_queue_messages{queue=\"orders\"})",
        "Orders waiting or in work, in place of `queueURL`: any queue that Prometheus knows"),
    key(Backlog, "scaleOnInFlight", Kind::Flag, Value("true"), "true",
        "Whether messages in flight count as backlog"),
    key(Backlog, "scaleOnDelayed", Kind::Flag, Value("false"), "false",
        "Whether delayed messages count, as orders that come within a quarter of an hour"),
    key(Backlog, "activationQueueLength", number(true, "orders"), Value("0"), "5",
        "Backlog that must be exceeded before workers start from zero"),

    key(Due, "targetWait", seconds(1.0, 168.0 * HOUR), Required("unless `cutOffs` is set"), "5m",
        "The longest an order may wait before its work starts"),
    key(Due, "cutOffs", Kind::CutOffs, Required("unless `targetWait` is set"),
        "DPD Mon-Fri 14:00+45m; PPL Mon-Sat 17:30+30m",
        "Carrier cut-offs: with `14:00+45m`, orders in by 14:00 are done by 14:45; days are ranges (`Fri-Mon` too), lists (`Mon,Wed`) or `daily`"),
    key(Due, "timeZone", Kind::TimeZone, Value("UTC"), "Europe/Prague",
        "Time zone of the times in `cutOffs`"),

    key(Workers, "minReplicas", Kind::Whole { least: 0, most: 100_000 }, Value("0"), "2",
        "Least workers; left out, `minReplicaCount` of the ScaledObject holds wherever the cluster can be seen"),
    key(Workers, "maxReplicas", Kind::Whole { least: 1, most: 100_000 }, Value("100"), "200",
        "Most workers; left out, `maxReplicaCount` of the ScaledObject holds wherever the cluster can be seen"),
    key(Workers, "serviceRate", Kind::ServiceRate, Value("learned"), "12.5",
        "Orders a minute that one ready replica completes, or `learned` from completions and messages in flight"),
    key(Workers, "podLeadTime", seconds(0.0, 2.0 * HOUR), Value("30s"), "45s",
        "Pod created to Ready where a node has room, until it has been measured"),
    key(Workers, "nodeLeadTime", seconds(0.0, 2.0 * HOUR), Value("90s"), "100s",
        "Node asked for to initialized, until it has been measured"),
    key(Workers, "rampUp", number(false, "replicas a minute"), Nothing, "60",
        "Most workers added a minute; without it there is no such bound"),
    key(Workers, "holdDown", seconds(0.0, HOUR), Value("60s"), "30s",
        "Workers are only taken away down to the most that was wanted over this time, or while an order takes where that is longer (up to half an hour)"),
    key(Workers, "throughputLimit", number(false, "orders an hour"), Nothing, "7200",
        "Orders an hour that the packing hall behind the workers can take; more workers than that are of no use"),

    key(Throughput, "throughputSource", Kind::Choice(&["cloudwatch", "prometheus", "queue"]),
        Derived("`prometheus` with `arrivalQuery`, else `cloudwatch` with `queueURL`, else `queue`"), "prometheus",
        "Where arrivals and completions are read; `queue` reckons with the queue's own counters alone"),
    key(Throughput, "prometheusServerAddress", Kind::ServerUrl, Required("with any of the queries"),
        "http://prometheus.monitoring:9090",
        "Address of Prometheus or Mimir; only one that the operator allows is contacted"),
    key(Throughput, "prometheusTenant", Kind::Tenant, Nothing, "fulfilment",
        "Mimir's tenant, sent as `X-Scope-OrgID`; only one that the operator allows is named"),
    key(Throughput, "arrivalQuery", Kind::Query, Required("with throughputSource `prometheus`"),
        "sum(rate(orders_received_total[2m]))",
        "Orders that arrive, a second"),
    key(Throughput, "completionQuery", Kind::Query, Derived("the queue's counters"),
        "sum(rate(orders_completed_total[2m]))",
        "Orders that are completed, a second"),
    key(Throughput, "replicasQuery", Kind::Query, Derived("the scale target's pods, where there is a cluster"),
        "sum(kube_deployment_status_replicas_ready{deployment=\"pickers\"})",
        "Ready workers, where no cluster tells"),

    key(Cluster, "nodePool", Kind::ObjectName, Nothing, "pickers",
        "NodePool of Karpenter on which the workers run"),
    key(Cluster, "capacityBuffer", Kind::ObjectName, Nothing, "pickers-ahead",
        "CapacityBuffer in the workers' namespace whose `replicas` hold room for workers wanted soon; not with `placeholder`"),
    key(Cluster, "placeholder", Kind::ObjectName, Nothing, "pickers-placeholder",
        "Deployment of pause pods that holds that room where there is no CapacityBuffer; not with `capacityBuffer`"),

    key(Operation, "staleAfter", seconds(1.0, 24.0 * HOUR), Value("180s"), "3m",
        "Data older than this is not decided on: KEDA gets an error, and its `fallback` takes over"),
    key(Operation, "forecast", Kind::Flag, Value("true"), "true",
        "Whether a learned forecast is used where there is a history"),
    key(Operation, "mode", Kind::Choice(&["act", "advise"]), Value("act"), "advise",
        "With `advise` the answer is 0 and inactive, so that the other triggers decide, and the decision is only reported"),
];

/// Keys of KEDA's own external scalers, which send their whole metadata along.
pub const KEDA_KEYS: &[&str] =
    &["scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsCertFile", "tlsClientCert", "tlsClientKey"];

/// Keys that belong elsewhere, and what takes their place here.
#[rustfmt::skip]
const FOREIGN: &[(&str, &str)] = &[
    ("queueLength", "belongs to KEDA's own aws-sqs-queue; write targetWait, and serviceRate where it is known"),
    ("targetQueueLength", "belongs to KEDA's own scalers; write targetWait, and serviceRate where it is known"),
    ("activationThreshold", "belongs to KEDA's prometheus scaler; write activationQueueLength"),
    ("threshold", "belongs to KEDA's prometheus scaler; write targetWait"),
    ("query", "belongs to KEDA's prometheus scaler; write backlogQuery or arrivalQuery"),
    ("serverAddress", "belongs to KEDA's prometheus scaler; write prometheusServerAddress"),
    ("minReplicaCount", "belongs to the ScaledObject's spec; write minReplicas here"),
    ("maxReplicaCount", "belongs to the ScaledObject's spec; write maxReplicas here"),
    ("pollingInterval", "belongs to the ScaledObject's spec; take it out of the metadata"),
    ("cooldownPeriod", "belongs to the ScaledObject's spec; write holdDown here"),
    ("metricType", "belongs to the trigger, beside its metadata; take it out of the metadata"),
    ("useCachedMetrics", "belongs to the trigger, beside its metadata; take it out of the metadata"),
    ("identityOwner", "belongs to KEDA's own aws-sqs-queue; peakscaler reads with its own identity, or with awsRoleArn"),
    ("awsAccessKeyID", "is a credential; peakscaler reads with its own identity, or with awsRoleArn"),
    ("awsSecretAccessKey", "is a credential; peakscaler reads with its own identity, or with awsRoleArn"),
    ("awsSessionToken", "is a credential; peakscaler reads with its own identity, or with awsRoleArn"),
];

/// The definition of a key; `None` for one that is not ours.
pub fn definition(name: &str) -> Option<&'static KeyDefinition> {
    KEYS.iter().find(|definition| definition.name == name)
}

/// The definition behind a key as it was written, and whether it was written with `FromEnv`.
pub(crate) fn resolve(written: &str) -> Option<(&'static KeyDefinition, bool)> {
    match definition(written) {
        Some(definition) => Some((definition, false)),
        None => written.strip_suffix(FROM_ENV).and_then(definition).map(|definition| (definition, true)),
    }
}

/// Whether KEDA itself reads a key.
pub(crate) fn is_kedas(written: &str) -> bool {
    KEDA_KEYS.contains(&written.strip_suffix(FROM_ENV).unwrap_or(written))
}

/// What to say of a key that is not ours; reads on after the key.
pub(crate) fn unknown_key_message(written: &str) -> String {
    let (base, suffix) = split_from_env(written);
    if let Some((_, message)) = FOREIGN.iter().find(|(name, _)| *name == base) {
        return (*message).to_owned();
    }
    match nearest(base, KEYS.iter().map(|definition| definition.name).chain(KEDA_KEYS.iter().copied())) {
        Some(name) => format!("is not a key of peakscaler; did you mean {name}{suffix}?"),
        None => "is not a key of peakscaler; docs/metadata.md lists them".to_owned(),
    }
}

/// Takes the suffix off, however its letters are written.
fn split_from_env(written: &str) -> (&str, &'static str) {
    let start = written.len().saturating_sub(FROM_ENV.len());
    match (written.get(..start), written.get(start..)) {
        (Some(base), Some(end)) if end.eq_ignore_ascii_case(FROM_ENV) => (base, FROM_ENV),
        _ => (written, ""),
    }
}

/// The candidate nearest to a word, when one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let plain = |text: &str| text.replace(['_', '-', '.', ' '], "").to_lowercase();
    let wanted = plain(word);
    let length = wanted.chars().count();
    let score = |candidate: &str| {
        let candidate = plain(candidate);
        // The beginning of a key is near it, however long the rest.
        if length >= SHORTEST_BEGINNING && candidate.starts_with(&wanted) {
            return (0, 0);
        }
        let shared = wanted.chars().zip(candidate.chars()).take_while(|(one, other)| one == other).count();
        (strsim::damerau_levenshtein(&wanted, &candidate), length - shared)
    };
    let ((distance, _), candidate) = candidates.map(|candidate| (score(candidate), candidate)).min()?;
    (distance <= length / 3).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_meant() {
        for (written, meant) in [
            ("queueUrl", "queueURL"),
            ("queue_url", "queueURL"),
            ("queueURLS", "queueURL"),
            ("targetwait", "targetWait"),
            ("tagetWait", "targetWait"),
            ("targetWaitTime", "targetWait"),
            ("cutoffs", "cutOffs"),
            ("cutOff", "cutOffs"),
            ("timezone", "timeZone"),
            ("maxReplica", "maxReplicas"),
            ("awsEndpiont", "awsEndpoint"),
            ("queueUrlFromEnv", "queueURLFromEnv"),
            ("scalerAdress", "scalerAddress"),
        ] {
            let message = unknown_key_message(written);
            assert!(message.contains(&format!("did you mean {meant}?")), "{written}: {message}");
        }
        assert!(unknown_key_message("colour").contains("docs/metadata.md"));
    }

    #[test]
    fn every_example_and_default_is_right() {
        for definition in KEYS {
            assert!(definition.kind.parse(definition.example).is_ok(), "{}", definition.name);
            if let Fallback::Value(text) = definition.default {
                assert!(definition.kind.parse(text).is_ok(), "{}", definition.name);
            }
        }
    }

    #[test]
    fn names_are_unique() {
        for (position, definition) in KEYS.iter().enumerate() {
            assert!(
                KEYS[position + 1..].iter().all(|other| other.name != definition.name),
                "{}",
                definition.name
            );
            assert!(!KEDA_KEYS.contains(&definition.name), "{}", definition.name);
        }
    }
}
