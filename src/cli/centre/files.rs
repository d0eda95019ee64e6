//! Calendar and scenario out of their files, with the line of what is wrong.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::calendar::{LoadError, load_spec};
use crate::core::demand::calendar::CalendarSpec;
use crate::replay::run::Cell;
use crate::replay::scenario::{Scenario, ScenarioError};
use crate::trigger::yaml;

/// Loads `--calendar FILE` as it is written.
pub(in crate::cli) fn read_calendar(path: &Path) -> anyhow::Result<CalendarSpec> {
    load_spec(path).map_err(|error| match error {
        LoadError::Read { path, source } => anyhow!(source).context(format!("--calendar {}", path.display())),
        wrong @ LoadError::Wrong { .. } => wrong.into(),
    })
}

/// The scenario of `--scenario FILE`; each contradiction with its line.
fn read_scenario(path: &Path) -> anyhow::Result<Scenario> {
    Scenario::load(path).or_else(|error| match error {
        ScenarioError::Read { path, source } => {
            Err(source).with_context(|| format!("--scenario {}", path.display()))
        }
        ScenarioError::Invalid { problems, .. } => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            Err(anyhow!(in_lines(path, &text, &problems)))
        }
        other @ (ScenarioError::Parse { .. } | ScenarioError::Orders { .. }) => Err(other.into()),
    })
}

/// The scenario with its orders; those of a recorded series come out of a file of their own.
pub(in crate::cli) fn read_cell(path: &Path) -> anyhow::Result<Cell> {
    Cell::new(read_scenario(path)?).map_err(|error| match error {
        ScenarioError::Orders { source, .. } => anyhow!("{}: orders.trace: {source}", path.display()),
        other
        @ (ScenarioError::Read { .. } | ScenarioError::Parse { .. } | ScenarioError::Invalid { .. }) => {
            other.into()
        }
    })
}

fn in_lines(path: &Path, text: &str, problems: &[String]) -> String {
    let (documents, _) = yaml::parse(text);
    let mut lines = String::new();
    for problem in problems {
        let field = problem.split(':').next().unwrap_or_default();
        let line = documents.first().map_or(1, |root| root.place_at(field).line);
        let separator = if lines.is_empty() { "" } else { "\n" };
        let _ = write!(lines, "{separator}{}:{line}: {problem}", path.display());
    }
    lines
}
