//! Tests of the module beside.

use super::*;
use crate::core::Observation;
use crate::replay::ScalingPolicy as _;
use crate::replay::world::hpa::Select;

const HEAD: &str = "kind: ScaledObject\nmetadata: {name: pickers, namespace: shop}\nspec:\n  scaleTargetRef: {name: pickers}\n";
const SQS: &str = "  triggers:\n  - type: aws-sqs-queue\n    metadata: {queueURL: x, queueLength: \"10\"}\n";

fn parse(rest: &str) -> Result<ScaledObject, Vec<String>> {
    ScaledObject::parse(&format!("{HEAD}{rest}")).map_err(|problems| {
        problems.iter().map(|problem| format!("{}: {}", problem.line, problem.message)).collect()
    })
}

fn observation(visible: f64) -> Observation {
    let text = format!(
        r#"{{"at":"2026-11-27T12:00:00Z","queue":{{"visible":{visible},"in_flight":0}},"replicas":{{"ready":4,"wanted":4}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn defaults_are_kedas_and_kubernetes() {
    let object = parse(SQS).unwrap();
    assert_eq!((object.name.as_str(), object.target.as_str()), ("shop/pickers", "pickers"));
    assert_eq!((object.min_replicas, object.max_replicas), (0, 100));
    assert_eq!((object.polling_seconds, object.cooldown_seconds), (30.0, 300.0));
    assert_eq!(object.behavior, Behavior::kubernetes_default());
    assert_eq!(object.policy().unwrap().decide(&observation(40.0)).desired, Some(4.0));
}

#[test]
fn bounds_and_behaviour_are_laid_over_the_defaults() {
    let object = parse(&format!(
        "  minReplicaCount: 2\n  maxReplicaCount: 40\n  pollingInterval: 5\n  cooldownPeriod: 60\n  advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:\n        scaleUp: {{tolerance: \"0\", policies: [{{type: Pods, value: 9, periodSeconds: 30}}]}}\n        scaleDown: {{stabilizationWindowSeconds: 60, selectPolicy: Min}}\n{SQS}"
    ))
    .unwrap();
    assert_eq!((object.min_replicas, object.max_replicas), (2, 40));
    let Behavior { up, down } = object.behavior;
    assert_eq!((up.tolerance, up.stabilization_seconds, up.limits.len()), (0.0, 0.0, 1));
    assert_eq!((down.tolerance, down.stabilization_seconds, down.limits.len()), (0.1, 60.0, 1));
    assert_eq!((up.select, down.select), (Select::Max, Select::Min));
}

#[test]
fn a_trigger_of_ours_has_the_bounds_of_the_scaled_object_where_it_has_none() {
    let ours = |keys: &str| {
        let trigger = format!(
            "  minReplicaCount: 2\n  maxReplicaCount: 140\n  triggers:\n  - type: external-push\n    metadata: {{scalerAddress: 'peakscaler:9443', targetWait: 5m, queueURL: 'https://sqs.eu-central-1.amazonaws.com/123456789012/q'{keys}}}\n"
        );
        let policy = parse(&trigger).unwrap().ours.unwrap().policy;
        (policy.min_replicas, policy.max_replicas)
    };
    assert_eq!(ours(""), (2, 140));
    assert_eq!(ours(", maxReplicas: '20'"), (2, 20));
    assert_eq!(ours(", minReplicas: '3'"), (3, 140));
}

#[test]
fn a_fallback_is_noted() {
    let object = parse(&format!("  fallback: {{failureThreshold: 3, replicas: 9}}\n{SQS}")).unwrap();
    assert_eq!(object.notes.len(), 1);
    assert!(object.notes[0].starts_with("fallback: is not simulated"), "{:?}", object.notes);
}

#[test]
fn the_larger_trigger_counts() {
    let object = parse(
        "  triggers:\n  - type: aws-sqs-queue\n    metadata: {queueURL: x}\n  - type: cron\n    metadata: {timezone: UTC, start: 0 8 * * *, end: 0 20 * * *, desiredReplicas: \"12\"}\n",
    )
    .unwrap();
    let mut policy = object.policy().unwrap();
    assert_eq!(policy.name(), "keda sqs 5 + cron");
    for (visible, expected) in [(10.0, 12.0), (100.0, 20.0)] {
        assert_eq!(policy.decide(&observation(visible)).desired, Some(expected));
    }
    // the queue can't be read: up by the other trigger, never down
    let blind = Observation { queue: None, ..observation(0.0) };
    assert_eq!(policy.decide(&blind).desired, Some(12.0));
}

#[test]
fn ours_is_read_and_may_advise_beside_kedas() {
    let ours = "  - type: external-push\n    metadata: {scalerAddress: \"peakscaler:9443\", queueURL: \"https://sqs.eu-central-1.amazonaws.com/123456789012/orders\", targetWait: 5m, mode: advise}\n";
    let object = parse(&format!("{SQS}{ours}")).unwrap();
    assert_eq!(object.ours.unwrap().policy.target_wait_seconds, Some(300.0));
    assert_eq!(object.keda.len(), 1);
    let acting = parse(&format!("{SQS}{}", ours.replace(", mode: advise", ""))).unwrap_err();
    assert!(acting[0].starts_with("8: triggers: peakscaler's beside others"), "{acting:?}");
}

#[test]
fn the_shipped_examples_are_understood() {
    for file in ["scaledobject", "scaledobject-advise", "scaledobject-with-sqs-fallback"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("manifests/examples/{file}.yaml"));
        let object = ScaledObject::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(object.ours.is_some(), "{file}");
    }
}

#[test]
fn what_is_not_understood_is_named_with_its_line() {
    for (rest, expected) in [
        (
            "  triggers:\n  - type: kafka\n    metadata: {topic: x}\n",
            "6: type: a trigger of type kafka is not understood",
        ),
        (
            "  triggers:\n  - type: aws-sqs-queue\n    metadata: {queueSize: \"5\"}\n",
            "7: queueSize: is not understood in aws-sqs-queue",
        ),
        (
            "  triggers:\n  - type: aws-sqs-queue\n    metadata: {queueLengthFromEnv: LENGTH}\n",
            "7: queueLengthFromEnv: is not understood",
        ),
        (
            "  triggers:\n  - type: aws-sqs-queue\n    metadata: {queueLength: \"0\"}\n",
            "7: queueLength: \"0\" is not a number above 0",
        ),
        (
            "  triggers:\n  - type: aws-sqs-queue\n    metricType: Value\n    metadata: {queueURL: x}\n",
            "7: metricType: \"Value\" is not simulated",
        ),
        (
            "  triggers:\n  - type: cron\n    metadata: {timezone: Prague, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: \"5\"}\n",
            "7: timezone: \"Prague\" is not an IANA",
        ),
        (
            "  triggers:\n  - type: cron\n    metadata: {timezone: UTC, start: at eight, end: 0 9 * * *, desiredReplicas: \"5\"}\n",
            "7: start: \"at eight\" is not a cron",
        ),
        (
            "  triggers:\n  - type: cron\n    metadata: {timezone: UTC, start: 0 8 * * *, end: 0 8 * * *, desiredReplicas: \"5\"}\n",
            "7: cron: start and end are the same",
        ),
        (
            "  triggers:\n  - type: prometheus\n    metadata: {query: sum(queue_length), threshold: \"5\"}\n",
            "7: query: \"sum(queue_length)\" is not understood",
        ),
        (
            "  triggers:\n  - type: prometheus\n    metadata: {query: \"rate(orders_total[1m])\"}\n",
            "7: threshold: is missing in prometheus",
        ),
        ("  triggers: []\n", "4: triggers: there is none"),
        (
            "  pollingInterval: \"30\"\n  triggers:\n  - type: cpu\n",
            "5: pollingInterval: \"30\" is text in quotes, and Kubernetes refuses it; write 30 without quotes",
        ),
        (
            "  pollingInterval: \"0\"\n  triggers:\n  - type: cpu\n",
            "5: pollingInterval: \"0\" is not a whole number of 1 or more",
        ),
        (
            "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {stabilizationWindowSeconds: \"60\"}}}}\n  triggers:\n  - type: cpu\n",
            "5: stabilizationWindowSeconds: \"60\" is text in quotes",
        ),
        (
            "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {policies: [{type: Pods, value: \"9\", periodSeconds: 30}]}}}}\n  triggers:\n  - type: cpu\n",
            "5: value: \"9\" is text in quotes",
        ),
        ("  idleReplicaCount: 0\n  triggers:\n  - type: cpu\n", "5: idleReplicaCount"),
        (
            "  minReplicaCount: 9\n  maxReplicaCount: 4\n  triggers:\n  - type: cpu\n",
            "5: minReplicaCount: 9 is above",
        ),
        (
            "  advanced: {scalingModifiers: {formula: \"a + b\", target: \"1\"}}\n  triggers:\n  - type: cpu\n",
            "5: formula: \"a + b\" is not understood",
        ),
    ] {
        let problems = parse(rest).unwrap_err();
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}\n{problems:#?}");
    }
    let none = ScaledObject::parse("kind: Deployment\n").unwrap_err();
    assert!(none[0].message.contains("has no ScaledObject"), "{none:?}");
    let text = "kind: Secret\nmetadata: {name: a}\n---\nkind: ScaledJob\nspec: {triggers: []}";
    let job = ScaledObject::parse(text).unwrap_err();
    assert_eq!(job[0].line, 4);
    assert!(job[0].message.starts_with("has a ScaledJob, whose jobs are not simulated; give"), "{job:?}");
}
