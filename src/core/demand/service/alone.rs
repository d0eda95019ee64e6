//! What a worker has begun of the messages that it holds: workers that receive in advance hold more.

/// Orders that were alone are forgotten by half when so many more were seen, ...
const ALONE_HALF_LIFE_ORDERS: f64 = 200.0;
/// ... and tell nothing before there are so many.
const LEAST_ALONE_ORDERS: f64 = 20.0;
/// A worker begins less than this share of what it holds, or all.
const CLEARLY_FEWER: f64 = 0.6;

/// Orders that had a worker to themselves, and the seconds for which they were in flight: as long as one takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Alone {
    orders: f64,
    seconds: f64,
}

impl Alone {
    pub(super) fn learn(&mut self, orders: f64, seconds: f64) {
        let keep = 0.5_f64.powf(orders / ALONE_HALF_LIFE_ORDERS);
        self.orders = self.orders * keep + orders;
        self.seconds = self.seconds * keep + seconds;
    }

    /// Seconds that one order takes, where enough are known.
    pub(super) fn order_seconds(self) -> Option<f64> {
        (self.orders >= LEAST_ALONE_ORDERS).then(|| self.seconds / self.orders)
    }

    /// Of `held` that a worker holds at once, those that it works on: the others wait in its hands. All of them
    /// unless seen to be far fewer.
    pub(super) fn begun(self, held: f64, per_second: f64) -> f64 {
        let Some(seconds) = self.order_seconds() else { return held };
        let begun = (seconds * per_second).max(1.0);
        if begun < CLEARLY_FEWER * held { begun } else { held }
    }
}
