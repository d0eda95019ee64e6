//! Holds `manifests/` to their schemas, to each other, and to least privilege.
//!
//! The schemas and promtool come from `scripts/checkers.sh` and `scripts/test-parts.sh`, which `make test` runs. Where
//! they are missing these tests fail and say so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The Kubernetes release whose schemas are checked against: one with `tolerance` in the HPA's behaviour on by
/// default (from 1.35).
const KUBERNETES: &str = "1.36";

#[test]
fn every_manifest_matches_its_schema() {
    let output = validate(&root().join("manifests"));
    assert!(output.status.success(), "\n{}", text(&output));
}

#[test]
fn the_schema_check_catches_what_is_wrong() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replica: 2, selector: {}, template: {}}\n",
            "replica",
        ),
        (
            "scaled-object.yaml",
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\n\
             spec: {scaleTargetRef: {name: a}, triggers: [{type: external, metadata: {targetWait: 120}}]}\n",
            "spec.triggers.0.metadata.targetWait: 120 is not of type 'string'",
        ),
        (
            "rule.yaml",
            "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a}\n\
             spec: {groups: [{name: a, rules: [{alert: A, exp: up}]}]}\n",
            "'exp' was unexpected",
        ),
        ("twice.yaml", "apiVersion: v1\nkind: Namespace\nkind: Namespace\n", "key 'kind' comes twice"),
        (
            "unknown.yaml",
            "apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n",
            "no schema for v1 Deployment",
        ),
        ("policy.json", "{\"Version\": }", "Expecting value"),
        (
            "kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gone.yaml]\n",
            "gone.yaml does not exist",
        ),
    ];
    for (file, content, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file), content).unwrap();
        let output = validate(folder.path());
        assert_eq!(output.status.code(), Some(1), "{file}: not caught\n{}", text(&output));
        assert!(text(&output).contains(expected), "{file}: expected {expected:?} in\n{}", text(&output));
    }
}

#[test]
fn roles_grant_reading_of_what_is_named_and_nothing_more() {
    let mut rules = 0;
    for (file, document) in documents() {
        let kind = document["kind"].as_str().unwrap();
        if !matches!(kind, "Role" | "ClusterRole") {
            continue;
        }
        for rule in document["rules"].as_array().unwrap() {
            rules += 1;
            let listed = |key: &str| strings(&rule[key]);
            for word in [listed("apiGroups"), listed("resources"), listed("verbs")].concat() {
                assert_ne!(word, "*", "{file}: a wildcard grants more than is needed");
            }
            for resource in listed("resources") {
                assert!(
                    !matches!(resource.as_str(), "secrets" | "configmaps"),
                    "{file}: {resource} is not needed"
                );
            }
            for verb in listed("verbs") {
                match verb.as_str() {
                    "get" | "list" | "watch" => {}
                    // What is found is told as an event; an event changes nothing.
                    "create" | "patch" if listed("apiGroups") == ["events.k8s.io"] => {
                        assert_eq!(
                            (kind, listed("resources")),
                            ("Role", vec!["events".to_owned()]),
                            "{file}"
                        );
                    }
                    // What became of a calendar is told in its status.
                    "patch" if listed("resources") == ["peakcalendars/status"] => assert_eq!(kind, "Role"),
                    "patch" => {
                        const WRITTEN: &[&str] = &["capacitybuffers", "deployments/scale", "leases"];
                        assert_eq!(kind, "Role", "{file}: patch only in a namespace");
                        let resources = listed("resources");
                        assert!(
                            resources.iter().all(|one| WRITTEN.contains(&one.as_str())),
                            "{file}: {resources:?}"
                        );
                        assert!(!listed("resourceNames").is_empty(), "{file}: patch only of what is named");
                    }
                    other => panic!("{file}: verb {other:?} changes the cluster"),
                }
            }
        }
    }
    assert!(rules >= 5, "only {rules} rules found");
}

#[test]
fn room_ahead_is_shipped_empty_bounded_and_as_the_roles_name_it() {
    let of_kind = |kind: &str| {
        let documents = documents().into_iter().map(|(_, document)| document);
        documents.filter(|document| document["kind"] == kind).collect::<Vec<_>>()
    };
    let named: Vec<String> = of_kind("Role")
        .iter()
        .flat_map(|role| role["rules"].as_array().unwrap().clone())
        .flat_map(|rule| strings(&rule["resourceNames"]))
        .collect();
    let buffer = only("CapacityBuffer");
    let deployments = of_kind("Deployment");
    let is_placeholder = |one: &&Value| one["spec"]["template"]["spec"]["priorityClassName"].is_string();
    let placeholder = deployments.iter().find(is_placeholder).unwrap();
    for holder in [&buffer, placeholder] {
        assert_eq!(holder["spec"]["replicas"], 0, "nothing is held before peakscaler says so");
        let name = holder["metadata"]["name"].as_str().unwrap();
        assert!(named.iter().any(|known| known == name), "no role lets peakscaler write {name}");
    }
    assert!(buffer["spec"]["limits"]["cpu"].is_string(), "what it may cost is bounded");
    assert_eq!(buffer["spec"]["scalableRef"]["kind"], "Deployment");
    let class = only("PriorityClass");
    assert_eq!(class["metadata"]["name"], placeholder["spec"]["template"]["spec"]["priorityClassName"]);
    assert_eq!((&class["value"], &class["preemptionPolicy"]), (&(-1000).into(), &"Never".into()));
    let budgets = only("NodePool")["spec"]["disruption"]["budgets"].clone();
    let holds_back = |budget: &Value| budget["nodes"] == "0" && budget["schedule"].is_string();
    assert!(budgets.as_array().unwrap().iter().any(holds_back), "{budgets}");

    // The Lease that serve asks for is the one that ships, and the role is for it alone.
    let lease = only("Lease");
    let arguments = strings(&scaler()["spec"]["template"]["spec"]["containers"][0]["args"]);
    assert!(arguments.iter().any(|argument| argument == "--coordinate"));
    assert!(!arguments.iter().any(|argument| argument.starts_with("--lease-name")), "{arguments:?}");
    assert_eq!(
        (&lease["metadata"]["name"], &lease["metadata"]["namespace"]),
        (&"peakscaler".into(), &"peakscaler".into())
    );
    assert!(named.iter().any(|known| known == "peakscaler"));
}

#[test]
fn the_pod_is_restricted_and_its_ports_agree() {
    let deployment = scaler();
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert_eq!(deployment["spec"]["replicas"], 2);

    let service = only("Service");
    assert_eq!(service["spec"]["clusterIP"], "None", "KEDA would be pinned to one pod");
    let arguments = strings(&container["args"]);
    for (port, flag) in [("grpc", "--listen=0.0.0.0:"), ("admin", "--admin-listen=0.0.0.0:")] {
        let listened = arguments.iter().find_map(|argument| argument.strip_prefix(flag)).expect(flag);
        let of = |ports: &Value, key: &str| {
            let port = ports.as_array().unwrap().iter().find(|entry| entry["name"] == port).unwrap();
            port[key].to_string()
        };
        assert_eq!(of(&container["ports"], "containerPort"), listened);
        assert_eq!(of(&service["spec"]["ports"], "port"), listened);
    }

    let address = format!("peakscaler.peakscaler:{}", service["spec"]["ports"][0]["port"]);
    let mut triggers = 0;
    for (file, document) in documents() {
        for trigger in document["spec"]["triggers"].as_array().into_iter().flatten() {
            if let Some(named) = trigger["metadata"]["scalerAddress"].as_str() {
                triggers += 1;
                assert_eq!(named, address, "{file}");
            }
        }
    }
    assert!(triggers > 0, "no example names the scaler");
}

#[test]
fn the_alerts_fire_when_they_should() {
    let promtool = root().join(".tools/prometheus/usr/bin/promtool");
    assert!(promtool.exists(), "{} is missing: run scripts/test-parts.sh", promtool.display());
    let folder = tempfile::tempdir().unwrap();
    let groups = serde_json::json!({ "groups": only("PrometheusRule")["spec"]["groups"] });
    // JSON is YAML.
    fs::write(folder.path().join("rules.yaml"), groups.to_string()).unwrap();
    fs::copy(root().join("tests/alerts.yaml"), folder.path().join("alerts.yaml")).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(&promtool).args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "promtool {arguments:?}:\n{}", text(&output));
    };
    run(&["check", "rules", "rules.yaml"]);
    run(&["test", "rules", "alerts.yaml"]);
}

#[test]
fn the_alerts_name_metrics_that_exist() {
    let catalogue = fs::read_to_string(root().join("src/telemetry/catalogue.rs")).unwrap();
    let rules = only("PrometheusRule").to_string();
    let metrics: Vec<&str> = rules
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("peakscaler_"))
        .collect();
    assert!(metrics.len() >= 6, "only {metrics:?}");
    for metric in metrics {
        assert!(catalogue.contains(&format!("\"{metric}\"")), "{metric} is not in the catalogue");
    }
}

#[test]
fn serve_knows_the_arguments_of_the_deployment() {
    let arguments = strings(&scaler()["spec"]["template"]["spec"]["containers"][0]["args"]);
    assert_eq!(arguments[0], "serve");
    // What stands before --help is parsed first, and a mistake in it ends the process with 1.
    let output =
        Command::new(env!("CARGO_BIN_EXE_peakscaler")).args(&arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "peakscaler {}:\n{}", arguments.join(" "), text(&output));
    assert!(text(&output).contains("--listen"), "{}", text(&output));
}

fn validate(manifests: &Path) -> Output {
    let checkers = root().join(".tools/checkers");
    let python = checkers.join("venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/checkers.sh", python.display());
    Command::new(python)
        .arg(root().join("scripts/validate_manifests.py"))
        .arg(KUBERNETES)
        .arg(checkers.join("schemas"))
        .arg(manifests)
        .output()
        .unwrap()
}

/// Every document below `manifests/`, with its file.
fn documents() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("manifests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let content = fs::read_to_string(&path).unwrap();
                let file = path.display().to_string();
                let documents: Vec<Value> = serde_saphyr::from_multiple(&content).expect(&file);
                found.extend(documents.into_iter().map(|document| (file.clone(), document)));
            }
        }
    }
    found
}

/// The Deployment of peakscaler itself.
fn scaler() -> Value {
    let deployments = documents().into_iter().map(|(_, document)| document);
    let ours = |one: &Value| one["kind"] == "Deployment" && one["metadata"]["name"] == "peakscaler";
    deployments.into_iter().find(ours).expect("the scaler's Deployment")
}

/// The one document of a kind.
fn only(kind: &str) -> Value {
    let mut of_kind: Vec<Value> = documents()
        .into_iter()
        .map(|(_, document)| document)
        .filter(|document| document["kind"] == kind)
        .collect();
    assert_eq!(of_kind.len(), 1, "documents of kind {kind}");
    of_kind.remove(0)
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|entry| entry.as_str().unwrap().to_owned()).collect()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
