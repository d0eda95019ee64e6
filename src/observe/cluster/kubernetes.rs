//! Kubernetes behind [`Cluster`]: watches, never polls.
//!
//! A namespace in which somebody observes has one watch each on its `ScaledObject`s, HPAs, pods and the kinds that
//! `scaleTargetRef` names (any kind with `spec.replicas` and `spec.selector`: Deployment, `StatefulSet`, Rollout, ...).
//! A trigger that names a buffer or a NodePool adds watches on those, and on the warnings that tell why a node cannot be
//! had. They end with the last view on the namespace. Objects are cut down to the few fields needed before they are kept.
//!
//! While a watch is broken the last known is given, with its age.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::view::View;
use super::watch::{Changes, Context, Watch};
use super::{Cluster, ClusterView, Interest, keep};
use crate::clock::Clock;
use crate::observe::WorkloadId;
use crate::observe::poll::{Registry, lock};

/// Karpenter's label on its nodes and claims.
pub const POOL_LABEL: &str = "karpenter.sh/nodepool";
/// Where events of objects without a namespace are kept.
const EVENTS_NAMESPACE: &str = "default";

/// Watches a cluster, namespace by namespace.
pub struct KubernetesCluster {
    context: Context,
    pub(super) namespaces: Registry<String, Namespace>,
    karpenters: Registry<(), Karpenter>,
}

impl KubernetesCluster {
    /// The cluster that the environment names: a kubeconfig, or the pod's service account.
    ///
    /// # Errors
    /// When neither is there or usable.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(clock: Clock) -> Result<Self, kube::Error> {
        let mut config = kube::Config::infer().await.map_err(kube::Error::InferConfig)?;
        // The watches begin again by themselves; a retry below them would hide an outage for minutes.
        config.default_retry = false;
        Ok(Self::new(Client::try_from(config)?, clock))
    }

    /// Over a client that is allowed to get, list and watch `ScaledObject`s, their targets and pods, and that does
    /// not retry by itself.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(client: Client, clock: Clock) -> Self {
        Self {
            context: Context { client, clock, runtime: Handle::current() },
            namespaces: Registry::default(),
            karpenters: Registry::default(),
        }
    }
}

impl Cluster for KubernetesCluster {
    fn watch(
        &self,
        workload: &WorkloadId,
        interest: &Interest,
        listener: &Arc<Notify>,
    ) -> Box<dyn ClusterView> {
        let namespace = self
            .namespaces
            .get(&workload.namespace, || Namespace::start(self.context.clone(), workload.namespace.clone()));
        namespace.changes.listeners.add(listener);
        let karpenter = interest.node_pool.as_ref().map(|_| {
            let karpenter = self.karpenters.get(&(), || Karpenter::start(&self.context));
            karpenter.changes.listeners.add(listener);
            karpenter
        });
        Box::new(View::new(workload.name.clone(), interest.clone(), namespace, karpenter))
    }
}

/// The watches on one namespace.
pub(super) struct Namespace {
    context: Context,
    pub(super) name: String,
    pub(super) changes: Arc<Changes>,
    pub(super) scaled_objects: Watch<DynamicObject>,
    pub(super) autoscalers: Watch<DynamicObject>,
    pub(super) pods: Watch<Pod>,
    targets: Mutex<HashMap<GroupVersionKind, Arc<Watch<DynamicObject>>>>,
    buffers: OnceLock<Watch<DynamicObject>>,
    warnings: OnceLock<Watch<DynamicObject>>,
}

impl Namespace {
    fn start(context: Context, name: String) -> Self {
        let changes = Arc::<Changes>::default();
        let watch = |group, version, kind, keep| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api = Api::namespaced_with(context.client.clone(), &name, &resource);
            Watch::start(&context, api, resource, &changes, keep)
        };
        let scaled_objects = watch("keda.sh", "v1alpha1", "ScaledObject", keep::scaled_object);
        let autoscalers = watch("autoscaling", "v2", "HorizontalPodAutoscaler", keep::autoscaler);
        let api = Api::namespaced(context.client.clone(), &name);
        let pods = Watch::start(&context, api, (), &changes, keep::pod);
        Self {
            context,
            name,
            changes,
            scaled_objects,
            autoscalers,
            pods,
            targets: Mutex::default(),
            buffers: OnceLock::new(),
            warnings: OnceLock::new(),
        }
    }

    /// The watch on all objects of a kind, begun when it is first asked for.
    pub(super) fn targets(&self, kind: &GroupVersionKind) -> Arc<Watch<DynamicObject>> {
        let mut targets = lock(&self.targets);
        let watch = targets.entry(kind.clone()).or_insert_with(|| {
            let resource = ApiResource::from_gvk(kind);
            let api = Api::namespaced_with(self.context.client.clone(), &self.name, &resource);
            Arc::new(Watch::start(&self.context, api, resource, &self.changes, keep::scale))
        });
        watch.clone()
    }

    pub(super) fn buffers(&self) -> &Watch<DynamicObject> {
        self.buffers.get_or_init(|| {
            let kind = GroupVersionKind::gvk("autoscaling.x-k8s.io", "v1beta1", "CapacityBuffer");
            let resource = ApiResource::from_gvk(&kind);
            let api = Api::namespaced_with(self.context.client.clone(), &self.name, &resource);
            Watch::start(&self.context, api, resource, &self.changes, keep::buffer)
        })
    }

    /// Warnings about the namespace's objects.
    pub(super) fn warnings(&self) -> &Watch<DynamicObject> {
        self.warnings.get_or_init(|| warnings(&self.context, &self.name, &self.changes))
    }
}

/// The watches on what Karpenter has; its objects belong to no namespace.
pub(super) struct Karpenter {
    pub(super) changes: Arc<Changes>,
    pub(super) pools: Watch<DynamicObject>,
    pub(super) claims: Watch<DynamicObject>,
    pub(super) nodes: Watch<Node>,
    pub(super) warnings: Watch<DynamicObject>,
}

impl Karpenter {
    fn start(context: &Context) -> Self {
        let changes = Arc::<Changes>::default();
        let watch = |kind, keep| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("karpenter.sh", "v1", kind));
            let api = Api::all_with(context.client.clone(), &resource);
            Watch::start(context, api, resource, &changes, keep)
        };
        let pools = watch("NodePool", keep::node_pool);
        let claims = watch("NodeClaim", keep::node_claim);
        let of_karpenter = watcher::Config::default().labels(POOL_LABEL);
        let api = Api::all(context.client.clone());
        let nodes = Watch::start_with(context, api, (), &changes, keep::node, of_karpenter);
        let warnings = warnings(context, EVENTS_NAMESPACE, &changes);
        Self { changes, pools, claims, nodes, warnings }
    }
}

fn warnings(context: &Context, namespace: &str, changes: &Arc<Changes>) -> Watch<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Event"));
    let api = Api::namespaced_with(context.client.clone(), namespace, &resource);
    let selected = watcher::Config::default().fields("type=Warning");
    Watch::start_with(context, api, resource, changes, keep::warning, selected)
}

#[cfg(test)]
pub(crate) mod tests;
