//! Orders that will be late whatever is done now: how many, which first, and the bound to raise.

use super::capacity::{Joining, done_with, height_at};
use super::curves::{Curves, Strictness};
use super::decide::{careful_rate, room};
use super::situation::{Fleet, ServiceSource, Situation};
use super::tuning::{CYCLE_SECONDS, MOST_CARE};
use crate::core::decision::{BoundKind, LateFirst, Relief};
use crate::core::demand::outlook::PRESENT_RATE;
use crate::core::policy::Policy;

/// Fewer late orders than this are the rounding of a curve.
const LEAST_ORDERS: f64 = 1.0;
/// Of the orders that a bound makes late, so many are not worth raising it further for: the last few
/// would take a replica each.
const UNWORTHY_SHARE: f64 = 0.05;
/// Of what comes later than this the present rate alone says nothing: an evening's, gone on with until the next day's
/// cut-off, would call that day's orders late.
const RATE_HORIZON_SECONDS: f64 = 3600.0;
/// More replicas than any bound that could be raised.
const ENDLESS: f64 = 100_000.0;

/// What can't be saved any more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Late {
    /// Orders late in all, within the horizon.
    pub orders: f64,
    /// The first of them.
    pub first: Option<LateFirst>,
    /// The bound that makes them late, where one does.
    pub relief: Option<Relief>,
}

/// Foresees lateness when everything that the bounds allow is ordered now. `done` by `fleet` alone, and
/// `soft`, what is due by a plan with reserves, tell at once where nothing can be late.
pub fn foresee(
    curves: &Curves,
    situation: &Situation,
    policy: &Policy,
    fleet: &Fleet,
    (done, soft): (&[f64], &[f64]),
) -> Late {
    if done.iter().zip(soft).all(|(done, soft)| done >= soft) {
        return Late::default();
    }
    let truth = Strictness {
        wait_share: 1.0,
        cut_off_share: 1.0,
        deviations: 0.0,
        blind_seconds: 0.0,
        catch_up_share: 0.0,
    };
    let mut due = curves.due(situation, policy, truth).orders;
    // First in, first out: the orders that come by then are the first ones due.
    let told = if situation.service.source == ServiceSource::Prior {
        // What workers will do nobody knows: only what is overdue is certain.
        due.first().copied()
    } else {
        let is_guess = situation.outlook.model.starts_with(PRESENT_RATE) || is_little_known(situation);
        is_guess.then(|| situation.in_by(RATE_HORIZON_SECONDS))
    };
    if let Some(told) = told {
        for due in &mut due {
            *due = due.min(told);
        }
    }
    let view = View { curves, situation, fleet, due, per_second: careful_rate(situation) };
    let limits = Limits::of(situation, policy, fleet);
    let done = view.done(limits);
    let orders = view.late(&done);
    if orders < LEAST_ORDERS {
        return Late { orders, ..Late::default() };
    }
    Late { orders, first: view.first(policy, &done, orders), relief: view.relief(policy, limits, orders) }
}

/// Whether so few orders were completed that what a worker does in hours is not known.
fn is_little_known(situation: &Situation) -> bool {
    let service = &situation.service;
    1.0 - service.lower_per_second / service.per_second > MOST_CARE
}

/// The bounds that keep replicas from being ordered.
#[derive(Debug, Clone, Copy)]
struct Limits {
    maximum: f64,
    throughput: f64,
    /// Replicas that may exist now, and those added in every minute from now on.
    ramp: (f64, f64),
}

impl Limits {
    fn of(situation: &Situation, policy: &Policy, fleet: &Fleet) -> Self {
        let behind = policy
            .throughput_limit_per_hour
            .map_or(ENDLESS, |limit| (limit / 3600.0 / situation.service.per_second).max(1.0));
        let ramp = match (policy.ramp_up_per_minute, situation.minute_ago_replicas) {
            (Some(ramp), Some(before)) => (f64::from(before) + ramp, ramp),
            (Some(ramp), None) => (f64::from(fleet.existing()) + ramp, ramp),
            (None, _) => (ENDLESS, 0.0),
        };
        Self { maximum: f64::from(policy.max_replicas), throughput: behind, ramp }
    }

    /// The same with one bound at `value`.
    fn raised(mut self, bound: BoundKind, value: f64) -> Self {
        if bound == BoundKind::ThroughputLimit {
            self.throughput = value;
        } else if bound == BoundKind::Ramp {
            self.ramp = (self.ramp.0 - self.ramp.1 + value, value);
        } else {
            self.maximum = value;
        }
        self
    }

    /// The most replicas that may be wanted once `seconds` have passed.
    fn replicas(&self, seconds: f64) -> f64 {
        let ramp = self.ramp.0 + self.ramp.1 * (seconds / 60.0).floor();
        self.maximum.min(self.throughput).min(ramp)
    }
}

struct View<'a> {
    curves: &'a Curves,
    situation: &'a Situation,
    fleet: &'a Fleet,
    due: Vec<f64>,
    per_second: f64,
}

impl View<'_> {
    /// Orders started by each grid point with all that the limits allow.
    fn done(&self, limits: Limits) -> Vec<f64> {
        let horizon = self.curves.x.last().copied().unwrap_or(0.0);
        let short = self.situation.pod_lead_seconds + CYCLE_SECONDS;
        let long = short + self.situation.node_lead_seconds;
        let existing = f64::from(self.fleet.existing());
        let mut room = room(self.situation, self.fleet);
        let (mut near, mut far, mut there, mut minute) = (Vec::new(), Vec::new(), existing, 0.0);
        loop {
            let added = (limits.replicas(minute) - there).max(0.0);
            let at_once = added.min(room);
            room -= at_once;
            there += added;
            near.push(Joining { in_seconds: minute + short, replicas: at_once });
            far.push(Joining { in_seconds: minute + long, replicas: added - at_once });
            minute += 60.0;
            if limits.ramp.1 <= 0.0
                || minute > horizon
                || there + 1e-9 >= limits.maximum.min(limits.throughput)
            {
                break;
            }
        }
        near.append(&mut far);
        near.retain(|group| group.replicas > 0.0);
        done_with(self.curves, self.fleet, self.per_second, &near)
    }

    fn late(&self, done: &[f64]) -> f64 {
        let (mut late, mut before) = (0.0, 0.0);
        for (due, done) in self.due.iter().zip(done) {
            // Half an order is the rounding of a curve, not an order.
            late += (due - done.max(before) - 0.5).max(0.0).min(due - before);
            before = *due;
        }
        late
    }

    /// The first due time that is missed, and by how many orders.
    fn first(&self, policy: &Policy, done: &[f64], late: f64) -> Option<LateFirst> {
        let missed = self.due.iter().zip(done).position(|(due, done)| due - done > 0.5)?;
        let x = self.curves.x[missed];
        let by_cut_off = self.situation.deadlines.iter().find(|deadline| {
            let start_by = deadline.start_by_seconds(&self.situation.service, 1.0);
            // Its due time lies between the grid point before and this one, and the wait asks for less.
            start_by <= x + 1e-6
                && deadline.dispatch_in_seconds > 0.0
                && self.situation.in_by(deadline.cut_off_in_seconds) >= self.due[missed] - 1e-6
                && policy
                    .target_wait_seconds
                    .is_none_or(|wait| self.situation.in_by(x - wait) < self.due[missed] - 0.5)
        });
        let (cut_off, in_seconds, orders) = match by_cut_off {
            Some(deadline) => {
                let start_by = deadline.start_by_seconds(&self.situation.service, 1.0).max(0.0);
                let missing = self.due[missed] - height_at(&self.curves.x, done, start_by);
                (Some(deadline.name.clone()), deadline.dispatch_in_seconds, missing.min(late))
            }
            None => (None, x, late),
        };
        let at = self.situation.at.checked_add(jiff::SignedDuration::from_secs_f64(in_seconds.round()));
        Some(LateFirst { cut_off, at: at.unwrap_or(self.situation.at), in_seconds, orders })
    }

    /// The bound whose raising alone saves most of what can be saved, and how far to raise it.
    fn relief(&self, policy: &Policy, limits: Limits, late: f64) -> Option<Relief> {
        let bounds = [
            (BoundKind::Maximum, limits.maximum),
            (BoundKind::ThroughputLimit, limits.throughput),
            (BoundKind::Ramp, if policy.ramp_up_per_minute.is_some() { limits.ramp.1 } else { ENDLESS }),
        ];
        let mut best: Option<(f64, Relief)> = None;
        for (bound, present) in bounds {
            if present >= ENDLESS {
                continue;
            }
            let with = |value| limits.raised(bound, value);
            let least = self.late(&self.done(with(ENDLESS)));
            let saved = late - least;
            if saved < LEAST_ORDERS || best.as_ref().is_some_and(|(most, _)| saved <= *most) {
                continue;
            }
            let enough = self.enough(present, least + UNWORTHY_SHARE * saved, &with);
            let saved = late - self.late(&self.done(with(enough)));
            let by_hour = self.situation.service.per_second * 3600.0;
            let raise_to =
                if bound == BoundKind::ThroughputLimit { (enough * by_hour).ceil() } else { enough };
            best = Some((saved, Relief { bound, raise_to, orders: saved }));
        }
        best.map(|(_, relief)| relief)
    }

    /// The least whole figure with which at most so many are late.
    fn enough(&self, present: f64, most_late: f64, with: &dyn Fn(f64) -> Limits) -> f64 {
        let keeps = |value: f64| self.late(&self.done(with(value))) <= most_late + 0.5;
        let (mut low, mut high) = (present.floor(), present.ceil() + 1.0);
        while !keeps(high) && high < ENDLESS {
            (low, high) = (high, high * 2.0);
        }
        while high - low > 1.0 {
            let middle = f64::midpoint(low, high).floor();
            if keeps(middle) { high = middle } else { low = middle }
        }
        high
    }
}
