//! The command line: one file a subcommand.

mod backtest;
pub mod calendar;
mod centre;
pub mod check;
mod coordinate;
mod decide;
mod demo;
pub mod docs;
mod explain;
pub mod forecast;
pub mod history;
mod plan;
mod replay;
mod report;
pub mod serve;
mod sources;

use std::process::ExitCode;

/// Tells KEDA how many order workers a fulfilment centre needs, when, and why.
#[derive(Debug, clap::Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Answer KEDA: the external scaler itself.
    Serve(Box<serve::ServeArguments>),
    /// Retell the last decision for a workload, and why it was taken.
    Explain(explain::ExplainArguments),
    /// Validate ScaledObject YAML offline.
    Check(check::Args),
    /// Write a generated document to standard output.
    Docs(docs::Args),
    /// Show the main job with no account and no cluster: a simulated centre, scaled in fast motion.
    Demo(demo::DemoArguments),
    /// Decide line by line: observations in on standard input, decisions out on standard output (docs/decide.md).
    Decide(decide::DecideArguments),
    /// Foresee the orders of the hours ahead from a history, and score such forecasts.
    Forecast(forecast::Args),
    /// Show, take out and put in what is kept of past orders.
    History(history::Args),
    /// Check a calendar of known peaks, and preview what it does to a history.
    Calendar(calendar::Args),
    /// Live through past days, or scenarios, again: the settings in force beside peakscaler.
    Backtest(Box<backtest::BacktestArguments>),
    /// Plan a day ahead: pods, nodes, and the cut-offs that fail within the limits; exit code 2 when one does.
    Plan(Box<plan::PlanArguments>),
    /// Take recorded decisions again with this binary, or under other settings, and say what differs and why.
    Replay(replay::ReplayArguments),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Whatever ends it; the message is for a person.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(arguments) => serve::run(&arguments),
            Command::Explain(arguments) => explain::run(&arguments),
            Command::Check(arguments) => check::run(arguments),
            Command::Docs(arguments) => docs::run(arguments),
            Command::Demo(arguments) => demo::run(&arguments),
            Command::Decide(arguments) => decide::run(&arguments),
            Command::Forecast(arguments) => forecast::run(arguments),
            Command::History(arguments) => history::run(arguments),
            Command::Calendar(arguments) => calendar::run(arguments),
            Command::Backtest(arguments) => backtest::run(&arguments),
            Command::Plan(arguments) => plan::run(&arguments),
            Command::Replay(arguments) => replay::run(&arguments),
        }
    }
}

/// A runtime for subcommands that wait for the network.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    use anyhow::Context as _;
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")
}

/// A whole number within bounds, for flags.
fn whole(least: u32, most: u32) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| match most {
            u32::MAX => format!("{text:?} is not a whole number of {least} or above"),
            _ => format!("{text:?} is not a whole number from {least} to {most}"),
        })
    }
}

/// An error and its causes, those left out whose words it has already.
pub fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        if text.is_empty() {
            cause
        } else if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}
