//! Who was at work: the last readings of the queue and of the ready workers.

use std::collections::VecDeque;

use super::trial::{Done, Seen, Trial};
use crate::core::observation::QueueReading;

/// A pod that was taken away may finish its order for so long: it works and is not ready.
const FINISHING_SECONDS: f64 = 600.0;
/// Readings kept to integrate over, the newest and others not nearer to each other than ...
const SAMPLES: usize = 64;
/// ... this: together they reach further back than workers may be finishing.
const LEAST_APART_SECONDS: f64 = 10.0;

/// Between these shares of the ready workers in flight most are idle, whatever waits.
const IDLE_SHARE: (f64, f64) = (0.02, 0.5);

/// So many messages that no one receives may be counted where there are none.
const PHANTOMS: f64 = 2.0;

/// Where workers have so many orders each, on average, hardly one has two.
const ALONE_SHARE: f64 = 0.5;

/// Workers that are all at work without anything waiting for them, in so many of ten readings, can take more.
const UNQUEUED_SHARE: f64 = 0.9;
/// What one holds at once is raised by so much in the time that an order takes, ...
const RAISE: f64 = 0.05;
/// ... and by no more than this at once, ...
const MOST_RAISE: f64 = 0.1;
/// ... once what is in work was completed so many times.
const LEAST_TURNS: f64 = 5.0;
/// No worker holds more at once.
const MOST_AT_ONCE: f64 = 100.0;

/// Workers and their work at one moment. Counts are whole, or averages that no one knows to the seventh
/// digit: half the room is enough for them.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: f64,
    in_flight: f32,
    visible: f32,
    delayed: f32,
    /// [`UNKNOWN`] where it was not told.
    ready: u16,
    /// The most that were ready of late: so many may be at work.
    most_ready: u16,
}

/// In the place of a number of pods.
const UNKNOWN: u16 = u16::MAX;

impl Sample {
    #[expect(clippy::cast_possible_truncation, reason = "counts of messages")]
    fn new(at: f64, reading: &QueueReading, ready: Option<f64>, most_ready: f64) -> Self {
        Self {
            at,
            in_flight: reading.in_flight as f32,
            visible: reading.visible as f32,
            delayed: reading.delayed as f32,
            ready: ready.map_or(UNKNOWN, pods),
            most_ready: pods(most_ready),
        }
    }

    fn ready(&self) -> Option<f64> {
        (self.ready != UNKNOWN).then(|| f64::from(self.ready))
    }

    fn messages(&self) -> f64 {
        f64::from(self.visible) + f64::from(self.in_flight) + f64::from(self.delayed)
    }

    /// Orders that may be visible on their way to a worker.
    fn shallow(&self) -> f64 {
        (0.5 * f64::from(self.in_flight)).max(3.0)
    }

    /// Orders wait.
    fn is_deep(&self) -> bool {
        f64::from(self.visible) > self.shallow()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before the cast")]
fn pods(ready: f64) -> u16 {
    ready.clamp(0.0, f64::from(UNKNOWN - 1)) as u16
}

/// Ready workers beside messages that they don't take are not at work; workers that delete what they receive show
/// nothing in flight.
fn mostly_idle(in_flight: f64, ready: f64) -> bool {
    (IDLE_SHARE.0..IDLE_SHARE.1).contains(&(in_flight / ready))
}

/// The last readings.
#[derive(Debug, Clone)]
pub struct Readings {
    samples: VecDeque<Sample>,
    /// Orders that one worker holds at once, as seen where all had work.
    concurrency: f64,
    /// How often what was in work was completed while all worked and nothing waited.
    unqueued_turns: f64,
    trial: Trial,
}

impl Default for Readings {
    fn default() -> Self {
        Self { samples: VecDeque::new(), concurrency: 1.0, unqueued_turns: 0.0, trial: Trial::default() }
    }
}

impl Readings {
    /// Orders that one worker holds at once.
    pub fn concurrency(&self) -> f64 {
        self.concurrency
    }

    pub(super) fn resume(&mut self, concurrency: f64, settled: bool) {
        self.concurrency = concurrency.min(MOST_AT_ONCE);
        if settled {
            self.trial.settle();
        }
    }

    /// Whether a queue has shown what one worker holds at once.
    pub(super) fn is_settled(&self) -> bool {
        self.trial.is_settled()
    }

    /// The largest step by which it may be tried if a worker can hold more at once.
    pub(super) fn allow_trial(&mut self, longest_step: f64) {
        self.trial.allow(longest_step);
    }

    /// Notes a reading; an order is in flight for `order_seconds`. By what factor a worker holds less at once than was
    /// thought, where that is seen.
    pub(super) fn note(
        &mut self,
        at: f64,
        reading: &QueueReading,
        ready: Option<u32>,
        order_seconds: f64,
    ) -> Option<f64> {
        let QueueReading { visible, in_flight, .. } = *reading;
        if self.samples.back().is_some_and(|last| at <= last.at) {
            return None;
        }
        let ready = ready.map(f64::from);
        if let Some(ready) = ready
            && ready >= 1.0
            && visible > 2.0 * ready * self.concurrency.max(1.0)
            && !mostly_idle(in_flight, ready)
            && self.samples.back().is_some_and(|last| last.ready() == Some(ready))
        {
            let seen = (in_flight / ready).clamp(0.5, MOST_AT_ONCE);
            self.concurrency += 0.1 * (seen - self.concurrency);
        }
        let most_ready = self.most_ready(at, ready);
        if self.last_two().is_some_and(|(before, last)| last.at - before.at < LEAST_APART_SECONDS) {
            self.samples.pop_back();
        } else if self.samples.len() >= SAMPLES {
            self.thin_out();
        }
        self.samples.push_back(Sample::new(at, reading, ready, most_ready));
        let ready = ready.filter(|ready| *ready >= 1.0 && !mostly_idle(in_flight, *ready))?;
        let at_work = self.at_work(at, order_seconds);
        let seen = Seen { at, visible, in_flight, ready, at_work, order_seconds };
        let believed = self.trial.read(seen, self.concurrency)?;
        let times = self.believe(believed);
        // Where it is more, throughput tells whether as much more is done.
        (times < 1.0).then_some(times)
    }

    /// Takes another number that one worker holds at once; by what factor it is another.
    fn believe(&mut self, concurrency: f64) -> f64 {
        let before = std::mem::replace(&mut self.concurrency, concurrency.min(MOST_AT_ONCE));
        self.unqueued_turns = 0.0;
        self.concurrency / before
    }

    /// The most workers that were ready while what is in work at a moment was begun.
    fn at_work(&self, at: f64, order_seconds: f64) -> f64 {
        let since = at - 2.0 * order_seconds.max(30.0);
        let near = self.samples.iter().filter(|sample| sample.at >= since && sample.at <= at);
        near.filter_map(Sample::ready).fold(0.0, f64::max)
    }

    /// Looks whether more at once can be tried: `orders` were completed in `[from, to)`. By what factor another number
    /// is believed.
    pub(super) fn try_more(
        &mut self,
        (from, to): (f64, f64),
        orders: f64,
        order_seconds: f64,
        alone_seconds: Option<f64>,
    ) -> Option<f64> {
        if self.trial.is_settled() {
            return None;
        }
        let (in_flight_seconds, more_in_flight) = self.in_flight_seconds(from, to)?;
        let (seconds, at_work) = (to - from, self.at_work(to, order_seconds));
        let at_work_seconds = at_work * seconds;
        let done =
            Done { seconds, orders, more_in_flight, in_flight_seconds, at_work_seconds, alone_seconds };
        let believed = self.trial.tell(from, done, order_seconds, self.concurrency)?;
        Some(self.believe(believed))
    }

    /// Seconds that messages were in flight in `[from, to)`, and by how many there were more at the end; `None` where
    /// the samples do not reach.
    fn in_flight_seconds(&self, from: f64, to: f64) -> Option<(f64, f64)> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        if first.at > from + 20.0 || last.at < to - 20.0 {
            return None;
        }
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        let (mut sum, mut more, mut seconds) = (0.0, 0.0, 0.0);
        for (before, after) in pairs {
            let overlap = (after.at.min(to) - before.at.max(from)).max(0.0);
            sum += overlap * 0.5 * f64::from(before.in_flight + after.in_flight);
            more += overlap / (after.at - before.at) * f64::from(after.in_flight - before.in_flight);
            seconds += overlap;
        }
        let all = (to - from) / seconds;
        (seconds > 0.0).then_some((sum * all, more * all))
    }

    /// Every second of the older half goes, so that counts which come in late find who was at work.
    fn thin_out(&mut self) {
        let mut place = 0;
        self.samples.retain(|_| {
            place += 1;
            place > SAMPLES / 2 || place % 2 == 0
        });
    }

    /// Replicas at work between the last two readings, on average, and whether orders waited for them.
    pub fn working_now(&self) -> Option<(f64, bool)> {
        let (before, last) = self.last_two()?;
        Some((self.working_between(before, last), before.is_deep() && last.is_deep()))
    }

    /// Replicas that were ready while the queue was found without waiting orders at the last reading and
    /// with some at the one before.
    pub fn emptied_by(&self) -> Option<f64> {
        let (before, last) = self.last_two()?;
        let ready = |sample: &Sample| sample.ready().unwrap_or(0.0).max(self.working(sample));
        (before.is_deep() && !last.is_deep()).then(|| ready(before).max(ready(last)))
    }

    /// Replicas at work between the last reading and this one, on average.
    pub fn working_until(&self, reading: &QueueReading, ready: Option<u32>) -> Option<f64> {
        let (last, ready) = (self.samples.back()?, ready.map(f64::from));
        let most_ready = self.most_ready(last.at, ready);
        let next = Sample::new(last.at, reading, ready, most_ready);
        Some(self.working_between(last, &next))
    }

    /// Where all are at work all the time and nothing waits for them, each can hold more at once than was thought:
    /// workers that can't would have a queue. `orders` were completed in `[from, to)`. By what factor it was raised.
    pub(super) fn raise_concurrency(&mut self, from: f64, to: f64, orders: f64) -> Option<f64> {
        let (mut all, mut unqueued, mut in_flight) = (0.0, 0.0, 0.0);
        // Whatever the orders take, hardly one is in work still whose worker went before all of these readings.
        let most_ready = self.samples.iter().map(|sample| sample.most_ready).max().unwrap_or(0);
        let at_once = f64::from(most_ready) * self.concurrency;
        for sample in self.within(from, to) {
            let (visible, held) = (f64::from(sample.visible), f64::from(sample.in_flight));
            all += 1.0;
            in_flight += held;
            unqueued += f64::from(u8::from(
                at_once >= 1.0 && held >= at_once - 0.25 * at_once.sqrt() && visible <= 0.05 * held,
            ));
        }
        let is_unqueued = all > 0.0 && unqueued >= UNQUEUED_SHARE * all;
        // As often as what is in work was completed.
        self.unqueued_turns = if is_unqueued { self.unqueued_turns + orders * all / in_flight } else { 0.0 };
        let raise = (RAISE * (self.unqueued_turns - LEAST_TURNS)).min(MOST_RAISE);
        if raise <= 0.0 {
            return None;
        }
        self.unqueued_turns = LEAST_TURNS;
        self.concurrency = (self.concurrency * (1.0 + raise)).min(MOST_AT_ONCE);
        Some(1.0 + raise)
    }

    /// Seconds that orders were in flight in `[from, to)` where workers had far fewer than one each, so that none
    /// shared its worker; `None` where that is not so.
    pub(super) fn alone(&self, from: f64, to: f64) -> Option<f64> {
        let (mut all, mut in_flight, mut ready) = (0.0, 0.0, 0.0);
        for sample in self.within(from, to) {
            if sample.is_deep() {
                return None;
            }
            all += 1.0;
            in_flight += f64::from(sample.in_flight);
            ready += sample.ready().unwrap_or(0.0);
        }
        (in_flight > 0.0 && in_flight <= ALONE_SHARE * ready).then(|| in_flight / all * (to - from))
    }

    /// Between each two readings after `start`: from, to, the replicas at work, and the messages there at first.
    pub fn pieces_after(&self, start: f64) -> impl Iterator<Item = (f64, f64, f64, f64)> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs.filter(move |(_, after)| after.at > start).map(move |(before, after)| {
            (before.at.max(start), after.at, self.working_between(before, after), before.messages())
        })
    }

    fn last_two(&self) -> Option<(&Sample, &Sample)> {
        let mut newest = self.samples.iter().rev();
        let last = newest.next()?;
        Some((newest.next()?, last))
    }

    fn most_ready(&self, at: f64, ready: Option<f64>) -> f64 {
        let recent = self.samples.iter().rev().take_while(|sample| at - sample.at <= FINISHING_SECONDS);
        let known = recent.map(|sample| sample.ready).filter(|ready| *ready != UNKNOWN);
        ready.unwrap_or(0.0).max(f64::from(known.fold(0, u16::max)))
    }

    /// Replicas at work at the last reading, or at the one before where there were more.
    pub fn busy_replicas(&self) -> f64 {
        self.samples.iter().rev().take(2).map(|sample| self.working(sample)).fold(0.0, f64::max)
    }

    /// How deep the queue was at the last reading: 0 where nothing waits but what is on its way to a
    /// worker, 1 where more wait than are in work.
    pub fn depth(&self) -> f64 {
        let depth = |sample: &Sample| {
            (f64::from(sample.visible) - sample.shallow()) / f64::from(sample.in_flight).max(3.0)
        };
        self.samples.back().map_or(0.0, depth).clamp(0.0, 1.0)
    }

    /// Messages at a moment between two readings.
    pub(super) fn messages(&self, at: f64) -> Option<f64> {
        let upper = self.samples.iter().position(|sample| sample.at >= at)?;
        let after = &self.samples[upper];
        let Some(before) = upper.checked_sub(1).map(|lower| &self.samples[lower]) else {
            return (after.at - at < 20.0).then(|| after.messages());
        };
        let share = (at - before.at) / (after.at - before.at);
        Some(before.messages() + (after.messages() - before.messages()) * share)
    }

    /// By how many the replicas at work have differed in `[from, to)` and shortly before: so many began, or
    /// ended, at about the same time.
    pub(super) fn together(&self, from: f64, to: f64) -> f64 {
        let near = |sample: &&Sample| sample.at >= from - FINISHING_SECONDS && sample.at <= to;
        let working = self.samples.iter().filter(near).map(|sample| self.working(sample));
        let (least, most) =
            working.fold((f64::INFINITY, 0.0_f64), |(least, most), one| (least.min(one), most.max(one)));
        (most - least).max(0.0)
    }

    /// Busy and ready replica-seconds in `[from, to)`; `None` where the samples do not reach.
    pub(super) fn busy(&self, from: f64, to: f64) -> Option<(f64, f64)> {
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
            busy += seconds * self.working_between(&sample, next);
            ready += seconds * 0.5 * (sample.ready().unwrap_or(0.0) + next.ready().unwrap_or(0.0));
        }
        Some((busy, ready))
    }

    /// Readings of `[from, to)`.
    fn within(&self, from: f64, to: f64) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| (from..to).contains(&sample.at))
    }

    /// Replicas at work between two samples, on average.
    fn working_between(&self, before: &Sample, after: &Sample) -> f64 {
        0.5 * (self.working(before) + self.working(after))
    }

    /// Replicas at work in a sample: all where the queue is deep, else the messages in flight tell.
    fn working(&self, sample: &Sample) -> f64 {
        let by_messages = f64::from(sample.in_flight) / self.concurrency;
        let most_ready = f64::from(sample.most_ready);
        let phantoms = if sample.in_flight < 0.5 { PHANTOMS } else { 0.0 };
        match sample.ready() {
            Some(ready)
                if f64::from(sample.visible) > ready * self.concurrency.max(1.0) + phantoms
                    && !mostly_idle(f64::from(sample.in_flight), ready) =>
            {
                by_messages.clamp(ready, most_ready)
            }
            Some(_) => by_messages.min(most_ready),
            None => by_messages,
        }
    }
}
