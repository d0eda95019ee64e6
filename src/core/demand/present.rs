//! The present arrival rate, its slope, and an outlook made of nothing else.

use super::arrivals::{ArrivalLog, Belief, Newest, Slow};
use super::outlook::{Knot, Outlook, PRESENT_RATE, PresentRate};

/// The level's weight halves over this time, ...
const LEVEL_HALF_LIFE_SECONDS: f64 = 240.0;
/// ... or over that in which so many orders come: two or three tell no rate.
const LEVEL_ORDERS: f64 = 20.0;
/// But over no more than this share of the wait: what the level has yet to follow stands in the queue, and is caught up
/// before it is late.
const LEVEL_SHARE: f64 = 0.25;
/// No rate lasts longer.
const LONGEST_HALF_LIFE_SECONDS: f64 = 1200.0;
/// A bin of more than so many standard deviations above a usual one is a lump.
const LUMP_DEVIATIONS: f64 = 3.5;
/// The slope runs out with this time constant.
const SLOPE_FADE_SECONDS: f64 = 1200.0;
/// An end of what came before is looked for in the newest seconds of these lengths ...
const RECENT_SECONDS: [f64; 3] = [180.0, 360.0, 720.0];
/// ... which must be so many standard deviations below it.
const ENDED_DEVIATIONS: f64 = 3.0;
/// A surge is looked for in the newest seconds of this length, and in twice as many.
const SURGE_SECONDS: f64 = 45.0;
/// A surge that these newest seconds no longer show is over but for a remainder.
const NEWEST_SECONDS: f64 = 22.5;
/// A surge older than this many such pieces has become the level.
const SURGE_PIECES: u32 = 8;
/// The part of its age that a surge is expected to go on for: half of the newest are lumps, such as
/// an e-shop's import, and over already.
const SURGE_REMAINS: f64 = 0.5;
/// A rate that seems to have sunk is not expected below this share of the level.
const LEAST_SHARE: f64 = 0.5;
/// Relative drift of the rate over the minutes whose arrivals are not known yet.
const TAIL_DRIFT: f64 = 0.3;
/// Relative drift of the rate over ten minutes that nothing announces.
const DRIFT: f64 = 0.06;

/// The rate of arrivals now and where it is heading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Present {
    /// Orders a second, as smooth as the last minutes allow.
    pub level: f64,
    /// One standard deviation of the level.
    pub deviation: f64,
    /// Change of the level, orders a second squared, shrunk by its error.
    pub slope: f64,
    /// Variance of counts over their mean.
    pub dispersion: f64,
    /// What chance does not explain on top of the level (or below it), orders a second.
    pub surge: f64,
    /// What has lasted so long is expected to last about as long again: the surge fades with this time.
    pub surge_seconds: f64,
}

impl Present {
    /// Reads the log at `now`. `counter_variance`: of one reading of the counters.
    /// `target_wait`: for as long as that the queue bears what the level doesn't show yet; `None`: for long.
    pub fn read(
        log: &mut ArrivalLog,
        now: f64,
        dispersion: f64,
        counter_variance: f64,
        target_wait: Option<f64>,
    ) -> Self {
        let slow = log.slow();
        let newest = Newest::of(log, now);
        // A lump that came at once says nothing of the orders after it.
        let within = slow.usual_bin.map_or((f64::NEG_INFINITY, f64::INFINITY), |usual| {
            let beyond = LUMP_DEVIATIONS * (dispersion * usual.max(0.5)).sqrt() + 2.0;
            // Nor does a noisy counter, which errs as far to the other side.
            (usual - beyond, usual + beyond)
        });
        let belief = belief(log.known_until(), slow, now, dispersion, counter_variance);
        let level = log.weighted(now, half_life(slow, target_wait), 3600.0, within, belief);
        let slope = slow.slope.map_or(0.0, |fit| {
            let (slope, error) = fit.with_error(dispersion);
            let certainty = slope * slope / (slope * slope + 2.0 * error * error).max(f64::MIN_POSITIVE);
            slope * certainty
        });
        let slope =
            slope.clamp(-0.5 * level.rate / SLOPE_FADE_SECONDS, 1.5 * level.rate / SLOPE_FADE_SECONDS);
        let trended = (level.rate + slope * level.age_seconds.min(600.0))
            .min(most_rate(&newest, dispersion, counter_variance))
            .max(0.0);
        let seconds = level.seconds.max(15.0);
        let deviation = (dispersion * trended.max(0.3 / seconds) / seconds).sqrt();
        let mut present =
            Self { level: trended, deviation, slope, dispersion, surge: 0.0, surge_seconds: SURGE_SECONDS };
        for pieces in [1.0, 2.0] {
            let (orders, covered) = newest.within(pieces * SURGE_SECONDS);
            if covered >= 0.6 * pieces * SURGE_SECONDS {
                present.notice_surge(orders / covered, covered, counter_variance);
            }
        }
        if present.surge != 0.0 {
            present.surge_seconds = SURGE_REMAINS * present.age_of_surge(&newest);
            let (orders, covered) = newest.within(NEWEST_SECONDS);
            let newest = if covered > 0.0 { orders / covered - present.level } else { present.surge };
            if newest * present.surge.signum() < 0.35 * present.surge.abs() {
                present.surge_seconds *= 0.3;
            }
        }
        present
    }

    /// Orders a second at this moment.
    pub fn rate(&self) -> f64 {
        (self.level + self.surge).max(0.0)
    }

    /// A rate of the newest seconds that chance does not explain.
    fn notice_surge(&mut self, recent: f64, seconds: f64, counter_variance: f64) {
        let chance = self.dispersion * self.level.max(0.5 / seconds) / seconds;
        let counter = 2.0 * counter_variance / (seconds * seconds);
        let surprise = (recent - self.level) / (chance + counter).sqrt();
        // Down is believed later than up: an order too late costs more than a replica too many.
        let (from, full) = if surprise > 0.0 { (2.0, 4.0) } else { (3.0, 6.0) };
        let weight = ((surprise.abs() - from) / (full - from)).clamp(0.0, 1.0);
        let surge = (weight * (recent - self.level)).max(-LEAST_SHARE * self.level);
        if surge.abs() > self.surge.abs() {
            self.surge = surge;
        }
    }

    /// For how long the log has shown at least a good third of the surge.
    fn age_of_surge(&self, newest: &Newest<'_>) -> f64 {
        let mut newer = newest.within(SURGE_SECONDS);
        let mut pieces = 1;
        while pieces < SURGE_PIECES {
            let until = newest.within(f64::from(pieces + 1) * SURGE_SECONDS);
            let (orders, covered) = (until.0 - newer.0, until.1 - newer.1);
            let excess = if covered > 0.0 { orders / covered - self.level } else { 0.0 };
            if excess * self.surge.signum() < 0.35 * self.surge.abs() {
                break;
            }
            newer = until;
            pieces += 1;
        }
        f64::from(pieces) * SURGE_SECONDS
    }

    /// The level, for a forecast to lean on.
    pub fn as_rate(&self) -> PresentRate {
        PresentRate {
            orders_per_second: self.level,
            relative_uncertainty: if self.level > 0.0 { self.deviation / self.level } else { 1.0 },
        }
    }

    /// Adds what is left of the surge to an outlook that knows only the level.
    #[must_use]
    pub fn with_surge(&self, mut outlook: Outlook) -> Outlook {
        let mut least = 0.0_f64;
        for knot in &mut outlook.knots {
            let x_seconds = knot.x_seconds();
            // Most of the time there is none.
            if self.surge == 0.0 {
                least = least.max(knot.mean());
                *knot = Knot::new(x_seconds, least, knot.deviation());
                continue;
            }
            let surge = self.surge * self.surge_seconds * (1.0 - (-x_seconds / self.surge_seconds).exp());
            least = least.max(knot.mean() + surge);
            *knot = Knot::new(x_seconds, least, knot.deviation().hypot(0.5 * surge));
        }
        outlook
    }

    /// The rate goes on, its slope fades; the deviation of a window sum is chance, the rate's own
    /// error and unannounced drift.
    pub fn outlook(&self, horizon_seconds: f64) -> Outlook {
        let steps =
            [15.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 480.0, 720.0, 1080.0, 1800.0, 3600.0, 7200.0];
        let mut knots = vec![Knot::START];
        knots.extend(steps.iter().filter(|x| **x < horizon_seconds).map(|x| self.knot(*x)));
        let last = knots.last().map_or(0.0, |knot| knot.x_seconds());
        let far = ((horizon_seconds - last) / 14_400.0).ceil().clamp(1.0, 24.0);
        let mut part = 1.0;
        while part <= far {
            knots.push(self.knot(last + (horizon_seconds - last) * part / far));
            part += 1.0;
        }
        self.with_surge(Outlook { model: PRESENT_RATE.to_owned(), knots })
    }

    fn knot(&self, x: f64) -> Knot {
        let fade = SLOPE_FADE_SECONDS;
        let trend = self.slope * fade * (x - fade * (1.0 - (-x / fade).exp()));
        let mean = (self.level * x + trend).max(0.0);
        let drift = DRIFT * (x / 600.0).sqrt().min(5.0);
        let variance =
            self.dispersion * mean + (self.deviation * x.min(900.0)).powi(2) + (drift * mean).powi(2);
        Knot::new(x, mean, variance.sqrt())
    }
}

/// Over which the level's weight halves.
fn half_life(slow: Slow, target_wait: Option<f64>) -> f64 {
    let longest = target_wait.map_or(LONGEST_HALF_LIFE_SECONDS, |wait| LEVEL_SHARE * wait);
    let seconds = slow.slope.map_or(0.0, |fit| LEVEL_ORDERS / fit.rate().max(f64::MIN_POSITIVE));
    seconds.min(longest).clamp(LEVEL_HALF_LIFE_SECONDS, LONGEST_HALF_LIFE_SECONDS)
}

/// The most that the newest minutes leave likely: what came before them has ended where they show far
/// less than it.
fn most_rate(newest: &Newest<'_>, dispersion: f64, counter_variance: f64) -> f64 {
    let most = RECENT_SECONDS.map(|seconds| {
        let (orders, covered) = newest.within(seconds);
        if covered < 0.8 * seconds {
            return f64::INFINITY;
        }
        let variance = dispersion * (orders + 1.0) + 2.0 * counter_variance;
        (orders + ENDED_DEVIATIONS * variance.sqrt() + 1.0) / covered
    });
    most.into_iter().fold(f64::INFINITY, f64::min)
}

/// What the counters imply of the minutes whose arrivals are not known yet is weighed against the
/// known rate, by the variance of either.
fn belief(known_until: Option<f64>, slow: Slow, now: f64, dispersion: f64, counter_variance: f64) -> Belief {
    let (Some(until), Some(rate)) = (known_until, slow.known_rate) else { return Belief::FULL };
    let orders = rate * (now - until).max(15.0);
    let unknown = dispersion * orders + (TAIL_DRIFT * orders).powi(2) + 0.5;
    Belief { weight: unknown / (unknown + 2.0 * counter_variance), rate }
}

/// Variance of counts over their mean, learned with a slow average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dispersion(f64);

impl Default for Dispersion {
    fn default() -> Self {
        Self(1.5)
    }
}

impl Dispersion {
    /// The index, at least a little below Poisson's 1.
    pub fn index(self) -> f64 {
        self.0
    }

    /// Takes in a count where `expected` were expected.
    pub fn learn(&mut self, count: f64, expected: f64) {
        if expected < 0.3 {
            return;
        }
        let squared = (count - expected).powi(2) / expected;
        self.0 = (self.0 + 0.03 * (squared.min(20.0 * self.0) - self.0)).clamp(0.8, 40.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(minutes: &[f64]) -> (ArrivalLog, f64) {
        let mut log = ArrivalLog::default();
        for (index, count) in minutes.iter().enumerate() {
            log.add_known(index as f64 * 60.0, (index + 1) as f64 * 60.0, *count);
        }
        (log, minutes.len() as f64 * 60.0)
    }

    #[test]
    fn steady_arrivals_give_a_steady_outlook() {
        let (mut log, now) = log(&[60.0; 60]);
        let present = Present::read(&mut log, now, 1.0, 2.0, None);
        assert!((present.rate() - 1.0).abs() < 0.01, "{present:?}");
        let outlook = present.outlook(3600.0);
        assert!((outlook.at(1800.0).0 - 1800.0).abs() < 30.0);
        assert!(outlook.knots.windows(2).all(|pair| pair[0].x_seconds() < pair[1].x_seconds()));
    }

    #[test]
    fn what_has_ended_is_not_expected_to_go_on() {
        let mut minutes = vec![60.0; 60];
        minutes.extend([0.0; 4]);
        let (mut log, now) = log(&minutes);
        let present = Present::read(&mut log, now, 1.0, 2.0, None);
        assert!(present.rate() < 0.05, "{present:?}");
    }

    #[test]
    fn a_surge_is_seen_within_ninety_seconds() {
        let mut minutes = vec![60.0; 60];
        minutes.extend([300.0, 300.0]);
        let (mut log, now) = log(&minutes);
        let present = Present::read(&mut log, now, 1.0, 2.0, None);
        assert!(present.rate() > 4.0 && present.surge_seconds >= 45.0, "{present:?}");
    }

    #[test]
    fn a_few_orders_are_no_rate_where_the_wait_bears_that_they_may_be() {
        // One every four minutes for an hour, then six within two minutes.
        let mut minutes: Vec<f64> = (0..60).map(|minute| f64::from(u8::from(minute % 4 == 0))).collect();
        minutes.extend([3.0, 3.0]);
        let level = |wait: Option<f64>| {
            let (mut log, now) = log(&minutes);
            Present::read(&mut log, now, 1.0, 2.0, wait).level * 60.0
        };
        let (short, long) = (level(Some(300.0)), level(Some(14_400.0)));
        assert!(long < 0.7 * short, "{long} a minute, {short} where nothing can wait");
        assert!((long - level(None)).abs() < 1e-9, "a dispatch is far");
    }

    #[test]
    fn many_orders_are_followed_as_quickly_whatever_the_wait() {
        let mut minutes = vec![20.0; 60];
        minutes.extend([40.0; 5]);
        let (mut short, now) = log(&minutes);
        let (mut long, _) = log(&minutes);
        let present = Present::read(&mut short, now, 1.0, 2.0, Some(300.0));
        assert_eq!(present, Present::read(&mut long, now, 1.0, 2.0, None));
    }
}
