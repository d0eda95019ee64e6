//! New habits of a weekday: a Saturday that opens, a Wednesday with offers.
//!
//! A profile follows a weekday over weeks, and takes an odd one for a burst. A weekday that is odd
//! twice, a week apart and in one direction, while the other days are not, has become another: it
//! is learned anew from there. Where all days are odd the level moves, and no weekday does.

use super::dispersion::DEVIATION_OVER_ABSOLUTE;
use super::grid::single;
use super::profile::WEEK;

/// A day is odd from so many usual steps away from the other days on, those of all days and its own ...
const ODD_STEPS: f64 = 3.0;
/// ... and from half as much again or a third less on: smaller changes a profile follows well enough.
const LEAST_ODD: f64 = 0.4;

/// Gain of a weekday's own usual step, a week.
const GAIN: f64 = 0.1;

/// How each weekday came out against what was expected of it, in logarithms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Habits {
    steps: [f32; WEEK],
    /// Mean absolute value of the same beside the other days.
    own: [f32; WEEK],
    /// What it was beside the other days, where odd; zero elsewhere.
    odd: [f32; WEEK],
    /// It was learned anew when it came last.
    new: [bool; WEEK],
}

impl Habits {
    pub(super) fn new() -> Self {
        Self { steps: [0.0; WEEK], own: [0.0; WEEK], odd: [0.0; WEEK], new: [false; WEEK] }
    }

    /// Learns by how much a day was off, where days usually are by `usual`. Returns whether its weekday
    /// is to be learned anew from it: twice odd alike is a habit, and one that does not last is none.
    pub(super) fn learn(&mut self, weekday: usize, step: f64, usual: f64) -> bool {
        let beside = step - self.others(weekday);
        let own = f64::from(self.own[weekday]);
        let bound = LEAST_ODD.max(ODD_STEPS * usual.max(DEVIATION_OVER_ABSOLUTE * own));
        self.own[weekday] = single(own + GAIN * (beside.abs().min(bound) - own));
        let odd = if beside.abs() > bound { beside } else { 0.0 };
        let again = odd * f64::from(self.odd[weekday]) > 0.0;
        let gone = self.new[weekday] && odd != 0.0;
        self.steps[weekday] = single(step);
        self.odd[weekday] = single(odd);
        self.new[weekday] = again || gone;
        self.new[weekday]
    }

    /// The middle of the other days' last steps.
    fn others(&self, weekday: usize) -> f64 {
        let mut others: [f32; WEEK - 1] = std::array::from_fn(|day| self.steps[(weekday + 1 + day) % WEEK]);
        others.sort_unstable_by(f32::total_cmp);
        0.5 * (f64::from(others[WEEK / 2 - 1]) + f64::from(others[WEEK / 2]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each day of some weeks was a new habit, usual steps being a tenth.
    fn found(weeks: &[[f64; WEEK]]) -> Vec<usize> {
        let mut habits = Habits::new();
        let days = weeks.iter().flatten().enumerate();
        days.filter_map(|(day, step)| habits.learn(day % WEEK, *step, 0.1).then_some(day)).collect()
    }

    #[test]
    fn a_weekday_twice_odd_alike_is_another_and_all_days_odd_are_none() {
        let usual = [0.05, -0.1, 0.0, 0.1, -0.05, 0.0, 0.1];
        let saturday = |step: f64| [usual[0], usual[1], usual[2], usual[3], usual[4], step, usual[6]];
        assert_eq!(found(&[saturday(0.7), saturday(0.7), usual]), [12]);
        assert_eq!(found(&[saturday(0.7), saturday(-0.7), usual]), [0; 0]);
        assert_eq!(found(&[saturday(0.7), usual, saturday(0.7)]), [0; 0]);
        let passing = [saturday(-0.7), saturday(-0.7), saturday(0.7), usual];
        assert_eq!(found(&passing), [12, 19], "one that does not last is given up at once");
        let unsteady: Vec<[f64; WEEK]> =
            (0..9).map(|week| saturday([0.4, -0.3, 0.2, -0.4][week % 4])).chain([saturday(0.6); 2]).collect();
        assert_eq!(found(&unsteady), [0; 0], "a weekday that is never alike");
        assert_eq!(found(&[[0.5; WEEK].map(|step| step * 0.2), [0.5; WEEK], [0.5; WEEK]]), [0; 0]);
    }
}
