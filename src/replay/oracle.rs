//! The clairvoyant's bill: the fewest replica-hours that keep every order in time, as a linear
//! program, whose relaxation (parts of replicas, no lead times, no rounding) no policy can beat.
//!
//! On a grid of slots: `C` orders begun by a slot's end lie between those due by then and those
//! arrived; a slot's replicas are at least those that its orders keep busy, and at least the
//! minimum. Days are solved apart, with what is begun at midnight left free, which can only make
//! the bound lower.

use microlp::{ComparisonOp, OptimizationDirection, Problem};

use super::orders::Orders;
use super::scenario::Scenario;
use super::units::{DAY, Millis, SECOND, seconds};

/// Length of a slot.
const SLOT: Millis = 120 * SECOND;

/// What the clairvoyant pays over the scored days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bill {
    /// Replica-hours.
    pub replica_hours: f64,
    /// Node-hours: the same on nodes filled to the last place.
    pub node_hours: f64,
}

/// The bound for a scenario; `None` where the solver finds no solution.
pub fn bill(scenario: &Scenario, orders: &Orders) -> Option<Bill> {
    let dues = scenario.due_starts(&orders.arrivals);
    let from = scenario.scored_from() / DAY;
    let days = from..scenario.end() / DAY;
    let mut replica_hours = 0.0;
    for day in days {
        replica_hours += of_day(scenario, orders, &dues, day * DAY)?;
    }
    let node_hours = replica_hours / f64::from(scenario.nodes.pods_per_node);
    Some(Bill { replica_hours, node_hours })
}

/// Replica-hours of the day that begins at `start`.
fn of_day(scenario: &Scenario, orders: &Orders, dues: &[Millis], start: Millis) -> Option<f64> {
    let slots: Vec<Slot> =
        (0..DAY / SLOT).map(|slot| Slot::new(scenario, orders, dues, start + slot * SLOT)).collect();
    let first = Slot::bounds(orders, dues, start);
    cheapest(&slots, first, f64::from(scenario.pods.min)).map(|replicas| replicas * seconds(SLOT) / 3_600.0)
}

/// A slot's bounds on the orders begun by its end, and the replicas that one order in it takes.
#[derive(Debug, Clone, Copy)]
struct Slot {
    due: f64,
    arrived: f64,
    replicas_an_order: f64,
}

impl Slot {
    fn new(scenario: &Scenario, orders: &Orders, dues: &[Millis], start: Millis) -> Self {
        let (due, arrived) = Self::bounds(orders, dues, start + SLOT);
        let service = &scenario.service;
        // the kindest speed of the slot keeps this a bound where a fault begins inside it
        let factor = service.factor(start).min(service.factor(start + SLOT));
        let work = service.mean_seconds * factor / f64::from(service.concurrency);
        Self { due, arrived, replicas_an_order: work / seconds(SLOT) }
    }

    /// Orders due and arrived by a moment.
    fn bounds(orders: &Orders, dues: &[Millis], time: Millis) -> (f64, f64) {
        let due = dues.partition_point(|due| *due < time);
        let arrived = orders.arrivals.partition_point(|arrival| *arrival < time);
        // a dispatch may be nearer than an order's own work: due before it came
        (due.min(arrived) as f64, arrived as f64)
    }
}

/// The least sum of replicas over the slots.
fn cheapest(slots: &[Slot], first: (f64, f64), minimum: f64) -> Option<f64> {
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let mut before = problem.add_var(0.0, first);
    for slot in slots {
        let begun = problem.add_var(0.0, (slot.due, slot.arrived));
        let replicas = problem.add_var(1.0, (minimum, f64::INFINITY));
        problem.add_constraint([(begun, 1.0), (before, -1.0)], ComparisonOp::Ge, 0.0);
        let each = slot.replicas_an_order;
        problem.add_constraint([(replicas, 1.0), (begun, -each), (before, each)], ComparisonOp::Ge, 0.0);
        before = begun;
    }
    let outcome = problem.solve().ok()?;
    outcome.solution().map(microlp::Solution::objective)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::cells::{Happening, REGIMES, cell};
    use crate::replay::policies::{Fixed, KedaSqs};
    use crate::replay::run::Cell;

    /// All ways to begin whole orders in each slot.
    fn brute(slots: &[Slot], begun: f64, minimum: f64) -> f64 {
        let Some((slot, rest)) = slots.split_first() else { return 0.0 };
        let mut best = f64::INFINITY;
        let mut next = begun.max(slot.due);
        while next <= slot.arrived {
            let replicas = ((next - begun) * slot.replicas_an_order).max(minimum);
            best = best.min(replicas + brute(rest, next, minimum));
            next += 1.0;
        }
        best
    }

    #[test]
    fn agrees_with_brute_force_on_small_cases() {
        let slot = |due: u32, arrived: u32, each: f64| Slot {
            due: f64::from(due),
            arrived: f64::from(arrived),
            replicas_an_order: each,
        };
        for (slots, minimum) in [
            (vec![slot(0, 4, 1.0), slot(2, 6, 1.0), slot(6, 9, 1.0), slot(9, 9, 1.0)], 1.0),
            (vec![slot(0, 6, 0.5), slot(3, 6, 0.5), slot(6, 8, 0.5), slot(8, 8, 0.5)], 1.0),
            (vec![slot(0, 5, 1.0), slot(0, 5, 2.0), slot(0, 7, 2.0), slot(7, 8, 1.0)], 0.0),
        ] {
            let found = cheapest(&slots, (0.0, 0.0), minimum).unwrap();
            let expected = brute(&slots, 0.0, minimum);
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn no_policy_in_time_pays_less() {
        let cell = Cell::new(cell(REGIMES[1], Happening::Normal, 2, 4)).unwrap();
        let bill = bill(cell.scenario(), cell.orders()).unwrap();
        for score in [
            cell.run(&mut KedaSqs::with_defaults()),
            cell.run(&mut Fixed::new(super::super::units::ceil(cell.least_peak() * 1.2))),
        ] {
            assert_eq!(score.late, 0);
            // the draws of work average to its mean within a percent
            assert!(
                score.replica_hours > 0.99 * bill.replica_hours,
                "{} {}",
                score.replica_hours,
                bill.replica_hours
            );
            assert!(score.node_hours > 0.99 * bill.node_hours);
        }
        let work = cell.run(&mut KedaSqs::with_defaults()).work_hours;
        assert!((0.97..1.2).contains(&(bill.replica_hours / work)), "{}", bill.replica_hours / work);
    }
}
