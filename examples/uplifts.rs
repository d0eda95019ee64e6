//! A replayed Black Friday by what its operator had written down: a real series with a day of seven
//! times the ordinary, played with uplifts of 5, 7 and 10 and with none; prints a table.
//!
//! `cargo run --profile profiling --example uplifts`

use std::io::Write as _;

use peakscaler::core::demand::calendar::{CalendarSpec, PeakSpec};
use peakscaler::replay::policies::CorePolicy;
use peakscaler::replay::run::Cell;
use peakscaler::replay::scenario::{Goal, OrderSource, Scenario, Trace};

const SERIES: &str = include_str!("../data/grocery_baskets_hourly.csv");
/// A Friday five weeks before the series' own Thanksgiving.
const PEAK_DAY: &str = "2017-10-20";
const TIMES: f64 = 7.0;
const TARGET_WAITS_SECONDS: [f64; 2] = [300.0, 120.0];

fn main() -> anyhow::Result<()> {
    let path = std::env::temp_dir().join(format!("peakscaler-uplifts-{}.csv", std::process::id()));
    std::fs::File::create(&path)?.write_all(with_a_peak().as_bytes())?;
    println!(
        "| target wait | uplift written down | orders late | hours over work | peak replicas | p99 wait | node-hours |"
    );
    println!("|---|---|---|---|---|---|---|");
    for wait in TARGET_WAITS_SECONDS {
        for uplift in [None, Some(5.0), Some(7.0), Some(10.0)] {
            let cell = Cell::new(scenario(&path, wait, uplift))?;
            let score = cell.run(&mut CorePolicy::ours(&cell));
            println!(
                "| {wait:.0} s | {} | {} of {} | {:.3} | {} (least {:.0}) | {:.0} s | {:.0} |",
                uplift.map_or_else(|| "none".to_owned(), |times| times.to_string()),
                score.late,
                score.orders,
                score.hours_over_work(),
                score.peak_replicas,
                score.least_peak,
                score.wait_p99_seconds,
                score.node_hours,
            );
        }
    }
    std::fs::remove_file(&path)?;
    Ok(())
}

/// The series, its peak day multiplied.
fn with_a_peak() -> String {
    let line = |line: &str| match line.split_once(',') {
        Some((at, count)) if at.starts_with(PEAK_DAY) => {
            format!("{at},{}\n", count.trim().parse::<f64>().unwrap_or(0.0) * TIMES)
        }
        _ => format!("{line}\n"),
    };
    SERIES.lines().map(line).collect()
}

/// Four days around the peak day, after four weeks of history.
fn scenario(path: &std::path::Path, wait: f64, uplift: Option<f64>) -> Scenario {
    let peak = |uplift| PeakSpec {
        name: "Black Friday".to_owned(),
        from: PEAK_DAY.to_owned(),
        to: PEAK_DAY.to_owned(),
        uplift: Some(uplift),
        ..PeakSpec::default()
    };
    let start =
        PEAK_DAY.parse::<jiff::civil::Date>().map(|day| day.saturating_sub(jiff::Span::new().days(2)));
    let start = start.unwrap_or_default();
    let trace = Trace {
        path: path.to_owned(),
        from: Some(start),
        median_day_orders: Some(30_000.0),
        dispersion: 1.5,
        smooth: true,
    };
    Scenario {
        name: "uplifts".to_owned(),
        start,
        days: 4,
        warm_up_days: 1,
        history_days: 28,
        time_zone: "America/New_York".to_owned(),
        calendar: CalendarSpec { peaks: uplift.map(peak).into_iter().collect(), ..CalendarSpec::default() },
        orders: OrderSource::Trace(trace),
        goal: Goal { target_wait_seconds: Some(wait), ..Goal::default() },
        ..Scenario::default()
    }
}
