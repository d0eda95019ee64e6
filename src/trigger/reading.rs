//! All keys of one metadata map, read and typed; mistakes and doubts are gathered on the way.

use std::collections::BTreeMap;

use super::keys::{self, FROM_ENV, Fallback, KeyDefinition};
use super::problem::Problem;
use super::values::Value;
use super::{Origin, values};
use crate::core::{CutOff, ServiceRate};

/// Metadata after every key has been looked at by itself.
#[derive(Debug)]
pub(super) struct Reading {
    given: BTreeMap<&'static str, Given>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

#[derive(Debug)]
struct Given {
    written: String,
    text: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Right(Value),
    Wrong,
    /// Names a variable of the worker's container, which a file cannot tell.
    Unresolved,
}

impl Reading {
    pub(super) fn new<K, V>(metadata: impl IntoIterator<Item = (K, V)>, origin: Origin) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut reading = Self { given: BTreeMap::new(), problems: Vec::new(), warnings: Vec::new() };
        // A request's map has no order of its own; messages shall have one.
        let mut pairs: Vec<(K, V)> = metadata.into_iter().collect();
        pairs.sort_by(|one, other| one.0.as_ref().cmp(other.0.as_ref()));
        for (written, text) in &pairs {
            reading.take(written.as_ref(), text.as_ref().trim(), origin);
        }
        reading
    }

    fn take(&mut self, written: &str, text: &str, origin: Origin) {
        if keys::is_kedas(written) {
            return;
        }
        let Some((definition, from_env)) = keys::resolve(written) else {
            let problem = Problem::of_key(written, keys::unknown_key_message(written));
            match origin {
                Origin::File => self.problems.push(problem),
                Origin::Request => self.warnings.push(problem),
            }
            return;
        };
        let state = if from_env && origin == Origin::File {
            self.check_variable(written, text)
        } else {
            match definition.kind.parse(text) {
                Ok(value) => State::Right(value),
                Err(message) => {
                    self.problems.push(Problem::of_value(written, text, message));
                    State::Wrong
                }
            }
        };
        let given = Given { written: written.to_owned(), text: text.to_owned(), state };
        if let Some(other) = self.given.insert(definition.name, given) {
            let message = format!("is given beside {}; keep one of the two", other.written);
            self.problems.push(Problem::of_key(written, message));
        }
    }

    fn check_variable(&mut self, written: &str, text: &str) -> State {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let sound =
            text.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && text.bytes().all(allowed);
        if sound {
            return State::Unresolved;
        }
        let base = written.strip_suffix(FROM_ENV).unwrap_or(written);
        let message = format!(
            "is not the name of an environment variable; write one of the worker's container, like ORDERS_QUEUE_URL, or the value itself as {base}"
        );
        self.problems.push(Problem::of_value(written, text, message));
        State::Wrong
    }

    /// Whether a key came at all, right or wrong.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The key as it was written, for messages.
    pub(super) fn written<'a>(&'a self, name: &'a str) -> &'a str {
        self.given.get(name).map_or(name, |given| given.written.as_str())
    }

    /// A problem with the value of a key that came.
    pub(super) fn problem(&mut self, name: &str, message: impl Into<String>) {
        let problem = self.about(name, message);
        self.problems.push(problem);
    }

    /// A doubt about a key.
    pub(super) fn warn(&mut self, name: &str, message: impl Into<String>) {
        let warning = self.about(name, message);
        self.warnings.push(warning);
    }

    fn about(&self, name: &str, message: impl Into<String>) -> Problem {
        match self.given.get(name) {
            Some(given) => Problem::of_value(&given.written, &given.text, message),
            None => Problem::of_key(name, message),
        }
    }

    /// Keys that decide, with a value that only the worker's container knows.
    pub(super) fn unresolved(&self) -> Vec<String> {
        let deciding = |name: &str| !matches!(keys::definition(name).map(|found| found.kind), Some(kind) if is_address(kind));
        self.given
            .iter()
            .filter(|(name, given)| matches!(given.state, State::Unresolved) && deciding(name))
            .map(|(_, given)| given.written.clone())
            .collect()
    }

    /// A text; one that only the worker's container knows stands as `$(VARIABLE)`.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let given = self.given.get(name)?;
        match &given.state {
            State::Right(Value::Text(text)) => Some(text.clone()),
            State::Unresolved => Some(format!("$({})", given.text)),
            State::Right(_) | State::Wrong => None,
        }
    }

    /// A text, only where it is known here.
    pub(super) fn known_text(&self, name: &str) -> Option<String> {
        let Value::Text(text) = self.value(name)? else { return None };
        Some(text)
    }

    /// Queue URLs; one that only the worker's container knows stands as `$(VARIABLE)`.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let given = self.given.get(name)?;
        match &given.state {
            State::Right(Value::Texts(texts)) => Some(texts.clone()),
            State::Unresolved => Some(vec![format!("$({})", given.text)]),
            State::Right(_) | State::Wrong => None,
        }
    }

    /// Queue URLs, only where they are known here.
    pub(super) fn known_texts(&self, name: &str) -> Option<Vec<String>> {
        let Value::Texts(texts) = self.value(name)? else { return None };
        Some(texts)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let Value::Number(number) = self.value(name)? else { return None };
        Some(number)
    }

    pub(super) fn whole(&self, name: &str) -> Option<u32> {
        let Value::Whole(whole) = self.value(name)? else { return None };
        Some(whole)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let Value::Flag(flag) = self.value(name)? else { return None };
        Some(flag)
    }

    pub(super) fn service_rate(&self) -> Option<ServiceRate> {
        let Value::ServiceRate(rate) = self.value("serviceRate")? else { return None };
        Some(rate)
    }

    pub(super) fn cut_offs(&self) -> Option<Vec<CutOff>> {
        let Value::CutOffs(cut_offs) = self.value("cutOffs")? else { return None };
        Some(cut_offs)
    }

    /// The value given, or else the default; `None` where what was given is wrong or not known here.
    fn value(&self, name: &str) -> Option<Value> {
        match self.given.get(name).map(|given| &given.state) {
            Some(State::Right(value)) => Some(value.clone()),
            Some(State::Wrong | State::Unresolved) => None,
            None => keys::definition(name).and_then(default_of),
        }
    }
}

/// The value of a key that is not given.
fn default_of(definition: &KeyDefinition) -> Option<Value> {
    match definition.default {
        Fallback::Value(text) => definition.kind.parse(text).ok(),
        Fallback::Derived(_) | Fallback::Nothing | Fallback::Required(_) => None,
    }
}

/// Says where to read, not what to decide.
fn is_address(kind: values::Kind) -> bool {
    use values::Kind;
    matches!(
        kind,
        Kind::QueueUrls
            | Kind::ServerUrl
            | Kind::Region
            | Kind::RoleArn
            | Kind::Query
            | Kind::Tenant
            | Kind::ObjectName
    )
}
