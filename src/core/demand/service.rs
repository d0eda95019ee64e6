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
use self::trial::longest_step;
use super::contention::Contention;
use super::present::Present;
use crate::core::observation::QueueReading;
use crate::core::plan::Service;
use crate::core::plan::situation::ServiceSource;
use crate::core::policy::{Policy, ServiceRate};

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
    pub fn resume(&mut self, per_second: f64, concurrency: f64, settled: bool) {
        if !self.seen && per_second.is_finite() && per_second > 0.0 && concurrency >= 0.5 {
            self.posterior = Posterior { orders: RESUMED_ORDERS, seconds: RESUMED_ORDERS / per_second };
            self.readings.resume(concurrency, settled);
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

    /// Says how soon workers that are wanted are ready, and what comes till then: how much more at once may be tried than
    /// workers are known to hold.
    pub fn allow_trial(&mut self, policy: &Policy, lead_seconds: f64, present: &Present) {
        let step = match (policy.service_rate, policy.target_wait_seconds) {
            (ServiceRate::PerMinute(_), _) => 0.0,
            (ServiceRate::Learned, Some(wait_seconds)) => longest_step(wait_seconds, lead_seconds, present),
            (ServiceRate::Learned, None) => 1.0,
        };
        self.readings.allow_trial(step);
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
        if let Some(times) =
            self.readings.try_more((from, to), orders, self.order_seconds(), self.alone.order_seconds())
        {
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
                settled: self.readings.is_settled(),
                source: ServiceSource::Given,
                unmet_per_second: self.unmet(per_second),
            };
        }
        let per_second = self.posterior.mean();
        Service {
            per_second,
            lower_per_second: per_second * (1.0 - self.posterior.relative_variance().sqrt()).max(0.2),
            concurrency: self.alone.begun(held, per_second),
            settled: self.readings.is_settled(),
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
mod tests;
