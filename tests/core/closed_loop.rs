//! The core in a closed loop with a centre that has no noise.

use peakscaler::core::decision::BoundKind;
use peakscaler::core::{Policy, ServiceRate};

use crate::centre::Centre;

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
            assert!(span <= (0.05 * needed).max(1.0), "wait {wait}, rate {rate}: from {least} to {most}");
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
    assert!((centre.last.unwrap().service_rate - 0.05).abs() < 1e-12);
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
