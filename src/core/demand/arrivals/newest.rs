//! The newest minutes of the log, added up once to be looked at in windows of any length.

use super::ArrivalLog;
use super::bin::BIN_SECONDS;

/// Bins added up: twelve minutes, the longest window.
const BINS: usize = 48;

/// Sums over the newest bins.
#[derive(Debug, Clone)]
pub struct Newest<'a> {
    log: &'a ArrivalLog,
    now: f64,
    /// Orders and covered seconds of so many of the newest bins.
    sums: [(f64, f64); BINS + 1],
}

impl<'a> Newest<'a> {
    /// As of `now`, seconds since the epoch.
    pub fn of(log: &'a ArrivalLog, now: f64) -> Self {
        let mut sums = [(0.0, 0.0); BINS + 1];
        let (bins, sum) = log.fold_newest(BINS, (0, (0.0, 0.0)), |(bins, (orders, covered)), bin| {
            let (came, seconds) = bin.counted();
            let sum = (orders + came, covered + seconds);
            sums[bins + 1] = sum;
            (bins + 1, sum)
        });
        sums[bins..].fill(sum);
        Self { log, now, sums }
    }

    /// Orders of the last `seconds`, at most 720, and how many of those are covered.
    pub fn within(&self, seconds: f64) -> (f64, f64) {
        debug_assert!(seconds <= BINS as f64 * BIN_SECONDS, "{seconds}");
        let (orders, covered) = self.sums[self.log.bins_within(self.now, seconds).min(BINS)];
        (orders.max(0.0), covered)
    }
}
