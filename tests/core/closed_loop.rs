//! The core in a closed loop with a centre that has no noise.

use peakscaler::core::decision::BoundKind;
use peakscaler::core::demand::calendar::{CalendarSpec, PeakSpec};
use peakscaler::core::{Policy, ServiceRate};

use crate::centre::{Centre, TICK_SECONDS, moment};

fn policy(target_wait_seconds: f64) -> Policy {
    Policy {
        target_wait_seconds: Some(target_wait_seconds),
        pod_lead_seconds: 30.0,
        max_replicas: 500,
        min_replicas: 1,
        ..Policy::default()
    }
}

#[test]
fn no_order_is_late_on_a_ramp_that_the_bounds_allow() {
    for wait in [120.0, 300.0, 900.0] {
        let mut centre = Centre::new(policy(wait), 30.0, 16);
        // Five times the orders within two hours, and back.
        centre.run(6.0 * 3600.0, |t| 0.5 * (1.0 + 4.0 * (1.0 - (t / 3600.0 - 3.0).abs() / 2.0).max(0.0)));
        assert!(centre.longest_wait <= wait, "wait {wait}: {}", centre.longest_wait);
    }
}

/// Ordinary orders a second: a day's hill around 13:00, four hours after the start.
fn usual(seconds: f64) -> f64 {
    let hours = (seconds / 3600.0 + 9.0).rem_euclid(24.0);
    0.1 + 0.9 * (1.0 - (hours - 13.0).abs() / 8.0).max(0.0)
}

/// From the third hour on `times` as many for two hours, within ten minutes.
fn peak(times: f64) -> impl Fn(f64) -> f64 {
    move |seconds| {
        let into = ((seconds - 10_800.0) / 600.0).min((18_600.0 - seconds) / 600.0).clamp(0.0, 1.0);
        usual(seconds) * (1.0 + (times - 1.0) * into)
    }
}

#[test]
fn a_peak_without_an_entry_is_not_worse_than_without_a_forecast() {
    for wait in [120.0, 300.0] {
        for times in [2.0, 8.0] {
            let start = || Centre::new(policy(wait), 30.0, 16);
            let (mut with, mut without) = (start().knows(usual, None), start());
            for centre in [&mut with, &mut without] {
                centre.run(6.0 * 3600.0, peak(times));
            }
            let (waited, before) = (with.longest_wait, without.longest_wait);
            let more = with.replica_seconds() / without.replica_seconds();
            let told =
                format!("wait {wait}, {times} times: {waited} s for {before} s, {more:.3} x the replicas");
            assert!(waited <= wait && waited <= before + TICK_SECONDS && more <= 1.02, "{told}");
        }
    }
}

/// Two hours of so many times the ordinary are told, and ordinary ones come.
#[test]
fn an_entry_too_high_costs_at_most_the_ramp() {
    const STARTS: f64 = 10_800.0;
    for wait in [120.0, 300.0] {
        for uplift in [2.0, 8.0] {
            let local = |seconds| moment(seconds).strftime("%Y-%m-%dT%H:%M:%S").to_string();
            let sale = PeakSpec {
                name: "sale".to_owned(),
                from: local(STARTS),
                to: local(STARTS + 7200.0),
                uplift: Some(uplift),
                ..PeakSpec::default()
            };
            let told = CalendarSpec { peaks: vec![sale], ..CalendarSpec::default() };
            let start = || Centre::new(policy(wait), 30.0, 16);
            let (mut with, mut without) = (start().knows(usual, Some(&told)), start().knows(usual, None));
            for centre in [&mut with, &mut without] {
                centre.run(6.0 * 3600.0, usual);
            }
            // Of the two hours of more replicas that the entry tells of, a quarter of an hour is paid.
            let said = (uplift - 1.0) * usual(STARTS) * 30.0;
            let paid_seconds = (with.replica_seconds() - without.replica_seconds()) / said;
            assert!(
                with.longest_wait <= wait && paid_seconds <= 900.0,
                "wait {wait}, uplift {uplift}: {paid_seconds:.0} s of {said:.0} replicas, {} s waited",
                with.longest_wait
            );
        }
    }
}

#[test]
fn a_flat_queue_does_not_oscillate() {
    for wait in [120.0, 300.0, 900.0] {
        for rate in [0.31, 0.5, 2.17] {
            let mut centre = Centre::new(policy(wait), 30.0, 10);
            centre.run(2.0 * 3600.0, |_| rate);
            let settled = centre.decided.len();
            centre.run(4.0 * 3600.0, |_| rate);
            let numbers = &centre.decided[settled..];
            let changes = numbers.windows(2).filter(|pair| pair[0] != pair[1]).count();
            let (least, most) = (numbers.iter().min().unwrap(), numbers.iter().max().unwrap());
            let needed = rate * 30.0;
            let span = f64::from(most - least);
            // A step up waits until 4 % are missing, and stays until the queue is worked off: then fewer will do for a while.
            assert!(span <= (0.12 * needed).max(2.0), "wait {wait}, rate {rate}: from {least} to {most}");
            assert!(changes <= 8, "wait {wait}, rate {rate}: {changes} changes in two hours");
            assert!(f64::from(*most) <= 1.05 * needed + 1.6, "wait {wait}, rate {rate}: {most} for {needed}");
        }
    }
}

#[test]
fn a_start_wrong_by_three_is_learned_from_the_orders() {
    for service_seconds in [10.0, 90.0] {
        let mut centre = Centre::new(policy(300.0), service_seconds, 5);
        centre.run(1800.0, |_| 0.5);
        let rate = centre.last.as_ref().unwrap().service_rate * service_seconds;
        assert!((rate - 1.0).abs() < 0.1, "{service_seconds}: {rate}");
    }
}

#[test]
fn a_given_service_rate_is_not_learned_over() {
    let given = Policy { service_rate: ServiceRate::PerMinute(3.0), ..policy(300.0) };
    let mut centre = Centre::new(given, 30.0, 5);
    centre.run(1800.0, |_| 0.5);
    let last = centre.last.unwrap();
    assert!((last.service_rate - 0.05).abs() < 1e-12);
    assert!(last.reason.contains("does 3.00/min (as given), but only 2."), "{}", last.reason);
}

#[test]
fn with_nothing_to_do_it_goes_to_zero_and_stays() {
    let mut centre = Centre::new(Policy { min_replicas: 0, ..policy(300.0) }, 30.0, 10);
    centre.run(3600.0, |t| if t < 1800.0 { 0.3 } else { 0.0 });
    centre.run(3.0 * 3600.0, |_| 0.0);
    assert_eq!(centre.decided.last(), Some(&0));
    let last_hour = &centre.decided[centre.decided.len() - 240..];
    assert!(last_hour.iter().all(|desired| *desired == 0));
}

#[test]
fn a_full_queue_at_the_start_is_not_planned_for_at_a_guessed_rate() {
    // Ten seconds an order where thirty are assumed, and a backlog that a guess would want hundreds for.
    let mut centre = Centre::new(policy(300.0), 10.0, 0);
    centre.enqueue(2000.0);
    centre.run(30.0, |_| 0.5);
    assert!(centre.decided.iter().all(|desired| *desired == 10), "{:?}", centre.decided);
    let last = centre.last.as_ref().unwrap();
    assert!(last.reason.contains("no service rate was seen yet"), "{}", last.reason);
    assert!(last.bounds.iter().any(|bound| bound.kind == BoundKind::Unlearned), "{:?}", last.bounds);
    centre.run(900.0, |_| 0.5);
    assert!(centre.longest_wait <= 300.0, "{}", centre.longest_wait);
}

#[test]
fn workers_that_are_never_read_are_planned_without() {
    let mut centre = Centre::new(policy(300.0), 30.0, 10);
    centre.tells_replicas = false;
    centre.run(4.0 * 3600.0, |t| if t < 7200.0 { 1.0 } else { 0.3 });
    assert!(centre.longest_wait <= 300.0, "{}", centre.longest_wait);
    let last = *centre.decided.last().unwrap();
    assert!((9..=14).contains(&last), "9 are needed: {last}");
}
