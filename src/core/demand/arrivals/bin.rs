//! The arrivals of a quarter of a minute.

use super::Belief;

/// Width of a fine bin.
pub(super) const BIN_SECONDS: f64 = 15.0;
const BIN_SECONDS_F32: f32 = 15.0;
/// A second's parts: of whole seconds nothing is lost, and a bin's fit into 16 bits.
const PARTS: f32 = 4096.0;
/// Parts of a whole bin.
const WHOLE: u16 = 15 * 4096;

/// What is known of a bin counts, the rest of it is filled from what is implied. A workload keeps an hour
/// of these.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bin {
    known: f32,
    /// Orders a second, of those seconds about which something is implied and nothing known.
    implied_rate: f32,
    known_parts: u16,
    implied_parts: u16,
}

impl Bin {
    pub(super) fn add_known(&mut self, orders: f32, seconds: f32) {
        let unknown = (BIN_SECONDS_F32 - self.known_seconds()).clamp(0.0, seconds);
        if seconds > 0.0 {
            self.known += orders * unknown / seconds;
            let known = self.known_seconds() + unknown;
            self.known_parts = parts(known);
            self.implied_parts = parts(self.implied_seconds().min(BIN_SECONDS_F32 - known));
        }
    }

    pub(super) fn add_implied(&mut self, orders: f32, seconds: f32) {
        if seconds > 0.0 {
            let all = self.implied_seconds() + seconds;
            self.implied_rate = (self.implied_rate * self.implied_seconds() + orders) / all;
            self.implied_parts = parts(all.min(BIN_SECONDS_F32 - self.known_seconds()));
        }
    }

    /// Whether nothing is known of it.
    pub(super) fn is_implied(&self) -> bool {
        self.known_parts == 0
    }

    /// The orders of a bin of which every second is known.
    pub(super) fn wholly_known(&self) -> Option<f64> {
        (self.known_parts == WHOLE).then(|| f64::from(self.known))
    }

    /// Known orders, and the seconds in which they came.
    pub(super) fn known(&self) -> (f64, f64) {
        (f64::from(self.known), f64::from(self.known_seconds()))
    }

    /// Orders that came, of those seconds about which anything is known or implied.
    pub(super) fn orders(&self) -> f64 {
        f64::from(self.known + self.implied_rate * self.implied_seconds())
    }

    /// Those seconds.
    pub(super) fn covered(&self) -> f64 {
        f64::from(self.known_seconds() + self.implied_seconds())
    }

    /// Both: most bins are wholly known, which takes half the time.
    pub(super) fn counted(&self) -> (f64, f64) {
        match self.wholly_known() {
            Some(orders) => (orders, BIN_SECONDS),
            None => (self.orders(), self.covered()),
        }
    }

    /// The orders with what is implied believed only in part.
    pub(super) fn believed(&self, belief: Belief) -> f64 {
        let rate = belief.weight * f64::from(self.implied_rate) + (1.0 - belief.weight) * belief.rate;
        f64::from(self.known) + rate * f64::from(self.implied_seconds())
    }

    fn known_seconds(&self) -> f32 {
        f32::from(self.known_parts) / PARTS
    }

    fn implied_seconds(&self) -> f32 {
        f32::from(self.implied_parts) / PARTS
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 15 seconds")]
fn parts(seconds: f32) -> u16 {
    (seconds * PARTS).round() as u16
}
