//! The core in worlds drawn at random: what must hold in all of them.
//!
//! A few worlds are run in an unoptimised build; `WORLDS=500` runs so many.

use peakscaler::core::decision::BoundKind;
use peakscaler::core::{DecisionRecord, Policy, ServiceRate};

use crate::draw;
use crate::world::{Outcome, Shape, World};

/// Seeds to run.
fn seeds(few: u64) -> std::ops::Range<u64> {
    1..1 + std::env::var("WORLDS").ok().and_then(|worlds| worlds.parse().ok()).unwrap_or(few)
}

/// The drawn world without shocks, and with a wait that leaves time for pods, nodes and learning.
pub(crate) fn ample(seed: u64) -> World {
    let mut world = draw::world(seed);
    let lead = world.pod_lead + world.nodes.map_or(0.0, |(lead, _)| lead);
    let sight = f64::from(world.instruments.poll_seconds + world.instruments.lag_seconds);
    let wait = (6.0 * (lead + sight)).max(3.0 * world.service_seconds).max(600.0);
    world.policy.target_wait_seconds = Some(wait);
    world.lumps = (0, 1.0, 1);
    (world.slow, world.instruments.blackout, world.instruments.zeros) = (None, None, None);
    if let Shape::Hill(times) | Shape::Step(times) | Shape::Waves(times) = world.shape {
        world.shape = Shape::Hill(times.min(3.0));
    }
    world
}

/// Prints how the core does in many worlds, by what is counted in them.
#[test]
#[ignore = "prints figures: WORLDS=600 cargo test --profile profiling --test core figures -- --ignored --nocapture"]
fn figures() {
    let worlds: Vec<_> = seeds(600).map(draw::world).collect();
    let half = worlds.len() / 2;
    let run = |worlds: &[World]| worlds.iter().map(World::run).collect::<Vec<_>>();
    let outcomes = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(&worlds[half..]));
        let mut outcomes = run(&worlds[..half]);
        outcomes.extend(other.join().unwrap());
        outcomes
    });
    println!(
        "counted      worlds  late orders  mean of worlds  idle  peak over least  actions a day  hours over work"
    );
    for (counted, arrivals, completions) in [
        ("both", true, true),
        ("arrivals", true, false),
        ("completions", false, true),
        ("nothing", false, false),
    ] {
        let here: Vec<_> = worlds
            .iter()
            .zip(&outcomes)
            .filter(|(world, _)| {
                world.instruments.arrivals_delay.is_some() == arrivals
                    && world.instruments.completions_delay.is_some() == completions
            })
            .collect();
        let mean = |of: &dyn Fn(&Outcome) -> f64| {
            here.iter().map(|(_, outcome)| of(outcome)).sum::<f64>() / here.len() as f64
        };
        let late = |outcome: &Outcome| f64::from(outcome.late);
        let orders = |outcome: &Outcome| f64::from(outcome.orders).max(1.0);
        println!(
            "{counted:11} {:7} {:10.3} % {:13.3} % {:5.3} {:16.2} {:14.0} {:16.3}",
            here.len(),
            100.0 * mean(&late) / mean(&orders),
            100.0 * mean(&|outcome| late(outcome) / orders(outcome)),
            mean(&|outcome| outcome.idle_replicas() / (outcome.needed() + 1.0)),
            mean(&|outcome| (f64::from(outcome.peak) / outcome.least_peak.max(1.0)).ln()).exp(),
            mean(&Outcome::actions_a_day),
            mean(&|outcome| outcome.hours_over_work().min(20.0)),
        );
    }
}

fn summary(outcome: &Outcome, world: &World) -> String {
    format!(
        "seed {}: {} of {} late, longest wait {:.0} s, {:.2} x the work, {:.1} idle, peak {}, {:.0} actions a day",
        world.seed,
        outcome.late,
        outcome.orders,
        outcome.longest_wait,
        outcome.hours_over_work(),
        outcome.idle_replicas(),
        outcome.peak,
        outcome.actions_a_day()
    )
}

#[test]
fn with_ample_time_no_order_is_late_and_little_is_idle() {
    for seed in seeds(6) {
        let world = ample(seed);
        let outcome = world.run();
        let text = summary(&outcome, &world);
        let needed = outcome.needed();
        assert_eq!(outcome.late, 0, "{text}");
        assert!(outcome.idle_replicas() <= 1.2 + 0.35 * needed, "{text}; {needed:.1} are needed");
        assert!(outcome.actions_a_day() <= 1000.0, "{text}");
    }
}

#[test]
fn a_queue_that_cannot_be_read_never_scales_down() {
    for seed in seeds(4) {
        let mut world = draw::world(seed);
        world.instruments.blackout = Some((9000, 9600));
        let outcome = world.run();
        let before = outcome.records.iter().rev().find(|(at, _)| *at < 9075).and_then(|(_, one)| one.desired);
        let stale = 9000.0 + world.policy.stale_after_seconds + f64::from(world.instruments.poll_seconds);
        let mut held = before.unwrap();
        for (at, record) in outcome.records.iter().filter(|(at, _)| (9075..9600).contains(at)) {
            match record.desired {
                Some(desired) => {
                    assert!(desired >= held, "seed {seed} at {at}: {desired} after {held}");
                    held = desired;
                }
                None => assert!(record.error.as_ref().is_some_and(|error| error.code == "UNAVAILABLE")),
            }
            assert!(f64::from(*at) < stale || record.desired.is_none(), "seed {seed} at {at}");
        }
        assert!(outcome.records.last().unwrap().1.desired.is_some(), "seed {seed} came back");
    }
}

#[test]
fn a_rate_wrong_by_three_heals_within_minutes() {
    for seed in seeds(4) {
        for (service_seconds, knows) in [(10.0, true), (90.0, true), (90.0, false)] {
            let mut world =
                World { service_seconds, rate: 0.2, restart: None, slow: None, ..draw::world(seed) };
            world.policy = Policy { service_rate: ServiceRate::Learned, ..world.policy };
            (world.shape, world.lumps, world.seconds) = (Shape::Flat, (0, 1.0, 1), 2700);
            (world.pods_at_start, world.nodes) = (5, None);
            let instruments = &mut world.instruments;
            (instruments.noise, instruments.lag_seconds, instruments.poll_seconds) = (0.02, 5, 15);
            (instruments.arrivals_delay, instruments.tells_replicas) = (Some(60), true);
            instruments.completions_delay = knows.then_some(60);
            (instruments.blackout, instruments.zeros) = (None, None);
            let outcome = world.run();
            let learned = outcome.records.last().unwrap().1.service_rate * service_seconds;
            assert!(
                (0.7..1.4).contains(&learned),
                "seed {seed}, {service_seconds} s: {learned} of the true rate"
            );
        }
    }
}

#[test]
fn counts_that_stop_leave_what_the_workers_do_known() {
    for seed in 1..4 {
        let mut world = World { service_seconds: 20.0, rate: 0.6, ..ample(seed) };
        world.policy.target_wait_seconds = Some(300.0);
        (world.service_variation, world.shape, world.lumps) = (0.5, Shape::Waves(2.0), (6, 100.0, 20));
        (world.restart, world.slow, world.pods_at_start, world.backlog_at_start) = (None, None, 12, 0);
        let instruments = &mut world.instruments;
        (instruments.poll_seconds, instruments.lag_seconds, instruments.noise) = (15, 15, 0.02);
        (instruments.arrivals_delay, instruments.completions_delay) = (Some(60), Some(60));
        instruments.tells_replicas = true;
        instruments.uncounted = Some((3600, world.seconds));
        let outcome = world.run();
        let rate = outcome.records.last().unwrap().1.service_rate * 20.0;
        assert!((0.5..2.2).contains(&rate), "seed {seed}: {rate} of the true rate after four hours");
        let guessed =
            |record: &DecisionRecord| record.bounds.iter().any(|bound| bound.kind == BoundKind::Unlearned);
        assert!(!outcome.records.iter().any(|(at, record)| *at > 3600 && guessed(record)), "seed {seed}");
    }
}

#[test]
fn a_counter_a_minute_late_makes_no_slow_workers_of_a_step() {
    for seed in 1..4 {
        let mut world = World { service_seconds: 30.0, rate: 1.0 / 3.0, ..ample(seed) };
        world.policy.target_wait_seconds = Some(300.0);
        (world.service_variation, world.shape) = (0.4, Shape::Step(4.0));
        (world.restart, world.nodes, world.pod_lead) = (None, None, 30.0);
        (world.pods_at_start, world.backlog_at_start) = (5, 0);
        let instruments = &mut world.instruments;
        (instruments.poll_seconds, instruments.lag_seconds, instruments.noise) = (15, 60, 0.03);
        (instruments.arrivals_delay, instruments.completions_delay) = (Some(60), None);
        instruments.tells_replicas = true;
        let outcome = world.run();
        let text = summary(&outcome, &world);
        assert!(outcome.late == 0 && f64::from(outcome.peak) < 1.6 * 40.0, "{text}; 40 are needed");
    }
}

#[test]
fn dispatches_are_kept_beside_any_wait() {
    for seed in seeds(8) {
        let mut world = draw::with_cut_offs(seed);
        (world.slow, world.lumps) = (None, (0, 1.0, 1));
        (world.instruments.arrivals_delay, world.instruments.completions_delay) = (Some(60), Some(60));
        let least = 6.0 * (world.pod_lead + world.nodes.map_or(0.0, |(lead, _)| lead)) + 600.0;
        for cut_off in &mut world.policy.cut_offs {
            cut_off.within_seconds = cut_off.within_seconds.max(least + 3.0 * world.service_seconds);
        }
        world.policy.target_wait_seconds = world.policy.target_wait_seconds.map(|wait| wait.max(least));
        let outcome = world.run();
        let text = summary(&outcome, &world);
        assert!(f64::from(outcome.late) <= 0.002 * f64::from(outcome.orders), "{text}");
    }
}
