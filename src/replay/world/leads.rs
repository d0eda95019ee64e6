//! Lead times as they were measured, and the percentile that is told of them.

use std::collections::VecDeque;

use crate::replay::units::{Millis, seconds};

/// The last lead times, and their 90th percentile, which is asked for far more often than it changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Leads {
    kept: VecDeque<Millis>,
    percentile_seconds: Option<f64>,
}

impl Leads {
    /// Keeps one more of the last `most`; none of zero, which only the initial pods and nodes have.
    pub(super) fn remember(&mut self, lead: Millis, most: usize) {
        if lead <= 0 {
            return;
        }
        self.kept.push_back(lead);
        if self.kept.len() > most {
            self.kept.pop_front();
        }
        let mut sorted: Vec<Millis> = self.kept.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * 9).div_ceil(10);
        self.percentile_seconds = rank.checked_sub(1).map(|rank| seconds(sorted[rank]));
    }

    /// The 90th percentile; `None` where none was seen.
    pub(super) fn percentile_seconds(&self) -> Option<f64> {
        self.percentile_seconds
    }
}
