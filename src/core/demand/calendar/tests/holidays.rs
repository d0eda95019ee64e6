//! Public holidays: what they bring, what is told of them, and what is refused.

use super::*;

/// Midnight in Prague of a date of 2026 is so many days after the first of June.
const SAINTS_DAY: i64 = 34;
const SAINTS: &str = "Den slovanských věrozvěstů Cyrila a Metoděje";

/// A quarter of what is usual on Sundays.
fn sundays(from: Timestamp) -> f64 {
    let local = prague().to_datetime(from);
    let part = if local.weekday() == jiff::civil::Weekday::Sunday { 0.25 } else { 1.0 };
    part * usual(local.hour())
}

#[test]
fn public_holidays_bring_what_is_said_of_them() {
    let plain = days_ahead(None, 30, 7);
    // 5 and 6 July are Czech holidays, a Sunday and a Monday.
    let lifted = calendar("publicHolidays: [{country: CZ, uplift: 0.5}]");
    let lifted = days_ahead(Some(&lifted), 30, 7);
    for (day, (one, other)) in plain.iter().zip(&lifted).enumerate() {
        let times = if day == 4 || day == 5 { 0.5 } else { 1.0 };
        assert!(close(*other, times * one), "day {day}: {other} for {times} x {one}");
    }
    let spared =
        calendar("publicHolidays: [{country: Czechia, uplift: 0, except: [Den upálení mistra Jana Husa]}]");
    let spared = days_ahead(Some(&spared), 30, 7);
    assert!(close(spared[5], plain[5]) && spared[4].abs() < 1e-9, "{spared:?}");
    let named = calendar(
        "publicHolidays: [{country: CZ, uplift: 0.5}]\npeaks: [{name: a, from: 2026-07-06, to: 2026-07-06, uplift: 3}]",
    );
    let named = days_ahead(Some(&named), 30, 7);
    assert!(close(named[5], 3.0 * plain[5]) && close(named[4], 0.5 * plain[4]), "{named:?}");
}

#[test]
fn a_holiday_like_a_sunday_brings_what_sundays_bring() {
    let calendar = calendar("publicHolidays: [{country: CZ, like: Sun}]");
    let mut forecast = fed_with(Some(&calendar), SAINTS_DAY, sundays);
    let of = |forecast: &mut ProfileForecast, day| {
        forecast.expected(midnight(day), midnight(day + 1), false).unwrap()
    };
    let (sunday, holiday, tuesday) = (of(&mut forecast, 34), of(&mut forecast, 35), of(&mut forecast, 36));
    assert!((holiday / sunday - 1.0).abs() < 0.01 && tuesday > 3.0 * holiday, "{sunday} {holiday} {tuesday}");
}

#[test]
fn a_holiday_without_a_factor_is_as_past_ones_were() {
    let calendar = calendar("publicHolidays: [{country: CZ}]");
    let low = |from: Timestamp| {
        let local = prague().to_datetime(from);
        let part = if local.date() == date(2026, 7, 5) { 0.2 } else { 1.0 };
        part * usual(local.hour())
    };
    let mut forecast = fed_with(Some(&calendar), SAINTS_DAY + 1, low);
    let plain = days_ahead(None, SAINTS_DAY + 1, 1)[0];
    let second = forecast.expected(midnight(35), midnight(36), false).unwrap();
    assert!((second / plain - 0.6).abs() < 0.05, "{second} of {plain} after one holiday of a fifth");
    let unknown = days_ahead(Some(&calendar), 30, 5)[4];
    assert!(close(unknown, days_ahead(None, 30, 5)[4]), "{unknown}: nothing was learned yet");
}

#[test]
fn a_public_holiday_is_told_with_what_it_takes_away() {
    let lower = calendar("publicHolidays: [{country: CZ, uplift: 0.5}]");
    let part = &decisions_around(SAINTS_DAY, 30.0, Some(lower.clone()))[58].calendar[0];
    assert_eq!((part.name.as_str(), part.from), (SAINTS, midnight(SAINTS_DAY)));
    // Half of 60 a minute, from two minutes on.
    let halves = -30.0 * (part.horizon_seconds / 60.0 - 2.0);
    assert!(close(part.orders, halves) && part.replicas < 0 && part.ahead < 0, "{part:?}, {halves} orders");
    let holidays = "publicHolidays: [{country: CZ, uplift: 0.5}]\nclosures: [{name: shut, from: 2026-07-05, to: 2026-07-05}]";
    let names: Vec<String> = decisions_around(SAINTS_DAY, 0.0, Some(calendar(holidays)))[58]
        .calendar
        .iter()
        .map(|part| part.name.clone())
        .collect();
    assert_eq!(names, ["shut"], "a holiday of its own takes the place of the country's");

    let mut forecast = fed_with(Some(&lower), 30, |from| usual(prague().to_datetime(from).hour()));
    let ordinary = forecast.ordinary(midnight(SAINTS_DAY), midnight(SAINTS_DAY + 1)).unwrap();
    let learned = LearnedHolidays::default();
    let mut usually = |from, to| forecast.ordinary(from, to).unwrap();
    let effects = lower.effects(midnight(30), midnight(60), &learned, Some(&mut usually));
    assert_eq!(effects.len(), 2, "{effects:?}");
    assert_eq!(effects[0].name, SAINTS);
    assert!(close(effects[0].added.unwrap(), -0.5 * ordinary), "{effects:?} of {ordinary}");
    let unknown = lower.effects(midnight(30), midnight(60), &learned, None);
    assert_eq!(unknown[0].added, None);
}

/// With a forecast, what a holiday takes is what Sundays have less.
#[test]
fn a_holiday_like_a_sunday_takes_from_the_plan_what_sundays_lack() {
    let calendar = calendar("publicHolidays: [{country: CZ, like: Sun}]");
    let monday = SAINTS_DAY + 1;
    let noon = midnight(monday) + SignedDuration::from_hours(12);
    let mut forecast = fed_with(Some(&calendar), monday, sundays);
    let outlook = {
        let present = crate::core::demand::outlook::PresentRate {
            orders_per_second: 0.25 * usual(12) / 3600.0,
            relative_uncertainty: 0.1,
        };
        for hour in 0..12 {
            let from = midnight(monday) + SignedDuration::from_hours(hour);
            let count = 0.25 * usual(i8::try_from(hour).unwrap());
            forecast.observe(&Interval { from, to: from + SignedDuration::from_hours(1), count });
        }
        forecast.outlook(noon, &present, 3600.0).unwrap()
    };
    let near = calendar.near(noon, noon + SignedDuration::from_hours(1));
    assert_eq!(near[0].name, "Den upálení mistra Jana Husa");
    let learned = LearnedHolidays::default();
    let mut ordinary = |from, to| forecast.ordinary(from, to).unwrap();
    let without = without_entries(&calendar, &near, &outlook, noon, &learned, &mut ordinary);
    let times = without[0].at(3600.0).0 / outlook.at(3600.0).0;
    assert!((times / 4.0 - 1.0).abs() < 0.05, "without the holiday {times} times as many");
}

#[test]
fn countries_and_names_that_are_not_known_are_refused() {
    for (text, path, part) in [
        ("{country: XX}", "publicHolidays[0].country", "\"XX\", must be one of AT, AU"),
        ("{country: CZ, like: Someday}", "publicHolidays[0].like", "must be a weekday: Mon"),
        ("{country: CZ, like: Sun, uplift: 1}", "publicHolidays[0].like", "beside an uplift"),
        ("{country: CZ, except: [Easter]}", "publicHolidays[0].except", "must be of Nový rok"),
    ] {
        let spec: CalendarSpec = serde_saphyr::from_str(&format!("publicHolidays: [{text}]")).unwrap();
        let problems = Calendar::new(&spec).unwrap_err();
        assert_eq!(problems[0].path, path);
        assert!(problems[0].message.contains(part), "{problems:?}");
    }
}
