//! Tests of the module beside.

use super::*;

#[test]
fn every_file_of_the_folder_is_a_scenario_that_draws() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
            let orders = crate::replay::orders::Orders::draw(&scenario).unwrap();
            assert!(orders.len() > 1_000, "{}", path.display());
            found += 1;
        }
    }
    assert!(found >= 5);
}

#[test]
fn an_empty_file_is_the_ordinary_day() {
    assert_eq!(Scenario::parse("name: ordinary").unwrap(), Scenario::default());
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    for (text, named) in [
        ("wrokers: 3", "wrokers"),
        ("days: 3\nwarm_up_days: 3", "warm_up_days: 3 must be below days (3)"),
        ("time_zone: Mars/Olympus", "time_zone: Mars/Olympus"),
        ("pods: {min: 9, max: 4, initial: 0}", "pods.min: 9 must be at most pods.max (4)"),
        ("goal: {target_wait_seconds: null}", "goal: neither"),
        ("goal: {target_wait_seconds: -5}", "goal.target_wait_seconds: -5"),
        ("service: {mean_seconds: 0}", "service.mean_seconds: 0 must be above 0"),
        (
            "service: {slow: [{window: {day: 40, from_hour: 1, hours: 1}, factor: 2}]}",
            "service.slow[0].day: 40",
        ),
        ("nodes: {limit: 3, limit_over_least_peak: 1.3}", "nodes.limit"),
        ("sensors: {throughput: telepathy}", "telepathy"),
        ("sensors: {sampling_seconds: 0}", "sensors.sampling_seconds: 0"),
        ("orders: {generator: {week: [1, 2]}}", "orders.generator.week: 2 must be 168"),
        ("orders: {generator: {dispersion: 0.5}}", "orders.generator.dispersion: 0.5"),
        ("orders: {generator: {peak: {day: 30, factor: 7}}}", "orders.generator.peak.day: 30"),
        (
            "orders: {generator: {orders_per_day: 100, imports: {}}}",
            "orders.generator.imports: 720 orders a day",
        ),
        ("orders: {generator: {day_deviation: 1000}}", "orders.generator.day_deviation: 1000 must be 0 to 1"),
        ("orders: {generator: {peak: {day: 0, factor: 1e9}}}", "peak.factor: 1000000000 must be 0 to 166"),
        ("orders: {generator: {imports: {per_day: 1e300}}}", "imports.per_day: 1e300 must be 0 to 5000000"),
        ("orders: {generator: {bursts: [{day: 0, orders: 3}]}}", "orders.generator.bursts[0]: missing field"),
        ("start: 2026-02-30", "start: is \"2026-02-30\": "),
        ("pods:\n  max: lots", "scenario:2: pods.max: is \"lots\", must be a whole number"),
        ("service: 5", "service: is \"5\", must be a mapping"),
        ("days: 2\n---\ndays: 3", "scenario:3: is a second document"),
        ("", "scenario:1: is empty"),
        (
            "sensors: {throughput_blackouts: [{from_hour: 9, hours: 0}]}",
            "sensors.throughput_blackouts[0].hours: 0",
        ),
        (
            "service: {slow: [{window: {from_hour: 24, hours: 1}, factor: 2}]}",
            "service.slow[0].from_hour: 24 must be 0 to below 24",
        ),
        (
            "calendar: {peaks: [{name: sale, from: 2026-11-27, to: 2026-11-26, uplift: 2}]}",
            "calendar.peaks[0].to: is 2026-11-26",
        ),
    ] {
        let message = Scenario::parse(text).unwrap_err().to_string();
        assert!(message.contains(named), "{text}: {message}");
    }
}

#[test]
fn a_default_that_follows_from_a_wrong_figure_is_no_problem_of_its_own() {
    let wrong = Scenario::parse("orders: {generator: {orders_per_day: -3}}").unwrap_err().to_string();
    assert!(wrong.contains("orders_per_day: -3") && !wrong.contains("imports"), "{wrong}");
}

#[test]
fn all_problems_are_reported_at_once() {
    for (text, count) in
        [("days: 0\nservice: {mean_seconds: -1, concurrency: 0}", 4), ("time_zone: Mars/Olympus", 1)]
    {
        let error = Scenario::parse(text).unwrap_err();
        let ScenarioError::Invalid { problems, .. } = error else { panic!("{error}") };
        assert_eq!(problems.len(), count, "{problems:?}");
    }
}

#[test]
fn cut_offs_make_orders_due_before_the_dispatch() {
    let scenario = Scenario::parse(
        "goal: {target_wait_seconds: 7200, cut_offs: [{name: DPD, weekdays: [true, true, true, true, true, true, \
         true], at_seconds_of_day: 50400, within_seconds: 2700}]}",
    )
    .unwrap();
    let hour = 3_600_000;
    let arrivals = [10 * hour, 13 * hour, 14 * hour, 14 * hour + 1];
    let dispatch = 14 * hour + 2_700_000;
    assert_eq!(
        scenario.dispatches(&arrivals),
        [Some(dispatch), Some(dispatch), Some(dispatch), Some(dispatch + 24 * hour)]
    );
    let due = scenario.due_starts(&arrivals);
    assert_eq!(due, [12 * hour, dispatch - 20_000, dispatch - 20_000, 16 * hour + 1]);
}

#[test]
fn a_window_of_every_day_reaches_over_midnight() {
    let window = Window { day: None, from_hour: 23.0, hours: 2.0 };
    let hour = 3_600_000;
    for (at, inside) in
        [(22, false), (23, true), (24, true), (25, false), (47, true), (48, true), (49, false)]
    {
        assert_eq!(window.contains(at * hour), inside, "{at}");
    }
}

#[test]
fn a_field_given_twice_is_named_without_advice_to_programmers() {
    let error = Scenario::parse("days: 1\nseed: 2\ndays: 3\n").unwrap_err();
    assert_eq!(error.to_string(), "scenario:3: days: is written twice in one mapping; keep one");
}
