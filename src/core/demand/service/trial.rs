//! Whether workers can hold more messages at once than is known: tried on purpose while no queue has told.
//!
//! The plan keeps some workers spare, so they are seldom full, and a full worker is all that shows how much one holds.
//! So a little more is believed, step by step, and the fleet becomes smaller, until orders wait: what is in flight then
//! settles it.

/// What is believed is raised by so much at a time: the spare workers of the plan nearly make up for it.
const STEP: f64 = 0.15;
/// More is believed only of workers that are as full as the plan lets them be: no more than so many times what is
/// seen in their hands, ...
const MOST_OVER_SEEN: f64 = 1.3;
/// ... and of one beside that, which is rounded up to.
const ROUNDED_UP: f64 = 1.0;
/// Smaller fleets have nothing to gain.
const LEAST_WORKERS: f64 = 2.0;
/// A step less than this is none.
const LEAST_STEP: f64 = 0.03;
/// A step shows its effect in the time that an order takes, no sooner than this, ...
const LEAST_SECONDS: f64 = 60.0;
/// ... and in so many orders.
const LEAST_ORDERS: f64 = 20.0;
/// Orders that are in flight for so many times longer than before the first step only wait in a worker's hands.
const LONGER_IN_HAND: f64 = 1.25;
/// Orders wait where more than so many are visible, ...
const WAITING_MESSAGES: f64 = 3.0;
/// ... and more than this share of those in flight: others are on their way to a worker.
const WAITING_SHARE: f64 = 0.1;
/// A queue tells what its workers hold once it has lasted for so long: counters lag.
const TELLING_SECONDS: f64 = 30.0;
/// ... and was read so often beside so many workers in all, since what is counted is a little off.
const TELLING_READINGS: f32 = 3.0;
/// See [`TELLING_READINGS`].
const TELLING_WORKERS: f32 = 20.0;
/// A worker holds a whole number of messages: what is read as near to one is that.
const NEAR_WHOLE: f64 = 0.2;
/// Two readings of what they hold differ by less than this.
const SAME_SHARE: f64 = 0.15;
/// Workers that hold less than this share of what they were seen to hold, or of one order each, are not full.
const FULL_SHARE: f64 = 0.85;
/// Of those at work so many more than are ready are going.
const GOING_SHARE: f64 = 0.1;
/// More than so many times what is believed in hand, with nothing waiting, is a contradiction.
const CONTRADICTION: f64 = 1.25;
/// After a step that failed without telling how much, the next is tried so much later, then twice as much ...
const PAUSE_SECONDS: f32 = 1800.0;
/// ... up to this.
const LONGEST_PAUSE_SECONDS: f32 = 21_600.0;

/// A reading beside the workers of that time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub at: f64,
    pub visible: f64,
    pub in_flight: f64,
    pub ready: f64,
    /// With those that may still finish what they hold.
    pub at_work: f64,
}

/// What was done between two moments.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub seconds: f64,
    pub orders: f64,
    pub in_flight_seconds: f64,
    pub at_work_seconds: f64,
}

/// Steady readings beside a queue.
#[derive(Debug, Clone, Copy, Default)]
struct Queue {
    readings: f32,
    ready: f32,
    in_flight: f32,
    /// Held at the last reading, by each that is ready.
    held: f32,
}

/// What is known of what one worker holds at once, and the trial of more.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// A queue has told.
    settled: bool,
    /// The wait leaves room for a step that fails.
    allowed: bool,
    /// Since when orders wait.
    waiting_since: Option<f64>,
    /// Nothing waited since.
    since: f64,
    not_before: f64,
    done: Done,
    pause_seconds: f32,
    queue: Queue,
    /// The most that each was seen to hold with nothing waiting.
    shown: f32,
    /// Believed before the last step.
    before: f32,
    /// Seconds that an order was in flight before the first step; zero: not known.
    in_flight_seconds: f32,
    contradicted: bool,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            settled: false,
            allowed: false,
            waiting_since: None,
            since: f64::NEG_INFINITY,
            not_before: f64::NEG_INFINITY,
            done: Done::default(),
            pause_seconds: PAUSE_SECONDS,
            queue: Queue::default(),
            shown: 1.0,
            before: f32::INFINITY,
            in_flight_seconds: 0.0,
            contradicted: false,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
impl Trial {
    /// Whether a step that fails would be made good in time.
    pub(super) fn allow(&mut self, allowed: bool) {
        self.allowed = allowed;
    }

    pub(super) fn settle(&mut self) {
        self.settled = true;
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Takes in a reading; what is to be believed from now on, where that is another than `believed`.
    pub(super) fn read(&mut self, seen: Seen, believed: f64) -> Option<f64> {
        if seen.visible > WAITING_MESSAGES.max(WAITING_SHARE * seen.in_flight) {
            self.contradicted = false;
            return self.read_waiting(seen, believed);
        }
        self.waiting_since = None;
        let contradicted =
            seen.in_flight > CONTRADICTION * believed * seen.at_work + 2.0 * seen.in_flight.sqrt();
        if contradicted && self.contradicted {
            self.settled = false;
        }
        self.contradicted = contradicted;
        None
    }

    fn read_waiting(&mut self, seen: Seen, believed: f64) -> Option<f64> {
        self.start_anew(seen.at);
        let held = seen.in_flight / seen.ready;
        let held_before = f64::from(std::mem::replace(&mut self.queue.held, held as f32));
        let is_first = self.waiting_since.is_none();
        let since = *self.waiting_since.get_or_insert(seen.at);
        if self.settled {
            return None;
        }
        let is_steady = (held - held_before).abs() <= SAME_SHARE * held
            && seen.at_work <= (1.0 + GOING_SHARE) * seen.ready;
        if is_first || !is_steady {
            self.queue = Queue { held: held as f32, ..Queue::default() };
        }
        self.queue.readings += 1.0;
        self.queue.ready += seen.ready as f32;
        self.queue.in_flight += seen.in_flight as f32;
        let Queue { readings, ready, in_flight, .. } = self.queue;
        let held = f64::from(in_flight / ready);
        if seen.at - since >= TELLING_SECONDS
            && readings >= TELLING_READINGS
            && ready >= TELLING_WORKERS
            && held >= FULL_SHARE * f64::from(self.shown)
        {
            self.settled = true;
            let whole = held.round().max(1.0);
            return Some(if (held - whole).abs() <= NEAR_WHOLE * whole { whole } else { held });
        }
        if is_first {
            return None;
        }
        let before = f64::from(self.before);
        if before < believed && held < believed {
            self.pause(seen.at);
            return Some(before);
        }
        None
    }

    /// Takes in what was done from `from` on while nothing waited; what is to be believed, where that is more or less than
    /// `believed`. An order is in flight for `order_seconds`.
    pub(super) fn tell(&mut self, from: f64, done: Done, order_seconds: f64, believed: f64) -> Option<f64> {
        if self.settled || self.waiting_since.is_some() || from < self.since {
            return None;
        }
        self.done.seconds += done.seconds;
        self.done.orders += done.orders;
        self.done.in_flight_seconds += done.in_flight_seconds;
        self.done.at_work_seconds += done.at_work_seconds;
        let Done { seconds, orders, in_flight_seconds, at_work_seconds } = self.done;
        if seconds < order_seconds.max(LEAST_SECONDS) || orders < LEAST_ORDERS {
            return None;
        }
        let at = from + done.seconds;
        self.start_anew(at);
        let shown = in_flight_seconds / at_work_seconds;
        self.shown = self.shown.max(shown as f32);
        let order_seconds = in_flight_seconds / orders;
        let before = f64::from(self.in_flight_seconds);
        if before <= 0.0 || self.before > believed as f32 {
            self.in_flight_seconds = order_seconds as f32;
        } else if order_seconds > LONGER_IN_HAND * (1.0 + 1.0 / orders.sqrt()) * before {
            self.in_flight_seconds = order_seconds as f32;
            let back = f64::from(self.before).min(believed);
            self.pause(at);
            return (back < believed).then_some(back);
        }
        let workers = at_work_seconds / seconds;
        if !self.allowed || at < self.not_before || workers < LEAST_WORKERS {
            return None;
        }
        let most = (MOST_OVER_SEEN + ROUNDED_UP / workers) * shown;
        let next = ((1.0 + STEP) * believed.max(shown)).min(most);
        if next < (1.0 + LEAST_STEP) * believed {
            return None;
        }
        self.before = believed as f32;
        Some(next)
    }

    fn start_anew(&mut self, at: f64) {
        self.since = at;
        self.done = Done::default();
    }

    fn pause(&mut self, at: f64) {
        self.not_before = at + f64::from(self.pause_seconds);
        self.pause_seconds = (2.0 * self.pause_seconds).min(LONGEST_PAUSE_SECONDS);
        self.before = f32::INFINITY;
    }
}
