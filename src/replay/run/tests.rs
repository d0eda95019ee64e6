//! Tests of the module beside.

use proptest::prelude::*;

use super::*;
use crate::replay::cells::{Happening, REGIMES, benchmark, cell};
use crate::replay::lineup::{self, Tuned};
use crate::replay::policies::{CorePolicy, Fixed, KedaSqs, tuning};
use crate::replay::scenario::{Generator, Goal, OrderSource, Slow, Window};
use crate::replay::units::{DAY, HOUR};
use crate::replay::world::Outcomes;

/// A short, small world with the given trouble.
fn small(seed: u64, orders_per_day: f64, grace_seconds: f64, concurrency: u32) -> Scenario {
    let generator = Generator { orders_per_day, ..Generator::default() };
    let mut scenario = Scenario {
        seed,
        days: 1,
        warm_up_days: 0,
        orders: OrderSource::Generator(generator),
        ..Scenario::default()
    };
    scenario.service.grace_seconds = grace_seconds;
    scenario.service.concurrency = concurrency;
    scenario.sensors.zero_minutes_per_day = 20.0;
    scenario
}

/// Drives a world with replicas that jump about; gives what became of each order.
fn jumpy(cell: &Cell, wanted: &[u32]) -> (World, Outcomes) {
    let mut world = cell.world();
    for (step, wanted) in (0_i64..).zip(wanted) {
        world.advance_to(step * DAY / 96);
        world.set_wanted(*wanted);
        assert_eq!(world.arrived(), world.completed() + world.backlog(), "no order is lost or doubled");
    }
    world.advance_to(DAY);
    let outcomes = world.outcomes().clone();
    (world, outcomes)
}

fn every_policy(cell: &Cell) -> Vec<Box<dyn ScalingPolicy>> {
    let tuned = Tuned { frozen: 15.0, hindsight: 12.0, fleet: 20 };
    let mut policies = lineup::ours(cell);
    policies.extend(lineup::peers(cell, tuned));
    policies
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_order_is_served_once_and_not_before_it_came(
        seed in 0_u64..1_000,
        orders in 100.0_f64..8_000.0,
        grace in prop_oneof![Just(0.0), Just(30.0)],
        concurrency in 1_u32..4,
        wanted in prop::collection::vec(0_u32..40, 96),
    ) {
        let cell = Cell::new(small(seed, orders, grace, concurrency)).unwrap();
        let (world, outcomes) = jumpy(&cell, &wanted);
        let completed = outcomes.completions.iter().filter(|at| **at <= DAY).count();
        prop_assert_eq!(completed, world.completed() as usize);
        for (order, arrival) in cell.orders().arrivals.iter().enumerate() {
            prop_assert!(outcomes.starts[order] >= *arrival);
            prop_assert!(outcomes.completions[order] > outcomes.starts[order] || outcomes.completions[order] == i64::MAX);
        }
    }

    #[test]
    fn served_first_in_first_out_while_nobody_is_killed(
        seed in 0_u64..1_000,
        wanted in prop::collection::vec(1_u32..30, 96),
    ) {
        let cell = Cell::new(small(seed, 6_000.0, 3_600.0, 1)).unwrap();
        let (_, outcomes) = jumpy(&cell, &wanted);
        prop_assert!(outcomes.starts.is_sorted());
    }

    #[test]
    fn work_in_hand_is_never_above_capacity(seed in 0_u64..1_000, replicas in 1_u32..20, concurrency in 1_u32..4) {
        let mut scenario = small(seed, 20_000.0, 30.0, concurrency);
        scenario.pods.initial = replicas;
        let cell = Cell::new(scenario).unwrap();
        let (_, outcomes) = jumpy(&cell, &vec![replicas; 96]);
        let begun = outcomes.starts.iter().filter(|at| **at <= DAY).map(|at| (*at, 1));
        let done = outcomes.completions.iter().filter(|at| **at <= DAY).map(|at| (*at, -1));
        let mut changes: Vec<(i64, i32)> = begun.chain(done).collect();
        // at the same moment a worker finishes before it begins anew
        changes.sort_unstable();
        let mut in_hand = 0;
        for (_, change) in changes {
            in_hand += change;
            prop_assert!(in_hand <= i32::try_from(replicas * concurrency).unwrap());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_whichever_thread_runs_it() {
    let run = || {
        let mut scenario = small(5, 4_000.0, 30.0, 1);
        (scenario.sensors.sampling_seconds, scenario.history_days) = (120.0, 8);
        let cell = Cell::new(scenario).unwrap();
        let scores: Vec<Score> =
            every_policy(&cell).iter_mut().map(|policy| cell.run(policy.as_mut())).collect();
        serde_json::to_vec(&scores).unwrap()
    };
    let (one, two) = std::thread::scope(|scope| {
        let (one, two) = (scope.spawn(run), scope.spawn(run));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(one, two);
    assert_eq!(one, run());
}

/// A day's troubles for which the oracle's bill is compared with what every policy pays. The work of
/// orders does not vary, so that its mean is what each one takes.
fn billed() -> Vec<Scenario> {
    let plain = |seed| {
        let mut scenario = small(seed, 3_000.0, 30.0, 1);
        (scenario.sensors.sampling_seconds, scenario.history_days, scenario.service.variation) =
            (60.0, 8, 0.0);
        scenario
    };
    let mut cut_off = plain(12);
    cut_off.goal = cell(REGIMES[3], Happening::Normal, 1, 1).goal;
    let mut troubled = plain(13);
    (troubled.service.grace_seconds, troubled.service.concurrency) = (0.0, 2);
    let window = Window { day: None, from_hour: 13.0, hours: 4.0 };
    troubled.service.slow = vec![Slow { window, factor: 1.8 }];
    vec![plain(11), cut_off, troubled]
}

/// Every policy of the line-up against the clairvoyant: who is in time pays at least the bill of the
/// cell's own goal. Who is late may pay less than that, and is compared with the bill of the longest
/// wait that he himself kept, as the only goal.
#[test]
fn no_policy_pays_less_than_the_oracle() {
    for scenario in billed() {
        let cell = Cell::new(scenario).unwrap();
        let bill = cell.bill().unwrap();
        assert!(bill.replica_hours_bound <= bill.replica_hours + 1e-6, "{bill:?}");
        assert!(bill.node_hours_bound <= bill.node_hours + 1e-6, "{bill:?}");
        let mut in_time = 0;
        for mut policy in every_policy(&cell) {
            let score = cell.run(policy.as_mut());
            let bill = if score.late == 0 {
                in_time += 1;
                bill
            } else {
                let kept =
                    score.wait_max_seconds.max(cell.scenario().goal.target_wait_seconds.unwrap_or(0.0));
                let goal = Goal { target_wait_seconds: Some(kept), cut_offs: Vec::new() };
                oracle::bill(&Scenario { goal, ..(**cell.scenario()).clone() }, cell.orders()).unwrap()
            };
            let (hours, nodes) = (score.replica_hours, score.node_hours);
            let seen = format!("{} late under {}: {hours} {nodes} {bill:?}", score.late, score.policy);
            assert!(hours >= bill.replica_hours_bound && nodes >= bill.node_hours_bound, "{seen}");
            assert!(hours >= bill.replica_hours && nodes >= bill.node_hours, "{seen}");
        }
        assert!(in_time > 1, "{in_time} were in time");
    }
}

#[test]
fn every_policy_runs_in_every_cell() {
    // regimes without cut-offs differ in numbers alone
    for (regime, happening) in benchmark().into_iter().filter(|(regime, _)| regime.pod_seconds > 40.0) {
        if regime == REGIMES[2] {
            continue;
        }
        let mut scenario = cell(regime, happening, 1, 3);
        // long beats: many cells in little time
        (scenario.sensors.sampling_seconds, scenario.keda.sync_seconds) = (600.0, 60.0);
        scenario.history_days = scenario.history_days.min(8);
        if let OrderSource::Generator(generator) = &mut scenario.orders {
            generator.orders_per_day = 2_000.0;
        }
        let cell = Cell::new(scenario).unwrap();
        let mut names = Vec::new();
        for mut policy in every_policy(&cell) {
            let score = cell.run(policy.as_mut());
            assert!(score.orders > 500, "{} {}", score.scenario, score.policy);
            assert!(score.replica_hours > 0.0 && score.node_hours > 0.0);
            names.push(score.policy);
        }
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed, "each policy has a name of its own");
    }
}

#[test]
fn a_fleet_well_above_the_least_peak_is_never_late_and_one_far_below_is() {
    let cell = Cell::new(cell(REGIMES[1], Happening::Normal, 1, 1)).unwrap();
    let above = cell.run(&mut Fixed::new(ceil(cell.least_peak() * 1.3)));
    assert_eq!(above.late, 0);
    let below = cell.run(&mut Fixed::new(ceil(cell.least_peak() * 0.7)));
    assert!(below.late > 0);
}

#[test]
fn the_tuned_length_beats_the_default_when_the_wait_is_long() {
    let cell = Cell::new(cell(REGIMES[0], Happening::Normal, 1, 1)).unwrap();
    let (length, best) = tuning::best_queue_length(&[&cell]);
    let best = &best[0];
    let default = cell.run(&mut KedaSqs::with_defaults());
    assert!(length > 5.0 && best.late == 0 && best.replica_hours < default.replica_hours);
}

#[test]
fn zero_to_one_and_back_is_keda_s_part() {
    let mut scenario = small(1, 0.0, 30.0, 1);
    scenario.orders = OrderSource::Generator(Generator {
        orders_per_day: 0.0,
        bursts: vec![crate::replay::scenario::Burst {
            day: 0,
            at_hour: 6.0,
            orders: 50.0,
            over_seconds: 10.0,
        }],
        ..Generator::default()
    });
    (scenario.pods.min, scenario.pods.initial) = (0, 0);
    scenario.sensors.phantom_share = 0.0;
    let cell = Cell::new(scenario).unwrap();
    let mut policy = KedaSqs::with_defaults();
    let mut control = Control::new(&cell, &mut policy);
    control.advance_to(6 * HOUR - 1);
    assert_eq!(control.world.wanted(), 0, "nothing waits");
    let score = cell.run(&mut KedaSqs::with_defaults());
    assert_eq!(score.late, 0);
    let mut policy = KedaSqs::with_defaults();
    let mut control = Control::new(&cell, &mut policy);
    control.advance_to(cell.scenario().end());
    assert_eq!((control.world.wanted(), control.world.backlog()), (0, 0), "and back after the cool-down");
}

#[test]
fn cut_offs_alone_or_beside_a_long_wait_are_kept_on_no_more_nodes_than_the_pods_need() {
    for (target_wait_seconds, service_seconds) in [(None, 90.0), (Some(50_000.0), 20.0)] {
        let mut scenario = cell(REGIMES[3], Happening::Normal, 1, 1);
        (scenario.goal.target_wait_seconds, scenario.service.mean_seconds) =
            (target_wait_seconds, service_seconds);
        (scenario.service.grace_seconds, scenario.pods.min) = (300.0, 2);
        if let OrderSource::Generator(generator) = &mut scenario.orders {
            generator.orders_per_day = 450_000.0 / service_seconds;
        }
        let cell = Cell::new(scenario).unwrap();
        let score = cell.run(&mut CorePolicy::ours(&cell));
        let needed = score.peak_replicas.div_ceil(cell.scenario().nodes.pods_per_node);
        assert_eq!(score.late, 0, "{target_wait_seconds:?}");
        assert!(score.peak_nodes <= needed + 2, "{} nodes for {}", score.peak_nodes, score.peak_replicas);
    }
}
