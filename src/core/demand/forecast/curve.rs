//! A continuous rate through the slots of a profile that keeps every slot's sum.
//!
//! A profile's rate steps at full hours; orders do not. Inside each slot the rate is a parabola
//! from one edge to the next whose integral is the slot's orders. An edge is the mean of both
//! neighbours, and at most three times either: that is just what keeps the parabola from going
//! below zero.

/// The rate inside one slot, in orders a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SlotCurve {
    left: f64,
    right: f64,
    bulge: f64,
}

impl SlotCurve {
    /// The curve of a slot that holds `own` orders between ones that hold `before` and `after`.
    pub(super) fn new(before: f64, own: f64, after: f64) -> Self {
        let (left, right) = (edge(before, own), edge(own, after));
        Self { left, right, bulge: 6.0 * (own - 0.5 * (left + right)) }
    }

    /// Orders between two shares of the slot, `0 <= from <= to <= 1`.
    pub(super) fn orders(&self, from: f64, to: f64) -> f64 {
        let integral = |u: f64| {
            let square = u * u;
            self.left * u + 0.5 * (self.right - self.left) * square + self.bulge * square * (0.5 - u / 3.0)
        };
        (integral(to) - integral(from)).max(0.0)
    }
}

fn edge(one: f64, other: f64) -> f64 {
    (0.5 * (one + other)).min(3.0 * one.min(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_keep_their_sums_and_no_rate_is_negative() {
        for (before, own, after) in
            [(1.0, 2.0, 3.0), (0.0, 5.0, 0.0), (9.0, 1.0, 9.0), (100.0, 1.0, 0.0), (0.0, 0.0, 7.0)]
        {
            let curve = SlotCurve::new(before, own, after);
            let sum: f64 =
                (0..100).map(|i| curve.orders(f64::from(i) / 100.0, f64::from(i + 1) / 100.0)).sum();
            assert!((sum - own).abs() < 1e-9, "{sum} for {own}");
            for i in 0..100 {
                let u = f64::from(i) / 100.0;
                let rate = curve.left + (curve.right - curve.left) * u + curve.bulge * u * (1.0 - u);
                assert!(rate >= -1e-9, "rate {rate} at {u} of {before} {own} {after}");
            }
        }
    }

    #[test]
    fn rates_meet_at_the_edge() {
        let (one, next) = (SlotCurve::new(1.0, 4.0, 6.0), SlotCurve::new(4.0, 6.0, 2.0));
        assert!((one.right - next.left).abs() < 1e-12);
    }
}
