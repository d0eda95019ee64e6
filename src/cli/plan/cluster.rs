//! What `plan --from-cluster` reads of a workload: its ScaledObject, node shape, NodePool limits, lead times,
//! quotas and calendars. Looked at once; what cannot be seen is said, and left to flags and defaults.

mod ask;
mod quota;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::api::core::v1::{PodSpec, ResourceQuota};
use kube::api::DynamicObject;
use kube::{Client, Config};
use tokio::sync::Notify;

use crate::capacity::headroom::most_nodes;
use crate::cli::centre::Seen;
use crate::clock::{Clock, later};
use crate::core::Policy;
use crate::core::demand::calendar::CalendarSpec;
use crate::observe::WorkloadId;
use crate::observe::cluster::kubernetes::POOL_LABEL;
use crate::observe::cluster::lead_times::ENOUGH;
use crate::observe::cluster::quantity::{self, Resources};
use crate::observe::cluster::{CapacityFacts, Cluster as _, ClusterReading, Interest, KubernetesCluster};
use crate::replay::keda::ScaledObject;
use ask::{AskError, kind};
use quota::Worker;

/// A first list that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(15);

/// A workload as the cluster tells of it.
pub(super) struct FromCluster {
    pub(super) object: ScaledObject,
    pub(super) seen: Seen,
    /// Most worker pods that quotas leave.
    pub(super) quota_pods: Option<u32>,
    /// Most worker pods within the NodePool's limits, while it has no node that tells how many nodes they are.
    pub(super) pool_pods: Option<u32>,
    pub(super) calendar: Option<CalendarSpec>,
    pub(super) notes: Vec<String>,
}

impl FromCluster {
    /// Of a file: nothing more is known.
    pub(super) fn file(object: ScaledObject) -> Self {
        let seen = Seen::default();
        let (quota_pods, pool_pods, calendar) = (None, None, None);
        Self { object, seen, quota_pods, pool_pods, calendar, notes: Vec::new() }
    }
}

/// Reads a workload of the cluster that the kubeconfig names.
pub(super) fn look(workload: &WorkloadId, node_pool: Option<&str>) -> anyhow::Result<FromCluster> {
    crate::cli::runtime()?.block_on(async {
        let mut config = Config::infer().await.context("--from-cluster: no cluster is configured")?;
        // As `KubernetesCluster` wants it: an outage is told and not waited for.
        config.default_retry = false;
        let client = Client::try_from(config)?;
        read(client, workload, node_pool).await.with_context(|| format!("--from-cluster {workload}"))
    })
}

async fn read(client: Client, workload: &WorkloadId, node_pool: Option<&str>) -> anyhow::Result<FromCluster> {
    let namespace = &workload.namespace;
    let scaled = kind("keda.sh", "v1alpha1", "ScaledObject");
    let described = ask::one(&client, &scaled, Some(namespace), &workload.name).await?;
    let mut found = FromCluster::file(scaled_object(&described, workload)?);
    let interest = interest(&client, &mut found, node_pool).await?;
    let claims = claims(&client, &mut found, &interest).await;
    let reading = reading(&client, workload, &interest, claims).await;
    if let Some(error) = reading.error {
        bail!(error);
    }
    let own = reading.replicas.as_ref().context("its pods were not listed within 15 s")?.existing();
    let facts = reading.capacity.unwrap_or_default();
    take_in(&mut found, &facts);
    let target = facts.target.found();
    let request = target.and_then(|target| target.request.clone()).unwrap_or_default();
    let spec = ask::pod_spec(&client, &described).await;
    let grace = |spec: &PodSpec| spec.termination_grace_period_seconds.map(|seconds| seconds as f64);
    found.seen.grace_seconds = spec.as_ref().and_then(grace);
    match ask::quotas(&client, namespace).await.map_err(anyhow::Error::from) {
        Ok(quotas) => {
            let priority_class = priority_class(&client, spec.as_ref(), &quotas).await;
            let worker = Worker { request, spec, priority_class, own };
            found.quota_pods = quota::pods_left(&quotas, &worker, &mut found.notes);
        }
        Err(error) => {
            found.notes.push(format!("ResourceQuotas cannot be read ({error:#}): --quota-pods counts"));
        }
    }
    found.calendar = ask::calendar(&client, namespace, &mut found.notes).await?;
    Ok(found)
}

/// The workers' priority class, which admission gives to those that name none; asked for where a quota wants it.
async fn priority_class(
    client: &Client,
    spec: Option<&PodSpec>,
    quotas: &[ResourceQuota],
) -> Result<Option<String>, String> {
    let Some(spec) = spec else { return Err("the workers' template cannot be read".to_owned()) };
    if spec.priority_class_name.is_some() || !quota::ask_priority(quotas) {
        return Ok(spec.priority_class_name.clone());
    }
    ask::default_priority_class(client).await.map_err(|error| {
        let error = anyhow::Error::from(error);
        format!("the workers name no priorityClassName, and PriorityClasses cannot be read ({error:#})")
    })
}

fn scaled_object(object: &DynamicObject, workload: &WorkloadId) -> anyhow::Result<ScaledObject> {
    let text = serde_json::to_string_pretty(object)?;
    ScaledObject::parse(&text).map_err(|problems| {
        let told: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        anyhow!("ScaledObject {workload}: {}", told.join("; "))
    })
}

/// What is to be watched for a plan. A NodePool that must not be read is left to flags.
async fn interest(
    client: &Client,
    found: &mut FromCluster,
    node_pool: Option<&str>,
) -> anyhow::Result<Interest> {
    let usual = Policy::default();
    let mut interest = found.object.ours.as_ref().map_or_else(
        || Interest {
            pod_lead_seconds: usual.pod_lead_seconds,
            node_lead_seconds: usual.node_lead_seconds,
            ..Interest::default()
        },
        |trigger| Interest::of(trigger),
    );
    // What holds room ahead plays no part in a plan.
    interest.holder = None;
    let of_trigger = interest.node_pool.take();
    let Some(pool) = node_pool.map(str::to_owned).or(of_trigger) else {
        found.notes.push("no NodePool is named, by the trigger's nodePool or --node-pool: the nodes' shape and limits are those of flags".to_owned());
        return Ok(interest);
    };
    match ask::one(client, &kind("karpenter.sh", "v1", "NodePool"), None, &pool).await {
        Ok(_) => interest.node_pool = Some(pool),
        Err(AskError::Refused(words)) => found.notes.push(format!(
            "NodePool {pool} cannot be read ({words}): --pods-per-node, --node-limit and --node-lead count"
        )),
        Err(error) => return Err(error.into()),
    }
    Ok(interest)
}

/// How many nodes of the pool there are to be seen; none where they must not be.
async fn claims(client: &Client, found: &mut FromCluster, interest: &Interest) -> usize {
    let Some(pool) = &interest.node_pool else { return 0 };
    let claim = kind("karpenter.sh", "v1", "NodeClaim");
    match ask::count(client, &claim, &format!("{POOL_LABEL}={pool}")).await {
        Ok(count) => count,
        Err(error) => {
            let error = anyhow::Error::from(error);
            found.notes.push(format!("NodeClaims cannot be read ({error:#})"));
            0
        }
    }
}

/// Shape, limits and lead times.
fn take_in(found: &mut FromCluster, facts: &CapacityFacts) {
    let seen = &mut found.seen;
    let leads = &facts.leads;
    seen.pod_lead = leads.pod_seconds.filter(|_| leads.pod_samples > 0);
    seen.node_lead = leads.node_seconds.filter(|_| leads.node_samples > 0);
    for (samples, what) in [(leads.pod_samples, "pods"), (leads.node_samples, "nodes")] {
        if (1..ENOUGH).contains(&samples) {
            found.notes.push(format!(
                "the lead time of {what} was measured on {samples}: up to {ENOUGH} the one configured stands for the missing ones"
            ));
        }
    }
    let Some(pool) = facts.pool.found() else { return };
    seen.pods_per_node = facts.pods_a_node;
    seen.node_limit = most_nodes(pool, &facts.claims);
    if seen.pods_per_node.is_some() {
        return;
    }
    let request = facts.target.found().and_then(|target| target.request.as_ref());
    found.pool_pods = request.and_then(|request| pods_within(&pool.limits, request));
    let limits = found.pool_pods.map(|pods| format!(", and its limits are taken for {pods} pods"));
    found.notes.push(format!(
        "NodePool {} shows no node from which its shape could be read: --pods-per-node counts{}",
        pool.name,
        limits.unwrap_or_default()
    ));
}

/// Most pods of `request` within amounts; `None` where nothing bounds them.
fn pods_within(limits: &Resources, request: &Resources) -> Option<u32> {
    let most = limits
        .iter()
        .filter_map(|(resource, limit)| Some(limit / request.get(resource).filter(|amount| **amount > 0.0)?));
    most.map(quantity::whole).min()
}

/// The first complete look, or what is seen of it in time. `claims` is how many the NodePool has.
async fn reading(
    client: &Client,
    workload: &WorkloadId,
    interest: &Interest,
    claims: usize,
) -> ClusterReading {
    let clock = Clock::real();
    let cluster = KubernetesCluster::new(client.clone(), clock.clone());
    let listener = Arc::new(Notify::new());
    let mut view = cluster.watch(workload, interest, &listener);
    let until = later(clock.now(), PATIENCE);
    loop {
        let reading = view.read(clock.now());
        let left = until.duration_since(clock.now());
        if is_complete(&reading, interest, claims) || left <= jiff::SignedDuration::ZERO {
            return reading;
        }
        tokio::select! {
            () = listener.notified() => {}
            () = clock.sleep(PATIENCE) => {}
        }
    }
}

fn is_complete(reading: &ClusterReading, interest: &Interest, claims: usize) -> bool {
    let pool_is_read = reading
        .capacity
        .as_ref()
        .is_some_and(|facts| facts.pool.found().is_some() && (claims == 0 || !facts.claims.is_empty()));
    reading.error.is_some() || (reading.replicas.is_some() && (interest.node_pool.is_none() || pool_is_read))
}
