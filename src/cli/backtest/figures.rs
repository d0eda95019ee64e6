//! What came of a backtest, as a table, as JSON, and in a sentence for who has to decide.

use std::fmt::Write as _;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;

use super::contest::Contest;
use crate::cli::centre::Assumption;
use crate::cli::forecast::new_compact_table;
use crate::cli::report::words::{counted, decimal, grouped, percent, signed, span};
use crate::replay::run::Cell;
use crate::replay::scenario::Scenario;
use crate::replay::score::Score;
use crate::replay::trail::Trail;
use crate::replay::units::count;

/// Differences of less than this share are no difference: other seeds move a figure as much.
const NOISE_SHARE: f64 = 0.01;
/// So many late orders more or less are chance, while they are fewer ...
const CHANCE_ORDERS: u32 = 10;
/// ... than this share of all, too.
const CHANCE_SHARE: f64 = 0.0001;

/// All contests.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Report {
    /// Always `backtest`.
    pub(in crate::cli) command: &'static str,
    /// Version of the binary.
    pub(in crate::cli) version: &'static str,
    /// One for the history, or one for each scenario.
    pub(in crate::cli) contests: Vec<ContestReport>,
}

/// The same days under several settings.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct ContestReport {
    /// History and ScaledObject, or the scenario's name.
    pub(in crate::cli) title: String,
    /// First day scored.
    pub(in crate::cli) from: Date,
    /// Days scored.
    pub(in crate::cli) days: u32,
    /// Zone of the days, an IANA name.
    pub(in crate::cli) time_zone: String,
    /// All that came on these days. A run's score leaves out the last ones, which were due after the end.
    pub(in crate::cli) orders: u32,
    /// What moments, work, lead times and noise were drawn from.
    pub(in crate::cli) seed: u64,
    /// What the figures rest on; empty of a scenario, whose file says it.
    pub(in crate::cli) assumptions: Vec<Assumption>,
    /// What was understood in one way of several, and what to know of the figures.
    pub(in crate::cli) notes: Vec<String>,
    /// One for each setting, what is there now first.
    pub(in crate::cli) runs: Vec<RunReport>,
    /// One sentence for each run but the first, against the first.
    pub(in crate::cli) verdicts: Vec<String>,
}

/// One setting.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct RunReport {
    /// The setting.
    pub(in crate::cli) name: String,
    /// Least replicas that may be.
    pub(in crate::cli) min_replicas: u32,
    /// Most replicas that may be.
    pub(in crate::cli) max_replicas: u32,
    /// Late orders over orders scored.
    pub(in crate::cli) late_share: f64,
    /// The day with the greatest share of late orders; null where none was late.
    pub(in crate::cli) worst_day: Option<WorstDay>,
    /// Replica-hours over the hours of work in the orders.
    pub(in crate::cli) hours_over_work: f64,
    /// Node-hours times the price, where one was given.
    pub(in crate::cli) node_cost: Option<f64>,
    /// All figures.
    pub(in crate::cli) score: Score,
}

/// The day with the greatest share of late orders.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(in crate::cli) struct WorstDay {
    /// The day.
    pub(in crate::cli) date: Date,
    /// Orders scored.
    pub(in crate::cli) orders: u32,
    /// Of those, late.
    pub(in crate::cli) late: u32,
    /// Orders in time over orders.
    pub(in crate::cli) in_time_share: f64,
}

impl Report {
    pub(super) fn new(contests: &[Contest], trails: &[Vec<Trail>], price: Option<f64>) -> Self {
        let contests =
            contests.iter().zip(trails).map(|(contest, trails)| ContestReport::new(contest, trails, price));
        Self { command: "backtest", version: env!("CARGO_PKG_VERSION"), contests: contests.collect() }
    }

    pub(super) fn text(&self) -> String {
        self.contests.iter().map(ContestReport::text).collect::<Vec<_>>().join("\n\n")
    }
}

impl ContestReport {
    fn new(contest: &Contest, trails: &[Trail], price: Option<f64>) -> Self {
        let first = &contest.contestants[0].cell;
        let scenario = first.scenario();
        let from = scenario.start.saturating_add(jiff::Span::new().days(i64::from(scenario.warm_up_days)));
        let runs: Vec<RunReport> = contest
            .contestants
            .iter()
            .zip(trails)
            .map(|(one, trail)| {
                let (score, pods) = (trail.score.clone(), &one.cell.scenario().pods);
                RunReport {
                    name: one.name.clone(),
                    min_replicas: pods.min,
                    max_replicas: pods.max,
                    late_share: score.late_share(),
                    worst_day: worst_day(&score, from),
                    hours_over_work: score.hours_over_work(),
                    node_cost: price.map(|price| price * score.node_hours),
                    score,
                }
            })
            .collect();
        let verdicts = runs[1..].iter().map(|run| verdict(&runs[0], run)).collect();
        let mut notes = contest.notes.clone();
        let killed = runs.iter().map(|run| run.score.killed).max().unwrap_or(0);
        // what a scenario assumes stands in its file
        let key = if contest.assumptions.is_empty() { "service.grace_seconds" } else { "--grace" };
        notes.extend(about_killed_by(killed, scenario, key));
        let orders = orders_of(first);
        notes.extend(about_last(orders.saturating_sub(runs[0].score.orders)));
        Self {
            title: scenario.name.clone(),
            from,
            days: scenario.days - scenario.warm_up_days,
            time_zone: scenario.time_zone.clone(),
            orders,
            seed: scenario.seed,
            assumptions: contest.assumptions.clone(),
            notes,
            runs,
            verdicts,
        }
    }

    /// The measures with one value a run: the rows of the table, here and in the page.
    pub(super) fn rows(&self) -> Vec<(&'static str, Vec<String>)> {
        let row = |name, value: &dyn Fn(&RunReport) -> String| (name, self.runs.iter().map(value).collect());
        let mut rows = vec![
            row("late orders", &|run| format!("{} ({})", grouped(run.score.late), percent(run.late_share))),
            row("worst day", &|run| {
                run.worst_day.map_or_else(
                    || "none had a late order".to_owned(),
                    |day| {
                        format!(
                            "{}: {} late, {} in time",
                            day.date,
                            grouped(day.late),
                            percent(day.in_time_share)
                        )
                    },
                )
            }),
            row("wait, median", &|run| span(run.score.wait_p50_seconds)),
            row("wait, 99th percentile", &|run| span(run.score.wait_p99_seconds)),
            row("wait, longest", &|run| span(run.score.wait_max_seconds)),
            row("replica-hours", &|run| decimal(run.score.replica_hours, 1)),
            row("over the work in the orders", &|run| match run.score.orders {
                0 => "no orders".to_owned(),
                _ => format!("{:.3}", run.hours_over_work),
            }),
            row("node-hours", &|run| decimal(run.score.node_hours, 1)),
        ];
        if self.runs.iter().any(|run| run.node_cost.is_some()) {
            rows.push(row("cost of nodes", &|run| {
                run.node_cost.map_or_else(String::new, |cost| decimal(cost, 2))
            }));
        }
        rows.extend([
            row("scale actions a day", &|run| decimal(run.score.actions_per_day, 1)),
            row("peak replicas", &|run| {
                format!(
                    "{} (bounds {} to {})",
                    grouped(run.score.peak_replicas),
                    grouped(run.min_replicas),
                    grouped(run.max_replicas)
                )
            }),
            row("least peak that keeps all in time", &|run| decimal(run.score.least_peak.ceil(), 0)),
            row("orders taken from killed workers", &|run| grouped(run.score.killed)),
            row("times orders began to be late", &|run| grouped(run.score.misses)),
            row(
                "minutes of warning before that",
                &|run| match (run.score.misses, run.score.warning_minutes) {
                    (0, _) => "nothing to warn of".to_owned(),
                    (_, Some(minutes)) => format!("{minutes:.1} on average"),
                    (_, None) => "never warns".to_owned(),
                },
            ),
        ]);
        rows
    }

    /// The heading's second line.
    pub(super) fn subtitle(&self) -> String {
        format!(
            "{} from {} ({}), {} orders, seed {}",
            counted(self.days as usize, "day"),
            self.from.strftime("%a %Y-%m-%d"),
            self.time_zone,
            grouped(self.orders),
            self.seed
        )
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.title, self.subtitle());
        for Assumption { what, value, source } in &self.assumptions {
            let _ = writeln!(text, "  {what}: {value} ({source})");
        }
        for note in &self.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        let header: Vec<&str> =
            std::iter::once("").chain(self.runs.iter().map(|run| run.name.as_str())).collect();
        let mut table = new_compact_table(&header);
        for (name, values) in self.rows() {
            table.add_row(std::iter::once(name.to_owned()).chain(values));
        }
        let _ = write!(text, "{table}");
        for verdict in &self.verdicts {
            let _ = write!(text, "\n{verdict}");
        }
        text
    }
}

/// Orders that come on the days scored.
fn orders_of(cell: &Cell) -> u32 {
    let arrivals = &cell.orders().arrivals;
    count(arrivals.len() - arrivals.partition_point(|at| *at < cell.scenario().scored_from()))
}

/// Which orders are not judged.
fn about_last(orders: u32) -> Option<String> {
    (orders > 0).then(|| {
        let they_are = if orders == 1 { "order of the last day is" } else { "orders of the last day are" };
        format!("{} {they_are} due after its end, and so not judged", grouped(orders))
    })
}

/// What to do about orders that were taken from workers in the middle of their work.
pub(in crate::cli) fn about_killed(killed: u32, scenario: &Scenario) -> Option<String> {
    about_killed_by(killed, scenario, "--grace")
}

/// The same where `key` tells the grace.
fn about_killed_by(killed: u32, scenario: &Scenario, key: &str) -> Option<String> {
    let service = &scenario.service;
    let wish = 3.0 * service.mean_seconds;
    (killed > 0 && service.grace_seconds < wish).then(|| {
        format!(
            "{} {} taken from workers that were killed in the middle of their work, and began again later: terminationGracePeriodSeconds is {}, an order takes {} s on average; set it to {} (and tell it by {key})",
            grouped(killed),
            if killed == 1 { "order was" } else { "orders were" },
            decimal(service.grace_seconds, 0),
            decimal(service.mean_seconds, 0),
            decimal(wish.ceil(), 0)
        )
    })
}

fn worst_day(score: &Score, from: Date) -> Option<WorstDay> {
    let days = score.days.iter().zip(0_i64..).filter(|(day, _)| day.late > 0);
    let (day, index) = days.max_by(|(one, _), (other, _)| {
        // late / orders, without dividing
        let share = |a: u32, b: u32| u64::from(a) * u64::from(b);
        share(one.late, other.orders).cmp(&share(other.late, one.orders))
    })?;
    Some(WorstDay {
        date: from.saturating_add(jiff::Span::new().days(index)),
        orders: day.orders,
        late: day.late,
        in_time_share: 1.0 - f64::from(day.late) / f64::from(day.orders),
    })
}

/// What changes from `now` to `other`, and whether that is worth it.
fn verdict(now: &RunReport, other: &RunReport) -> String {
    let (late, late_now) = (other.score.late, now.score.late);
    let orders = match punctuality(now, other) {
        std::cmp::Ordering::Less => format!(
            "{} fewer late orders ({} against {})",
            grouped(late_now - late),
            grouped(late),
            grouped(late_now)
        ),
        std::cmp::Ordering::Greater => format!(
            "{} more late orders ({} against {})",
            grouped(late - late_now),
            grouped(late),
            grouped(late_now)
        ),
        std::cmp::Ordering::Equal if late == late_now => format!("as many late orders ({})", grouped(late)),
        std::cmp::Ordering::Equal => {
            format!("about as many late orders ({} against {})", grouped(late), grouped(late_now))
        }
    };
    let nodes = change(now.score.node_hours, other.score.node_hours);
    let money = match (now.node_cost, other.node_cost) {
        (Some(now), Some(other)) => format!(" (cost {})", signed(other - now)),
        _ => String::new(),
    };
    let node_words = format!("{} node-hours{money}", words_of(nodes));
    let hours =
        format!("{} replica-hours", words_of(change(now.score.replica_hours, other.score.replica_hours)));
    let actions = format!(
        "{} scale actions a day against {}",
        decimal(other.score.actions_per_day, 0),
        decimal(now.score.actions_per_day, 0)
    );
    // A name with a colon in it would part the sentence.
    let name = if other.name.contains(':') { format!("{:?}", other.name) } else { other.name.clone() };
    format!(
        "Under {name}, compared with \"{}\": {orders}, {node_words}, {hours}, {actions}. {}",
        now.name,
        advice(now, other, nodes)
    )
}

/// Whether `other` has more late orders than `now`, by more than chance.
pub(super) fn punctuality(now: &RunReport, other: &RunReport) -> std::cmp::Ordering {
    let (late, late_now) = (other.score.late, now.score.late);
    let apart = late.abs_diff(late_now);
    if apart < CHANCE_ORDERS && f64::from(apart) < CHANCE_SHARE * f64::from(now.score.orders) {
        return std::cmp::Ordering::Equal;
    }
    late.cmp(&late_now)
}

fn change(now: f64, other: f64) -> f64 {
    if now > 0.0 { other / now - 1.0 } else { 0.0 }
}

fn words_of(change: f64) -> String {
    let share = percent(change.abs());
    match change {
        small if small.abs() < NOISE_SHARE / 10.0 => "as many".to_owned(),
        less if less < 0.0 => format!("{share} fewer"),
        _ => format!("{share} more"),
    }
}

/// What a person who has to decide may take from the figures.
fn advice(now: &RunReport, other: &RunReport, nodes: f64) -> &'static str {
    let saves = nodes < -NOISE_SHARE;
    let costs = nodes > NOISE_SHARE;
    match (punctuality(now, other), saves, costs) {
        (std::cmp::Ordering::Less, _, false) => "Better on these days, and not dearer.",
        (std::cmp::Ordering::Less, _, true) => "Better on these days, for more nodes: weigh the two.",
        (std::cmp::Ordering::Equal, true, _) => "About as punctual on these days, and cheaper.",
        (std::cmp::Ordering::Equal, false, false) => {
            "No difference that counts on these days: what is there now does as well."
        }
        (std::cmp::Ordering::Equal, false, true) => {
            "Nothing gained on these days: what is there now is about as punctual and cheaper."
        }
        (std::cmp::Ordering::Greater, true, _) => "Cheaper on these days, but later: weigh the two.",
        (std::cmp::Ordering::Greater, false, _) => "Worse on these days: keep what is there now.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::policies::Fixed;

    /// A run of a small day, its figures as given.
    fn run(orders: u32, late: u32, node_hours: f64) -> RunReport {
        let scenario = Scenario::parse("days: 1\nwarm_up_days: 0\norders: {generator: {orders_per_day: 20}}");
        let mut score = Cell::new(scenario.unwrap()).unwrap().run(&mut Fixed::new(1));
        (score.orders, score.late, score.node_hours) = (orders, late, node_hours);
        RunReport {
            name: "one".to_owned(),
            min_replicas: 0,
            max_replicas: 9,
            late_share: score.late_share(),
            worst_day: None,
            hours_over_work: 1.0,
            node_cost: None,
            score,
        }
    }

    #[test]
    fn a_handful_of_late_orders_among_many_is_chance() {
        for (orders, now, other, nodes, words, advice) in [
            (87_495, 0, 1, 100.0, ": about as many late orders (1 against 0)", "No difference that counts"),
            (87_495, 5, 0, 80.0, ": about as many late orders (0 against 5)", "About as punctual"),
            (87_495, 3, 3, 120.0, ": as many late orders (3)", "Nothing gained"),
            (87_495, 0, 9, 100.0, ": 9 more late orders", "Worse on these days"),
            (900_000, 0, 10, 80.0, ": 10 more late orders", "Cheaper on these days, but later"),
            (5_000, 0, 1, 100.0, ": 1 more late orders", "Worse on these days"),
            (5_000, 2, 0, 100.0, ": 2 fewer late orders", "Better on these days"),
        ] {
            let text = verdict(&run(orders, now, 100.0), &run(orders, other, nodes));
            assert!(text.contains(words) && text.contains(advice), "{text}");
        }
    }

    #[test]
    fn a_grace_is_told_where_it_can_be() {
        let mut scenario = Scenario::default();
        (scenario.service.grace_seconds, scenario.service.mean_seconds) = (30.0, 90.0);
        let said = |key| about_killed_by(2, &scenario, key).unwrap();
        assert!(
            said("service.grace_seconds").ends_with("set it to 270 (and tell it by service.grace_seconds)")
        );
        assert!(about_killed(1, &scenario).unwrap().ends_with("set it to 270 (and tell it by --grace)"));
        assert_eq!(about_killed(0, &scenario), None);
    }
}
