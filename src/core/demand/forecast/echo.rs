//! What is left of yesterday's surprise: days that are off come one after the other.
//!
//! A slow level takes a warm week, the days around a payday or a campaign for noise; a fast one takes
//! noise for news. Here a slow one is corrected by the part of the last day's step (in logarithms, from
//! that level) that a regression of steps on the steps before them finds to stay: an autoregression of
//! first order.

/// What is kept of the evidence a day: about a month.
const KEEP: f64 = 0.97;
/// Days of evidence that steps say nothing of the next ones.
const DOUBT_DAYS: f64 = 3.0;
/// At most this part of a step stays for the next day.
const MOST_LEFT: f64 = 0.9;

/// The last step, and how alike steps are to those before them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Echo {
    last: f64,
    days: f64,
    squares: f64,
    products: f64,
}

impl Echo {
    /// Learns the step of a day.
    pub(super) fn learn(&mut self, step: f64) {
        self.days = self.days * KEEP + 1.0;
        self.squares = self.squares * KEEP + self.last * self.last;
        self.products = self.products * KEEP + self.last * step;
        self.last = step;
    }

    /// A day passed of which there is nothing to learn.
    pub(super) fn pause(&mut self) {
        self.last = 0.0;
    }

    /// Times which the level is to be taken for the day `days_ahead` (0: tomorrow).
    pub(super) fn factor(&self, days_ahead: usize) -> f64 {
        if self.squares <= 0.0 || self.last == 0.0 {
            return 1.0;
        }
        let doubted = self.squares * (1.0 + DOUBT_DAYS / self.days);
        let left = (self.products / doubted).clamp(0.0, MOST_LEFT);
        let days = i32::try_from(days_ahead + 1).unwrap_or(i32::MAX);
        (left.powi(days) * self.last).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(steps: impl Iterator<Item = f64>) -> Echo {
        let mut echo = Echo::default();
        steps.for_each(|step| echo.learn(step));
        echo
    }

    #[test]
    fn what_stays_is_expected_to_stay_and_to_fade() {
        let slow = after((0..60).map(|day| 0.3 * (f64::from(day) / 5.0).sin()).chain([0.3]));
        let (one, two) = (slow.factor(0), slow.factor(1));
        assert!(one > 1.2 && one < 0.3_f64.exp() && two > 1.1 && two < one, "{one} {two}");
    }

    #[test]
    fn noise_and_what_turns_say_nothing_of_tomorrow() {
        let turning = after((0..61).map(|day| if day % 2 == 0 { 0.3 } else { -0.3 }));
        assert_eq!(turning.factor(0).to_bits(), 1.0_f64.to_bits());
        let mut slow = after((0..60).map(|day| 0.3 * (f64::from(day) / 5.0).sin()).chain([0.3]));
        slow.pause();
        assert_eq!(slow.factor(0).to_bits(), 1.0_f64.to_bits());
    }
}
