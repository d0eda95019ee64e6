//! A calendar without a forecast: the present rate, changed by what is to come.

use jiff::Timestamp;

use crate::core::demand::forecast::{Change, Event, change_at, change_seen, later, seconds_between};
use crate::core::demand::outlook::{Knot, Outlook};
use crate::core::demand::present::Present;

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
