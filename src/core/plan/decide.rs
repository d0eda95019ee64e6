//! Replicas and nodes for a situation. Pure: the same situation and policy give the same record,
//! bit for bit.

use super::capacity::{done_by_fleet, height_at, room_ahead};
use super::curves::{Curves, Due, Strictness};
use super::keep::{can_do_without, expects_soon, held, in_doubt, works_off, would_return_late};
use super::late::{self, Late};
use super::lumps::room_for_lumps;
use super::reason;
use super::situation::{Deadline, Fleet, KnownEntry, Situation};
use super::string::{Corridor, Segment};
use super::tuning::{
    CATCH_UP_SHARE, CUT_OFF_RESERVE, CYCLE_SECONDS, DEVIATIONS, DOUBTFUL_AGE_SECONDS, DOWN_SLACK_REPLICAS,
    EMPTY_SECONDS, MOST_CARE, MOST_CARE_GUESSED, MOST_DEVIATIONS, NODE_DEVIATIONS, SURE_DEVIATION,
    UP_SLACK_HALVED_AT, UP_SLACK_REPLICAS, UP_SLACK_SHARE, WAIT_LIMIT, WAIT_RESERVE,
};
use crate::core::decision::{
    Binding, Bound, BoundKind, CalendarPart, DecisionError, DecisionRecord, ForecastSummary, Quantile,
    policy_version,
};
use crate::core::demand::forecast::distribution::{count_quantile, normal_quantile};
use crate::core::policy::Policy;

/// Levels of the quantiles that are told.
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// Decides for `situation.at`, and says why.
pub fn decide(situation: &Situation, policy: &Policy) -> DecisionRecord {
    let mut record = decide_silently(situation.clone(), policy, policy_version(policy));
    record.reason = reason::sentence(&record, policy);
    record
}

/// The same without the sentence, for those who ask thousands of times and read none of them; `version` is
/// [`policy_version`] of `policy`.
pub fn decide_silently(mut situation: Situation, policy: &Policy, version: String) -> DecisionRecord {
    let calendar = std::mem::take(&mut situation.calendar);
    let plan = Plan::draw(&situation, policy);
    let calendar_parts = calendar_parts(&calendar, &situation, policy, &plan);
    situation.calendar = calendar;
    record(situation, policy, version, &plan, calendar_parts)
}

fn record(
    situation: Situation,
    policy: &Policy,
    policy_version: String,
    plan: &Plan,
    calendar: Vec<CalendarPart>,
) -> DecisionRecord {
    let mut bounds = Vec::new();
    let error = staleness(&situation, policy);
    let desired = if error.is_some() { None } else { Some(bounded(&situation, policy, plan, &mut bounds)) };
    let binding = match stale_source(&situation, policy) {
        Some(binding) => binding,
        None => plan.binding(&situation, policy, desired.unwrap_or(0), &bounds),
    };
    let existing = situation.fleet.as_ref().map_or(situation.last_desired.unwrap_or(0), Fleet::existing);
    let most_ahead = situation.unlearned_replicas.map_or(u32::MAX, |most| most.saturating_mul(2));
    let ahead =
        plan.ahead.min(most_ahead).clamp(policy.min_replicas, policy.max_replicas.max(policy.min_replicas));
    DecisionRecord {
        at: situation.at,
        desired,
        planned: planned(&situation, policy, plan),
        active: desired.unwrap_or(0) > 0,
        ahead,
        buffer: room_ahead(ahead, existing),
        binding,
        bounds,
        reason: String::new(),
        backlog: situation.backlog,
        arrival_rate: situation.arrival_rate,
        service_rate: situation.service.per_second,
        service_rate_lower: situation.service.lower_per_second,
        forecast: forecast_summary(&situation, plan.lead_seconds),
        calendar,
        late_expected: plan.late.orders,
        late_first: plan.late.first.clone(),
        relief: plan.late.relief.clone(),
        policy_version,
        error,
        inputs: Some(Box::new(situation)),
    }
}

/// The numbers before bounds.
#[derive(Debug)]
struct Plan {
    /// Replicas to have ordered now, so that they are ready in time.
    up: f64,
    /// Replicas that the string from now asks for.
    now: f64,
    /// The piece of string that gave `up`, or `now` where that is what counts.
    due_in_seconds: f64,
    due_orders: f64,
    ahead: u32,
    lead_seconds: f64,
    wait_share: f64,
    late: Late,
}

impl Plan {
    fn draw(situation: &Situation, policy: &Policy) -> Self {
        Self::with(situation, policy, |curves, fleet, done, soft| {
            late::foresee(curves, situation, policy, fleet, (done, soft))
        })
    }

    /// Only how many are wanted: who would be late is not asked.
    fn outline(situation: &Situation, policy: &Policy) -> Self {
        Self::with(situation, policy, |_, _, _, _| Late::default())
    }

    fn with(
        situation: &Situation,
        policy: &Policy,
        late: impl FnOnce(&Curves, &Fleet, &[f64], &[f64]) -> Late,
    ) -> Self {
        let curves = Curves::new(situation, policy);
        let lines = Lines::new(&curves, situation, policy);
        let per_second = careful_rate(situation);
        let empty = Fleet { ready: 0, ready_in_seconds: Vec::new(), pending: 0 };
        let fleet = situation.fleet.as_ref().unwrap_or(&empty);
        let done = done_by_fleet(&curves, fleet, per_second);

        let short = situation.pod_lead_seconds + CYCLE_SECONDS;
        let long = short + situation.node_lead_seconds;
        // Where nobody can tell how many pods there are, nothing is credited to them.
        let start = if situation.fleet.is_some() { short } else { 0.0 };
        let mut order = lines.order(start, height_at(&curves.x, &done, start));
        let mut lead_seconds = start;
        // What has no room comes a node's lead time later, so it is planned for that time.
        let most = f64::from(fleet.existing()) + room(situation, fleet);
        if situation.fleet.is_some() && order.slope / per_second > most {
            let later = lines.order(long, height_at(&curves.x, &done, long));
            order.slope = (most * per_second).max(later.slope.min(order.slope));
            lead_seconds = long;
        }
        let now = lines.soft().first_segment(0.0, 0.0);
        let shown = if now.is_some_and(|now| now.slope > order.slope) { now.unwrap_or(order) } else { order };
        Self {
            up: (order.slope / per_second).min(most_useful(situation, policy, lead_seconds + CYCLE_SECONDS)),
            now: (now.map_or(0.0, |segment| segment.slope) / per_second)
                .min(most_useful(situation, policy, short)),
            due_in_seconds: curves.x[shown.end.min(curves.x.len() - 1)],
            due_orders: lines.soft.orders[shown.end.min(curves.x.len() - 1)],
            ahead: lines
                .ahead(&done, per_second, short)
                .min(whole(most_useful(situation, policy, long + CYCLE_SECONDS)))
                .saturating_add(whole(room_for_lumps(situation, policy))),
            lead_seconds,
            wait_share: curves.wait_share,
            late: late(&curves, fleet, &done, &lines.soft.orders),
        }
    }

    fn binding(&self, situation: &Situation, policy: &Policy, desired: u32, bounds: &[Bound]) -> Binding {
        let planned = whole(self.up.max(self.now));
        if let Some(bound) = bounds.last() {
            return if bound.kind == BoundKind::Hold { Binding::Hold { planned } } else { Binding::Bound };
        }
        if desired == 0 || self.due_orders <= 0.0 {
            return Binding::Idle;
        }
        let by_cut_off = situation.deadlines.iter().find(|deadline| {
            deadline.dispatch_in_seconds >= self.due_in_seconds
                && policy.target_wait_seconds.is_none_or(|wait| {
                    deadline.cut_off_in_seconds + wait * self.wait_share > self.due_in_seconds + 1.0
                })
                && deadline.cut_off_in_seconds <= self.due_in_seconds
        });
        match by_cut_off {
            Some(deadline) => Binding::CutOff {
                name: deadline.name.clone(),
                dispatch: situation
                    .at
                    .checked_add(jiff::SignedDuration::from_secs_f64(deadline.dispatch_in_seconds.round()))
                    .unwrap_or(situation.at),
                orders: self.due_orders,
            },
            None => Binding::Wait { due_in_seconds: self.due_in_seconds, orders: self.due_orders },
        }
    }
}

/// The due curves that a plan is pulled along.
struct Lines<'a> {
    curves: &'a Curves,
    situation: &'a Situation,
    policy: &'a Policy,
    soft: Due,
}

impl<'a> Lines<'a> {
    fn new(curves: &'a Curves, situation: &'a Situation, policy: &'a Policy) -> Self {
        let soft = Strictness {
            wait_share: curves.wait_share,
            cut_off_share: CUT_OFF_RESERVE,
            deviations: DEVIATIONS,
            blind_seconds: blind_seconds(situation, policy),
            catch_up_share: CATCH_UP_SHARE,
        };
        Self { curves, soft: curves.due(situation, policy, soft), situation, policy }
    }

    fn soft(&self) -> Corridor<'_> {
        self.above(&self.soft)
    }

    fn above<'b>(&'b self, due: &'b Due) -> Corridor<'b> {
        let Curves { x, arrived, .. } = self.curves;
        Corridor { x, low: &due.orders, high: arrived, catch_up: due.catch_up() }
    }

    /// What must be ordered now to be there at `start`, where `height` orders will be started.
    fn order(&self, start: f64, height: f64) -> Segment {
        let Some(soft) = self.soft().first_segment(start, height) else {
            return Segment { slope: 0.0, end: 0, height };
        };
        let strictness = Strictness {
            wait_share: WAIT_LIMIT,
            cut_off_share: WAIT_LIMIT,
            deviations: 0.0,
            blind_seconds: 0.0,
            catch_up_share: 1.0 - WAIT_LIMIT,
        };
        // What is due in truth is nowhere above what is due with reserves: where even that allows the
        // shortest catching up, nothing steeper is to be found.
        if self.soft().is_kept_by(soft.slope, start, height, self.shortest_catch_up(strictness)) {
            return soft;
        }
        let low = self.curves.due(self.situation, self.policy, strictness);
        match self.above(&low).first_segment(start, height) {
            Some(hard) if hard.slope > soft.slope => hard,
            _ => soft,
        }
    }

    fn shortest_catch_up(&self, strictness: Strictness) -> f64 {
        let windows = self.situation.deadlines.iter().map(Deadline::window_seconds);
        let rules = windows.chain(self.policy.target_wait_seconds);
        strictness.catch_up_seconds(rules.fold(f64::INFINITY, f64::min))
    }

    /// Replicas wanted when a node ordered now is there.
    fn ahead(&self, done: &[f64], per_second: f64, start: f64) -> u32 {
        let (situation, policy) = (self.situation, self.policy);
        let strictness = Strictness {
            wait_share: self.curves.wait_share,
            cut_off_share: CUT_OFF_RESERVE,
            deviations: NODE_DEVIATIONS,
            blind_seconds: blind_seconds(situation, policy) + situation.node_lead_seconds,
            catch_up_share: CATCH_UP_SHARE,
        };
        let low = self.curves.due(situation, policy, strictness);
        let from = situation.node_lead_seconds;
        let until = from + situation.pod_lead_seconds + 2.0 * CYCLE_SECONDS;
        let height = height_at(&self.curves.x, done, start);
        let slopes = self.above(&low).slopes(start, height, until);
        let starts = slopes.iter().map(|(start, _)| *start).skip(1).chain([f64::INFINITY]);
        let steepest = slopes
            .iter()
            .zip(starts)
            .filter(|((_, _), end)| *end > from)
            .map(|((_, slope), _)| *slope)
            .fold(0.0, f64::max);
        whole(steepest / per_second)
    }
}

/// For how long arrivals must be foreseen: those that come later than this are seen early enough
/// to order pods for them.
fn blind_seconds(situation: &Situation, policy: &Policy) -> f64 {
    let slack = policy.target_wait_seconds.unwrap_or(3600.0) * WAIT_RESERVE;
    (situation.pod_lead_seconds + CYCLE_SECONDS + sight_seconds(situation) - slack).max(30.0)
}

/// How long it takes until an order is seen.
fn sight_seconds(situation: &Situation) -> f64 {
    situation.arrivals_age_seconds.unwrap_or(60.0).clamp(15.0, 60.0)
}

/// Service rate to plan with: the mean, or less while little is known of it.
pub(super) fn careful_rate(situation: &Situation) -> f64 {
    let service = &situation.service;
    let deviation = 1.0 - service.lower_per_second / service.per_second;
    let most = if situation.unlearned_replicas.is_some() { MOST_CARE_GUESSED } else { MOST_CARE };
    service.per_second * (1.0 - (deviation - SURE_DEVIATION).clamp(0.0, most))
}

/// One worker for each order that may be there in `seconds`, none of the present ones being done: more have nothing
/// to do, however long the work takes.
fn most_useful(situation: &Situation, policy: &Policy, seconds: f64) -> f64 {
    let (_, deviation) = situation.outlook.at(seconds);
    let deviations = if can_wait_for_its_own(situation, policy, seconds) { 0.0 } else { MOST_DEVIATIONS };
    (situation.started + situation.in_by(seconds) + deviations * deviation).max(1.0)
}

/// Whether an order that nobody expects can wait for a worker that is ordered when it is seen, and is there in `seconds`.
/// Where arrivals are not counted it may have been there for long.
fn can_wait_for_its_own(situation: &Situation, policy: &Policy, seconds: f64) -> bool {
    let wait = policy.target_wait_seconds.map(|wait| wait * WAIT_RESERVE);
    let windows = situation.deadlines.iter().map(|deadline| {
        deadline.start_by_seconds(&situation.service, CUT_OFF_RESERVE) - deadline.cut_off_in_seconds
    });
    let slack = windows.chain(wait).fold(f64::INFINITY, f64::min);
    situation.arrivals_age_seconds.is_some() && seconds + sight_seconds(situation) <= slack
}

/// Pods that can be added without waiting for a node to be ordered.
pub(super) fn room(situation: &Situation, fleet: &Fleet) -> f64 {
    match situation.nodes {
        Some(nodes) => f64::from((nodes.free_slots + nodes.coming).saturating_sub(fleet.pending)),
        None if fleet.pending > 0 => 0.0,
        None => f64::INFINITY,
    }
}

/// The least whole number of replicas for a plan, not adding one for a rounding error.
pub(crate) fn whole(replicas: f64) -> u32 {
    let ceiling = (replicas - 0.02).ceil().clamp(0.0, f64::from(u32::MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let whole = ceiling as u32;
    whole
}

/// From the plan to the number: hysteresis, then each bound, noted where it bites.
fn bounded(situation: &Situation, policy: &Policy, plan: &Plan, bounds: &mut Vec<Bound>) -> u32 {
    let mut number = Bounded { value: planned(situation, policy, plan), bounds };
    let existing = situation.fleet.as_ref().map(Fleet::existing).or(situation.last_desired);
    if let Some(existing) = existing {
        let held = held(situation, existing, number.value);
        number.raise(BoundKind::Hold, held.min(existing));
        if works_off(situation, policy, existing) {
            number.raise(BoundKind::Queue, existing.min(situation.last_desired.unwrap_or(existing)));
        }
    }
    if let Some(fleet) = &situation.fleet
        && number.value < fleet.on_nodes()
        && would_return_late(situation, policy)
    {
        number.raise(BoundKind::Redelivery, fleet.on_nodes().min(situation.last_desired.unwrap_or(u32::MAX)));
    }
    if let Some(busy) = situation.busy_at_start {
        number.raise(BoundKind::Hold, busy.min(existing.unwrap_or(busy)));
    }
    let goes_to_zero = number.value == 0 && existing.unwrap_or(0) > 0;
    if goes_to_zero
        && (situation.backlog >= 0.5 || situation.empty_seconds < EMPTY_SECONDS || expects_soon(situation))
    {
        number.raise(BoundKind::Hold, 1);
    }
    if number.value == 0 && situation.activated && situation.backlog > policy.activation_queue_length {
        number.raise(BoundKind::Activation, 1);
    }
    let from_zero = situation.fleet.as_ref().is_some_and(|fleet| fleet.existing() == 0)
        && situation.last_desired.unwrap_or(0) == 0;
    let silent = policy.activation_queue_length > 0.0 || situation.arrival_rate <= 0.0;
    if from_zero && !situation.activated && silent && policy.min_replicas == 0 {
        number.lower(BoundKind::Activation, 0);
    }
    if let Some(most) = situation.unlearned_replicas {
        number.lower(BoundKind::Unlearned, most);
    }
    if let Some(most) = situation.contention_replicas {
        number.lower(BoundKind::Contention, most);
    }
    if let Some(limit) = policy.throughput_limit_per_hour {
        number.lower(BoundKind::ThroughputLimit, whole(limit / 3600.0 / situation.service.per_second).max(1));
    }
    if let (Some(ramp), Some(before)) = (policy.ramp_up_per_minute, situation.minute_ago_replicas) {
        number.lower(BoundKind::Ramp, before.saturating_add(whole(ramp).max(1)));
    }
    if let (true, Some(last)) = (in_doubt(situation), situation.last_desired) {
        number.raise(BoundKind::Doubt, last);
    }
    number.raise(BoundKind::Minimum, policy.min_replicas);
    number.lower(BoundKind::Maximum, policy.max_replicas);
    number.value
}

/// Up as ordered, down only as far as the string from now goes.
fn planned(situation: &Situation, policy: &Policy, plan: &Plan) -> u32 {
    // Where the pods can't be counted, those asked for last are taken for there.
    let Some(existing) = situation.fleet.as_ref().map(Fleet::existing).or(situation.last_desired) else {
        return whole(plan.up.max(plan.now));
    };
    let there = f64::from(existing);
    let slack = UP_SLACK_REPLICAS * there / (there + UP_SLACK_HALVED_AT) + UP_SLACK_SHARE * there;
    let enough = existing > 0 && plan.up <= f64::from(existing) + slack;
    let up = if enough { whole(plan.up).min(existing) } else { whole(plan.up) };
    let planned = up.max(existing.min(whole(plan.now - DOWN_SLACK_REPLICAS).max(whole(plan.now.min(1.0)))));
    if planned == 1 && can_do_without(situation, policy) { 0 } else { planned }
}

fn stale_source(situation: &Situation, policy: &Policy) -> Option<Binding> {
    let limit = policy.stale_after_seconds.min(DOUBTFUL_AGE_SECONDS);
    let age_seconds = situation.queue_age_seconds;
    age_seconds
        .is_none_or(|age| age > limit)
        .then(|| Binding::Stale { source: "queue".to_owned(), age_seconds })
}

fn staleness(situation: &Situation, policy: &Policy) -> Option<DecisionError> {
    let reason = match situation.queue_age_seconds {
        None => "the queue has not been read yet".to_owned(),
        Some(age) if age > policy.stale_after_seconds => format!(
            "the queue was last read {age:.0} s ago, staleAfter is {:.0} s; KEDA's fallback decides",
            policy.stale_after_seconds
        ),
        Some(_) => return None,
    };
    Some(DecisionError { code: "UNAVAILABLE".to_owned(), reason })
}

fn forecast_summary(situation: &Situation, lead_seconds: f64) -> Option<ForecastSummary> {
    let horizon_seconds = lead_seconds.max(600.0);
    let (expected, deviation) = situation.outlook.at(horizon_seconds);
    (!situation.outlook.knots.is_empty()).then(|| ForecastSummary {
        model: situation.outlook.model.clone(),
        horizon_seconds,
        expected,
        deviation,
        quantiles: QUANTILES
            .iter()
            .map(|level| Quantile {
                level: *level,
                orders: count_quantile(expected, deviation * deviation, normal_quantile(*level)),
            })
            .collect(),
        quality: situation.forecast_quality,
        distrust: situation.forecast_distrust.clone(),
    })
}

/// The plan against the same plan without each entry of the calendar.
fn calendar_parts(
    calendar: &[KnownEntry],
    situation: &Situation,
    policy: &Policy,
    plan: &Plan,
) -> Vec<CalendarPart> {
    let mut parts = Vec::with_capacity(calendar.len());
    if calendar.is_empty() {
        return parts;
    }
    let mut other = situation.clone();
    for entry in calendar {
        other.outlook.clone_from(&entry.without);
        let without = Plan::outline(&other, policy);
        let horizon_seconds = situation.outlook.knots.last().map_or(0.0, |knot| knot.x_seconds());
        let orders = situation.outlook.at(horizon_seconds).0 - entry.without.at(horizon_seconds).0;
        parts.push(CalendarPart {
            name: entry.name.clone(),
            from: entry.from,
            to: entry.to,
            horizon_seconds,
            orders,
            replicas: i64::from(planned(situation, policy, plan))
                - i64::from(planned(&other, policy, &without)),
            ahead: i64::from(plan.ahead) - i64::from(without.ahead),
        });
    }
    parts
}

/// A number on its way through the bounds.
struct Bounded<'a> {
    value: u32,
    bounds: &'a mut Vec<Bound>,
}

impl Bounded<'_> {
    fn raise(&mut self, kind: BoundKind, least: u32) {
        if self.value < least {
            self.bounds.push(Bound { kind, from: self.value, to: least });
            self.value = least;
        }
    }

    fn lower(&mut self, kind: BoundKind, most: u32) {
        if self.value > most {
            self.bounds.push(Bound { kind, from: self.value, to: most });
            self.value = most;
        }
    }
}
