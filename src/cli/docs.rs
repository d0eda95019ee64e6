//! `peakscaler docs`: documents that are generated from the code, on standard output.

use std::io::Write as _;
use std::process::ExitCode;

use clap::ValueEnum;

use super::report::fields::render_report_docs;
use crate::replay::scenario::docs::render_scenario_docs;
use crate::telemetry::catalogue::render_metrics_docs;
use crate::trigger::docs::render_metadata_docs;

/// Arguments of `peakscaler docs`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Args {
    /// Which document.
    document: Document,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// The scaler metadata: docs/metadata.md.
    Metadata,
    /// What `/metrics` serves: docs/metrics.md.
    Metrics,
    /// What a scenario file may hold: docs/scenarios.md.
    Scenarios,
    /// What `backtest` and `plan` write with `--output json`: docs/reports.md.
    Reports,
    /// The custom resource: manifests/peakcalendar.yaml.
    PeakCalendar,
}

/// Prints the document.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let text = match args.document {
        Document::Metadata => render_metadata_docs(),
        Document::Metrics => render_metrics_docs(),
        Document::Scenarios => render_scenario_docs(),
        Document::Reports => render_report_docs(),
        Document::PeakCalendar => crate::calendar::resource::manifest()?,
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
