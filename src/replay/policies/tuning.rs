//! Numbers that a peer's operator has to find: tuned on other days and frozen, or in hindsight.

use super::super::run::Cell;
use super::super::score::Score;
use super::super::units::ceil;
use super::{Fixed, KedaSqs};

/// The `queueLength`s that are tried.
pub const QUEUE_LENGTHS: [f64; 17] =
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 45.0, 90.0, 180.0, 360.0];

/// Late orders that count as none when tuning, as a share.
const FORGIVEN: f64 = 1e-5;
/// Share by which a fixed fleet is enlarged until it keeps every order in time.
const FLEET_STEP: f64 = 0.02;

/// The best `queueLength` over some cells: the longest (which is the cheapest) with (nearly) no
/// late order, found by halving; where there is none, the one of those tried with the fewest.
/// With its score in each cell.
pub fn best_queue_length(cells: &[&Cell]) -> (f64, Vec<Score>) {
    let run = |index: usize| {
        let score = |cell: &&Cell| cell.run(&mut KedaSqs::with_queue_length(QUEUE_LENGTHS[index]));
        cells.iter().map(score).collect::<Vec<_>>()
    };
    let (mut low, mut high) = (0, QUEUE_LENGTHS.len());
    let mut best = (low, run(low));
    // all lengths below `low` are in time, none from `high` on is
    while low < high {
        let middle = usize::midpoint(low, high);
        let tried = if middle == best.0 { best.1.clone() } else { run(middle) };
        let in_time = late(&tried) <= FORGIVEN;
        if in_time || late(&tried) < late(&best.1) {
            best = (middle, tried);
        }
        if in_time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (QUEUE_LENGTHS[best.0], best.1)
}

/// The smallest fixed fleet that keeps every order of a cell in time, to a fiftieth.
pub fn hindsight_fleet(cell: &Cell) -> u32 {
    let largest = cell.scenario().pods.max;
    let mut fleet = ceil(cell.least_peak()).min(largest);
    while fleet < largest && cell.run(&mut Fixed::new(fleet)).late > 0 {
        fleet = ceil(f64::from(fleet) * (1.0 + FLEET_STEP)).min(largest);
    }
    fleet
}

fn late(scores: &[Score]) -> f64 {
    let orders: u32 = scores.iter().map(|score| score.orders).sum();
    let late: u32 = scores.iter().map(|score| score.late).sum();
    f64::from(late) / f64::from(orders.max(1))
}
