//! Reports as one HTML file: no script, no other file, light and dark, and on paper.

pub(super) mod chart;
pub(super) mod fields;
pub(super) mod page;
pub(super) mod words;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;

use super::forecast::say;

/// How a report is told.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArguments {
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Write a report with charts to this file as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

impl ReportArguments {
    /// Prints a report as text or JSON, and writes its page where one is wanted.
    pub(super) fn tell<R: Serialize>(
        &self,
        report: &R,
        text: impl FnOnce(&R) -> String,
        page: impl FnOnce(&R) -> String,
    ) -> anyhow::Result<()> {
        match self.output {
            Output::Table => say(&text(report))?,
            Output::Json => say(&serde_json::to_string_pretty(report)?)?,
        }
        if let Some(path) = &self.html {
            std::fs::write(path, page(report)).with_context(|| format!("--html {}", path.display()))?;
        }
        Ok(())
    }
}
