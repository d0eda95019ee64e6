//! Arrival and service rate from the queue's counters alone.
//!
//! A counter that moved by `m` in `t` seconds while `b` replicas were busy says
//! `m / t = arrivals - b * service`. Where replicas are added to a queue in which orders wait, the two
//! can be told apart. Where none wait, the busy replicas follow the arrivals and tell nothing of the
//! service rate; nor does it matter then, since as many are needed as are busy.
//!
//! In a quiet queue the messages wander by as much as comes and goes, which tells how long each stays.
//!
//! Service rates from one order a second to one in forty minutes are weighed against each other, each
//! with a Kalman filter of its own for the arrivals: a start wrong by any factor heals.

/// Seconds that an order takes a worker: the least that is weighed, ...
const FASTEST_SECONDS: f64 = 1.0;
/// ... and every further one is so many times as long ...
const STEP: f64 = 1.15;
/// ... as often as this: up to forty minutes.
const RATES: u8 = 57;
/// Relative drift of the arrival rate in a minute, one standard deviation.
const ARRIVAL_DRIFT: f64 = 0.06;
/// Variance of an arrival rate of which nothing was seen.
const FIRST_VARIANCE: f64 = 1e6;
/// Where no more than so many are in work, orders are seen to come and go.
const QUIET_ORDERS: f64 = 6.0;
/// More than this between two readings did not come one by one.
const MOST_COME: f64 = 2.5;
/// Where many are in work, moves of more than so many standard deviations are lumps, ...
const MANY_DEVIATIONS: f64 = 3.0;
/// ... and the others count for this share of their evidence: a counter that lags repeats itself.
const MANY_BELIEF: f64 = 0.5;
/// Moves are taken together until so many times the variance of the counter's noise have come and gone, ...
const OVER_NOISE: f64 = 3.0;
/// ... by half the rate that is believed, ...
const SLOW_SHARE: f64 = 0.5;
/// ... or this long: noise is not known well enough to be told from what moves less.
const LONGEST_WATCH_SECONDS: f64 = 300.0;
/// A queue that was emptied says something of rates that expected it to be so many deviations longer.
const EMPTIED_DEVIATIONS: f64 = 0.75;
/// Weight of the newest window in how much more than chance moves the queue, ...
const UNREST_WEIGHT: f64 = 0.05;
/// ... in which it counts as no more than this many of its variances.
const MOST_UNREST_SEEN: f64 = 12.0;
/// Arrivals in clusters move it by up to so many times the variance of chance.
const MOST_UNREST: f64 = 50.0;
/// Half-life of what counts as usual at work.
const USUAL_SECONDS: f64 = 900.0;
/// Phantom messages make even an idle counter wander so much between two readings.
const LEAST_TURNOVER: f64 = 0.01;
/// Share of the weight that moves to the neighbours in a minute: work may become slower or faster.
const SERVICE_DRIFT: f64 = 0.05;
/// No rate is ever ruled out by more than this.
const LEAST_WEIGHT: f64 = 1e-6;
/// A move that no rate explains to within so many variances is a lump of arrivals.
const LUMP_SURPRISE: f64 = 12.25;
/// A rate of less weight than this explains nothing.
const HEARD_WEIGHT: f64 = 1e-5;
/// Readings are taken together until they span this long: a counter's noise is the same for all.
const WINDOW_SECONDS: f64 = 30.0;

/// What the counters alone say.
#[derive(Debug, Clone, PartialEq)]
pub struct CounterWitness {
    rates: Vec<Hypothesis>,
    /// What the readings since the last full window have said.
    moved: f64,
    seconds: f64,
    busy_seconds: f64,
    /// Orders waited all the time, so that every replica was busy.
    deep: bool,
    /// Replicas at work of late.
    working: f64,
    watched: Option<Watched>,
    /// Times the variance of chance by which the queue moves: arrivals may come in clusters.
    unrest: f64,
}

/// What is watched while no orders wait: at work at first, and the move since.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Watched {
    working: f64,
    moved: f64,
    seconds: f64,
}

/// One service rate that may be true.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hypothesis {
    service: f64,
    weight: f64,
    arrivals: f64,
    variance: f64,
}

/// What some readings have said together.
#[derive(Debug, Clone, Copy)]
struct Window {
    pace: f64,
    seconds: f64,
    busy: f64,
    counter_variance: f64,
    /// Orders that come and go in it, by all rates together. By each alone, a slow rate would explain a steady queue
    /// better than a fast one, as fewer come and go: the rate would sink, hour after hour.
    turnover: f64,
    /// Times the variance of chance by which the queue moves of late.
    unrest: f64,
}

impl Hypothesis {
    /// Orders a second that come and, at half their weight, go: work takes less different times than chance.
    fn turnover(&self, busy: f64) -> f64 {
        self.arrivals + 0.5 * busy * self.service
    }

    /// By how much the counter moved faster than this rate explains, and the variance of that.
    fn innovation(&self, window: &Window) -> (f64, f64) {
        let noise =
            window.unrest * (window.counter_variance + 1.5 * window.turnover + 0.5) / window.seconds.powi(2);
        (window.pace - (self.arrivals - window.busy * self.service), self.variance + noise)
    }

    /// The innovation, squared, in its variances.
    fn surprise(&self, window: &Window) -> f64 {
        let (innovation, variance) = self.innovation(window);
        innovation * innovation / variance
    }
}

impl CounterWitness {
    /// Starts from a service rate and its relative standard deviation.
    pub fn new(service: f64, relative_deviation: f64) -> Self {
        let spread = relative_deviation.clamp(0.1, 1.2);
        let rates = (0..RATES).map(|step| {
            let rate = 1.0 / (FASTEST_SECONDS * STEP.powi(i32::from(step)));
            let distance = (rate / service).ln() / spread;
            let weight = (-0.5 * distance * distance).exp().max(LEAST_WEIGHT);
            Hypothesis { service: rate, weight, arrivals: 0.0, variance: FIRST_VARIANCE }
        });
        let mut witness = Self {
            rates: rates.collect(),
            moved: 0.0,
            seconds: 0.0,
            busy_seconds: 0.0,
            deep: true,
            working: 0.0,
            watched: None,
            unrest: 1.0,
        };
        witness.normalise();
        witness
    }

    /// Orders a second and replica: the weighted mean by ratio.
    pub fn service(&self) -> f64 {
        self.rates.iter().map(|rate| rate.weight * rate.service.ln()).sum::<f64>().exp()
    }

    /// Relative standard deviation of [`Self::service`].
    pub fn relative_deviation(&self) -> f64 {
        let mean = self.service().ln();
        self.rates.iter().map(|rate| rate.weight * (rate.service.ln() - mean).powi(2)).sum::<f64>().sqrt()
    }

    /// Takes in that the counter moved by `moved` in `seconds` while `busy` replicas worked, and
    /// whether orders waited (`deep`). `counter_variance`: of the move, by the counter's own noise.
    pub fn learn(&mut self, moved: f64, seconds: f64, busy: f64, deep: bool, counter_variance: f64) {
        self.moved += moved;
        self.seconds += seconds;
        self.busy_seconds += busy * seconds;
        self.deep &= deep;
        if deep {
            self.watched = None;
        }
        if self.seconds < WINDOW_SECONDS {
            return;
        }
        let busy = self.busy_seconds / self.seconds;
        let window = self.window(self.moved, self.seconds, busy, counter_variance);
        let arrivals = self.mean(|rate| rate.arrivals);
        let deep = self.deep;
        (self.moved, self.seconds, self.busy_seconds, self.deep) = (0.0, 0.0, 0.0, true);
        self.drift(window.seconds / 60.0);
        for rate in &mut self.rates {
            let drift = ARRIVAL_DRIFT * arrivals.max(0.01);
            rate.variance += drift.powi(2) * window.seconds / 60.0;
        }
        self.weigh(&window, deep);
    }

    /// Weighs the rates by a window in which all were busy (`deep`), and follows the arrivals of each.
    fn weigh(&mut self, window: &Window, deep: bool) {
        let heard = self.rates.iter().filter(|rate| rate.weight >= HEARD_WEIGHT);
        let explained = heard.map(|rate| rate.surprise(window)).any(|surprise| surprise < LUMP_SURPRISE);
        if deep {
            let seen = self.mean(|rate| rate.surprise(window)).min(MOST_UNREST_SEEN);
            self.unrest = (self.unrest * (1.0 + UNREST_WEIGHT * (seen - 1.0))).clamp(1.0, MOST_UNREST);
        }
        for rate in &mut self.rates {
            let (innovation, variance) = rate.innovation(window);
            if !explained {
                // A lump, or another level: the next window tells which.
                rate.variance = variance.max(innovation * innovation);
                continue;
            }
            if !deep {
                rate.arrivals = (rate.arrivals + innovation).max(0.0);
                rate.variance = variance;
                continue;
            }
            // No single reading rules a rate out: a counter errs by more than its noise now and then.
            let surprise = (innovation * innovation / variance).min(LUMP_SURPRISE);
            let gain = rate.variance / variance;
            rate.arrivals = (rate.arrivals + gain * innovation).max(0.0);
            rate.variance *= 1.0 - gain;
            rate.weight *= (-0.5 * surprise).exp() / variance.sqrt();
        }
        self.normalise();
    }

    /// Takes in that a queue in which orders waited was found with none waiting, `moved` messages and
    /// `seconds` later: `busy` replicas did at least that.
    pub fn emptied(&mut self, moved: f64, seconds: f64, busy: f64, counter_variance: f64) {
        let window = self.window(moved, seconds, busy, counter_variance);
        for rate in &mut self.rates {
            let (innovation, variance) = rate.innovation(&window);
            // The normal distribution, by a logistic curve. Queues are emptied by chance, too, and those that were not
            // say nothing here: what is likely must not count, however often it is seen.
            rate.weight /= 1.0 + (-1.7 * (innovation / variance.sqrt() + EMPTIED_DEVIATIONS)).exp();
        }
        self.normalise();
    }

    /// Takes in that the messages moved by `moved` in `seconds` while `working` replicas had an order
    /// each and none waited: as many come as go, and how many that is makes the messages wander.
    /// `counter_variance`: of the move, by what the counter has shown of its own noise.
    pub fn watch(&mut self, working: f64, moved: f64, seconds: f64, counter_variance: f64) {
        self.working += (1.0 - 0.5_f64.powf(seconds / USUAL_SECONDS)) * (working - self.working);
        let watched = self.watched.get_or_insert(Watched { working, moved: 0.0, seconds: 0.0 });
        watched.moved += moved;
        watched.seconds += seconds;
        let Watched { working, moved, seconds } = *watched;
        let turnover = (self.working + working) * (1.0 - (-SLOW_SHARE * self.service() * seconds).exp());
        if turnover < OVER_NOISE * counter_variance && seconds < LONGEST_WATCH_SECONDS {
            return;
        }
        self.watched = None;
        if working > QUIET_ORDERS {
            self.watch_many(working, moved, seconds, counter_variance);
            return;
        }
        // What rises at once is a lump; a noisy counter shows itself only where there is much to count.
        if working < 0.5 || moved > MOST_COME || -moved > working + 0.5 {
            return;
        }
        let (least, most) = (-(working + 0.5).floor(), MOST_COME.floor());
        for rate in &mut self.rates {
            let share = 1.0 - (-rate.service * seconds).exp();
            let come = (self.working * share).max(LEAST_TURNOVER) + 0.5 * counter_variance;
            let gone = (working * share).max(LEAST_TURNOVER) + 0.5 * counter_variance;
            // Moves that are not looked at are no more likely to be missed by one rate than by another.
            rate.weight *= difference(come, gone, moved.round()) / within(come, gone, least, most);
        }
        self.normalise();
    }

    /// The same where so many are in work that their moves are as good as normal.
    fn watch_many(&mut self, working: f64, moved: f64, seconds: f64, counter_variance: f64) {
        let usual = self.working;
        let variance =
            |service: f64| (usual + working) * (1.0 - (-service * seconds).exp()) + counter_variance + 0.5;
        if moved * moved > MANY_DEVIATIONS * MANY_DEVIATIONS * variance(self.service()) {
            return;
        }
        for rate in &mut self.rates {
            let variance = variance(rate.service);
            rate.weight *= (-0.5 * MANY_BELIEF * (moved * moved / variance + variance.ln())).exp();
        }
        self.normalise();
    }

    /// What a move of the counter says beside what moves it now.
    fn window(&self, moved: f64, seconds: f64, busy: f64, counter_variance: f64) -> Window {
        let turnover = self.mean(|rate| rate.turnover(busy)) * seconds;
        Window { pace: moved / seconds, seconds, busy, counter_variance, turnover, unrest: self.unrest }
    }

    /// A mean over the rates by their weights.
    fn mean(&self, of: impl Fn(&Hypothesis) -> f64) -> f64 {
        self.rates.iter().map(|rate| rate.weight * of(rate)).sum()
    }

    fn drift(&mut self, minutes: f64) {
        let moved = (SERVICE_DRIFT * minutes).min(0.2);
        let before: Vec<f64> = self.rates.iter().map(|rate| rate.weight).collect();
        let last = before.len() - 1;
        for (index, rate) in self.rates.iter_mut().enumerate() {
            let beside = 0.5 * (before[index.saturating_sub(1)] + before[(index + 1).min(last)]);
            rate.weight = (1.0 - moved) * before[index] + moved * beside;
        }
    }

    fn normalise(&mut self) {
        for _ in 0..2 {
            let sum: f64 = self.rates.iter().map(|rate| rate.weight).sum();
            for rate in &mut self.rates {
                rate.weight = (rate.weight / sum).max(LEAST_WEIGHT);
            }
        }
    }
}

/// Probability that of two counts, Poisson of the means `more` and `less`, the first is larger by `by`
/// (Skellam's distribution).
fn difference(more: f64, less: f64, by: f64) -> f64 {
    let (mean, steps) = if by > 0.0 { (more, by) } else { (less, -by) };
    let (mut term, mut place) = (1.0, 1.0);
    while place <= steps {
        term *= mean / place;
        place += 1.0;
    }
    let (mut sum, mut further) = (term, 1.0);
    while further <= 24.0 && term > 1e-9 * sum {
        term *= more * less / (further * (further + steps));
        sum += term;
        further += 1.0;
    }
    sum * (-more - less).exp()
}

/// Probability that the difference is from `least` to `most`.
fn within(more: f64, less: f64, least: f64, most: f64) -> f64 {
    let (mut by, mut sum) = (least, 0.0);
    while by <= most {
        sum += difference(more, less, by);
        by += 1.0;
    }
    sum.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from 0 to 1 that look drawn, the same each time: a linear congruential generator (Knuth, MMIX).
    fn drawn() -> impl FnMut() -> f64 {
        let mut state = 7_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 32).unwrap_or(0)) / f64::from(u32::MAX)
        }
    }

    #[test]
    fn a_service_rate_wrong_by_ten_heals_when_the_workers_change() {
        for start in [1.0 / 300.0, 1.0 / 90.0, 1.0 / 10.0, 1.0 / 3.0] {
            let mut witness = CounterWitness::new(start, 0.8);
            for step in 0..120 {
                let busy = f64::from(step / 20 % 3) * 10.0;
                witness.learn((0.5 - busy / 30.0) * 15.0, 15.0, busy, true, 4.0);
            }
            let deviation = witness.relative_deviation();
            assert!(
                (witness.service() * 30.0 - 1.0).abs() < 0.25,
                "{start}: {} +- {deviation}",
                witness.service()
            );
        }
    }

    #[test]
    fn busy_workers_that_follow_the_arrivals_tell_nothing() {
        let mut witness = CounterWitness::new(1.0 / 30.0, 0.3);
        let before = witness.service();
        for step in 0..400 {
            witness.learn(0.0, 15.0, f64::from(step / 20 % 3) * 4.0, false, 4.0);
        }
        assert!((witness.service() / before - 1.0).abs() < 0.05, "{}", witness.service());
    }

    #[test]
    fn single_orders_that_come_and_go_tell_how_long_they_took() {
        for service_seconds in [90_u32, 300] {
            let mut witness = CounterWitness::new(1.0 / 30.0, 1.2);
            for second in (0..7200_u32).step_by(10) {
                let works = |at: u32| f64::from(u8::from(at % 600 < service_seconds));
                witness.watch(works(second), works(second + 10) - works(second), 10.0, 0.0);
            }
            let found = 1.0 / witness.service() / f64::from(service_seconds);
            assert!((0.65..1.5).contains(&found), "{found} of {service_seconds} s");
        }
    }

    #[test]
    fn a_known_rate_is_kept_for_hours_and_followed_when_it_changes() {
        let mut witness = CounterWitness::new(1.0 / 30.0, 0.1);
        let live = |witness: &mut CounterWitness, steps: u32, service: f64, arrivals: f64| {
            for step in 0..steps {
                let busy = 12.0 + f64::from(step / 40 % 2) * 6.0;
                // A counter that moves less than chance would move it.
                let wobble = if step % 2 == 0 { 1.0 } else { -1.0 };
                witness.learn((arrivals - busy * service) * 15.0 + wobble, 15.0, busy, true, 1.0);
            }
        };
        live(&mut witness, 1440, 1.0 / 30.0, 0.5);
        assert!((witness.service() * 30.0 - 1.0).abs() < 0.2, "{}", witness.service());
        live(&mut witness, 240, 1.0 / 54.0, 0.3);
        assert!((witness.service() * 54.0 - 1.0).abs() < 0.3, "{}", witness.service());
    }

    #[test]
    fn a_lump_says_nothing_of_how_fast_workers_are() {
        let mut witness = CounterWitness::new(1.0 / 21.0, 0.17);
        for _ in 0..40 {
            witness.learn(0.0, 15.0, 4.0, true, 2.0);
        }
        for moved in [6.0, 54.0, -2.0, -6.0, -8.0, 4.0, -5.0, -1.0] {
            witness.learn(moved, 15.0, 5.0, true, 2.0);
        }
        assert!((witness.service() * 21.0 - 1.0).abs() < 0.3, "{}", witness.service());
    }

    #[test]
    fn a_noisy_counter_does_not_make_workers_fast() {
        let mut drawn = drawn();
        let mut witness = CounterWitness::new(1.0 / 90.0, 0.7);
        let mut in_work = 12_i32;
        let mut before = 12.0;
        for _ in 0..4 * 720 {
            // 5 s: a new order in 16.7 s, each done in 200 s.
            in_work += i32::from(drawn() < 0.3);
            in_work -= (0..in_work).map(|_| i32::from(drawn() < 0.025)).sum::<i32>();
            let read = (f64::from(in_work) * (0.75 + 0.5 * drawn())).round();
            // Only a third of the noise is known.
            witness.watch(before, read - before, 5.0, 2.0 * 0.007 * read * read);
            before = read;
        }
        let found = 1.0 / witness.service();
        assert!((100.0..600.0).contains(&found), "{found} of 200 s");
    }

    #[test]
    fn clusters_of_arrivals_do_not_make_workers_fast() {
        let mut drawn = drawn();
        let mut witness = CounterWitness::new(1.0 / 30.0, 0.3);
        for step in 0..960 {
            let busy = f64::from(12 + step / 40 % 2 * 2);
            let come = if drawn() < 0.15 { 43.0 } else { 0.0 };
            // More come when many are at work, since these were called for more.
            let come = if step % 40 == 39 { 60.0 } else { come };
            witness.learn(come - busy * 15.0 / 30.0, 15.0, busy, true, 1.0);
        }
        assert!((0.7..1.4).contains(&(witness.service() * 30.0)), "{}", witness.service() * 30.0);
    }

    #[test]
    fn workers_that_never_change_leave_what_was_known() {
        let mut witness = CounterWitness::new(1.0 / 30.0, 0.3);
        for step in 0..400 {
            // As much as chance moves a queue into which and out of which 0.4 orders a second go.
            witness.learn(if step % 4 < 2 { 2.4 } else { -2.4 }, 15.0, 12.0, true, 1.0);
        }
        assert!((witness.service() * 30.0 - 1.0).abs() < 0.3, "{}", witness.service());
    }
}
