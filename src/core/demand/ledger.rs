//! Arrivals, completions and the backlog between them, kept consistent.
//!
//! Known counts come late; the queue's counters come at once but lie. What the counters say beyond
//! the expected flows is logged as implied arrivals until the known counts are there.

use super::arrivals::{ArrivalLog, Belief};
use super::counters::CounterFilter;
use super::present::{Dispersion, Present};
use super::service::ServiceLearner;
use super::witness::CounterWitness;
use crate::core::observation::QueueReading;
use crate::core::plan::situation::ServiceSource;
use crate::core::plan::{Cohort, Service};
use crate::core::policy::{Policy, ServiceRate};

/// Where no count came in for so long, the counters alone have to tell the service rate.
const UNWITNESSED_SECONDS: f64 = 600.0;

/// A count that is older when it comes in says little of the rate now.
const OLD_COUNT_SECONDS: f64 = 1800.0;

/// A service rate that differs by so much, as a logarithm, is another.
const OTHER_RATE: f64 = 0.5;

/// Spread of the service rate of which nothing is known, as a standard deviation of its logarithm.
const PRIOR_SPREAD: f64 = 1.2;

/// A spread of less than this is knowledge.
const KNOWN_SPREAD: f64 = 0.5;

/// A reading of less than this share of what is expected is not asked who was at work.
const BELIEVABLE_SHARE: f64 = 0.3;

/// For so long after the first reading the arrivals are not known well enough to plan for fewer
/// replicas than are at work.
const START_SECONDS: f64 = 300.0;

/// A backlog known to within so many messages, one standard deviation, gets no safety margin.
const SURE_MESSAGES: f64 = 3.0;

/// A counter may lag by anything up to so long (SQS settles within a minute) ...
const LAG_SECONDS: f64 = 60.0;
/// ... which is, as the root of the mean square, this share of it.
const LAG_SHARE: f64 = 0.6;

/// SQS's longest `DelaySeconds`.
const LONGEST_DELAY_SECONDS: f64 = 900.0;

/// Orders that were there before the first reading may be so old where no wait bounds it, and have made the
/// last cut-off.
const UNKNOWN_AGE_SECONDS: f64 = 4.0 * 3600.0;

/// What is known of a queue and its orders.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    log: ArrivalLog,
    filter: CounterFilter,
    service: ServiceLearner,
    dispersion: Dispersion,
    /// Moment that the filter's estimate holds for.
    filtered_at: Option<f64>,
    /// Moment of the last good reading, and of the first.
    read_at: Option<f64>,
    first_read_at: Option<f64>,
    completions_known_until: Option<f64>,
    /// Known arrivals from which completions are still to be told: start, end, orders.
    untold: Option<(f64, f64, f64)>,
    witness: Option<Box<CounterWitness>>,
    /// Moment of the reading at which a count came in last.
    heard_at: Option<f64>,
    /// Service rate that the implied arrivals were reckoned with.
    implied_with: Option<f64>,
    last_total: Option<f64>,
    empty_since: Option<f64>,
    /// Whether each of the last three readings was above the activation length, newest first.
    above: [bool; 3],
    last_visible: f64,
    last_in_flight: f64,
    last_delayed: f64,
    /// The present rate as of the moment it was last asked for, while nothing more is known: a reading
    /// asks for the same that was planned with at the reading before.
    seen: Option<(f64, Present)>,
    /// Seconds until workers that are wanted are ready.
    lead_seconds: f64,
}

/// The backlog at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    /// Orders in the queue, waiting and in work.
    pub total: f64,
    /// Of those, in work.
    pub started: f64,
    /// The others by age, oldest first.
    pub waiting: Vec<Cohort>,
}

impl Backlog {
    /// Seconds for which the oldest waiting order has waited.
    pub fn oldest_seconds(&self) -> Option<f64> {
        let mut orders = 0.0;
        // A cohort may be less than an order.
        let oldest = self.waiting.iter().find(|cohort| {
            orders += cohort.orders;
            orders >= 0.5
        });
        oldest.map(|cohort| cohort.age_seconds)
    }
}

impl Ledger {
    /// Goes on from a service rate that was learned before a restart.
    pub fn resume_service(&mut self, per_second: f64, concurrency: f64, settled: bool) {
        self.service.resume(per_second, concurrency, settled);
    }

    /// Logs orders known to have arrived in `[from, to)`.
    pub fn arrived(&mut self, from: f64, to: f64, count: f64) {
        self.seen = None;
        if to - from >= 10.0 && self.log.known_until().is_some() {
            let level =
                self.log.weighted(from, 240.0, 1200.0, (f64::NEG_INFINITY, f64::INFINITY), Belief::FULL);
            if level.seconds > 300.0 {
                self.dispersion.learn(count, level.rate * (to - from));
            }
        }
        self.log.add_known(from, to, count);
        self.hear_counts(to);
        if self.completions_known(to) || self.log.known_until().is_some_and(|until| to < until) {
            return;
        }
        self.untold = match self.untold {
            Some((start, end, orders)) if (from - end).abs() < 0.5 => Some((start, to, orders + count)),
            _ => Some((from, to, count)),
        };
    }

    fn completions_known(&self, at: f64) -> bool {
        self.completions_known_until.is_some_and(|until| at - until < UNWITNESSED_SECONDS)
    }

    /// Where completions are not counted, known arrivals and the queue tell them.
    fn tell_completions(&mut self, read_at: f64) {
        let Some((from, to, orders)) = self.untold else { return };
        if self.completions_known(to) {
            self.untold = None;
        } else if to <= read_at {
            // A counter that lags shows what came before, in the place of what came: no less and no more
            // while as many come.
            let lagging = LAG_SHARE * self.log.shift(from, to, LAG_SECONDS);
            let noise = 2.0 * self.filter.noise_at(self.filter.messages()) + lagging * lagging;
            if self.service.learn_from_arrivals(from, to, orders, noise) {
                self.untold = None;
            }
        }
    }

    /// Learns from orders completed in `[from, to)`; what was told before is not told again.
    pub fn completed(&mut self, from: f64, to: f64, count: f64, policy: &Policy) {
        if self.completions_known_until.is_some_and(|until| from < until - 0.5) {
            return;
        }
        self.completions_known_until = Some(self.completions_known_until.map_or(to, |until| until.max(to)));
        self.hear_counts(to);
        self.service.learn(from, to, count);
        self.imply_anew(policy);
    }

    /// What the counters imply was reckoned with a service rate that is known to be another now: where workers
    /// do more than was thought, more has come, too.
    fn imply_anew(&mut self, policy: &Policy) {
        let per_second = self.service(policy).per_second;
        let before = *self.implied_with.get_or_insert(per_second);
        if (per_second / before).ln().abs() < OTHER_RATE {
            return;
        }
        self.implied_with = Some(per_second);
        if self.witness.is_some() {
            // It wanders, and tells arrivals that go with it.
            return;
        }
        self.seen = None;
        let known_until = self.log.known_until().unwrap_or(f64::NEG_INFINITY);
        for (from, to, working, messages) in self.service.readings().pieces_after(known_until) {
            let finished = |per_second: f64| (working * (to - from) * per_second).min(messages);
            self.log.add_implied(from, to, finished(per_second) - finished(before));
        }
    }

    /// What is counted until `to` tells more than the counters alone: from the moment on at which it is there.
    fn hear_counts(&mut self, to: f64) {
        let Some(at) = self.read_at.filter(|at| at - to < OLD_COUNT_SECONDS) else { return };
        self.heard_at = Some(at);
        if let Some(witness) = self.witness.take() {
            self.service.start_from(witness.service());
        }
    }

    /// Whether arrivals or completions come in, late as they may be.
    fn is_counted(&self, at: f64) -> bool {
        self.heard_at.is_some_and(|heard_at| at - heard_at < UNWITNESSED_SECONDS)
    }

    /// Takes in a reading of the queue that holds for the moment `at`.
    pub fn read(&mut self, at: f64, reading: &QueueReading, ready: Option<u32>, policy: &Policy) {
        if self.read_at.is_some_and(|before| at <= before + 0.5) {
            return;
        }
        let delayed = if policy.scale_on_delayed { reading.delayed } else { 0.0 };
        let total = reading.visible + reading.in_flight;
        self.notice_activity(at, reading.visible + delayed, total + delayed, policy);
        self.last_visible = reading.visible + delayed;
        self.last_delayed = delayed;
        self.last_in_flight = reading.in_flight;
        let Some(before) = self.filtered_at else {
            self.seen = None;
            self.filter.correct(at, total);
            self.service.sample(at, reading, ready);
            (self.filtered_at, self.read_at) = (Some(at), Some(at));
            self.first_read_at = Some(at);
            return;
        };
        let seconds = (at - before).max(0.1);
        let present = self.present(before, policy);
        self.seen = None;
        let service = self.service(policy);
        let inflow = present.rate() * seconds;
        let outflow = self.seen_outflow(seconds, inflow, reading, ready, &service);
        let uncertain_rate = 1.0 - service.lower_per_second / service.per_second;
        let rate_variance = present.deviation.powi(2) + present.surge.powi(2);
        let inflow_variance = present.dispersion * inflow + rate_variance * seconds * seconds + 0.05;
        let outflow_variance = 0.3 * outflow + (uncertain_rate.max(0.05) * outflow).powi(2);
        self.filter.advance(inflow - outflow, inflow_variance + outflow_variance);
        let moved = self.filter.correct(at, total);
        let share = inflow_variance / (inflow_variance + outflow_variance);
        // More than chance moved the counter: what else than orders could it be.
        let share = if moved > 3.0 * (inflow_variance + outflow_variance).sqrt() { 1.0 } else { share };
        self.log.add_implied(before, at, inflow + share * moved);
        if !self.filter.doubtful() {
            self.service.allow_trial(policy, self.lead_seconds, &present);
            self.service.sample(at, reading, ready);
            self.tell_completions(at);
            self.witness(at, seconds, total, &service);
        }
        (self.filtered_at, self.read_at) = (Some(at), Some(at));
        self.imply_anew(policy);
    }

    /// Without known arrivals or completions the counters alone have to tell the service rate.
    fn witness(&mut self, at: f64, seconds: f64, total: f64, service: &Service) {
        let before = self.last_total.replace(total);
        if self.is_counted(at) {
            return;
        }
        let known = 1.0 - service.lower_per_second / service.per_second;
        let spread = if service.source == ServiceSource::Prior { PRIOR_SPREAD } else { known };
        let witness =
            self.witness.get_or_insert_with(|| Box::new(CounterWitness::new(service.per_second, spread)));
        let (Some(before), Some((busy, deep)), false) =
            (before, self.service.readings().working_now(), self.filter.doubtful())
        else {
            return;
        };
        if let Some(most) = self.service.readings().emptied_by().filter(|most| before - total > *most) {
            witness.emptied(total - before, seconds, most, 2.0 * self.filter.noise_at(total.max(before)));
        }
        if !deep {
            let noise = 2.0 * self.filter.proportional_noise_at(total);
            witness.watch(busy.min(before).round(), total - before, seconds, noise);
        }
        witness.learn(total - before, seconds, busy, deep, 2.0 * self.filter.noise_at(total));
        self.service.notice_concurrency(at - seconds, at, busy * service.per_second * seconds);
    }

    fn notice_activity(&mut self, at: f64, waiting: f64, total: f64, policy: &Policy) {
        let above = waiting > policy.activation_queue_length;
        self.above = [above, self.above[0], self.above[1]];
        // A phantom message or two is no order; three are.
        if waiting > policy.activation_queue_length + 2.0 {
            self.above = [true; 3];
        }
        self.empty_since = if total >= 0.5 { None } else { self.empty_since.or(Some(at)) };
    }

    /// Orders that ready workers are expected to finish in the next `seconds`.
    fn outflow(&self, seconds: f64, inflow: f64, ready: Option<u32>, service: &Service) -> f64 {
        let in_work = (self.filter.messages() + 0.5 * inflow) / service.concurrency;
        let most = ready.map_or(self.last_in_flight / service.concurrency, f64::from);
        let busy = in_work.min(most);
        (busy * service.per_second * seconds).min(self.filter.messages() + inflow)
    }

    /// Orders that were finished in the `seconds` until `reading`, by what was seen in work.
    fn seen_outflow(
        &self,
        seconds: f64,
        inflow: f64,
        reading: &QueueReading,
        ready: Option<u32>,
        service: &Service,
    ) -> f64 {
        let believable = reading.visible + reading.in_flight >= BELIEVABLE_SHARE * self.filter.messages();
        match self.service.readings().working_until(reading, ready) {
            Some(busy) if believable => {
                (busy * service.per_second * seconds).min(self.filter.messages() + inflow)
            }
            _ => self.outflow(seconds, inflow, ready, service),
        }
    }

    /// Tells in how many seconds workers that are wanted are ready.
    pub fn set_lead_seconds(&mut self, lead_seconds: f64) {
        self.lead_seconds = lead_seconds;
    }

    fn was_counted(&self) -> bool {
        self.completions_known_until.is_some() || self.log.known_until().is_some()
    }

    /// Whether the queue's counters alone have to tell both rates, and always had to.
    pub fn never_counted(&self) -> bool {
        self.witness.is_some() && !self.was_counted()
    }

    /// Replicas that are at work for all that is known, while too little was seen to plan for fewer.
    pub fn busy_at_start(&self, now: f64, service: &Service) -> Option<u32> {
        let young = self.first_read_at.is_none_or(|first| now - first < START_SECONDS);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of pods")]
        (young || self.witness.is_some() || service.source == ServiceSource::Prior)
            .then(|| (self.service.readings().busy_replicas() - 0.02).ceil().max(0.0) as u32)
    }

    /// The present rate as seen at `now`.
    pub fn present(&mut self, now: f64, policy: &Policy) -> Present {
        if let Some((at, present)) = self.seen
            && at.to_bits() == now.to_bits()
        {
            return present;
        }
        let counter_variance = self.filter.noise_at(self.filter.messages());
        let (dispersion, wait) = (self.dispersion.index(), policy.target_wait_seconds);
        let present = Present::read(&mut self.log, now, dispersion, counter_variance, wait);
        self.seen = Some((now, present));
        present
    }

    /// Delayed messages that count, and the seconds within which they become visible: as long as it took for as many to
    /// come, where they come as they did, and SQS delays none for longer than a quarter of an hour.
    pub fn delayed(&self, present: &Present) -> Option<(f64, f64)> {
        let delayed = self.last_delayed;
        (delayed >= 0.5).then(|| (delayed, (delayed / present.rate()).clamp(60.0, LONGEST_DELAY_SECONDS)))
    }

    /// The backlog at `now`, carried on from the last reading.
    pub fn backlog(&self, now: f64, present: &Present, ready: Option<u32>, policy: &Policy) -> Backlog {
        let service = self.service(policy);
        let seconds = self.filtered_at.map_or(0.0, |at| (now - at).max(0.0));
        let inflow = present.rate() * seconds;
        // A counter known to be noisy is taken on the safe side.
        let margin = (self.filter.deviation() - SURE_MESSAGES).max(0.0);
        let carried = self.filter.messages() + inflow - self.outflow(seconds, inflow, ready, &service);
        let total = (carried + margin).max(0.0);
        let at_work = ready.map_or(0.0, |ready| f64::from(ready) * service.concurrency);
        // What is in flight has begun, with pods too that are no longer ready, but for what workers hold in advance.
        let begun = self.last_in_flight * service.concurrency / self.service.readings().concurrency();
        let started = total.min(at_work.max(begun));
        let unknown_until = policy.target_wait_seconds.map_or(UNKNOWN_AGE_SECONDS, |wait| wait * 0.6);
        let waiting = self.log.by_age(now, total - started, present.rate(), unknown_until);
        Backlog { total, started, waiting }
    }

    /// The service rate as learned or given.
    pub fn service(&self, policy: &Policy) -> Service {
        let mut service = self.service.estimate(policy.service_rate);
        if let (Some(witness), ServiceRate::Learned) = (&self.witness, policy.service_rate) {
            let deviation = witness.relative_deviation();
            service.per_second = witness.service();
            // Where nothing waits as many are needed as are busy, however fast they are.
            let doubt = deviation * self.service.readings().depth();
            service.lower_per_second = service.per_second * (-doubt).exp();
            if deviation < KNOWN_SPREAD {
                service.source = ServiceSource::Learned;
            }
        }
        service
    }

    /// Workers beyond which more no longer add throughput, where that was seen.
    pub fn contention(&self, now: f64) -> Option<u32> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of pods")]
        self.service.contention(now).map(|replicas| replicas.ceil() as u32)
    }

    /// How often lumps come at this time of the day.
    pub fn lumps(&self, now: f64) -> Option<super::arrivals::LumpRate> {
        self.log.lumps(now)
    }

    /// Moment of the last good reading.
    pub fn read_at(&self) -> Option<f64> {
        self.read_at
    }

    /// End of the newest known arrivals.
    pub fn arrivals_known_until(&self) -> Option<f64> {
        self.log.known_until()
    }

    /// Whether the counters contradict what is known.
    pub fn doubtful(&self) -> bool {
        self.filter.doubtful()
    }

    /// Seconds for which every reading has been zero.
    pub fn empty_seconds(&self, now: f64) -> f64 {
        self.empty_since.map_or(0.0, |since| now - since)
    }

    /// Two of the last three readings were above `activationQueueLength`, or the newest is so by more
    /// than phantoms explain, or orders are known to have come.
    pub fn activated(&self, now: f64) -> bool {
        let votes = self.above.iter().filter(|above| **above).count();
        let known = self.last_visible > 0.0
            && self.log.known_until().is_some_and(|until| now - until < 60.0)
            && self.log.recent(now, 60.0).0 >= 0.9;
        votes >= 2 || (self.above[0] && known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a deep queue every 15 s in `[from, to)`: five orders a second come, ten workers take two seconds each.
    fn read(ledger: &mut Ledger, from: u32, to: u32) {
        for at in (from..to).step_by(15) {
            let reading = QueueReading { visible: 3000.0, in_flight: 10.0, ..QueueReading::default() };
            ledger.read(f64::from(at), &reading, Some(10), &Policy::default());
        }
    }

    #[test]
    fn the_first_count_tells_the_rates_at_once() {
        let (mut ledger, policy) = (Ledger::default(), Policy::default());
        read(&mut ledger, 0, 121);
        assert!(ledger.never_counted());
        ledger.completed(0.0, 60.0, 300.0, &policy);
        assert!(!ledger.never_counted());
        let (service, rate) = (ledger.service(&policy).per_second, ledger.present(120.0, &policy).rate());
        assert!((0.35..0.6).contains(&service), "{service}, 0.5 in truth");
        assert!((2.0..7.0).contains(&rate), "{rate} orders a second, 5 in truth, 0.3 by what was assumed");
    }

    #[test]
    fn counts_that_come_late_are_counts_all_the_same() {
        let (mut ledger, policy) = (Ledger::default(), Policy::default());
        for at in (0..3600).step_by(60) {
            read(&mut ledger, at, at + 60);
            if let Some(minute) = at.checked_sub(960) {
                ledger.completed(f64::from(minute), f64::from(minute) + 60.0, 300.0, &policy);
            }
        }
        let service = ledger.service(&policy);
        assert!(!ledger.never_counted() && service.source == ServiceSource::Learned);
        assert!((0.45..0.55).contains(&service.per_second), "{}, 0.5 in truth", service.per_second);
    }

    #[test]
    fn delayed_messages_are_no_backlog_but_come() {
        let policy = Policy { scale_on_delayed: true, ..Policy::default() };
        let mut ledger = Ledger::default();
        for minute in 0..20 {
            let at = f64::from(minute) * 60.0;
            ledger.arrived(at - 60.0, at, 60.0);
            let reading = QueueReading { delayed: 300.0, ..QueueReading::default() };
            ledger.read(at, &reading, Some(5), &policy);
        }
        let present = ledger.present(1140.0, &policy);
        let (orders, seconds) = ledger.delayed(&present).unwrap();
        assert!(
            (orders - 300.0).abs() < 1e-9 && (200.0..450.0).contains(&seconds),
            "{orders} within {seconds} s: one comes a second"
        );
        assert!(ledger.backlog(1140.0, &present, Some(5), &policy).total < 100.0);
        assert!(ledger.empty_seconds(1140.0) < 1.0, "what is delayed is not nothing");
        ledger.read(
            1155.0,
            &QueueReading { delayed: 300.0, ..QueueReading::default() },
            Some(5),
            &Policy::default(),
        );
        assert!(ledger.delayed(&present).is_none());
    }
}
