//! Room for lumps: orders that come at once, and would be late if a node had to come for them first.

use super::situation::{Service, Situation};
use super::tuning::{CYCLE_SECONDS, LEAST_CATCH_UP_SECONDS, WAIT_RESERVE};
use crate::core::demand::arrivals::LumpRate;
use crate::core::policy::Policy;

/// A place is kept where it saves so many orders an hour from being late.
const LEAST_SAVED_PER_HOUR: f64 = 1.0;
/// Orders are seen this long after they came.
const SIGHT_SECONDS: f64 = 5.0;

/// What counts for it beside the lumps: seconds, and orders a second.
#[derive(Debug, Clone, Copy)]
struct Slack {
    wait_seconds: f64,
    pod_lead_seconds: f64,
    node_lead_seconds: f64,
    arrival_rate: f64,
}

/// Pods to keep room for: none where no lumps come, or where only a dispatch is to be kept.
pub fn room_for_lumps(situation: &Situation, policy: &Policy) -> f64 {
    let (Some(wait_seconds), Some(lumps)) = (policy.target_wait_seconds, situation.lumps) else { return 0.0 };
    let Situation { pod_lead_seconds, node_lead_seconds, arrival_rate, .. } = *situation;
    let slack = Slack { wait_seconds, pod_lead_seconds, node_lead_seconds, arrival_rate };
    room_for(lumps, slack, &situation.service)
}

/// A lump of more orders than come within the wait makes orders late until more pods are ready than before. A pod
/// that finds room gets `each` of them done in time. With lumps of an exponential size the last place saves
/// `each * P(lump > what is taken in)` of them, and of those that come behind the lump until a node's pods have
/// caught up; the last one kept is the one that saves an order an hour. None are where a node comes in time.
fn room_for(lumps: LumpRate, slack: Slack, service: &Service) -> f64 {
    let left_seconds = slack.wait_seconds - slack.pod_lead_seconds - CYCLE_SECONDS - SIGHT_SECONDS;
    let left_behind_node = left_seconds - slack.node_lead_seconds;
    let too_late = (1.0 - left_behind_node / LEAST_CATCH_UP_SECONDS).clamp(0.0, 1.0);
    let each = left_seconds * service.per_second;
    if too_late <= 0.0 || each <= 0.0 {
        return 0.0;
    }
    let behind = slack.arrival_rate * (LEAST_CATCH_UP_SECONDS - left_behind_node).max(0.0);
    let saved_per_hour = each * lumps.per_hour * (1.0 + behind / lumps.orders);
    let taken_in = slack.arrival_rate * slack.wait_seconds * WAIT_RESERVE;
    let places = (lumps.orders * (saved_per_hour / LEAST_SAVED_PER_HOUR).ln() - taken_in) / each;
    too_late * places.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::situation::ServiceSource;

    const LUMPS: LumpRate = LumpRate { per_hour: 0.5, orders: 80.0 };

    /// Places of a centre to which an order comes every four seconds, and takes 20 s of work.
    fn places(lumps: LumpRate, wait_seconds: f64, node_lead_seconds: f64) -> f64 {
        let service = Service {
            per_second: 0.05,
            lower_per_second: 0.05,
            concurrency: 1.0,
            settled: true,
            source: ServiceSource::Learned,
            unmet_per_second: None,
        };
        let slack = Slack { wait_seconds, pod_lead_seconds: 45.0, node_lead_seconds, arrival_rate: 0.25 };
        room_for(lumps, slack, &service)
    }

    #[test]
    fn room_is_kept_where_a_node_would_come_too_late_and_a_pod_would_not() {
        assert!(places(LUMPS, 120.0, 100.0) > 2.0, "{}", places(LUMPS, 120.0, 100.0));
        assert!(places(LUMPS, 300.0, 200.0) > 1.0, "{}", places(LUMPS, 300.0, 200.0));
        for (wait, node_lead) in [(300.0, 100.0), (900.0, 100.0), (60.0, 100.0)] {
            assert!(places(LUMPS, wait, node_lead) < 1e-9, "{wait} s, {node_lead} s");
        }
    }

    #[test]
    fn more_room_for_larger_and_more_frequent_lumps_and_none_for_rare_ones() {
        let usual = places(LUMPS, 120.0, 100.0);
        assert!(places(LumpRate { orders: 160.0, ..LUMPS }, 120.0, 100.0) > usual);
        assert!(places(LumpRate { per_hour: 0.9, ..LUMPS }, 120.0, 100.0) > usual);
        assert!(places(LumpRate { per_hour: 0.05, ..LUMPS }, 120.0, 100.0) < 1e-9);
    }
}
