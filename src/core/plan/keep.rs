//! Workers that stay though fewer would do: in doubt, while something is expected soon, and where taking one away
//! would make an order late.

use super::decide::careful_rate;
use super::situation::{Deadline, Situation};
use super::tuning::{
    AGE_ERROR_SECONDS, ASSUMED_VISIBILITY_SECONDS, CYCLE_SECONDS, DOUBTFUL_AGE_SECONDS, EMPTY_SECONDS,
    LESS_SHARE, SETTLED_SHARE, UNLIKELY_SILENCE, WAIT_RESERVE, WORKED_OFF_SECONDS, WORKED_OFF_SHARE,
};
use crate::core::demand::outlook::PRESENT_RATE;
use crate::core::policy::Policy;

/// Whether an order whose worker is taken away now, in the middle of it, would return to the queue too late: so
/// long have the orders waited that are in work, or so near is the dispatch of those that come next.
///
/// Where an order is away for most of its time hardly one would be saved, and a queue that is well would hold its
/// workers: what has waited for less than it is away holds none.
pub(super) fn would_return_late(situation: &Situation, policy: &Policy) -> bool {
    let away = situation.visibility_timeout_seconds.unwrap_or(ASSUMED_VISIBILITY_SECONDS)
        + CYCLE_SECONDS
        + AGE_ERROR_SECONDS;
    let waited = situation.longest_wait_seconds.unwrap_or(0.0);
    // Where nothing is left nothing can return.
    let are_left = situation.started + situation.in_by(0.0) >= 0.5;
    (are_left && policy.target_wait_seconds.is_some_and(|wait| waited >= (wait - away).max(away)))
        || situation.deadlines.iter().any(|deadline| leaves_soon(deadline, away, situation))
}

/// Whether orders wait for a dispatch that one which returns would miss.
fn leaves_soon(deadline: &Deadline, away: f64, situation: &Situation) -> bool {
    let again = away + situation.service.most_seconds_per_order();
    deadline.dispatch_in_seconds <= again.min(deadline.window_seconds() - again)
        && situation.in_by(deadline.cut_off_in_seconds) >= 0.5
}

/// What is held of `existing` replicas of which `planned` would do: for longer, the smaller the step.
pub(super) fn held(situation: &Situation, existing: u32, planned: u32) -> u32 {
    let step = existing.saturating_sub(planned);
    if planned == 0 {
        situation.hold_replicas
    } else if f64::from(step) < f64::from(existing) * SETTLED_SHARE {
        situation.settled_replicas
    } else if step < 2 {
        situation.settled_one.unwrap_or(situation.settled_replicas)
    } else {
        situation.hold_replicas
    }
}

/// Whether so many orders wait that all of `existing` workers stay busy with them for long.
///
/// To let a queue stand until just before it is due saves nothing: the work is the same. Worked off, it leaves the
/// wait to whatever comes unforeseen, and fewer workers come and go. Where less comes soon, they are left to that time, in which workers
/// would else be idle.
pub(super) fn works_off(situation: &Situation, policy: &Policy, existing: u32) -> bool {
    let Some(wait) = policy.target_wait_seconds else { return false };
    let done_soon = f64::from(existing) * careful_rate(situation) * WORKED_OFF_SECONDS;
    situation.in_by(0.0) > done_soon.max(situation.arrival_rate * WORKED_OFF_SHARE * wait)
        && situation.outlook.at(wait).0 >= LESS_SHARE * situation.arrival_rate * wait
}

/// Whether nothing is there, nothing is likely to come soon, and what comes all the same can wait for a
/// worker to be started.
pub(super) fn can_do_without(situation: &Situation, policy: &Policy) -> bool {
    let lead = situation.pod_lead_seconds + situation.node_lead_seconds + CYCLE_SECONDS;
    situation.backlog < 0.5
        && situation.empty_seconds >= EMPTY_SECONDS
        && policy.target_wait_seconds.is_none_or(|wait| lead <= wait * WAIT_RESERVE)
        && !expects_soon(situation)
}

/// Whether an order is likely before a worker brought back from zero had earned its keep.
pub(super) fn expects_soon(situation: &Situation) -> bool {
    let back = situation.pod_lead_seconds + situation.node_lead_seconds + 300.0;
    // A rate at which so long a silence would be rare is over.
    let is_over = situation.outlook.model == PRESENT_RATE
        && situation.arrival_rate * situation.empty_seconds > UNLIKELY_SILENCE;
    !is_over && situation.outlook.at(back).0 >= 0.7
}

/// Data that must not scale anything down.
pub(super) fn in_doubt(situation: &Situation) -> bool {
    let old = |age: f64| age > DOUBTFUL_AGE_SECONDS;
    // Workers that were never read are planned without; only what was known can be out of date.
    situation.doubtful
        || situation.queue_age_seconds.is_none_or(old)
        || situation.fleet_age_seconds.is_some_and(old)
}
