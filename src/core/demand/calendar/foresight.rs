//! A calendar without a forecast: the present rate, changed by what is to come.

use jiff::Timestamp;

use super::{Calendar, LearnedHolidays, Ordinary};
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
    let last = outlook.knots.last().map_or(0.0, |knot| knot.x_seconds());
    let edges = events.iter().flat_map(|event| [event.from, event.to]).map(|edge| seconds_between(now, edge));
    let mut points: Vec<f64> = outlook.knots.iter().map(|knot| knot.x_seconds()).collect();
    points.extend(edges.filter(|x| (0.0..last).contains(x)));
    points.sort_by(f64::total_cmp);
    points.dedup();
    let seen = change_seen(events, now);
    let mut knots = vec![Knot::START];
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
        knots.push(Knot::new(pair[1], mean, deviation));
    }
    Outlook { model: format!("{} and calendar", outlook.model), knots }
}

/// An entry, or a public holiday in force, within the time that a plan looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// Its name.
    pub name: String,
    /// Start, ramps included.
    pub from: Timestamp,
    /// End, ramps included.
    pub to: Timestamp,
    /// All that the calendar says beside it.
    rest: Calendar,
}

impl Calendar {
    /// What changes orders from `from` to `to`: entries first, then public holidays; four at most, as
    /// each takes a plan of its own.
    pub fn near(&self, from: Timestamp, to: Timestamp) -> Vec<Near> {
        let touches = |start: Timestamp, end: Timestamp| start < to && from < end;
        let entries = self.entries().enumerate().filter(|(_, (_, start, end))| touches(*start, *end));
        let entries = entries.map(|(index, (name, from, to))| Near {
            name: name.to_owned(),
            from,
            to,
            rest: self.without(index),
        });
        let holidays = self.holiday_peaks(from, to, &LearnedHolidays::default()).into_iter();
        let holidays = holidays.map(|(of, peak)| {
            let rest = self.without_holiday(of, &peak.name);
            Near { name: peak.name, from: peak.from, to: peak.to, rest }
        });
        entries.chain(holidays).take(MOST_ENTRIES).collect()
    }
}

/// What the plan would look at if each of `near` had not been told.
///
/// `ordinary` weighs promised orders against uplifts.
pub fn without_entries(
    calendar: &Calendar,
    near: &[Near],
    outlook: &Outlook,
    now: Timestamp,
    learned: &LearnedHolidays,
    ordinary: Ordinary<'_>,
) -> Vec<Outlook> {
    let until = later(now, outlook.knots.last().map_or(0.0, |knot| knot.x_seconds()));
    let all = calendar.events(now, until, learned, Some(&mut *ordinary));
    let without = near.iter().map(|entry| {
        let rest = entry.rest.events(now, until, learned, Some(&mut *ordinary));
        replaced(outlook, &all, &rest, now, &mut *ordinary)
    });
    without.collect()
}

/// The outlook with the changes of `rest` in the place of those of `all`, which it holds.
fn replaced(
    outlook: &Outlook,
    all: &[Event],
    rest: &[Event],
    now: Timestamp,
    ordinary: Ordinary<'_>,
) -> Outlook {
    let last = outlook.knots.last().map_or(0.0, |knot| knot.x_seconds());
    let edges = all.iter().chain(rest).flat_map(|event| [event.from, event.to]);
    let edges = edges.map(|edge| seconds_between(now, edge)).filter(|x| (0.0..last).contains(x));
    let mut points: Vec<f64> = outlook.knots.iter().map(|knot| knot.x_seconds()).chain(edges).collect();
    points.sort_by(f64::total_cmp);
    points.dedup();
    let mut knots = vec![Knot::START];
    let mut mean = 0.0;
    for pair in points.windows(2) {
        let (until, deviation) = outlook.at(pair[1]);
        let orders = (until - outlook.at(pair[0]).0).max(0.0);
        let middle = later(now, 0.5 * (pair[0] + pair[1]));
        let usual = ordinary(later(now, pair[0]), later(now, pair[1]));
        let applied = |events: &[Event]| {
            let change = change_at(events, middle).unwrap_or(Change::NONE);
            change.uplift * usual + change.added_per_second * (pair[1] - pair[0])
        };
        let (with, without) = (applied(all), applied(rest));
        mean += if with > 0.0 { orders * without / with } else { without };
        let times = if until > 0.0 { mean / until } else { 1.0 };
        knots.push(Knot::new(pair[1], mean, deviation * times));
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
