//! The due curve and the arrival curve on a common time grid.
//!
//! Orders are started first in, first out. An order that arrives at `a` must be started by
//! `a + wait`; all orders in by a cut-off must be started early enough to be done at its dispatch.
//! Later orders can't be due before earlier ones are served, so what must be started by `x` is the
//! largest count that any of these rules asks for.

use super::situation::Situation;
use super::tuning::{
    CUT_OFF_RESERVE, HORIZON_BEYOND_WAIT_SECONDS, HORIZON_LIMIT_SECONDS, HORIZON_SECONDS, LAST_STEP_SECONDS,
    STEPS_SECONDS,
};
use crate::core::policy::Policy;

/// Cumulative orders from now on a grid of seconds from now.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// Seconds from now; starts at 0, ascending.
    pub x: Vec<f64>,
    /// Orders waiting now plus those expected until `x`.
    pub arrived: Vec<f64>,
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
}

impl Curves {
    /// Lays the grid and the arrival curve.
    pub fn new(situation: &Situation, policy: &Policy) -> Self {
        let x = grid(situation, policy);
        let waiting: f64 = situation.waiting.iter().map(|cohort| cohort.orders).sum();
        let mut outlook = Walk::new(situation);
        let arrived = x.iter().map(|x| waiting + outlook.at(*x)).collect();
        Self { x, arrived }
    }

    /// Orders that must have been started by each grid point.
    pub fn due(&self, situation: &Situation, policy: &Policy, strictness: Strictness) -> Vec<f64> {
        let mut due = vec![0.0; self.x.len()];
        if let Some(wait) = policy.target_wait_seconds {
            self.add_wait(
                &mut due,
                situation,
                wait * strictness.wait_share,
                surcharge(situation, strictness),
            );
        }
        for deadline in &situation.deadlines {
            let start_by = deadline.start_by_seconds(&situation.service, strictness.cut_off_share);
            let by = deadline.cut_off_in_seconds;
            let surcharge = if by > 0.0 { surcharge(situation, strictness).at(by) } else { 0.0 };
            let orders = situation.in_by(by) + surcharge;
            let first = self.x.partition_point(|x| *x < start_by - 1e-9);
            for height in &mut due[first..] {
                *height = height.max(orders);
            }
        }
        due
    }

    fn add_wait(&self, due: &mut [f64], situation: &Situation, wait: f64, surcharge: Surcharge) {
        let mut outlook = Walk::new(situation);
        let mut cohorts = situation.waiting.iter().peekable();
        let mut waiting = 0.0;
        for (height, x) in due.iter_mut().zip(&self.x) {
            while let Some(cohort) = cohorts.next_if(|cohort| wait - cohort.age_seconds <= *x) {
                waiting += cohort.orders;
            }
            let coming = if *x > wait { outlook.at(x - wait) + surcharge.at(x - wait) } else { 0.0 };
            *height = height.max(waiting + coming);
        }
    }
}

/// The seconds from now at which the plan looks: fine first, then coarser, and each due point. The
/// steps are the same for every wait, so that an earlier due time never falls between coarser points.
fn grid(situation: &Situation, policy: &Policy) -> Vec<f64> {
    let wait = policy.target_wait_seconds.unwrap_or(0.0);
    let next_dispatch = situation.deadlines.first().map_or(0.0, |deadline| deadline.dispatch_in_seconds);
    let lead = situation.pod_lead_seconds + situation.node_lead_seconds;
    let horizon = HORIZON_SECONDS
        .max(wait + HORIZON_BEYOND_WAIT_SECONDS)
        .max(lead + wait + HORIZON_BEYOND_WAIT_SECONDS)
        .max((next_dispatch + 60.0).min(HORIZON_LIMIT_SECONDS));
    let mut x = Vec::with_capacity(256);
    let mut at = 0.0;
    while at < horizon {
        x.push(at);
        at +=
            STEPS_SECONDS.iter().find(|(until, _)| at < *until).map_or(LAST_STEP_SECONDS, |(_, step)| *step);
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
}

impl Surcharge {
    fn at(self, x: f64) -> f64 {
        self.full * (x / self.over_seconds).clamp(0.0, 1.0).sqrt()
    }
}

fn surcharge(situation: &Situation, strictness: Strictness) -> Surcharge {
    let over_seconds = strictness.blind_seconds.max(1.0);
    Surcharge { full: strictness.deviations * situation.outlook.at(over_seconds).1, over_seconds }
}

/// Reads the outlook at ascending points in one pass.
struct Walk<'a> {
    situation: &'a Situation,
    knot: usize,
}

impl<'a> Walk<'a> {
    fn new(situation: &'a Situation) -> Self {
        Self { situation, knot: 0 }
    }

    fn at(&mut self, x: f64) -> f64 {
        let knots = &self.situation.outlook.knots;
        while self.knot + 2 < knots.len() && knots[self.knot + 1].x_seconds < x {
            self.knot += 1;
        }
        let Some([from, to]) = knots.get(self.knot..self.knot + 2) else { return 0.0 };
        let share = (x - from.x_seconds) / (to.x_seconds - from.x_seconds).max(1e-9);
        (from.mean + (to.mean - from.mean) * share).max(0.0)
    }
}
