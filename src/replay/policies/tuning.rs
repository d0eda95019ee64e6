//! Numbers that a peer's operator has to find: tuned on other days and frozen, or in hindsight.

use super::super::run::Cell;
use super::super::score::Score;
use super::KedaSqs;

/// The `queueLength`s that are tried.
pub const QUEUE_LENGTHS: [f64; 17] =
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 45.0, 90.0, 180.0, 360.0];

/// Late orders that count as none when tuning, as a share.
const FORGIVEN: f64 = 1e-5;

/// The best `queueLength` in a cell: the cheapest of those with (nearly) no late order, and where
/// there is none the one with the fewest. With its score there.
pub fn best_queue_length(cell: &Cell) -> (f64, Score) {
    let run = |length: f64| (length, cell.run(&mut KedaSqs::with_queue_length(length)));
    let mut best = run(QUEUE_LENGTHS[0]);
    for length in &QUEUE_LENGTHS[1..] {
        let tried = run(*length);
        if better(&tried.1, &best.1) {
            best = tried;
        }
    }
    best
}

/// Fewer late orders first, then fewer replica-hours.
fn better(one: &Score, other: &Score) -> bool {
    let late = |score: &Score| (score.late_share() - FORGIVEN).max(0.0);
    late(one).total_cmp(&late(other)).then(one.replica_hours.total_cmp(&other.replica_hours)).is_lt()
}
