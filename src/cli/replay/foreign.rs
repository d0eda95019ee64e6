//! What a file is that holds no decision records, as far as it shows.

use serde_json::{Map, Value};

use crate::trigger::yaml;

/// Longest beginning of a line that is shown.
const SHOWN: usize = 40;

/// Whether a line is the JSON of a decision, be it whole or not.
fn is_a_decision(line: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(line).is_ok_and(|object| object.contains_key("at"))
}

/// What the lines of a file seem to be where none of them is a decision, and there is one at all.
pub(super) fn of(lines: &[(usize, String)]) -> Option<String> {
    let (_, first) = lines.first()?;
    if lines.iter().any(|(_, line)| is_a_decision(line)) {
        return None;
    }
    let text = lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
    if text.contains(['\0', char::REPLACEMENT_CHARACTER]) {
        return Some("not text".to_owned());
    }
    if is_a_decision(&text) {
        return Some(
            "one decision over several lines (a line is one record: `jq -c .` writes it so)".to_owned(),
        );
    }
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        let keys = value.as_object().map(|object| object.keys().map(String::as_str).collect::<Vec<_>>());
        return Some(match keys {
            Some(keys) => format!("other JSON, with the keys {}", keys.join(", ")),
            None => "other JSON".to_owned(),
        });
    }
    if lines.iter().all(|(_, line)| serde_json::from_str::<Value>(line).is_ok()) {
        return Some("lines of other JSON, without `at`".to_owned());
    }
    let commas = |line: &str| line.matches([',', ';']).count();
    if commas(first) > 0 && lines.iter().take(3).all(|(_, line)| commas(line) == commas(first)) {
        return Some(format!("CSV with the header {:?}", shown(first)));
    }
    let (documents, _) = yaml::parse(&text);
    match documents.first().filter(|document| !document.pairs().is_empty()) {
        Some(document) => Some(match document.get("kind").and_then(yaml::Node::text) {
            Some(kind) => format!("YAML of kind {kind}"),
            None => "YAML".to_owned(),
        }),
        None => Some(format!("text that begins with {:?}", shown(first))),
    }
}

fn shown(line: &str) -> &str {
    line.char_indices().nth(SHOWN).map_or(line, |(end, _)| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_lines() {
        for (text, expected) in [
            ("timestamp,count\n2026-11-02T00:00:00,5", Some("CSV with the header \"timestamp,count\"")),
            (
                "{\n  \"version\": 1,\n  \"decisions\": 3\n}",
                Some("other JSON, with the keys decisions, version"),
            ),
            (
                "{\n  \"at\": \"2026-11-27T08:00:00Z\",\n  \"desired\": 3\n}",
                Some("one decision over several lines (a line is one record: `jq -c .` writes it so)"),
            ),
            ("[1, 2]", Some("other JSON")),
            ("{\"a\": 1}\n{\"b\": 1}", Some("lines of other JSON, without `at`")),
            ("kind: ScaledObject\nspec: {}", Some("YAML of kind ScaledObject")),
            ("days: 3", Some("YAML")),
            ("hello", Some("text that begins with \"hello\"")),
            ("\u{1f}\u{fffd}\0", Some("not text")),
            ("nonsense\n{\"at\": 5}", None),
            ("", None),
        ] {
            let lines: Vec<(usize, String)> = (1..).zip(text.lines().map(str::to_owned)).collect();
            assert_eq!(of(&lines).as_deref(), expected, "{text}");
        }
    }
}
