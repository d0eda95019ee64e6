//! Draws worlds: slack, service times, volumes, shapes, lies of the counters and what is missing.

use peakscaler::core::{CutOff, Policy, ServiceRate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::{Instruments, START_SECONDS_OF_DAY, Shape, World};

/// The world of a seed.
pub(crate) fn world(seed: u64) -> World {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x9e37_79b9);
    let mut between = |low: f64, high: f64| (random.random_range(low.ln()..high.ln())).exp();
    let service_seconds = between(3.0, 400.0).round();
    let needed = between(0.3, 60.0);
    let pod_lead = between(10.0, 90.0).round();
    let node_lead = between(60.0, 240.0).round();
    let slack = between(2.0, 20.0);
    let lump = between(20.0, 200.0);
    let times = between(1.5, 5.0);
    let seconds = 5 * 3600;
    let rate = (needed / service_seconds).min(4.0);
    let chance = |random: &mut ChaCha8Rng, share: f64| random.random_bool(share);
    let poll_seconds = [5, 10, 15, 30, 60][random.random_range(0..5)];
    let wait = (slack * (pod_lead + 25.0)).max(60.0).round();
    let knows = random.random_range(0..4);
    let delay = [0, 60, 180][random.random_range(0..3)];
    let middle = seconds / 2;
    let has_nodes = chance(&mut random, 0.6);
    let shapes = [Shape::Flat, Shape::Flat, Shape::Hill(times), Shape::Step(times), Shape::Waves(times)];
    World {
        seed,
        policy: Policy {
            target_wait_seconds: Some(wait),
            service_rate: ServiceRate::Learned,
            min_replicas: u32::from(chance(&mut random, 0.5)),
            max_replicas: 2000,
            pod_lead_seconds: pod_lead,
            node_lead_seconds: node_lead,
            ..Policy::default()
        },
        seconds,
        unscored_seconds: 1800,
        rate,
        shape: shapes[random.random_range(0..shapes.len())],
        lumps: if chance(&mut random, 0.3) { (6, (lump * rate).max(5.0), 20) } else { (0, 1.0, 1) },
        service_seconds,
        service_variation: random.random_range(0.0..0.8),
        slow: chance(&mut random, 0.2).then_some((middle, middle + 3600, 1.8)),
        pod_lead,
        nodes: has_nodes.then(|| (node_lead, random.random_range(2..9))),
        node_limit: 10_000,
        pods_at_start: random.random_range(0..8),
        backlog_at_start: if chance(&mut random, 0.3) { random.random_range(0..200) } else { 0 },
        restart: chance(&mut random, 0.2).then_some(middle + 1800),
        instruments: Instruments {
            poll_seconds,
            noise: if chance(&mut random, 0.5) { random.random_range(0.0..0.2) } else { 0.0 },
            lag_seconds: if chance(&mut random, 0.5) { random.random_range(0..60) } else { 5 },
            arrivals_delay: (knows != 1 && knows != 3).then_some(delay),
            completions_delay: (knows != 2 && knows != 3).then_some(delay),
            uncounted: None,
            tells_replicas: chance(&mut random, 0.85),
            tells_nodes: has_nodes && chance(&mut random, 0.7),
            blackout: chance(&mut random, 0.15).then_some((middle + 600, middle + 900)),
            zeros: chance(&mut random, 0.2).then_some((middle + 1200, middle + 1260)),
        },
    }
}

/// The same with carriers that cut off: nothing else due, or a wait of hours, or the drawn one.
pub(crate) fn with_cut_offs(seed: u64) -> World {
    let mut world = world(seed);
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5bd1_e995);
    let waits = [None, Some(random.random_range(1.0..20.0_f64) * 3600.0), world.policy.target_wait_seconds];
    world.policy.target_wait_seconds = waits[random.random_range(0..3)];
    let lead = world.pod_lead + world.nodes.map_or(0.0, |(lead, _)| lead);
    let least = 3.0 * (lead + world.service_seconds);
    for carrier in 0..random.random_range(1..4) {
        world.policy.cut_offs.push(CutOff {
            name: format!("carrier {carrier}"),
            weekdays: [true; 7],
            at_seconds_of_day: START_SECONDS_OF_DAY + random.random_range(3600..15_000),
            within_seconds: random.random_range(least..least + 3000.0),
        });
    }
    world
}
