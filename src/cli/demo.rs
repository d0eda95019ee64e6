//! `peakscaler demo`: the main job with no account and no cluster.

use std::process::ExitCode;

use clap::ValueEnum;

use crate::demo::day::{Day, Stretch};
use crate::demo::run::{Plan, live};
use crate::demo::score;

/// Arguments of `peakscaler demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArguments {
    /// How many times as fast as real time the day passes (1 to 1000)
    #[arg(long, default_value_t = 60.0, allow_negative_numbers = true, value_parser = speed)]
    speed: f64,
    /// Which day is played
    #[arg(long, value_enum, default_value_t = Day::BlackFriday)]
    scenario: Day,
    /// Simulated hours to play; until midnight when not given
    #[arg(long, value_parser = hours)]
    hours: Option<f64>,
    /// Hour of the day to begin at; a lively one when not given, 0 with --fast
    #[arg(long, value_name = "HOUR", value_parser = clap::value_parser!(u32).range(0..24))]
    start_hour: Option<u32>,
    /// What orders, pods and nodes are drawn from; the scenario file's own when not given
    #[arg(long)]
    seed: Option<u64>,
    /// Port of the live page on 127.0.0.1; 0 for a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How the score is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Without server and page: play the day in the simulator as fast as it goes, print the score
    #[arg(long, conflicts_with_all = ["speed", "port"], visible_alias = "no-server")]
    fast: bool,
}

/// How the score is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table.
    Text,
    /// One JSON object.
    Json,
}

/// Runs the demo.
///
/// # Errors
/// When a port is taken or a part of the demo cannot start.
pub(super) fn run(args: &DemoArguments) -> anyhow::Result<ExitCode> {
    let start_hour = args.start_hour.unwrap_or(if args.fast { 0 } else { args.scenario.lively_hour() });
    let stretch = Stretch::new(start_hour, args.hours);
    let score = if args.fast {
        score::play(args.scenario, args.seed, stretch)?
    } else {
        let plan = Plan { day: args.scenario, seed: args.seed, stretch, speed: args.speed, port: args.port };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let score = runtime.block_on(live(plan));
        // A search that nobody waits for any more must not keep the process.
        runtime.shutdown_background();
        score?
    };
    match args.output {
        Output::Text => println!("{score}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&score)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn speed(text: &str) -> Result<f64, String> {
    between(text, 1.0, 1_000.0, "simulated seconds a second")
}

fn hours(text: &str) -> Result<f64, String> {
    between(text, 1.0 / 60.0, 24.0, "hours")
}

fn between(text: &str, least: f64, most: f64, what: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of {what}"))?;
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(format!("{text} is not between {least:.3} and {most:.0} {what}").replace(".000", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_say_the_range() {
        assert_eq!(speed("60"), Ok(60.0));
        assert_eq!(speed("0").unwrap_err(), "0 is not between 1 and 1000 simulated seconds a second");
        assert_eq!(speed("fast").unwrap_err(), "\"fast\" is not a number of simulated seconds a second");
        assert!(speed("NaN").is_err());
        assert!(hours("25").unwrap_err().contains("hours"));
    }
}
