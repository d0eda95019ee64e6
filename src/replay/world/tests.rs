//! Tests of the module beside.

use proptest::prelude::*;

use super::*;
use crate::replay::run::Cell;
use crate::replay::scenario::{Generator, OrderSource, Slow, Window};
use crate::replay::units::{DAY, HOUR, SECOND};

fn scenario(orders_per_day: f64) -> Scenario {
    let generator = Generator { orders_per_day, ..Generator::default() };
    Scenario { days: 1, warm_up_days: 0, orders: OrderSource::Generator(generator), ..Scenario::default() }
}

fn exactly(arrivals: Vec<Millis>, scenario: Scenario) -> World {
    let orders = Orders { work: vec![1.0; arrivals.len()], arrivals, history: Vec::new() };
    World::new(Arc::new(scenario), Arc::new(orders), None)
}

#[test]
fn orders_are_served_first_in_first_out_at_the_mean_work() {
    let mut scenario = scenario(0.0);
    scenario.pods.initial = 1;
    let mut world = exactly(vec![0, 1_000, 2_000], scenario);
    world.advance_to(30 * SECOND);
    assert_eq!((world.waiting(), world.in_flight(), world.completed()), (1, 1, 1));
    assert_eq!(world.oldest_wait(), Some(28 * SECOND));
    world.advance_to(61 * SECOND);
    let (outcomes, _) = world.finish();
    assert_eq!(outcomes.completions, [20_000, 40_000, 60_000]);
}

#[test]
fn a_killed_order_returns_after_its_visibility_time_out_ahead_of_the_others() {
    let mut scenario = scenario(0.0);
    scenario.pods.initial = 2;
    scenario.service.grace_seconds = 0.0;
    scenario.service.visibility_timeout_seconds = 50.0;
    let mut world = exactly(vec![0, 0, 1_000, 2_000, 3_000, 3_000], scenario);
    world.advance_to(10 * SECOND);
    world.set_wanted(1);
    assert_eq!((world.ready(), world.in_flight(), world.waiting()), (1, 2, 4));
    world.advance_to(200 * SECOND);
    assert_eq!(world.tally().orders_killed(), 1);
    let (outcomes, _) = world.finish();
    // killed at 10 s, visible again at 50 s, begun when the worker is next free
    assert_eq!(outcomes.starts.iter().max(), Some(&100_000));
    assert!(outcomes.starts[..2].contains(&60_000), "{:?}", outcomes.starts);
    assert!(outcomes.completions.iter().all(|at| *at < NEVER));
}

/// Replicas that jump each quarter of an hour, workers killed at once, a slow afternoon.
fn troubled(seed: u64, orders: f64, concurrency: u32) -> World {
    let mut scenario = Scenario { seed, ..scenario(orders) };
    let window = Window { day: None, from_hour: 9.0, hours: 7.0 };
    scenario.service.slow = vec![Slow { window, factor: 2.5 }];
    (scenario.service.grace_seconds, scenario.service.concurrency) = (0.0, concurrency);
    Cell::new(scenario).unwrap().world()
}

/// Moves a world on from one event to the next; `look` sees it before and after each.
fn event_by_event(mut world: World, wanted: &[u32], mut look: impl FnMut(&World, &World)) {
    for (quarter, wanted) in (0_i64..).zip(wanted) {
        world.set_wanted(*wanted);
        let until = (quarter + 1) * DAY / 96;
        while world.now < until {
            let before = world.clone();
            let arrival = world.orders.arrivals.get(world.arrived).copied().unwrap_or(NEVER);
            let event = world.events.peek().map_or(NEVER, |Reverse((at, ..))| *at);
            world.advance_to(arrival.min(event).min(until));
            look(&before, &world);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// What was completed took no more work than all places of ready workers had time for.
    #[test]
    fn completions_are_never_above_what_ready_workers_had_time_for(
        seed in 0_u64..1_000,
        concurrency in 1_u32..4,
        wanted in prop::collection::vec(0_u32..12, 96),
    ) {
        let (mut capacity, mut done, mut killed) = (0, 0, 0);
        event_by_event(troubled(seed, 400.0, concurrency), &wanted, |before, after| {
            // nothing that is ready changes between two events
            capacity += i64::from(before.ready() * concurrency) * (after.now - before.now);
            for order in 0..after.arrived {
                if after.outcomes.completions[order] < NEVER && before.outcomes.completions[order] == NEVER {
                    let slow = after.scenario.service.factor(after.outcomes.starts[order]);
                    done += millis(20.0 * f64::from(after.orders.work[order]) * slow);
                }
            }
            assert!(done <= capacity, "{done} of work in {capacity} of time");
            killed = after.tally.orders_killed();
        });
        prop_assume!(done > 0 && killed > 0);
    }

    /// Whoever is begun, nobody who stands before him in the line is left waiting.
    #[test]
    fn the_first_in_line_is_served_first_with_those_who_return_at_the_head(
        seed in 0_u64..1_000,
        concurrency in 1_u32..4,
        wanted in prop::collection::vec(0_u32..6, 96),
    ) {
        let mut again = 0;
        event_by_event(troubled(seed, 400.0, concurrency), &wanted, |before, after| {
            let head = before.returned.peek().map_or(before.fresh, |Reverse(order)| *order as usize);
            let waited = head < before.arrived;
            let begun = |order: &usize| {
                let (was, is) = (before.outcomes.starts[*order], after.outcomes.starts[*order]);
                is == after.now && was != is
            };
            if let Some(first) = (0..after.arrived).find(begun) {
                assert!(!waited || first <= head, "{first} was begun and {head} waits");
                again += u32::from(waited && first < before.fresh);
            }
        });
        // a case without anybody who returns shows nothing
        prop_assume!(again > 0);
    }
}

#[test]
fn grace_lets_a_stopping_worker_finish() {
    let mut scenario = scenario(0.0);
    scenario.pods.initial = 2;
    let mut world = exactly(vec![0, 0, 0], scenario);
    world.advance_to(5 * SECOND);
    world.set_wanted(1);
    world.advance_to(100 * SECOND);
    assert_eq!((world.completed(), world.tally().orders_killed()), (3, 0));
}

#[test]
fn a_pod_without_room_waits_for_batch_node_and_start() {
    let mut scenario = scenario(0.0);
    scenario.pods.initial = 4;
    (scenario.pods.lead_variation, scenario.nodes.lead_variation) = (0.0, 0.0);
    let mut world = exactly(Vec::new(), scenario);
    world.advance_to(SECOND);
    world.set_wanted(5);
    assert_eq!((world.pending(), world.nodes_coming()), (1, 0));
    world.advance_to(2 * SECOND);
    assert_eq!(world.nodes_coming(), 1, "the batch idles for one second");
    world.advance_to(102 * SECOND);
    assert_eq!((world.pending(), world.starting()), (0, 1));
    world.advance_to(146 * SECOND);
    assert_eq!(world.ready(), 4);
    world.advance_to(147 * SECOND);
    assert_eq!(world.ready(), 5);
    assert_eq!(world.measured_leads().node_seconds, Some(100.0));
    assert_eq!(world.measured_leads().pod_seconds, Some(45.0));
}

#[test]
fn a_buffer_buys_room_ahead_and_buys_it_again() {
    let mut scenario = scenario(0.0);
    scenario.pods.initial = 4;
    let mut world = exactly(Vec::new(), scenario);
    world.set_buffer(8);
    world.advance_to(200 * SECOND);
    assert_eq!(world.node_slots().free_slots, 8);
    world.set_wanted(8);
    assert_eq!((world.pending(), world.starting()), (0, 4));
    world.advance_to(400 * SECOND);
    assert_eq!(world.node_slots().free_slots, 8, "refilled");
    world.set_buffer(0);
    world.advance_to(HOUR);
    assert_eq!(world.nodes_ready(), 2, "empty nodes are removed once no buffer holds them");
}

#[test]
fn the_pool_ends_at_its_limit() {
    let mut scenario = scenario(0.0);
    scenario.nodes.limit = Some(3);
    let mut world = exactly(Vec::new(), scenario);
    world.set_wanted(50);
    world.advance_to(HOUR);
    assert_eq!((world.ready(), world.pending(), world.nodes_ready()), (12, 38, 3));
}

#[test]
fn empty_nodes_go_after_their_time() {
    let mut scenario = scenario(0.0);
    scenario.pods.initial = 12;
    let mut world = exactly(Vec::new(), scenario);
    world.advance_to(60 * SECOND);
    world.set_wanted(4);
    world.advance_to(110 * SECOND);
    assert_eq!(world.nodes_ready(), 3);
    world.advance_to(140 * SECOND);
    assert_eq!(world.nodes_ready(), 1);
}

#[test]
fn stepping_in_any_steps_gives_the_same() {
    let cell = Cell::new(scenario(20_000.0)).unwrap();
    let run = |step: Millis| {
        let mut world = cell.world();
        let mut at = 0;
        while at < DAY {
            if at % (600 * SECOND) == 0 {
                world.advance_to(at);
                world.set_wanted(3 + u32::try_from(at / (600 * SECOND) % 20).unwrap());
            }
            at += step;
            world.advance_to(at);
        }
        let (outcomes, tally) = world.finish();
        (outcomes.starts, outcomes.completions, tally.replica_seconds().to_bits())
    };
    assert_eq!(run(SECOND), run(60 * SECOND));
    assert_eq!(run(SECOND), run(600 * SECOND));
}
