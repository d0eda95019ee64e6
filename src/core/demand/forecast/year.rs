//! The season: levels rise and fall as they did a year ago, where two years show that they do.
//!
//! A level that is followed lags by about a week; what it will miss is known from the same week a
//! year before. How much of that to believe is the regression of this year's moves on last year's,
//! and nothing before a whole year of pairs was seen.

use std::collections::VecDeque;

use super::grid::single;

/// The same weekday a year ago.
const YEAR_DAYS: usize = 364;
/// Days over which a move is measured: about what a followed level lags, and the day ahead.
const MOVE_DAYS: usize = 8;
/// Pairs of moves before which none is believed.
const LEAST_PAIRS: f64 = 330.0;
/// What is kept of the evidence a day: about two years.
const KEEP: f64 = 0.9986;
/// Moves are within this, in logarithms.
const LARGEST_MOVE: f64 = 0.5;

/// Levels of the last year, and how alike its moves are to those of the year before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Year {
    levels: VecDeque<f32>,
    pairs: f64,
    squares: f64,
    products: f64,
}

impl Year {
    pub(super) fn new() -> Self {
        Self { levels: VecDeque::new(), pairs: 0.0, squares: 0.0, products: 0.0 }
    }

    /// Learns the level at the end of a day.
    pub(super) fn learn(&mut self, level: f64) {
        self.levels.push_front(single(level));
        self.levels.truncate(YEAR_DAYS + MOVE_DAYS + 1);
        if let (Some(now), Some(then)) = (self.moved(0, MOVE_DAYS), self.moved(YEAR_DAYS, MOVE_DAYS)) {
            self.pairs += 1.0;
            self.squares = self.squares * KEEP + then * then;
            self.products = self.products * KEEP + now * then;
        }
    }

    /// Times which a level of today is to be taken for the day `days_ahead` (0: tomorrow).
    pub(super) fn factor(&self, days_ahead: usize) -> f64 {
        if self.pairs < LEAST_PAIRS || self.squares <= 0.0 {
            return 1.0;
        }
        let span = MOVE_DAYS + days_ahead;
        let Some(then) = YEAR_DAYS.checked_sub(span).and_then(|day| self.moved(day, span)) else {
            return 1.0;
        };
        let alike = (self.products / self.squares).clamp(0.0, 1.0);
        (alike * then).exp()
    }

    /// How the level moved, in logarithms, over the `span` days up to `days_ago`.
    fn moved(&self, days_ago: usize, span: usize) -> Option<f64> {
        let level = |days: usize| self.levels.get(days).copied().map(f64::from);
        let (late, early) = (level(days_ago)?, level(days_ago + span)?);
        (late > 0.0 && early > 0.0).then(|| (late / early).ln().clamp(-LARGEST_MOVE, LARGEST_MOVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn season(day: usize) -> f64 {
        100.0 * (0.4 * (std::f64::consts::TAU * day as f64 / YEAR_DAYS as f64).sin()).exp()
    }

    fn after(days: usize, level: impl Fn(usize) -> f64) -> Year {
        let mut year = Year::new();
        (0..days).for_each(|day| year.learn(level(day)));
        year
    }

    #[test]
    fn a_season_is_believed_after_two_years_and_not_before() {
        assert_eq!(after(700, season).factor(0).to_bits(), 1.0_f64.to_bits());
        let day = 2 * YEAR_DAYS + 20;
        let expected = season(day) / season(day - MOVE_DAYS);
        let factor = after(day, season).factor(0);
        assert!((factor / expected - 1.0).abs() < 0.01 && factor > 1.02, "{factor} for {expected}");
    }

    #[test]
    fn years_that_differ_change_nothing() {
        let other = |day: usize| {
            let period = if day < YEAR_DAYS { 90.0 } else { 61.0 };
            100.0 * (0.4 * (std::f64::consts::TAU * day as f64 / period).sin()).exp()
        };
        let factor = after(3 * YEAR_DAYS / 2 + YEAR_DAYS / 2 + 20, other).factor(0);
        assert!((factor - 1.0).abs() < 0.03, "{factor}");
    }
}
