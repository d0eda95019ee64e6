//! The due curve and the arrival curve on a common time grid.
//!
//! Orders are started first in, first out. An order that arrives at `a` must be started by
//! `a + wait`; all orders in by a cut-off must be started early enough to be done at its dispatch.
//! Later orders can't be due before earlier ones are served, so what must be started by `x` is the
//! largest count that any of these rules asks for.

use super::ceiling::planned_wait_share;
use super::situation::{Situation, next_due};
use super::string::CatchUp;
use super::tuning::{
    CUT_OFF_RESERVE, HORIZON_BEYOND_WAIT_SECONDS, HORIZON_LIMIT_SECONDS, HORIZON_SECONDS, LAST_STEP_SECONDS,
    LEAST_CATCH_UP_SECONDS, STEPS_SECONDS,
};
use crate::core::policy::Policy;

/// Cumulative orders from now on a grid of seconds from now.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// Seconds from now; starts at 0, ascending.
    pub x: Vec<f64>,
    /// Orders waiting now plus those expected until `x`.
    pub arrived: Vec<f64>,
    /// Share of the target wait that plans use.
    pub wait_share: f64,
    /// The wait that this is, and the orders due by it without deviations: all of them begin with these.
    planned: Option<(f64, Vec<f64>)>,
}

/// How strictly due times are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strictness {
    /// Share of the target wait that may be used.
    pub wait_share: f64,
    /// Share of the time from cut-off to dispatch that may be used.
    pub cut_off_share: f64,
    /// Standard deviations added to window sums.
    pub deviations: f64,
    /// Window sums of more than these seconds get no more deviation than one of this length: what
    /// arrives later can still be answered when it is seen.
    pub blind_seconds: f64,
    /// Share of the wait, or of the time from cut-off to dispatch, over which overdue work is caught up.
    pub catch_up_share: f64,
}

/// A due curve on the grid of [`Curves::x`].
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Orders that must have been started by each grid point.
    pub orders: Vec<f64>,
    /// Seconds over which overdue work is caught up, by the wait.
    usual_catch_up: f64,
    /// The same at the grid points, where there are cut-offs: the shortest of those that count there.
    catch_ups: Vec<f64>,
}

impl Due {
    /// Over how long what is overdue is caught up.
    pub fn catch_up(&self) -> CatchUp<'_> {
        CatchUp { usual: self.usual_catch_up, at_points: &self.catch_ups }
    }
}

impl Strictness {
    /// Seconds over which work is caught up that has become overdue by a rule that gives it so many.
    pub fn catch_up_seconds(&self, seconds: f64) -> f64 {
        (seconds * self.catch_up_share).max(LEAST_CATCH_UP_SECONDS)
    }
}

impl Curves {
    /// Lays the grid and the arrival curve.
    pub fn new(situation: &Situation, policy: &Policy) -> Self {
        let x = grid(situation, policy);
        let waiting: f64 = situation.waiting.iter().map(|cohort| cohort.orders).sum();
        let mut arrived = Vec::with_capacity(x.len());
        add_expected(&mut arrived, situation, &x, 0.0, waiting);
        let wait_share = planned_wait_share(situation, policy);
        let wait = policy.target_wait_seconds.map(|wait| wait * wait_share);
        let planned = wait.map(|wait| (wait, expected_by_wait(&x, situation, wait)));
        Self { x, arrived, wait_share, planned }
    }

    /// What must have been started by each grid point.
    pub fn due(&self, situation: &Situation, policy: &Policy, strictness: Strictness) -> Due {
        let surcharge = surcharge(situation, strictness);
        let mut orders = match policy.target_wait_seconds {
            Some(wait) => self.due_by_wait(situation, wait * strictness.wait_share, surcharge),
            None => vec![0.0; self.x.len()],
        };
        let usual_catch_up =
            policy.target_wait_seconds.map_or(f64::INFINITY, |wait| strictness.catch_up_seconds(wait));
        let mut catch_ups = Vec::new();
        for deadline in &situation.deadlines {
            let start_by = deadline.start_by_seconds(&situation.service, strictness.cut_off_share);
            let by = deadline.cut_off_in_seconds;
            let in_time = situation.in_by(by) + if by > 0.0 { surcharge.at(by) } else { 0.0 };
            let first = self.x.partition_point(|x| *x < start_by - 1e-9);
            for height in &mut orders[first..] {
                *height = height.max(in_time);
            }
            if in_time > 0.0 {
                let catch_up = strictness.catch_up_seconds(deadline.window_seconds()).min(usual_catch_up);
                catch_ups.resize(self.x.len(), f64::INFINITY);
                for shortest in &mut catch_ups[first..] {
                    *shortest = catch_up.min(*shortest);
                }
            }
        }
        Due { orders, usual_catch_up, catch_ups }
    }

    fn due_by_wait(&self, situation: &Situation, wait: f64, surcharge: Surcharge) -> Vec<f64> {
        let planned = self.planned.as_ref().filter(|(planned, _)| planned.to_bits() == wait.to_bits());
        let mut due = planned
            .map_or_else(|| expected_by_wait(&self.x, situation, wait), |(_, planned)| planned.clone());
        if surcharge.full > 0.0 {
            let coming = self.x.partition_point(|x| *x <= wait);
            for (height, x) in due[coming..].iter_mut().zip(&self.x[coming..]) {
                *height += surcharge.at(x - wait);
            }
        }
        due
    }
}

/// Orders due by each point of `x` when each may wait for `wait` seconds.
fn expected_by_wait(x: &[f64], situation: &Situation, wait: f64) -> Vec<f64> {
    let mut due = Vec::with_capacity(x.len());
    let mut cohorts = situation.waiting.iter().peekable();
    let mut waiting = 0.0;
    // Until the wait is over, those that wait now; from then on, those that come too.
    let coming = x.partition_point(|x| *x <= wait);
    for x in &x[..coming] {
        while let Some(cohort) = cohorts.next_if(|cohort| wait - cohort.age_seconds <= *x) {
            waiting += cohort.orders;
        }
        due.push(waiting);
    }
    waiting += cohorts.map(|cohort| cohort.orders).sum::<f64>();
    add_expected(&mut due, situation, &x[coming..], wait, waiting);
    due
}

/// Where [`STEPS_SECONDS`] end.
const NEAR_SECONDS: f64 = STEPS_SECONDS[STEPS_SECONDS.len() - 1].0;

/// The grid until then, laid once for all plans.
static NEAR: [f64; 190] = {
    let mut x = [0.0; 190];
    let (mut at, mut points, mut part) = (0.0, 0, 0);
    while part < STEPS_SECONDS.len() {
        let (until, step) = STEPS_SECONDS[part];
        while at < until {
            x[points] = at;
            at += step;
            points += 1;
        }
        part += 1;
    }
    assert!(points == x.len(), "as many points as the steps make");
    x
};

/// The seconds from now at which the plan looks: fine first, then coarser, and each due point. The
/// steps are the same for every wait, so that an earlier due time never falls between coarser points.
fn grid(situation: &Situation, policy: &Policy) -> Vec<f64> {
    let wait = policy.target_wait_seconds.unwrap_or(0.0);
    let next_dispatch = next_due(&situation.deadlines).map_or(0.0, |deadline| deadline.dispatch_in_seconds);
    let lead = situation.pod_lead_seconds + situation.node_lead_seconds;
    let horizon = HORIZON_SECONDS
        .max(wait + HORIZON_BEYOND_WAIT_SECONDS)
        .max(lead + wait + HORIZON_BEYOND_WAIT_SECONDS)
        .max((next_dispatch + 60.0).min(HORIZON_LIMIT_SECONDS));
    let mut x = Vec::with_capacity(256);
    x.extend_from_slice(&NEAR[..NEAR.partition_point(|at| *at < horizon)]);
    let mut at = NEAR_SECONDS;
    while at < horizon {
        x.push(at);
        at += LAST_STEP_SECONDS;
    }
    x.push(horizon);
    for deadline in &situation.deadlines {
        let start_by = deadline.start_by_seconds(&situation.service, CUT_OFF_RESERVE);
        let spot = x.partition_point(|point| *point < start_by);
        if start_by > 0.0 && start_by < horizon && x[spot] - start_by > 1e-6 {
            x.insert(spot, start_by);
        }
    }
    x
}

/// What is added to a window sum for its uncertainty: rises to its full size over the blind time.
#[derive(Debug, Clone, Copy)]
struct Surcharge {
    full: f64,
    over_seconds: f64,
    /// Orders after one second.
    first: f64,
}

impl Surcharge {
    fn at(self, x: f64) -> f64 {
        if x >= self.over_seconds {
            return self.full;
        }
        self.first * x.max(0.0).sqrt()
    }
}

fn surcharge(situation: &Situation, strictness: Strictness) -> Surcharge {
    let over_seconds = strictness.blind_seconds.max(1.0);
    let full = strictness.deviations * situation.outlook.at(over_seconds).1;
    Surcharge { full, over_seconds, first: full / over_seconds.sqrt() }
}

/// Adds to `heights` what the outlook brings until each point of `x` (ascending) less `shift`, on top of
/// `waiting`.
fn add_expected(heights: &mut Vec<f64>, situation: &Situation, x: &[f64], shift: f64, waiting: f64) {
    let mut knots = situation.outlook.knots.as_slice();
    let (mut start, mut mean, mut rate, mut until) = (0.0, 0.0, 0.0, f64::NEG_INFINITY);
    let first = heights.len();
    heights.resize(first + x.len(), waiting);
    for (height, x) in heights[first..].iter_mut().zip(x) {
        let at = x - shift;
        while at > until
            && let [from, to, ..] = knots
        {
            (start, mean) = (from.x_seconds(), from.mean());
            rate = (to.mean() - mean) / (to.x_seconds() - start).max(1e-9);
            // Beyond the last knot its slope goes on.
            until = if knots.len() == 2 { f64::INFINITY } else { to.x_seconds() };
            knots = &knots[1..];
        }
        let coming = mean + (at - start) * rate;
        *height += if coming > 0.0 { coming } else { 0.0 };
    }
}
