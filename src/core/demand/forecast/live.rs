//! The forecast as the planner uses it: closed intervals in, an outlook from now out.
//!
//! Slots fill up as intervals come; a day that is over goes into the model. The outlook is the
//! model's curve, corrected by the intraday ratio, leaning on the present rate for the next
//! minutes.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::conformal::Conformal;
use super::day::DayModel;
use super::distribution::count_quantile;
use super::event::{Event, change_over};
use super::grid::{
    DayClock, LONGEST_GAP_DAYS, Place, days_between, for_each_piece, later, seconds_between, usable, weekday,
};
use super::intraday::Intraday;
use super::today::Today;
use super::walk::{Piece, Walk};
use super::watch::{WATCHED_DAYS, Watch};
use crate::core::demand::calendar::{Calendar, LearnedHolidays};
use crate::core::demand::outlook::{ArrivalForecast, Distrust, ForecastQuality, Outlook, PresentRate};
use crate::core::observation::Interval;

/// Days of history without which there is no forecast.
const NEEDED_DAYS: f64 = 3.0;
/// Hours without arrivals known after which there is none either.
const STALE_HOURS: f64 = 24.0;
/// The furthest outlook, in seconds.
const LONGEST_HORIZON_SECONDS: f64 = 8.0 * 86_400.0;
/// A holiday of which less than this part is known, by what was expected, teaches nothing.
const LEAST_HOLIDAY_KNOWN: f64 = 0.7;
/// Seen over expected in the last half hour, either way, from which the forecast is given up ...
const SURPRISE_RATIO: f64 = 4.0;
/// ... where it is also this many standard deviations away.
const SURPRISE_DEVIATIONS: f64 = 4.0;

/// What one slot is expected to bring.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SlotForecast {
    /// Start of the slot, or of what is left of it.
    pub from: Timestamp,
    /// End, excluded.
    pub to: Timestamp,
    /// Orders expected.
    pub mean: f64,
    /// Quantiles at the levels asked for.
    pub quantiles: Vec<f64>,
}

/// Forecast of one stream of orders, fed by its closed intervals.
#[derive(Debug, Clone)]
pub struct ProfileForecast {
    slot_seconds: f64,
    clock: DayClock,
    model: DayModel,
    intraday: Intraday,
    events: Vec<Event>,
    calendar: Option<Arc<Calendar>>,
    holidays: LearnedHolidays,
    event_conformal: Conformal,
    today: Option<Today>,
    last_end: Option<Timestamp>,
    seen_date: Option<Date>,
    days: f64,
    watch: Watch,
    /// What the model calls itself: the same all day.
    summary: String,
}

impl ProfileForecast {
    /// A forecast that has seen nothing; `slot_seconds` divides a day, 300 to 3600
    /// ([`super::slot_seconds_for`]).
    pub fn new(zone: TimeZone, slot_seconds: f64) -> Self {
        let clock = DayClock::new(zone, slot_seconds);
        let model = DayModel::new(clock.slots());
        Self {
            slot_seconds,
            summary: model.summary(),
            model,
            intraday: Intraday::new(slot_seconds),
            clock,
            events: Vec::new(),
            calendar: None,
            holidays: LearnedHolidays::default(),
            event_conformal: Conformal::new(),
            today: None,
            last_end: None,
            seen_date: None,
            days: 0.0,
            watch: Watch::new(),
        }
    }

    /// Sets what is known of peaks and closures, past ones too: those are kept out of profile and
    /// level when their intervals come. Where events overlap, their uplifts multiply and what they
    /// add adds up. A calendar makes events of its own, in the place of these.
    pub fn set_events(&mut self, mut events: Vec<Event>) {
        events.sort_by_key(|event| event.from);
        self.events = events;
    }

    /// Names and weights of the candidate models in use, heaviest first.
    pub fn candidates(&self) -> Vec<(String, f64)> {
        let mut weights = self.model.weights();
        weights.sort_by(|one, other| other.1.total_cmp(&one.1));
        weights
    }

    /// End of the last interval seen.
    pub fn last_end(&self) -> Option<Timestamp> {
        self.last_end
    }

    /// Orders expected in `[from, to)` as of the last interval seen, with or without the
    /// correction by the intraday ratio.
    ///
    /// # Errors
    /// [`Distrust`] where history is too short or the end lies too far ahead.
    pub fn expected(&mut self, from: Timestamp, to: Timestamp, with_ratio: bool) -> Result<f64, Distrust> {
        self.check_history()?;
        check_horizon(self.since_last(to))?;
        Ok(self.walk(with_ratio).map_or(0.0, |mut walk| walk.expected(from, to)))
    }

    /// Orders that such a time ordinarily brings, as of the last interval seen: by weekday and time
    /// of day of the week that begins with its day, peaks and closures left out of account.
    ///
    /// # Errors
    /// [`Distrust`] where history is too short.
    pub fn ordinary(&mut self, from: Timestamp, to: Timestamp) -> Result<f64, Distrust> {
        self.check_history()?;
        Ok(self.walk(false).map_or(0.0, |mut walk| walk.ordinary(from, to)))
    }

    /// Slot by slot from `from` on, with quantiles at `levels` (each in `0..1`).
    ///
    /// # Errors
    /// [`Distrust`] where history is too short or the horizon too long.
    pub fn slots(
        &mut self,
        from: Timestamp,
        horizon_seconds: f64,
        levels: &[f64],
    ) -> Result<Vec<SlotForecast>, Distrust> {
        self.check_history()?;
        check_horizon(self.since_last(from) + horizon_seconds)?;
        let end = later(from, horizon_seconds);
        let mut slots = Vec::new();
        let (conformal, event_conformal) = (self.model.conformal().clone(), self.event_conformal.clone());
        let Some(mut walk) = self.walk(true) else {
            return Ok(slots);
        };
        walk.for_each(from, end, |piece| {
            let conformal = if piece.in_event { &event_conformal } else { &conformal };
            let variance = piece.apart + piece.common * piece.common;
            let quantile = |level: &f64| count_quantile(piece.mean, variance, conformal.score(*level));
            slots.push(SlotForecast {
                from: piece.from,
                to: piece.to,
                mean: piece.mean,
                quantiles: levels.iter().map(quantile).collect(),
            });
        });
        Ok(slots)
    }

    /// A local day ahead by slots of the wall clock, as if each were passed once (those that clocks skip
    /// bring nothing), without the correction by the intraday ratio: orders expected by slot, and the
    /// quantiles by level, then slot.
    ///
    /// # Errors
    /// [`Distrust`] where history is too short or the day too far ahead.
    pub fn day(&mut self, date: Date, levels: &[f64]) -> Result<(Vec<f64>, Vec<Vec<f64>>), Distrust> {
        self.check_history()?;
        let midnight =
            |date: Date| date.to_zoned(self.clock.zone()).map_or(Timestamp::MAX, |start| start.timestamp());
        let (from, to) = (midnight(date), date.tomorrow().map_or(Timestamp::MAX, midnight));
        check_horizon(self.since_last(to))?;
        let mut clock = self.clock.clone();
        let mut sums = vec![SlotSum::default(); clock.slots()];
        if let Some(mut walk) = self.walk(false) {
            walk.for_each(from, to, |piece| sums[clock.place(piece.from).slot].add(&piece));
        }
        let passed = |sum: &SlotSum| sum.seconds / self.slot_seconds;
        let once = |sum: &SlotSum, orders: f64| if sum.seconds > 0.0 { orders / passed(sum) } else { 0.0 };
        let quantile = |sum: &SlotSum, level: f64| {
            let conformal = if sum.in_event { &self.event_conformal } else { self.model.conformal() };
            let variance = sum.apart + sum.common * sum.common;
            once(sum, count_quantile(sum.mean, variance, conformal.score(level)))
        };
        let means = sums.iter().map(|sum| once(sum, sum.mean)).collect();
        let at = |level: &f64| sums.iter().map(|sum| quantile(sum, *level)).collect();
        Ok((means, levels.iter().map(at).collect()))
    }

    fn walk(&mut self, with_ratio: bool) -> Option<Walk<'_>> {
        let correction = with_ratio.then(|| self.intraday.correction());
        let today = self.today.as_mut()?;
        Some(Walk {
            clock: self.clock.clone(),
            slot_seconds: self.slot_seconds,
            model: &self.model,
            today: today.seen.date,
            before: today.before,
            ahead: &mut today.ahead,
            correction,
            seen_date: self.seen_date.unwrap_or(today.seen.date),
            as_of: self.last_end.unwrap_or(Timestamp::MIN),
            events: &self.events,
            slot: None,
        })
    }

    fn since_last(&self, moment: Timestamp) -> f64 {
        self.last_end.map_or(0.0, |end| seconds_between(end, moment))
    }

    fn check_history(&self) -> Result<(), Distrust> {
        if self.days < NEEDED_DAYS || self.today.is_none() {
            return Err(Distrust::ShortHistory { days: self.days, needed_days: NEEDED_DAYS });
        }
        Ok(())
    }

    /// Whether the forecast is to be used at `now`.
    ///
    /// # Errors
    /// [`Distrust`] with the reason why not.
    pub fn trusted(&self, now: Timestamp) -> Result<(), Distrust> {
        self.check_history()?;
        let hours = self.since_last(now) / 3600.0;
        if hours > STALE_HOURS {
            return Err(Distrust::StaleHistory { hours, limit_hours: STALE_HOURS });
        }
        self.watch.check()?;
        if let Some((ratio, deviations)) = self.intraday.surprise() {
            let strange = !(1.0 / SURPRISE_RATIO..=SURPRISE_RATIO).contains(&ratio);
            if strange && deviations.abs() > SURPRISE_DEVIATIONS {
                return Err(Distrust::Surprise { ratio, limit: SURPRISE_RATIO });
            }
        }
        Ok(())
    }

    fn fold(&mut self, place: Place, seconds: f64, count: f64, from: Timestamp) {
        self.advance(place);
        self.seen_date = Some(place.date);
        let change = change_over(&self.events, from, later(from, seconds));
        let Some(today) = &mut self.today else { return };
        if today.seen.date != place.date {
            return;
        }
        let share = seconds / self.slot_seconds;
        let expected = match change {
            Some(change) => today.orders(place, share) * change.uplift + seconds * change.added_per_second,
            None => today.orders(place, share),
        };
        let (mean, variance) = (today.ahead[0].mean(place.slot), today.ahead[0].variance(place.slot));
        let dispersion = if mean > 0.0 { variance / mean } else { 0.0 };
        self.intraday.observe(seconds, count, expected, dispersion);
        today.count(place.slot, seconds, count, change);
    }

    /// Closes slots and days until the one of `place` is open.
    fn advance(&mut self, place: Place) {
        let slots = self.clock.slots();
        let before = self.today.as_ref().map(|today| today.seen.date);
        let gap = self.today.as_ref().map_or(0, |today| days_between(today.seen.date, place.date));
        if gap > LONGEST_GAP_DAYS {
            let (events, calendar) = (std::mem::take(&mut self.events), self.calendar.take());
            *self = Self { events, calendar, ..Self::new(self.clock.zone(), self.slot_seconds) };
        }
        while let Some(today) = self.today.take() {
            if today.seen.date >= place.date {
                self.today = Some(today);
                break;
            }
            let next = today.seen.date.tomorrow().unwrap_or(place.date);
            self.today = Some(self.close_day(today, next));
        }
        let Some(today) = &mut self.today else {
            self.today = Some(Today::new(
                place.date,
                slots,
                0.0,
                &self.model.forecast(weekday(place.date), 0),
                place.slot,
            ));
            self.renew_events();
            return;
        };
        if before != Some(today.seen.date) {
            self.renew_events();
        }
        let Some(today) = &mut self.today else { return };
        while today.slot < place.slot && today.seen.date == place.date {
            let known = today.known(today.slot, self.slot_seconds);
            self.intraday.close_slot(today.slot, known);
            today.slot += 1;
        }
    }

    /// Makes the calendar's events anew from what the model takes for ordinary today, as far as a
    /// look ahead can reach.
    fn renew_events(&mut self) {
        let Some(calendar) = self.calendar.clone() else { return };
        let Some(today) = &self.today else { return };
        let Ok(midnight) = today.seen.date.to_zoned(self.clock.zone()) else { return };
        let (from, to) =
            (later(midnight.timestamp(), -2.0 * 86_400.0), later(midnight.timestamp(), 11.0 * 86_400.0));
        let learned = self.holidays.clone();
        let Some(mut walk) = self.walk(false) else { return };
        let events = calendar.events(from, to, &learned, Some(&mut |from, to| walk.ordinary(from, to)));
        self.events = events;
    }

    fn close_day(&mut self, mut today: Today, next: Date) -> Today {
        let slots = self.clock.slots();
        while today.slot < slots {
            let known = today.known(today.slot, self.slot_seconds);
            self.intraday.close_slot(today.slot, known);
            today.slot += 1;
        }
        let values = today.seen.values(self.slot_seconds);
        if self.days >= WATCHED_DAYS as f64 {
            self.watch.add(&today.ahead[0], self.model.conformal(), &values);
        }
        self.learn_event(&today);
        self.learn_holiday(&today);
        let day = today.seen.weekday();
        let known = today.seen.slots().map(|(_, covered)| covered).sum::<f64>() / 86_400.0;
        self.days += known.min(1.0);
        let before = today.ahead[0].mean(slots - 1);
        self.model.learn(day, &values);
        self.summary = self.model.summary();
        Today::new(next, slots, before, &self.model.forecast(weekday(next), 0), 0)
    }

    /// Measures a public holiday that passed, where nothing else was said of its day.
    fn learn_holiday(&mut self, today: &Today) {
        let (Some(calendar), Some(in_events)) = (&self.calendar, &today.in_events) else { return };
        let midnight = |date: Date| date.to_zoned(self.clock.zone()).map(|start| start.timestamp());
        let (Ok(from), Ok(to)) = (midnight(today.seen.date), today.seen.date.tomorrow().and_then(midnight))
        else {
            return;
        };
        let Some(name) = calendar.lone_holiday(from, to) else { return };
        let seen: f64 = in_events.counts.slots().map(|(count, _)| count).sum();
        let covered = in_events.counts.slots().map(|(_, covered)| covered / self.slot_seconds);
        let whole: f64 = today.ahead[0].means().sum();
        let expected: f64 = today.ahead[0].means().zip(covered).map(|(mean, share)| mean * share).sum();
        if self.days >= NEEDED_DAYS && expected > LEAST_HOLIDAY_KNOWN * whole {
            self.holidays.learn(name, seen / expected);
        }
    }

    fn learn_event(&mut self, today: &Today) {
        let Some(in_events) = &today.in_events else { return };
        let values = in_events.counts.values(self.slot_seconds);
        let (mean, variance) = today.expected_in(in_events, self.slot_seconds);
        self.event_conformal.learn_day(&values, &mean, &variance);
    }
}

impl ArrivalForecast for ProfileForecast {
    fn observe(&mut self, interval: &Interval) {
        let mut interval = *interval;
        if !usable(&interval) {
            return;
        }
        if let Some(end) = self.last_end.filter(|end| interval.from < *end) {
            // what was told before is not told again
            let kept = seconds_between(end, interval.to) / seconds_between(interval.from, interval.to);
            interval = Interval { from: end, count: interval.count * kept.max(0.0), ..interval };
            if kept <= 0.0 {
                return;
            }
        } else if let Some(end) = self.last_end {
            self.intraday.skip(seconds_between(end, interval.from));
        }
        let mut clock = self.clock.clone();
        let mut from = interval.from;
        for_each_piece(&mut clock, &interval, |place, seconds, count| {
            self.fold(place, seconds, count, from);
            from = later(from, seconds);
        });
        let end = clock.place(interval.to);
        self.clock = clock;
        self.last_end = Some(interval.to);
        if self.seen_date.is_some_and(|seen| seen < end.date) {
            // The day is over: it is learned now, not with what comes next.
            self.advance(end);
        }
    }

    fn outlook(
        &mut self,
        now: Timestamp,
        present: &PresentRate,
        horizon_seconds: f64,
    ) -> Result<Outlook, Distrust> {
        self.trusted(now)?;
        let horizon_in_bounds = (1.0..=LONGEST_HORIZON_SECONDS).contains(&horizon_seconds);
        if !horizon_in_bounds {
            return Err(Distrust::Horizon {
                seconds: horizon_seconds,
                limit_seconds: LONGEST_HORIZON_SECONDS,
            });
        }
        let spread = self.model.conformal().spread();
        let model = self.summary.clone();
        let end = later(now, horizon_seconds);
        let knots = self.walk(true).map(|mut walk| {
            // They ascend; what begins later need not be looked at for every piece.
            walk.events = &walk.events[..walk.events.partition_point(|event| event.from < end)];
            walk.knots(now, present, horizon_seconds, spread)
        });
        Ok(Outlook { model, knots: knots.unwrap_or_default() })
    }

    fn set_calendar(&mut self, calendar: &Arc<Calendar>) {
        self.events.clear();
        self.calendar = Some(Arc::clone(calendar));
        self.renew_events();
    }

    fn ordinary_orders(&mut self, from: Timestamp, to: Timestamp) -> Option<f64> {
        self.ordinary(from, to).ok()
    }

    fn learned_holidays(&self) -> Option<&LearnedHolidays> {
        Some(&self.holidays)
    }

    fn quality(&self) -> Option<ForecastQuality> {
        self.watch.quality()
    }

    fn boxed_clone(&self) -> Box<dyn ArrivalForecast> {
        Box::new(self.clone())
    }
}

/// What the pieces of one slot bring together.
#[derive(Debug, Clone, Copy, Default)]
struct SlotSum {
    seconds: f64,
    mean: f64,
    apart: f64,
    common: f64,
    in_event: bool,
}

impl SlotSum {
    fn add(&mut self, piece: &Piece) {
        self.seconds += piece.seconds;
        self.mean += piece.mean;
        self.apart += piece.apart;
        self.common += piece.common;
        self.in_event |= piece.in_event;
    }
}

fn check_horizon(seconds: f64) -> Result<(), Distrust> {
    if seconds > LONGEST_HORIZON_SECONDS {
        return Err(Distrust::Horizon { seconds, limit_seconds: LONGEST_HORIZON_SECONDS });
    }
    Ok(())
}
