//! One thing wrong with a trigger, in words that name the key, the value and what would be right.

use std::fmt;

/// Longest part of a value or key that a message repeats, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// Something wrong, or doubtful, with one metadata key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key as it was written, for example `queueURLFromEnv`.
    pub key: String,
    /// The value that came; `None` where the key itself is the matter.
    pub value: Option<String>,
    /// What is wrong and what would be right; reads on after key and value.
    pub message: String,
}

impl Problem {
    /// A problem with a value.
    pub(crate) fn of_value(key: &str, value: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), value: Some(value.to_owned()), message: message.into() }
    }

    /// A problem with a key that is missing, unknown or out of place.
    pub(crate) fn of_key(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), value: None, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both come from outside: escaped, so that they cannot forge a line of a log.
        write!(formatter, "{}: ", shortened(&self.key).escape_debug())?;
        if let Some(value) = &self.value {
            write!(formatter, "{:?} ", shortened(value))?;
        }
        formatter.write_str(&self.message)
    }
}

/// Several problems as one line, for a gRPC status or an error of the command line.
pub fn in_one_line(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; and ")
}

/// Mistakes in the entries of one value, as the end of a message that starts with the value.
pub(crate) fn list_wrong(value: &str, wrong: Vec<(&str, String)>) -> String {
    match <[(&str, String); 1]>::try_from(wrong) {
        // With a single entry the value itself says which.
        Ok([(entry, message)]) if entry.trim() == value.trim() => message,
        Ok([(entry, message)]) => format!("is wrong: {:?} {message}", shortened(entry)),
        Err(wrong) => {
            let each: Vec<String> = wrong
                .into_iter()
                .map(|(entry, message)| format!("{:?} {message}", shortened(entry)))
                .collect();
            format!("is wrong: {}", each.join(", and "))
        }
    }
}

/// As much of a text as a message repeats.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
