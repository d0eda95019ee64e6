//! Which orders of a run were late, when they began to be, and which cut-off they missed.

use super::orders::Orders;
use super::scenario::{CutOffMoment, Scenario};
use super::units::{Millis, count, millis};
use super::world::Outcomes;

/// An order begun after the target wait or done after its carrier's dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateOrder {
    /// Arrival.
    pub arrival: Millis,
    /// The moment at which it became late.
    pub late_at: Millis,
    /// The dispatch that it missed; `None` where it only waited too long.
    pub dispatch: Option<Millis>,
}

/// Late orders among those that arrived after the warm-up and were due before the end.
pub fn late_orders(scenario: &Scenario, orders: &Orders, outcomes: &Outcomes) -> Vec<LateOrder> {
    let wait = scenario.goal.target_wait_seconds.map(millis);
    let dispatches = scenario.dispatches(&orders.arrivals);
    let (from, end) = (scenario.scored_from(), scenario.end());
    let first = orders.arrivals.partition_point(|arrival| *arrival < from);
    (first..orders.len())
        .filter_map(|order| {
            let arrival = orders.arrivals[order];
            let due = wait.map_or(Millis::MAX, |wait| arrival + wait);
            let dispatch = dispatches[order].unwrap_or(Millis::MAX);
            if due.min(dispatch) > end {
                return None; // whether it is late lies beyond the simulated time
            }
            let waited = outcomes.starts[order] > due;
            let missed = outcomes.completions[order] > dispatch && dispatch <= end;
            let late_at = match (waited, missed) {
                (true, true) => due.min(dispatch),
                (true, false) => due,
                (false, true) => dispatch,
                (false, false) => return None,
            };
            Some(LateOrder { arrival, late_at, dispatch: missed.then_some(dispatch) })
        })
        .collect()
}

/// Orders of each cut-off, and how many of them missed its dispatch.
pub fn by_cut_off(scenario: &Scenario, orders: &Orders, late: &[LateOrder]) -> Vec<(CutOffMoment, u32, u32)> {
    let mut before = Millis::MIN;
    let moments = scenario.cut_off_moments();
    let rows = moments.into_iter().map(|moment| {
        let inside = |arrival: Millis| before < arrival && arrival <= moment.at;
        let all = count(orders.arrivals.iter().filter(|arrival| inside(**arrival)).count());
        let lost = late.iter().filter(|order| inside(order.arrival) && order.dispatch.is_some()).count();
        before = moment.at;
        (moment, all, count(lost))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::units::{HOUR, SECOND};

    #[test]
    fn waits_and_dispatches_are_told_apart() {
        let scenario = Scenario::parse(
            "days: 1\nwarm_up_days: 0\ngoal: {target_wait_seconds: 600, cut_offs: [{name: DPD, weekdays: [true, true, true, true, true, true, true], at_seconds_of_day: 36000, within_seconds: 1800}]}",
        )
        .unwrap();
        let arrivals = vec![8 * HOUR, 9 * HOUR, 10 * HOUR - SECOND, 11 * HOUR];
        let starts = vec![8 * HOUR + SECOND, 9 * HOUR + 601 * SECOND, 10 * HOUR, 11 * HOUR + 600 * SECOND];
        let completions = vec![9 * HOUR, 10 * HOUR, 10 * HOUR + 1801 * SECOND, 12 * HOUR];
        let orders = Orders { work: vec![1.0; 4], history: Vec::new(), arrivals };
        let late = late_orders(&scenario, &orders, &Outcomes { starts, completions });
        let expected = [
            LateOrder { arrival: 9 * HOUR, late_at: 9 * HOUR + 600 * SECOND, dispatch: None },
            LateOrder {
                arrival: 10 * HOUR - SECOND,
                late_at: 10 * HOUR + 1800 * SECOND,
                dispatch: Some(10 * HOUR + 1800 * SECOND),
            },
        ];
        assert_eq!(late, expected);
        let rows = by_cut_off(&scenario, &orders, &late);
        assert_eq!((rows[0].1, rows[0].2), (3, 1));
    }
}
