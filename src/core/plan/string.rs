//! The taut string: the shortest path between what must be done and what can be done.
//!
//! Its slopes have the least peak and the least variation of all feasible plans
//! (Yao, Demers and Shenker 1995 for due dates in arrival order; the same curve smooths stored
//! video, Salehi et al. 1998).

/// A lower and an upper cumulative curve on one grid.
#[derive(Debug, Clone, Copy)]
pub struct Corridor<'a> {
    /// Seconds from now, ascending.
    pub x: &'a [f64],
    /// Orders that must be started by `x`.
    pub low: &'a [f64],
    /// Orders that can have been started by `x`.
    pub high: &'a [f64],
    /// Over how long what `low` asks for may be caught up once it is overdue.
    pub catch_up: CatchUp<'a>,
}

/// Seconds over which overdue work may be caught up: without that a shock would ask for an endless slope.
#[derive(Debug, Clone, Copy)]
pub struct CatchUp<'a> {
    /// At every point of the grid ...
    pub usual: f64,
    /// ... of which these tell nothing finite; may be empty.
    pub at_points: &'a [f64],
}

impl CatchUp<'_> {
    fn at(self, index: usize) -> f64 {
        match self.at_points.get(index) {
            Some(seconds) if seconds.is_finite() => *seconds,
            _ => self.usual,
        }
    }
}

/// One straight piece of the string.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Orders per second.
    pub slope: f64,
    /// Grid index at which the piece ends.
    pub end: usize,
    /// Height at its end.
    pub height: f64,
}

impl Corridor<'_> {
    /// The first piece of the string pulled from `(start, height)` to the end of the corridor.
    ///
    /// Where low is above high, low wins. The far end is free, so the string ends on the least slope that
    /// keeps low. `None` when no grid point lies behind `start`.
    pub fn first_segment(&self, start: f64, height: f64) -> Option<Segment> {
        let first = self.x.partition_point(|x| *x <= start + 1e-9);
        let mut steepest = (0.0, first);
        let mut flattest = (f64::INFINITY, first);
        let points = self.x[first..].iter().zip(&self.low[first..]).zip(&self.high[first..]);
        // Slopes are compared by their rises: a division is only made where one is kept.
        for (index, ((x, low), high)) in (first..).zip(points) {
            let run = x - start;
            let catch_up = self.catch_up.at(index);
            let least_run = if run > catch_up { run } else { catch_up };
            let to_low = if *low > height { low - height } else { 0.0 };
            let to_high = high - height;
            if to_low > flattest.0 * least_run {
                let (slope, end) = flattest;
                return Some(Segment { slope, end, height: self.high[end].max(height) });
            }
            let below_low = to_low < steepest.0 * least_run;
            if below_low && to_high < steepest.0 * run {
                return Some(self.end_on_low(start, height, steepest));
            }
            if !below_low {
                steepest = (to_low / least_run, index);
            }
            if to_high <= flattest.0 * run {
                let slope = to_high / run;
                // Unless low is above high, the way to low is no steeper.
                let slope = if to_low > to_high { slope.max(to_low / least_run) } else { slope };
                flattest = (slope, index);
            }
        }
        (first < self.x.len()).then(|| self.end_on_low(start, height, steepest))
    }

    /// Whether a line of this slope from `(start, height)` is nowhere below low, overdue work being caught
    /// up over `catch_up_seconds`.
    pub fn is_kept_by(&self, slope: f64, start: f64, height: f64, catch_up_seconds: f64) -> bool {
        let first = self.x.partition_point(|x| *x <= start + 1e-9);
        let least = slope * catch_up_seconds;
        self.x[first..].iter().zip(&self.low[first..]).all(|(x, low)| {
            let done = slope * (x - start);
            low - height <= if done > least { done } else { least }
        })
    }

    fn end_on_low(&self, start: f64, height: f64, (slope, end): (f64, usize)) -> Segment {
        Segment { slope, end, height: height + slope * (self.x[end] - start) }
    }

    /// Slopes of the whole string as `(from, slope)`, until `until` seconds.
    pub fn slopes(&self, start: f64, height: f64, until: f64) -> Vec<(f64, f64)> {
        let (mut from, mut at) = (start, height);
        let (mut slopes, mut rest) = (Vec::new(), *self);
        while from <= until {
            let Some(segment) = rest.first_segment(from, at) else { break };
            // What the wait asks for by then is not put off again.
            rest.catch_up.usual = 0.0;
            slopes.push((from, segment.slope));
            (from, at) = (self.x[segment.end], segment.height);
        }
        slopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(count: usize, step: f64) -> Vec<f64> {
        (0..=count).map(|index| index as f64 * step).collect()
    }

    fn corridor<'a>(x: &'a [f64], low: &'a [f64], high: &'a [f64], seconds: f64) -> Corridor<'a> {
        Corridor { x, low, high, catch_up: CatchUp { usual: seconds, at_points: &[] } }
    }

    #[test]
    fn straight_demand_gives_one_straight_piece() {
        let x = grid(10, 10.0);
        let high: Vec<f64> = x.iter().map(|x| 2.0 * x).collect();
        let low: Vec<f64> = x.iter().map(|x| (2.0 * (x - 20.0)).max(0.0)).collect();
        let segment = corridor(&x, &low, &high, 0.0).first_segment(0.0, 0.0).unwrap();
        assert!((segment.slope - 1.6).abs() < 1e-9, "free end rides low: {segment:?}");
    }

    #[test]
    fn coming_ramp_is_worked_ahead_of_only_as_far_as_orders_are_there() {
        // 100 orders wait, all due at 100 s, 200 more arrive at 50 s and are due at 100 s too.
        let x = grid(10, 10.0);
        let high: Vec<f64> = x.iter().map(|x| if *x < 50.0 { 100.0 } else { 300.0 }).collect();
        let low: Vec<f64> = x.iter().map(|x| if *x < 100.0 { 0.0 } else { 300.0 }).collect();
        let slopes = corridor(&x, &low, &high, 0.0).slopes(0.0, 0.0, 90.0);
        assert_eq!(slopes, vec![(0.0, 2.5), (40.0, 200.0 / 60.0)]);
    }

    #[test]
    fn overdue_work_is_spread_over_the_catch_up() {
        let x = grid(4, 10.0);
        let low = vec![60.0; 5];
        let high = vec![60.0; 5];
        let over = |seconds| corridor(&x, &low, &high, seconds);
        assert_eq!(over(30.0).first_segment(0.0, 0.0).map(|piece| piece.slope), Some(2.0));
        assert_eq!(over(0.0).first_segment(0.0, 0.0).map(|piece| piece.slope), Some(6.0));
        assert_eq!(over(0.0).first_segment(40.0, 0.0), None);
        // From the second point on less time is left.
        let shorter = [f64::INFINITY, f64::INFINITY, 20.0, 20.0, 20.0];
        let both = CatchUp { usual: 1e6, at_points: &shorter };
        let segment = Corridor { catch_up: both, ..over(0.0) }.first_segment(0.0, 0.0);
        assert_eq!(segment.map(|piece| piece.slope), Some(3.0));
    }
}
