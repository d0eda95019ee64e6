//! `peakscaler replay`.

use std::fmt::Write as _;

use peakscaler::core::{DecisionRecord, Observation, Policy, Workload};

use crate::support::{Folder, OURS, json};

/// Records as `serve` keeps them, of a queue that grows.
fn records(policy: &Policy) -> Vec<serde_json::Value> {
    let mut workload = Workload::new(policy.clone());
    let step = |minute: u32| {
        let text = format!(
            r#"{{"at":"2026-11-27T08:{minute:02}:00Z","queue":{{"visible":{},"in_flight":2}},"replicas":{{"ready":3,"wanted":3}}}}"#,
            minute * minute * 40
        );
        let observation: Observation = serde_json::from_str(&text).unwrap();
        let record: DecisionRecord = workload.step(&observation).unwrap();
        let mut line = serde_json::to_value(record).unwrap();
        line["namespace"] = "shop".into();
        line["workload"] = "packers".into();
        line["version"] = env!("CARGO_PKG_VERSION").into();
        line["policy"] = serde_json::to_value(policy).unwrap();
        line
    };
    (0..10).map(step).collect()
}

fn lines(records: &[serde_json::Value]) -> String {
    records.iter().fold(String::new(), |mut text, record| {
        let _ = writeln!(text, "{record}");
        text
    })
}

#[test]
fn the_same_binary_decides_the_same() {
    let folder = Folder::new();
    folder.write("records.ndjson", &lines(&records(&Policy::default())));
    let text = folder.says("replay records.ndjson", 0);
    assert!(text.contains("10 decisions taken again"), "{text}");
    assert!(text.contains("10 the same, 0 differ"), "{text}");
    let text = folder.says("replay records.ndjson ./records.ndjson", 0);
    assert!(text.contains("10 decisions taken again"), "the same file counts once: {text}");
    folder.write("marked.ndjson", &format!("\u{feff}{}", lines(&records(&Policy::default()))));
    let text = folder.says("replay marked.ndjson", 0);
    assert!(text.contains("10 the same, 0 differ"), "a byte order mark is no line: {text}");
}

#[test]
fn what_differs_is_told_with_its_cause() {
    let folder = Folder::new();
    let mut edited = records(&Policy::default());
    edited[3]["desired"] = 77.into();
    edited[4]["desired"] = 78.into();
    edited[4]["version"] = "0.0.1".into();
    edited[5]["policy"]["max_replicas"] = 2.into();
    folder.write("records.ndjson", &lines(&edited));
    let report = json(&folder.says("replay records.ndjson --output json", 1));
    let found: Vec<(&str, &str)> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["place"].as_str().unwrap(), one["causes"][0]["kind"].as_str().unwrap()))
        .collect();
    let expected = [
        ("records.ndjson:4", "unknown"),
        ("records.ndjson:5", "version"),
        ("records.ndjson:6", "fingerprint"),
    ];
    assert_eq!(found, expected);
    assert_eq!(report["differences"][0]["changes"][0]["recorded"], 77);
}

#[test]
fn other_settings_are_compared() {
    let folder = Folder::new();
    folder.write("records.ndjson", &lines(&records(&Policy::default())));
    folder.write("ours.yaml", &OURS.replace("maxReplicas: \"30\"", "maxReplicas: \"4\""));
    let text = folder.says("replay records.ndjson --trigger ours.yaml --show 3", 1);
    let told = |part: &str| text.matches(part).count();
    assert_eq!(
        (told("of the configuration:"), told("maxReplicas 100 -> 4")),
        (1, 1),
        "one reason, once: {text}"
    );
    assert_eq!(told("(reason 1) at"), 3, "{text}");
    let report = json(&folder.says("replay records.ndjson --trigger ours.yaml --output json", 1));
    let (reason, all) = (&report["reasons"][0], report["differences"].as_array().unwrap());
    assert_eq!(report["reasons"].as_array().unwrap().len(), 1);
    assert_eq!(reason["differ"].as_u64(), Some(all.len() as u64));
    assert_eq!((&reason["first"], &reason["last"]), (&all[0]["at"], &all[all.len() - 1]["at"]));
    assert!(reason["replicas_differ"].as_u64() > Some(0), "{reason}");
    let more = format!("and {} more; --show {} tells all of reason 1", all.len() - 3, all.len());
    assert!(text.contains(&more), "{text}");
    let row = text.lines().find(|line| line.contains("maxReplicas 100 -> 4")).unwrap();
    for part in [&reason["first"], &reason["last"]] {
        assert!(row.contains(part.as_str().unwrap()), "{row}");
    }
}

#[test]
fn what_cannot_be_taken_again_is_named() {
    let folder = Folder::new();
    let mut bare = records(&Policy::default());
    bare[1].as_object_mut().unwrap().remove("inputs");
    bare[2].as_object_mut().unwrap().remove("policy");
    folder.write("records.ndjson", &format!("{}nonsense\n", lines(&bare[..3])));
    let text = folder.says("replay records.ndjson", 2);
    for part in [
        "records.ndjson:2: has no inputs",
        "records.ndjson:3: has no policy",
        "records.ndjson:4: is not a decision record: must be one JSON object\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let mut none = records(&Policy::default());
    for record in &mut none {
        record.as_object_mut().unwrap().remove("policy");
    }
    folder.write("none.ndjson", &lines(&none));
    let text = folder.says("replay none.ndjson", 2);
    assert!(
        text.starts_with("none.ndjson:1 and 9 more, the last at none.ndjson:10: has no policy"),
        "{text}"
    );
    assert_eq!(text.matches("has no policy").count(), 1, "{text}");
    folder.write("empty.ndjson", "\n");
    for (file, expected) in [
        (
            "orders.csv",
            "orders.csv: is no file of decision records, it seems to be CSV with the header \"timestamp,count\"; give",
        ),
        (
            "keda.yaml",
            "keda.yaml: is no file of decision records, it seems to be YAML of kind ScaledObject; give",
        ),
        ("empty.ndjson", "there is no whole record in the files"),
    ] {
        let text = folder.says(&format!("replay {file}"), 2);
        assert!(text.starts_with(expected), "{text}");
    }
    // settings that cannot be read are no difference
    let output = folder.run("replay records.ndjson --trigger keda.yaml");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let output = folder.run("replay missing.ndjson");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("missing.ndjson"));
}

#[test]
fn a_corrupt_file_and_lines_of_another_version_hide_nothing() {
    let folder = Folder::new();
    let mut older = records(&Policy::default());
    older[4]["version"] = "0.0.1".into();
    older[4]["policy"].as_object_mut().unwrap().remove("max_replicas");
    folder.write("records.ndjson", &lines(&older));
    // the head of a compressed file, and what no compressor writes
    std::fs::write(folder.path("bad.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff")
        .unwrap();
    let text = folder.says("replay bad.gz records.ndjson", 2);
    for part in [
        "bad.gz: cannot be decompressed: ",
        "records.ndjson:5: is not a decision record of this version, 0.0.1 wrote it, this is",
        "9 the same, 0 differ, 2 could not be taken again",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = folder.says("replay bad.gz records.ndjson --show 1", 2);
    assert!(text.contains("and 1 more; --show 2 tells all"), "{text}");
}
