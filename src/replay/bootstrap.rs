//! How sure a figure over some days is: its interval when the days are drawn anew.

use rand::Rng;

use super::orders::{Stream, random};
use super::score::{DayScore, Score};

/// Times the days are drawn anew.
const DRAWS: usize = 1_000;

/// The middle 95 % of a figure.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// 2.5 % of the draws lie below.
    pub low: f64,
    /// 2.5 % of the draws lie above.
    pub high: f64,
}

impl Interval {
    /// Half its width.
    pub fn half_width(self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// Interval of the share of orders late.
pub fn late_share(score: &Score) -> Interval {
    interval(&score.days, |day| (f64::from(day.late), f64::from(day.orders)))
}

/// Interval of replica-hours over the work's hours.
pub fn hours_over_work(score: &Score) -> Interval {
    interval(&score.days, |day| (day.replica_hours, day.work_hours))
}

/// Interval of a ratio of two sums over days. The same days are drawn for every score, so that
/// policies are compared on the same draws.
fn interval(days: &[DayScore], parts: impl Fn(&DayScore) -> (f64, f64)) -> Interval {
    if days.is_empty() {
        return Interval { low: f64::NAN, high: f64::NAN };
    }
    let mut random = random(0, Stream::Bootstrap);
    let mut draw = || {
        let chosen = (0..days.len()).map(|_| parts(&days[random.random_range(0..days.len())]));
        let (above, below) = chosen.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        above / f64::max(below, 1e-9)
    };
    let mut drawn: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
    drawn.sort_unstable_by(f64::total_cmp);
    Interval { low: drawn[DRAWS / 40], high: drawn[DRAWS - 1 - DRAWS / 40] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(late: u32) -> DayScore {
        DayScore { orders: 1_000, late, ..DayScore::default() }
    }

    #[test]
    fn equal_days_leave_no_doubt_and_one_bad_day_leaves_much() {
        let share = |days: &[DayScore]| interval(days, |day| (f64::from(day.late), f64::from(day.orders)));
        assert_eq!(share(&[day(10); 30]), Interval { low: 0.01, high: 0.01 });
        let mut days = vec![day(0); 30];
        days[3] = day(300);
        let doubt = share(&days);
        // a day in thirty is drawn 0 to 3 times in 95 of 100 draws
        assert!(doubt.low < 1e-9 && (0.02..0.041).contains(&doubt.high), "{doubt:?}");
    }
}
