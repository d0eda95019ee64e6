//! Plain forecasts that ours must beat: last week again, and the mean of the last four weeks.
//!
//! Their quantiles are the point forecast plus the empirical quantile of the errors that the same
//! rule made in the same slot of the last eight weeks' days, its neighbours' included.

use super::grid::whole;
use super::score::{DayAhead, Past, Path, SCORED_LEVELS};

const WEEK: usize = 7;
const ERROR_DAYS: usize = 56;

/// The mean of the same slot of the same weekday over the last `weeks` weeks.
#[derive(Debug, Clone, Copy)]
pub struct SameSlotMean {
    /// Weeks in the mean; one is the weekly seasonal naive forecast.
    pub weeks: usize,
}

impl SameSlotMean {
    fn point(self, days: &[Vec<f64>], slot: usize) -> Option<f64> {
        let known =
            (1..=self.weeks).filter_map(|week| days.get(days.len().checked_sub(week * WEEK)?)?.get(slot));
        let (sum, count) = known
            .filter(|value| !value.is_nan())
            .fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        (count > 0.0).then(|| sum / count)
    }
}

impl DayAhead for SameSlotMean {
    fn name(&self) -> String {
        match self.weeks {
            1 => "weekly seasonal naive".to_owned(),
            weeks => format!("{weeks}-week same-slot mean"),
        }
    }

    fn path(&mut self, past: &Past<'_>) -> Option<Path> {
        let slots = past.days.first()?.len();
        let point: Vec<f64> = (0..slots).map(|slot| self.point(past.days, slot)).collect::<Option<_>>()?;
        let oldest = past.days.len().saturating_sub(ERROR_DAYS).max(WEEK);
        let error =
            |day: usize, slot: usize| Some(past.days[day][slot] - self.point(&past.days[..day], slot)?);
        let errors: Vec<Vec<f64>> = (0..slots)
            .map(|slot| {
                (oldest..past.days.len()).filter_map(|day| error(day, slot)).filter(|e| !e.is_nan()).collect()
            })
            .collect();
        let mut quantiles: [Vec<f64>; SCORED_LEVELS.len()] =
            std::array::from_fn(|_| Vec::with_capacity(slots));
        for (slot, point) in point.iter().enumerate() {
            let around = [(slot + slots - 1) % slots, slot, (slot + 1) % slots];
            let mut pooled: Vec<f64> = around.iter().flat_map(|slot| errors[*slot].iter().copied()).collect();
            pooled.sort_by(f64::total_cmp);
            for (path, level) in quantiles.iter_mut().zip(SCORED_LEVELS) {
                path.push((point + empirical_quantile(&pooled, level)).max(0.0));
            }
        }
        Some(Path { point, quantiles })
    }
}

/// The quantile of ascending values, straight between them; zero where there are none.
pub fn empirical_quantile(ascending: &[f64], level: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return 0.0;
    };
    let place = level * last as f64;
    let below = whole(place);
    let above = (below + 1).min(last);
    ascending[below] + (ascending[above] - ascending[below]) * (place - place.floor())
}
