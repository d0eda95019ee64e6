//! The score, by way of the simulator.

use peakscaler::demo::contenders::Contender;
use peakscaler::demo::day::{Day, Stretch};
use peakscaler::demo::score::Judge;
use peakscaler::replay::policies::CorePolicy;
use peakscaler::replay::run::Cell;

#[test]
fn black_friday_is_in_time_at_little_more_than_the_work() {
    let cell = Cell::new(Day::BlackFriday.scenario(None).unwrap()).unwrap();
    let stretch = Stretch::new(0, None);
    let mut ours = Contender::ours(&cell, stretch);
    ours.advance_to(stretch.to);
    let (line, lateness) = ours.line(&Judge::new(&cell), stretch);
    assert!(lateness.orders > 100_000, "{lateness:?}");
    assert_eq!(lateness.late, 0, "{line:?}");
    assert!(line.hours_over_work.unwrap() <= 1.10, "{line:?}");
}

#[test]
fn the_score_is_that_of_the_replay() {
    let cell = Cell::new(Day::SlowWorkers.scenario(Some(3)).unwrap()).unwrap();
    let stretch = Stretch::new(0, None);
    let mut ours = Contender::ours(&cell, stretch);
    ours.advance_to(stretch.to);
    let (line, lateness) = ours.line(&Judge::new(&cell), stretch);
    let replayed = cell.run(&mut CorePolicy::for_scenario(cell.scenario()));
    assert_eq!(lateness.orders, u64::from(replayed.orders));
    assert_eq!(lateness.late, u64::from(replayed.late));
    assert_eq!(line.peak_replicas, replayed.peak_replicas);
    assert!((line.replica_hours - replayed.replica_hours).abs() < 1e-9, "{line:?} {replayed:?}");
}

#[test]
fn a_stretch_counts_its_own_orders_and_hours_only() {
    let cell = Cell::new(Day::Normal.scenario(None).unwrap()).unwrap();
    let judge = Judge::new(&cell);
    let score = |stretch: Stretch| {
        let mut ours = Contender::ours(&cell, stretch);
        ours.advance_to(stretch.to);
        ours.line(&judge, stretch)
    };
    let (morning, morning_orders) = score(Stretch::new(0, Some(8.0)));
    let (noon, noon_orders) = score(Stretch::new(8, Some(4.0)));
    let (both, both_orders) = score(Stretch::new(0, Some(12.0)));
    assert!((morning.replica_hours + noon.replica_hours - both.replica_hours).abs() < 1e-6);
    // Orders that were not due yet at 08:00 are judged in the whole only.
    assert!(morning_orders.orders + noon_orders.orders <= both_orders.orders);
    assert!(morning_orders.orders + noon_orders.orders + 200 > both_orders.orders);
}
