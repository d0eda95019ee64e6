//! The backtest as a page: verdict, figures, days, and the worst hours drawn.

use jiff::tz::TimeZone;

use super::contest::Contest;
use super::figures::{ContestReport, Report, punctuality};
use crate::cli::centre::Assumption;
use crate::cli::report::chart::{Chart, Line};
use crate::cli::report::page::Page;
use crate::cli::report::words::{grouped, percent};
use crate::replay::trail::{Point, Trail};
use crate::replay::units::{DAY, HOUR, Millis, timestamp};

/// Time that is drawn before and after the worst moment.
const AROUND: Millis = 3 * HOUR;
/// Waits longer than so many minutes are drawn in hours.
const MOST_MINUTES: f64 = 180.0;
/// Stretches that are drawn, at most.
const MOST_STRETCHES: usize = 3;

pub(super) fn page(report: &Report, contests: &[Contest], trails: &[Vec<Trail>]) -> String {
    let title = match &report.contests[..] {
        [only] => format!("Backtest: {}", only.title),
        _ => "Backtest".to_owned(),
    };
    let mut page = Page::new(&title);
    for ((figures, contest), trails) in report.contests.iter().zip(contests).zip(trails) {
        if report.contests.len() > 1 {
            page.heading(&figures.title);
        }
        page.paragraph(&figures.subtitle());
        for (verdict, run) in figures.verdicts.iter().zip(&figures.runs[1..]) {
            page.verdict(verdict, punctuality(&figures.runs[0], run).is_gt());
        }
        tables(&mut page, figures);
        charts(&mut page, figures, contest, trails);
        grounds(&mut page, figures);
    }
    page.finish()
}

fn tables(page: &mut Page, figures: &ContestReport) {
    let names = figures.runs.iter().map(|run| run.name.as_str());
    let header: Vec<&str> = std::iter::once("").chain(names).collect();
    let rows: Vec<Vec<String>> = figures
        .rows()
        .into_iter()
        .map(|(name, values)| std::iter::once(name.to_owned()).chain(values).collect())
        .collect();
    page.table(&header, &rows, |_| false);
    page.subheading("Day by day: late orders");
    let days = (0_i64..).zip(0..figures.runs[0].score.days.len());
    let rows: Vec<Vec<String>> = days
        .map(|(offset, index)| {
            let date = figures.from.saturating_add(jiff::Span::new().days(offset));
            let orders = grouped(figures.runs[0].score.days[index].orders);
            let late = figures.runs.iter().map(|run| {
                let day = run.score.days[index];
                format!(
                    "{} ({})",
                    grouped(day.late),
                    percent(f64::from(day.late) / f64::from(day.orders.max(1)))
                )
            });
            [date.strftime("%a %Y-%m-%d").to_string(), orders].into_iter().chain(late).collect()
        })
        .collect();
    let names = figures.runs.iter().map(|run| run.name.as_str());
    let header: Vec<&str> = ["day", "orders"].into_iter().chain(names).collect();
    page.table(&header, &rows, |_| false);
}

/// What the figures rest on.
fn grounds(page: &mut Page, figures: &ContestReport) {
    page.subheading("What this rests on");
    let rows: Vec<Vec<String>> = figures
        .assumptions
        .iter()
        .map(|Assumption { what, value, source }| {
            vec![(*what).to_owned(), value.clone(), (*source).to_owned()]
        })
        .collect();
    if !rows.is_empty() {
        page.words(&["assumed", "value", "from"], &rows);
    }
    for note in &figures.notes {
        page.paragraph(note);
    }
    page.paragraph(
        "Simulated: a queue served first in, first out; workers whose time an order varies by half; lagging and noisy queue counters; \
         KEDA's polling and the HPA's own arithmetic; nodes as Karpenter buys and removes them. The same random numbers for every setting.",
    );
}

fn charts(page: &mut Page, figures: &ContestReport, contest: &Contest, trails: &[Trail]) {
    let scenario = contest.contestants[0].cell.scenario();
    let zone = TimeZone::get(&scenario.time_zone).unwrap_or(TimeZone::UTC);
    let drawing = Drawing { figures, contest, trails, zone: &zone };
    page.subheading("The whole time, by hour");
    let (from, to) = (scenario.scored_from(), scenario.end());
    let (unit, seconds) = unit_of_waits(trails, (from, to));
    let target = scenario.goal.target_wait_seconds.map(|wait| ("target wait".to_owned(), wait / seconds));
    let most =
        |value: fn(&Point) -> f64| move |points: &[Point]| points.iter().map(value).fold(0.0, f64::max);
    page.html(&drawing.hourly(
        "Replicas wanted, most in the hour",
        from,
        to,
        None,
        most(|at| f64::from(at.wanted)),
    ));
    let wait = most(|at| at.oldest_wait_seconds);
    let title = format!("Longest wait of the first in line, {unit}");
    page.html(&drawing.hourly(&title, from, to, target.clone(), |points| wait(points) / seconds));
    for (moment, why) in worst(trails, figures, (from, to)) {
        let at = timestamp(scenario.origin(), moment).to_zoned(zone.clone());
        page.subheading(&format!("Around {}: {why}", at.strftime("%a %Y-%m-%d %H:%M")));
        let (from, to) = ((moment - AROUND).max(0), (moment + AROUND).min(scenario.end()));
        let (from, to) = (from / HOUR * HOUR, to / HOUR * HOUR);
        page.html(&drawing.minutes("Backlog, orders", from, to, None, |at| f64::from(at.backlog)));
        page.html(&drawing.minutes("Replicas wanted", from, to, None, |at| f64::from(at.wanted)));
        page.html(&drawing.minutes("Replicas ready", from, to, None, |at| f64::from(at.ready)));
        page.html(&drawing.minutes("Nodes, there or on their way", from, to, None, |at| f64::from(at.nodes)));
        let title = format!("Wait of the first in line, {unit}");
        page.html(&drawing.minutes(&title, from, to, target.clone(), |at| at.oldest_wait_seconds / seconds));
    }
}

/// The unit in which the waits of a stretch read well, and its seconds; one for all charts of a page.
fn unit_of_waits(trails: &[Trail], (from, to): (Millis, Millis)) -> (&'static str, f64) {
    let points = trails.iter().flat_map(|trail| trail.between(from, to));
    let longest = points.map(|point| point.oldest_wait_seconds).fold(0.0, f64::max);
    if longest <= MOST_MINUTES * 60.0 { ("minutes", 60.0) } else { ("hours", 3_600.0) }
}

struct Drawing<'a> {
    figures: &'a ContestReport,
    contest: &'a Contest,
    trails: &'a [Trail],
    zone: &'a TimeZone,
}

impl Drawing<'_> {
    fn chart(
        &self,
        title: &str,
        (from, to): (Millis, Millis),
        level: Option<(String, f64)>,
        points: impl Fn(&Trail) -> Vec<(Millis, f64)>,
    ) -> String {
        let origin = self.contest.contestants[0].cell.scenario().origin();
        let lines = self.trails.iter().zip(&self.figures.runs).map(|(trail, run)| Line {
            name: run.name.clone(),
            points: points(trail).into_iter().map(|(at, value)| (timestamp(origin, at), value)).collect(),
        });
        let (from, to) = (timestamp(origin, from), timestamp(origin, to));
        Chart { title, from, to, zone: self.zone, lines: lines.collect(), level, steps: true }.html()
    }

    fn minutes(
        &self,
        title: &str,
        from: Millis,
        to: Millis,
        level: Option<(String, f64)>,
        value: impl Fn(&Point) -> f64,
    ) -> String {
        self.chart(title, (from, to), level, |trail| {
            trail.between(from, to).iter().map(|point| (point.at, value(point))).collect()
        })
    }

    fn hourly(
        &self,
        title: &str,
        from: Millis,
        to: Millis,
        level: Option<(String, f64)>,
        value: impl Fn(&[Point]) -> f64,
    ) -> String {
        self.chart(title, (from, to), level, |trail| {
            let starts = (from / HOUR..to / HOUR).map(|hour| hour * HOUR);
            starts.map(|start| (start, value(trail.between(start, start + HOUR)))).collect()
        })
    }
}

/// For each setting its worst moment, near ones once: where most orders of an hour were late, or
/// else where the wait was longest.
fn worst(trails: &[Trail], figures: &ContestReport, (from, to): (Millis, Millis)) -> Vec<(Millis, String)> {
    let mut found: Vec<(Millis, String)> = Vec::new();
    for (trail, run) in trails.iter().zip(&figures.runs) {
        let hours = (from / HOUR)..(to / HOUR);
        let late = hours
            .map(|hour| {
                let inside = |order: &&crate::replay::lateness::LateOrder| order.late_at / HOUR == hour;
                (trail.late.iter().filter(inside).count(), hour)
            })
            .max_by_key(|(late, hour)| (*late, -*hour));
        let (moment, why) = match late {
            Some((late, hour)) if late > 0 => (
                hour * HOUR + HOUR / 2,
                format!("most orders late in an hour, {} under {}", grouped(late as u64), run.name),
            ),
            _ => {
                let points = trail.between(from, to);
                let longest = points
                    .iter()
                    .max_by(|one, other| one.oldest_wait_seconds.total_cmp(&other.oldest_wait_seconds));
                (
                    longest.map_or(DAY / 2, |point| point.at),
                    format!("the longest wait under {}, in time", run.name),
                )
            }
        };
        if found.len() < MOST_STRETCHES && found.iter().all(|(other, _)| (other - moment).abs() > AROUND) {
            found.push((moment, why));
        }
    }
    found
}
