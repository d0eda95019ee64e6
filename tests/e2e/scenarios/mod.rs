//! The scenarios, each with what it proves.
//!
//! Scenarios of one stage run side by side, each in a namespace of its own with servers of its own; stages follow one
//! another.

mod ahead;
mod alone;
mod buffers;
mod calendar;
mod comparison;
mod conformance;
mod degraded;
mod drain;
mod edited;
mod exactness;
mod hpa;
mod killed;
mod leader;
mod limit;
mod outage;
mod placeholder;
mod plan;
mod restart;
mod stale;
mod tenants;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;

use crate::support::scene::Scene;

/// What a scenario needs of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// KEDA, and nodes for its workers.
    Keda,
    /// Karpenter with kwok's nodes too.
    Nodes,
    /// That its parts are processes which can be looked into, stopped and started.
    Parts,
}

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// A sentence without its full stop.
    pub(crate) proves: &'static str,
    pub(crate) stage: u8,
    pub(crate) needs: Needs,
    pub(crate) run: for<'a> fn(&'a Scene) -> LocalBoxFuture<'a, anyhow::Result<()>>,
}

/// All of them: the longest first, so that they do not come last.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "drain",
        proves: "3,000 orders in a queue are worked on from no workers to no workers, none late, without flapping",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| drain::run(scene).boxed_local(),
    },
    Scenario {
        name: "ahead",
        proves: "With a buffer the pods of a peak that needs three times the nodes find them there, and no more are bought than it needs but one",
        stage: 1,
        needs: Needs::Nodes,
        run: |scene| ahead::run(scene).boxed_local(),
    },
    Scenario {
        name: "placeholder",
        proves: "The peak of `ahead` where there is no CapacityBuffer: pods of a placeholder Deployment make way for the peak's, and no node is bought for them again",
        stage: 1,
        needs: Needs::Nodes,
        run: |scene| placeholder::run(scene).boxed_local(),
    },
    Scenario {
        name: "comparison",
        proves: "The same peak by peakscaler and by KEDA's own `aws-sqs-queue`, with its default `queueLength` (5) and with AWS's recipe (60)",
        stage: 1,
        needs: Needs::Nodes,
        run: |scene| comparison::run(scene).boxed_local(),
    },
    Scenario {
        name: "restart",
        proves: "When peakscaler's pods are replaced under rising load nothing is scaled down, and the learned rate is there again",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| restart::run(scene).boxed_local(),
    },
    Scenario {
        name: "calendar",
        proves: "The API server refuses a wrong `PeakCalendar` in words; a right one acts on the decisions of its own namespace and gets its status",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| calendar::run(scene).boxed_local(),
    },
    Scenario {
        name: "hpa",
        proves: "Steps of the real HPA under Kubernetes' default behaviour and under policies, to which the simulator's is held",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| hpa::run(scene).boxed_local(),
    },
    Scenario {
        name: "exactness",
        proves: "The HPA stands at just the number that peakscaler says, with the shipped `behavior`",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| exactness::run(scene).boxed_local(),
    },
    Scenario {
        name: "killed",
        proves: "With one of two replicas killed KEDA is answered; with both killed the replicas hold",
        stage: 1,
        needs: Needs::Parts,
        run: |scene| killed::run(scene).boxed_local(),
    },
    Scenario {
        name: "degraded",
        proves: "With the second shipped example KEDA's own SQS scaler decides while peakscaler's data is stale; an edit while peakscaler is away takes its metric out, which is found, told and healed, and nothing goes down",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| degraded::run(scene).boxed_local(),
    },
    Scenario {
        name: "stale",
        proves: "While the queue cannot be read nothing goes down, after `staleAfter` the `fallback` of the ScaledObject takes over, and it ends when the queue is back",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| stale::run(scene).boxed_local(),
    },
    Scenario {
        name: "leader",
        proves: "When the replica that writes buffers is killed the other goes on within 30 s, and room is given back when its workload is deleted",
        stage: 1,
        needs: Needs::Nodes,
        run: |scene| leader::run(scene).boxed_local(),
    },
    Scenario {
        name: "limit",
        proves: "A NodePool whose limit is below a known peak is found and told before it, with limit, need and shortfall",
        stage: 1,
        needs: Needs::Nodes,
        run: |scene| limit::run(scene).boxed_local(),
    },
    Scenario {
        name: "plan",
        proves: "`plan --from-cluster` reads limits, nodes, lead times, quota and calendar off the cluster, and what it says to raise, raised there, is enough",
        stage: 1,
        needs: Needs::Nodes,
        run: |scene| plan::run(scene).boxed_local(),
    },
    Scenario {
        name: "buffers",
        proves: "A buffer that is missing, somebody else's or for other pods, and a NodePool that does not exist, are found and told, and nothing is written",
        stage: 1,
        needs: Needs::Nodes,
        run: |scene| buffers::run(scene).boxed_local(),
    },
    Scenario {
        name: "alone",
        proves: "Without Karpenter and its CapacityBuffer workers are scaled all the same, and it is said once that nodes are not coordinated",
        stage: 1,
        needs: Needs::Parts,
        run: |scene| alone::run(scene).boxed_local(),
    },
    Scenario {
        name: "edited",
        proves: "An edit of the metadata is in force at the next poll; an invalid one is shown in the cluster, and the last good decision is kept",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| edited::run(scene).boxed_local(),
    },
    Scenario {
        name: "tenants",
        proves: "A ScaledObject that names an endpoint or a role that its namespace was not granted is refused with the reason, and no connection is made",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| tenants::run(scene).boxed_local(),
    },
    Scenario {
        name: "conformance",
        proves: "KEDA's own client code gets from each of the five RPCs what it expects, and a refusal in words",
        stage: 1,
        needs: Needs::Keda,
        run: |scene| conformance::run(scene).boxed_local(),
    },
    Scenario {
        name: "outage",
        proves: "While the API server is gone for a minute KEDA would be answered as before and room is held; afterwards the watches recover, and nothing is written twice",
        stage: 9,
        needs: Needs::Parts,
        run: |scene| outage::run(scene).boxed_local(),
    },
];
