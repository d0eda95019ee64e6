//! How right the forecasts of the last two weeks were: whether planning may rely on the next one.

use std::collections::VecDeque;

use super::day::DayForecast;
use crate::core::demand::outlook::{Distrust, ForecastQuality};

/// Days over which errors and coverage are watched.
pub(super) const WATCHED_DAYS: usize = 14;
/// Bounds of the share of orders' slots below the 0.9 quantile over those days.
const COVERAGE_BOUNDS: (f64, f64) = (0.7, 1.0);

/// What each of the last days showed.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    /// Weight of the slots below their quantile, and of all.
    coverage: VecDeque<(f64, f64)>,
    /// Absolute errors and orders of the same days.
    errors: VecDeque<(f64, f64)>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            coverage: VecDeque::with_capacity(WATCHED_DAYS),
            errors: VecDeque::with_capacity(WATCHED_DAYS),
        }
    }

    /// Holds a day's forecast against what came; `NaN` where that is unknown.
    pub(super) fn add(&mut self, expected: &DayForecast, values: &[f64]) {
        let known =
            values.iter().enumerate().filter(|(slot, value)| !value.is_nan() && expected.mean[*slot] > 0.0);
        let (mut below, mut slots) = (0.0, 0.0);
        let (mut missed, mut orders) = (0.0, 0.0);
        for (slot, value) in known {
            let weight = expected.mean[slot].sqrt();
            slots += weight;
            below += if *value <= expected.quantile(slot, 0.9) { weight } else { 0.0 };
            missed += (value - expected.mean[slot]).abs();
            orders += value;
        }
        if slots > 0.0 {
            keep(&mut self.coverage, (below, slots));
            keep(&mut self.errors, (missed, orders));
        }
    }

    /// Whether the coverage of the days watched is within its bounds.
    ///
    /// # Errors
    /// [`Distrust::Coverage`] where it is not.
    pub(super) fn check(&self) -> Result<(), Distrust> {
        let (low, high) = COVERAGE_BOUNDS;
        match share(&self.coverage) {
            Some(covered) if self.coverage.len() == WATCHED_DAYS && !(low..=high).contains(&covered) => {
                Err(Distrust::Coverage { covered, days: WATCHED_DAYS as f64, low, high })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn quality(&self) -> Option<ForecastQuality> {
        Some(ForecastQuality { error: share(&self.errors)?, coverage: share(&self.coverage)? })
    }
}

fn keep(days: &mut VecDeque<(f64, f64)>, day: (f64, f64)) {
    if days.len() == WATCHED_DAYS {
        days.pop_front();
    }
    days.push_back(day);
}

fn share(days: &VecDeque<(f64, f64)>) -> Option<f64> {
    let (part, whole) = days.iter().fold((0.0, 0.0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
    (whole > 0.0).then(|| part / whole)
}
