//! What was decided over the last minutes, for the hold against flapping and the ramp.

use std::collections::VecDeque;

use super::plan::tuning::SETTLED_SECONDS;

/// The longest that anybody looks back, and the ramp's minute.
const KEPT_SECONDS: f64 = SETTLED_SECONDS + 60.0;
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

    pub(super) fn push(&mut self, at: f64, planned: u32, desired: u32) {
        while self.runs.front().is_some_and(|oldest| at - oldest.last_at > KEPT_SECONDS) {
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

    /// The number of a minute ago.
    pub(super) fn minute_ago(&self, now: f64) -> Option<u32> {
        self.runs.iter().rev().find(|run| now - run.first_at >= 60.0).map(|run| run.desired)
    }

    /// The number of a minute ago, or the oldest.
    pub(super) fn minute_ago_or_first(&self, now: f64) -> Option<u32> {
        self.minute_ago(now).or(self.runs.front().map(|run| run.desired))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_a_list_of_all_decisions_would() {
        let mut decided = Decided::default();
        let mut all: Vec<(f64, u32, u32)> = Vec::new();
        for step in 0..400_u32 {
            let at = f64::from(step) * 5.0;
            let (planned, desired) = (step / 7 * 31 % 11, step / 23 * 17 % 5);
            decided.push(at, planned, desired);
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
