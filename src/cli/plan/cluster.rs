//! What `plan --from-cluster` reads of a workload: its ScaledObject, node shape, NodePool limits, lead times,
//! quotas and calendars. Looked at once; what cannot be seen is said, and left to flags and defaults.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, ResourceExt as _};
use tokio::sync::Notify;

use crate::capacity::headroom::most_nodes;
use crate::cli::centre::Seen;
use crate::clock::{Clock, later};
use crate::core::demand::calendar::CalendarSpec;
use crate::observe::WorkloadId;
use crate::observe::cluster::facts::Named;
use crate::observe::cluster::quantity::{self, Resources};
use crate::observe::cluster::{Cluster as _, ClusterReading, Interest, KubernetesCluster};
use crate::replay::keda::ScaledObject;

/// A first list that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(15);

/// A workload as the cluster tells of it.
pub(super) struct FromCluster {
    pub(super) object: ScaledObject,
    pub(super) seen: Seen,
    /// Most worker pods that quotas leave.
    pub(super) quota_pods: Option<u32>,
    pub(super) calendar: Option<CalendarSpec>,
    pub(super) notes: Vec<String>,
}

/// Reads a workload of the cluster that the kubeconfig names.
pub(super) fn look(workload: &WorkloadId, node_pool: Option<&str>) -> anyhow::Result<FromCluster> {
    crate::cli::runtime()?.block_on(async {
        let client = Client::try_default().await.context("--from-cluster: no cluster is configured")?;
        read(client, workload, node_pool).await.with_context(|| format!("--from-cluster {workload}"))
    })
}

async fn read(client: Client, workload: &WorkloadId, node_pool: Option<&str>) -> anyhow::Result<FromCluster> {
    let object = scaled_object(&client, workload).await?;
    let mut interest = object.ours.as_ref().map(|trigger| Interest::of(trigger)).unwrap_or_default();
    // What holds room ahead plays no part in a plan.
    interest.holder = None;
    interest.node_pool = node_pool.map(str::to_owned).or(interest.node_pool);
    let mut notes = Vec::new();
    if interest.node_pool.is_none() {
        notes.push("no NodePool is named, by the trigger's nodePool or --node-pool: the nodes' shape and limits are those of flags".to_owned());
    }
    let reading = reading(&client, workload, &interest).await;
    if let Some(error) = reading.error {
        bail!(error);
    }
    let mut seen = Seen::default();
    let mut request = Resources::new();
    if let Some(facts) = &reading.capacity {
        seen.pods_per_node = facts.pods_a_node;
        seen.pod_lead = facts.leads.pod_seconds.filter(|_| facts.leads.pod_samples > 0);
        seen.node_lead = facts.leads.node_seconds.filter(|_| facts.leads.node_samples > 0);
        request = facts.target.found().and_then(|target| target.request.clone()).unwrap_or_default();
        let pool = interest.node_pool.as_deref().unwrap_or_default();
        match &facts.pool {
            Named::Found(pool) => seen.node_limit = most_nodes(pool, &facts.claims),
            Named::Missing => bail!("there is no NodePool {pool}"),
            Named::NoSuchKind => bail!("the cluster has no Karpenter, and so no NodePool {pool}"),
            Named::Unknown | Named::NotNamed => {}
        }
        if facts.pool.found().is_some() && seen.pods_per_node.is_none() {
            notes.push(format!(
                "NodePool {pool} has no node from which its shape could be read: --pods-per-node counts"
            ));
        }
        notes.extend(facts.troubles.iter().cloned());
    }
    let own = reading.replicas.as_ref().map_or(0, crate::core::Replicas::existing);
    let quota_pods = match quotas(&client, &workload.namespace).await {
        Ok(quotas) => quotas.iter().filter_map(|quota| pods_left(quota, &request, own)).min(),
        Err(error) => {
            notes.push(format!("ResourceQuotas cannot be read ({error}): --quota-pods counts"));
            None
        }
    };
    let calendar = calendar(&client, &workload.namespace, &mut notes).await?;
    Ok(FromCluster { object, seen, quota_pods, calendar, notes })
}

async fn scaled_object(client: &Client, workload: &WorkloadId) -> anyhow::Result<ScaledObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &workload.namespace, &kind);
    let found = api.get_opt(&workload.name).await?;
    let object = found.with_context(|| format!("there is no ScaledObject {workload}"))?;
    let text = serde_json::to_string_pretty(&object)?;
    ScaledObject::parse(&text).map_err(|problems| {
        let told: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        anyhow!("ScaledObject {workload}: {}", told.join("; "))
    })
}

/// The first complete look, or what is seen of it in time.
async fn reading(client: &Client, workload: &WorkloadId, interest: &Interest) -> ClusterReading {
    let clock = Clock::real();
    let cluster = KubernetesCluster::new(client.clone(), clock.clone());
    let listener = Arc::new(Notify::new());
    let mut view = cluster.watch(workload, interest, &listener);
    let until = later(clock.now(), PATIENCE);
    loop {
        let reading = view.read(clock.now());
        let left = until.duration_since(clock.now());
        if is_complete(&reading, interest) || left <= jiff::SignedDuration::ZERO {
            return reading;
        }
        tokio::select! {
            () = listener.notified() => {}
            () = clock.sleep(PATIENCE) => {}
        }
    }
}

fn is_complete(reading: &ClusterReading, interest: &Interest) -> bool {
    let pool_is_read = reading.capacity.as_ref().is_some_and(|facts| match facts.pool {
        Named::Found(_) => facts.slots.is_some() || !facts.troubles.is_empty(),
        Named::Missing | Named::NoSuchKind => true,
        Named::Unknown | Named::NotNamed => false,
    });
    reading.error.is_some() || (reading.replicas.is_some() && (interest.node_pool.is_none() || pool_is_read))
}

async fn quotas(client: &Client, namespace: &str) -> kube::Result<Vec<ResourceQuota>> {
    let api: Api<ResourceQuota> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default()).await?.items)
}

/// Most worker pods under a quota: what others of the namespace use stays theirs.
fn pods_left(quota: &ResourceQuota, request: &Resources, own: u32) -> Option<u32> {
    // One with scopes counts some pods only, and which is not known here.
    let spec = quota.spec.as_ref().filter(|spec| spec.scopes.is_none() && spec.scope_selector.is_none())?;
    let hard = quantity::of_list(spec.hard.as_ref()?);
    let used = quota.status.as_ref().and_then(|status| status.used.as_ref());
    let used = used.map(quantity::of_list).unwrap_or_default();
    let of_one = |resource: &str| match resource {
        "pods" | "count/pods" => Some(1.0),
        other => request.get(other.strip_prefix("requests.").unwrap_or(other)).copied(),
    };
    let most = hard.iter().filter_map(|(resource, hard)| {
        let one = of_one(resource).filter(|amount| *amount > 0.0)?;
        let others = used.get(resource).map_or(0.0, |used| (used - f64::from(own) * one).max(0.0));
        Some((hard - others).max(0.0) / one)
    });
    most.map(quantity::whole).min()
}

/// All `PeakCalendar`s of the namespace as one; `None` where there is none.
async fn calendar(
    client: &Client,
    namespace: &str,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<CalendarSpec>> {
    let kind = GroupVersionKind::gvk("peakscaler.io", "v1alpha1", "PeakCalendar");
    let kind = ApiResource::from_gvk_with_plural(&kind, "peakcalendars");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let found = match api.list(&ListParams::default()).await {
        Ok(found) => found.items,
        Err(error) => {
            notes.push(format!("PeakCalendars cannot be read ({error}): --calendar counts"));
            return Ok(None);
        }
    };
    let mut joined: Option<CalendarSpec> = None;
    for object in found {
        let name = object.name_any();
        let mut spec: CalendarSpec = serde_json::from_value(object.data["spec"].clone())
            .with_context(|| format!("PeakCalendar {name}"))?;
        spec.time_zone.get_or_insert_with(|| "UTC".to_owned());
        let Some(all) = &mut joined else {
            joined = Some(spec);
            continue;
        };
        if all.time_zone != spec.time_zone {
            bail!("the PeakCalendars of {namespace} are in several time zones: give one file by --calendar");
        }
        all.peaks.extend(spec.peaks);
        all.closures.extend(spec.closures);
        all.holidays.extend(spec.holidays);
        all.public_holidays.extend(spec.public_holidays);
        all.cut_offs.extend(spec.cut_offs);
    }
    Ok(joined)
}
