//! The service rate of one replica, learned from two witnesses.
//!
//! Little's law, always: busy worker-seconds an order, from the messages in flight. Saturated
//! throughput: where every ready replica had work, ready replicas take the place of the messages
//! in flight, so workers that prefetch do not mislead. Both feed one gamma posterior (completions
//! are counted, busy replica-seconds are the exposure), with forgetting. When the newest intervals
//! contradict what was known before them, a deploy changed the rate: they alone count from then on.

mod alone;
mod readings;
mod trial;

use std::collections::VecDeque;

use self::alone::Alone;
pub use self::readings::Readings;
use super::contention::Contention;
use crate::core::observation::QueueReading;
use crate::core::plan::Service;
use crate::core::plan::situation::ServiceSource;
use crate::core::policy::ServiceRate;

/// Orders a minute and replica assumed before anything is seen.
pub const PRIOR_PER_MINUTE: f64 = 2.0;
/// The prior weighs as much as this many completed orders.
const PRIOR_ORDERS: f64 = 1.5;
/// A rate learned before a restart weighs as much as this many.
const RESUMED_ORDERS: f64 = 12.0;
/// Half-life of what was learned, in seconds with every replica busy.
const HALF_LIFE_SECONDS: f64 = 480.0;
/// Newest intervals among which a change is looked for.
const RECENT: usize = 24;
/// Relative variance of one interval's busy time: readings of work in progress are samples, and lag.
const MEASURING_ERROR: f64 = 0.02;
/// A change needs at least this many orders to tell.
const CHANGE_ORDERS: f64 = 20.0;
/// Completions vary less than Poisson: service times have a coefficient of variation below 1.
const COMPLETION_DISPERSION: f64 = 0.6;
/// A change is believed at this many standard deviations towards slower, later towards faster.
const CHANGE_SLOWER: f64 = 3.2;
/// See [`CHANGE_SLOWER`].
const CHANGE_FASTER: f64 = 4.0;
/// Completions that are told by the counters are summed over at most so long.
const LONGEST_SECONDS: f64 = 300.0;
/// A given rate of which less than this share is seen is not met.
const UNMET_SHARE: f64 = 0.85;

/// A gamma posterior over orders per busy replica-second.
#[derive(Debug, Clone, Copy)]
struct Posterior {
    orders: f64,
    seconds: f64,
}

impl Posterior {
    fn new(per_second: f64) -> Self {
        Self { orders: PRIOR_ORDERS, seconds: PRIOR_ORDERS / per_second }
    }

    fn learn(&mut self, orders: f64, busy: f64, busy_share_seconds: f64) {
        let keep = 0.5_f64.powf(busy_share_seconds / HALF_LIFE_SECONDS);
        self.orders = self.orders * keep + orders;
        self.seconds = self.seconds * keep + busy;
    }

    fn mean(&self) -> f64 {
        self.orders.max(0.05) / self.seconds
    }

    fn relative_variance(&self) -> f64 {
        COMPLETION_DISPERSION / self.orders.max(0.5)
    }
}

/// An interval learned from, and what was known before it: figures that no one knows to the seventh digit.
#[derive(Debug, Clone, Copy)]
struct Learned {
    orders: f32,
    busy: f32,
    /// Workers that may have begun together.
    together: f32,
    before_orders: f32,
    before_seconds: f32,
}

impl Learned {
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
    fn new(orders: f64, busy: f64, together: f64, before: Posterior) -> Self {
        Self {
            orders: orders as f32,
            busy: busy as f32,
            together: together as f32,
            before_orders: before.orders as f32,
            before_seconds: before.seconds as f32,
        }
    }

    fn orders(&self) -> f64 {
        f64::from(self.orders)
    }

    fn busy(&self) -> f64 {
        f64::from(self.busy)
    }

    fn before(&self) -> Posterior {
        Posterior { orders: f64::from(self.before_orders), seconds: f64::from(self.before_seconds) }
    }
}

/// Learns what one ready replica gets done.
#[derive(Debug, Clone)]
pub struct ServiceLearner {
    readings: Readings,
    posterior: Posterior,
    recent: VecDeque<Learned>,
    contention: Contention,
    alone: Alone,
    /// Orders that workers which began together have yet to show, or have shown early.
    phase: f64,
    seen: bool,
}

impl Default for ServiceLearner {
    fn default() -> Self {
        Self {
            readings: Readings::default(),
            posterior: Posterior::new(PRIOR_PER_MINUTE / 60.0),
            recent: VecDeque::new(),
            contention: Contention::default(),
            alone: Alone::default(),
            phase: 0.0,
            seen: false,
        }
    }
}

impl ServiceLearner {
    /// Goes on from a rate that was learned before a restart, as far as nothing was seen since. It
    /// weighs no more than some orders: workers may have changed meanwhile.
    pub fn resume(&mut self, per_second: f64, concurrency: f64) {
        if !self.seen && per_second.is_finite() && per_second > 0.0 && concurrency >= 0.5 {
            self.posterior = Posterior { orders: RESUMED_ORDERS, seconds: RESUMED_ORDERS / per_second };
            self.readings.resume(concurrency);
            self.seen = true;
        }
    }

    /// Notes a reading of the queue and the ready workers of that time.
    pub fn sample(&mut self, at: f64, reading: &QueueReading, ready: Option<u32>) {
        if let Some(times) = self.readings.note(at, reading, ready, self.order_seconds()) {
            self.rescale(times);
        }
    }

    /// Seconds for which an order is in flight, any number while nothing is known of it.
    fn order_seconds(&self) -> f64 {
        if self.seen { self.readings.concurrency() / self.posterior.mean() } else { f64::INFINITY }
    }

    /// By what share more at once may be tried at most than workers are known to hold: a trial that fails makes orders
    /// wait.
    pub fn allow_trial(&mut self, longest_step: f64) {
        self.readings.allow_trial(longest_step);
    }

    /// What was read of late.
    pub fn readings(&self) -> &Readings {
        &self.readings
    }

    /// Learns from orders completed in `[from, to)`.
    pub fn learn(&mut self, from: f64, to: f64, orders: f64) {
        self.learn_weighted(from, to, orders, 1.0);
    }

    /// Learns from orders that arrived in `[from, to)` where completions are not counted: what came
    /// and is not in the queue was completed. `noise`: variance of what two readings of the queue differ by.
    ///
    /// False when the counters are too noisy to tell yet and a longer interval would say more.
    pub fn learn_from_arrivals(&mut self, from: f64, to: f64, orders: f64, noise: f64) -> bool {
        let (Some(before), Some(after)) = (self.readings.messages(from), self.readings.messages(to)) else {
            return true;
        };
        let Some((busy, _)) = self.readings.busy(from, to) else { return true };
        let completed = (orders + before - after).max(0.0);
        // By what is expected (in the long run what comes), not by what was seen: else the luckier would
        // count more.
        let expected = (busy * self.posterior.mean()).max(orders).max(0.1);
        if noise > expected && to - from < LONGEST_SECONDS {
            return false;
        }
        self.learn_weighted(from, to, completed, expected / (expected + noise));
        true
    }

    /// Puts another start in the place of the prior, unless something was seen already.
    pub fn start_from(&mut self, per_second: f64) {
        if !self.seen {
            self.posterior = Posterior::new(per_second);
        }
    }

    fn learn_weighted(&mut self, from: f64, to: f64, orders: f64, weight: f64) {
        self.notice_concurrency(from, to, orders);
        if let Some(times) = self.readings.try_more(
            (from, to),
            orders,
            self.order_seconds(),
            self.alone.order_seconds(),
        ) {
            self.rescale(times);
        }
        if let Some(seconds) = self.readings.alone(from, to) {
            self.alone.learn(weight * orders, weight * seconds);
        }
        let Some((busy, ready)) = self.readings.busy(from, to) else { return };
        if busy <= 0.0 {
            return;
        }
        let share = (to - from) * if ready > 0.0 { (busy / ready).min(1.0) } else { 1.0 };
        self.seen |= orders > 0.0;
        if weight < 0.7 {
            // Too uncertain to compare levels of workers by.
        } else if busy > 0.97 * ready && ready > 0.0 {
            self.contention.learn(to, to - from, ready / (to - from), orders);
        } else {
            self.contention.relax();
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        } else if self.recent.is_empty() {
            self.recent.reserve_exact(RECENT);
        }
        let (orders, busy) = (weight * orders, weight * busy);
        let together = self.readings.together(from, to).min(busy / (to - from));
        self.recent.push_back(Learned::new(orders, busy, together, self.posterior));
        // Workers that began together don't show how long their orders take before these are done.
        let phase =
            (self.phase + busy * self.posterior.mean() - orders).clamp(-0.5 * together, 0.5 * together);
        self.posterior.learn((orders + phase - self.phase).max(0.0), busy, share);
        self.phase = phase;
        self.notice_change();
    }

    /// Looks whether workers hold more at once than was thought, `orders` being completed in `[from, to)`.
    pub fn notice_concurrency(&mut self, from: f64, to: f64, orders: f64) {
        if let Some(times) = self.readings.raise_concurrency(from, to, orders) {
            self.rescale(times);
        }
    }

    /// Workers hold so many times more at once than was thought: they were so many times less at work, too.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
    fn rescale(&mut self, times: f64) {
        self.posterior.seconds /= times;
        for learned in &mut self.recent {
            learned.busy /= times as f32;
            learned.before_seconds /= times as f32;
        }
    }

    /// Looks for the moment after which the intervals contradict most what was known before it.
    fn notice_change(&mut self) {
        let (mut orders, mut busy, mut together) = (0.0, 0.0, 0.0_f64);
        let (mut change, mut clearest) = (None, 1.0);
        for (index, learned) in self.recent.iter().enumerate().rev() {
            let before = learned.before();
            orders += learned.orders();
            busy += learned.busy();
            together = together.max(f64::from(learned.together));
            // At the old rate so many would be done; as many or so few must be there to tell.
            if orders.max(busy * before.mean()) < CHANGE_ORDERS {
                continue;
            }
            // They finish together, too: each may have an order more or less to show.
            let expected = busy * before.mean();
            let shown = orders + (expected - orders).clamp(-together, together);
            let rate = shown.max(0.5) / busy;
            let measured = MEASURING_ERROR / (self.recent.len() - index) as f64;
            let variance = COMPLETION_DISPERSION / orders.max(1.0) + before.relative_variance() + measured;
            let surprise = (rate / before.mean()).ln() / variance.sqrt();
            let limit = if surprise < 0.0 { CHANGE_SLOWER } else { CHANGE_FASTER };
            if surprise.abs() / limit > clearest {
                (change, clearest) = (Some(index), surprise.abs() / limit);
            }
        }
        if let Some(index) = change {
            self.recent.drain(..index);
            let orders = self.recent.iter().map(Learned::orders).sum::<f64>().max(0.5);
            let seconds = self.recent.iter().map(Learned::busy).sum();
            self.posterior = Posterior { orders, seconds };
            self.recent.clear();
            self.phase = 0.0;
        }
    }

    /// Workers beyond which more add next to nothing.
    pub fn contention(&self, now: f64) -> Option<f64> {
        self.contention.replicas(now)
    }

    /// The present estimate, or the operator's figure.
    pub fn estimate(&self, given: ServiceRate) -> Service {
        let held = self.readings.concurrency();
        if let ServiceRate::PerMinute(per_minute) = given {
            let per_second = per_minute / 60.0;
            return Service {
                per_second,
                lower_per_second: per_second,
                concurrency: self.alone.begun(held, per_second),
                source: ServiceSource::Given,
                unmet_per_second: self.unmet(per_second),
            };
        }
        let per_second = self.posterior.mean();
        Service {
            per_second,
            lower_per_second: per_second * (1.0 - self.posterior.relative_variance().sqrt()).max(0.2),
            concurrency: self.alone.begun(held, per_second),
            source: if self.seen { ServiceSource::Learned } else { ServiceSource::Prior },
            unmet_per_second: None,
        }
    }

    /// What is seen, where that is clearly less than was given.
    fn unmet(&self, given_per_second: f64) -> Option<f64> {
        let seen = self.posterior.mean();
        let most = seen * (1.0 + 2.0 * self.posterior.relative_variance().sqrt());
        (self.seen && self.posterior.orders >= CHANGE_ORDERS && most < UNMET_SHARE * given_per_second)
            .then_some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(visible: f64, in_flight: f64) -> QueueReading {
        QueueReading { visible, in_flight, ..QueueReading::default() }
    }

    /// Reads the same every 15 s for so many seconds from a moment on, and learns `done` orders of each minute.
    fn live(
        learner: &mut ServiceLearner,
        (from, seconds): (u32, u32),
        reading: &QueueReading,
        ready: u32,
        done: f64,
    ) {
        for step in 0..=(seconds / 15) {
            let now = f64::from(from + step * 15);
            learner.sample(now, reading, Some(ready));
            if step % 4 == 0 && step > 0 {
                learner.learn(now - 60.0, now, done);
            }
        }
    }

    /// `ready` workers at `per_second` each; arrivals at `arrivals` a second; returns the estimate.
    fn run(
        learner: &mut ServiceLearner,
        from: u32,
        seconds: u32,
        ready: u32,
        per_second: f64,
        arrivals: f64,
    ) -> f64 {
        let capacity = f64::from(ready) * per_second;
        let (done, visible) = if arrivals >= capacity { (capacity, 500.0) } else { (arrivals, 0.0) };
        live(learner, (from, seconds), &reading(visible, done / per_second), ready, done * 60.0);
        learner.estimate(ServiceRate::Learned).per_second
    }

    #[test]
    fn a_start_wrong_by_three_heals_within_minutes_both_ways_saturated_or_idle() {
        for (label, per_second, arrivals) in [
            ("faster, deep queue", PRIOR_PER_MINUTE / 20.0, 100.0),
            ("slower, deep queue", PRIOR_PER_MINUTE / 180.0, 100.0),
            ("faster, empty queue", PRIOR_PER_MINUTE / 20.0, 0.5),
            ("slower, empty queue", PRIOR_PER_MINUTE / 180.0, 0.05),
        ] {
            let rate = run(&mut ServiceLearner::default(), 0, 300, 10, per_second, arrivals);
            assert!((rate / per_second - 1.0).abs() < 0.2, "{label}: {rate} for {per_second}");
        }
    }

    #[test]
    fn idle_workers_beside_messages_that_none_receives_are_not_at_work() {
        let mut learner = ServiceLearner::default();
        live(&mut learner, (0, 1200), &reading(107.0, 7.0), 50, 21.0);
        let seconds = 1.0 / learner.estimate(ServiceRate::Learned).per_second;
        assert!(
            (10.0..30.0).contains(&seconds),
            "{seconds} s an order, 20 in truth, 140 if all were at work"
        );
    }

    /// Workers that hold ten messages at once and work on one after the other, or on all: the estimate, after quiet hours
    /// and busy ones.
    fn holding_ten(begun_at_once: f64) -> Service {
        let mut learner = ServiceLearner::default();
        let seconds = 30.0;
        for (in_flight, ready, visible, minutes) in [(1.0, 4, 0.0, 60), (50.0, 5, 400.0, 30)] {
            let start = if visible > 0.0 { 3600 } else { 0 };
            // One that is alone takes as long either way.
            let done = if visible > 0.0 { f64::from(ready) * begun_at_once } else { in_flight } / seconds;
            live(&mut learner, (start, minutes * 60), &reading(visible, in_flight), ready, 60.0 * done);
        }
        learner.estimate(ServiceRate::Learned)
    }

    #[test]
    fn what_a_worker_holds_in_advance_has_not_begun() {
        let one_by_one = holding_ten(1.0);
        assert!((0.9..1.3).contains(&one_by_one.concurrency), "{one_by_one:?}");
        assert!((one_by_one.seconds_per_order() / 30.0 - 1.0).abs() < 0.2, "{one_by_one:?}");
        let together = holding_ten(10.0);
        assert!(together.concurrency > 8.0, "{together:?}");
        assert!((together.seconds_per_order() / 30.0 - 1.0).abs() < 0.2, "{together:?}");
    }

    #[test]
    fn workers_that_are_full_without_a_queue_hold_more_at_once() {
        let mut learner = ServiceLearner::default();
        live(&mut learner, (0, 14_400), &reading(0.0, 30.0), 10, 30.0);
        let service = learner.estimate(ServiceRate::Learned);
        // They have three each; how many more they could take is not seen.
        assert!((2.8..3.6).contains(&service.concurrency), "{service:?}");
        assert!((service.seconds_per_order() / 60.0 - 1.0).abs() < 0.15, "{service:?}");
    }

    #[test]
    fn arrivals_and_the_queue_tell_what_was_completed() {
        for per_second in [1.0 / 10.0, 1.0 / 300.0] {
            let (mut learner, mut queue, mut from) = (ServiceLearner::default(), 4000.0, 60.0);
            for step in 1..=80_u32 {
                let at = f64::from(step * 15);
                queue += 15.0 * (0.2 - 10.0 * per_second);
                learner.sample(at, &reading(queue, 10.0), Some(10));
                if step % 4 == 0 && at > from && learner.learn_from_arrivals(from, at, 0.2 * (at - from), 2.0)
                {
                    from = at;
                }
            }
            let rate = learner.estimate(ServiceRate::Learned).per_second;
            assert!((rate / per_second - 1.0).abs() < 0.2, "{rate} for {per_second}");
        }
    }

    #[test]
    fn what_was_learned_before_a_restart_counts_until_it_is_contradicted() {
        let mut learner = ServiceLearner::default();
        learner.resume(0.1, 2.0);
        let service = learner.estimate(ServiceRate::Learned);
        assert!((service.per_second - 0.1).abs() < 1e-9 && service.source == ServiceSource::Learned);
        let rate = run(&mut learner, 0, 300, 10, 0.4, 100.0);
        assert!((rate / 0.4 - 1.0).abs() < 0.2, "{rate}");
        learner.resume(0.1, 2.0);
        assert!(
            (learner.estimate(ServiceRate::Learned).per_second - rate).abs() < 1e-9,
            "too late to resume"
        );
    }

    #[test]
    fn a_deploy_that_slows_work_is_noticed_within_three_minutes() {
        let mut learner = ServiceLearner::default();
        run(&mut learner, 0, 3600, 20, 1.0 / 30.0, 100.0);
        let rate = run(&mut learner, 3600, 180, 20, 1.0 / 54.0, 100.0);
        assert!((rate * 54.0 - 1.0).abs() < 0.15, "{rate}");
    }

    #[test]
    fn pods_that_finish_their_order_after_a_step_down_are_no_faster_workers() {
        let mut learner = ServiceLearner::default();
        run(&mut learner, 0, 3600, 60, 1.0 / 300.0, 100.0);
        for step in 1..=20_u32 {
            // Sixty orders that were begun end one by one; only five pods are still ready.
            let at = f64::from(3600 + step * 15);
            learner.sample(at, &reading(0.0, (60.0 - 3.0 * f64::from(step)).max(5.0)), Some(5));
            if step % 4 == 0 {
                learner.learn(at - 60.0, at, 12.0);
            }
        }
        let rate = learner.estimate(ServiceRate::Learned).per_second * 300.0;
        assert!((0.7..1.8).contains(&rate), "{rate}");
    }

    #[test]
    fn workers_that_begin_together_and_complete_nothing_yet_are_no_slower() {
        let mut learner = ServiceLearner::default();
        run(&mut learner, 0, 3600, 5, 1.0 / 240.0, 100.0);
        let known = learner.estimate(ServiceRate::Learned).per_second;
        for step in 1..=14_u32 {
            let at = f64::from(3600 + step * 15);
            learner.sample(at, &reading(500.0, 80.0), Some(80));
            if step % 4 == 0 {
                learner.learn(at - 60.0, at, 1.0);
            }
        }
        let rate = learner.estimate(ServiceRate::Learned).per_second / known;
        assert!((0.5..1.2).contains(&rate), "{rate}");
    }

    #[test]
    fn prefetching_workers_do_not_mislead() {
        let mut learner = ServiceLearner::default();
        for step in 0..=80_u32 {
            learner.sample(f64::from(step * 15), &reading(500.0, 100.0), Some(10));
            if step % 4 == 0 && step > 0 {
                let end = f64::from(step * 15);
                learner.learn(end - 60.0, end, 20.0);
            }
        }
        let service = learner.estimate(ServiceRate::Learned);
        assert!((service.per_second * 30.0 - 1.0).abs() < 0.1, "{service:?}");
        assert!((service.concurrency - 10.0).abs() < 0.5, "{service:?}");
    }
}
