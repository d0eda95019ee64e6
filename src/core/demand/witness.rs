//! Arrival and service rate from the queue's counters alone.
//!
//! A Kalman filter over (arrival rate, service rate of one replica): a counter that moved by `m` in
//! `t` seconds while `b` replicas were busy says `m / t = arrivals - b * service`. Where the number
//! of busy replicas changes, the two can be told apart; where it doesn't, what was known stays.

/// Relative drift of the arrival rate in a minute, one standard deviation.
const ARRIVAL_DRIFT: f64 = 0.06;
/// The same for the service rate.
const SERVICE_DRIFT: f64 = 0.004;

/// What the counters alone say.
#[derive(Debug, Clone, PartialEq)]
pub struct CounterWitness {
    arrivals: f64,
    service: f64,
    /// Variances of the two and their covariance.
    variance: [f64; 2],
    covariance: f64,
}

impl CounterWitness {
    /// Starts from a service rate and its relative standard deviation.
    pub fn new(service: f64, relative_deviation: f64) -> Self {
        Self {
            arrivals: 0.0,
            service,
            variance: [1e6, (service * relative_deviation).powi(2)],
            covariance: 0.0,
        }
    }

    /// Orders a second and replica.
    pub fn service(&self) -> f64 {
        self.service
    }

    /// Relative standard deviation of [`Self::service`].
    pub fn relative_deviation(&self) -> f64 {
        self.variance[1].sqrt() / self.service
    }

    /// Takes in that the counter moved by `moved` in `seconds` while `busy` replicas worked.
    /// `counter_variance`: of the move, by the counter's own noise.
    pub fn learn(&mut self, moved: f64, seconds: f64, busy: f64, counter_variance: f64) {
        let minutes = seconds / 60.0;
        self.variance[0] += (ARRIVAL_DRIFT * self.arrivals.max(0.01)).powi(2) * minutes;
        self.variance[1] += (SERVICE_DRIFT * self.service).powi(2) * minutes;
        let flows = (self.arrivals + 0.5 * busy * self.service) * seconds;
        let noise = (counter_variance + 1.5 * flows + 0.5) / (seconds * seconds);
        let gains = [self.variance[0] - busy * self.covariance, self.covariance - busy * self.variance[1]];
        let innovation_variance = gains[0] - busy * gains[1] + noise;
        let innovation = moved / seconds - (self.arrivals - busy * self.service);
        let gain = [gains[0] / innovation_variance, gains[1] / innovation_variance];
        self.arrivals = (self.arrivals + gain[0] * innovation).max(0.0);
        // One reading never moves the service rate by more than a fifth.
        let step = (gain[1] * innovation).clamp(-0.2 * self.service, 0.25 * self.service);
        self.service += step;
        self.variance[0] -= gain[0] * gains[0];
        self.variance[1] = (self.variance[1] - gain[1] * gains[1]).max((0.02 * self.service).powi(2));
        self.covariance -= gain[0] * gains[1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_rate_wrong_by_three_heals_when_the_workers_change() {
        for start in [1.0 / 90.0, 1.0 / 10.0] {
            let mut witness = CounterWitness::new(start, 0.8);
            for step in 0..120 {
                let busy = f64::from(step / 20 % 3) * 10.0;
                witness.learn((0.5 - busy / 30.0) * 15.0, 15.0, busy, 4.0);
            }
            assert!((witness.service() * 30.0 - 1.0).abs() < 0.15, "{start}: {witness:?}");
        }
    }

    #[test]
    fn workers_that_never_change_leave_what_was_known() {
        let mut witness = CounterWitness::new(1.0 / 30.0, 0.3);
        for _ in 0..400 {
            witness.learn(0.0, 15.0, 12.0, 4.0);
        }
        assert!((witness.service() * 30.0 - 1.0).abs() < 0.3, "{witness:?}");
    }
}
