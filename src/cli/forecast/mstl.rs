//! A baseline from the `augurs` toolkit: seasonal-trend decomposition by day and week (MSTL), the
//! trend by an automatically chosen exponential smoothing (`AutoETS`).

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::prelude::*;

use crate::core::demand::forecast::score::{DayAhead, Past, Path};

/// Weeks that it is fitted on: decomposition takes long, and more does not help it.
const WEEKS: usize = 12;
const WEEK: usize = 7;

/// MSTL with `AutoETS` on the last weeks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mstl;

impl DayAhead for Mstl {
    fn name(&self) -> String {
        "MSTL + AutoETS (augurs)".to_owned()
    }

    fn path(&mut self, past: &Past<'_>) -> Option<Path> {
        let slots = past.days.first()?.len();
        let days = &past.days[past.days.len().saturating_sub(WEEKS * WEEK)..];
        let values: Vec<f64> =
            days.iter().flatten().map(|value| if value.is_nan() { 0.0 } else { *value }).collect();
        let trend = AutoETS::non_seasonal().into_trend_model();
        let fit = MSTLModel::new(vec![slots, slots * WEEK], trend).fit(&values).ok()?;
        let upper = |coverage: f64| {
            let forecast = fit.predict(slots, coverage).ok()?;
            let bound = forecast.intervals?.upper;
            Some((not_negative(&forecast.point), not_negative(&bound)))
        };
        let (point, ninety) = upper(0.8)?;
        let (_, ninety_nine) = upper(0.98)?;
        Some(Path { quantiles: [point.clone(), ninety, ninety_nine], point })
    }
}

fn not_negative(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.max(0.0)).collect()
}
