//! Scaler metadata from outside: what is wrong is named, what is right comes through, nothing panics.

use std::collections::BTreeMap;

use peakscaler::core::{Policy, ServiceRate};
use peakscaler::trigger::docs::render_metadata_docs;
use peakscaler::trigger::keys::{Fallback, KEYS};
use peakscaler::trigger::{BacklogSource, Mode, Origin, Problem, ThroughputSource, Trigger, parse};
use proptest::prelude::*;

#[path = "metadata/bad.rs"]
mod bad;

use bad::{BAD, Bad, GONE, PROM, Pairs, QUEUE, SQS};

fn laid_over(base: Pairs, changes: Pairs) -> BTreeMap<String, String> {
    let mut metadata: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in base.iter().chain(changes) {
        if *value == GONE {
            metadata.remove(*key);
        } else {
            metadata.insert((*key).to_owned(), (*value).to_owned());
        }
    }
    metadata
}

#[test]
fn two_hundred_mistakes_are_named() {
    assert!(BAD.len() >= 200, "{} rows", BAD.len());
    let mut failures = Vec::new();
    for (base, changes, key, part) in BAD {
        let metadata = laid_over(base, changes);
        let problems = Trigger::parse(&metadata, Origin::File).err().unwrap_or_default();
        let named = problems.iter().any(|problem| problem.key == *key && problem.to_string().contains(part));
        if !named {
            let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
            failures.push(format!("{changes:?}\n   wanted {key}: …{part}…\n   got    {said:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn rows_differ() {
    for (position, row) in BAD.iter().enumerate() {
        assert!(BAD[..position].iter().all(|other| other != row), "{row:?}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let metadata = laid_over(
        SQS,
        &[
            ("targetWait", "5 minutes"),
            ("maxReplicas", "many"),
            ("cutOffs", "DPD"),
            ("colour", "blue"),
            ("mode", "x"),
        ],
    );
    let problems = Trigger::parse(&metadata, Origin::File).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["colour", "cutOffs", "maxReplicas", "mode", "targetWait"]);
}

#[test]
fn a_message_can_not_forge_a_line() {
    let metadata = BTreeMap::from([("evil\nkey", "x"), ("targetWait", "1\nINFO all is well")]);
    for problem in Trigger::parse(&metadata, Origin::File).unwrap_err() {
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
    let long = "9".repeat(100_000);
    for value in [
        long.clone(),
        format!("{long} Mon 14:00+45m"),
        format!("DPD {long} 14:00+45m"),
        format!("DPD Mon {long}:00+45m"),
        format!("DPD Mon 14:00+{long}m; {long}"),
        format!("DPD 14:00+{long}m"),
        format!("arn:aws:sqs:eu-west-1:1:{long},{long}"),
        format!("arn:aws:sqs:eu-west-1:1:{long}"),
    ] {
        let all_keys = KEYS.iter().map(|definition| definition.name).chain([value.as_str()]);
        let problems = Trigger::parse(all_keys.map(|key| (key, value.as_str())), Origin::File).unwrap_err();
        for problem in problems {
            assert!(problem.to_string().chars().count() < 700, "{problem}");
        }
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let (trigger, warnings) = Trigger::parse(SQS.iter().copied(), Origin::Request).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(*trigger.policy, Policy { max_replicas: 50, ..Policy::default() });
    assert_eq!(trigger.aws_region.as_deref(), Some("eu-central-1"));
    assert_eq!(trigger.throughput, ThroughputSource::CloudWatch);
    assert_eq!(trigger.mode, Mode::Act);
}

#[test]
fn a_request_carries_resolved_variables_and_keda_s_own_keys() {
    let metadata = BTreeMap::from([
        ("queueURLFromEnv", QUEUE),
        ("targetWaitFromEnv", " 90s "),
        ("maxReplicas", "5"),
        ("scalerAddress", "peakscaler.peakscaler:9443"),
        ("caCert", "-----BEGIN CERTIFICATE-----"),
        ("enableTLS", "true"),
        ("unsafeSsl", "false"),
        ("tlsClientCert", "x"),
        ("keyOfALaterVersion", "x"),
    ]);
    let (trigger, warnings) = Trigger::parse(&metadata, Origin::Request).unwrap();
    assert_eq!(trigger.backlog, BacklogSource::Sqs(vec![QUEUE.to_owned()]));
    assert_eq!(trigger.policy.target_wait_seconds, Some(90.0));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].key, "keyOfALaterVersion");
    let wrong =
        Trigger::parse([("queueURLFromEnv", "orders"), ("targetWait", "5m")], Origin::Request).unwrap_err();
    assert!(wrong[0].to_string().starts_with("queueURLFromEnv: \"orders\" is not"), "{}", wrong[0]);
    let missing = Trigger::parse([("targetWait", "5m")], Origin::Request).unwrap_err();
    assert!(missing[0].to_string().contains("KEDA drops queueURLFromEnv"), "{}", missing[0]);
}

#[test]
fn a_file_s_variables_stay_open() {
    let metadata = laid_over(
        SQS,
        &[("queueURL", GONE), ("queueURLFromEnv", "ORDERS_QUEUE_URL"), ("awsRegionFromEnv", "AWS_REGION")],
    );
    let parsed = parse(&metadata, Origin::File);
    let trigger = parsed.trigger.unwrap();
    assert_eq!(trigger.backlog, BacklogSource::Sqs(vec!["$(ORDERS_QUEUE_URL)".to_owned()]));
    assert_eq!(parsed.unresolved, [""; 0]);
    let metadata = laid_over(SQS, &[("maxReplicas", GONE), ("maxReplicasFromEnv", "MOST")]);
    assert_eq!(parse(&metadata, Origin::File).unresolved, ["maxReplicasFromEnv"]);
}

/// Doubts, which never stop a trigger: what is changed, the key, and what is said of it.
#[rustfmt::skip]
const DOUBTFUL: &[Bad] = &[
    (SQS, &[("cutOffs", "DPD daily 14:00+45m")], "cutOffs", "is read in UTC; write timeZone"),
    (SQS, &[("timeZone", "Europe/Prague")], "timeZone", "has no effect without cutOffs"),
    (SQS, &[("targetWait", "20s")], "targetWait", "is shorter than podLeadTime 30s"),
    (SQS, &[("cutOffs", "DPD daily 14:00+1m"), ("timeZone", "UTC"), ("podLeadTime", "2m")], "cutOffs", "a window of 1m, shorter than podLeadTime 2m"),
    (SQS, &[("minReplicas", "50")], "minReplicas", "the number of workers never changes"),
    (SQS, &[("staleAfter", "20s")], "staleAfter", "one reading that comes late"),
    (SQS, &[("prometheusServerAddress", "http://p:9090")], "prometheusServerAddress", "has no effect without a query"),
    (SQS, &[("prometheusTenant", "x")], "prometheusTenant", "has no effect without prometheusServerAddress"),
    (SQS, &[("minReplicas", "10"), ("serviceRate", "10"), ("throughputLimit", "600")], "throughputLimit", "less than the 10 workers of minReplicas"),
    (SQS, &[("queueURL", "http://localhost:9324/000000000000/orders"), ("awsRegion", "eu-west-1")], "queueURL", "write the queue's server as awsEndpoint too"),
    (PROM, &[("awsRegion", "eu-west-1")], "awsRegion", "has no effect with backlogQuery"),
    (PROM, &[("scaleOnDelayed", "true")], "scaleOnDelayed", "has no effect with backlogQuery"),
];

#[test]
fn doubts_are_named_and_do_not_stop() {
    for (base, changes, key, part) in DOUBTFUL {
        let (_, warnings) = Trigger::parse(laid_over(base, changes), Origin::File).unwrap();
        let named = warnings.iter().any(|warning| warning.key == *key && warning.to_string().contains(part));
        assert!(named, "{changes:?}: {warnings:?}");
    }
}

/// Metadata that are right, with all there is.
#[rustfmt::skip]
const GOOD: &[(Pairs, Pairs)] = &[
    (SQS, &[]),
    (PROM, &[]),
    (PROM, &[("arrivalQuery", GONE)]),
    (PROM, &[("completionQuery", "sum(rate(x{a=\"(\"}[2m]))"), ("replicasQuery", "sum(up)"), ("prometheusTenant", "a|b")]),
    (SQS, &[("throughputSource", "queue"), ("mode", "advise"), ("forecast", "False")]),
    (SQS, &[("targetWait", GONE), ("cutOffs", "DPD Fri-Mon 14:00+45m; PPL Express Mon,Wed 17:30+1h30m;"), ("timeZone", "europe/prague")]),
    (SQS, &[("queueURL", "https://sqs.eu-west-1.amazonaws.com/123456789012/a.fifo, https://sqs.eu-west-1.amazonaws.com/123456789012/b"), ("awsRoleArn", "arn:aws:iam::123456789012:role/path/reader")]),
    (SQS, &[("queueURL", "http://127.0.0.1:9324/000000000000/orders"), ("awsRegion", "eu-west-1"), ("awsEndpoint", "http://127.0.0.1:9324")]),
    (SQS, &[("serviceRate", "12.5"), ("rampUp", "60"), ("throughputLimit", "7200"), ("holdDown", "0"), ("activationQueueLength", "5"), ("podLeadTime", "45.5s"), ("nodeLeadTime", "1m40s"), ("staleAfter", "1h0m1s")]),
    (SQS, &[("nodePool", "spot"), ("capacityBuffer", "pickers-ahead"), ("minReplicas", "2"), ("scaleOnInFlight", "0"), ("scaleOnDelayed", "T")]),
    (SQS, &[("placeholder", "pause.pods")]),
];

#[test]
fn what_is_right_comes_through_and_back() {
    for (base, changes) in GOOD {
        let metadata = laid_over(base, changes);
        let (trigger, _) = Trigger::parse(&metadata, Origin::Request)
            .unwrap_or_else(|problems| panic!("{changes:?}: {problems:?}"));
        let (again, _) = Trigger::parse(trigger.metadata(), Origin::Request).unwrap();
        assert_eq!(trigger, again, "{changes:?}");
    }
    let (trigger, _) = Trigger::parse(laid_over(GOOD[8].0, GOOD[8].1), Origin::File).unwrap();
    assert_eq!(trigger.policy.service_rate, ServiceRate::PerMinute(12.5));
    assert!((trigger.policy.node_lead_seconds - 100.0).abs() < f64::EPSILON);
}

#[test]
fn every_default_of_the_table_is_the_policy_s() {
    let (trigger, _) = Trigger::parse(SQS.iter().copied(), Origin::File).unwrap();
    let policy = Policy { max_replicas: Policy::default().max_replicas, ..(*trigger.policy).clone() };
    assert_eq!(policy, Policy::default());
    let (pod, node) = (Some(policy.pod_lead_seconds), Some(policy.node_lead_seconds));
    let as_given = Trigger { pod_lead_seconds: pod, node_lead_seconds: node, ..trigger };
    let written = Trigger { policy: policy.into(), ..as_given }.metadata();
    for definition in KEYS {
        let (Fallback::Value(default), Some(value)) = (definition.default, written.get(definition.name))
        else {
            continue;
        };
        let mut spelled = laid_over(SQS, &[]);
        spelled.insert(definition.name.to_owned(), default.to_owned());
        let (with_default, _) = Trigger::parse(spelled, Origin::File).unwrap();
        assert_eq!(with_default.metadata().get(definition.name), Some(value), "{}", definition.name);
    }
}

#[test]
fn docs_metadata_md_is_generated() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metadata.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == render_metadata_docs(), "run: peakscaler docs metadata > docs/metadata.md");
}

/// A key: one of ours, with or without `FromEnv`, KEDA's, or anything.
fn any_key() -> impl Strategy<Value = String> {
    let ours = prop::sample::select(KEYS).prop_map(|definition| definition.name.to_owned());
    prop_oneof![
        6 => ours.clone(),
        1 => ours.prop_map(|name| format!("{name}FromEnv")),
        1 => "\\PC{0,20}",
    ]
}

/// A value: right for some key, nearly right, or anything.
fn any_value() -> impl Strategy<Value = String> {
    let examples: Vec<String> = KEYS.iter().map(|definition| definition.example.to_owned()).collect();
    prop_oneof![
        3 => prop::sample::select(examples),
        2 => "[0-9a-zA-Z.:+;,/ -]{0,24}",
        1 => "([0-9]{0,3}\\.?[0-9]{0,2}(h|m|s|ms|d| )){0,3}",
        1 => "([A-Z]{1,3} (Mon|Fri|Sun|daily)(-|,)?(Tue|Sat)? [0-9]{1,2}:[0-9]{2}\\+[0-9]{1,3}m;? ?){0,3}",
        1 => "\\PC{0,30}",
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn random_maps_never_panic(metadata in prop::collection::btree_map(any_key(), any_value(), 0..12)) {
        for origin in [Origin::File, Origin::Request] {
            let parsed = parse(&metadata, origin);
            prop_assert_eq!(parsed.trigger.is_some(), parsed.problems.is_empty());
            for problem in parsed.problems.iter().chain(&parsed.warnings) {
                prop_assert!(!problem.message.is_empty());
                prop_assert!(!problem.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn mutated_maps_never_panic_and_what_is_taken_comes_back(
        which in 0..GOOD.len(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<char>(), 0..4u8), 1..4),
    ) {
        let mut metadata: Vec<(String, String)> = laid_over(GOOD[which].0, GOOD[which].1).into_iter().collect();
        for (pair, place, character, kind) in mutations {
            let (key, value) = pair.get(&metadata).clone();
            let mut letters: Vec<char> = value.chars().collect();
            let at = place.index(letters.len() + 1);
            match kind {
                0 => letters.insert(at, character),
                1 if at < letters.len() => { letters.remove(at); }
                2 => letters.truncate(at),
                _ if at < letters.len() => letters.swap(at, 0),
                _ => {}
            }
            metadata.retain(|(other, _)| *other != key);
            metadata.push((key, letters.into_iter().collect()));
        }
        if let Ok((trigger, _)) = Trigger::parse(metadata, Origin::Request) {
            prop_assert!(trigger.policy.min_replicas <= trigger.policy.max_replicas);
            let (again, _) = Trigger::parse(trigger.metadata(), Origin::Request).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            prop_assert_eq!(trigger, again);
        }
    }

    #[test]
    fn random_files_never_panic(text in "([a-zA-Z&*<!?|>'\"#%@:,\\[\\]{}~-]|\n| |  |kind: ScaledObject\n|spec:\n|triggers:\n){0,60}") {
        for finding in peakscaler::trigger::review::review(&text) {
            prop_assert!(finding.line >= 1);
        }
    }
}
