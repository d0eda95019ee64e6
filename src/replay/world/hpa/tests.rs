//! Tests of the module beside.

use super::*;
use crate::replay::units::SECOND;

fn limit(kind: LimitKind, value: u32, period_seconds: f64) -> RateLimit {
    RateLimit { kind, value, period_seconds }
}

fn rules(limits: Vec<RateLimit>, select: Select) -> Rules {
    Rules { tolerance: 0.0, stabilization_seconds: 0.0, limits, select }
}

#[test]
fn tolerance_keeps_replicas_near_the_target() {
    for (current, metric, expected) in
        [(100, 109.9, 100), (100, 111.0, 111), (100, 90.0, 100), (10, 10.5, 10), (10, 11.2, 12)]
    {
        let mut hpa = Hpa::new(Behavior::kubernetes_default(), 1, 1_000);
        assert_eq!(hpa.sync(0, current, Some(metric)), expected, "{current} {metric}");
    }
}

// TestReplicaCalcScaleUpPerPodCMExternal, ScaleDownPerPodCMExternal and TolerancePerPodCMExternal in
// replica_calculator_test.go of Kubernetes: an external metric of 8600 by its target a pod.
#[test]
fn kubernetes_own_vectors_of_an_external_metric_a_pod() {
    for (current, target, expected) in [(3, 2_150.0, 4), (5, 2_867.0, 3), (3, 2_900.0, 3)] {
        let hpa = Hpa::new(Behavior::kubernetes_default(), 1, 1_000);
        assert_eq!(hpa.recommend(current, 8_600.0 / target), expected, "{current} {target}");
    }
}

#[test]
fn exact_behavior_takes_the_number_as_it_is() {
    // the sequence that was reached exactly on a real cluster with KEDA
    let mut hpa = Hpa::new(Behavior::exact(300), 1, 300);
    let mut current = 1;
    for (step, wanted) in [7_u32, 100, 103, 97, 250, 1].into_iter().enumerate() {
        let now = i64::try_from(step).unwrap() * 15 * SECOND;
        current = hpa.sync(now, current, Some(f64::from(wanted)));
        assert_eq!(current, wanted);
    }
}

#[test]
fn default_up_adds_the_larger_of_four_and_double() {
    let mut hpa = Hpa::new(Behavior::kubernetes_default(), 1, 1_000);
    let mut current = 1;
    let mut seen = Vec::new();
    for step in 0..7 {
        current = hpa.sync(step * 15 * SECOND, current, Some(100.0));
        seen.push(current);
    }
    assert_eq!(seen, [5, 10, 20, 40, 80, 100, 100]);
}

#[test]
fn default_down_waits_for_the_window_then_drops_at_once() {
    let mut hpa = Hpa::new(Behavior::kubernetes_default(), 1, 1_000);
    assert_eq!(hpa.sync(0, 50, Some(50.0)), 50);
    for step in 1..20 {
        assert_eq!(hpa.sync(step * 15 * SECOND, 50, Some(5.0)), 50, "step {step}");
    }
    assert_eq!(hpa.sync(300 * SECOND, 50, Some(5.0)), 5);
}

#[test]
fn missing_metric_holds_and_zero_stays_zero() {
    let mut hpa = Hpa::new(Behavior::kubernetes_default(), 1, 10);
    assert_eq!(hpa.sync(0, 7, None), 7);
    assert_eq!(hpa.sync(0, 7, Some(f64::NAN)), 7);
    assert_eq!(hpa.sync(0, 0, Some(9.0)), 0);
    assert_eq!(hpa.sync(0, 12, None), 10, "above the maximum is brought back without a metric");
}

#[test]
fn bounds_hold() {
    let mut hpa = Hpa::new(Behavior::exact(20), 3, 20);
    assert_eq!(hpa.sync(0, 5, Some(500.0)), 20);
    assert_eq!(hpa.sync(15 * SECOND, 20, Some(0.0)), 3);
}

// Cases of TestScaleUpWithBehavior / scale-down rules in horizontal_test.go of Kubernetes:
// pods and percent policies, selection, and events of the running period.
#[test]
fn rate_limits_count_the_running_period() {
    let table = [
        (
            Select::Max,
            100,
            1_000,
            vec![limit(LimitKind::Pods, 15, 60.0), limit(LimitKind::Percent, 50, 60.0)],
            150,
        ),
        (
            Select::Min,
            100,
            1_000,
            vec![limit(LimitKind::Pods, 15, 60.0), limit(LimitKind::Percent, 50, 60.0)],
            115,
        ),
        (Select::Max, 3, 100, vec![limit(LimitKind::Pods, 1, 60.0), limit(LimitKind::Percent, 10, 60.0)], 4),
        (Select::Max, 10, 100, vec![limit(LimitKind::Percent, 200, 60.0)], 30),
        (Select::Disabled, 10, 100, vec![limit(LimitKind::Percent, 200, 60.0)], 10),
    ];
    for (select, current, desired, limits, expected) in table {
        let behavior = Behavior { up: rules(limits, select), down: rules(Vec::new(), Select::Max) };
        let mut hpa = Hpa::new(behavior, 1, 1_000);
        assert_eq!(hpa.sync(0, current, Some(f64::from(desired))), expected);
        assert_eq!(
            hpa.sync(15 * SECOND, expected, Some(f64::from(desired))),
            expected,
            "the period's allowance is used up"
        );
    }
}

#[test]
fn down_limits_round_towards_more_change_and_respect_the_period() {
    let behavior = Behavior {
        up: rules(Vec::new(), Select::Max),
        down: rules(vec![limit(LimitKind::Percent, 10, 60.0)], Select::Max),
    };
    let mut hpa = Hpa::new(behavior, 1, 1_000);
    assert_eq!(hpa.sync(0, 95, Some(1.0)), 85, "95 * 0.9 = 85.5 is cut");
    assert_eq!(hpa.sync(30 * SECOND, 85, Some(1.0)), 85);
    assert_eq!(hpa.sync(61 * SECOND, 85, Some(1.0)), 76);
}

#[test]
fn up_stabilisation_takes_the_least_of_the_window() {
    let mut behavior = Behavior::exact(100);
    behavior.up.stabilization_seconds = 60.0;
    let mut hpa = Hpa::new(behavior, 1, 100);
    assert_eq!(hpa.sync(0, 10, Some(10.0)), 10);
    assert_eq!(hpa.sync(15 * SECOND, 10, Some(40.0)), 10);
    assert_eq!(hpa.sync(30 * SECOND, 10, Some(30.0)), 10);
    assert_eq!(hpa.sync(61 * SECOND, 10, Some(50.0)), 30);
}

/// One recorded HPA: what it stood at whenever that changed.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    name: String,
    max_replica_count: u32,
    behavior: serde_json::Value,
    /// Seconds, replicas, replicas wanted, metric over its target.
    steps: Vec<(f64, u32, u32, f64)>,
}

// `tests/hpa-steps.json` names its origin: the real HPA of the cluster of `make e2e`, which syncs every 15 s and
// told a step whenever replicas or metric were other ones than at the sync before.
#[test]
fn the_steps_are_those_of_the_real_one() {
    let text = include_str!("../../../../tests/hpa-steps.json");
    let recording: serde_json::Value = serde_json::from_str(text).unwrap();
    assert!(recording["origin"].as_str().unwrap().starts_with("kube-controller-manager v1."));
    let recorded: Vec<Recorded> = serde_json::from_value(recording["hpas"].clone()).unwrap();
    assert_eq!(recorded.len(), 2);
    for Recorded { name, max_replica_count, behavior, steps } in recorded {
        let object = serde_json::json!({"kind": "ScaledObject", "metadata": {"name": name}, "spec": {
            "scaleTargetRef": {"name": name}, "maxReplicaCount": max_replica_count,
            "triggers": [{"type": "aws-sqs-queue", "metadata": {"queueURL": "https://sqs.eu-central-1.amazonaws.com/1/a"}}],
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}}}});
        let behavior = crate::replay::keda::ScaledObject::parse(&object.to_string()).unwrap().behavior;
        let mut hpa = Hpa::new(behavior, 1, max_replica_count);
        let mut before: Option<(f64, u32, f64)> = None;
        for (at, replicas, desired, orders) in steps {
            if let Some((since, settled, orders)) = before {
                // Syncs at which nothing was new.
                let syncs = ((at - since) / 15.0).round();
                for sync in 1..ceil(syncs) {
                    let quiet = since + (at - since) * f64::from(sync) / syncs;
                    assert_eq!(
                        hpa.sync(millis(quiet), settled, Some(orders)),
                        settled,
                        "{name}, quiet at {quiet:.1} s"
                    );
                }
            }
            assert_eq!(hpa.sync(millis(at), replicas, Some(orders)), desired, "{name} at {at} s");
            before = Some((at, desired, orders));
        }
    }
}
