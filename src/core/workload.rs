//! The state machine of one workload: observations in, decision records out.

mod check;

use std::sync::Arc;

pub use self::check::ObservationError;
use self::check::check;
use super::decided::{Decided, Waits};
use super::decision::{DecisionRecord, policy_version};
use super::demand::calendar::{
    Calendar, EntryEffect, LearnedHolidays, foresee, less_explained, without_entries,
};
use super::demand::deadlines::{Deadlines, seconds};
use super::demand::forecast::{later, seconds_between};
use super::demand::ledger::Ledger;
use super::demand::outlook::{ArrivalForecast, Outlook};
use super::demand::present::Present;
use super::observation::{LeadTimes, NodeSlots, Observation, Replicas};
use super::plan::decide::whole;
use super::plan::reason::sentence;
use super::plan::situation::{KnownEntry, ServiceSource, next_due};
use super::plan::tuning::{
    BUSY_DEVIATIONS, CYCLE_SECONDS, FIRST_RATE_SECONDS, FIRST_REPLICAS, HORIZON_LIMIT_SECONDS,
    HORIZON_SECONDS, LONGEST_HOLD_SECONDS, SETTLED_ONE_SHARE, SETTLED_SECONDS, WAIT_RESERVE,
};
use super::plan::{Deadline, Fleet, Service, Situation, decide_silently};
use super::policy::Policy;

/// All that is remembered of one workload between two observations.
#[derive(Debug, Clone)]
pub struct Workload {
    policy: Arc<Policy>,
    /// The policy's fingerprint.
    version: String,
    forecast: Option<Box<dyn ArrivalForecast>>,
    calendar: Arc<Calendar>,
    ledger: Ledger,
    deadlines: Deadlines,
    now: f64,
    replicas: Option<(f64, Replicas)>,
    /// Workers that were ready at the first observation that told them, and its moment.
    found: Option<(f64, u32)>,
    pending_since: Option<f64>,
    nodes: Option<NodeSlots>,
    lead_times: LeadTimes,
    visibility_timeout_seconds: Option<f64>,
    waits: Waits,
    decided: Decided,
}

impl Workload {
    /// A workload of which nothing has been seen yet; plans from the present rate alone.
    pub fn new(policy: impl Into<Arc<Policy>>) -> Self {
        let policy = policy.into();
        Self {
            version: policy_version(&policy),
            policy,
            forecast: None,
            calendar: Arc::default(),
            ledger: Ledger::default(),
            deadlines: Deadlines::default(),
            now: f64::NEG_INFINITY,
            replicas: None,
            found: None,
            pending_since: None,
            nodes: None,
            lead_times: LeadTimes { pod_seconds: None, node_seconds: None },
            visibility_timeout_seconds: None,
            waits: Waits::default(),
            decided: Decided::default(),
        }
    }

    /// Gives the plan a forecast to lean on where the policy allows one.
    #[must_use]
    pub fn with_forecast(mut self, forecast: Box<dyn ArrivalForecast>) -> Self {
        self.set_forecast(forecast);
        self
    }

    /// Puts a forecast in the place of the one before.
    pub fn set_forecast(&mut self, mut forecast: Box<dyn ArrivalForecast>) {
        if !self.calendar.is_empty() {
            forecast.set_calendar(&self.calendar);
        }
        self.forecast = Some(forecast);
    }

    /// Puts what people know of peaks, closures and cut-offs in the place of what was known before.
    pub fn set_calendar(&mut self, calendar: Arc<Calendar>) {
        if let Some(forecast) = &mut self.forecast {
            forecast.set_calendar(&calendar);
        }
        self.deadlines.clear();
        self.calendar = calendar;
    }

    /// Goes on from a service rate that was learned before a restart, where none was learned since.
    pub fn resume_service(&mut self, per_second: f64, concurrency: f64, settled: bool) {
        self.ledger.resume_service(per_second, concurrency, settled);
    }

    /// Whether there is a forecast, trusted or not.
    pub fn has_forecast(&self) -> bool {
        self.forecast.is_some()
    }

    /// Plans without a forecast from now on.
    pub fn forget_forecast(&mut self) {
        self.forecast = None;
    }

    /// What people know, as in force.
    pub fn calendar(&self) -> &Arc<Calendar> {
        &self.calendar
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Puts another policy in force; what was learned stays.
    pub fn set_policy(&mut self, policy: impl Into<Arc<Policy>>) {
        let policy = policy.into();
        self.deadlines.clear();
        self.version = policy_version(&policy);
        self.policy = policy;
    }

    /// Takes in one observation, decides for its moment, and says why.
    ///
    /// # Errors
    /// When time went back or a number makes no sense; nothing of the observation is kept then.
    pub fn step(&mut self, observation: &Observation) -> Result<DecisionRecord, ObservationError> {
        let mut record = self.step_silently(observation)?;
        record.reason = sentence(&record, &self.policy);
        // It is kept until the next.
        record.reason.shrink_to_fit();
        Ok(record)
    }

    /// The same without the sentence, for those who read none of thousands.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn step_silently(&mut self, observation: &Observation) -> Result<DecisionRecord, ObservationError> {
        check(observation, self.now)?;
        let now = seconds(observation.at);
        self.take_in(observation, now);
        let situation = self.situation(observation.at, now);
        let kept_seconds = self.hold_seconds(&situation.service).max(SETTLED_SECONDS);
        let record = decide_silently(situation, &self.policy, self.version.clone());
        if let Some(desired) = record.desired {
            self.decided.push(now, record.planned, desired, kept_seconds);
        }
        Ok(record)
    }

    fn take_in(&mut self, observation: &Observation, now: f64) {
        self.now = now;
        if let Some(replicas) = &observation.replicas {
            self.pending_since = (replicas.pending > 0).then(|| self.pending_since.unwrap_or(now));
            self.replicas = Some((now, replicas.clone()));
            if self.decided.is_empty() {
                // Whoever wanted the pods that are there at the start had a reason: they are held as
                // long as anything that was wanted a moment ago.
                let there = replicas.wanted.unwrap_or(0).max(replicas.existing());
                self.decided.push(now, there, there, SETTLED_SECONDS);
                self.found = Some((now, replicas.ready));
            }
        }
        self.nodes = observation.nodes.or(self.nodes);
        if let Some(lead_times) = observation.lead_times {
            self.lead_times = lead_times;
        }
        if let Some(bounds) = observation.bounds {
            let min_replicas = bounds.min.unwrap_or(self.policy.min_replicas);
            let max_replicas = bounds.max.unwrap_or(self.policy.max_replicas);
            if (min_replicas, max_replicas) != (self.policy.min_replicas, self.policy.max_replicas) {
                self.set_policy(Policy { min_replicas, max_replicas, ..(*self.policy).clone() });
            }
        }
        for interval in &observation.arrivals {
            self.ledger.arrived(seconds(interval.from), seconds(interval.to), interval.count);
            if let Some(forecast) = &mut self.forecast {
                forecast.observe(interval);
            }
        }
        let ready = self.ready();
        self.ledger.set_lead_seconds(self.lead_seconds());
        if let Some(queue) = &observation.queue {
            self.ledger.read(now - queue.age_seconds, queue, ready, &self.policy);
            self.visibility_timeout_seconds =
                queue.visibility_timeout_seconds.or(self.visibility_timeout_seconds);
        }
        for interval in &observation.completions {
            self.ledger.completed(seconds(interval.from), seconds(interval.to), interval.count, &self.policy);
        }
    }

    /// Seconds until a worker that is wanted now is ready, on a new node where there are such.
    fn lead_seconds(&self) -> f64 {
        let node_seconds = self.lead_times.node_seconds.unwrap_or(self.policy.node_lead_seconds);
        self.lead_times.pod_seconds.unwrap_or(self.policy.pod_lead_seconds)
            + self.nodes.map_or(0.0, |_| node_seconds)
    }

    fn situation(&mut self, at: jiff::Timestamp, now: f64) -> Situation {
        let present = self.ledger.present(now, &self.policy);
        let deadlines = self.deadlines.upcoming(at, &self.policy, self.calendar.cut_offs());
        let pod_lead_seconds = self.lead_times.pod_seconds.unwrap_or(self.policy.pod_lead_seconds);
        let node_lead_seconds = self.lead_times.node_seconds.unwrap_or(self.policy.node_lead_seconds);
        let horizon = self.horizon_seconds(&deadlines, (pod_lead_seconds, node_lead_seconds));
        let (mut outlook, forecast_distrust) = self.outlook(at, &present, horizon);
        if let Some((orders, seconds)) = self.ledger.delayed(&present) {
            outlook.expect_at_least(orders, seconds);
        }
        let calendar = self.known_entries(at, &present, &outlook);
        let forecast = self.forecast.as_ref().filter(|_| self.policy.forecast);
        let forecast_quality = forecast.and_then(|forecast| forecast.quality());
        let backlog = self.ledger.backlog(now, &present, self.ready(), &self.policy);
        let service = self.ledger.service(&self.policy);
        self.waits.note(now, backlog.oldest_seconds(), service.most_seconds_per_order());
        let hold_replicas =
            self.hold_replicas(now, &service, backlog.started, pod_lead_seconds + node_lead_seconds);
        Situation {
            at,
            queue_age_seconds: self.ledger.read_at().map(|read_at| (now - read_at).max(0.0)),
            fleet_age_seconds: self.replicas.as_ref().map(|(read_at, _)| now - read_at),
            arrivals_age_seconds: self.ledger.arrivals_known_until().map(|until| (now - until).max(0.0)),
            doubtful: self.ledger.doubtful(),
            backlog: if self.policy.scale_on_in_flight {
                backlog.total
            } else {
                backlog.total - backlog.started
            },
            started: backlog.started,
            waiting: backlog.waiting,
            activated: self.ledger.activated(now),
            empty_seconds: self.ledger.empty_seconds(now),
            arrival_rate: present.rate(),
            outlook,
            forecast_distrust,
            forecast_quality,
            calendar,
            service,
            fleet: self.fleet(now, pod_lead_seconds, node_lead_seconds),
            nodes: self.nodes,
            pod_lead_seconds,
            node_lead_seconds,
            visibility_timeout_seconds: self.visibility_timeout_seconds,
            longest_wait_seconds: self.waits.longest_seconds(),
            deadlines,
            last_desired: self.decided.last_desired(),
            hold_replicas,
            settled_replicas: self.decided.most_planned(now, self.settled_seconds(1.0)).max(hold_replicas),
            settled_one: Some(
                self.decided.most_planned(now, self.settled_seconds(SETTLED_ONE_SHARE)).max(hold_replicas),
            ),
            lumps: self.ledger.lumps(now),
            minute_ago_replicas: self.decided.minute_ago_or_first(now),
            busy_at_start: self.ledger.busy_at_start(now, &service),
            unlearned_replicas: self.unlearned_replicas(now, &service),
            contention_replicas: self.ledger.contention(now),
        }
    }

    /// How far ahead arrivals are to be foreseen: to the next dispatch, and to where an order that comes once a worker
    /// wanted now is there has waited.
    fn horizon_seconds(&self, deadlines: &[Deadline], leads: (f64, f64)) -> f64 {
        let (pod_lead_seconds, node_lead_seconds) = leads;
        next_due(deadlines)
            .map_or(0.0, |deadline| deadline.dispatch_in_seconds + 60.0)
            .clamp(HORIZON_SECONDS, HORIZON_LIMIT_SECONDS)
            .max(
                self.policy.target_wait_seconds.unwrap_or(0.0) + pod_lead_seconds + node_lead_seconds + 900.0,
            )
    }

    /// For how long what was wanted is held. A worker that goes finishes its order: one that comes in its place
    /// before then was for nothing.
    fn hold_seconds(&self, service: &Service) -> f64 {
        self.policy.hold_down_seconds.max(service.seconds_per_order().min(LONGEST_HOLD_SECONDS))
    }

    /// What is held of what was wanted: the most of it. Over as long as an order takes that is far above what any of so
    /// many plans is sure of: where an order can wait for another worker, no more than what was wanted on average, or
    /// what is in work and may be by chance.
    fn hold_replicas(&self, now: f64, service: &Service, started: f64, lead_seconds: f64) -> u32 {
        let hold_seconds = self.hold_seconds(service);
        let most = self.decided.most_planned(now, hold_seconds);
        let slack = self.policy.target_wait_seconds.map_or(f64::INFINITY, |wait| wait * WAIT_RESERVE);
        if lead_seconds + CYCLE_SECONDS > slack {
            return most;
        }
        let newest = self.decided.most_planned(now, self.policy.hold_down_seconds);
        let busy = started / service.concurrency;
        let kept = self.decided.mean_planned(now, hold_seconds).max(busy) + BUSY_DEVIATIONS * busy.sqrt();
        newest.max(most.min(whole(kept)))
    }

    /// For how long a small step down waits: `share` of the target wait, but no longer than all of them.
    fn settled_seconds(&self, share: f64) -> f64 {
        match self.policy.target_wait_seconds {
            // What counts tell is known better than what the queue alone does.
            Some(wait) if !self.ledger.never_counted() => SETTLED_SECONDS.min(share * wait),
            _ => SETTLED_SECONDS,
        }
    }

    fn outlook(&mut self, at: jiff::Timestamp, present: &Present, horizon: f64) -> (Outlook, Option<String>) {
        // An hour back: the present rate remembers no more.
        let events =
            self.calendar.events(later(at, -3600.0), later(at, horizon), &LearnedHolidays::default(), None);
        let present = if events.is_empty() { *present } else { less_explained(present, &events, at) };
        let without_forecast = || {
            if events.is_empty() {
                return present.outlook(horizon);
            }
            let level = Present { surge: 0.0, ..present };
            present.with_surge(foresee(&level.outlook(horizon), &events, at))
        };
        match &mut self.forecast {
            Some(forecast) if self.policy.forecast => {
                match forecast.outlook(at, &present.as_rate(), horizon) {
                    Ok(outlook) => (present.with_surge(outlook), None),
                    Err(distrust) => (without_forecast(), Some(distrust.to_string())),
                }
            }
            _ => (without_forecast(), None),
        }
    }

    /// Calendar entries within the outlook, and the outlook without each.
    fn known_entries(
        &mut self,
        at: jiff::Timestamp,
        present: &Present,
        outlook: &Outlook,
    ) -> Vec<KnownEntry> {
        let horizon = outlook.knots.last().map_or(0.0, |knot| knot.x_seconds());
        let near = self.calendar.near(at, later(at, horizon));
        if near.is_empty() {
            return Vec::new();
        }
        let mut forecast = self.forecast.as_mut().filter(|_| self.policy.forecast);
        let learned = forecast.as_ref().and_then(|forecast| forecast.learned_holidays().cloned());
        let mut ordinary = |from, to| {
            let foreseen = forecast.as_mut().and_then(|forecast| forecast.ordinary_orders(from, to));
            foreseen.unwrap_or_else(|| present.rate() * seconds_between(from, to))
        };
        let learned = learned.unwrap_or_default();
        let without = without_entries(&self.calendar, &near, outlook, at, &learned, &mut ordinary);
        let known = near.into_iter().zip(without).map(|(entry, without)| KnownEntry {
            name: entry.name,
            from: entry.from,
            to: entry.to,
            without,
        });
        known.collect()
    }

    /// What each entry of a calendar, and each of its public holidays from `from` to `to`, does to this
    /// workload's orders.
    pub fn effects(
        &mut self,
        calendar: &Calendar,
        from: jiff::Timestamp,
        to: jiff::Timestamp,
    ) -> Vec<EntryEffect> {
        // Nothing of no time: asked only to hear whether it knows.
        let epoch = jiff::Timestamp::UNIX_EPOCH;
        let mut forecast = self.forecast.as_mut().filter(|_| self.policy.forecast);
        let knows = forecast.as_mut().is_some_and(|known| known.ordinary_orders(epoch, epoch).is_some());
        let Some(forecast) = forecast.filter(|_| knows) else {
            return calendar.effects(from, to, &LearnedHolidays::default(), None);
        };
        let learned = forecast.learned_holidays().cloned().unwrap_or_default();
        let mut ordinary = |from, to| forecast.ordinary_orders(from, to).unwrap_or(0.0);
        calendar.effects(from, to, &learned, Some(&mut ordinary))
    }

    fn ready(&self) -> Option<u32> {
        self.replicas.as_ref().map(|(_, replicas)| replicas.ready)
    }

    /// While the service rate is a guess: at most twice the ready workers, which soon show what it is, and
    /// at first those that were found, which somebody wanted, then twice as many. A guess too slow by a factor would ask
    /// for so many times too many, all at once.
    fn unlearned_replicas(&self, now: f64, service: &Service) -> Option<u32> {
        let is_guess = match service.source {
            ServiceSource::Given => false,
            ServiceSource::Prior => true,
            ServiceSource::Learned => self.ledger.never_counted(),
        };
        if !is_guess {
            return None;
        }
        let twice = |replicas: u32| replicas.saturating_mul(2).max(FIRST_REPLICAS);
        let Some((_, replicas)) = &self.replicas else {
            return Some(twice(self.decided.minute_ago(now).unwrap_or(0)));
        };
        let found = self.found.filter(|(at, found)| *found > 0 && now - at < SETTLED_SECONDS);
        let most = found.map_or(u32::MAX, |(at, found)| {
            // What a scaler before this one wanted is enough until the first rate can have been seen.
            if now - at < FIRST_RATE_SECONDS { found.max(FIRST_REPLICAS) } else { twice(found) }
        });
        let there = replicas.existing().max(replicas.wanted.unwrap_or(0));
        Some(twice(replicas.ready).min(most).max(there))
    }

    /// The pods as last read, with the time that each still needs.
    fn fleet(&self, now: f64, pod_lead: f64, node_lead: f64) -> Option<Fleet> {
        let (read_at, replicas) = self.replicas.as_ref()?;
        let since = now - read_at;
        // A pod that is late already is expected within a third of a lead time.
        let late = 0.3 * pod_lead;
        let mut ready_in_seconds: Vec<f64> =
            replicas.starting.iter().map(|age| (pod_lead - age - since).max(late)).collect();
        let waited = self.pending_since.map_or(0.0, |pending_since| now - pending_since);
        let pending_ready = (node_lead - waited).max(0.3 * node_lead) + pod_lead;
        ready_in_seconds.extend((0..replicas.pending).map(|_| pending_ready));
        let unborn = replicas.wanted.unwrap_or(0).saturating_sub(replicas.existing());
        ready_in_seconds.extend((0..unborn).map(|_| pod_lead + CYCLE_SECONDS / 3.0));
        ready_in_seconds.sort_by(f64::total_cmp);
        Some(Fleet { ready: replicas.ready, ready_in_seconds, pending: replicas.pending })
    }
}
