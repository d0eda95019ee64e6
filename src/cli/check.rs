//! `peakscaler check FILE...`: reviews ScaledObject YAML offline.
//!
//! Exit code 0 without errors (warnings may be there), 1 with errors, 2 when a file cannot be read.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use crate::trigger::review::{Finding, Severity, review};

/// Arguments of `peakscaler check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// YAML files with a ScaledObject or more; `-` reads standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are printed; `github` prints workflow commands, which annotate a pull request.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
    Github,
}

/// What came of one file.
struct Reviewed {
    file: String,
    outcome: Result<Vec<Finding>, String>,
}

/// Reviews the files and prints what was found.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { files, output } = args;
    let reviewed: Vec<Reviewed> = files.into_iter().map(|path| review_file(&path)).collect();
    let mut out = std::io::stdout().lock();
    match output {
        Output::Text => print_text(&reviewed, &mut out)?,
        Output::Json => print_json(&reviewed, &mut out)?,
        Output::Github => print_github(&reviewed, &mut out)?,
    }
    out.flush()?;
    if reviewed.iter().any(|file| file.outcome.is_err()) {
        return Ok(ExitCode::from(2));
    }
    Ok(if count(&reviewed, Severity::Error) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn review_file(path: &Path) -> Reviewed {
    let is_stdin = path.as_os_str() == "-";
    let text = if is_stdin {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    Reviewed {
        file: if is_stdin { "<stdin>".to_owned() } else { path.display().to_string() },
        outcome: text.map(|text| review(&text)).map_err(|error| format!("cannot be read: {error}")),
    }
}

fn findings(reviewed: &[Reviewed]) -> impl Iterator<Item = (&str, &Finding)> {
    reviewed
        .iter()
        .flat_map(|file| file.outcome.iter().flatten().map(|finding| (file.file.as_str(), finding)))
}

fn unreadable(reviewed: &[Reviewed]) -> impl Iterator<Item = (&str, &str)> {
    reviewed.iter().filter_map(|file| Some((file.file.as_str(), file.outcome.as_ref().err()?.as_str())))
}

fn count(reviewed: &[Reviewed], severity: Severity) -> usize {
    findings(reviewed).filter(|(_, finding)| finding.severity == severity).count()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    }
}

fn print_text(reviewed: &[Reviewed], out: &mut impl Write) -> std::io::Result<()> {
    for (file, finding) in findings(reviewed) {
        let Finding { line, column, severity, message, .. } = finding;
        writeln!(out, "{file}:{line}:{column}: {}: {message}", word(*severity))?;
    }
    for (file, reason) in unreadable(reviewed) {
        writeln!(out, "{file}: error: {reason}")?;
    }
    let number = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    writeln!(
        out,
        "{} checked: {}, {}, {}",
        number(reviewed.len(), "file"),
        number(count(reviewed, Severity::Error) + unreadable(reviewed).count(), "error"),
        number(count(reviewed, Severity::Warning), "warning"),
        number(count(reviewed, Severity::Notice), "notice"),
    )
}

#[derive(Serialize)]
struct Report<'a> {
    files: usize,
    errors: usize,
    warnings: usize,
    notices: usize,
    unreadable: Vec<UnreadableFile<'a>>,
    findings: Vec<FileFinding<'a>>,
}

#[derive(Serialize)]
struct UnreadableFile<'a> {
    file: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct FileFinding<'a> {
    file: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

fn print_json(reviewed: &[Reviewed], out: &mut impl Write) -> anyhow::Result<()> {
    let report = Report {
        files: reviewed.len(),
        errors: count(reviewed, Severity::Error),
        warnings: count(reviewed, Severity::Warning),
        notices: count(reviewed, Severity::Notice),
        unreadable: unreadable(reviewed).map(|(file, message)| UnreadableFile { file, message }).collect(),
        findings: findings(reviewed).map(|(file, finding)| FileFinding { file, finding }).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)?;
    Ok(())
}

/// Workflow commands, as GitHub's runner reads them from the log.
fn print_github(reviewed: &[Reviewed], out: &mut impl Write) -> std::io::Result<()> {
    for (file, finding) in findings(reviewed) {
        let Finding { line, column, severity, object, message } = finding;
        let title = if object.is_empty() { "peakscaler check" } else { object };
        writeln!(
            out,
            "::{} file={},line={line},col={column},title={}::{}",
            word(*severity),
            escape_property(file),
            escape_property(title),
            escape_data(message)
        )?;
    }
    for (file, reason) in unreadable(reviewed) {
        writeln!(
            out,
            "::error file={},title=peakscaler check::{}",
            escape_property(file),
            escape_data(reason)
        )?;
    }
    Ok(())
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}
