//! How long a plan lets orders wait: the nearer the ceiling of replicas is, the less.
//!
//! Far below it a queue that has used up most of the wait is met by more workers. Near it there are none left to add, and
//! all that waits already is late once more comes than all workers do. It costs nothing to begin the same
//! orders earlier, as long as no worker is idle.

use super::situation::Situation;
use super::tuning::WAIT_RESERVE;
use crate::core::policy::Policy;

/// Share of the ceiling that may be needed before less of the wait is used, ...
const NEAR_CEILING: f64 = 0.6;
/// ... and at which only the least is: [`LEAST_SECONDS`], or [`LEAST_WORKS`] times what an order takes.
const AT_CEILING: f64 = 0.95;
/// A queue of less hardly evens out what comes.
const LEAST_SECONDS: f64 = 900.0;
/// See [`LEAST_SECONDS`].
const LEAST_WORKS: f64 = 3.0;
/// On a rate of which one standard deviation less is below this share, nothing is known of the ceiling.
const SURE_SHARE: f64 = 0.8;
/// What is needed is that of the next so many seconds: the same for every wait, so that no longer wait ever asks for more.
const AHEAD_SECONDS: f64 = 3600.0;

/// Share of the target wait that a plan uses.
pub fn planned_wait_share(situation: &Situation, policy: &Policy) -> f64 {
    let Some(wait) = policy.target_wait_seconds else { return WAIT_RESERVE };
    let least = LEAST_SECONDS.max(LEAST_WORKS * situation.service.seconds_per_order()) / wait;
    let per_second = situation.service.per_second;
    let is_guess = situation.service.lower_per_second < SURE_SHARE * per_second;
    if least >= WAIT_RESERVE || is_guess || situation.unlearned_replicas.is_some() {
        return WAIT_RESERVE;
    }
    let needed = situation.outlook.at(AHEAD_SECONDS).0 / AHEAD_SECONDS / per_second;
    let by_limit =
        policy.throughput_limit_per_hour.map_or(f64::INFINITY, |limit| limit / 3600.0 / per_second);
    let ceiling = f64::from(policy.max_replicas).min(by_limit);
    let left = (AT_CEILING - needed / ceiling.max(1.0)) / (AT_CEILING - NEAR_CEILING);
    (WAIT_RESERVE * left).clamp(least, WAIT_RESERVE)
}
