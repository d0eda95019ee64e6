//! The calendar as a whole: what it does to a forecast, to the present rate, and what it refuses.

use std::sync::Arc;

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::core::demand::forecast::{Event, ProfileForecast, change_at, seconds_between};
use crate::core::demand::outlook::{ArrivalForecast as _, PresentRate};
use crate::core::observation::Interval;
use crate::core::{Observation, Policy, Workload};

mod holidays;
mod present;

const DAY: i64 = 86_400;

fn prague() -> TimeZone {
    TimeZone::get("Europe/Prague").unwrap()
}

/// Midnight in Prague so many days after the first of June 2026, a Monday.
fn midnight(days: i64) -> Timestamp {
    let day = date(2026, 6, 1).checked_add(jiff::Span::new().days(days)).unwrap();
    day.to_zoned(prague()).unwrap().timestamp()
}

fn calendar(text: &str) -> Calendar {
    let mut spec: CalendarSpec = serde_saphyr::from_str(text).unwrap();
    spec.time_zone.get_or_insert_with(|| "Europe/Prague".to_owned());
    Calendar::new(&spec).unwrap()
}

fn usual(local_hour: i8) -> f64 {
    if (7..22).contains(&local_hour) { 100.0 + 10.0 * f64::from(local_hour) } else { 20.0 }
}

/// A forecast that was fed `days` days from the first of June.
fn fed(calendar: Option<&Calendar>, days: i64) -> ProfileForecast {
    fed_with(calendar, days, |from| usual(prague().to_datetime(from).hour()))
}

fn fed_with(calendar: Option<&Calendar>, days: i64, count: impl Fn(Timestamp) -> f64) -> ProfileForecast {
    let mut forecast = ProfileForecast::new(prague(), 3600.0);
    if let Some(calendar) = calendar {
        forecast.set_calendar(&Arc::new(calendar.clone()));
    }
    let mut from = midnight(0);
    while from < midnight(days) {
        let to = from + SignedDuration::from_hours(1);
        forecast.observe(&Interval { from, to, count: count(from) });
        from = to;
    }
    forecast
}

/// Orders of each of the days after `days` days of history.
fn days_ahead(calendar: Option<&Calendar>, days: i64, count: i64) -> Vec<f64> {
    let mut forecast = fed(calendar, days);
    (days..days + count)
        .map(|day| forecast.expected(midnight(day), midnight(day + 1), false).unwrap())
        .collect()
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6 * other.abs().max(1.0)
}

#[test]
fn an_empty_calendar_changes_nothing() {
    let (mut one, mut other) = (fed(None, 40), fed(Some(&Calendar::default()), 40));
    let levels = [0.5, 0.9, 0.99];
    let slots =
        |forecast: &mut ProfileForecast| forecast.slots(midnight(40), 2.0 * DAY as f64, &levels).unwrap();
    assert_eq!(slots(&mut one), slots(&mut other));
    let present = PresentRate { orders_per_second: 0.02, relative_uncertainty: 0.3 };
    let outlook = |forecast: &mut ProfileForecast| forecast.outlook(midnight(40), &present, 7200.0).unwrap();
    assert_eq!(outlook(&mut one), outlook(&mut other));
    let far = calendar("peaks: [{name: long over, from: 2020-01-01, to: 2020-01-02, uplift: 9, ramp: 1h}]");
    assert_eq!(decisions(None), decisions(Some(Calendar::default())));
    assert_eq!(decisions(None), decisions(Some(far)));
}

#[test]
fn an_uplift_multiplies_its_day_and_no_other_beyond_the_ramp() {
    let plain = days_ahead(None, 40, 5);
    let steep = calendar("peaks: [{name: a, from: 2026-07-13, to: 2026-07-13, uplift: 5}]");
    let lifted = days_ahead(Some(&steep), 40, 5);
    for (index, (one, other)) in plain.iter().zip(&lifted).enumerate() {
        let times = if index == 2 { 5.0 } else { 1.0 };
        assert!(close(*other, times * one), "day {index}: {other} for {times} times {one}");
    }
    let ramped = calendar("peaks: [{name: a, from: 2026-07-13, to: 2026-07-13, uplift: 5, ramp: 2h}]");
    let lifted = days_ahead(Some(&ramped), 40, 5);
    assert!(close(lifted[2], 5.0 * plain[2]), "{lifted:?}");
    for (index, at_ramp) in [(0, false), (1, true), (3, true), (4, false)] {
        let more = lifted[index] - plain[index];
        assert_eq!(more > 1.0, at_ramp, "day {index}: {more}");
        assert!(more < 4.0 * 2.0 * 25.0, "day {index}: {more} in a ramp at night");
    }
}

#[test]
fn closures_give_zero() {
    let text = "closures: [{name: a, from: 2026-07-13T10:00, to: 2026-07-13T14:00}]\nholidays: [{name: b, date: 2026-07-14}]\n\
                peaks: [{name: c, from: 2026-07-13, to: 2026-07-14, uplift: 9}, {name: d, from: 2026-07-14, to: 2026-07-14, orders: 900}]";
    let mut forecast = fed(Some(&calendar(text)), 40);
    let hour = |at: i64| midnight(42) + SignedDuration::from_hours(at);
    assert!(forecast.expected(hour(10), hour(14), true).unwrap() <= 0.0);
    assert!(forecast.expected(hour(24), hour(48), true).unwrap() <= 0.0);
    assert!(forecast.expected(hour(14), hour(15), true).unwrap() > 1000.0);
    let doubtful = calendar("closures: [{name: a, from: 2026-07-13, to: 2026-07-13, confidence: 0.75}]");
    let (plain, closed) = (days_ahead(None, 40, 3), days_ahead(Some(&doubtful), 40, 3));
    assert!(close(closed[2], 0.25 * plain[2]), "{closed:?} for {plain:?}");
}

#[test]
fn entries_that_overlap_follow_the_rule() {
    // The day ordinarily brings `day` orders; what it brings with the entries.
    let day = days_ahead(None, 40, 3)[2];
    let on = "from: 2026-07-13, to: 2026-07-13";
    let cases: [(&[&str], f64); 12] = [
        (&["uplift: 5"], 5.0 * day),
        (&["uplift: 5", "uplift: 3"], 5.0 * day),
        (&["uplift: 0.5", "uplift: 0.8"], 0.8 * day),
        (&["uplift: 5, confidence: 0.5"], 3.0 * day),
        (&["uplift: 5, confidence: 0.25", "uplift: 3"], 3.0 * day),
        (&["uplift: 5, by: a, share: 0.5", "uplift: 3, by: b, share: 0.25"], day * (1.0 + 2.0 + 0.5)),
        (&["uplift: 5, by: a, share: 0.5", "uplift: 9, by: a, share: 0.5"], day * (1.0 + 4.0)),
        (&["orders: 30000"], 30_000.0),
        (&["orders: 30000", "orders: 5000, confidence: 0.5", "uplift: 50"], 32_500.0),
        (&["orders: 30000, confidence: 0.5"], 15_000.0 + 0.5 * day),
        (&["ordersPerHour: 1000, by: a", "orders: 500, by: b, share: 0.5"], 24_500.0 + 0.5 * day),
        (&["uplift: 2", "orders: 500, by: b"], 2.0 * day + 500.0),
    ];
    for (entries, expected) in cases {
        let peaks: Vec<String> =
            entries.iter().map(|entry| format!("- {{name: x, {on}, {entry}}}")).collect();
        let found = days_ahead(Some(&calendar(&format!("peaks:\n{}\n", peaks.join("\n")))), 40, 3);
        assert!((found[2] / expected - 1.0).abs() < 1e-3, "{entries:?}: {} for {expected}", found[2]);
        assert!(close(found[1], days_ahead(None, 40, 2)[1]), "{entries:?} reach the day before");
    }
}

#[test]
fn a_shape_of_its_own_and_a_ramp_keep_the_total() {
    let day = days_ahead(None, 40, 3)[2];
    let shape = format!("shape: [{}1, 3, 0, 0]", "0, ".repeat(20));
    for (entry, expected) in [
        (format!("uplift: 4, {shape}"), 4.0 * day),
        (format!("orders: 8000, {shape}"), 8000.0),
        ("orders: 8000, ramp: 6h".to_owned(), 8000.0),
    ] {
        let text = format!("peaks: [{{name: a, from: 2026-07-13, to: 2026-07-13, {entry}}}]");
        let mut forecast = fed(Some(&calendar(&text)), 40);
        let mut orders = |from: i64, to: i64| {
            let hour = |at: i64| midnight(42) + SignedDuration::from_hours(at);
            forecast.expected(hour(from), hour(to), false).unwrap()
        };
        assert!((orders(0, 24) / expected - 1.0).abs() < 1e-2, "{entry}: {} for {expected}", orders(0, 24));
        if entry.contains("shape") {
            assert!(close(orders(21, 22), 0.75 * orders(0, 24)), "{entry}");
            assert!(orders(0, 20).abs() < 1e-6, "{entry}");
        }
    }
}

#[test]
fn a_promise_over_days_is_kept_while_it_runs() {
    let promised = calendar("peaks: [{name: a, from: 2026-07-10, to: 2026-07-12, orders: 90000}]");
    let left = days_ahead(Some(&promised), 40, 3);
    assert!((left[0] / 30_000.0 - 1.0).abs() < 0.01, "{left:?} of which two days are over");
    assert!(close(left[2], days_ahead(None, 40, 3)[2]), "{left:?}");
}

#[test]
fn past_peaks_are_kept_out_of_the_level() {
    let text = "peaks: [{name: a, from: 2026-07-08, to: 2026-07-09, uplift: 7}]";
    let mut forecast = ProfileForecast::new(prague(), 3600.0);
    forecast.set_calendar(&Arc::new(calendar(text)));
    let mut from = midnight(0);
    while from < midnight(40) {
        let to = from + SignedDuration::from_hours(1);
        let times = if (midnight(37)..midnight(39)).contains(&from) { 7.0 } else { 1.0 };
        forecast.observe(&Interval { from, to, count: times * usual(prague().to_datetime(from).hour()) });
        from = to;
    }
    let (after, plain) =
        (forecast.expected(midnight(40), midnight(41), false).unwrap(), days_ahead(None, 40, 1)[0]);
    assert!((after / plain - 1.0).abs() < 0.02, "{after} for {plain}");
}

#[test]
fn days_of_23_and_25_hours_are_whole_days() {
    for (day, hours) in [("2026-03-29", 23.0), ("2026-10-25", 25.0), ("2026-10-26", 24.0)] {
        let shape = "1, ".repeat(24);
        let text = format!(
            "peaks: [{{name: a, from: {day}, to: {day}, ordersPerHour: 100, shape: [{shape}]}}]\nholidays: [{{name: b, date: {day}, uplift: 1}}]"
        );
        let start: jiff::civil::Date = day.parse().unwrap();
        let from = start.to_zoned(prague()).unwrap().timestamp();
        let to = start.tomorrow().unwrap().to_zoned(prague()).unwrap().timestamp();
        let around = SignedDuration::from_hours(5);
        let events = calendar(&text).events(from - around, to + around, &LearnedHolidays::default(), None);
        assert_eq!((events[0].from, events[events.len() - 1].to), (from, to), "{day}");
        assert!(events.windows(2).all(|pair| pair[0].to == pair[1].from), "{day}");
        let orders: f64 = events
            .iter()
            .map(|event| event.change.added_per_second * seconds_between(event.from, event.to))
            .sum();
        assert!(close(orders, 100.0 * hours), "{day}: {orders}");
    }
}

/// A steady day of `rate` orders a minute without history; what is decided every minute.
fn decisions(calendar: Option<Calendar>) -> Vec<crate::core::DecisionRecord> {
    decisions_around(42, 300.0, calendar)
}

/// The same around the first midnight of a day that brings `then` orders a minute.
fn decisions_around(day: i64, then: f64, calendar: Option<Calendar>) -> Vec<crate::core::DecisionRecord> {
    let rate = |at: Timestamp| if at < midnight(day) { 60.0 } else { then };
    let policy = Policy { service_rate: crate::core::ServiceRate::PerMinute(6.0), ..Policy::default() };
    let mut workload = Workload::new(policy);
    if let Some(calendar) = calendar {
        workload.set_calendar(Arc::new(calendar));
    }
    let minute = |index: i64| midnight(day) + SignedDuration::from_mins(index - 60);
    (0..75)
        .map(|index| {
            let (from, at) = (minute(index - 1), minute(index));
            let observation = Observation {
                at,
                queue: Some(crate::core::QueueReading {
                    visible: 5.0,
                    in_flight: 10.0,
                    ..crate::core::QueueReading::default()
                }),
                arrivals: vec![Interval { from, to: at, count: rate(from) }],
                completions: vec![Interval { from, to: at, count: rate(from) }],
                replicas: Some(crate::core::Replicas {
                    ready: 11,
                    starting: Vec::new(),
                    pending: 0,
                    wanted: Some(11),
                }),
                nodes: None,
                lead_times: None,
                bounds: None,
            };
            workload.step(&observation).unwrap()
        })
        .collect()
}

fn expected_at(record: &crate::core::DecisionRecord, seconds: f64) -> f64 {
    record.inputs.as_ref().unwrap().outlook.at(seconds).0
}

#[test]
fn everything_wrong_is_named_at_once() {
    let peak = |rest: &str| format!("peaks: [{{name: a, from: 2026-11-27, to: 2026-11-28, {rest}}}]");
    let cases = [
        ("timeZone: Prague".to_owned(), "timeZone"),
        (peak("by: a"), "peaks[0].uplift"),
        (peak("uplift: -1"), "peaks[0].uplift"),
        (peak("uplift: .nan"), "peaks[0].uplift"),
        (peak("uplift: 2, orders: 5"), "peaks[0].uplift"),
        (peak("orders: 2, ordersPerHour: 5"), "peaks[0].orders"),
        (peak("orders: -2"), "peaks[0].orders"),
        (peak("ordersPerHour: .inf"), "peaks[0].ordersPerHour"),
        (peak("uplift: 2, by: shop"), "peaks[0].share"),
        (peak("uplift: 2, share: 0.5"), "peaks[0].share"),
        (peak("uplift: 2, by: shop, share: 1.5"), "peaks[0].share"),
        (peak("uplift: 2, by: '', share: 0.5"), "peaks[0].by"),
        (peak("uplift: 2, confidence: 80"), "peaks[0].confidence"),
        (peak("uplift: 2, ramp: soon"), "peaks[0].ramp"),
        (peak("uplift: 2, ramp: 30h"), "peaks[0].ramp"),
        (peak("orders: 2, ramp: 24h, timeZone: Nowhere"), "peaks[0].timeZone"),
        (peak("uplift: 2, shape: [1, 2]"), "peaks[0].shape"),
        (peak(&format!("uplift: 2, shape: [{}]", "0, ".repeat(24))), "peaks[0].shape"),
        (peak(&format!("uplift: 2, shape: [{}-1]", "1, ".repeat(23))), "peaks[0].shape"),
        (peak(&format!("uplift: 2, ramp: 1h, shape: [{}]", "1, ".repeat(24))), "peaks[0].ramp"),
        ("peaks: [{name: a, from: 2026-11-27T10:00, to: 2026-11-27T11:00, orders: 5, ramp: 1h}]".to_owned(), "peaks[0].ramp"),
        ("peaks: [{name: '', from: 2026-11-27, to: 2026-11-27, uplift: 2}]".to_owned(), "peaks[0].name"),
        ("closures: [{name: a, from: 2026-11-27T08:00Z, to: 2026-11-28}]".to_owned(), "closures[0].from"),
        ("closures: [{name: a, from: 2026-11-27, to: 2026-11-28T08:00+01:00}]".to_owned(), "closures[0].to"),
        ("closures: [{name: a, from: 2026-11-31, to: 2026-12-28}]".to_owned(), "closures[0].from"),
        ("closures: [{name: a, from: 2026-11-27T10:00, to: 2026-11-27T10:00}]".to_owned(), "closures[0].to"),
        ("holidays: [{name: a, date: tomorrow}]".to_owned(), "holidays[0].date"),
        ("holidays: [{name: a, date: 2026-12-24, uplift: 1000}]".to_owned(), "holidays[0].uplift"),
        ("cutOffs: [{carrier: a, date: 2026-12-24}]".to_owned(), "cutOffs[0].at"),
        ("cutOffs: [{carrier: a, date: 2026-12-24, at: noon}]".to_owned(), "cutOffs[0].at"),
        ("cutOffs: [{carrier: a, date: 2026-12-24, at: '12:00', none: true}]".to_owned(), "cutOffs[0].at"),
        ("cutOffs: [{carrier: a, date: 2026-12-24, at: '12:00', within: 0m}]".to_owned(), "cutOffs[0].within"),
        ("cutOffs: [{carrier: a, date: 2026-12-24, none: true}, {carrier: A, date: 2026-12-24, at: '9:00'}]".to_owned(), "cutOffs[1].date"),
    ];
    let mut all = CalendarSpec::default();
    for (text, path) in &cases {
        let spec: CalendarSpec =
            serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let problems = Calendar::new(&spec).expect_err(text);
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, [*path], "{text}: {problems:?}");
        all.peaks.extend(spec.peaks);
        all.closures.extend(spec.closures);
    }
    let problems = Calendar::new(&all).unwrap_err();
    assert!(problems.len() >= 25, "{problems:?}");
}
