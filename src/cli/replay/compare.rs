//! One recorded decision, taken again: what is another now, and why.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::settings::{changed_keys, under};
use crate::core::decision::policy_version;
use crate::core::plan::decide;
use crate::core::{DecisionRecord, Policy};
use crate::telemetry::records::Kept;

/// Parts of a record that are words or fingerprints, not numbers.
const WORDS: [&str; 3] = ["reason", "policy_version", "inputs"];

/// A decision taken again; of its changes that of the number comes first.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) desired: Option<u32>,
    pub(super) changes: Vec<Change>,
    pub(super) causes: Vec<Cause>,
}

/// A field with another value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Change {
    pub(super) field: String,
    pub(super) recorded: Value,
    pub(super) again: Value,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} -> {}", self.field, rounded(&self.recorded), rounded(&self.again))
    }
}

/// A value without digits that nobody compares; JSON has them all.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) if !(number.is_u64() || number.is_i64()) => {
            number.as_f64().map_or(Value::Null, |number| ((number * 1000.0).round() / 1000.0).into())
        }
        Value::Array(items) => items.iter().map(rounded).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), rounded(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Why a decision is another now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Cause {
    /// Keys of the configuration.
    Configuration {
        /// `maxReplicas 40 -> 84`.
        keys: Vec<String>,
    },
    /// The policy beside the record is not the one that its fingerprint names.
    Fingerprint {
        /// As the record says.
        recorded: String,
        /// Of the policy beside it.
        policy: String,
    },
    /// The record has no policy, and the one given is not the one that its fingerprint names.
    Given {
        /// As the record says.
        recorded: String,
        /// Of the settings given.
        given: String,
    },
    /// Another version decided.
    Version {
        /// The one that decided.
        recorded: String,
        /// This one.
        this: &'static str,
    },
    /// None of these.
    Unknown,
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration { keys } => write!(out, "of the configuration: {}", keys.join(", ")),
            Self::Fingerprint { recorded, policy } => write!(
                out,
                "of the configuration: the decision was taken under policy {recorded}, the policy in the line is {policy}"
            ),
            Self::Given { recorded, given } => write!(
                out,
                "of the configuration: the decision was taken under policy {recorded}, --trigger gives {given}; the line has no policy, so which keys differ is not known"
            ),
            Self::Version { recorded, this } => {
                write!(out, "of the version: {recorded} decided, this is {this}")
            }
            Self::Unknown => write!(
                out,
                "neither configuration nor version differs: the line was edited, or this binary was built from other source"
            ),
        }
    }
}

/// Decides again from a record's inputs, under `settings` where given.
///
/// # Errors
/// What the record lacks.
pub(super) fn decide_again(kept: &Kept, settings: Option<&Policy>) -> Result<Again, String> {
    let record = &kept.record;
    let Some(inputs) = &record.inputs else {
        return Err(
            "has no inputs; records of `serve --record-dir` and `decide --inputs` have them".to_owned()
        );
    };
    let again = match (settings, &kept.policy) {
        (Some(new), Some(old)) => decide(&under(inputs, old, new), new),
        (Some(new), None) => decide(inputs, new),
        (None, Some(policy)) => decide(inputs, policy),
        (None, None) => {
            return Err("has no policy; give the ScaledObject that was in force with --trigger".to_owned());
        }
    };
    let changes = changes(record, &again);
    let causes = if changes.is_empty() { Vec::new() } else { causes(kept, settings) };
    Ok(Again { desired: again.desired, changes, causes })
}

fn changes(recorded: &DecisionRecord, again: &DecisionRecord) -> Vec<Change> {
    let [old, new] = [recorded, again].map(|record| match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => serde_json::Map::new(),
    });
    let mut names: Vec<&String> =
        old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
    names.retain(|name| !WORDS.contains(&name.as_str()));
    names.sort_by_key(|name| name.as_str() != "desired");
    let value = |fields: &serde_json::Map<String, Value>, name: &str| {
        fields.get(name).cloned().unwrap_or(Value::Null)
    };
    names
        .into_iter()
        .filter(|name| value(&old, name) != value(&new, name))
        .map(|name| Change { field: name.clone(), recorded: value(&old, name), again: value(&new, name) })
        .collect()
}

fn causes(kept: &Kept, settings: Option<&Policy>) -> Vec<Cause> {
    let recorded = &kept.record.policy_version;
    let mut causes = Vec::new();
    match (settings, &kept.policy) {
        (Some(new), Some(old)) => {
            let keys = changed_keys(old, new);
            if !keys.is_empty() {
                causes.push(Cause::Configuration { keys });
            }
        }
        (Some(given), None) => {
            let given = policy_version(given);
            if &given != recorded {
                causes.push(Cause::Given { recorded: recorded.clone(), given });
            }
        }
        (None, Some(policy)) => {
            let policy = policy_version(policy);
            if &policy != recorded {
                causes.push(Cause::Fingerprint { recorded: recorded.clone(), policy });
            }
        }
        (None, None) => {}
    }
    let this = env!("CARGO_PKG_VERSION");
    if let Some(version) = kept.version.as_ref().filter(|version| *version != this) {
        causes.push(Cause::Version { recorded: version.clone(), this });
    }
    if causes.is_empty() {
        causes.push(Cause::Unknown);
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Observation, Workload};

    fn kept(policy: &Policy) -> Kept {
        let text = r#"{"at":"2026-11-27T08:00:00Z","queue":{"visible":4000,"in_flight":3},
                       "replicas":{"ready":3,"wanted":3}}"#;
        let observation: Observation = serde_json::from_str(text).unwrap();
        let record = Workload::new(policy.clone()).step(&observation).unwrap();
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        Kept {
            namespace: "shop".to_owned(),
            workload: "packers".to_owned(),
            version,
            policy: Some(policy.clone()),
            record,
        }
    }

    #[test]
    fn the_same_settings_give_the_same_numbers() {
        let again = decide_again(&kept(&Policy::default()), None).unwrap();
        assert_eq!(again.changes, []);
    }

    #[test]
    fn a_difference_names_its_cause() {
        let old = Policy::default();
        let new = Policy { max_replicas: 7, ..Policy::default() };
        let again = decide_again(&kept(&old), Some(&new)).unwrap();
        assert_eq!(again.desired, Some(7));
        assert_eq!(again.causes, [Cause::Configuration { keys: vec!["maxReplicas 100 -> 7".to_owned()] }]);
        assert_eq!(again.changes[0].field, "desired");

        let mut bare = kept(&old);
        bare.policy = None;
        let causes = decide_again(&bare, Some(&new)).unwrap().causes;
        assert!(matches!(causes[..], [Cause::Given { .. }]), "{causes:?}");

        let mut edited = kept(&old);
        edited.policy = Some(new);
        let causes = decide_again(&edited, None).unwrap().causes;
        assert!(matches!(causes[..], [Cause::Fingerprint { .. }]), "{causes:?}");

        let mut older = kept(&old);
        older.version = Some("0.0.1".to_owned());
        older.record.desired = Some(1);
        let again = decide_again(&older, None).unwrap();
        assert_eq!(again.changes[0].to_string(), format!("desired 1 -> {}", again.desired.unwrap()));
        assert!(matches!(again.causes[..], [Cause::Version { .. }]), "{:?}", again.causes);

        older.version = Some(env!("CARGO_PKG_VERSION").to_owned());
        assert_eq!(decide_again(&older, None).unwrap().causes, [Cause::Unknown]);
    }

    #[test]
    fn a_change_is_shown_with_digits_that_count() {
        let change = Change {
            field: "late_first".to_owned(),
            recorded: Value::Null,
            again: serde_json::json!({"orders": 80.017_603_86, "raise_to": 20, "at": ["x", 0.5]}),
        };
        let expected = r#"late_first null -> {"at":["x",0.5],"orders":80.018,"raise_to":20}"#;
        assert_eq!(change.to_string(), expected);
    }

    #[test]
    fn a_record_without_inputs_or_policy_says_so() {
        let mut kept = kept(&Policy::default());
        kept.policy = None;
        assert!(decide_again(&kept, None).unwrap_err().contains("--trigger"));
        assert_eq!(decide_again(&kept, Some(&Policy::default())).unwrap().changes, []);
        kept.record.inputs = None;
        assert!(decide_again(&kept, Some(&Policy::default())).unwrap_err().contains("no inputs"));
    }
}
