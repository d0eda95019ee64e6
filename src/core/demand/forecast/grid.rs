//! Time as the forecast sees it: local days of equal slots, cut out of absolute intervals.
//!
//! A slot is a piece of wall-clock time. On the day that clocks go forward the skipped slots are
//! missing; on the day that they go back a slot is passed twice and covers twice its seconds. A
//! slot's value is therefore always a rate over the seconds that were covered.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::core::observation::{Interval, MOST_COUNT};

const DAY_SECONDS: f64 = 86_400.0;
/// A slot of which less than this share was covered counts as missing.
const LEAST_KNOWN_SHARE: f64 = 0.5;
/// A gap longer than this starts history anew.
pub(super) const LONGEST_GAP_DAYS: i32 = 800;
/// Longer intervals say nothing about the shape of a day, and are left out.
const LONGEST_INTERVAL_SECONDS: f64 = 8.0 * DAY_SECONDS;

/// A slot length that divides a day, nearest to the wish, between 5 minutes and an hour.
pub fn slot_seconds_for(wish_seconds: f64) -> f64 {
    const LENGTHS: [f64; 6] = [300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0];
    LENGTHS.into_iter().find(|length| wish_seconds <= *length).unwrap_or(3600.0)
}

/// Where a moment lies: its day, its slot, and until when it stays in that slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) date: Date,
    pub(super) slot: usize,
    /// Share of the slot that has passed on the wall clock, in `0..1`.
    pub(super) passed: f64,
    pub(super) until: Timestamp,
    /// Start of its day; `None` where clocks change on that day.
    day_start: Option<Timestamp>,
}

/// Finds places; remembers the day it was last asked for, as time mostly stays within it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DayClock {
    zone: TimeZone,
    slot_seconds: f64,
    day: Option<(Date, Timestamp, Timestamp, bool)>,
}

impl DayClock {
    pub(super) fn new(zone: TimeZone, slot_seconds: f64) -> Self {
        Self { zone, slot_seconds, day: None }
    }

    pub(super) fn zone(&self) -> TimeZone {
        self.zone.clone()
    }

    /// Slots in a day.
    pub(super) fn slots(&self) -> usize {
        whole((DAY_SECONDS / self.slot_seconds).round())
    }

    pub(super) fn place(&mut self, at: Timestamp) -> Place {
        let (date, start, _, plain) = self.day_of(at);
        if plain {
            let since = seconds_between(start, at);
            let slot = whole(since / self.slot_seconds).min(self.slots() - 1);
            let end = (slot + 1) as f64 * self.slot_seconds;
            let passed = self.passed(slot, since);
            return Place { date, slot, passed, until: later(start, end), day_start: Some(start) };
        }
        let time = self.zone.to_datetime(at).time();
        let since = f64::from(time.hour()) * 3600.0
            + f64::from(time.minute()) * 60.0
            + f64::from(time.second())
            + f64::from(time.subsec_nanosecond()) * 1e-9;
        let slot = whole(since / self.slot_seconds).min(self.slots() - 1);
        let left = (slot + 1) as f64 * self.slot_seconds - since;
        let passed = 1.0 - left / self.slot_seconds;
        let mut until = later(at, left);
        if let Some(change) = self.zone.following(at).next() {
            until = until.min(change.timestamp());
        }
        Place { date, slot, passed, until, day_start: None }
    }

    /// A later moment in the slot of `before`, found without looking for the slot again; `None` where
    /// it has to be.
    pub(super) fn place_within(&self, before: &Place, at: Timestamp) -> Option<Place> {
        let start = before.day_start.filter(|_| at < before.until)?;
        Some(Place { passed: self.passed(before.slot, seconds_between(start, at)), ..*before })
    }

    /// Share of a slot that has passed so many seconds after the start of its day.
    fn passed(&self, slot: usize, since: f64) -> f64 {
        (since - slot as f64 * self.slot_seconds) / self.slot_seconds
    }

    fn day_of(&mut self, at: Timestamp) -> (Date, Timestamp, Timestamp, bool) {
        if let Some(day) = self.day.filter(|(_, start, end, _)| *start <= at && at < *end) {
            return day;
        }
        let date = self.zone.to_datetime(at).date();
        let start = self.start_of(date).unwrap_or(Timestamp::MIN).min(at);
        let end = date.tomorrow().ok().and_then(|date| self.start_of(date)).unwrap_or(Timestamp::MAX);
        let same_offset = self.zone.to_offset(start) == self.zone.to_offset(end);
        let plain = same_offset && (seconds_between(start, end) - DAY_SECONDS).abs() < 0.5;
        let day = (date, start, end, plain);
        self.day = Some(day);
        day
    }

    fn start_of(&self, date: Date) -> Option<Timestamp> {
        Some(date.to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}

/// Counts of one local day, and how many seconds of each slot they cover.
#[derive(Debug, Clone, PartialEq)]
pub struct DayCounts {
    /// The local date.
    pub date: Date,
    /// Orders and seconds covered, by slot.
    slots: Box<[(f32, f32)]>,
}

impl DayCounts {
    pub(super) fn new(date: Date, slots: usize) -> Self {
        Self { date, slots: vec![(0.0, 0.0); slots].into() }
    }

    pub(super) fn add(&mut self, slot: usize, seconds: f64, count: f64) {
        let (counted, covered) = &mut self.slots[slot];
        *counted = single(f64::from(*counted) + count);
        *covered = single(f64::from(*covered) + seconds);
    }

    /// Orders and seconds covered of a slot.
    pub fn slot(&self, slot: usize) -> (f64, f64) {
        let (count, covered) = self.slots[slot];
        (f64::from(count), f64::from(covered))
    }

    /// The same of every slot.
    pub fn slots(&self) -> impl Iterator<Item = (f64, f64)> {
        (0..self.slots.len()).map(|slot| self.slot(slot))
    }

    /// Orders a slot, as if every slot had been covered once; `NaN` where missing.
    pub fn values(&self, slot_seconds: f64) -> Vec<f64> {
        let value = |(count, covered): (f64, f64)| {
            if covered < LEAST_KNOWN_SHARE * slot_seconds { f64::NAN } else { count * slot_seconds / covered }
        };
        self.slots().map(value).collect()
    }

    /// Monday is 0.
    pub fn weekday(&self) -> usize {
        weekday(self.date)
    }
}

/// Monday is 0.
pub(super) fn weekday(date: Date) -> usize {
    usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0)
}

/// Whole days from `from` to `to`; negative where `to` is earlier.
pub(super) fn days_between(from: Date, to: Date) -> i32 {
    from.duration_until(to).as_hours().div_euclid(24).try_into().unwrap_or(i32::MAX)
}

/// Cuts intervals into local days, in order, with empty days between where history has gaps.
pub fn days_of(intervals: &[Interval], zone: &TimeZone, slot_seconds: f64) -> Vec<DayCounts> {
    let mut clock = DayClock::new(zone.clone(), slot_seconds);
    let slots = clock.slots();
    let mut days: Vec<DayCounts> = Vec::new();
    for interval in intervals {
        for_each_piece(&mut clock, interval, |place, seconds, count| {
            if days.last().is_some_and(|last| days_between(last.date, place.date) > LONGEST_GAP_DAYS) {
                days.clear();
            }
            while let Some(last) = days.last().filter(|last| last.date < place.date) {
                let Ok(next) = last.date.tomorrow() else {
                    break;
                };
                days.push(DayCounts::new(next, slots));
            }
            if days.is_empty() {
                days.push(DayCounts::new(place.date, slots));
            }
            if let Some(day) = days.last_mut().filter(|day| day.date == place.date) {
                day.add(place.slot, seconds, count);
            }
        });
    }
    days
}

/// Hands out an interval slot by slot: where, how many seconds, how many orders.
pub(super) fn for_each_piece(
    clock: &mut DayClock,
    interval: &Interval,
    mut piece: impl FnMut(Place, f64, f64),
) {
    let total = seconds_between(interval.from, interval.to);
    if !usable(interval) {
        return;
    }
    let mut at = interval.from;
    while at < interval.to {
        let place = clock.place(at);
        let until = place.until.min(interval.to);
        if until <= at {
            return;
        }
        let seconds = seconds_between(at, until);
        piece(place, seconds, interval.count * seconds / total);
        at = until;
    }
}

/// Whether an interval says anything: a finite count, not negative, over at most some days.
pub(super) fn usable(interval: &Interval) -> bool {
    let seconds = seconds_between(interval.from, interval.to);
    (0.0..=MOST_COUNT).contains(&interval.count) && seconds > 0.0 && seconds <= LONGEST_INTERVAL_SECONDS
}

/// The whole part of a small number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "slots of a day and steps between them: small and never negative"
)]
pub(super) fn whole(value: f64) -> usize {
    value as usize
}

/// A figure as it is kept from day to day: to seven digits, in half the memory. One beyond all counts
/// becomes the largest there is.
#[expect(clippy::cast_possible_truncation, reason = "no count is known to more than seven digits")]
pub(super) fn single(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// Seconds from one moment to another, negative where it is earlier.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let whole = to.as_second() - from.as_second();
    whole as f64 + f64::from(to.subsec_nanosecond() - from.subsec_nanosecond()) * 1e-9
}

/// The moment so many seconds later, at the end of time at the latest.
#[expect(clippy::cast_possible_truncation, reason = "whole seconds within bounds, and less than one")]
pub(crate) fn later(at: Timestamp, seconds: f64) -> Timestamp {
    const FURTHEST: f64 = 1e12;
    if !(-FURTHEST..FURTHEST).contains(&seconds) {
        return Timestamp::MAX;
    }
    let whole = seconds as i64;
    // Half a nanosecond and more counts as one.
    let nanoseconds = ((seconds - whole as f64) * 1e9 + 0.5_f64.copysign(seconds)) as i32;
    let later = if nanoseconds == 0 {
        // Most steps are of whole seconds: no carrying over.
        Timestamp::new(at.as_second() + whole, at.subsec_nanosecond())
    } else {
        at.checked_add(jiff::SignedDuration::new(whole, nanoseconds))
    };
    later.unwrap_or(Timestamp::MAX)
}
