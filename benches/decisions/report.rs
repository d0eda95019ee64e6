//! The document: goals, a line a cell, then every policy in every cell.

use std::fmt::Write as _;
use std::time::Duration;

use peakscaler::replay::bootstrap;
use peakscaler::replay::score::Score;

use super::goals::{self, percent};
use super::run::{CellResult, Cost};

const INTRODUCTION: &str = "\
# Benchmark

Every policy in every cell of a simulated fulfilment centre, on the same orders and the same random numbers, behind the same HPA and the
same Karpenter. One frozen configuration of ours for all cells. `make bench-decisions` writes this file, its chart and
`target/decisions.json`. What the simulation leaves out: [adr/0002](adr/0002-simulator.md).

A cell is a regime (target wait: 900, 300 or 120 s; pods start in 30, 45, 45 s, nodes in 80, 100, 100 s; `cut-offs`: two hours, and carriers
at 14:00+45m and 17:30+30m) and what happens in it. `normal`: ordinary weeks of 30,000 orders a day with imports of some sixty at once.
`black-friday`: six times that, nobody told; `known-black-friday`: it is in the calendar. `flash-burst`: 4,000 orders in two bursts a day.
`slow-service`: 1.8 times the work from 13 to 17 h, every other day. `node-limit`: 1.3 times the least peak. `queue-noise`: counters with
20 % noise, 30 s late, six minutes of zero a day. `forecast-blackout`: no history, and six hours a day no arrivals and completions.
`slow-nodes`: twice the lead time told. `queue-blackout`: the queue can't be read for ten minutes at noon.

An order is late when its work begins after the target wait or ends after its carrier's dispatch. *h/work*: replica-hours over the hours of
work. *h/bound*, *nodes/oracle*: over the clairvoyant's relaxation, and over its whole nodes. *peak/least*: over the least constant fleet that
is in time (Yao, Demers, Shenker), told all orders beforehand: an import that nobody announced, of 300 and more at times, is seen after half
a minute, and met by pods of new nodes 160 s later; of a wait of 300 s that leaves 110, so who keeps no idle fleet needs 2.7 times as many
workers for it. *warned*: mean minutes from our warning to a miss. Brackets: 95 % by bootstrap over days.
`keda sqs frozen`: `queueLength` tuned on earlier ordinary weeks; peers that divide messages take that number too. `hindsight` and
`fixed fleet` were tuned on the very days scored. Surrogates stand for services whose model is not published.
";

/// The whole document.
pub(crate) fn markdown(cells: &[CellResult], cost: &Cost) -> String {
    let mut text = INTRODUCTION.to_owned();
    let minutes = |time: Duration| time.as_secs_f64() / 60.0;
    let processor =
        cost.processor.map_or(String::new(), |time| format!(" ({:.1} min of processor time)", minutes(time)));
    let runs: usize = cells.iter().map(|cell| cell.scores.len()).sum();
    let _ = writeln!(
        text,
        "\nThis run: {} cells, {runs} pairs of cell and policy, {} days in all cells, {:.1} min on {} threads{processor}.",
        cells.len(),
        cost.days,
        minutes(cost.elapsed),
        cost.threads
    );
    text.push_str("\n![late orders against cost](benchmark.svg)\n\n## Goals\n\n");
    let goals = goals::all(cells);
    let reached = goals.iter().filter(|goal| goal.reached).count();
    let _ = writeln!(text, "{reached} of {} reached.\n", goals.len());
    text.push_str("| figure | goal | found | |\n|---|---|---|---|\n");
    for goal in &goals {
        let word = if goal.reached { "reached" } else { "not reached" };
        let _ = writeln!(text, "| {} | {} | {} | {word} |", goal.what, goal.wanted, goal.found);
    }
    text.push_str("\n## Cells\n\nLate % at h/work. *Better than ours*: peers that are neither later nor dearer, those of hindsight included.\n\n");
    text.push_str("| cell | ours | best peer that could be run | better than ours |\n|---|---|---|---|\n");
    for cell in cells {
        let lost: Vec<&str> = cell.lost_to().iter().map(|peer| peer.policy.as_str()).collect();
        let lost = if lost.is_empty() { "none".to_owned() } else { lost.join(", ") };
        let peer = cell.best_peer();
        let _ = writeln!(
            text,
            "| {} | {} | {}: {} | {lost} |",
            cell.name(),
            short(cell.ours()),
            peer.policy,
            short(peer)
        );
    }
    for cell in cells {
        table(&mut text, cell);
    }
    text
}

fn short(score: &Score) -> String {
    format!("{} at {:.3}", percent(score.late_share()), score.hours_over_work())
}

fn table(text: &mut String, cell: &CellResult) {
    let _ = writeln!(text, "\n## {}\n", cell.name());
    text.push_str(
        "| policy | late % | worst day in time % | wait p50 / p99 / max s | h/work | h/bound | nodes/oracle | peak/least | actions/day | killed | warned |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for score in &cell.scores {
        let (late, hours) = (bootstrap::late_share(score), bootstrap::hours_over_work(score));
        let _ = writeln!(
            text,
            "| {} | {} [{}, {}] | {} | {:.0} / {:.0} / {:.0} | {:.3} [{:.3}, {:.3}] | {:.3} | {:.2} | {:.2} | {:.0} | {} | {} |",
            score.policy,
            percent(score.late_share()),
            percent(late.low),
            percent(late.high),
            percent(score.worst_day()),
            score.wait_p50_seconds,
            score.wait_p99_seconds,
            score.wait_max_seconds,
            score.hours_over_work(),
            hours.low,
            hours.high,
            score.replica_hours / cell.bill.replica_hours_bound,
            score.node_hours / cell.bill.node_hours,
            score.peak_over_least,
            score.actions_per_day,
            score.killed,
            score.warning_minutes.map_or(String::new(), |minutes| format!("{minutes:.1}")),
        );
    }
    let work: f64 = cell.ours().work_hours;
    let bill = &cell.bill;
    let _ = writeln!(
        text,
        "\nOracle: 0 late, h/work {:.3} (whole replicas; bound {:.3}), nodes {:.2} of the bound.",
        bill.replica_hours / work,
        bill.replica_hours_bound / work,
        bill.node_hours / bill.node_hours_bound
    );
}
