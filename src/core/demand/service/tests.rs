//! The service rate as it is learned.

use super::*;

fn reading(visible: f64, in_flight: f64) -> QueueReading {
    QueueReading { visible, in_flight, ..QueueReading::default() }
}

/// Reads the same every 15 s for so many seconds from a moment on, and learns `done` orders of each minute.
fn live(
    learner: &mut ServiceLearner,
    (from, seconds): (u32, u32),
    reading: &QueueReading,
    ready: u32,
    done: f64,
) {
    for step in 0..=(seconds / 15) {
        let now = f64::from(from + step * 15);
        learner.sample(now, reading, Some(ready));
        if step % 4 == 0 && step > 0 {
            learner.learn(now - 60.0, now, done);
        }
    }
}

/// `ready` workers at `per_second` each; arrivals at `arrivals` a second; returns the estimate.
fn run(
    learner: &mut ServiceLearner,
    from: u32,
    seconds: u32,
    ready: u32,
    per_second: f64,
    arrivals: f64,
) -> f64 {
    let capacity = f64::from(ready) * per_second;
    let (done, visible) = if arrivals >= capacity { (capacity, 500.0) } else { (arrivals, 0.0) };
    live(learner, (from, seconds), &reading(visible, done / per_second), ready, done * 60.0);
    learner.estimate(ServiceRate::Learned).per_second
}

#[test]
fn a_start_wrong_by_three_heals_within_minutes_both_ways_saturated_or_idle() {
    for (label, per_second, arrivals) in [
        ("faster, deep queue", PRIOR_PER_MINUTE / 20.0, 100.0),
        ("slower, deep queue", PRIOR_PER_MINUTE / 180.0, 100.0),
        ("faster, empty queue", PRIOR_PER_MINUTE / 20.0, 0.5),
        ("slower, empty queue", PRIOR_PER_MINUTE / 180.0, 0.05),
    ] {
        let rate = run(&mut ServiceLearner::default(), 0, 300, 10, per_second, arrivals);
        assert!((rate / per_second - 1.0).abs() < 0.2, "{label}: {rate} for {per_second}");
    }
}

#[test]
fn idle_workers_beside_messages_that_none_receives_are_not_at_work() {
    let mut learner = ServiceLearner::default();
    live(&mut learner, (0, 1200), &reading(107.0, 7.0), 50, 21.0);
    let seconds = 1.0 / learner.estimate(ServiceRate::Learned).per_second;
    assert!((10.0..30.0).contains(&seconds), "{seconds} s an order, 20 in truth, 140 if all were at work");
}

/// Workers that hold ten messages at once and work on one after the other, or on all: the estimate, after quiet hours
/// and busy ones.
fn holding_ten(begun_at_once: f64) -> Service {
    let mut learner = ServiceLearner::default();
    let seconds = 30.0;
    for (in_flight, ready, visible, minutes) in [(1.0, 4, 0.0, 60), (50.0, 5, 400.0, 30)] {
        let start = if visible > 0.0 { 3600 } else { 0 };
        // One that is alone takes as long either way.
        let done = if visible > 0.0 { f64::from(ready) * begun_at_once } else { in_flight } / seconds;
        live(&mut learner, (start, minutes * 60), &reading(visible, in_flight), ready, 60.0 * done);
    }
    learner.estimate(ServiceRate::Learned)
}

#[test]
fn what_a_worker_holds_in_advance_has_not_begun() {
    let one_by_one = holding_ten(1.0);
    assert!((0.9..1.3).contains(&one_by_one.concurrency), "{one_by_one:?}");
    assert!((one_by_one.seconds_per_order() / 30.0 - 1.0).abs() < 0.2, "{one_by_one:?}");
    let together = holding_ten(10.0);
    assert!(together.concurrency > 8.0, "{together:?}");
    assert!((together.seconds_per_order() / 30.0 - 1.0).abs() < 0.2, "{together:?}");
}

#[test]
fn workers_that_are_full_without_a_queue_hold_more_at_once() {
    let mut learner = ServiceLearner::default();
    live(&mut learner, (0, 14_400), &reading(0.0, 30.0), 10, 30.0);
    let service = learner.estimate(ServiceRate::Learned);
    // They have three each; how many more they could take is not seen.
    assert!((2.8..3.6).contains(&service.concurrency), "{service:?}");
    assert!((service.seconds_per_order() / 60.0 - 1.0).abs() < 0.15, "{service:?}");
}

#[test]
fn arrivals_and_the_queue_tell_what_was_completed() {
    for per_second in [1.0 / 10.0, 1.0 / 300.0] {
        let (mut learner, mut queue, mut from) = (ServiceLearner::default(), 4000.0, 60.0);
        for step in 1..=80_u32 {
            let at = f64::from(step * 15);
            queue += 15.0 * (0.2 - 10.0 * per_second);
            learner.sample(at, &reading(queue, 10.0), Some(10));
            if step % 4 == 0 && at > from && learner.learn_from_arrivals(from, at, 0.2 * (at - from), 2.0) {
                from = at;
            }
        }
        let rate = learner.estimate(ServiceRate::Learned).per_second;
        assert!((rate / per_second - 1.0).abs() < 0.2, "{rate} for {per_second}");
    }
}

#[test]
fn what_was_learned_before_a_restart_counts_until_it_is_contradicted() {
    let mut learner = ServiceLearner::default();
    learner.resume(0.1, 2.0, true);
    let service = learner.estimate(ServiceRate::Learned);
    assert!((service.per_second - 0.1).abs() < 1e-9 && service.source == ServiceSource::Learned);
    let rate = run(&mut learner, 0, 300, 10, 0.4, 100.0);
    assert!((rate / 0.4 - 1.0).abs() < 0.2, "{rate}");
    learner.resume(0.1, 2.0, true);
    assert!((learner.estimate(ServiceRate::Learned).per_second - rate).abs() < 1e-9, "too late to resume");
}

#[test]
fn a_deploy_that_slows_work_is_noticed_within_three_minutes() {
    let mut learner = ServiceLearner::default();
    run(&mut learner, 0, 3600, 20, 1.0 / 30.0, 100.0);
    let rate = run(&mut learner, 3600, 180, 20, 1.0 / 54.0, 100.0);
    assert!((rate * 54.0 - 1.0).abs() < 0.15, "{rate}");
}

#[test]
fn pods_that_finish_their_order_after_a_step_down_are_no_faster_workers() {
    let mut learner = ServiceLearner::default();
    run(&mut learner, 0, 3600, 60, 1.0 / 300.0, 100.0);
    for step in 1..=20_u32 {
        // Sixty orders that were begun end one by one; only five pods are still ready.
        let at = f64::from(3600 + step * 15);
        learner.sample(at, &reading(0.0, (60.0 - 3.0 * f64::from(step)).max(5.0)), Some(5));
        if step % 4 == 0 {
            learner.learn(at - 60.0, at, 12.0);
        }
    }
    let rate = learner.estimate(ServiceRate::Learned).per_second * 300.0;
    assert!((0.7..1.8).contains(&rate), "{rate}");
}

#[test]
fn workers_that_begin_together_and_complete_nothing_yet_are_no_slower() {
    let mut learner = ServiceLearner::default();
    run(&mut learner, 0, 3600, 5, 1.0 / 240.0, 100.0);
    let known = learner.estimate(ServiceRate::Learned).per_second;
    for step in 1..=14_u32 {
        let at = f64::from(3600 + step * 15);
        learner.sample(at, &reading(500.0, 80.0), Some(80));
        if step % 4 == 0 {
            learner.learn(at - 60.0, at, 1.0);
        }
    }
    let rate = learner.estimate(ServiceRate::Learned).per_second / known;
    assert!((0.5..1.2).contains(&rate), "{rate}");
}

#[test]
fn prefetching_workers_do_not_mislead() {
    let mut learner = ServiceLearner::default();
    for step in 0..=80_u32 {
        learner.sample(f64::from(step * 15), &reading(500.0, 100.0), Some(10));
        if step % 4 == 0 && step > 0 {
            let end = f64::from(step * 15);
            learner.learn(end - 60.0, end, 20.0);
        }
    }
    let service = learner.estimate(ServiceRate::Learned);
    assert!((service.per_second * 30.0 - 1.0).abs() < 0.1, "{service:?}");
    assert!((service.concurrency - 10.0).abs() < 0.5, "{service:?}");
}
