//! From YAML to a [`ScaledObject`], or to everything in it that is wrong or not understood.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::cron::{Cron, schedule};
use super::rate::{ArrivalRate, Query};
use super::{KedaTrigger, Problem, ScaledObject, behavior};
use crate::replay::policies::KedaSqs;
use crate::trigger::scaled_object::{Document, documents_in, is_ours, read as read_metadata, triggers};
use crate::trigger::yaml::{self, Node};
use crate::trigger::{Mode, in_one_line};

/// What KEDA takes where `maxReplicaCount` is not set.
const KEDA_MOST: u32 = 100;
/// Keys of `aws-sqs-queue` that say where the queue is; the backtest has its own.
const SQS_PLACES: [&str; 6] =
    ["queueURL", "queueURLFromEnv", "awsRegion", "awsEndpoint", "identityOwner", "awsRoleArn"];
const SQS_NUMBERS: [&str; 4] = ["queueLength", "activationQueueLength", "scaleOnInFlight", "scaleOnDelayed"];
const CRON_KEYS: [&str; 4] = ["timezone", "start", "end", "desiredReplicas"];
const PROMETHEUS_KEYS: [&str; 10] = [
    "serverAddress",
    "query",
    "threshold",
    "activationThreshold",
    "namespace",
    "authModes",
    "ignoreNullValues",
    "unsafeSsl",
    "timeout",
    "metricName",
];

pub(super) fn read(text: &str) -> Result<ScaledObject, Vec<Problem>> {
    let (documents, error) = yaml::parse(text);
    let mut reader = Reader::default();
    if let Some(error) = error {
        reader.problems.push(Problem { line: error.place.line, message: error.message });
        return Err(reader.problems);
    }
    let (mut objects, mut job) = (Vec::new(), None);
    for document in documents.iter().flat_map(documents_in) {
        match document {
            Document::ScaledObject(object) => objects.push(object),
            Document::ScaledJob(found) => job = job.or(Some(found)),
            Document::BareMetadata(_) => {}
        }
    }
    let object = match objects[..] {
        [object] => object,
        [] => {
            let why = if job.is_some() {
                "has a ScaledJob, whose jobs are not simulated"
            } else {
                "has no ScaledObject"
            };
            let message =
                format!("{why}; give a ScaledObject as `kubectl get scaledobject NAME -o yaml` prints it");
            return Err(vec![Problem { line: job.map_or(1, |job| job.place.line), message }]);
        }
        [_, second, ..] => {
            let message = "is a second ScaledObject; give one file each";
            return Err(vec![Problem { line: second.place.line, message: message.to_owned() }]);
        }
    };
    let read = reader.scaled_object(object);
    if reader.problems.is_empty() {
        Ok(read)
    } else {
        reader.problems.sort_by_key(|problem| problem.line);
        Err(reader.problems)
    }
}

/// Gathers what is wrong.
#[derive(Default)]
pub(super) struct Reader {
    problems: Vec<Problem>,
    notes: Vec<String>,
}

impl Reader {
    pub(super) fn problem(&mut self, node: &Node, message: impl Into<String>) {
        self.problems.push(Problem { line: node.place.line, message: message.into() });
    }

    pub(super) fn wrong(&mut self, node: &Node, key: &str, right: &str) {
        let text = node.text().unwrap_or("a list or a map");
        self.problem(node, format!("{key}: {text:?} is not {right}"));
    }

    /// Refuses keys that are not among those understood.
    pub(super) fn only_keys(&mut self, node: &Node, of: &str, keys: &[&str]) {
        for (key, _) in node.pairs() {
            if !keys.contains(&key.text.as_str()) {
                let (line, key) = (key.place.line, &key.text);
                let message = format!("{key}: is not understood in {of}; known are {}", keys.join(", "));
                self.problems.push(Problem { line, message });
            }
        }
    }

    fn scaled_object(&mut self, object: &Node) -> ScaledObject {
        let text = |path: &[&str]| object.path(path).and_then(Node::text).unwrap_or_default().to_owned();
        let (namespace, name) = (text(&["metadata", "namespace"]), text(&["metadata", "name"]));
        let min_replicas = self.count(object, "minReplicaCount", 0, 0);
        let max_replicas = self.count(object, "maxReplicaCount", 1, KEDA_MOST);
        if min_replicas > max_replicas {
            let message = format!("minReplicaCount: {min_replicas} is above maxReplicaCount {max_replicas}");
            self.problem(object.path(&["spec", "minReplicaCount"]).unwrap_or(object), message);
        }
        self.not_simulated(object);
        let mut read = ScaledObject {
            name: if namespace.is_empty() { name } else { format!("{namespace}/{name}") },
            target: text(&["spec", "scaleTargetRef", "name"]),
            min_replicas,
            max_replicas,
            polling_seconds: f64::from(self.count(object, "pollingInterval", 1, 30)),
            cooldown_seconds: f64::from(self.count(object, "cooldownPeriod", 0, 300)),
            behavior: behavior::behavior(object, self),
            keda: Vec::new(),
            ours: None,
            notes: Vec::new(),
        };
        if object.path(&["spec", "fallback"]).is_some() {
            let note = "fallback: is not simulated; while a trigger fails the HPA holds its number";
            self.notes.push(note.to_owned());
        }
        self.triggers(object, &mut read);
        read.notes = std::mem::take(&mut self.notes);
        read
    }

    fn count(&mut self, object: &Node, key: &str, least: u32, default: u32) -> u32 {
        let Some(node) = object.path(&["spec", key]) else { return default };
        let count = node.integer().and_then(|count| u32::try_from(count).ok());
        if let Some(count) = count.filter(|count| *count >= least) {
            return count;
        }
        match node.quoted_number(i64::from(least)) {
            Some(quoted) => self.problem(node, format!("{key}: {quoted}")),
            None => self.wrong(node, key, &format!("a whole number of {least} or more")),
        }
        default
    }

    /// What would change the number and has no part in the simulated centre.
    fn not_simulated(&mut self, object: &Node) {
        if let Some(node) = object.path(&["spec", "idleReplicaCount"]) {
            self.problem(node, "idleReplicaCount: is not simulated; leave it out");
        }
        let paused = ["autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas"];
        for key in paused {
            if let Some(node) = object.path(&["metadata", "annotations", key]) {
                self.problem(node, format!("{key}: a paused ScaledObject scales nothing; leave it out"));
            }
        }
    }

    fn triggers(&mut self, object: &Node, read: &mut ScaledObject) {
        let nodes = triggers(object);
        if nodes.is_empty() {
            let place = object.path(&["spec"]).unwrap_or(object);
            self.problem(place, "triggers: there is none, so nothing would scale");
        }
        let only = self.formula(object, nodes);
        for node in nodes {
            if is_ours(node) {
                self.ours(node, read);
            } else if only.is_none() {
                read.keda.extend(self.keda(node));
            }
        }
        let acts = read.ours.as_ref().is_some_and(|ours| ours.mode == Mode::Act);
        if acts && !read.keda.is_empty() {
            let node = nodes.iter().find(|node| is_ours(node)).unwrap_or(object);
            self.problem(
                node,
                "triggers: peakscaler's beside others is not simulated, the HPA takes the larger; write mode: advise, or give two files with --against",
            );
        }
    }

    /// A formula is understood where our trigger decides and others only take its place when it
    /// fails: `peak ?? (sqs / 5)`. Gives the name that decides.
    fn formula(&mut self, object: &Node, nodes: &[Node]) -> Option<String> {
        let formula = object.path(&["spec", "advanced", "scalingModifiers", "formula"])?;
        let ours = nodes.iter().find(|node| is_ours(node));
        let ours = ours.and_then(|node| node.get("name")).and_then(Node::text);
        let text = formula.text().unwrap_or_default();
        if let (Some((first, _)), Some(ours)) = (text.split_once("??"), ours)
            && first.trim() == ours
        {
            self.notes.push(format!("formula {text:?}: {ours} decides, as it never fails in the simulation"));
            return Some(ours.to_owned());
        }
        self.wrong(
            formula,
            "formula",
            "understood; the backtest takes the larger of all triggers, as the HPA does, so leave it out",
        );
        None
    }

    fn ours(&mut self, node: &Node, read: &mut ScaledObject) {
        let Some(metadata) = node.get("metadata") else { return };
        if read.ours.is_some() {
            return self.problem(node, "triggers: has a second trigger of peakscaler; keep one");
        }
        let parsed = read_metadata(metadata);
        if !parsed.problems.is_empty() {
            self.problem(metadata, in_one_line(&parsed.problems));
        }
        if !parsed.unresolved.is_empty() {
            let keys = parsed.unresolved.join(", ");
            self.problem(metadata, format!("{keys}: names a variable of the worker's container, which no file tells; write the value itself"));
        }
        read.ours = parsed.trigger.map(|mut trigger| {
            // as `serve` does: what the metadata leave out is the ScaledObject's
            let policy = Arc::make_mut(&mut trigger.policy);
            if !trigger.min_replicas_given {
                policy.min_replicas = read.min_replicas;
            }
            if !trigger.max_replicas_given {
                policy.max_replicas = read.max_replicas;
            }
            Box::new(trigger)
        });
    }

    fn keda(&mut self, node: &Node) -> Option<KedaTrigger> {
        let known = ["type", "metadata", "name", "metricType", "authenticationRef", "useCachedMetrics"];
        self.only_keys(node, "a trigger", &known);
        if let Some(kind) = node.get("metricType").filter(|kind| kind.text() != Some("AverageValue")) {
            self.wrong(kind, "metricType", "simulated; AverageValue is");
        }
        if let Some(cached) = node.get("useCachedMetrics").filter(|cached| cached.text() == Some("true")) {
            self.problem(cached, "useCachedMetrics: true is not simulated; leave it out");
        }
        let kind = node.get("type");
        let metadata = node.get("metadata").unwrap_or(node);
        match kind.and_then(Node::text) {
            Some("aws-sqs-queue") => Some(KedaTrigger::Sqs(self.sqs(metadata))),
            Some("cron") => self.cron(metadata).map(|cron| KedaTrigger::Cron(Box::new(cron))),
            Some("prometheus") => self.prometheus(metadata).map(KedaTrigger::Rate),
            Some(other) => {
                let message = format!(
                    "type: a trigger of type {other} is not understood; known are aws-sqs-queue, cron, prometheus and peakscaler's own"
                );
                self.problem(kind.unwrap_or(node), message);
                None
            }
            None => {
                self.problem(node, "type: is missing; a trigger has one, such as aws-sqs-queue");
                None
            }
        }
    }

    fn sqs(&mut self, metadata: &Node) -> KedaSqs {
        let known: Vec<&str> = SQS_PLACES.iter().chain(&SQS_NUMBERS).copied().collect();
        self.only_keys(metadata, "aws-sqs-queue", &known);
        let length = self.number(metadata, "queueLength", f64::MIN_POSITIVE, Some(5.0)).unwrap_or(5.0);
        let activation = self.number(metadata, "activationQueueLength", 0.0, Some(0.0)).unwrap_or(0.0);
        let in_flight = self.flag(metadata, "scaleOnInFlight", true);
        let delayed = self.flag(metadata, "scaleOnDelayed", false);
        KedaSqs::with_metadata(length, activation, in_flight, delayed)
    }

    fn cron(&mut self, metadata: &Node) -> Option<Cron> {
        self.only_keys(metadata, "cron", &CRON_KEYS);
        let zone = self.required(metadata, "cron", "timezone").and_then(|node| {
            let zone = node.text().and_then(|name| TimeZone::get(name).ok());
            if zone.is_none() {
                self.wrong(node, "timezone", "an IANA time zone such as Europe/Prague");
            }
            zone
        });
        let [start, end] = ["start", "end"].map(|key| {
            let node = self.required(metadata, "cron", key)?;
            match schedule(node.text().unwrap_or_default()) {
                Ok(schedule) => Some(schedule),
                Err(message) => {
                    self.problem(node, format!("{key}: {:?} {message}", node.text().unwrap_or_default()));
                    None
                }
            }
        });
        let same = |key: &str| metadata.get(key).and_then(Node::text);
        if start.is_some() && same("start") == same("end") {
            self.problem(metadata, "cron: start and end are the same; KEDA refuses that");
        }
        let replicas = self.required(metadata, "cron", "desiredReplicas").and_then(|node| {
            let replicas = node.text().and_then(|text| text.parse::<u32>().ok());
            if replicas.is_none() {
                self.wrong(node, "desiredReplicas", "a whole number of 0 or more");
            }
            replicas
        });
        Some(Cron::new(start?, end?, zone?, replicas?))
    }

    fn prometheus(&mut self, metadata: &Node) -> Option<ArrivalRate> {
        self.only_keys(metadata, "prometheus", &PROMETHEUS_KEYS);
        self.required(metadata, "prometheus", "threshold")?;
        let threshold = self.number(metadata, "threshold", f64::MIN_POSITIVE, None);
        let activation = self.number(metadata, "activationThreshold", 0.0, Some(0.0));
        let query = self.required(metadata, "prometheus", "query")?;
        match Query::parse(query.text().unwrap_or_default()) {
            Ok(parsed) => {
                self.notes.push(format!(
                    "prometheus: {} is taken as a counter of the orders of the history, as they arrive",
                    parsed.metric
                ));
                Some(ArrivalRate::new(parsed, threshold?, activation?))
            }
            Err(message) => {
                self.problem(query, format!("query: {message}"));
                None
            }
        }
    }

    fn required<'a>(&mut self, metadata: &'a Node, of: &str, key: &str) -> Option<&'a Node> {
        let node = metadata.get(key);
        if node.is_none() {
            self.problem(metadata, format!("{key}: is missing in {of}"));
        }
        node
    }

    fn number(&mut self, metadata: &Node, key: &str, least: f64, default: Option<f64>) -> Option<f64> {
        let Some(node) = metadata.get(key) else { return default };
        let number = node.text().and_then(|text| text.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite() && *number >= least);
        if number.is_none() {
            self.wrong(node, key, if least > 0.0 { "a number above 0" } else { "a number of 0 or above" });
        }
        number
    }

    fn flag(&mut self, metadata: &Node, key: &str, default: bool) -> bool {
        match metadata.get(key).map(|node| (node, node.text())) {
            None => default,
            Some((_, Some("true"))) => true,
            Some((_, Some("false"))) => false,
            Some((node, _)) => {
                self.wrong(node, key, "true or false");
                default
            }
        }
    }
}
