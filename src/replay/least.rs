//! The least peak: the fewest replicas, held as a constant, that keep every order in time.
//!
//! For orders served in order of arrival with due times in the same order the least peak is the
//! greatest density of any interval, work that arrives and is due inside it over its length (Yao,
//! Demers and Shenker 1995). A slow-down stretches work, so time is measured in work that one
//! replica can do in it. Exact on the orders, without a grid: a peak is tested in one pass, and
//! halved down to a thousandth of a replica.

use super::orders::Orders;
use super::scenario::Scenario;
use super::units::{Millis, SECOND, seconds};

/// The least peak in replicas over the orders that arrive in `[from, to)`.
pub fn least_peak(scenario: &Scenario, orders: &Orders, from: Millis, to: Millis) -> f64 {
    let dues = scenario.due_starts(&orders.arrivals);
    let capacity = Capacity::new(scenario);
    let chosen = (0..orders.len()).filter(|&index| (from..to).contains(&orders.arrivals[index]));
    let spans: Vec<(f64, f64)> = chosen
        .map(|index| {
            let arrival = orders.arrivals[index];
            // a dispatch may be nearer than an order's own work: then due at once
            (capacity.until(arrival), capacity.until(dues[index].max(arrival + SECOND)))
        })
        .collect();
    let work = scenario.service.mean_seconds / f64::from(scenario.service.concurrency);
    let (mut low, mut high) = (0.0, spans.len() as f64 * work);
    while high - low > 1e-3 {
        let middle = f64::midpoint(low, high);
        if suffices(&spans, work, middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Whether so many replicas keep all: no interval from an arrival to a due time holds more work.
fn suffices(spans: &[(f64, f64)], work: f64, replicas: f64) -> bool {
    // before[s] = work of orders ahead of s less what could be done by its arrival; the least of
    // it so far is the best interval start for a due time
    let mut least_before = f64::INFINITY;
    for (index, (arrival, due)) in spans.iter().enumerate() {
        let ahead = index as f64 * work;
        least_before = least_before.min(ahead - replicas * arrival);
        if ahead + work - replicas * due > least_before {
            return false;
        }
    }
    true
}

/// Work that one replica can do until a moment, in seconds of ordinary work.
struct Capacity {
    step: Millis,
    sums: Vec<f64>,
}

impl Capacity {
    fn new(scenario: &Scenario) -> Self {
        let step = 60 * SECOND;
        let mut sums = vec![0.0];
        let mut sum = 0.0;
        let mut at = 0;
        if !scenario.service.slow.is_empty() {
            while at < scenario.end() + 86_400 * SECOND {
                sum += seconds(step) / scenario.service.factor(at);
                sums.push(sum);
                at += step;
            }
        }
        Self { step, sums }
    }

    fn until(&self, time: Millis) -> f64 {
        if self.sums.len() == 1 {
            return seconds(time);
        }
        let last = self.sums.len() - 2;
        let bin = super::units::index(time / self.step).min(last);
        let share = (time - i64::try_from(bin).unwrap_or(0) * self.step) as f64 / self.step as f64;
        self.sums[bin] + (self.sums[bin + 1] - self.sums[bin]) * share
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::CutOff;
    use crate::replay::scenario::Goal;

    fn orders(arrivals: Vec<Millis>) -> Orders {
        Orders { work: vec![1.0; arrivals.len()], arrivals, history: Vec::new() }
    }

    fn brute(spans: &[(f64, f64)], work: f64) -> f64 {
        let mut most = 0.0_f64;
        for start in 0..spans.len() {
            for end in start..spans.len() {
                let load = (end - start + 1) as f64 * work;
                most = most.max(load / (spans[end].1 - spans[start].0));
            }
        }
        most
    }

    #[test]
    fn agrees_with_brute_force() {
        let scenario = Scenario {
            goal: Goal { target_wait_seconds: Some(100.0), ..Goal::default() },
            ..Scenario::default()
        };
        for arrivals in [
            vec![0, 1_000, 2_000, 500_000],
            (0..60).map(|index| index * index * 700).collect(),
            (0..80).map(|index| index * 3_000 + (index % 7) * 100).collect(),
        ] {
            let spans: Vec<_> = arrivals.iter().map(|&at| (seconds(at), seconds(at) + 100.0)).collect();
            let expected = brute(&spans, scenario.service.mean_seconds);
            let found = least_peak(&scenario, &orders(arrivals), 0, scenario.end());
            assert!((found - expected).abs() < 2e-3, "{found} {expected}");
        }
    }

    /// Whether so many replicas, as one fluid server, finish each order by its own due time.
    fn served_in_time(spans: &[(f64, f64)], work: f64, replicas: f64) -> bool {
        let mut free = 0.0_f64;
        spans.iter().all(|(arrival, due)| {
            free = free.max(*arrival) + work / replicas;
            free <= due + 1e-9
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Two carriers, of whom the later cut-off may have the earlier dispatch, with a wait and without.
        #[test]
        fn with_cut_offs_it_is_the_least_that_serves_each_in_time(
            mut arrivals in prop::collection::vec(0_i64..9_000_000, 1..60),
            carriers in prop::collection::vec((600_u32..9_000, 60_u32..3_000), 1..4),
            wait in prop_oneof![Just(None), (60.0_f64..2_000.0).prop_map(Some)],
        ) {
            arrivals.sort_unstable();
            let cut_offs = carriers.iter().map(|(at, within)| CutOff {
                name: "carrier".to_owned(),
                weekdays: [true; 7],
                at_seconds_of_day: *at,
                within_seconds: f64::from(*within),
            });
            let goal = Goal { target_wait_seconds: wait, cut_offs: cut_offs.collect() };
            let scenario = Scenario { goal, ..Scenario::default() };
            let work = scenario.service.mean_seconds;
            let due = |at: f64| {
                // the first cut-off that it makes, today's or tomorrow's, and of two at once the nearer dispatch
                let days = [0.0, 86_400.0].into_iter();
                let moments = days.flat_map(|day| carriers.iter().map(move |(at, within)| {
                    (day + f64::from(*at), day + f64::from(*at + *within))
                }));
                let made = moments.filter(|(cut_off, _)| *cut_off >= at).min_by(|one, other| {
                    one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
                });
                let dispatch = made.map_or(f64::INFINITY, |(_, dispatch)| dispatch - work);
                wait.map_or(dispatch, |wait| dispatch.min(at + wait))
            };
            let spans: Vec<_> = arrivals.iter().map(|&at| (seconds(at), due(seconds(at)))).collect();
            let found = least_peak(&scenario, &orders(arrivals), 0, scenario.end());
            prop_assert!(served_in_time(&spans, work, found + 2e-3), "{found} is not enough");
            // as near to nothing as this it may be nothing
            prop_assert!(found < 3e-3 || !served_in_time(&spans, work, found - 2e-3), "{found} is more than enough");
        }
    }

    #[test]
    fn one_lump_is_work_over_the_wait() {
        let scenario = Scenario::default();
        let found = least_peak(&scenario, &orders(vec![0; 300]), 0, scenario.end());
        assert!((found - 300.0 * 20.0 / 300.0).abs() < 2e-3, "{found}");
    }
}
