//! Each finding from the facts that make it, and silence where nothing is wrong.

use serde_json::json;

use super::*;
use crate::core::demand::outlook::{Knot, Outlook};
use crate::core::{NodeSlots, Observation, Policy, ReplicaBounds, Replicas, Workload};
use crate::observe::cluster::facts::tests::claim;
use crate::observe::cluster::facts::{
    AutoscalerFacts, BudgetFacts, Condition, Refusal, ScaledObjectFacts, TargetFacts,
};
use crate::observe::cluster::quantity;
use crate::trigger::Origin;

pub(crate) fn workload() -> WorkloadId {
    WorkloadId { namespace: "shop".to_owned(), name: "pickers".to_owned() }
}

pub(crate) fn holder(kind: HolderKind) -> HolderFacts {
    HolderFacts {
        kind,
        name: "pickers-ahead".to_owned(),
        resource_version: None,
        replicas: 0,
        other_manager: None,
        held_for: None,
        expires: None,
        refers_to: Some(("Deployment".to_owned(), "pickers".to_owned())),
        has_limits: true,
        conditions: Vec::new(),
        request: Some(request()),
        selected_as_worker: false,
    }
}

fn request() -> quantity::Resources {
    quantity::of_json(&json!({"cpu": "1", "pods": 1}))
}

/// A cluster in which nothing is wrong: ten workers on three nodes of four, room for two.
pub(crate) fn facts() -> CapacityFacts {
    let sized = json!({"status": {
        "capacity": {"cpu": "4", "pods": "110"}, "allocatable": {"cpu": "4", "pods": "110"},
        "conditions": [{"type": "Initialized", "status": "True", "lastTransitionTime": "2026-11-27T08:01:00Z"}],
    }});
    CapacityFacts {
        scaled_object: Named::Found(ScaledObjectFacts {
            uid: "uid".to_owned(),
            bounds: ReplicaBounds { min: Some(0), max: Some(40) },
            metric_names: Some(vec!["s0-peakscaler-shop-pickers".to_owned()]),
            autoscaler_name: None,
        }),
        autoscaler: Some(AutoscalerFacts {
            name: "keda-hpa-pickers".to_owned(),
            min: 1,
            max: 40,
            tolerances: [Some(0.0), Some(0.0)],
            targets: vec![1.0],
        }),
        target: Named::Found(TargetFacts {
            kind: "Deployment".to_owned(),
            name: "pickers".to_owned(),
            request: Some(request()),
            obstacles: Vec::new(),
        }),
        has_karpenter: Some(true),
        pool: Named::Found(pool(60.0)),
        claims: vec![claim(&sized), claim(&sized), claim(&sized)],
        pods_a_node: Some(4),
        slots: Some(NodeSlots { free_slots: 2, coming: 0 }),
        holder: Named::Found(holder(HolderKind::CapacityBuffer)),
        ..CapacityFacts::default()
    }
}

fn pool(cpu_limit: f64) -> PoolFacts {
    PoolFacts {
        name: "pickers".to_owned(),
        limits: quantity::of_json(&json!({"cpu": cpu_limit})),
        in_use: quantity::of_json(&json!({"cpu": 12})),
        moves_pods: true,
        never_consolidates: false,
        budgets: vec![BudgetFacts { nodes: "0".to_owned(), ..BudgetFacts::default() }],
    }
}

/// A decision: one replica does one order a second; `knots` are seconds and orders expected until then.
pub(crate) fn record(at: Timestamp, existing: u32, ahead: u32, knots: &[(f64, f64)]) -> DecisionRecord {
    let replicas = Replicas { ready: existing, starting: Vec::new(), pending: 0, wanted: Some(existing) };
    let observation = Observation {
        at,
        queue: None,
        arrivals: Vec::new(),
        completions: Vec::new(),
        replicas: Some(replicas),
        nodes: None,
        lead_times: None,
        bounds: None,
    };
    let mut record = Workload::new(Policy::default()).step(&observation).unwrap();
    record.desired = Some(existing);
    record.ahead = ahead;
    record.service_rate = 1.0;
    let knot = |(x_seconds, mean): &(f64, f64)| Knot::new(*x_seconds, *mean, 0.0);
    let knots = std::iter::once(Knot::START).chain(knots.iter().map(knot)).collect();
    let inputs = record.inputs.as_mut().unwrap();
    inputs.outlook = Outlook { model: "test".to_owned(), knots };
    record
}

fn trigger(more: &[(&str, &str)]) -> Trigger {
    let metadata = [
        ("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/orders"),
        ("targetWait", "5m"),
        ("nodePool", "pickers"),
    ];
    crate::trigger::parse(metadata.iter().chain(more).copied(), Origin::Request).trigger.unwrap()
}

fn now() -> Timestamp {
    "2026-11-27T08:10:00Z".parse().unwrap()
}

fn found(facts: &CapacityFacts, record: &DecisionRecord, trigger: &Trigger) -> Vec<Finding> {
    findings(&Scene {
        id: &workload(),
        metric_name: "peakscaler-shop-pickers",
        trigger,
        record: Some(record),
        facts,
        hold: None,
        coordinates: true,
        now: now(),
    })
}

const BUFFER: &[(&str, &str)] = &[("capacityBuffer", "pickers-ahead")];

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let flat = record(now(), 10, 10, &[(3600.0, 36_000.0)]);
    assert_eq!(found(&facts(), &flat, &trigger(BUFFER)), []);
    let rising = record(now(), 10, 30, &[(3600.0, 100_000.0)]);
    assert_eq!(found(&facts(), &rising, &trigger(BUFFER)), []);
    assert_eq!(found(&CapacityFacts::default(), &rising, &trigger(BUFFER)), [], "nothing is known");
}

type Case = (&'static str, CapacityFacts, Option<FindingKind>);

/// Each case makes just the finding that is expected, while the load rises.
fn each(cases: Vec<Case>) {
    let rising = record(now(), 10, 24, &[(3600.0, 72_000.0)]);
    for (what, facts, expected) in cases {
        let found = found(&facts, &rising, &trigger(BUFFER));
        let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, expected.into_iter().collect::<Vec<_>>(), "{what}: {found:?}");
    }
}

fn with(change: impl FnOnce(&mut CapacityFacts)) -> CapacityFacts {
    let mut facts = facts();
    change(&mut facts);
    facts
}

fn buffer_with(change: impl FnOnce(&mut HolderFacts)) -> CapacityFacts {
    let mut buffer = holder(HolderKind::CapacityBuffer);
    change(&mut buffer);
    with(|facts| facts.holder = Named::Found(buffer))
}

fn provisioning(message: &str) -> CapacityFacts {
    buffer_with(|buffer| {
        buffer.conditions = vec![Condition {
            kind: "Provisioning".to_owned(),
            status: "False".to_owned(),
            reason: "RequiresNewCapacity".to_owned(),
            message: message.to_owned(),
        }];
    })
}

fn said(kind: RefusalKind, time: &str) -> CapacityFacts {
    let at = format!("2026-11-27T{time}:00Z").parse().unwrap();
    with(|facts| facts.refusals = vec![Refusal { at, kind, message: "no".to_owned() }])
}

#[test]
fn what_holds_room_and_the_pool_make_findings() {
    use FindingKind as Kind;
    each(vec![
        ("no buffer", with(|facts| facts.holder = Named::Missing), Some(Kind::HolderMissing)),
        ("unbounded", buffer_with(|buffer| buffer.has_limits = false), Some(Kind::BufferUnlimited)),
        (
            "cannot",
            provisioning("3/10 virtual pods required new capacity, 2 failed"),
            Some(Kind::BufferRefused),
        ),
        ("can", provisioning("3/10 virtual pods required new capacity, 0 failed"), None),
        ("no Karpenter", with(|facts| facts.has_karpenter = Some(false)), Some(Kind::NoKarpenter)),
        ("no pool", with(|facts| facts.pool = Named::Missing), Some(Kind::PoolMissing)),
        (
            "pool too small",
            with(|facts| facts.pool = Named::Found(pool(20.0))),
            Some(Kind::PoolLimitBelowPlan),
        ),
        (
            "pool too small for the most",
            with(|facts| facts.pool = Named::Found(pool(30.0))),
            Some(Kind::PoolLimitBelowMaximum),
        ),
        ("limits", said(RefusalKind::Limits, "08:05"), Some(Kind::LimitsExceeded)),
        ("limits, long ago", said(RefusalKind::Limits, "07:59"), None),
        ("no capacity", said(RefusalKind::InsufficientCapacity, "08:09"), Some(Kind::InsufficientCapacity)),
        (
            "expiry",
            with(|facts| facts.claims[0].expires = Some("2026-11-27T08:20:00Z".parse().unwrap())),
            Some(Kind::NodesExpireInPeak),
        ),
        (
            "no budget",
            with(|facts| facts.pool = Named::Found(PoolFacts { budgets: vec![], ..pool(60.0) })),
            Some(Kind::ConsolidationInPeak),
        ),
    ]);
}

#[test]
fn what_scales_and_what_is_seen_make_findings() {
    use FindingKind as Kind;
    let dropped = ScaledObjectFacts {
        metric_names: Some(vec!["s1-aws-sqs-orders".to_owned()]),
        bounds: ReplicaBounds { min: None, max: Some(40) },
        ..ScaledObjectFacts::default()
    };
    let since = "2026-11-27T08:09:00Z".parse().unwrap();
    each(vec![
        (
            "metric dropped",
            with(|facts| facts.scaled_object = Named::Found(dropped)),
            Some(Kind::MetricMissing),
        ),
        (
            "tolerance",
            with(|facts| facts.autoscaler.as_mut().unwrap().tolerances[1] = None),
            Some(Kind::AutoscalerTolerance),
        ),
        (
            "target",
            with(|facts| facts.autoscaler.as_mut().unwrap().targets = vec![5.0]),
            Some(Kind::AutoscalerTarget),
        ),
        (
            "spread",
            with(|facts| {
                let Named::Found(target) = &mut facts.target else { return };
                target.obstacles = vec!["a required anti-affinity".to_owned()];
            }),
            Some(Kind::SlotsUnknown),
        ),
        (
            "unseen",
            with(|facts| {
                facts.broken_since = Some(since);
                facts.troubles = vec!["pods cannot be watched: refused".to_owned()];
            }),
            Some(Kind::ClusterUnseen),
        ),
        (
            "not allowed",
            with(|facts| {
                facts.troubled_since = Some(since);
                facts.troubles = vec!["nodes cannot be watched: forbidden".to_owned()];
            }),
            Some(Kind::NotWatched),
        ),
    ]);
}

#[test]
fn a_pool_too_small_is_told_before_the_peak_with_limit_need_and_shortfall() {
    // Nothing rises for forty minutes, then three times as much is needed.
    let early = record(now(), 10, 10, &[(2400.0, 24_000.0), (6000.0, 132_000.0)]);
    let facts = CapacityFacts { pool: Named::Found(pool(20.0)), ..facts() };
    let found = found(&facts, &early, &trigger(BUFFER));
    let limit = found.iter().find(|finding| finding.kind == FindingKind::PoolLimitBelowPlan).unwrap();
    assert_eq!(limit.severity, Severity::Critical);
    assert_eq!(
        limit.text,
        "NodePool pickers is too small for the 30 workers planned at 2026-11-27 08:46 UTC: cpu limit 20, 12 in use, \
         20 more needed: 12 short, 11 pods without a node; raise its limits"
    );
}

#[test]
fn who_only_watches_says_so() {
    let flat = record(now(), 10, 10, &[]);
    let (facts, trigger) = (facts(), trigger(BUFFER));
    let scene = Scene {
        id: &workload(),
        metric_name: "peakscaler-shop-pickers",
        trigger: &trigger,
        record: Some(&flat),
        facts: &facts,
        hold: None,
        coordinates: false,
        now: now(),
    };
    let kinds = |scene: &Scene<'_>| findings(scene).iter().map(|finding| finding.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&scene), [FindingKind::NotCoordinated]);
    let failed = HoldStatus { error: Some("forbidden".to_owned()), ..HoldStatus::default() };
    let scene = Scene { coordinates: true, hold: Some(&failed), ..scene };
    assert_eq!(kinds(&scene), [FindingKind::WriteFailed]);
}
