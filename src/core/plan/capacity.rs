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

/// The same when `joining` are added.
pub fn done_with(curves: &Curves, fleet: &Fleet, per_second: f64, joining: &[Joining]) -> Vec<f64> {
    let starting = fleet.ready_in_seconds.iter();
    let mut groups: Vec<Joining> =
        starting.map(|in_seconds| Joining { in_seconds: *in_seconds, replicas: 1.0 }).collect();
    groups.extend(joining);
    groups.sort_by(|one, other| one.in_seconds.total_cmp(&other.in_seconds));
    let mut groups = groups.as_slice();
    let mut replicas = f64::from(fleet.ready);
    let (mut total, mut from) = (0.0, 0.0);
    let mut done = vec![0.0; curves.x.len()];
    for ((done, to), arrived) in done.iter_mut().zip(&curves.x).zip(&curves.arrived) {
        let mut replica_seconds = replicas * (to - from);
        while let [group, others @ ..] = groups
            && group.in_seconds < *to
        {
            replica_seconds += group.replicas * (to - group.in_seconds.max(from));
            replicas += group.replicas;
            groups = others;
        }
        let all = total + replica_seconds * per_second;
        if all <= *arrived {
            total = all;
        } else if *arrived > total {
            total = *arrived;
        }
        *done = total;
        from = *to;
    }
    done
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
