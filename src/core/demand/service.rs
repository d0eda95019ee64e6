//! The service rate of one replica, learned from two witnesses.
//!
//! Little's law, always: busy worker-seconds an order, from the messages in flight. Saturated
//! throughput: where every ready replica had work, ready replicas take the place of the messages
//! in flight, so workers that prefetch do not mislead. Both feed one gamma posterior (completions
//! are counted, busy replica-seconds are the exposure), with forgetting. When the newest intervals
//! contradict what was known before them, a deploy changed the rate: they alone count from then on.

use std::collections::VecDeque;

use super::contention::Contention;
use crate::core::plan::Service;
use crate::core::plan::situation::ServiceSource;
use crate::core::policy::ServiceRate;

/// Orders a minute and replica assumed before anything is seen.
pub const PRIOR_PER_MINUTE: f64 = 2.0;
/// The prior weighs as much as this many completed orders.
const PRIOR_ORDERS: f64 = 1.5;
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
/// Readings kept to integrate over.
const SAMPLES: usize = 128;

/// Workers and their work at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: f64,
    in_flight: f64,
    visible: f64,
    ready: Option<f64>,
}

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

/// An interval learned from, and what was known before it.
#[derive(Debug, Clone, Copy)]
struct Learned {
    orders: f64,
    busy: f64,
    before: Posterior,
}

/// Learns what one ready replica gets done.
#[derive(Debug, Clone)]
pub struct ServiceLearner {
    samples: VecDeque<Sample>,
    posterior: Posterior,
    recent: VecDeque<Learned>,
    concurrency: f64,
    contention: Contention,
    seen: bool,
}

impl Default for ServiceLearner {
    fn default() -> Self {
        Self {
            samples: VecDeque::new(),
            posterior: Posterior::new(PRIOR_PER_MINUTE / 60.0),
            recent: VecDeque::new(),
            concurrency: 1.0,
            contention: Contention::default(),
            seen: false,
        }
    }
}

impl ServiceLearner {
    /// Notes a reading of the queue and the ready workers of that time.
    pub fn sample(&mut self, at: f64, visible: f64, in_flight: f64, ready: Option<u32>) {
        if self.samples.back().is_some_and(|last| at <= last.at) {
            return;
        }
        let ready = ready.map(f64::from);
        if let Some(ready) = ready
            && ready >= 1.0
            && visible > 2.0 * ready * self.concurrency.max(1.0)
            && self.samples.back().is_some_and(|last| last.ready == Some(ready))
        {
            let seen = (in_flight / ready).clamp(0.5, 100.0);
            self.concurrency += 0.1 * (seen - self.concurrency);
        }
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, in_flight, visible, ready });
    }

    /// Learns from orders completed in `[from, to)`.
    pub fn learn(&mut self, from: f64, to: f64, orders: f64) {
        let Some((busy, ready)) = self.busy(from, to) else { return };
        if busy <= 0.0 {
            return;
        }
        let share = (to - from) * if ready > 0.0 { (busy / ready).min(1.0) } else { 1.0 };
        self.seen |= orders > 0.0;
        if busy > 0.97 * ready && ready > 0.0 {
            self.contention.learn(to, to - from, ready / (to - from), orders);
        } else {
            self.contention.relax();
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Learned { orders, busy, before: self.posterior });
        self.posterior.learn(orders, busy, share);
        self.notice_change();
    }

    /// Looks for the moment after which the intervals contradict most what was known before it.
    fn notice_change(&mut self) {
        let (mut orders, mut busy) = (0.0, 0.0);
        let (mut change, mut clearest) = (None, 1.0);
        for (index, learned) in self.recent.iter().enumerate().rev() {
            orders += learned.orders;
            busy += learned.busy;
            // At the old rate so many would be done; as many or so few must be there to tell.
            if orders.max(busy * learned.before.mean()) < CHANGE_ORDERS {
                continue;
            }
            let rate = orders.max(0.5) / busy;
            let measured = MEASURING_ERROR / (self.recent.len() - index) as f64;
            let variance =
                COMPLETION_DISPERSION / orders.max(1.0) + learned.before.relative_variance() + measured;
            let surprise = (rate / learned.before.mean()).ln() / variance.sqrt();
            let limit = if surprise < 0.0 { CHANGE_SLOWER } else { CHANGE_FASTER };
            if surprise.abs() / limit > clearest {
                (change, clearest) = (Some(index), surprise.abs() / limit);
            }
        }
        if let Some(index) = change {
            self.recent.drain(..index);
            let orders = self.recent.iter().map(|learned| learned.orders).sum::<f64>().max(0.5);
            let seconds = self.recent.iter().map(|learned| learned.busy).sum();
            self.posterior = Posterior { orders, seconds };
            self.recent.clear();
        }
    }

    /// Busy and ready replica-seconds in `[from, to)`; `None` where the samples do not reach.
    fn busy(&self, from: f64, to: f64) -> Option<(f64, f64)> {
        let first = self.samples.front()?;
        let last = self.samples.back()?;
        if first.at > from + 20.0 || last.at < to - 20.0 {
            return None;
        }
        let (mut busy, mut ready) = (0.0, 0.0);
        for index in 0..self.samples.len() {
            let sample = self.samples[index];
            let start = if index == 0 { from } else { sample.at };
            let end = self.samples.get(index + 1).map_or(to, |next| next.at);
            let seconds = end.min(to) - start.max(from);
            if seconds <= 0.0 {
                continue;
            }
            let next = self.samples.get(index + 1).unwrap_or(&sample);
            let working = 0.5 * (self.working(&sample) + self.working(next));
            busy += seconds * working;
            ready += seconds * 0.5 * (sample.ready.unwrap_or(0.0) + next.ready.unwrap_or(0.0));
        }
        Some((busy, ready))
    }

    /// Replicas at work in a sample: all where the queue is deep, else the messages in flight tell.
    fn working(&self, sample: &Sample) -> f64 {
        let by_messages = sample.in_flight / self.concurrency;
        match sample.ready {
            Some(ready) if sample.visible > ready * self.concurrency.max(1.0) => ready,
            Some(ready) => by_messages.min(ready),
            None => by_messages,
        }
    }

    /// Workers beyond which more add next to nothing.
    pub fn contention(&self, now: f64) -> Option<f64> {
        self.contention.replicas(now)
    }

    /// The present estimate, or the operator's figure.
    pub fn estimate(&self, given: ServiceRate) -> Service {
        if let ServiceRate::PerMinute(per_minute) = given {
            let per_second = per_minute / 60.0;
            return Service {
                per_second,
                lower_per_second: per_second,
                concurrency: self.concurrency,
                source: ServiceSource::Given,
            };
        }
        let per_second = self.posterior.mean();
        Service {
            per_second,
            lower_per_second: per_second * (1.0 - self.posterior.relative_variance().sqrt()).max(0.2),
            concurrency: self.concurrency,
            source: if self.seen { ServiceSource::Learned } else { ServiceSource::Prior },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for step in 0..=(seconds / 15) {
            learner.sample(f64::from(from + step * 15), visible, done / per_second, Some(ready));
            if step % 4 == 0 && step > 0 {
                let end = f64::from(from + step * 15);
                learner.learn(end - 60.0, end, done * 60.0);
            }
        }
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
    fn a_deploy_that_slows_work_is_noticed_within_three_minutes() {
        let mut learner = ServiceLearner::default();
        run(&mut learner, 0, 3600, 20, 1.0 / 30.0, 100.0);
        let rate = run(&mut learner, 3600, 180, 20, 1.0 / 54.0, 100.0);
        assert!((rate * 54.0 - 1.0).abs() < 0.15, "{rate}");
    }

    #[test]
    fn prefetching_workers_do_not_mislead() {
        let mut learner = ServiceLearner::default();
        for step in 0..=80_u32 {
            learner.sample(f64::from(step * 15), 500.0, 100.0, Some(10));
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
