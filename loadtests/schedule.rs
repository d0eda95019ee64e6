//! When what is to be sent, known before anything is: that makes the load an open loop.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::wire::Method;

/// What KEDA does for one ScaledObject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// Its own loop, every `pollingInterval`.
    Poll,
    /// The HPA asked for the metric.
    Sync,
    /// One `GetMetrics` alone, at a fixed rate.
    Call,
}

impl What {
    /// One after the other, each when the one before was answered.
    pub(crate) fn methods(self) -> &'static [Method] {
        match self {
            Self::Poll | Self::Sync => &Method::ALL,
            Self::Call => &[Method::GetMetrics],
        }
    }
}

/// Something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    /// Since the start.
    pub(crate) at: Duration,
    /// Number of the ScaledObject.
    pub(crate) object: usize,
    pub(crate) what: What,
}

/// An endless sequence in order of time.
pub(crate) enum Schedule {
    /// KEDA's two loops for every object.
    Cadence { next: BinaryHeap<Reverse<Due>>, polling: Duration, sync: Duration },
    /// One call every `period`, objects in turn.
    Rate { period: Duration, objects: usize, sent: u32 },
}

impl Schedule {
    /// Each object polls every `polling` and is synced every `sync`, starting anywhere within those.
    pub(crate) fn cadence(objects: usize, polling: Duration, sync: Duration, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut next = BinaryHeap::with_capacity(2 * objects);
        for object in 0..objects {
            for (what, period) in [(What::Poll, polling), (What::Sync, sync)] {
                let at = period.mul_f64(random.random_range(0.0..1.0));
                next.push(Reverse(Due { at, object, what }));
            }
        }
        Self::Cadence { next, polling, sync }
    }

    /// `rate` calls a second.
    pub(crate) fn rate(objects: usize, rate: f64) -> Self {
        Self::Rate { period: Duration::from_secs_f64(1.0 / rate), objects, sent: 0 }
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        match self {
            Self::Cadence { next, polling, sync } => {
                let Reverse(due) = next.pop()?;
                let period = if due.what == What::Poll { *polling } else { *sync };
                next.push(Reverse(Due { at: due.at + period, ..due }));
                Some(due)
            }
            Self::Rate { period, objects, sent } => {
                let due = Due { at: *period * *sent, object: *sent as usize % *objects, what: What::Call };
                *sent += 1;
                Some(due)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_polls_and_syncs_at_its_own_times() {
        let (polling, sync) = (Duration::from_secs(30), Duration::from_secs(15));
        let minute: Vec<Due> = Schedule::cadence(100, polling, sync, 7)
            .take_while(|due| due.at < Duration::from_mins(1))
            .collect();
        assert!(minute.is_sorted_by_key(|due| due.at));
        for object in 0..100 {
            for (what, times) in [(What::Poll, 2), (What::Sync, 4)] {
                let of: Vec<_> =
                    minute.iter().filter(|due| due.object == object && due.what == what).collect();
                assert_eq!(of.len(), times, "{what:?} of {object}");
                let apart = of[1].at.abs_diff(of[0].at);
                assert_eq!(apart, if what == What::Poll { polling } else { sync });
            }
        }
    }

    #[test]
    fn a_rate_is_kept_and_objects_take_turns() {
        let first: Vec<Due> = Schedule::rate(3, 1000.0).take(2001).collect();
        assert_eq!(first[2000].at, Duration::from_secs(2));
        assert_eq!([0, 1, 2, 3].map(|number: usize| first[number].object), [0, 1, 2, 0]);
    }
}
