//! `scalingModifiers`: a formula must know its triggers by name, and leave our number as it is.

use super::{Findings, Subject};
use crate::trigger::keys::nearest;
use crate::trigger::yaml::{Node, Place};

/// Where the formula stands.
pub(super) const MODIFIERS: [&str; 3] = ["spec", "advanced", "scalingModifiers"];

/// Words of the formula language itself.
const WORDS: [&str; 13] = [
    "true",
    "false",
    "nil",
    "and",
    "or",
    "not",
    "in",
    "let",
    "if",
    "else",
    "matches",
    "contains",
    "startsWith",
];

pub(super) fn review(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(modifiers) = subject.object.path(&MODIFIERS) else { return };
    let [spec, advanced, scaling] = MODIFIERS;
    let place = |key: &str| subject.place(&[spec, advanced, scaling, key]);
    let metric_type = modifiers.get("metricType").and_then(Node::text);
    if let Some(other) = metric_type.filter(|metric_type| *metric_type != "AverageValue") {
        let message = format!(
            "spec.advanced.scalingModifiers.metricType: {other:?} multiplies by the ready pods; write AverageValue"
        );
        findings.error(place("metricType"), message);
    }
    let Some(formula) = modifiers.get("formula").and_then(Node::text) else {
        findings.error(
            place("formula"),
            "spec.advanced.scalingModifiers.formula: is missing; write it like peak ?? (sqs / 5)",
        );
        return;
    };
    review_target(modifiers, place("target"), findings);
    review_names(subject, formula, place("formula"), findings);
    if mixes_coalescing(formula) {
        let message = format!(
            "spec.advanced.scalingModifiers.formula: {formula:?} mixes ?? with another operator, which KEDA refuses; put brackets around one, like peak ?? (sqs / 5)"
        );
        findings.error(place("formula"), message);
    }
}

fn review_target(modifiers: &Node, place: Place, findings: &mut Findings) {
    let key = "spec.advanced.scalingModifiers.target";
    let Some(target) = modifiers.get("target") else {
        findings.error(place, format!("{key}: is missing; write \"1\", as the formula gives workers"));
        return;
    };
    let text = target.text().unwrap_or_default();
    if target.integer().is_some() {
        findings.error(
            place,
            format!("{key}: {text} is not a string, and Kubernetes refuses it; write \"{text}\" in quotes"),
        );
    }
    match text.parse::<i64>() {
        Ok(1) => {}
        Ok(number) if number > 0 => {
            findings.warning(
                place,
                format!(
                    "{key}: {text:?} divides the formula by {number}, though it gives workers; write \"1\""
                ),
            );
        }
        _ => findings.error(
            place,
            format!(
                "{key}: {text:?} is not a whole number above 0, so KEDA's fallback does not work; write \"1\""
            ),
        ),
    }
}

fn review_names(subject: &Subject<'_>, formula: &str, place: Place, findings: &mut Findings) {
    let names: Vec<&str> =
        subject.triggers.iter().filter_map(|trigger| trigger.get("name")?.text()).collect();
    let tokens = tokens(formula);
    let used = variables(&tokens);
    for variable in used.iter().filter(|variable| !names.contains(*variable)) {
        let hint = nearest(variable, names.iter().copied())
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        let message = format!(
            "spec.advanced.scalingModifiers.formula: {variable:?} is not the name of a trigger{hint}"
        );
        findings.error(place, message);
    }
    for ours in &subject.ours {
        match (ours.name(), ours.advises()) {
            (None, false) => {
                let message = "name: is missing, so the formula cannot use peakscaler's number; write name: peak beside type";
                findings.error(ours.node.place, message);
            }
            (Some(name), false) if !used.contains(&name) => {
                let message = format!(
                    "spec.advanced.scalingModifiers.formula: does not use {name}, so peakscaler's number has no effect"
                );
                findings.warning(place, message);
            }
            (Some(name), true) if used.contains(&name) => {
                let message = format!(
                    "spec.advanced.scalingModifiers.formula: uses {name}, which is 0 in mode advise; leave it out of the formula"
                );
                findings.error(place, message);
            }
            _ => {}
        }
    }
}

/// A piece of a formula.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Number,
    Text,
    Symbol(&'a str),
}

/// Cuts a formula into words, numbers, texts and symbols.
fn tokens(formula: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = formula.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = next_token(first, rest);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

fn next_token(first: char, rest: &str) -> (Token<'_>, &str) {
    const PAIRS: [&str; 10] = ["??", "?.", "&&", "||", "==", "!=", "<=", ">=", "**", ".."];
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    if first.is_alphabetic() || matches!(first, '_' | '$') {
        let start = first.len_utf8();
        let length = rest[start..].find(|c| !inside(c)).map_or(rest.len(), |end| start + end);
        let (word, after) = rest.split_at(length);
        return (Token::Word(word), after);
    }
    if first.is_ascii_digit() {
        let length = rest.find(|c| !inside(c) && c != '.').unwrap_or(rest.len());
        return (Token::Number, &rest[length..]);
    }
    if matches!(first, '"' | '\'' | '`') {
        let length = rest[1..].find(first).map_or(rest.len(), |end| end + 2);
        return (Token::Text, &rest[length..]);
    }
    let pair = PAIRS.iter().any(|pair| rest.starts_with(pair));
    let (symbol, after) = rest.split_at(if pair { 2 } else { first.len_utf8() });
    (Token::Symbol(symbol), after)
}

/// The words that must be names of triggers: no functions, fields or words of the language.
fn variables<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut declared = Vec::new();
    let mut found = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let before = position.checked_sub(1).and_then(|before| tokens.get(before));
        let is_call = tokens.get(position + 1) == Some(&Token::Symbol("("));
        let is_field = matches!(before, Some(Token::Symbol("." | "?.")));
        if before == Some(&Token::Word("let")) {
            declared.push(*word);
        }
        let known =
            WORDS.contains(word) || declared.contains(word) || word.starts_with('$') || found.contains(word);
        if !known && !is_call && !is_field {
            found.push(*word);
        }
    }
    found
}

/// Whether `??` stands beside another operator without brackets between them.
fn mixes_coalescing(formula: &str) -> bool {
    // One entry a bracket that is open: whether `??` has been seen, and whether another operator has.
    let mut levels = vec![(false, false)];
    for token in tokens(formula) {
        let Token::Symbol(symbol) = token else { continue };
        match symbol {
            "(" | "[" | "{" => levels.push((false, false)),
            ")" | "]" | "}" => {
                levels.pop();
            }
            "," | "?" | ":" | ";" => {
                levels.pop();
                levels.push((false, false));
            }
            "." | "?." | "#" | "=" => {}
            "??" => levels.last_mut().into_iter().for_each(|level| level.0 = true),
            _ => levels.last_mut().into_iter().for_each(|level| level.1 = true),
        }
        if levels.iter().any(|(coalesces, operates)| *coalesces && *operates) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_names_in_a_formula() {
        for (formula, expected) in [
            ("peak ?? (sqs / 5)", vec!["peak", "sqs"]),
            ("max(peak, sqs/5.0)", vec!["peak", "sqs"]),
            ("let half = sqs / 2; peak > 3 ? peak : half", vec!["sqs", "peak"]),
            ("trig_one == nil ? 1 : trig_one", vec!["trig_one"]),
            ("\"peak\" == 'sqs'", vec![]),
            ("ä_b + $env.x", vec!["ä_b"]),
        ] {
            assert_eq!(variables(&tokens(formula)), expected, "{formula}");
        }
    }

    #[test]
    fn wants_brackets_beside_coalescing() {
        for (formula, mixes) in [
            ("peak ?? sqs / 5", true),
            ("peak ?? (sqs / 5)", false),
            ("(peak ?? sqs) / 5", false),
            ("peak ?? sqs ?? 3", false),
            ("sqs / 5 ?? peak", true),
            ("max(peak ?? sqs, 3 + 1)", false),
            ("peak ?? sqs)", false),
        ] {
            assert_eq!(mixes_coalescing(formula), mixes, "{formula}");
        }
    }
}
