//! The forecast as a whole: what it must do on histories that are short, broken or strange.

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::core::demand::outlook::{ArrivalForecast, Distrust, Outlook, PresentRate};
use crate::core::observation::Interval;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn start() -> Timestamp {
    date(2024, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp()
}

fn at(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn hours(range: std::ops::Range<i64>, count: impl Fn(i64) -> f64) -> Vec<Interval> {
    range
        .map(|hour| Interval { from: at(hour * HOUR), to: at((hour + 1) * HOUR), count: count(hour) })
        .collect()
}

/// A day with two peaks, quiet at night; Sundays half, and a little noise without chance.
fn busy(hour: i64) -> f64 {
    let (day, of_day) = (hour.div_euclid(24), hour.rem_euclid(24) as f64);
    let shape =
        5.0 + 60.0 * (-(of_day - 11.0).powi(2) / 12.0).exp() + 80.0 * (-(of_day - 20.0).powi(2) / 8.0).exp();
    let weekday = if day.rem_euclid(7) == 6 { 0.5 } else { 1.0 };
    shape * weekday * (1.0 + 0.1 * ((hour * 7919 % 13) as f64 / 6.0 - 1.0))
}

fn fed(intervals: &[Interval]) -> ProfileForecast {
    let mut forecast = ProfileForecast::new(TimeZone::UTC, 3600.0);
    for interval in intervals {
        forecast.observe(interval);
    }
    forecast
}

fn present(orders_per_hour: f64) -> PresentRate {
    PresentRate { orders_per_second: orders_per_hour / 3600.0, relative_uncertainty: 0.05 }
}

/// Orders of the day ahead by level and profile alone.
fn day_total(forecast: &mut ProfileForecast, now: Timestamp) -> f64 {
    forecast.expected(now, now + SignedDuration::from_secs(DAY), false).unwrap()
}

fn day_ahead(forecast: &mut ProfileForecast, now: Timestamp) -> Vec<f64> {
    forecast.slots(now, DAY as f64, &[0.5]).unwrap().iter().map(|slot| slot.mean).collect()
}

#[test]
fn a_regular_history_is_continued() {
    let mut forecast = fed(&hours(0..24 * 42, busy));
    let expected: Vec<f64> = (24 * 42..24 * 43).map(busy).collect();
    let path = day_ahead(&mut forecast, at(42 * DAY));
    let error: f64 = path.iter().zip(&expected).map(|(one, other)| (one - other).abs()).sum();
    assert!(error / expected.iter().sum::<f64>() < 0.1, "{path:?} for {expected:?}");
}

#[test]
fn three_days_are_enough_for_a_launch_and_two_are_not() {
    let short = fed(&hours(0..24 * 2 + 5, busy)).outlook(at(2 * DAY + 5 * HOUR), &present(10.0), 3600.0);
    assert!(matches!(short, Err(Distrust::ShortHistory { .. })), "{short:?}");
    let mut launched = fed(&hours(0..24 * 3 + 8, busy));
    let outlook = launched.outlook(at(3 * DAY + 8 * HOUR), &present(busy(80)), 4.0 * 3600.0).unwrap();
    let expected: f64 = (24 * 3 + 8..24 * 3 + 12).map(busy).sum();
    let (mean, deviation) = outlook.at(4.0 * 3600.0);
    assert!((mean / expected - 1.0).abs() < 0.25 && deviation > 0.0, "{mean} for {expected}");
}

#[test]
fn a_queue_that_died_is_believed_within_days_and_one_that_came_back_too() {
    let mut forecast = fed(&hours(0..24 * 42, busy));
    for interval in &hours(24 * 42..24 * 46, |_| 0.0) {
        forecast.observe(interval);
    }
    let dead: f64 = day_total(&mut forecast, at(46 * DAY));
    let alive: f64 = (24 * 46..24 * 47).map(busy).sum();
    assert!(dead < 0.1 * alive, "{dead} of {alive}");
    for interval in &hours(24 * 46..24 * 53, busy) {
        forecast.observe(interval);
    }
    let back: f64 = day_total(&mut forecast, at(53 * DAY));
    assert!((0.6..1.4).contains(&(back / alive)), "{back} for {alive}");
}

#[test]
fn after_a_closure_that_nobody_named_the_level_is_the_one_before() {
    let closed = 24 * 42..24 * 49;
    let history = hours(0..24 * 50, |hour| if closed.contains(&hour) { 0.0 } else { busy(hour) });
    let usual: f64 = (24 * 50..24 * 51).map(busy).sum();
    let back: f64 = day_total(&mut fed(&history), at(50 * DAY));
    assert!((0.85..1.15).contains(&(back / usual)), "{back} for {usual}");
}

#[test]
fn hours_that_open_on_all_days_are_learned_before_each_weekday_has_come_twice() {
    let longer = |hour: i64| {
        if hour.rem_euclid(24) >= 18 && hour < 24 * 70 { 0.0 } else { busy(hour) }
    };
    let path = day_ahead(&mut fed(&hours(0..24 * 78, longer)), at(78 * DAY));
    let evening = path[18..].iter().sum::<f64>();
    let expected: f64 = (24 * 78 + 18..24 * 79).map(busy).sum();
    assert!(evening > 0.6 * expected, "{evening} for {expected}");
}

#[test]
fn a_weekday_that_changed_is_foreseen_after_two_such_days_and_one_that_changed_back_after_one() {
    let (sunday, days) = (24 * 69, 70);
    let closed = |hour: i64| hour.div_euclid(24).rem_euclid(7) == 6;
    let usual: f64 = (sunday..sunday + 24).map(busy).sum();
    let opens = |hour: i64| if closed(hour) && hour < 24 * 55 { 0.0 } else { busy(hour) };
    let doubles = |hour: i64| if closed(hour) && hour >= 24 * 55 { 2.0 * busy(hour) } else { busy(hour) };
    let passing = |hour: i64| {
        let odd = closed(hour) && (24 * 40..24 * 55).contains(&hour);
        if odd { 3.0 * busy(hour) } else { busy(hour) }
    };
    let cases: [(&dyn Fn(i64) -> f64, f64); 3] = [(&opens, 1.0), (&doubles, 2.0), (&passing, 1.0)];
    for (case, (orders, times)) in cases.into_iter().enumerate() {
        let path = day_ahead(&mut fed(&hours(0..24 * (days - 1), orders)), at((days - 1) * DAY));
        let foreseen = path.iter().sum::<f64>() / (times * usual);
        assert!((0.8..1.2).contains(&foreseen), "case {case}: {foreseen} of {times} times {usual}");
    }
}

#[test]
fn in_a_young_history_the_hours_seen_correct_the_next() {
    let mut forecast =
        fed(&hours(0..24 * 9 + 14, |hour| if hour < 24 * 9 { busy(hour) } else { 1.5 * busy(hour) }));
    let (now, next) = (at(9 * DAY + 14 * HOUR), at(9 * DAY + 15 * HOUR));
    let plain = forecast.expected(now, next, false).unwrap();
    let corrected = forecast.expected(now, next, true).unwrap();
    assert!((1.1..1.5).contains(&(corrected / plain)), "{corrected} for {plain}");
}

#[test]
fn one_odd_day_does_not_move_the_level_and_a_lasting_shift_does() {
    let usual: f64 = (24 * 43..24 * 44).map(busy).sum();
    let odd = hours(0..24 * 43, |hour| if hour >= 24 * 42 { 7.0 * busy(hour) } else { busy(hour) });
    let after_odd: f64 = day_total(&mut fed(&odd), at(43 * DAY));
    assert!(after_odd < 1.5 * usual, "{after_odd} after a day of 7 times {usual}");
    let shifted = hours(0..24 * 47, |hour| if hour >= 24 * 42 { 3.0 * busy(hour) } else { busy(hour) });
    let usual: f64 = (24 * 47..24 * 48).map(busy).sum();
    let after_shift: f64 = day_total(&mut fed(&shifted), at(47 * DAY));
    assert!((2.4..3.6).contains(&(after_shift / usual)), "{after_shift} for 3 times {usual}");
}

#[test]
fn missing_is_not_zero() {
    let with_gap: Vec<Interval> = hours(0..24 * 42, busy)
        .into_iter()
        .filter(|one| !(at(35 * DAY)..at(41 * DAY)).contains(&one.from))
        .collect();
    let whole: f64 = day_total(&mut fed(&hours(0..24 * 42, busy)), at(42 * DAY));
    let gap: f64 = day_total(&mut fed(&with_gap), at(42 * DAY));
    assert!((gap / whole - 1.0).abs() < 0.05, "{gap} for {whole}");
}

#[test]
fn closed_days_and_hours_stay_closed() {
    let open = |hour: i64| {
        if hour.div_euclid(24).rem_euclid(7) == 6 || !(6..22).contains(&hour.rem_euclid(24)) {
            0.0
        } else {
            busy(hour)
        }
    };
    let saturday = day_ahead(&mut fed(&hours(0..24 * 40, open)), at(40 * DAY));
    assert!(saturday[..5].iter().all(|orders| *orders < 0.5) && saturday[12] > 20.0, "{saturday:?}");
    let sunday = day_ahead(&mut fed(&hours(0..24 * 41, open)), at(41 * DAY));
    assert!(sunday.iter().sum::<f64>() < 1.0, "{sunday:?}");
}

#[test]
fn days_keep_their_shape_over_both_changes_of_the_clock() {
    let zone = TimeZone::get("Europe/Prague").unwrap();
    for first in [date(2024, 2, 26), date(2024, 9, 23)] {
        let begin = first.to_zoned(zone.clone()).unwrap().timestamp();
        let local = |moment: Timestamp| i64::from(zone.to_datetime(moment).hour());
        let mut forecast = ProfileForecast::new(zone.clone(), 3600.0);
        for hour in 0..24 * 40 {
            let from = begin + SignedDuration::from_hours(hour);
            let to = from + SignedDuration::from_hours(1);
            forecast.observe(&Interval { from, to, count: busy(local(from)) });
        }
        let now = forecast.last_end().unwrap();
        for slot in forecast.slots(now, DAY as f64, &[0.9]).unwrap() {
            let expected = busy(local(slot.from));
            assert!((slot.mean - expected).abs() < 1.0 + 0.2 * expected, "{slot:?} for {expected}");
        }
    }
}

#[test]
fn a_slot_passed_twice_counts_as_a_rate() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let from = date(2014, 11, 2).to_zoned(zone.clone()).unwrap().timestamp();
    let day = Interval { from, to: from + SignedDuration::from_hours(25), count: 250.0 };
    let days = days_of(&[day], &zone, 3600.0);
    assert_eq!(days.len(), 1);
    assert_eq!(days[0].slot(1), (20.0, 7200.0));
    assert!(days[0].values(3600.0).iter().all(|value| (value - 10.0).abs() < 1e-9));
}

#[test]
fn the_outlook_leans_on_the_present_and_has_no_steps() {
    let mut forecast = fed(&hours(0..24 * 42 + 9, busy));
    let now = at(42 * DAY + 9 * HOUR);
    let usual = busy(24 * 42 + 9);
    let outlook = forecast.outlook(now, &present(2.0 * usual), 12.0 * 3600.0).unwrap();
    let first_minute = outlook.at(60.0).0 * 60.0 / usual;
    let fourth_hour = (outlook.at(4.0 * 3600.0).0 - outlook.at(3.0 * 3600.0).0) / busy(24 * 42 + 12);
    assert!(first_minute > 1.7 && fourth_hour < 1.3, "{first_minute} then {fourth_hour}");
    let rates: Vec<f64> = outlook
        .knots
        .windows(2)
        .map(|pair| (pair[1].mean() - pair[0].mean()) / (pair[1].x_seconds() - pair[0].x_seconds()) * 3600.0)
        .collect();
    let largest = rates.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
    assert!(largest < 12.0, "rates step by {largest} an hour between knots: {rates:?}");
}

#[test]
fn a_forecast_far_off_is_given_up_within_the_hour() {
    let mut forecast = fed(&hours(0..24 * 42 + 10, busy));
    for interval in &hours(24 * 42 + 10..24 * 42 + 12, |hour| 7.0 * busy(hour)) {
        forecast.observe(interval);
    }
    let outlook = forecast.outlook(at(42 * DAY + 12 * HOUR), &present(400.0), 3600.0);
    assert!(matches!(outlook, Err(Distrust::Surprise { .. })), "{outlook:?}");
    let error = outlook.unwrap_err().to_string();
    assert!(error.starts_with("arrivals of the last half hour are"), "{error}");
}

#[test]
fn stale_arrivals_and_impossible_horizons_are_refused() {
    let mut forecast = fed(&hours(0..24 * 42, busy));
    let stale = forecast.outlook(at(44 * DAY), &present(10.0), 3600.0);
    assert!(matches!(stale, Err(Distrust::StaleHistory { .. })), "{stale:?}");
    for horizon in [0.0, -1.0, f64::NAN, 1e9] {
        let far = forecast.outlook(at(42 * DAY), &present(10.0), horizon);
        assert!(matches!(far, Err(Distrust::Horizon { .. })), "{far:?}");
    }
}

#[test]
fn an_uplift_multiplies_its_day_and_no_other() {
    let mut forecast = fed(&hours(0..24 * 42, busy));
    let plain = forecast.slots(at(42 * DAY), 3.0 * DAY as f64, &[0.9]).unwrap();
    forecast.set_events(vec![Event::uplift(at(43 * DAY), at(44 * DAY), 5.0)]);
    let lifted = forecast.slots(at(42 * DAY), 3.0 * DAY as f64, &[0.9]).unwrap();
    for (index, (one, other)) in plain.iter().zip(&lifted).enumerate() {
        let times = if (24..48).contains(&index) { 5.0 } else { 1.0 };
        assert!((other.mean - times * one.mean).abs() < 1e-9 * other.mean.max(1.0), "slot {index}");
    }
}

#[test]
fn a_named_peak_is_kept_out_of_level_and_profile() {
    let peak = |hour: i64| {
        if (24 * 41..24 * 42).contains(&hour) { 7.0 * busy(hour) } else { busy(hour) }
    };
    let mut forecast = ProfileForecast::new(TimeZone::UTC, 3600.0);
    forecast.set_events(vec![Event::uplift(at(41 * DAY), at(42 * DAY), 7.0)]);
    for interval in &hours(0..24 * 42, peak) {
        forecast.observe(interval);
    }
    let usual: f64 = (24 * 42..24 * 43).map(busy).sum();
    let after: f64 = day_total(&mut forecast, at(42 * DAY));
    assert!((after / usual - 1.0).abs() < 0.1, "{after} for {usual}");
}

#[test]
fn overlapping_intervals_are_told_once() {
    let twice: Vec<Interval> = hours(0..24 * 40, busy).into_iter().flat_map(|one| [one, one]).collect();
    let (mut once, mut twice) = (fed(&hours(0..24 * 40, busy)), fed(&twice));
    assert_eq!(day_ahead(&mut once, at(40 * DAY)), day_ahead(&mut twice, at(40 * DAY)));
}

#[test]
fn minutes_make_the_same_forecast_as_hours() {
    let minutes: Vec<Interval> = hours(0..24 * 30, busy)
        .into_iter()
        .flat_map(|one| {
            (0..60).map(move |minute| {
                let from = one.from + SignedDuration::from_mins(minute);
                Interval { from, to: from + SignedDuration::from_mins(1), count: one.count / 60.0 }
            })
        })
        .collect();
    let hourly = day_ahead(&mut fed(&hours(0..24 * 30, busy)), at(30 * DAY));
    let finer = day_ahead(&mut fed(&minutes), at(30 * DAY));
    let error: f64 = hourly.iter().zip(&finer).map(|(one, other)| (one - other).abs()).sum();
    assert!(error / hourly.iter().sum::<f64>() < 0.03, "{hourly:?} {finer:?}");
}

fn relative(one: &Outlook, other: &Outlook, times: f64) -> f64 {
    let pairs = one.knots.iter().zip(&other.knots).skip(1);
    pairs.map(|(one, other)| (other.mean() / (times * one.mean()) - 1.0).abs()).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Of many orders: a few are counts, of which chance takes its own part.
    #[test]
    fn scaling_history_scales_the_forecast(times in 1.0..1e4_f64, seed in 0_i64..1000) {
        let history = |hour: i64| 100.0 * (busy(hour) * (1.0 + 0.3 * ((hour * (seed + 17) % 11) as f64 / 5.0 - 1.0))).max(1.0);
        let mut one = fed(&hours(0..24 * 40 + 7, history));
        let mut scaled = fed(&hours(0..24 * 40 + 7, |hour| times * history(hour)));
        let now = at(40 * DAY + 7 * HOUR);
        let plain = one.slots(now, DAY as f64, &[0.5, 0.9]).unwrap();
        let large = scaled.slots(now, DAY as f64, &[0.5, 0.9]).unwrap();
        for (plain, large) in plain.iter().zip(&large) {
            prop_assert!((large.mean / (times * plain.mean) - 1.0).abs() < 1e-4);
            prop_assert!((large.quantiles[1] / (times * plain.quantiles[1]) - 1.0).abs() < 1e-4);
        }
        if let (Ok(plain), Ok(large)) = (one.outlook(now, &present(50.0), 7200.0), scaled.outlook(now, &present(50.0 * times), 7200.0)) {
            prop_assert!(relative(&plain, &large, times) < 1e-4);
        }
    }

    #[test]
    fn shifting_history_by_weeks_shifts_the_forecast(weeks in 1_i64..60, days in 4_i64..50) {
        let shift = SignedDuration::from_secs(weeks * 7 * DAY);
        let history = hours(0..24 * days, busy);
        let later: Vec<Interval> =
            history.iter().map(|one| Interval { from: one.from + shift, to: one.to + shift, count: one.count }).collect();
        let one = fed(&history).slots(at(days * DAY), DAY as f64, &[0.9]).unwrap();
        let other = fed(&later).slots(at(days * DAY) + shift, DAY as f64, &[0.9]).unwrap();
        for (one, other) in one.iter().zip(&other) {
            prop_assert!((one.mean - other.mean).abs() < 1e-9 && one.quantiles == other.quantiles);
        }
    }

    #[test]
    fn no_history_panics_and_quantiles_are_ordered(
        steps in prop::collection::vec((-3_i64..200_000, -5_i64..400_000, prop_oneof![
            8 => 0.0..500.0_f64, 1 => Just(0.0), 1 => Just(f64::NAN), 1 => Just(-1.0), 1 => Just(f64::INFINITY), 1 => Just(1e14)
        ]), 0..120),
        repeat in 1_usize..4,
    ) {
        let mut forecast = ProfileForecast::new(TimeZone::get("Europe/Prague").unwrap(), 1800.0);
        let mut from = start();
        for (gap, length, count) in steps.iter().cycle().take(steps.len() * repeat) {
            from += SignedDuration::from_secs(*gap);
            let to = from + SignedDuration::from_secs(*length);
            forecast.observe(&Interval { from, to, count: *count });
            from = to.max(from);
        }
        let now = forecast.last_end().unwrap_or_else(start);
        if let Ok(slots) = forecast.slots(now, 2.0 * DAY as f64, &[0.01, 0.1, 0.5, 0.9, 0.99, 0.999]) {
            for slot in slots {
                prop_assert!(slot.mean.is_finite() && slot.mean >= 0.0);
                prop_assert!(slot.quantiles.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", slot);
                prop_assert!(slot.quantiles.iter().all(|value| value.is_finite() && *value >= 0.0));
            }
        }
        if let Ok(outlook) = forecast.outlook(now, &present(5.0), 7200.0) {
            prop_assert!(outlook.knots.windows(2).all(|pair| pair[0].x_seconds() < pair[1].x_seconds() && pair[0].mean() <= pair[1].mean()));
            prop_assert!(outlook.knots.iter().all(|knot| knot.deviation().is_finite() && knot.deviation() >= 0.0));
        }
    }
}
