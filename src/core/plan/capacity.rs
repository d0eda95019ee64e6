//! What the pods that exist, and those that are starting, will get done.

use super::curves::Curves;
use super::situation::Fleet;

/// Orders started by each grid point when nothing is added to `fleet`.
///
/// Nothing is started before it has arrived (`curves.arrived`), and capacity that finds no work
/// is lost.
pub fn done_by_fleet(curves: &Curves, fleet: &Fleet, per_second: f64) -> Vec<f64> {
    let mut done = Vec::with_capacity(curves.x.len());
    let mut total = 0.0_f64;
    let mut previous = 0.0;
    for (x, arrived) in curves.x.iter().zip(&curves.arrived) {
        let replica_seconds = replica_seconds(fleet, previous, *x);
        total = (total + replica_seconds * per_second).min(arrived.max(total));
        done.push(total);
        previous = *x;
    }
    done
}

/// Orders started by each grid point when `replicas` in all are ready from `lead` seconds on and
/// the fleet alone works until then.
pub fn done_with(curves: &Curves, fleet: &Fleet, per_second: f64, replicas: u32, lead: f64) -> Vec<f64> {
    let mut done = done_by_fleet(curves, fleet, per_second);
    let first = curves.x.partition_point(|x| *x <= lead);
    let (mut total, mut previous) = (height_at(&curves.x, &done, lead), lead);
    for ((x, arrived), done) in curves.x.iter().zip(&curves.arrived).zip(&mut done).skip(first) {
        let seconds = x - previous;
        total = (total + seconds * per_second * f64::from(replicas)).min(arrived.max(total));
        *done = total.max(*done);
        previous = *x;
    }
    done
}

fn replica_seconds(fleet: &Fleet, from: f64, to: f64) -> f64 {
    let started: f64 = fleet
        .ready_in_seconds
        .iter()
        .take_while(|ready_in| **ready_in < to)
        .map(|ready_in| to - ready_in.max(from))
        .sum();
    f64::from(fleet.ready) * (to - from) + started
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
