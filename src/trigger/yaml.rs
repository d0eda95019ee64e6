//! YAML as a tree in which every node knows its line, for messages that point at the place.
//!
//! Built from parser events and not by serde: the text of a number stays as it was written, and
//! a document with a mistake is still shown as far as it goes.

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

mod typed;

pub(crate) use typed::read;

/// Most nodes of one file, aliases written out: bounds what a small file can blow up to.
const MOST_NODES: usize = 100_000;

/// A place in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// What serde's readers say of YAML or JSON, without the place that it ends with, as places are told in
/// front; and types in plain words.
pub(crate) fn without_place(message: &str) -> &str {
    let is_place = |text: &str| {
        text.split([',', ' ']).all(|part| part == "column" || part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    // The two places of what an alias stands for.
    let mut words = message.split_once(" (defined at line ").map_or(message, |(words, _)| words);
    while let Some((before, _)) = words.rsplit_once(" at line ").filter(|(_, place)| is_place(place)) {
        words = before;
    }
    match words {
        "invalid u32" => "must be a whole number from 0 to 4294967295",
        "invalid u64" => "must be a whole number of 0 or above",
        "invalid floating point" => "must be a number such as 2.5",
        "invalid boolean" => "must be true or false",
        "expected mapping start" => "must be a mapping of keys to values",
        "expected sequence start" => "must be a list (a YAML sequence)",
        "expected string scalar" => "must be a text",
        "expected end of mapping after enum variant value" => "must have one key, not several",
        words => words,
    }
}

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Text, and whether YAML would read it as something other than a string.
    Scalar { text: String, is_string: bool },
    /// A list.
    Sequence(Vec<Node>),
    /// Pairs in the order of the file.
    Mapping(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// Not YAML, or YAML that Kubernetes would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}: {message}", .place.line)]
pub(crate) struct YamlError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

impl Node {
    /// The value under a key; a null counts as absent, as it does for Kubernetes.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Data::Mapping(pairs) = &self.data else { return None };
        pairs.iter().find(|(name, _)| name.text == key).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// The value under keys within keys.
    pub(crate) fn path(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The place of a path's last key; of the deepest one there is, where it does not go so far.
    pub(crate) fn place_of(&self, keys: &[&str]) -> Place {
        let mut node = self;
        let mut place = self.place;
        for key in keys {
            let Some((found, value)) = node.pairs().iter().find(|(name, _)| name.text == *key) else { break };
            place = found.place;
            node = value;
        }
        place
    }

    /// The place of a path such as `peaks[0].uplift`; of the deepest part of it that is written.
    pub(crate) fn place_at(&self, path: &str) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in path.split('.') {
            let (key, index) = match step.split_once('[') {
                Some((key, index)) => (key, index.trim_end_matches(']').parse::<usize>().ok()),
                None => (step, None),
            };
            let Some(value) = node.get(key) else { break };
            place = node.place_of(&[key]);
            node = value;
            if let Some(item) = index.and_then(|index| node.items().get(index)) {
                place = item.place;
                node = item;
            }
        }
        place
    }

    /// A scalar's text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } => Some(text),
            Data::Sequence(_) | Data::Mapping(_) => None,
        }
    }

    /// A whole number that is written as one.
    pub(crate) fn integer(&self) -> Option<i64> {
        match &self.data {
            Data::Scalar { text, is_string: false } => text.parse().ok(),
            Data::Scalar { .. } | Data::Sequence(_) | Data::Mapping(_) => None,
        }
    }

    /// What is to be said of a whole number of `least` or more that is written as a text, where a number must stand.
    pub(crate) fn quoted_number(&self, least: i64) -> Option<String> {
        match &self.data {
            Data::Scalar { text, is_string: true }
                if text.parse::<i64>().is_ok_and(|number| number >= least) =>
            {
                Some(format!(
                    "{text:?} is text in quotes, and Kubernetes refuses it; write {text} without quotes"
                ))
            }
            Data::Scalar { .. } | Data::Sequence(_) | Data::Mapping(_) => None,
        }
    }

    /// A list's items; none for anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.data {
            Data::Sequence(items) => items,
            Data::Scalar { .. } | Data::Mapping(_) => &[],
        }
    }

    /// A mapping's pairs; none for anything else.
    pub(crate) fn pairs(&self) -> &[(Key, Node)] {
        match &self.data {
            Data::Mapping(pairs) => pairs,
            Data::Scalar { .. } | Data::Sequence(_) => &[],
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, is_string: false } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn size(&self) -> usize {
        match &self.data {
            Data::Scalar { .. } => 1,
            Data::Sequence(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Data::Mapping(pairs) => 1 + pairs.iter().map(|(_, node)| 1 + node.size()).sum::<usize>(),
        }
    }
}

/// All documents of a file. With an error come the documents before it.
pub(crate) fn parse(text: &str) -> (Vec<Node>, Option<YamlError>) {
    let mut builder = Builder::default();
    for next in Parser::new_from_str(text) {
        let result = match next {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let place = Place { line: error.marker().line(), column: error.marker().col() + 1 };
                Err(YamlError { place, message: format!("is not YAML: {}", error.info()) })
            }
        };
        if let Err(error) = result {
            return (builder.documents, Some(error));
        }
    }
    (builder.documents, None)
}

/// A collection that is still open.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { pairs: Vec<(Key, Node)>, key: Option<Key>, seen: HashSet<String> },
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let place = Place { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_string = style != ScalarStyle::Plain
                    || tag.is_some_and(|tag| tag.suffix() == "str")
                    || plain_is_string(&text);
                let data = Data::Scalar { text: text.into_owned(), is_string };
                self.put(Node { place, data }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open { place, anchor, content: Content::Sequence(Vec::new()) });
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                let content = Content::Mapping { pairs: Vec::new(), key: None, seen: HashSet::new() };
                self.open.push(Open { place, anchor, content });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(YamlError {
                        place,
                        message: "is an alias of something that is not complete".to_owned(),
                    });
                };
                // The place of use is what a reader looks for.
                let node = Node { place, data: node.data.clone() };
                self.nodes += node.size();
                self.put(node, 0)
            }
            // No data, and what a later parser may add is none either.
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | Event::Comment(..)
            | _ => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let data = match open.content {
            Content::Sequence(items) => Data::Sequence(items),
            Content::Mapping { pairs, .. } => Data::Mapping(merge(pairs)),
        };
        self.put(Node { place: open.place, data }, open.anchor)
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(YamlError {
                place: node.place,
                message: format!("makes more than {MOST_NODES} nodes of YAML"),
            });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.documents.push(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { pairs, key, seen }) => {
                if let Some(key) = key.take() {
                    pairs.push((key, node));
                    return Ok(());
                }
                let Some(text) = node.text().map(str::to_owned) else {
                    return Err(YamlError {
                        place: node.place,
                        message: "is a key that is not a text".to_owned(),
                    });
                };
                if !seen.insert(text.clone()) && text != "<<" {
                    let message = format!("{text}: is written twice in one mapping; keep one");
                    return Err(YamlError { place: node.place, message });
                }
                *key = Some(Key { place: node.place, text });
            }
        }
        Ok(())
    }
}

/// Writes out `<<`: keys beside it win over keys of what it brings in.
fn merge(pairs: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
    let (merges, mut pairs): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| key.text == "<<");
    for (_, source) in merges {
        let sources = if source.items().is_empty() { std::slice::from_ref(&source) } else { source.items() };
        for (key, node) in sources.iter().flat_map(Node::pairs) {
            if !pairs.iter().any(|(own, _)| own.text == key.text) {
                pairs.push((key.clone(), node.clone()));
            }
        }
    }
    pairs
}

/// Whether Kubernetes' YAML reader takes a plain scalar as a string. It still knows `yes` and `off`.
fn plain_is_string(text: &str) -> bool {
    const WORDS: [&str; 13] =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"];
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['-', '+']).unwrap_or(&lower);
    if WORDS.contains(&unsigned) {
        return false;
    }
    let base = |prefix: &str, radix: u32| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.replace('_', "").parse::<f64>().is_ok();
    !(number || base("0x", 16) || base("0o", 8) || base("0b", 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_line_of_everything() {
        let (documents, error) = parse("a: 1\nb:\n  - c: x\n    d: \"2\"\n---\ne: f\n");
        assert_eq!(error, None);
        assert_eq!(documents.len(), 2);
        let item = &documents[0].get("b").unwrap().items()[0];
        assert_eq!(item.get("d").unwrap().place, Place { line: 4, column: 8 });
        assert_eq!(documents[1].get("e").unwrap().place.line, 6);
    }

    #[test]
    fn tells_strings_from_the_rest() {
        for (text, is_string) in [
            ("5m", true),
            ("5", false),
            ("'5'", true),
            ("1e3", false),
            ("0x1F", false),
            ("true", false),
            ("on", false),
            ("14:00", true),
            ("1.2.3", true),
            ("!!str 5", true),
            ("nan", true),
            ("infinity", true),
            ("-5", false),
        ] {
            let (documents, _) = parse(&format!("key: {text}"));
            let Data::Scalar { is_string: found, .. } = documents[0].get("key").unwrap().data else {
                panic!("{text}")
            };
            assert_eq!(found, is_string, "{text}");
        }
    }

    #[test]
    fn follows_anchors_and_merges() {
        let (documents, error) = parse("base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\n");
        assert_eq!(error, None);
        let used = documents[0].get("use").unwrap();
        assert_eq!(used.get("a").unwrap().text(), Some("1"));
        assert_eq!(used.get("b").unwrap().text(), Some("3"));
    }

    #[test]
    fn says_where_it_breaks() {
        let (_, error) = parse("a: 1\na: 2\n");
        assert_eq!(error.unwrap().place.line, 2);
        let (documents, error) = parse("a: 1\n---\nb: [1\n");
        assert_eq!(documents.len(), 1);
        assert!(error.unwrap().message.contains("is not YAML"));
    }

    #[test]
    fn bounds_what_aliases_blow_up_to() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            text += &[
                "a",
                &level.to_string(),
                ": &a",
                &level.to_string(),
                " [",
                before.trim_end_matches(", "),
                "]\n",
            ]
            .concat();
        }
        assert!(parse(&text).1.unwrap().message.contains("nodes"));
    }
}
