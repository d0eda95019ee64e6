//! The clairvoyant's bill: the fewest replica-hours and node-hours that keep every order in time.
//!
//! On a grid of slots: `C` orders begun by a slot's end lie between those due by then and those
//! arrived; a slot's replicas are at least those that its orders keep busy, and at least the
//! minimum. The bound is a linear program in parts of replicas and nodes, which no policy can beat;
//! the oracle itself takes whole ones for a slot at a time, found by dynamic programming over what
//! is paid (whole units on a coarse grid are no bound, so its grid is as fine as the world's beats). Neither knows lead times. Days are solved apart, and begin with nothing left over, which
//! can only make both lower.

use microlp::{ComparisonOp, OptimizationDirection, Problem};

use super::orders::Orders;
use super::scenario::Scenario;
use super::units::{DAY, Millis, SECOND, seconds};

/// Length of a slot of the relaxation.
const SLOT: Millis = 120 * SECOND;
/// Whole replicas may change as often as the HPA looks ...
const REPLICA_SLOT: Millis = 15 * SECOND;
/// ... and whole nodes as often as an empty one is removed.
const NODE_SLOT: Millis = 60 * SECOND;

/// What the clairvoyant pays over the scored days.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Bill {
    /// Replica-hours, parts of replicas allowed.
    pub replica_hours_bound: f64,
    /// Node-hours, parts of nodes allowed beyond the first.
    pub node_hours_bound: f64,
    /// Replica-hours of whole replicas.
    pub replica_hours: f64,
    /// Node-hours of whole nodes, filled to the last place.
    pub node_hours: f64,
}

impl std::ops::AddAssign for Bill {
    fn add_assign(&mut self, other: Self) {
        self.replica_hours_bound += other.replica_hours_bound;
        self.node_hours_bound += other.node_hours_bound;
        self.replica_hours += other.replica_hours;
        self.node_hours += other.node_hours;
    }
}

/// The bill for a scenario; `None` where the solver finds no solution.
pub fn bill(scenario: &Scenario, orders: &Orders) -> Option<Bill> {
    let dues = scenario.due_starts(&orders.arrivals);
    let days = scenario.scored_from() / DAY..scenario.end() / DAY;
    let pods_per_node = scenario.nodes.pods_per_node;
    let least_nodes = scenario.pods.min.div_ceil(pods_per_node);
    let an_hour = |replicas: f64, slot: Millis| replicas * seconds(slot) / 3_600.0;
    let mut bill = Bill::default();
    for day in days {
        let grid = |slot: Millis| -> Vec<Slot> {
            let starts = (0..DAY / slot).map(|index| day * DAY + index * slot);
            starts.map(|start| Slot::new(scenario, orders, &dues, (start, slot))).collect()
        };
        let first = Slot::bounds(orders, &dues, day * DAY);
        let slots = grid(SLOT);
        bill.replica_hours_bound += an_hour(cheapest(&slots, first, f64::from(scenario.pods.min))?, SLOT);
        let on_full_nodes = cheapest(&slots, first, f64::from(least_nodes * pods_per_node))?;
        bill.node_hours_bound += an_hour(on_full_nodes, SLOT) / f64::from(pods_per_node);
        let replicas = whole(&grid(REPLICA_SLOT), first.1, scenario.pods.min, 1.0);
        bill.replica_hours += an_hour(replicas, REPLICA_SLOT);
        let on_nodes = whole(&grid(NODE_SLOT), first.1, least_nodes, f64::from(pods_per_node));
        bill.node_hours += an_hour(on_nodes, NODE_SLOT) / f64::from(pods_per_node);
    }
    Some(bill)
}

/// A slot's bounds on the orders begun by its end, and the replicas that one order in it takes.
#[derive(Debug, Clone, Copy)]
struct Slot {
    due: f64,
    arrived: f64,
    replicas_an_order: f64,
}

impl Slot {
    fn new(scenario: &Scenario, orders: &Orders, dues: &[Millis], (start, slot): (Millis, Millis)) -> Self {
        let (due, arrived) = Self::bounds(orders, dues, start + slot);
        let service = &scenario.service;
        // the kindest speed of the slot keeps this a bound where a fault begins inside it
        let factor = service.factor(start).min(service.factor(start + slot));
        let work = service.mean_seconds * factor / f64::from(service.concurrency);
        Self { due, arrived, replicas_an_order: work / seconds(slot) }
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

/// The least sum, over the slots, of whole units of `replicas` each, at least `minimum` of them.
///
/// For what was paid so far only the most orders begun matter. A slot adds units of equal worth, so
/// the best for a sum is one unit on top of the best for a unit less, or the minimum on top of what
/// was before: one pass a slot.
fn whole(slots: &[Slot], first: f64, minimum: u32, replicas: f64) -> f64 {
    // begun[i] orders for `paid + i` units, never falling
    let (mut paid, mut begun) = (0_u64, vec![first]);
    for slot in slots {
        let unit = replicas / slot.replicas_an_order;
        let mut next = Vec::with_capacity(begun.len() + 8);
        let mut best = f64::NEG_INFINITY;
        for index in 0.. {
            let minimal =
                begun.get(index).map_or(f64::NEG_INFINITY, |begun| begun + f64::from(minimum) * unit);
            best = (best + unit).max(minimal).min(slot.arrived);
            next.push(best);
            if best >= slot.arrived {
                break; // more would be paid for nothing
            }
        }
        let late = next.partition_point(|begun| *begun < slot.due - 1e-9);
        next.drain(..late);
        paid += u64::from(minimum) + late as u64;
        begun = next;
    }
    paid as f64 * replicas
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
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

    /// All numbers of whole units in each slot.
    fn brute_whole(slots: &[Slot], begun: f64, minimum: u32, replicas: f64) -> f64 {
        let Some((slot, rest)) = slots.split_first() else { return 0.0 };
        let mut best = f64::INFINITY;
        for units in minimum..minimum + 12 {
            let done = f64::from(units) * replicas / slot.replicas_an_order;
            let next = (begun + done).min(slot.arrived);
            if next >= slot.due - 1e-9 {
                best = best.min(f64::from(units) * replicas + brute_whole(rest, next, minimum, replicas));
            }
        }
        best
    }

    fn small_slots() -> impl Strategy<Value = Vec<Slot>> {
        let slot = (0_u32..6, 0_u32..5, 1_u32..4);
        prop::collection::vec(slot, 1..5).prop_map(|steps| {
            let (mut arrived, mut due) = (0, 0);
            let slots = steps.into_iter().map(|(more, slack, third)| {
                arrived += more;
                due = arrived.saturating_sub(slack).max(due);
                let replicas_an_order = f64::from(third) / 3.0;
                Slot { due: f64::from(due), arrived: f64::from(arrived), replicas_an_order }
            });
            slots.collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn whole_units_agree_with_brute_force(slots in small_slots(), minimum in 0_u32..2, replicas in 1_u32..3) {
            let replicas = f64::from(replicas);
            let found = whole(&slots, 0.0, minimum, replicas);
            prop_assert!((found - brute_whole(&slots, 0.0, minimum, replicas)).abs() < 1e-6, "{found}");
            let bound = cheapest(&slots, (0.0, 0.0), f64::from(minimum) * replicas).unwrap();
            prop_assert!(bound <= found + 1e-6, "the relaxation is a bound: {bound} {found}");
        }
    }
}
