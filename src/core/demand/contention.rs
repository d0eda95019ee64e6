//! Whether more workers still add throughput.
//!
//! Where workers share something that is full (a database, the packing hall's label printer), the
//! orders done a second stop rising with the workers. Only stretches count in which every ready
//! worker had work. Two steps up in a row must have brought next to nothing: a deploy that slows
//! work down spoils one comparison, not two.

/// A step up must be at least this large to tell anything.
const STEP: f64 = 1.25;
/// Ready workers within this share of each other are the same level.
const SAME_LEVEL: f64 = 0.08;
/// A level must have completed so many orders ...
const ORDERS: f64 = 120.0;
/// ... and lasted so long.
const SECONDS: f64 = 90.0;
/// Share of a worker's throughput that one more must bring, or it brings next to nothing.
const WORTH_ADDING: f64 = 0.25;
/// What was found holds this long; then more are tried again.
const HOLDS_SECONDS: f64 = 900.0;

/// A stretch with about the same number of ready workers, all of them busy.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    replica_seconds: f64,
    seconds: f64,
    orders: f64,
}

impl Level {
    fn replicas(&self) -> f64 {
        self.replica_seconds / self.seconds
    }

    fn tells(&self) -> bool {
        self.orders >= ORDERS && self.seconds >= SECONDS
    }
}

/// Compares throughput before and after steps up.
#[derive(Debug, Clone, Default)]
pub struct Contention {
    before: Option<Level>,
    present: Level,
    /// Whether the present level has been compared.
    compared: bool,
    useless_steps: u32,
    found: Option<(f64, f64)>,
}

impl Contention {
    /// Workers beyond which more add next to nothing, as far as seen by `now`.
    pub fn replicas(&self, now: f64) -> Option<f64> {
        self.found.filter(|(at, _)| now - at < HOLDS_SECONDS).map(|(_, replicas)| replicas)
    }

    /// Takes in `orders` completed in the `seconds` before `now` by `replicas` that all had work.
    pub fn learn(&mut self, now: f64, seconds: f64, replicas: f64, orders: f64) {
        let moved =
            self.present.seconds > 0.0 && (replicas / self.present.replicas() - 1.0).abs() > SAME_LEVEL;
        if moved {
            if self.present.tells() {
                self.before = Some(self.present);
            }
            (self.present, self.compared) = (Level::default(), false);
        }
        self.present.replica_seconds += replicas * seconds;
        self.present.seconds += seconds;
        self.present.orders += orders;
        if self.present.tells() && !self.compared {
            self.compare(now);
        }
    }

    /// Not every worker had work: nothing is full.
    pub fn relax(&mut self) {
        *self = Self::default();
    }

    fn compare(&mut self, now: f64) {
        let Some(before) = self.before.filter(|before| self.present.replicas() >= STEP * before.replicas())
        else {
            return;
        };
        self.compared = true;
        let rate = |level: &Level| level.orders / level.seconds;
        let more = self.present.replicas() - before.replicas();
        let brought = (rate(&self.present) - rate(&before)) / more;
        let usual = rate(&before) / before.replicas();
        self.useless_steps = if brought < WORTH_ADDING * usual { self.useless_steps + 1 } else { 0 };
        self.found = (self.useless_steps >= 2).then(|| (now, self.present.replicas()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes at each level of workers; returns what was found at the end.
    fn run(levels: &[(f64, f64)]) -> Option<f64> {
        let mut contention = Contention::default();
        let mut now = 0.0;
        for (replicas, orders_a_minute) in levels {
            for _ in 0..4 {
                now += 60.0;
                contention.learn(now, 60.0, *replicas, *orders_a_minute);
            }
        }
        contention.replicas(now)
    }

    #[test]
    fn two_steps_that_bring_nothing_are_contention() {
        for (label, levels, found) in [
            ("scales", &[(10.0, 200.0), (14.0, 280.0), (20.0, 400.0)][..], None),
            ("full at 10", &[(10.0, 200.0), (14.0, 205.0), (20.0, 202.0)][..], Some(20.0)),
            ("one step", &[(10.0, 200.0), (14.0, 205.0)][..], None),
            ("a slow deploy, then more", &[(10.0, 200.0), (18.0, 200.0), (26.0, 289.0)][..], None),
            ("down again", &[(20.0, 200.0), (14.0, 200.0), (10.0, 200.0)][..], None),
        ] {
            assert_eq!(run(levels), found, "{label}");
        }
    }

    #[test]
    fn it_is_forgotten_after_a_quarter_of_an_hour_or_when_workers_idle() {
        let mut contention = Contention { found: Some((0.0, 20.0)), ..Contention::default() };
        assert_eq!(contention.replicas(899.0), Some(20.0));
        assert_eq!(contention.replicas(901.0), None);
        contention.relax();
        assert_eq!(contention.replicas(1.0), None);
    }
}
