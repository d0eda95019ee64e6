//! The last days as they came, for the candidates that take them again as they were.

use super::grid::single;
use super::profile::WEEK;

/// Weeks that are kept.
pub(super) const RECENT_WEEKS: usize = 4;
const MOST_DAYS: usize = RECENT_WEEKS * WEEK;

/// Counts by slot of the last four weeks, `NaN` where missing; in one piece, and single precision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RecentDays {
    slots: usize,
    /// Day after day; once there are enough of them, the newest takes the oldest one's place.
    counts: Vec<f32>,
    oldest: usize,
}

impl RecentDays {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, counts: Vec::new(), oldest: 0 }
    }

    /// Keeps a day; `None`: as one of which nothing is known.
    pub(super) fn push(&mut self, values: Option<&[f64]>) {
        let kept = |slot: usize| values.map_or(f32::NAN, |values| single(values[slot]));
        if self.len() < MOST_DAYS {
            self.counts.reserve_exact(self.slots);
            self.counts.extend((0..self.slots).map(kept));
            return;
        }
        let oldest = self.oldest * self.slots;
        for (slot, count) in self.counts[oldest..oldest + self.slots].iter_mut().enumerate() {
            *count = kept(slot);
        }
        self.oldest = (self.oldest + 1) % MOST_DAYS;
    }

    /// The day so many days back from the one that is next (1: the last one kept).
    pub(super) fn back(&self, days: usize) -> Option<&[f32]> {
        let place = self.len().checked_sub(days)?;
        let start = (self.oldest + place) % MOST_DAYS * self.slots;
        self.counts.get(start..start + self.slots)
    }

    fn len(&self) -> usize {
        self.counts.len() / self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_four_weeks_are_kept_in_order() {
        let mut recent = RecentDays::new(2);
        assert_eq!(recent.back(1), None);
        for day in 0_u8..70 {
            let count = f64::from(day);
            recent.push(Some(&[count, count + 0.5]));
            for back in 1..=MOST_DAYS {
                let kept = u8::try_from(back).ok().and_then(|back| (day + 1).checked_sub(back));
                let expected = kept.map(|day| [f32::from(day), f32::from(day) + 0.5]);
                assert_eq!(
                    recent.back(back),
                    expected.as_ref().map(<[f32; 2]>::as_slice),
                    "{back} from {day}"
                );
            }
            assert_eq!(recent.back(MOST_DAYS + 1), None);
        }
        recent.push(None);
        assert!(recent.back(1).is_some_and(|day| day.iter().all(|count| count.is_nan())));
    }
}
