//! A calendar without a forecast: the present rate, changed by what is to come.

use jiff::Timestamp;

use super::{Calendar, LearnedHolidays};
use crate::core::demand::forecast::{Change, Event, change_at, change_seen, later, seconds_between};
use crate::core::demand::outlook::{Knot, Outlook};
use crate::core::demand::present::Present;

/// Most entries that are told apart: each takes a plan of its own.
const MOST_ENTRIES: usize = 4;

/// One standard deviation of orders that were promised, as a part of them.
const PROMISE_DEVIATION: f64 = 0.15;

/// Changes an outlook that goes on from the present rate as `events` change orders against now.
///
/// A peak that begins later within the outlook raises it from there on; one that the rate has
/// seen for long changes nothing. `outlook` must not hold a surge.
#[must_use]
pub fn foresee(outlook: &Outlook, events: &[Event], now: Timestamp) -> Outlook {
    let last = outlook.knots.last().map_or(0.0, |knot| knot.x_seconds);
    let edges = events.iter().flat_map(|event| [event.from, event.to]).map(|edge| seconds_between(now, edge));
    let mut points: Vec<f64> = outlook.knots.iter().map(|knot| knot.x_seconds).collect();
    points.extend(edges.filter(|x| (0.0..last).contains(x)));
    points.sort_by(f64::total_cmp);
    points.dedup();
    let seen = change_seen(events, now);
    let mut knots = vec![Knot { x_seconds: 0.0, mean: 0.0, deviation: 0.0 }];
    let (mut mean, mut scaled) = (0.0, 0.0);
    for pair in points.windows(2) {
        let width = pair[1] - pair[0];
        let (until, deviation) = outlook.at(pair[1]);
        let orders = (until - outlook.at(pair[0]).0).max(0.0);
        let middle = later(now, 0.5 * (pair[0] + pair[1]));
        let change = change_at(events, middle).unwrap_or(Change::NONE);
        mean += change.rate(seen, orders / width) * width;
        scaled += change.times(seen).max(0.0) * orders;
        let times = if until > 0.0 { scaled / until } else { 1.0 };
        let promised = (mean - scaled).max(0.0);
        let deviation = (deviation * times).hypot(PROMISE_DEVIATION * promised).hypot(promised.sqrt());
        knots.push(Knot { x_seconds: pair[1], mean, deviation });
    }
    Outlook { model: format!("{} and calendar", outlook.model), knots }
}

/// What the plan would look at if each entry within the horizon had not been told: its place in
/// [`Calendar::entries`], and the outlook without it.
///
/// `ordinary_per_second` weighs promised orders against uplifts.
pub fn without_entries(
    calendar: &Calendar,
    outlook: &Outlook,
    now: Timestamp,
    ordinary_per_second: f64,
) -> Vec<(usize, Outlook)> {
    let until = later(now, outlook.knots.last().map_or(0.0, |knot| knot.x_seconds));
    let mut ordinary = |from, to| ordinary_per_second * seconds_between(from, to);
    let near = calendar.entries().enumerate().filter(|(_, (_, from, to))| *from < until && now < *to);
    let near: Vec<usize> = near.map(|(index, _)| index).take(MOST_ENTRIES).collect();
    if near.is_empty() {
        return Vec::new();
    }
    let learned = LearnedHolidays::default();
    let all = calendar.events(now, until, &learned, Some(&mut ordinary));
    let mut without = Vec::with_capacity(near.len());
    for index in near {
        let rest = calendar.without(index).events(now, until, &learned, Some(&mut ordinary));
        without.push((index, replaced(outlook, &all, &rest, now, ordinary_per_second)));
    }
    without
}

/// The outlook with the changes of `rest` in the place of those of `all`, which it holds.
fn replaced(
    outlook: &Outlook,
    all: &[Event],
    rest: &[Event],
    now: Timestamp,
    ordinary_per_second: f64,
) -> Outlook {
    let applied = |events: &[Event], at: Timestamp| {
        let change = change_at(events, at).unwrap_or(Change::NONE);
        change.uplift * ordinary_per_second + change.added_per_second
    };
    let last = outlook.knots.last().map_or(0.0, |knot| knot.x_seconds);
    let edges = all.iter().chain(rest).flat_map(|event| [event.from, event.to]);
    let edges = edges.map(|edge| seconds_between(now, edge)).filter(|x| (0.0..last).contains(x));
    let mut points: Vec<f64> = outlook.knots.iter().map(|knot| knot.x_seconds).chain(edges).collect();
    points.sort_by(f64::total_cmp);
    points.dedup();
    let mut knots = vec![Knot { x_seconds: 0.0, mean: 0.0, deviation: 0.0 }];
    let mut mean = 0.0;
    for pair in points.windows(2) {
        let (until, deviation) = outlook.at(pair[1]);
        let orders = (until - outlook.at(pair[0]).0).max(0.0);
        let middle = later(now, 0.5 * (pair[0] + pair[1]));
        let (with, without) = (applied(all, middle), applied(rest, middle));
        mean += if with > 0.0 { orders * without / with } else { without * (pair[1] - pair[0]) };
        let times = if until > 0.0 { mean / until } else { 1.0 };
        knots.push(Knot { x_seconds: pair[1], mean, deviation: deviation * times });
    }
    Outlook { model: outlook.model.clone(), knots }
}

/// Takes out of a surge what the calendar explains: a peak that has just begun is no surprise.
#[must_use]
pub fn less_explained(present: &Present, events: &[Event], now: Timestamp) -> Present {
    let seen = change_seen(events, now);
    let expected = change_at(events, now).unwrap_or(Change::NONE).rate(seen, present.level);
    let explained = expected - present.level;
    let surge = if present.surge > 0.0 {
        (present.surge - explained.max(0.0)).max(0.0)
    } else {
        (present.surge - explained.min(0.0)).min(0.0)
    };
    Present { surge, ..*present }
}
