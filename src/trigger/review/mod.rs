//! What a ScaledObject must have for our number to become the number of workers.
//!
//! Text of a YAML file in, findings with their line out: the rules behind `peakscaler check`. It
//! needs no cluster, so a pipeline can refuse a file before KEDA misreads it.

mod behavior;
mod fallback;
mod formula;
mod replicas;
mod triggers;

use serde::Serialize;

use super::scaled_object::{self, Document};
use super::yaml::{self, Node, Place};
use super::{Mode, Parsed};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// KEDA, the HPA or peakscaler would do something else than was asked.
    Error,
    /// It works, but worse than it could, or not as it looks.
    Warning,
    /// Good to know.
    Notice,
}

/// One thing found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// The object, for example `ScaledObject fulfilment/pickers`; empty for the file itself.
    pub object: String,
    /// What was found: starts with the key, says what would be right.
    pub message: String,
}

/// Reviews one file: every ScaledObject in it that has a trigger of ours.
pub fn review(text: &str) -> Vec<Finding> {
    let (documents, error) = yaml::parse(text);
    let mut findings = Findings::default();
    let mut reviewed = 0;
    for document in documents.iter().flat_map(scaled_object::documents_in) {
        reviewed += match document {
            Document::ScaledObject(object) => review_scaled_object(object, &mut findings),
            Document::ScaledJob(job) => review_scaled_job(job, &mut findings),
            Document::BareMetadata(metadata) => {
                "metadata".clone_into(&mut findings.object);
                triggers::report(&scaled_object::read(metadata), metadata, &mut findings);
                1
            }
        };
    }
    findings.object = String::new();
    match error {
        Some(error) => findings.error(error.place, error.message),
        None if reviewed == 0 => {
            let start = Place { line: 1, column: 1 };
            findings.warning(start, "has no trigger of peakscaler: nothing was checked");
        }
        None => {}
    }
    findings.list.sort_by(|one, other| {
        (one.line, one.column, one.severity, &one.message).cmp(&(
            other.line,
            other.column,
            other.severity,
            &other.message,
        ))
    });
    findings.list
}

/// Gathers findings of one object after the other.
#[derive(Default)]
struct Findings {
    object: String,
    list: Vec<Finding>,
}

impl Findings {
    fn error(&mut self, place: Place, message: impl Into<String>) {
        self.add(place, Severity::Error, message.into());
    }

    fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.add(place, Severity::Warning, message.into());
    }

    fn notice(&mut self, place: Place, message: impl Into<String>) {
        self.add(place, Severity::Notice, message.into());
    }

    fn add(&mut self, place: Place, severity: Severity, message: String) {
        let Place { line, column } = place;
        self.list.push(Finding { line, column, severity, object: self.object.clone(), message });
    }
}

/// A ScaledObject with its triggers of ours read.
struct Subject<'a> {
    object: &'a Node,
    triggers: &'a [Node],
    ours: Vec<Ours<'a>>,
}

/// A trigger of ours.
struct Ours<'a> {
    node: &'a Node,
    metadata: &'a Node,
    parsed: Parsed,
}

impl Ours<'_> {
    /// Whether it only advises. Metadata with mistakes elsewhere still say so.
    fn advises(&self) -> bool {
        match &self.parsed.trigger {
            Some(trigger) => trigger.mode == Mode::Advise,
            None => {
                self.metadata.get("mode").and_then(Node::text).is_some_and(|mode| mode.trim() == "advise")
            }
        }
    }

    fn name(&self) -> Option<&str> {
        self.node.get("name").and_then(Node::text)
    }
}

impl Subject<'_> {
    /// Our answer becomes the number of workers.
    fn acts(&self) -> bool {
        self.ours.iter().any(|ours| !ours.advises())
    }

    /// A whole number under `spec`.
    fn count(&self, key: &str) -> Option<i64> {
        self.object.path(&["spec", key]).and_then(Node::integer)
    }

    fn place(&self, path: &[&str]) -> Place {
        self.object.place_of(path)
    }
}

fn review_scaled_object(object: &Node, findings: &mut Findings) -> usize {
    findings.object = object_name(object);
    if let Some(wrong) = triggers::no_list(object) {
        findings.error(object.place_of(&["spec", "triggers"]), wrong);
        return 1;
    }
    let triggers = scaled_object::triggers(object);
    let ours: Vec<Ours<'_>> = triggers
        .iter()
        .filter(|trigger| scaled_object::is_ours(trigger))
        .filter_map(|node| Some((node, node.get("metadata")?)))
        .map(|(node, metadata)| Ours { node, metadata, parsed: scaled_object::read(metadata) })
        .collect();
    let count = ours.len();
    if count > 0 {
        let subject = Subject { object, triggers, ours };
        triggers::review(&subject, findings);
        replicas::review(&subject, findings);
        formula::review(&subject, findings);
        if subject.acts() {
            behavior::review(&subject, findings);
            fallback::review(&subject, findings);
        }
    }
    count
}

fn review_scaled_job(job: &Node, findings: &mut Findings) -> usize {
    findings.object = object_name(job);
    if let Some(wrong) = triggers::no_list(job) {
        findings.error(job.place_of(&["spec", "triggers"]), wrong);
        return 1;
    }
    let ours: Vec<&Node> =
        scaled_object::triggers(job).iter().filter(|trigger| scaled_object::is_ours(trigger)).collect();
    for trigger in &ours {
        let message = "kind: ScaledJob starts a job for each order, but peakscaler answers a number of workers; write a ScaledObject";
        findings.error(trigger.place, message);
    }
    ours.len()
}

fn object_name(object: &Node) -> String {
    let part = |key: &str| object.path(&["metadata", key]).and_then(Node::text);
    let kind = object.get("kind").and_then(Node::text).unwrap_or_default();
    match (part("namespace"), part("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        (_, None) => kind.to_owned(),
    }
}
