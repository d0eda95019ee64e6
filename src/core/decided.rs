//! What is remembered of the last minutes: decisions, for the hold against flapping and the ramp, and waits.

use std::collections::VecDeque;

/// So far back the ramp looks.
const RAMP_SECONDS: f64 = 60.0;
/// Room for so many more is made at a time: doubled, most of it would stay empty.
const MORE: usize = 4;

/// Decisions in a row that were the same.
#[derive(Debug, Clone, Copy)]
struct Run {
    first_at: f64,
    last_at: f64,
    planned: u32,
    desired: u32,
}

/// Decisions in order of time; moments in seconds since the epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Decided {
    runs: VecDeque<Run>,
}

impl Decided {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Notes a decision, and forgets what ended more than `kept_seconds` and the ramp's minute ago.
    pub(super) fn push(&mut self, at: f64, planned: u32, desired: u32, kept_seconds: f64) {
        while self.runs.front().is_some_and(|oldest| at - oldest.last_at > kept_seconds + RAMP_SECONDS) {
            self.runs.pop_front();
        }
        if let Some(run) = self.runs.back_mut().filter(|run| (run.planned, run.desired) == (planned, desired))
        {
            run.last_at = at;
            return;
        }
        if self.runs.len() == self.runs.capacity() {
            self.runs.reserve_exact(MORE);
        }
        self.runs.push_back(Run { first_at: at, last_at: at, planned, desired });
    }

    /// The number of the newest.
    pub(super) fn last_desired(&self) -> Option<u32> {
        self.runs.back().map(|run| run.desired)
    }

    /// The most that was planned in the last `seconds`; 0 where nothing was.
    pub(super) fn most_planned(&self, now: f64, seconds: f64) -> u32 {
        let recent = self.runs.iter().rev().take_while(|run| now - run.last_at <= seconds);
        recent.map(|run| run.planned).max().unwrap_or(0)
    }

    /// What was planned in the last `seconds`, on average over the time for which it stood; 0 where nothing was.
    pub(super) fn mean_planned(&self, now: f64, seconds: f64) -> f64 {
        let (mut until, mut sum, mut all) = (now, 0.0, 0.0);
        for run in self.runs.iter().rev() {
            let from = run.first_at.max(now - seconds);
            let stood = (until - from).max(0.0);
            sum += stood * f64::from(run.planned);
            all += stood;
            until = run.first_at;
            if until <= now - seconds {
                break;
            }
        }
        if all > 0.0 { sum / all } else { self.runs.back().map_or(0.0, |run| f64::from(run.planned)) }
    }

    /// The number of a minute ago.
    pub(super) fn minute_ago(&self, now: f64) -> Option<u32> {
        self.runs.iter().rev().find(|run| now - run.first_at >= 60.0).map(|run| run.desired)
    }

    /// The number of a minute ago, or the oldest.
    pub(super) fn minute_ago_or_first(&self, now: f64) -> Option<u32> {
        self.minute_ago(now).or(self.runs.front().map(|run| run.desired))
    }
}

/// The longest waits of the orders that may still be in work: those of two stretches of time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waits {
    /// When the newer stretch began.
    began_at: f64,
    newer: Option<f64>,
    older: Option<f64>,
}

impl Waits {
    /// Notes how long the oldest waiting order has waited, where one waits; its work takes up to `work_seconds`.
    pub(super) fn note(&mut self, now: f64, oldest_seconds: Option<f64>, work_seconds: f64) {
        let age = now - self.began_at;
        if age > work_seconds {
            self.older = self.newer.take().filter(|_| age <= 2.0 * work_seconds);
            self.began_at = now;
        }
        self.newer = longer(self.newer, oldest_seconds);
    }

    /// The longest of these waits in seconds.
    pub(super) fn longest_seconds(&self) -> Option<f64> {
        longer(self.newer, self.older)
    }
}

fn longer(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::tuning::SETTLED_SECONDS;

    #[test]
    fn a_wait_counts_while_the_work_lasts_that_began_after_it() {
        let mut waits = Waits::default();
        let mut longest = |at: f64, oldest: Option<f64>| {
            waits.note(at, oldest, 30.0);
            waits.longest_seconds()
        };
        assert_eq!(longest(1000.0, None), None);
        assert_eq!(longest(1015.0, Some(200.0)), Some(200.0));
        assert_eq!(longest(1030.0, Some(180.0)), Some(200.0));
        assert_eq!(longest(1045.0, Some(20.0)), Some(200.0), "begun 15 to 30 s ago");
        assert_eq!(longest(1060.0, None), Some(200.0));
        assert_eq!(longest(1090.0, Some(10.0)), Some(20.0));
        assert_eq!(longest(2000.0, None), None);
    }

    #[test]
    fn the_mean_weighs_plans_by_the_time_for_which_they_stood() {
        let mut decided = Decided::default();
        assert!(decided.mean_planned(0.0, 600.0).abs() < 1e-9);
        decided.push(0.0, 4, 4, SETTLED_SECONDS);
        assert!((decided.mean_planned(0.0, 600.0) - 4.0).abs() < 1e-9, "of this moment");
        decided.push(60.0, 10, 10, SETTLED_SECONDS);
        decided.push(75.0, 2, 10, SETTLED_SECONDS);
        let mean = decided.mean_planned(120.0, 600.0);
        assert!((mean - (60.0 * 4.0 + 15.0 * 10.0 + 45.0 * 2.0) / 120.0).abs() < 1e-9, "{mean}");
        let newest = decided.mean_planned(120.0, 60.0);
        assert!((newest - (15.0 * 10.0 + 45.0 * 2.0) / 60.0).abs() < 1e-9, "{newest}");
    }

    #[test]
    fn answers_as_a_list_of_all_decisions_would() {
        let mut decided = Decided::default();
        let mut all: Vec<(f64, u32, u32)> = Vec::new();
        for step in 0..400_u32 {
            let at = f64::from(step) * 5.0;
            let (planned, desired) = (step / 7 * 31 % 11, step / 23 * 17 % 5);
            decided.push(at, planned, desired, SETTLED_SECONDS);
            all.push((at, planned, desired));
            let now = at + 2.0;
            let most = |seconds: f64| {
                all.iter().filter(|one| now - one.0 <= seconds).map(|one| one.1).max().unwrap_or(0)
            };
            for seconds in [1.0, 15.0, 61.0, SETTLED_SECONDS] {
                assert_eq!(decided.most_planned(now, seconds), most(seconds), "{seconds} s at {at}");
            }
            let minute_ago = all.iter().rev().find(|one| now - one.0 >= 60.0).map(|one| one.2);
            assert_eq!(decided.minute_ago(now), minute_ago, "at {at}");
            assert_eq!(decided.minute_ago_or_first(now), minute_ago.or(Some(all[0].2)), "at {at}");
            assert_eq!(decided.last_desired(), Some(desired));
        }
        assert!(decided.runs.len() < 30, "{} runs are kept", decided.runs.len());
    }
}
