//! Whether workers can hold more messages at once than is known: tried on purpose while no queue has told.
//!
//! The plan keeps some workers spare, so they are seldom full, and a full worker is all that shows how much one holds.
//! So a little more is believed, step by step, and the fleet becomes smaller, until orders wait: what is in flight then
//! settles it.

use crate::core::demand::present::Present;

/// What is believed is raised by so much at first: the spare workers of the plan nearly make up for it. Once that went
/// well, workers hold more than one and the next steps are twice as large, ...
const STEP: f64 = 0.15;
/// ... up to this.
const LONGEST_STEP: f64 = 0.4;
/// More is believed only of workers that are as full as the plan lets them be: so many times what is seen in their
/// hands is no less than after the first step, ...
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
/// Orders that are in flight for so many times longer than they were only wait in a worker's hands.
const LONGER_IN_HAND: f64 = 1.25;
/// How long they are in flight is forgotten by half in so many orders, ...
const HALF_LIFE_ORDERS: f64 = 50.0;
/// ... how long they were by this share each time: work may have become slower, ...
const FORGOTTEN_SHARE: f64 = 0.02;
/// ... or this share of the way towards less.
const LEARNED_SHARE: f64 = 0.3;
/// Orders wait where more than so many are visible, ...
const WAITING_MESSAGES: f64 = 3.0;
/// ... and more than this share of those in flight, or as many as are received in some seconds: they are on their way.
const WAITING_SHARE: f64 = 0.1;
/// See [`WAITING_SHARE`].
const RECEIVING_SECONDS: f64 = 6.0;
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
/// More in hand than so many times the whole number that each is known to hold, ...
const OVER_SHARE: f64 = 1.1;
/// ... and half a message, ...
const OVER_MESSAGES: f64 = 0.5;
/// ... summed over readings with nothing waiting up to so many messages ...
const OVER_SUM: f64 = 4.0;
/// ... and this share of what they would hold: each holds one more.
const OVER_SUM_SHARE: f64 = 0.3;
/// A single reading may err by any number: it counts for no more than this share of them.
const MOST_OVER_SHARE: f64 = 0.7;
/// After a step that failed without telling how much, the next is tried so much later, then twice as much ...
const PAUSE_SECONDS: f32 = 1800.0;
/// ... up to this.
const LONGEST_PAUSE_SECONDS: f32 = 21_600.0;

/// A step that fails is seen, and answered by the HPA, in so many seconds beside the lead times, ...
const ANSWER_SECONDS: f64 = 75.0;
/// ... and may take up this share of the wait, as the plan does.
const ROOM: f64 = 0.7;

/// The largest step after which orders that wait, because it failed, are made good in time: till then some wait by
/// chance, too, and all wait for as long as it takes at most.
pub(super) fn longest_step(wait_seconds: f64, lead_seconds: f64, present: &Present) -> f64 {
    let (seconds, rate) = (lead_seconds + ANSWER_SECONDS, present.rate().max(1e-6));
    let by_chance = 2.0 * (present.dispersion * seconds / rate).sqrt() + 1.0 / rate;
    let room = ROOM * wait_seconds;
    if seconds <= room { 1.0 } else { ((room - by_chance) / seconds).max(0.0) }
}

/// A reading beside the workers of that time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub at: f64,
    pub visible: f64,
    pub in_flight: f64,
    pub ready: f64,
    /// With those that may still finish what they hold.
    pub at_work: f64,
    /// Seconds for which an order is in flight, as far as is known.
    pub order_seconds: f64,
}

/// What was done between two moments.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub seconds: f64,
    pub orders: f64,
    /// By how many there were more in flight at the end.
    pub more_in_flight: f64,
    pub in_flight_seconds: f64,
    pub at_work_seconds: f64,
    /// Seconds that an order takes one who has no other, where that is known.
    pub alone_seconds: Option<f64>,
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
    /// The largest step that leaves time to make good if it fails.
    longest_step: f32,
    /// Steps that went well.
    steps: u8,
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
    /// Orders of late, and the seconds for which they were in flight.
    turned: (f32, f32),
    /// Seconds that an order was in flight while workers held less.
    order_seconds: f32,
    contradicted: bool,
    /// Messages in hand, summed over readings, beyond what workers were known to hold.
    over: f32,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            settled: false,
            longest_step: 0.0,
            steps: 0,
            waiting_since: None,
            since: f64::NEG_INFINITY,
            not_before: f64::NEG_INFINITY,
            done: Done::default(),
            pause_seconds: PAUSE_SECONDS,
            queue: Queue::default(),
            shown: 1.0,
            before: f32::INFINITY,
            turned: (0.0, 0.0),
            order_seconds: 0.0,
            contradicted: false,
            over: 0.0,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
impl Trial {
    /// The largest step that would be made good in time if it failed.
    pub(super) fn allow(&mut self, longest_step: f64) {
        self.longest_step = longest_step as f32;
    }

    pub(super) fn settle(&mut self) {
        self.settled = true;
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Takes in a reading; what is to be believed from now on, where that is another than `believed`.
    pub(super) fn read(&mut self, seen: Seen, believed: f64) -> Option<f64> {
        let on_their_way = WAITING_SHARE.min(RECEIVING_SECONDS / seen.order_seconds) * seen.in_flight;
        if seen.visible > WAITING_MESSAGES.max(on_their_way) {
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
        self.read_over(seen, believed)
    }

    /// More in the hands of workers than they were known to hold: a worker holds a whole number, so one more at least.
    fn read_over(&mut self, seen: Seen, believed: f64) -> Option<f64> {
        // After a step, what is in hand may only wait there.
        if self.settled || self.before.is_finite() {
            return None;
        }
        let whole = (believed + NEAR_WHOLE).floor().max(1.0);
        let known = whole * seen.at_work;
        let enough = OVER_SUM + OVER_SUM_SHARE * known;
        let over = (seen.in_flight - OVER_SHARE * known - OVER_MESSAGES).min(MOST_OVER_SHARE * enough);
        let sum = (f64::from(self.over) + over).max(0.0);
        self.over = sum as f32;
        if sum < enough {
            return None;
        }
        self.over = 0.0;
        self.start_anew(seen.at);
        Some(whole + 1.0)
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
            let told = if (held - whole).abs() <= NEAR_WHOLE * whole { whole } else { held };
            // Where nothing was tried it is known as well as that.
            let is_untried = self.before.is_infinite() && self.pause_seconds <= PAUSE_SECONDS;
            let is_same = is_untried && (told - believed).abs() <= SAME_SHARE * told;
            return (!is_same).then_some(told);
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
    /// `believed`.
    pub(super) fn tell(&mut self, from: f64, done: Done, order_seconds: f64, believed: f64) -> Option<f64> {
        if self.settled || self.waiting_since.is_some() || from < self.since {
            return None;
        }
        self.done.seconds += done.seconds;
        // Where more and more are begun, few of them are done yet.
        self.done.orders += done.orders + 0.5 * done.more_in_flight;
        self.done.in_flight_seconds += done.in_flight_seconds;
        self.done.at_work_seconds += done.at_work_seconds;
        let Done { seconds, orders, in_flight_seconds, at_work_seconds, .. } = self.done;
        if seconds < order_seconds.max(LEAST_SECONDS) || orders < LEAST_ORDERS {
            return None;
        }
        let at = from + done.seconds;
        self.start_anew(at);
        let held = in_flight_seconds / at_work_seconds;
        self.shown = self.shown.max(held as f32);
        if self.waits_in_hand(orders, in_flight_seconds, done.alone_seconds) {
            let back = f64::from(self.before).min(believed);
            self.pause(at);
            return (back < believed).then_some(back);
        }
        self.step(at, held, at_work_seconds / seconds, believed)
    }

    /// Whether an order is in flight for longer than it was.
    fn waits_in_hand(&mut self, orders: f64, seconds: f64, alone_seconds: Option<f64>) -> bool {
        let keep = 0.5_f64.powf(orders / HALF_LIFE_ORDERS);
        let (all, in_flight) =
            (f64::from(self.turned.0) * keep + orders, f64::from(self.turned.1) * keep + seconds);
        self.turned = (all as f32, in_flight as f32);
        let (seconds, before) = (in_flight / all, f64::from(self.order_seconds));
        let known = if before <= 0.0 {
            seconds
        } else if seconds < before {
            before + LEARNED_SHARE * (seconds - before)
        } else {
            seconds.min(before * (1.0 + FORGOTTEN_SHARE))
        };
        self.order_seconds = known as f32;
        seconds > LONGER_IN_HAND * (1.0 + 1.0 / all.sqrt()) * alone_seconds.unwrap_or(known)
    }

    /// The next step, where `workers` were as full as the plan lets them be.
    fn step(&mut self, at: f64, held: f64, workers: f64, believed: f64) -> Option<f64> {
        let longest = f64::from(self.longest_step).min(LONGEST_STEP);
        if longest < STEP || at < self.not_before || workers < LEAST_WORKERS {
            return None;
        }
        let full = ((MOST_OVER_SEEN + ROUNDED_UP / workers) * held / believed - 1.0) / STEP;
        let step = (STEP * f64::from(1_u32 << self.steps.min(4))).min(longest) * full.min(1.0);
        if step < LEAST_STEP {
            return None;
        }
        self.steps = self.steps.saturating_add(1);
        self.before = believed as f32;
        Some((1.0 + step) * believed)
    }

    fn start_anew(&mut self, at: f64) {
        self.since = at;
        self.done = Done::default();
    }

    fn pause(&mut self, at: f64) {
        self.not_before = at + f64::from(self.pause_seconds);
        self.pause_seconds = (2.0 * self.pause_seconds).min(LONGEST_PAUSE_SECONDS);
        self.before = f32::INFINITY;
        self.steps = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fleet of workers that hold `truth` at once, kept a tenth above what is `believed` of them, with `load` in work at
    /// `order_seconds` an order, read every 15 s. What is believed in the end, and the deepest queue.
    fn live(truth: f64, load: f64, order_seconds: f64, longest_step: f64) -> (f64, f64, Trial) {
        let (mut trial, mut believed, mut queue, mut deepest) = (Trial::default(), 1.0_f64, 0.0_f64, 0.0_f64);
        trial.allow(longest_step);
        let mut wanted = [(1.1 * load).ceil(); 4];
        for step in 0..1440 {
            let at = f64::from(step) * 15.0;
            // Workers that are wanted are ready three readings later.
            wanted.rotate_right(1);
            wanted[0] = (1.1 * load / believed).ceil();
            let ready = wanted[3].min(wanted[0]);
            let in_flight = (load + queue).min(ready * truth);
            queue = (queue + 15.0 * (load - in_flight) / order_seconds).max(0.0);
            deepest = deepest.max(queue);
            let seen = Seen { at, visible: queue.floor(), in_flight, ready, at_work: ready, order_seconds };
            believed = trial.read(seen, believed).unwrap_or(believed);
            let done = Done {
                seconds: 15.0,
                orders: 15.0 * in_flight / order_seconds,
                in_flight_seconds: 15.0 * in_flight,
                at_work_seconds: 15.0 * ready,
                ..Done::default()
            };
            believed = trial.tell(at, done, order_seconds, believed).unwrap_or(believed);
        }
        (believed, deepest, trial)
    }

    #[test]
    fn what_a_worker_holds_is_found_while_nothing_waits() {
        for truth in [1.0, 2.0, 4.0, 10.0] {
            for order_seconds in [5.0, 60.0, 300.0] {
                let (believed, deepest, trial) = live(truth, 60.0, order_seconds, 1.0);
                let case =
                    format!("{truth} at once, {order_seconds} s: {believed}, {deepest} waited, {trial:?}");
                // A queue that is gone at once tells no more than that the last step was too much.
                assert!((0.7..1.05).contains(&(believed / truth)), "{case}");
            }
        }
    }

    #[test]
    fn workers_that_hold_one_are_found_out_by_few_orders() {
        let (believed, deepest, _) = live(1.0, 40.0, 60.0, 1.0);
        assert!((believed - 1.0).abs() < 1e-9, "{believed}");
        assert!(deepest < 20.0, "{deepest} orders waited");
    }

    #[test]
    fn nothing_is_tried_where_the_wait_leaves_no_room_or_workers_are_few() {
        for (load, longest_step) in [(60.0, 0.1), (1.0, 1.0)] {
            let (believed, ..) = live(4.0, load, 60.0, longest_step);
            assert!((believed - 1.0).abs() < 1e-9, "{believed} for a load of {load}");
        }
    }

    #[test]
    fn orders_that_wait_in_hand_are_no_work() {
        let mut trial = Trial::default();
        trial.allow(1.0);
        let mut believed = 1.0_f64;
        for step in 0..480_u32 {
            let at = f64::from(step) * 15.0;
            // They take what there is, and complete one after the other, 20 s each.
            let ready = (22.0 / believed).ceil();
            let done = (0.75 * ready).min(15.0);
            let in_flight = if ready < 20.5 { 3.0 * ready } else { 20.0 };
            let seen = Seen { at, visible: 0.0, in_flight, ready, at_work: ready, order_seconds: 20.0 };
            believed = trial.read(seen, believed).unwrap_or(believed);
            let done = Done {
                seconds: 15.0,
                orders: done,
                in_flight_seconds: 15.0 * in_flight,
                at_work_seconds: 15.0 * ready,
                ..Done::default()
            };
            believed = trial.tell(at, done, 20.0, believed).unwrap_or(believed);
            assert!(believed < 1.6, "{believed} believed of workers that do one at a time");
        }
    }

    #[test]
    fn idle_workers_beside_a_queue_and_single_readings_settle_nothing() {
        for (visible, in_flight) in [(30.0, 12.0), (2.0, 20.0)] {
            let mut trial = Trial::default();
            for step in 0..20_u32 {
                let at = f64::from(step) * 15.0;
                let seen = Seen { at, visible, in_flight, ready: 20.0, at_work: 20.0, order_seconds: 60.0 };
                assert_eq!(trial.read(seen, 1.0), None);
            }
            assert!(!trial.is_settled(), "{visible} visible, {in_flight} in flight");
        }
    }

    #[test]
    fn more_in_hand_than_there_are_workers_tells_that_they_hold_more() {
        let read = |in_flights: &[f64]| {
            let mut trial = Trial::default();
            let mut believed = 1.0;
            for (step, in_flight) in (0_u32..).zip(in_flights) {
                let at = f64::from(step) * 15.0;
                let (in_flight, ready, order_seconds) = (*in_flight, 10.0, f64::INFINITY);
                let seen = Seen { at, visible: 0.0, in_flight, ready, at_work: ready, order_seconds };
                believed = trial.read(seen, believed).unwrap_or(believed);
            }
            believed
        };
        assert!((read(&[12.0, 17.0, 17.0]) - 2.0).abs() < 1e-9);
        assert!((read(&[36.0; 12]) - 4.0).abs() < 1e-9);
        assert!((read(&[10.0, 11.0, 10.0, 12.0, 9.0, 11.0, 10.0, 12.0]) - 1.0).abs() < 1e-9, "noise");
        assert!((read(&[9.0, 60.0, 9.0, 9.0]) - 1.0).abs() < 1e-9, "one reading");
    }

    #[test]
    fn more_in_hand_than_is_believed_opens_what_was_settled() {
        let mut trial = Trial::default();
        trial.settle();
        for at in [0.0, 15.0] {
            let seen =
                Seen { at, visible: 0.0, in_flight: 90.0, ready: 30.0, at_work: 30.0, order_seconds: 60.0 };
            trial.read(seen, 1.0);
        }
        assert!(!trial.is_settled());
    }
}
