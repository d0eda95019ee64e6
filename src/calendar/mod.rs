//! Calendars out of YAML files: a `PeakCalendar`, or its `spec` alone, with the line of everything
//! that is wrong; which of them are in force ([`live`]); and as a custom resource ([`resource`]) that is
//! watched in the cluster ([`cluster`]).

pub mod cluster;
pub mod live;
pub mod resource;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::core::demand::calendar::{API_VERSION, Calendar, CalendarSpec, KIND, PeakCalendar, Problem};
use crate::trigger::yaml::{self, Node, Place};

/// Something wrong at a place of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// What came and what would be right, beginning with the key where there is one.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Why a file gives no calendar.
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
    /// It says something wrong.
    #[error("{}", in_lines(.path, .findings))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Everything wrong.
        findings: Vec<Finding>,
    },
}

fn in_lines(path: &Path, findings: &[Finding]) -> String {
    let lines = findings.iter().map(|finding| format!("{}:{finding}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Loads a calendar.
///
/// # Errors
/// When the file cannot be read, or everything that is wrong with it.
pub fn load(path: &Path) -> Result<Calendar, LoadError> {
    load_both(path).map(|(calendar, _)| calendar)
}

/// Loads a calendar, and the same as it is written.
///
/// # Errors
/// As [`load`].
pub fn load_both(path: &Path) -> Result<(Calendar, CalendarSpec), LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    parse_both(&text).map_err(|findings| LoadError::Wrong { path: path.to_owned(), findings })
}

/// Loads a calendar as it is written, once it was checked. Times without a zone are in `UTC`, as ever.
///
/// # Errors
/// As [`load`].
pub fn load_spec(path: &Path) -> Result<CalendarSpec, LoadError> {
    let (_, mut spec) = load_both(path)?;
    spec.time_zone.get_or_insert_with(|| "UTC".to_owned());
    Ok(spec)
}

/// Reads a calendar out of text; an empty text is an empty calendar.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str) -> Result<Calendar, Vec<Finding>> {
    parse_both(text).map(|(calendar, _)| calendar)
}

fn parse_both(text: &str) -> Result<(Calendar, CalendarSpec), Vec<Finding>> {
    let (documents, error) = yaml::parse(text);
    if let Some(error) = error {
        return Err(vec![finding(error.place, error.message)]);
    }
    let document = match documents.as_slice() {
        [document] if !document.is_null() => document,
        [] | [_] => return Ok((Calendar::default(), CalendarSpec::default())),
        [_, second, ..] => {
            let message = "is a second document; a calendar is one, so join the two or make two files";
            return Err(vec![finding(second.place, message.to_owned())]);
        }
    };
    let enveloped = ["spec", "kind", "apiVersion"].iter().any(|key| document.get(key).is_some());
    let mut findings = Vec::new();
    let (spec, base): (CalendarSpec, &[&str]) = if enveloped {
        let calendar: PeakCalendar = read(text)?;
        for (key, value, right) in
            [("apiVersion", calendar.api_version, API_VERSION), ("kind", calendar.kind, KIND)]
        {
            if let Some(value) = value.filter(|value| value != right) {
                let place = document.place_of(&[key]);
                findings.push(finding(place, format!("{key}: is {value:?}, must be {right}")));
            }
        }
        (calendar.spec, &["spec"])
    } else {
        (read(text)?, &[])
    };
    match Calendar::new(&spec) {
        Ok(calendar) if findings.is_empty() => Ok((calendar, spec)),
        Ok(_) => Err(findings),
        Err(problems) => {
            let root = document.path(base).unwrap_or(document);
            findings.extend(problems.iter().map(|problem| placed(root, problem)));
            Err(findings)
        }
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Finding>> {
    yaml::read(text).map_err(|error| vec![finding(error.place, error.message)])
}

fn finding(place: Place, message: String) -> Finding {
    Finding { line: place.line, column: place.column, message }
}

/// The place of a problem's path.
fn placed(root: &Node, problem: &Problem) -> Finding {
    finding(root.place_at(&problem.path), problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_an_envelope_and_a_bare_document() {
        let bare =
            "timeZone: Europe/Prague\npeaks:\n- {name: a, from: 2026-11-27, to: 2026-11-27, uplift: 5}\n";
        let indented = format!("  {}\n", bare.trim_end().replace('\n', "\n  "));
        let head = "apiVersion: peakscaler.io/v1alpha1\nkind: PeakCalendar\nmetadata:\n  name: x\n  labels: {a: b}\n";
        let one = parse(bare).unwrap();
        assert!(!one.is_empty());
        assert_eq!(parse(&format!("{head}spec:\n{indented}")).unwrap(), one);
        assert_eq!(parse(&format!("spec:\n{indented}")).unwrap(), one);
        for empty in ["", "# nothing yet\n", "---\n", "spec: {}\n", "peaks: []\n"] {
            assert!(parse(empty).unwrap().is_empty(), "{empty}");
        }
    }

    #[test]
    fn everything_wrong_has_its_line() {
        let text = "kind: Calendar\nspec:\n  timeZone: Prague\n  peaks:\n  - name: a\n    from: 2026-11-27\n    to: 2026-11-26\n    \
                    uplift: -5\n  closures:\n  - {name: b, from: soon, to: 2026-12-25, confidence: 2}\n  cutOffs:\n  - carrier: DPD\n    date: 2026-12-24\n";
        let findings = parse(text).unwrap_err();
        let lines: Vec<(usize, &str)> = findings
            .iter()
            .map(|finding| (finding.line, finding.message.split(':').next().unwrap()))
            .collect();
        let expected = [
            (1, "kind"),
            (3, "timeZone"),
            (7, "peaks[0].to"),
            (8, "peaks[0].uplift"),
            (10, "closures[0].confidence"),
            (10, "closures[0].from"),
            (12, "cutOffs[0].at"),
        ];
        assert_eq!(lines, expected, "{findings:#?}");
    }

    #[test]
    fn what_is_not_a_calendar_is_refused_with_its_line() {
        for (text, line, part) in [
            ("peaks:\n- name: a\n  upliftt: 5\n", 3, "upliftt"),
            ("holidays: 5\n", 1, "sequence"),
            ("a: [\n", 1, "YAML"),
            ("spec: {}\n---\nspec: {}\n", 3, "second document"),
            (
                "spec:\n  peaks:\n  - {name: a, from: 2026-11-27, to: 2026-11-27, uplift: many}\n",
                3,
                "spec.peaks[0].uplift: is \"many\", must be a number such as 2.5",
            ),
            ("publicHolidays:\n- {country: }\n", 2, "publicHolidays[0].country: is empty"),
        ] {
            let findings = parse(text).unwrap_err();
            assert!(findings[0].message.contains(part), "{part}: {findings:?}");
            assert!(findings[0].line.abs_diff(line) <= 1, "{line}: {findings:?}");
        }
    }

    #[test]
    fn the_example_of_the_documentation_is_a_calendar() {
        let page = include_str!("../../docs/calendar.md");
        let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let calendar = parse(example).unwrap();
        assert_eq!(calendar.entries().count(), 6);
        let year = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 56);
        let next = year + jiff::SignedDuration::from_hours(24 * 365);
        assert_eq!(calendar.public_holidays(year, next).len(), 12);
        assert_eq!(calendar.cut_offs().len(), 2);
    }
}
