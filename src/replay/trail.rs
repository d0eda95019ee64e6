//! A run with what a chart needs: how the centre stood each minute, and which orders were late.

use super::ScalingPolicy;
use super::lateness::{LateOrder, late_orders};
use super::run::{Cell, Control};
use super::score::Score;
use super::units::{Millis, SECOND, seconds};
use super::world::World;

/// Time between two points.
pub const STEP: Millis = 60 * SECOND;

/// A finished run.
#[derive(Debug, Clone)]
pub struct Trail {
    /// Its score.
    pub score: Score,
    /// One point a minute, warm-up included.
    pub points: Vec<Point>,
    /// Late orders, in order of arrival.
    pub late: Vec<LateOrder>,
}

/// How the centre stood at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When.
    pub at: Millis,
    /// Orders waiting or in work.
    pub backlog: u32,
    /// Replicas wanted by the HPA.
    pub wanted: u32,
    /// Pods that take orders.
    pub ready: u32,
    /// Pods that no node has room for.
    pub pending: u32,
    /// Nodes there or on their way.
    pub nodes: u32,
    /// How long the first order in line has waited, seconds.
    pub oldest_wait_seconds: f64,
}

impl Point {
    fn of(world: &World) -> Self {
        Self {
            at: world.now(),
            backlog: world.backlog(),
            wanted: world.wanted(),
            ready: world.ready(),
            pending: world.pending(),
            nodes: world.nodes_ready() + world.nodes_coming(),
            oldest_wait_seconds: world.oldest_wait().map_or(0.0, seconds),
        }
    }
}

impl Trail {
    /// Runs a policy from the start to the end; `passed` hears of each simulated hour.
    pub fn run(cell: &Cell, policy: &mut dyn ScalingPolicy, mut passed: impl FnMut()) -> Self {
        let mut control = Control::new(cell, policy);
        let end = cell.scenario().end();
        let mut points = Vec::new();
        let mut at = 0;
        while at < end {
            points.push(Point::of(control.world()));
            at += STEP;
            control.advance_to(at.min(end));
            if at % (60 * STEP) == 0 {
                passed();
            }
        }
        let (score, outcomes) = cell.score(control);
        let late = late_orders(cell.scenario(), cell.orders(), &outcomes);
        Self { score, points, late }
    }

    /// Hours of nodes, those on their way and the warm-up included.
    pub fn node_hours(&self) -> f64 {
        self.points.iter().map(|point| f64::from(point.nodes)).sum::<f64>() * seconds(STEP) / 3_600.0
    }

    /// The points in `[from, to)`.
    pub fn between(&self, from: Millis, to: Millis) -> &[Point] {
        let first = self.points.partition_point(|point| point.at < from);
        let last = self.points.partition_point(|point| point.at < to);
        &self.points[first..last.max(first)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::policies::KedaSqs;
    use crate::replay::scenario::Scenario;

    #[test]
    fn a_trail_has_the_score_of_a_run() {
        let text = "days: 1\nwarm_up_days: 0\norders: {generator: {orders_per_day: 3000}}\ngoal: {target_wait_seconds: 60}";
        let cell = Cell::new(Scenario::parse(text).unwrap()).unwrap();
        let mut hours = 0;
        let trail = Trail::run(&cell, &mut KedaSqs::with_defaults(), || hours += 1);
        assert_eq!(trail.score, cell.run(&mut KedaSqs::with_defaults()));
        assert_eq!((hours, trail.points.len()), (24, 1440));
        assert!(trail.score.late > 0);
        assert!(trail.score.wait_max_seconds > 60.0, "late orders waited for more than a minute");
        assert_eq!(trail.late.len(), trail.score.late as usize);
        assert!((trail.node_hours() / trail.score.node_hours - 1.0).abs() < 0.01);
        assert_eq!(trail.between(10 * STEP, 20 * STEP).len(), 10);
    }
}
