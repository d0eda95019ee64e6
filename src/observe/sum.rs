//! Adds up the minutes of a trigger's queues: one interval a minute, not one a queue and minute.
//!
//! A minute is handed on when every queue has it. A queue without metrics (SQS sends none for one that
//! nobody has touched for hours) must not hold up the others: a minute that has waited for five
//! minutes is handed on as it is, and what comes for it later is dropped.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::cloudwatch::Minute;
use crate::core::{Flow, Interval};

const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(5);
/// Longer than any read reaches back.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(200);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The minutes of several queues on their way to a sum.
#[derive(Debug)]
pub(super) struct MinuteSum {
    queues: usize,
    waiting: BTreeMap<(Timestamp, Flow), Waiting>,
    handed_on: BTreeSet<(Timestamp, Flow)>,
}

#[derive(Debug)]
struct Waiting {
    since: Timestamp,
    queues: usize,
    count: f64,
}

impl MinuteSum {
    /// For so many queues, each of which gives every minute once.
    pub(super) fn new(queues: usize) -> Self {
        Self { queues, waiting: BTreeMap::new(), handed_on: BTreeSet::new() }
    }

    /// One queue's minute became known at `now`.
    pub(super) fn add(&mut self, minute: &Minute, now: Timestamp) {
        let key = (minute.from, minute.flow);
        if self.handed_on.contains(&key) {
            return;
        }
        let waiting = self.waiting.entry(key).or_insert(Waiting { since: now, queues: 0, count: 0.0 });
        waiting.queues += 1;
        waiting.count += minute.count;
    }

    /// The sums that are complete, or have waited long enough, oldest first.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<(Flow, Interval)> {
        let mut sums = Vec::new();
        let queues = self.queues;
        self.waiting.retain(|&(from, flow), waiting| {
            let is_due = waiting.queues >= queues || now.duration_since(waiting.since) >= LONGEST_WAIT;
            if is_due {
                let interval = Interval { from, to: from + MINUTE, count: waiting.count };
                sums.push((flow, interval));
            }
            !is_due
        });
        self.handed_on.extend(sums.iter().map(|(flow, interval)| (interval.from, *flow)));
        self.handed_on.retain(|(from, _)| now.duration_since(*from) < REMEMBERED);
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-27T{text}Z").parse().unwrap()
    }

    fn minute(from: &str, count: f64) -> Minute {
        Minute { number: 0, flow: Flow::Arrivals, from: at(from), count }
    }

    fn counts(sum: &mut MinuteSum, now: &str) -> Vec<f64> {
        sum.take(at(now)).iter().map(|(_, interval)| interval.count).collect()
    }

    #[test]
    fn a_minute_waits_for_every_queue() {
        let mut sum = MinuteSum::new(2);
        sum.add(&minute("08:00:00", 3.0), at("08:03:00"));
        assert_eq!(counts(&mut sum, "08:03:00"), Vec::<f64>::new());
        sum.add(&minute("08:00:00", 4.0), at("08:03:30"));
        assert_eq!(counts(&mut sum, "08:03:30"), vec![7.0]);
        assert_eq!(counts(&mut sum, "08:03:30"), Vec::<f64>::new());
    }

    #[test]
    fn a_silent_queue_holds_nothing_up_for_long() {
        let mut sum = MinuteSum::new(2);
        sum.add(&minute("08:00:00", 3.0), at("08:03:00"));
        assert_eq!(counts(&mut sum, "08:07:59"), Vec::<f64>::new());
        assert_eq!(counts(&mut sum, "08:08:00"), vec![3.0]);
        sum.add(&minute("08:00:00", 4.0), at("08:09:00"));
        assert_eq!(counts(&mut sum, "09:09:00"), Vec::<f64>::new());
    }

    #[test]
    fn one_queue_waits_for_nobody() {
        let mut sum = MinuteSum::new(1);
        sum.add(&minute("08:00:00", 3.0), at("08:03:00"));
        assert_eq!(counts(&mut sum, "08:03:00"), vec![3.0]);
    }
}
