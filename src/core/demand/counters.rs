//! Bridging queue counters that lie: a scalar Kalman filter over the backlog, with a gate.
//!
//! SQS's counters are approximate, may need a minute to settle, show phantom messages and the odd
//! zero. The backlog is predicted from flows and corrected by readings in proportion to their
//! learned noise; a reading far off is believed only when it persists.

/// Readings in a row that must agree before a jump down is believed.
const JUMP_DOWN_READINGS: u32 = 3;
/// A queue that is suddenly as good as empty is believed only after this time: such a zero is the
/// counters' best known lie.
const ZERO_SECONDS: f64 = 120.0;
/// As good as empty: less than this share of what was expected.
const ZERO_SHARE: f64 = 0.1;
/// The same upwards: the safe side is believed sooner.
const JUMP_UP_READINGS: u32 = 2;
/// Weight of the newest innovation in their moving average ...
const BIAS_WEIGHT: f64 = 0.25;
/// ... which is no chance beyond so many of its variances: then the flows are wrong, not the counter.
const BIAS_VARIANCES: f64 = 4.0;
/// A reading this many standard deviations off is a jump.
const GATE_DEVIATIONS: f64 = 4.0;

/// The estimated number of messages and how well it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct CounterFilter {
    messages: f64,
    variance: f64,
    /// Squared relative noise of the counter, learned.
    noise: f64,
    jumps: u32,
    jump_is_up: bool,
    /// Moment of the first of the readings that contradict.
    jumped_at: f64,
    read_before: bool,
    /// The last innovation, and a moving average of them.
    innovation: f64,
    bias: f64,
}

impl Default for CounterFilter {
    fn default() -> Self {
        Self {
            messages: 0.0,
            variance: 0.0,
            noise: 0.02 * 0.02,
            jumps: 0,
            jump_is_up: false,
            jumped_at: 0.0,
            read_before: false,
            innovation: 0.0,
            bias: 0.0,
        }
    }
}

impl CounterFilter {
    /// Messages as estimated.
    pub fn messages(&self) -> f64 {
        self.messages
    }

    /// Standard deviation of [`Self::messages`].
    pub fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Variance of a reading of `messages`.
    pub fn noise_at(&self, messages: f64) -> f64 {
        1.0 + self.proportional_noise_at(messages)
    }

    /// Of it, the part that grows with the messages: none while the counter has proved exact.
    pub fn proportional_noise_at(&self, messages: f64) -> f64 {
        self.noise * messages * messages
    }

    /// Whether the last reading contradicted what is known.
    pub fn doubtful(&self) -> bool {
        self.jumps > 0
    }

    /// Carries the estimate on: `net` messages came (or went), with that variance.
    pub fn advance(&mut self, net: f64, variance: f64) {
        self.messages = (self.messages + net).max(0.0);
        self.variance += variance;
    }

    /// Takes in a reading of the moment `at` (seconds); returns by how much the estimate moved.
    pub fn correct(&mut self, at: f64, reading: f64) -> f64 {
        let innovation = reading - self.messages;
        if !self.read_before {
            self.read_before = true;
            return self.jump_to(reading);
        }
        let scale = self.messages.max(reading);
        let noise = self.noise_at(scale);
        let gate = (GATE_DEVIATIONS * (self.variance + noise).sqrt()).max(4.0).max(0.15 * self.messages);
        if innovation.abs() > gate {
            return self.question(at, reading, innovation > 0.0);
        }
        self.jumps = 0;
        // Noise differs from one reading to the next, a wrong rate is wrong the same way twice.
        let changed = 0.5 * (innovation - self.innovation).powi(2);
        self.innovation = innovation;
        let excess = (changed - self.variance - 1.0) / (scale * scale).max(25.0);
        self.noise = (self.noise + 0.03 * (excess.max(0.0) - self.noise)).clamp(1e-6, 0.04);
        self.bias += BIAS_WEIGHT * (innovation - self.bias);
        let chance = (self.variance + noise) * BIAS_WEIGHT / (2.0 - BIAS_WEIGHT);
        self.variance += (self.bias * self.bias - BIAS_VARIANCES * chance).max(0.0);
        let gain = self.variance / (self.variance + noise);
        self.messages = (self.messages + gain * innovation).max(0.0);
        self.variance *= 1.0 - gain;
        gain * innovation
    }

    fn question(&mut self, at: f64, reading: f64, is_up: bool) -> f64 {
        if self.jumps == 0 || is_up != self.jump_is_up {
            (self.jumps, self.jump_is_up, self.jumped_at) = (0, is_up, at);
        }
        self.jumps += 1;
        let needed = if is_up { JUMP_UP_READINGS } else { JUMP_DOWN_READINGS };
        let zero_in_doubt = reading < ZERO_SHARE * self.messages && at - self.jumped_at < ZERO_SECONDS;
        if self.jumps >= needed && !zero_in_doubt { self.jump_to(reading) } else { 0.0 }
    }

    fn jump_to(&mut self, reading: f64) -> f64 {
        let moved = reading - self.messages;
        self.messages = reading;
        self.variance = self.noise_at(reading);
        self.jumps = 0;
        (self.innovation, self.bias) = (0.0, 0.0);
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter that has seen `messages` for a while; the next reading is due at 75 s.
    fn settled(messages: f64) -> CounterFilter {
        let mut filter = CounterFilter::default();
        for reading in 0..5 {
            filter.advance(0.0, 4.0);
            filter.correct(f64::from(reading) * 15.0, messages);
        }
        filter
    }

    #[test]
    fn a_zero_for_one_minute_is_bridged_and_doubted() {
        let mut filter = settled(500.0);
        for reading in 5..13 {
            filter.advance(0.0, 4.0);
            filter.correct(f64::from(reading) * 15.0, 0.0);
            assert!(filter.doubtful());
            assert!((filter.messages() - 500.0).abs() < 1.0);
        }
        filter.correct(195.0, 0.0);
        assert!(filter.messages() < 1.0, "two minutes of zeros are believed");
    }

    #[test]
    fn a_jump_down_is_believed_at_the_third_reading() {
        let mut filter = settled(500.0);
        for (at, believed) in [(75.0, false), (90.0, false), (105.0, true)] {
            filter.advance(0.0, 4.0);
            filter.correct(at, 200.0);
            assert_eq!((filter.messages() - 200.0).abs() < 1.0, believed, "{at}");
        }
    }

    #[test]
    fn a_jump_up_is_believed_at_the_second_reading() {
        let mut filter = settled(50.0);
        filter.correct(75.0, 1000.0);
        assert!(filter.doubtful() && filter.messages() < 60.0);
        filter.correct(90.0, 1010.0);
        assert!((filter.messages() - 1010.0).abs() < 1e-9);
    }

    #[test]
    fn a_rate_that_is_wrong_is_not_taken_for_noise() {
        let mut filter = settled(500.0);
        let mut messages = 500.0;
        for reading in 5..45 {
            // Ninety come in a quarter of a minute and none were expected; the counter errs by a tenth.
            messages += 90.0;
            let error = if reading % 2 == 0 { 1.1 } else { 0.9 };
            filter.advance(0.0, 4.0);
            filter.correct(f64::from(reading) * 15.0, messages * error);
        }
        assert!((filter.messages() / messages - 1.0).abs() < 0.15, "{} of {messages}", filter.messages());
    }

    #[test]
    fn a_noisy_counter_is_smoothed_once_its_noise_is_known() {
        let mut filter = settled(1000.0);
        for reading in 5..205 {
            filter.advance(0.0, 4.0);
            filter.correct(f64::from(reading) * 15.0, if reading % 2 == 0 { 1080.0 } else { 920.0 });
        }
        assert!((filter.messages() - 1000.0).abs() < 25.0, "{}", filter.messages());
    }
}
