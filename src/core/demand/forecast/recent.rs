//! The last days as they came, for the candidates that take them again as they were.

use super::grid::single;
use super::profile::WEEK;

/// Weeks that are kept.
pub(super) const RECENT_WEEKS: usize = 4;
const MOST_DAYS: usize = RECENT_WEEKS * WEEK;

/// Counts by slot of the last four weeks, in one piece: each day's to the 65,534th part of its largest,
/// far finer than chance leaves them known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RecentDays {
    slots: usize,
    /// Day after day; once there are enough of them, the newest takes the oldest one's place.
    parts: Vec<u16>,
    /// What one part of each day is worth.
    units: Vec<f32>,
    oldest: usize,
}

/// Parts of a day's largest count.
const PARTS: u16 = u16::MAX - 1;
/// Stands where a count is missing.
const MISSING: u16 = u16::MAX;

/// One day of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecentDay<'a> {
    parts: &'a [u16],
    unit: f32,
}

impl RecentDay<'_> {
    /// The count of a slot; `None` where missing.
    pub(super) fn count(self, slot: usize) -> Option<f64> {
        let part = self.parts[slot];
        (part != MISSING).then(|| f64::from(part) * f64::from(self.unit))
    }
}

impl RecentDays {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, parts: Vec::new(), units: Vec::new(), oldest: 0 }
    }

    /// Keeps a day, `NaN` where missing; `None`: as one of which nothing is known.
    pub(super) fn push(&mut self, values: Option<&[f64]>) {
        let most = values.map_or(0.0, |values| values.iter().copied().fold(0.0, f64::max));
        let unit = single(most / f64::from(PARTS));
        let kept = |slot: usize| values.map_or(MISSING, |values| part_of(values[slot], unit));
        if self.units.len() < MOST_DAYS {
            self.parts.reserve_exact(self.slots);
            self.parts.extend((0..self.slots).map(kept));
            self.units.reserve_exact(1);
            self.units.push(unit);
            return;
        }
        let oldest = self.oldest * self.slots;
        for (slot, part) in self.parts[oldest..oldest + self.slots].iter_mut().enumerate() {
            *part = kept(slot);
        }
        self.units[self.oldest] = unit;
        self.oldest = (self.oldest + 1) % MOST_DAYS;
    }

    /// Forgets the days of the next one's weekday but the last: it is another than it was.
    pub(super) fn forget_weekday(&mut self) {
        for week in 2..=RECENT_WEEKS {
            if let Some(day) = self.place_of(week * WEEK) {
                self.parts[day * self.slots..(day + 1) * self.slots].fill(MISSING);
            }
        }
    }

    /// The day so many days back from the one that is next (1: the last one kept).
    pub(super) fn back(&self, days: usize) -> Option<RecentDay<'_>> {
        let day = self.place_of(days)?;
        let parts = self.parts.get(day * self.slots..(day + 1) * self.slots)?;
        Some(RecentDay { parts, unit: *self.units.get(day)? })
    }

    fn place_of(&self, days_back: usize) -> Option<usize> {
        let place = self.units.len().checked_sub(days_back)?;
        Some((self.oldest + place) % MOST_DAYS)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before the cast")]
fn part_of(value: f64, unit: f32) -> u16 {
    if value.is_nan() {
        return MISSING;
    }
    if unit > 0.0 { (value / f64::from(unit)).round().clamp(0.0, f64::from(PARTS)) as u16 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_four_weeks_are_kept_in_order() {
        let mut recent = RecentDays::new(3);
        assert!(recent.back(1).is_none());
        for day in 0_u8..70 {
            let count = f64::from(day);
            recent.push(Some(&[count, 0.5 * count, f64::NAN]));
            for back in 1..=MOST_DAYS {
                let kept =
                    u8::try_from(back).ok().and_then(|back| (day + 1).checked_sub(back)).map(f64::from);
                let counts = recent.back(back).map(|day| [0, 1, 2].map(|slot| day.count(slot)));
                match (kept, counts) {
                    (Some(kept), Some([Some(whole), Some(half), None])) => {
                        assert!((whole - kept).abs() <= 1e-4 * kept, "{whole}, {back} from {day}");
                        assert!((half - 0.5 * kept).abs() <= 1e-4 * kept, "{half}, {back} from {day}");
                    }
                    (None, None) => {}
                    (kept, counts) => panic!("{counts:?} for {kept:?}, {back} from {day}"),
                }
            }
            assert!(recent.back(MOST_DAYS + 1).is_none());
        }
        recent.push(None);
        assert!(recent.back(1).is_some_and(|day| (0..3).all(|slot| day.count(slot).is_none())));
    }
}
