//! Holds what a reader meets first to what is there: links, make targets, and the README's excerpt of the example.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for file in pages() {
        let text = fs::read_to_string(&file).unwrap();
        let links = text
            .match_indices("](")
            .filter_map(|(at, _)| text[at + 2..].split_once(')'))
            .map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = link.split('#').next().unwrap();
            if !file.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn make_targets_exist_and_are_listed() {
    let makefile = read("Makefile");
    let readme = read("README.md");
    let named: Vec<&str> = readme
        .split("make ")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap())
        .collect();
    for target in ["demo", "test", "help"] {
        assert!(named.contains(&target), "the README does not name make {target}");
        assert!(makefile.contains(&format!("\n{target}: ## ")), "make {target} is not in the menu");
    }
    for line in makefile.lines().filter(|line| line.starts_with("\tscripts/")) {
        let script = line.trim().split(' ').next().unwrap();
        assert!(root().join(script).exists(), "{script} does not exist");
    }
}

#[test]
fn the_excerpt_in_the_readme_is_the_example() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```yaml\n").unwrap();
    let (excerpt, _) = rest.split_once("```").unwrap();
    let example = read("manifests/examples/scaledobject.yaml");
    for line in excerpt.lines() {
        assert!(example.lines().any(|other| other == line), "not in the example: {line}");
    }
}

#[test]
fn scenarios_are_described_by_the_source() {
    let written = read("docs/scenarios.md");
    let rendered = peakscaler::replay::scenario::docs::render_scenario_docs();
    assert_eq!(written, rendered, "run make docs");
}

#[test]
fn reports_are_described_by_the_source() {
    let binary = std::process::Command::new(env!("CARGO_BIN_EXE_peakscaler"));
    let rendered = { binary }.args(["docs", "reports"]).output().unwrap().stdout;
    assert_eq!(read("docs/reports.md"), String::from_utf8(rendered).unwrap(), "run make docs");
}

#[test]
fn the_observations_in_the_documents_are_decided() {
    let page = read("docs/decide.md");
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (lines, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lines"), lines).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_peakscaler"))
        .args(["decide", "--trigger", "manifests/examples/scaledobject.yaml"])
        .current_dir(root())
        .stdin(fs::File::open(folder.path().join("lines")).unwrap())
        .output()
        .unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), lines.lines().count(), "{answers}");
    for answer in answers.lines() {
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        assert!(answer["desired"].is_u64(), "{answer}");
        for field in answer.as_object().unwrap().keys().filter(|field| *field != "at") {
            assert!(page.contains(&format!("`{field}`")), "{field} is not in docs/decide.md");
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
