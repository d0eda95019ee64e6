//! How right the forecasts of the last two weeks were: whether planning may rely on the next one.

use std::collections::VecDeque;

use super::conformal::Conformal;
use super::distribution::count_quantile;
use super::grid::single;
use super::today::Expected;
use crate::core::demand::outlook::{Distrust, ForecastQuality};

/// Days over which errors and coverage are watched.
pub(super) const WATCHED_DAYS: usize = 14;
/// Level of the quantile whose coverage is watched.
const WATCHED_LEVEL: f64 = 0.9;
/// Bounds of the share of orders' slots below that quantile over those days.
const COVERAGE_BOUNDS: (f64, f64) = (0.7, 1.0);

/// What each of the last days showed.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    days: VecDeque<Shown>,
}

/// What one day showed.
#[derive(Debug, Clone)]
struct Shown {
    /// Weight of the slots below their quantile, and of all.
    coverage: (f32, f32),
    /// Absolute errors and orders.
    errors: (f32, f32),
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { days: VecDeque::new() }
    }

    /// Holds what was expected of a day against what came; `NaN` where that is unknown.
    pub(super) fn add(&mut self, expected: &Expected, conformal: &Conformal, values: &[f64]) {
        let score = conformal.score(WATCHED_LEVEL);
        let known =
            values.iter().enumerate().filter(|(slot, value)| !value.is_nan() && expected.mean(*slot) > 0.0);
        let (mut below, mut slots) = (0.0, 0.0);
        let (mut missed, mut orders) = (0.0, 0.0);
        for (slot, value) in known {
            let mean = expected.mean(slot);
            let weight = mean.sqrt();
            slots += weight;
            below +=
                if *value <= count_quantile(mean, expected.variance(slot), score) { weight } else { 0.0 };
            missed += (value - mean).abs();
            orders += value;
        }
        if slots > 0.0 {
            self.days.truncate(WATCHED_DAYS - 1);
            self.days.push_front(Shown {
                coverage: (single(below), single(slots)),
                errors: (single(missed), single(orders)),
            });
        }
    }

    /// Whether the coverage of the days watched is within its bounds.
    ///
    /// # Errors
    /// [`Distrust::Coverage`] where it is not.
    pub(super) fn check(&self) -> Result<(), Distrust> {
        let (low, high) = COVERAGE_BOUNDS;
        match self.coverage() {
            Some(covered) if self.days.len() == WATCHED_DAYS && !(low..=high).contains(&covered) => {
                Err(Distrust::Coverage { covered, days: WATCHED_DAYS as f64, low, high })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn quality(&self) -> Option<ForecastQuality> {
        let error = share(self.days.iter().map(|day| day.errors))?;
        Some(ForecastQuality { error, coverage: self.coverage()? })
    }

    fn coverage(&self) -> Option<f64> {
        share(self.days.iter().map(|day| day.coverage))
    }
}

fn share(days: impl Iterator<Item = (f32, f32)>) -> Option<f64> {
    let sum = |sum: (f64, f64), day: (f32, f32)| (sum.0 + f64::from(day.0), sum.1 + f64::from(day.1));
    let (part, whole) = days.fold((0.0, 0.0), sum);
    (whole > 0.0).then(|| part / whole)
}
