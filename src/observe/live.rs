//! The sources of a real installation: SQS, CloudWatch, Prometheus and the cluster.
//!
//! Polls run in the background and are shared between workloads; a workload only reads
//! what they wrote. Calls to AWS stay within four a queue and minute: counters every 20 s (three), CloudWatch
//! once a minute, for many queues together, and nothing is retried on the side.
//!
//! What is given when a source fails:
//!
//! - counters: the last reading, getting older, until it is older than the trigger's `staleAfter`; then `None`. The
//!   counters of several queues are added up only when all of them are known, and are as old as the oldest;
//! - intervals: nothing until the source is back, then all of the outage at once, up to three hours;
//! - replicas: the last known, until they are older than `staleAfter`; then `None`. They are never assumed.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::allow::AllowList;
use super::aws::{AwsClients, ClientKey};
use super::cloudwatch::{CloudWatchPoll, Series};
use super::cluster::{CapacityFacts, Cluster, ClusterView, Interest};
use super::needs::Needs;
use super::past::{QueuesPast, RatesPast};
use super::poll::{Health, Lease, Registry, Schedule};
use super::prometheus::{Prometheus, QueryKey, RatePoll, STEP_SECONDS, ValuePoll};
use super::sqs::{QueueKey, QueuePoll};
use super::sum::MinuteSum;
use super::{AttachError, Observed, PastReader, SourceHealth, Sources, WorkloadId, WorkloadSource};
use crate::clock::{Clock, seconds_between};
use crate::core::{Flow, LeadTimes, Observation, QueueReading, ReplicaBounds, Replicas};
use crate::trigger::Trigger;

/// The shortest period of polls on AWS itself: three calls a minute, which leaves one for CloudWatch.
pub const SHORTEST_AWS_PERIOD: Duration = Duration::from_secs(20);
/// Without a minute newer than this, CloudWatch is said to be silent.
const SILENT_AFTER_SECONDS: f64 = 900.0;

/// What the operator sets.
pub struct LiveOptions {
    /// Which endpoints and roles may be contacted.
    pub allow: AllowList,
    /// File of the bearer token for the operator's own Prometheus address; read at every request.
    pub prometheus_token_file: Option<PathBuf>,
    /// From one reading of a queue's counters to the next; at least [`SHORTEST_AWS_PERIOD`] on AWS itself.
    pub sqs_period: Duration,
    /// From one Prometheus query to its next.
    pub prometheus_period: Duration,
    /// In place of the pod's own AWS identity: for embedded queues and tests.
    pub aws_identity: Option<SharedCredentialsProvider>,
    /// Where pods are seen; without it `replicasQuery` tells.
    pub cluster: Option<Arc<dyn Cluster>>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            allow: AllowList::default(),
            prometheus_token_file: None,
            sqs_period: SHORTEST_AWS_PERIOD,
            prometheus_period: Duration::from_secs(STEP_SECONDS.unsigned_abs()),
            aws_identity: None,
            cluster: None,
        }
    }
}

/// An identity of fixed keys, for [`LiveOptions::aws_identity`]: embedded queues take any.
pub fn fixed_identity(access_key: &str, secret_key: &str) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(access_key, secret_key, None, None, "fixed"))
}

type QueueLease = Arc<Lease<QueueKey, QueuePoll>>;
type SeriesLease = Arc<Lease<(ClientKey, String), SharedSeries>>;
type RateLease = Arc<Lease<QueryKey, RatePoll>>;
type ValueLease = Arc<Lease<QueryKey, ValuePoll>>;

/// Opens real sources.
pub struct LiveSources {
    clock: Clock,
    runtime: Handle,
    allow: AllowList,
    sqs_period: Duration,
    prometheus_period: Duration,
    cluster: Option<Arc<dyn Cluster>>,
    prometheus: Arc<Prometheus>,
    clients: AwsClients,
    queues: Registry<QueueKey, QueuePoll>,
    metrics: Registry<ClientKey, CloudWatchPoll>,
    series: Registry<(ClientKey, String), SharedSeries>,
    rates: Registry<QueryKey, RatePoll>,
    values: Registry<QueryKey, ValuePoll>,
}

/// A queue's minutes and the poll that reads them.
struct SharedSeries {
    series: Arc<Series>,
    poll: Arc<Lease<ClientKey, CloudWatchPoll>>,
}

/// What is running, for telemetry and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// SQS queues polled.
    pub queues: usize,
    /// Queues read from CloudWatch.
    pub series: usize,
    /// Prometheus queries polled.
    pub queries: usize,
    /// AWS clients.
    pub clients: usize,
}

impl LiveSources {
    /// Polls run on the tokio runtime in which this is called, in the time of `clock`.
    ///
    /// # Errors
    /// When no HTTP client can be made, for example without trusted certificates.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(clock: Clock, options: LiveOptions) -> Result<Self, reqwest::Error> {
        let token = options.allow.prometheus_address().zip(options.prometheus_token_file);
        Ok(Self {
            clock,
            runtime: Handle::current(),
            prometheus: Arc::new(Prometheus::new(token)?),
            clients: AwsClients::new(options.aws_identity),
            allow: options.allow,
            sqs_period: options.sqs_period,
            prometheus_period: options.prometheus_period,
            cluster: options.cluster,
            queues: Registry::default(),
            metrics: Registry::default(),
            series: Registry::default(),
            rates: Registry::default(),
            values: Registry::default(),
        })
    }

    /// What is running at present.
    pub fn running(&self) -> Running {
        Running {
            queues: self.queues.len(),
            series: self.series.len(),
            queries: self.rates.len() + self.values.len(),
            clients: self.clients.len(),
        }
    }

    fn queue(&self, key: &QueueKey) -> QueueLease {
        let is_aws =
            key.client.endpoint.as_deref().is_none_or(|endpoint| endpoint.contains(".amazonaws.com"));
        let period = if is_aws { self.sqs_period.max(SHORTEST_AWS_PERIOD) } else { self.sqs_period };
        let schedule = Schedule { period, spread: period / 20 };
        self.queues.get(key, || {
            let client = self.clients.get(&key.client);
            QueuePoll::start(&self.runtime, &self.clock, schedule, client, key.url.clone())
        })
    }

    fn series(&self, key: &(ClientKey, String)) -> SeriesLease {
        self.series.get(key, || {
            let (client, queue_name) = key;
            let poll = self
                .metrics
                .get(client, || CloudWatchPoll::start(&self.runtime, &self.clock, self.clients.get(client)));
            SharedSeries { series: poll.join(queue_name), poll }
        })
    }

    fn rate(&self, key: &QueryKey) -> RateLease {
        self.rates.get(key, || {
            RatePoll::start(
                &self.runtime,
                &self.clock,
                self.prometheus_period,
                self.prometheus.clone(),
                key.clone(),
            )
        })
    }

    fn value(&self, key: &QueryKey) -> ValueLease {
        self.values.get(key, || {
            ValuePoll::start(
                &self.runtime,
                &self.clock,
                self.prometheus_period,
                self.prometheus.clone(),
                key.clone(),
            )
        })
    }
}

impl Sources for LiveSources {
    fn attach(
        &self,
        workload: &WorkloadId,
        trigger: &Trigger,
    ) -> Result<Box<dyn WorkloadSource>, AttachError> {
        let needs = Needs::of(&workload.namespace, trigger, &self.allow)?;
        let news = Arc::new(Notify::new());
        let backlog = match &needs.backlog {
            Some(query) => Backlog::Query(self.value(query)),
            None => Backlog::Queues(needs.queues.iter().map(|key| self.queue(key)).collect()),
        };
        let metrics: Vec<_> = needs.metrics.iter().map(|key| (self.series(key), 0)).collect();
        let rates: Vec<_> = needs.rates.iter().map(|(flow, key)| (*flow, self.rate(key), 0)).collect();
        let replicas = match (&self.cluster, &needs.replicas) {
            (Some(cluster), _) => {
                ReplicaSource::Cluster(cluster.watch(workload, &Interest::of(trigger), &news))
            }
            (None, Some(query)) => ReplicaSource::Query(self.value(query)),
            (None, None) => ReplicaSource::Unknown,
        };
        let source = LiveWorkload {
            sum: MinuteSum::new(metrics.len()),
            backlog,
            metrics,
            rates,
            replicas,
            news,
            stale_after_seconds: trigger.policy.stale_after_seconds,
            is_given: (trigger.min_replicas_given, trigger.max_replicas_given),
        };
        source.listen();
        Ok(Box::new(source))
    }

    fn past(&self, workload: &WorkloadId, trigger: &Trigger) -> Option<Box<dyn PastReader>> {
        // What may not be contacted has no past either.
        let needs = Needs::of(&workload.namespace, trigger, &self.allow).ok()?;
        if !needs.rates.is_empty() {
            return Some(Box::new(RatesPast { client: self.prometheus.clone(), rates: needs.rates }));
        }
        let queues = needs.metrics.iter().map(|key| {
            let lease = self.series(key);
            lease.poll.past(lease.series.clone(), lease.clone())
        });
        let queues: Vec<_> = queues.collect();
        (!queues.is_empty()).then(|| Box::new(QueuesPast(queues)) as Box<dyn PastReader>)
    }
}

enum Backlog {
    Queues(Vec<QueueLease>),
    Query(ValueLease),
}

enum ReplicaSource {
    Cluster(Box<dyn ClusterView>),
    Query(ValueLease),
    Unknown,
}

/// One workload's view on the polls.
struct LiveWorkload {
    backlog: Backlog,
    /// With the number of the next minute to take.
    metrics: Vec<(SeriesLease, u64)>,
    sum: MinuteSum,
    /// With the number of the next step to take.
    rates: Vec<(Flow, RateLease, u64)>,
    replicas: ReplicaSource,
    news: Arc<Notify>,
    stale_after_seconds: f64,
    /// Whether the trigger itself says the fewest and the most replicas.
    is_given: (bool, bool),
}

impl LiveWorkload {
    fn listen(&self) {
        match &self.backlog {
            Backlog::Queues(polls) => polls.iter().for_each(|poll| poll.cell.listeners().add(&self.news)),
            Backlog::Query(poll) => poll.cell.listeners().add(&self.news),
        }
        for (shared, _) in &self.metrics {
            shared.series.cell.listeners().add(&self.news);
        }
        for (_, poll, _) in &self.rates {
            poll.cell.listeners().add(&self.news);
        }
        if let ReplicaSource::Query(poll) = &self.replicas {
            poll.cell.listeners().add(&self.news);
        }
        // What a shared poll already has is news to this workload.
        self.news.notify_one();
    }

    fn is_fresh(&self, age_seconds: f64) -> bool {
        age_seconds <= self.stale_after_seconds
    }

    fn read_backlog(&self, now: Timestamp, sources: &mut Vec<SourceHealth>) -> Option<QueueReading> {
        let reading = match &self.backlog {
            Backlog::Queues(polls) => {
                sources.push(joined("sqs", polls.iter().map(|poll| poll.cell.health()), now));
                add_up(polls, now)
            }
            Backlog::Query(poll) => {
                sources.push(joined("prometheus_backlog", [poll.cell.health()].into_iter(), now));
                poll.cell.value().map(|(at, visible)| QueueReading {
                    visible,
                    age_seconds: seconds_between(at, now).max(0.0),
                    ..QueueReading::default()
                })
            }
        };
        reading.filter(|reading| self.is_fresh(reading.age_seconds))
    }

    fn read_flows(&mut self, now: Timestamp, observation: &mut Observation, sources: &mut Vec<SourceHealth>) {
        for (shared, next) in &mut self.metrics {
            let (news, further) = shared.series.cell.value().since(*next);
            *next = further;
            for minute in &news {
                self.sum.add(minute, now);
            }
        }
        let mut news = self.sum.take(now);
        if !self.metrics.is_empty() {
            let healths = self.metrics.iter().map(|(shared, _)| health_of(&shared.series, now));
            sources.push(joined("cloudwatch", healths, now));
        }
        for (flow, poll, next) in &mut self.rates {
            let (steps, further) = poll.cell.value().since(*next);
            *next = further;
            news.extend(steps.into_iter().map(|interval| (*flow, interval)));
            let name = match flow {
                Flow::Arrivals => "prometheus_arrivals",
                Flow::Completions => "prometheus_completions",
            };
            sources.push(joined(name, [poll.cell.health()].into_iter(), now));
        }
        for (flow, interval) in news {
            match flow {
                Flow::Arrivals => observation.arrivals.push(interval),
                Flow::Completions => observation.completions.push(interval),
            }
        }
    }

    /// What the cluster tells beside the pods: room, lead times, and bounds that the trigger leaves to it.
    fn take_in(&self, capacity: &CapacityFacts, observation: &mut Observation) {
        observation.nodes = capacity.slots;
        let leads = &capacity.leads;
        let (pod_seconds, node_seconds) = (leads.pod_seconds, leads.node_seconds);
        observation.lead_times = (pod_seconds.is_some() || node_seconds.is_some())
            .then_some(LeadTimes { pod_seconds, node_seconds });
        observation.bounds = capacity.scaled_object.found().map(|object| ReplicaBounds {
            min: object.bounds.min.filter(|_| !self.is_given.0),
            max: object.bounds.max.filter(|_| !self.is_given.1),
        });
    }

    fn read_replicas(
        &mut self,
        now: Timestamp,
        sources: &mut Vec<SourceHealth>,
        capacity: &mut Option<Arc<CapacityFacts>>,
    ) -> Option<Replicas> {
        let (replicas, health) = match &mut self.replicas {
            ReplicaSource::Cluster(view) => {
                let reading = view.read(now);
                *capacity = reading.capacity;
                let health = SourceHealth {
                    source: "cluster".to_owned(),
                    age_seconds: reading.age_seconds,
                    error: reading.error,
                };
                (reading.replicas, health)
            }
            ReplicaSource::Query(poll) => {
                let health = joined("prometheus_replicas", [poll.cell.health()].into_iter(), now);
                let value = *poll.cell.value();
                (value.map(|(_, ready)| of_query(ready)), health)
            }
            ReplicaSource::Unknown => {
                let health = SourceHealth {
                    source: "replicas".to_owned(),
                    age_seconds: None,
                    error: Some(
                        "ready replicas are unknown: run in a cluster, or give replicasQuery".to_owned(),
                    ),
                };
                (None, health)
            }
        };
        let is_fresh = health.age_seconds.is_some_and(|age| self.is_fresh(age));
        sources.push(health);
        replicas.filter(|_| is_fresh)
    }
}

impl WorkloadSource for LiveWorkload {
    fn observe(&mut self, now: Timestamp) -> Observed {
        let mut sources = Vec::with_capacity(4);
        let mut observation = Observation {
            at: now,
            queue: self.read_backlog(now, &mut sources),
            arrivals: Vec::new(),
            completions: Vec::new(),
            replicas: None,
            nodes: None,
            lead_times: None,
            bounds: None,
        };
        self.read_flows(now, &mut observation, &mut sources);
        let mut capacity = None;
        observation.replicas = self.read_replicas(now, &mut sources, &mut capacity);
        if let Some(capacity) = &capacity {
            self.take_in(capacity, &mut observation);
        }
        Observed { observation, sources, capacity }
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.news.notified())
    }
}

/// The sum over all queues, as old as the oldest reading; `None` unless all are known.
fn add_up(polls: &[QueueLease], now: Timestamp) -> Option<QueueReading> {
    let mut sum = QueueReading::default();
    for poll in polls {
        let counters = (*poll.cell.value())?;
        sum.visible += counters.visible;
        sum.in_flight += counters.in_flight;
        sum.delayed += counters.delayed;
        sum.age_seconds = sum.age_seconds.max(seconds_between(counters.at, now));
        // Nobody knows from which queue a worker's message is.
        let both = sum.visibility_timeout_seconds.into_iter().chain(counters.visibility_timeout_seconds);
        sum.visibility_timeout_seconds = both.reduce(f64::max);
    }
    Some(sum)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is finite and not negative, and a cast to u32 saturates"
)]
fn of_query(ready: f64) -> Replicas {
    Replicas { ready: ready.round() as u32, starting: Vec::new(), pending: 0, wanted: None }
}

/// A silent CloudWatch answers well and says nothing: that is told too.
fn health_of(series: &Series, now: Timestamp) -> Health {
    let mut health = series.cell.health();
    let newest = series.cell.value().newest();
    let is_silent = newest.is_none_or(|newest| seconds_between(newest, now) > SILENT_AFTER_SECONDS);
    if health.error.is_none() && health.last_good.is_some() && is_silent {
        health.error = Some(format!(
            "CloudWatch has nothing for queue {} in the last {} minutes: SQS sends metrics up to 15 minutes after a queue was first used; check the queue's name, region and account",
            series.queue_name(),
            SILENT_AFTER_SECONDS / 60.0
        ));
    }
    health
}

/// One entry for several polls: as old as the oldest, with every error once.
fn joined(source: &str, healths: impl Iterator<Item = Health>, now: Timestamp) -> SourceHealth {
    let mut age_seconds = Some(0.0_f64);
    let mut errors: Vec<String> = Vec::new();
    for health in healths {
        age_seconds = age_seconds.zip(health.age_seconds(now)).map(|(one, other)| one.max(other));
        errors.extend(health.error.filter(|error| !errors.contains(error)));
    }
    SourceHealth {
        source: source.to_owned(),
        age_seconds,
        error: (!errors.is_empty()).then(|| errors.join("; ")),
    }
}
