//! One YAML document into a type; a mistake is told with its key, its value and what would be right.
//!
//! serde knows the place of a mistake and not its key; the tree of the same text knows both.

use serde::de::DeserializeOwned;

use super::{Node, Place, YamlError, parse, without_place};

/// Reads a text that is one document.
///
/// # Errors
/// When it is not YAML, not exactly one document, or not a `T`.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let (documents, error) = parse(text);
    if let Some(error) = error {
        return Err(error);
    }
    let document = match documents.as_slice() {
        [document] if !document.is_null() => document,
        [_, second, ..] => {
            let message = "is a second document; keep one in a file".to_owned();
            return Err(YamlError { place: second.place, message });
        }
        _ => {
            let message = "is empty, must be a mapping of keys to values".to_owned();
            return Err(YamlError { place: Place { line: 1, column: 1 }, message });
        }
    };
    serde_saphyr::from_str(text).map_err(|error| told(document, &error))
}

fn told(document: &Node, error: &serde_saphyr::Error) -> YamlError {
    let place = error.location().map_or(document.place, |location| Place {
        line: usize::try_from(location.line()).unwrap_or(1),
        column: usize::try_from(location.column()).unwrap_or(1),
    });
    let text = error.without_snippet().to_string();
    let words = without_place(&text);
    let (path, node) = found_at(document, place, String::new()).unwrap_or_default();
    let message = match (path.as_str(), node.and_then(Node::text)) {
        ("", _) => words.to_owned(),
        (path, Some(_)) if node.is_some_and(Node::is_null) => format!("{path}: is empty, {words}"),
        (path, Some(value)) if words.starts_with("must") => format!("{path}: is {value:?}, {words}"),
        (path, Some(value)) => format!("{path}: is {value:?}: {words}"),
        (path, None) => format!("{path}: {words}"),
    };
    YamlError { place, message }
}

/// The outermost value that begins at a place, or has a key there, and its path.
fn found_at(node: &Node, place: Place, path: String) -> Option<(String, Option<&Node>)> {
    if node.place == place || node.pairs().iter().any(|(key, _)| key.place == place) {
        return Some((path, Some(node)));
    }
    let separator = if path.is_empty() { "" } else { "." };
    let mut pairs = node.pairs().iter();
    pairs.find_map(|(key, value)| found_at(value, place, format!("{path}{separator}{}", key.text))).or_else(
        || {
            let mut items = node.items().iter().enumerate();
            items.find_map(|(index, item)| found_at(item, place, format!("{path}[{index}]")))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Centre {
        days: u32,
        price: f64,
        is_open: bool,
        pods: Option<Pods>,
        weights: Vec<f64>,
        windows: Vec<Pods>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Pods {
        most: u32,
    }

    #[test]
    fn a_mistake_has_its_key_its_value_and_what_is_right() {
        for (text, expected) in [
            ("days: three", "line 1: days: is \"three\", must be a whole number from 0 to 4294967295"),
            ("days: -3", "line 1: days: is \"-3\", must be a whole number from 0 to 4294967295"),
            ("days:", "line 1: days: is empty, must be a whole number from 0 to 4294967295"),
            ("price: 2,5", "line 1: price: is \"2,5\", must be a number such as 2.5"),
            ("is_open: maybe", "line 1: is_open: is \"maybe\", must be true or false"),
            ("pods:\n  most: x", "line 2: pods.most: is \"x\", must be a whole number from 0 to 4294967295"),
            ("pods: 5", "line 1: pods: is \"5\", must be a mapping of keys to values"),
            ("weights: 5", "line 1: weights: is \"5\", must be a list (a YAML sequence)"),
            ("weights: [1, x]", "line 1: weights[1]: is \"x\", must be a number such as 2.5"),
            ("pods: {least: 1}", "line 1: pods: unknown field `least`, expected one of most"),
            ("windows:\n- most: 1\n- {}", "line 3: windows[1]: missing field `most`"),
            (
                "price: &n 1.5\ndays: *n",
                "line 2: days: is \"1.5\", must be a whole number from 0 to 4294967295",
            ),
            ("- 1", "line 1: must be a mapping of keys to values"),
            ("hello", "line 1: must be a mapping of keys to values"),
            ("", "line 1: is empty, must be a mapping of keys to values"),
            ("# later\n", "line 1: is empty, must be a mapping of keys to values"),
            ("days: 1\n---\ndays: 2", "line 3: is a second document; keep one in a file"),
            ("days: 1\ndays: 2", "line 2: days: is written twice in one mapping; keep one"),
            ("pods:\n\tmost: 1", "line 2: is not YAML: tabs"),
        ] {
            let message = read::<Centre>(text).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{text}\n{message}");
        }
    }
}
