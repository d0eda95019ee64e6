//! Waits and errors as they come in from all tasks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tonic::Status;

use crate::schedule::What;
use crate::wire::Method;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    /// One call.
    Method(Method),
    /// A poll or sync from the moment it was due to its last answer.
    Whole(What),
    /// The generator's own delay: from due to sending.
    Lag,
}

impl Series {
    pub(crate) const ALL: [Self; 6] = [
        Self::Method(Method::GetMetricSpec),
        Self::Method(Method::GetMetrics),
        Self::Method(Method::IsActive),
        Self::Whole(What::Poll),
        Self::Whole(What::Sync),
        Self::Lag,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Method(method) => method.name(),
            Self::Whole(What::Poll) => "whole poll",
            Self::Whole(What::Sync) => "whole sync",
            Self::Whole(What::Call) => "whole call",
            Self::Lag => "generator's delay",
        }
    }
}

/// Waits in nanoseconds, and errors by status code.
#[derive(Debug, Clone)]
pub(crate) struct Waits {
    pub(crate) histogram: Histogram<u64>,
    pub(crate) errors: BTreeMap<String, u64>,
}

/// Longest wait that is told apart: a minute.
const LONGEST_NANOSECONDS: u64 = 60_000_000_000;

impl Waits {
    pub(crate) fn new() -> Self {
        // Three digits from a microsecond on; the bounds are constants that fit together.
        let histogram = Histogram::new_with_bounds(1000, LONGEST_NANOSECONDS, 3)
            .unwrap_or_else(|error| unreachable!("{error}"));
        Self { histogram, errors: BTreeMap::new() }
    }
}

/// Collects from all tasks.
pub(crate) struct Recorder {
    series: [Mutex<Waits>; Series::ALL.len()],
    not_sent: AtomicU64,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { series: std::array::from_fn(|_| Mutex::new(Waits::new())), not_sent: AtomicU64::new(0) }
    }

    /// A call that failed waited too: it is in the histogram and among the errors.
    pub(crate) fn record(&self, series: Series, wait: Duration, failure: Option<&Status>) {
        let nanoseconds = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let mut waits = self.waits(series);
        waits.histogram.saturating_record(nanoseconds);
        if let Some(status) = failure {
            *waits.errors.entry(format!("{:?}", status.code())).or_default() += 1;
        }
    }

    /// Something was due while too much was under way.
    pub(crate) fn not_sent(&self) {
        self.not_sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn total_not_sent(&self) -> u64 {
        self.not_sent.load(Ordering::Relaxed)
    }

    pub(crate) fn waits(&self, series: Series) -> MutexGuard<'_, Waits> {
        let index = Series::ALL.iter().position(|other| *other == series).unwrap_or(Series::ALL.len() - 1);
        self.series[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
