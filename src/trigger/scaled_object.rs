//! Triggers out of YAML: a ScaledObject, a list of them, or a bare `metadata:` map.

use std::path::{Path, PathBuf};

use super::problem::in_one_line;
use super::yaml::{self, Node, Place};
use super::{Origin, Parsed, Trigger, keys, parse};

/// Why a file gives no trigger.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read as text.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not YAML.
    #[error("{}:{line}: {message}", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// There is no trigger of ours in it.
    #[error(
        "{}: has no trigger of peakscaler; give a ScaledObject with a trigger of type external-push, or a bare `metadata:` map",
        .path.display()
    )]
    NoTrigger {
        /// The file.
        path: PathBuf,
    },
    /// The trigger's metadata are wrong.
    #[error("{}:{line}: {problems}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where the metadata start, counted from 1.
        line: usize,
        /// Everything wrong.
        problems: String,
    },
    /// Keys that decide are only known to the worker's container.
    #[error("{}:{line}: {keys}: names a variable of the worker's container, which no file tells; write the value itself", .path.display())]
    Unresolved {
        /// The file.
        path: PathBuf,
        /// Where the metadata start, counted from 1.
        line: usize,
        /// The keys.
        keys: String,
    },
}

/// Loads the first trigger of ours in a file: of a ScaledObject, or of a bare `metadata:` map.
///
/// # Errors
/// When the file cannot be read, is not YAML, has no trigger of ours, or one that is wrong.
pub fn load_trigger(path: &Path) -> Result<Trigger, LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    trigger_of_text(&text, path)
}

/// The same for text that has been read already; `path` only names it in errors.
///
/// # Errors
/// As [`load_trigger`], but for reading.
pub fn trigger_of_text(text: &str, path: &Path) -> Result<Trigger, LoadError> {
    let path = path.to_owned();
    let (documents, error) = yaml::parse(text);
    let Some(metadata) = documents.iter().find_map(first_metadata) else {
        return Err(match error {
            Some(error) => LoadError::Yaml { path, line: error.place.line, message: error.message },
            None => LoadError::NoTrigger { path },
        });
    };
    let line = metadata.place.line;
    let parsed = read(metadata);
    match parsed.trigger {
        Some(trigger) if parsed.unresolved.is_empty() => Ok(trigger),
        Some(_) => Err(LoadError::Unresolved { path, line, keys: parsed.unresolved.join(", ") }),
        None => Err(LoadError::Wrong { path, line, problems: in_one_line(&parsed.problems) }),
    }
}

/// Reads a metadata node; values that are not scalars count as empty.
pub(crate) fn read(metadata: &Node) -> Parsed {
    parse(
        metadata.pairs().iter().map(|(key, value)| (key.text.as_str(), value.text().unwrap_or_default())),
        Origin::File,
    )
}

/// A document of a file, as far as it concerns us.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Document<'a> {
    ScaledObject(&'a Node),
    ScaledJob(&'a Node),
    BareMetadata(&'a Node),
}

/// Sorts out a document; a `List` holds several.
pub(crate) fn documents_in(document: &Node) -> Vec<Document<'_>> {
    match document.get("kind").and_then(Node::text) {
        Some("ScaledObject") => vec![Document::ScaledObject(document)],
        Some("ScaledJob") => vec![Document::ScaledJob(document)],
        Some("List" | "ScaledObjectList") => {
            document.get("items").map(Node::items).unwrap_or_default().iter().flat_map(documents_in).collect()
        }
        Some(_) => Vec::new(),
        None => match document.get("metadata") {
            Some(metadata) if !metadata.pairs().is_empty() => vec![Document::BareMetadata(metadata)],
            _ if has_our_keys(document) => vec![Document::BareMetadata(document)],
            _ => Vec::new(),
        },
    }
}

/// The triggers of a ScaledObject or `ScaledJob`.
pub(crate) fn triggers(object: &Node) -> &[Node] {
    object.path(&["spec", "triggers"]).map(Node::items).unwrap_or_default()
}

/// Whether a trigger is answered by peakscaler: an external one with a key of ours, or with our name in its address.
pub(crate) fn is_ours(trigger: &Node) -> bool {
    let external = matches!(trigger.get("type").and_then(Node::text), Some("external" | "external-push"));
    let Some(metadata) = trigger.get("metadata") else { return false };
    let named = metadata
        .get("scalerAddress")
        .and_then(Node::text)
        .is_some_and(|address| address.contains("peakscaler"));
    external && (named || has_our_keys(metadata))
}

/// Where a key stands in a metadata node, or else where the node starts.
pub(super) fn place_of_key(metadata: &Node, key: &str) -> Place {
    metadata.place_of(&[key])
}

fn has_our_keys(metadata: &Node) -> bool {
    metadata.pairs().iter().any(|(key, _)| keys::resolve(&key.text).is_some())
}

fn first_metadata(document: &Node) -> Option<&Node> {
    documents_in(document).into_iter().find_map(|document| match document {
        Document::ScaledObject(object) => triggers(object)
            .iter()
            .find(|trigger| is_ours(trigger))
            .and_then(|trigger| trigger.get("metadata")),
        Document::ScaledJob(_) => None,
        Document::BareMetadata(metadata) => Some(metadata),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "queueURLFromEnv: ORDERS\n      awsRegion: eu-central-1\n      targetWait: 5m\n      maxReplicas: 40\n";

    fn load(text: &str) -> Result<Trigger, String> {
        trigger_of_text(text, Path::new("so.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn finds_the_trigger_in_every_form() {
        let object = format!(
            "kind: Deployment\n---\nkind: ScaledObject\nspec:\n  triggers:\n  - type: cpu\n    metadata: {{value: \"1\"}}\n  - type: external-push\n    metadata:\n      {METADATA}"
        );
        let bare = format!("metadata:\n      {METADATA}");
        let flat = format!("      {METADATA}");
        for text in [object, bare, flat] {
            let trigger = load(&text).unwrap();
            assert_eq!(trigger.policy.max_replicas, 40, "{text}");
            assert_eq!(trigger.policy.target_wait_seconds, Some(300.0));
        }
    }

    #[test]
    fn says_why_there_is_none() {
        for (text, part) in [
            ("kind: Deployment\nmetadata: {name: x}\n", "so.yaml: has no trigger"),
            ("a: [\n", "so.yaml:1: is not YAML"),
            (
                "metadata:\n  targetWait: 5 minutes\n",
                "so.yaml:2: targetWait: \"5 minutes\" is not a duration",
            ),
            (
                "metadata:\n  targetWaitFromEnv: WAIT\n  queueURLFromEnv: Q\n  awsRegion: eu-west-1",
                "targetWaitFromEnv: names a variable",
            ),
        ] {
            let message = load(text).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
