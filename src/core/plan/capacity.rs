//! What the pods that exist, and those that could still join them, will get done.

use super::curves::Curves;
use super::situation::Fleet;

/// Pods that become ready together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joining {
    /// Seconds from now at which they are ready.
    pub in_seconds: f64,
    /// How many.
    pub replicas: f64,
}

/// Orders started by each grid point when nothing is added to `fleet`.
///
/// Nothing is started before it has arrived (`curves.arrived`), and capacity that finds no work
/// is lost.
pub fn done_by_fleet(curves: &Curves, fleet: &Fleet, per_second: f64) -> Vec<f64> {
    done_with(curves, fleet, per_second, &[])
}

/// The same when `joining` are added, soonest first.
pub fn done_with(curves: &Curves, fleet: &Fleet, per_second: f64, joining: &[Joining]) -> Vec<f64> {
    let mut done = Vec::with_capacity(curves.x.len());
    let mut total = 0.0_f64;
    let mut previous = 0.0;
    for (x, arrived) in curves.x.iter().zip(&curves.arrived) {
        let replica_seconds = replica_seconds(fleet, joining, previous, *x);
        total = (total + replica_seconds * per_second).min(arrived.max(total));
        done.push(total);
        previous = *x;
    }
    done
}

fn replica_seconds(fleet: &Fleet, joining: &[Joining], from: f64, to: f64) -> f64 {
    let share = |ready_in: f64| to - ready_in.max(from);
    let started: f64 = fleet
        .ready_in_seconds
        .iter()
        .take_while(|ready_in| **ready_in < to)
        .map(|ready_in| share(*ready_in))
        .sum();
    let joined: f64 = joining
        .iter()
        .take_while(|group| group.in_seconds < to)
        .map(|group| group.replicas * share(group.in_seconds))
        .sum();
    f64::from(fleet.ready) * (to - from) + started + joined
}

/// Height of a curve at `x`, straight between grid points.
pub fn height_at(grid: &[f64], curve: &[f64], x: f64) -> f64 {
    let upper = grid.partition_point(|point| *point < x);
    match (upper.checked_sub(1), grid.get(upper)) {
        (_, None) => curve.last().copied().unwrap_or(0.0),
        (None, Some(_)) => curve[0],
        (Some(lower), Some(end)) => {
            let share = (x - grid[lower]) / (end - grid[lower]);
            curve[lower] + (curve[upper] - curve[lower]) * share
        }
    }
}

/// Pods for whose room a buffer is to hold nodes: what is wanted one node lead time `ahead`, less what is there. Room
/// that is free already counts for a buffer by itself.
pub fn room_ahead(ahead: u32, existing: u32) -> u32 {
    ahead.saturating_sub(existing)
}
