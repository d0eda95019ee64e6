//! The calendar beside a present rate: what is decided with entries ahead and under way.

use super::*;

#[test]
fn the_present_rate_foresees_a_coming_peak_and_does_not_count_it_twice() {
    // At midnight of day 42 orders rise from 60 to 300 a minute, and the calendar knows.
    let peak = calendar("peaks: [{name: a, from: 2026-07-13, to: 2026-07-13, uplift: 5}]");
    let (plain, known) = (decisions(None), decisions(Some(peak)));
    // A quarter of an hour before: nothing of it until then, all of it from then on.
    let before = |records: &[crate::core::DecisionRecord], x: f64| expected_at(&records[45], x);
    assert!((before(&known, 840.0) / before(&plain, 840.0) - 1.0).abs() < 0.01);
    let after = |records: &[crate::core::DecisionRecord]| before(records, 1260.0) - before(records, 960.0);
    assert!((4.5..5.5).contains(&(after(&known) / after(&plain))), "{} {}", after(&known), after(&plain));
    // Two minutes before, replicas and nodes are asked for; without the calendar they are not.
    assert!(known[58].ahead > 2 * plain[58].ahead, "{} for {}", known[58].ahead, plain[58].ahead);
    // From the first minute on, ten minutes hold about 3000 orders, whatever the rate has seen.
    for record in &known[60..] {
        let orders = expected_at(record, 600.0);
        assert!((2300.0..4300.0).contains(&orders), "{}: {orders}", record.at);
    }
    let late = (expected_at(&known[74], 600.0), expected_at(&plain[74], 600.0));
    assert!((late.0 / late.1 - 1.0).abs() < 0.2, "{late:?}");
}

#[test]
fn each_entry_is_told_with_what_it_adds_and_a_record_is_decided_again() {
    let text = "peaks: [{name: sale, from: 2026-07-13, to: 2026-07-13, uplift: 5},\
                {name: spot, from: 2026-07-13, to: 2026-07-13T02:00, orders: 6000, by: toys},\
                {name: far, from: 2026-08-13, to: 2026-08-13, uplift: 9}]";
    let known = decisions(Some(calendar(text)));
    let record = &known[58];
    let names: Vec<&str> = record.calendar.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["sale", "spot"], "what lies beyond the plan's horizon is not told");
    let (sale, spot) = (&record.calendar[0], &record.calendar[1]);
    // From two minutes on, four times 60 a minute, and 50 a minute of the toys.
    let minutes = sale.horizon_seconds / 60.0 - 2.0;
    assert!((sale.orders / (240.0 * minutes) - 1.0).abs() < 0.1, "{sale:?} in {minutes} min");
    assert!((spot.orders / (50.0 * minutes) - 1.0).abs() < 0.1, "{spot:?} in {minutes} min");
    assert!(sale.ahead > spot.ahead && spot.ahead > 0, "{sale:?} {spot:?}");
    let again = crate::core::plan::decide(record.inputs.as_ref().unwrap(), &Policy::default());
    assert_eq!(again.calendar, record.calendar);
    assert_eq!(record.forecast.as_ref().unwrap().quantiles.len(), 3);
    let quantiles: Vec<f64> =
        record.forecast.iter().flat_map(|one| &one.quantiles).map(|one| one.orders).collect();
    assert!(quantiles.is_sorted(), "{quantiles:?}");
    assert!(decisions(None)[58].calendar.is_empty());
}

#[test]
fn an_entry_alone_tells_what_it_adds() {
    let text = "peaks: [{name: sale, from: 2026-07-13, to: 2026-07-13, uplift: 5},\
                {name: spot, from: 2026-07-13, to: 2026-07-13T02:00, orders: 6000}]\nclosures: [{name: shut, from: 2026-07-14, to: 2026-07-14}]";
    let calendar = calendar(text);
    let (from, to, learned) = (midnight(42), midnight(44), LearnedHolidays::default());
    let effects = calendar.effects(
        from,
        to,
        &learned,
        Some(&mut |from, to| seconds_between(from, to) / 3600.0 * 100.0),
    );
    let figures: Vec<_> = effects
        .iter()
        .map(|effect| (effect.ordinary.unwrap().round(), effect.added.unwrap().round()))
        .collect();
    assert_eq!(figures, [(2400.0, 9600.0), (200.0, 5800.0), (2400.0, -2400.0)]);
    let unknown: Vec<_> =
        calendar.effects(from, to, &learned, None).iter().map(|effect| effect.added).collect();
    assert_eq!(unknown, [None, Some(6000.0), None], "a promise is known in any case");
    assert_eq!(
        calendar.without(1).entries().map(|(name, ..)| name.to_owned()).collect::<Vec<_>>(),
        ["sale", "shut"]
    );
    assert_eq!(calendar.without(2).entries().count(), 2);
}

#[test]
fn a_rate_falls_into_closures_but_not_out_of_peaks() {
    let now = midnight(42);
    let level = |events: &[Event]| {
        let mut log = crate::core::demand::arrivals::ArrivalLog::default();
        for minute in 0..60 {
            log.add_known(f64::from(minute) * 60.0, f64::from(minute + 1) * 60.0, 60.0);
        }
        let present = crate::core::demand::present::Present::read(&mut log, 3600.0, 1.0, 2.0, None);
        foresee(&present.outlook(3600.0), events, now).at(3600.0).0 / present.outlook(3600.0).at(3600.0).0
    };
    let at = |minutes: i64| now + SignedDuration::from_mins(minutes);
    for (events, expected) in [
        (vec![Event::uplift(at(-600), at(30), 7.0)], 1.0),
        (vec![Event::uplift(at(30), at(600), 0.0)], 0.5),
        (vec![Event::uplift(at(-600), at(30), 7.0), Event::uplift(at(30), at(600), 0.0)], 0.5),
        (vec![Event::uplift(at(-600), at(600), 7.0)], 1.0),
        (vec![Event::uplift(at(30), at(600), 3.0)], 2.0),
        (vec![Event::uplift(at(-600), at(30), 0.0)], 1.0),
    ] {
        let found = level(&events);
        assert!((found - expected).abs() < 0.02, "{events:?}: {found}");
    }
    assert!(change_at(&[], now).is_none());
}

#[test]
fn a_forecast_leans_on_a_present_rate_that_rises_with_the_peak() {
    let peak = calendar("peaks: [{name: a, from: 2026-07-11T10:00, to: 2026-07-11T20:00, uplift: 5}]");
    let mut plain = fed(None, 40);
    let mut known = fed(Some(&peak), 40);
    let now = midnight(40) + SignedDuration::from_mins(9 * 60 + 55);
    let mut from = midnight(40);
    while from < now {
        let to = from + SignedDuration::from_mins(5);
        let count = usual(prague().to_datetime(from).hour()) / 12.0;
        plain.observe(&Interval { from, to, count });
        known.observe(&Interval { from, to, count });
        from = to;
    }
    let present = PresentRate { orders_per_second: 190.0 / 3600.0, relative_uncertainty: 0.1 };
    let window = |forecast: &mut ProfileForecast| {
        let outlook = forecast.outlook(now, &present, 3600.0).unwrap();
        outlook.at(900.0).0 - outlook.at(300.0).0
    };
    let times = window(&mut known) / window(&mut plain);
    assert!((4.8..5.2).contains(&times), "{times}");
}
