//! From the document to a calendar, or to everything that is wrong with it.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::document::{CalendarSpec, ClosureSpec, CutOffSpec, HolidaySpec, PeakSpec, PublicHolidaySpec};
use super::holidays::{self, HolidayDay, Holidays};
use super::{Calendar, Closure, CutOffException, Peak, Problem, Rise};
use crate::core::demand::forecast::seconds_between;
use crate::core::observation::MOST_COUNT;

/// Most entries of one list: a typing error must not make the planner slow.
const MOST_ENTRIES: usize = 1000;
const LARGEST_UPLIFT: f64 = 100.0;
const LONGEST_RAMP_SECONDS: f64 = 86_400.0;
const LONGEST_WINDOW_SECONDS: f64 = 86_400.0;
const LONGEST_NAME: usize = 100;
/// What a public holiday may be like.
pub const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Calendar {
    /// Checks a document.
    ///
    /// # Errors
    /// All problems, in the order of the document.
    pub fn new(spec: &CalendarSpec) -> Result<Self, Vec<Problem>> {
        let mut check = Check { problems: Vec::new(), path: String::new() };
        let zone = check.zone("timeZone", spec.time_zone.as_deref(), TimeZone::UTC);
        let mut calendar = Self::default();
        check.each("peaks", &spec.peaks, |check, peak| {
            calendar.peaks.extend(check.peak(peak, &zone));
        });
        check.each("closures", &spec.closures, |check, closure| {
            calendar.closures.extend(check.closure(closure, &zone));
        });
        check.each("holidays", &spec.holidays, |check, holiday| {
            check.holiday(holiday, &zone, &mut calendar);
        });
        check.each("publicHolidays", &spec.public_holidays, |check, holidays| {
            calendar.holidays.extend(check.public_holidays(holidays, &zone));
        });
        check.each("cutOffs", &spec.cut_offs, |check, cut_off| {
            let Some(exception) = check.cut_off(cut_off) else { return };
            check.contradiction(&calendar.cut_offs, &exception);
            calendar.cut_offs.push(exception);
        });
        if check.problems.is_empty() { Ok(calendar) } else { Err(check.problems) }
    }
}

struct Check {
    problems: Vec<Problem>,
    path: String,
}

impl Check {
    fn each<T>(&mut self, list: &str, items: &[T], mut visit: impl FnMut(&mut Self, &T)) {
        if items.len() > MOST_ENTRIES {
            self.path.clear();
            self.wrong(list, format!("has {} entries, at most {MOST_ENTRIES} are taken", items.len()));
        }
        for (index, item) in items.iter().take(MOST_ENTRIES).enumerate() {
            self.path = format!("{list}[{index}]");
            visit(self, item);
        }
        self.path.clear();
    }

    fn wrong(&mut self, key: &str, message: String) {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.problems.push(Problem { path, message });
    }

    fn peak(&mut self, spec: &PeakSpec, zone: &TimeZone) -> Option<Peak> {
        let before = self.problems.len();
        self.text("name", &spec.name);
        if let Some(by) = &spec.by {
            self.text("by", by);
        }
        let zone = self.zone("timeZone", spec.time_zone.as_deref(), zone.clone());
        let span = self.span(&spec.from, &spec.to, &zone);
        let rise = self.rise(spec, span);
        let share = self.share(spec);
        let confidence = self.confidence(spec.confidence);
        let ramp_seconds = self.ramp(spec, span);
        self.shape(spec, span, &zone);
        let (from, to) = span?;
        let peak = Peak {
            name: spec.name.clone(),
            by: spec.by.clone(),
            from,
            to,
            zone,
            rise: rise?,
            share,
            confidence,
            ramp_seconds,
            shape: spec.shape.clone(),
        };
        (self.problems.len() == before).then_some(peak)
    }

    fn rise(&mut self, spec: &PeakSpec, span: Option<(Timestamp, Timestamp)>) -> Option<Rise> {
        match (spec.uplift, spec.orders, spec.orders_per_hour) {
            (Some(uplift), None, None) => {
                self.number("uplift", uplift, LARGEST_UPLIFT);
                Some(Rise::Uplift(uplift))
            }
            (None, Some(orders), None) => {
                self.number("orders", orders, MOST_COUNT);
                Some(Rise::Orders(orders))
            }
            (None, None, Some(rate)) => {
                self.number("ordersPerHour", rate, MOST_COUNT);
                span.map(|(from, to)| Rise::Orders(rate * seconds_between(from, to) / 3600.0))
            }
            (None, None, None) => {
                self.wrong(
                    "uplift",
                    "is missing; give one of uplift (like 5), orders (like 20000) and ordersPerHour"
                        .to_owned(),
                );
                None
            }
            _ => {
                let key = if spec.uplift.is_some() { "uplift" } else { "orders" };
                self.wrong(
                    key,
                    "stands beside another of uplift, orders and ordersPerHour; keep one".to_owned(),
                );
                None
            }
        }
    }

    fn share(&mut self, spec: &PeakSpec) -> f64 {
        match (spec.share, &spec.by, spec.uplift) {
            (Some(share), None, _) => {
                self.wrong(
                    "share",
                    format!("is {share} of no e-shop; name the e-shop in by, or leave it out"),
                );
                1.0
            }
            (Some(share), Some(_), _) => {
                self.number("share", share, 1.0);
                share
            }
            (None, None, _) => 1.0,
            (None, Some(by), Some(_)) => {
                self.wrong(
                    "share",
                    format!("is missing; an uplift by {by:?} needs its part of ordinary orders, like 0.3"),
                );
                1.0
            }
            // What an e-shop promises is on top, as long as nobody says what it ordinarily brings.
            (None, Some(_), None) => 0.0,
        }
    }

    fn confidence(&mut self, confidence: Option<f64>) -> f64 {
        let confidence = confidence.unwrap_or(1.0);
        self.number("confidence", confidence, 1.0);
        confidence
    }

    fn ramp(&mut self, spec: &PeakSpec, span: Option<(Timestamp, Timestamp)>) -> f64 {
        let Some(text) = &spec.ramp else { return 0.0 };
        let Some(ramp) = self.duration("ramp", text, LONGEST_RAMP_SECONDS) else { return 0.0 };
        if spec.shape.is_some() && ramp > 0.0 {
            self.wrong("ramp", format!("is {text} beside a shape, which says how orders rise; keep one"));
        }
        let half = span.map_or(f64::MAX, |(from, to)| 0.5 * seconds_between(from, to));
        if spec.uplift.is_none() && ramp > half {
            self.wrong("ramp", format!("is {text}, longer than half of the time of the promised orders"));
        }
        ramp
    }

    fn shape(&mut self, spec: &PeakSpec, span: Option<(Timestamp, Timestamp)>, zone: &TimeZone) {
        let Some(shape) = &spec.shape else { return };
        if shape.len() != 24 {
            self.wrong(
                "shape",
                format!("has {} weights, must have 24: one a local hour from 00:00", shape.len()),
            );
            return;
        }
        if let Some(weight) = shape.iter().find(|weight| !(0.0..=MOST_COUNT).contains(*weight)) {
            self.wrong("shape", format!("has a weight of {weight}, must be numbers of at least 0"));
            return;
        }
        let some = span.is_none_or(|(from, to)| {
            super::effect::local_hours(from, to, zone).any(|(_, _, hour)| shape[hour] > 0.0)
        });
        if !some {
            self.wrong("shape", "has no weight above 0 in the peak's hours, must have one".to_owned());
        }
    }

    fn closure(&mut self, spec: &ClosureSpec, zone: &TimeZone) -> Option<Closure> {
        self.text("name", &spec.name);
        let confidence = self.confidence(spec.confidence);
        let (from, to) = self.span(&spec.from, &spec.to, zone)?;
        Some(Closure { name: spec.name.clone(), from, to, confidence })
    }

    fn holiday(&mut self, spec: &HolidaySpec, zone: &TimeZone, calendar: &mut Calendar) {
        self.text("name", &spec.name);
        let confidence = self.confidence(spec.confidence);
        if let Some(uplift) = spec.uplift {
            self.number("uplift", uplift, LARGEST_UPLIFT);
        }
        let Some(date) = self.date(&spec.date) else { return };
        let (Some(from), Some(to)) = (start_of(date, zone), end_of(date, zone)) else { return };
        let name = spec.name.clone();
        match spec.uplift {
            None => calendar.closures.push(Closure { name, from, to, confidence }),
            Some(uplift) => calendar.peaks.push(Peak {
                name,
                by: None,
                from,
                to,
                zone: zone.clone(),
                rise: Rise::Uplift(uplift),
                share: 1.0,
                confidence,
                ramp_seconds: 0.0,
                shape: None,
            }),
        }
    }

    fn public_holidays(&mut self, spec: &PublicHolidaySpec, zone: &TimeZone) -> Option<Holidays> {
        let confidence = self.confidence(spec.confidence);
        let day = match (spec.uplift, &spec.like) {
            (Some(uplift), None) => {
                self.number("uplift", uplift, LARGEST_UPLIFT);
                Some(HolidayDay::Uplift(uplift))
            }
            (None, Some(like)) => self.weekday(like).map(HolidayDay::Like),
            (None, None) => Some(HolidayDay::Learned),
            (Some(_), Some(like)) => {
                self.wrong("like", format!("is {like:?} beside an uplift; keep one"));
                None
            }
        };
        let Some(country) = holidays::country(&spec.country) else {
            self.wrong("country", format!("is {:?}, must be one of {}", spec.country, holidays::codes()));
            return None;
        };
        for name in spec.except.iter().filter(|name| !holidays::has(country, name)) {
            let known: Vec<&str> = country.holidays().iter().map(|holiday| holiday.name).collect();
            self.wrong("except", format!("has {name:?}, must be of {}", known.join(", ")));
        }
        Some(Holidays { country, zone: zone.clone(), except: spec.except.clone(), day: day?, confidence })
    }

    /// Monday is 0.
    fn weekday(&mut self, text: &str) -> Option<i32> {
        let found = (0..).zip(WEEKDAYS).find(|(_, day)| day.eq_ignore_ascii_case(text));
        if found.is_none() {
            self.wrong("like", format!("is {text:?}, must be a weekday: {}", WEEKDAYS.join(", ")));
        }
        found.map(|(index, _)| index)
    }

    fn cut_off(&mut self, spec: &CutOffSpec) -> Option<CutOffException> {
        self.text("carrier", &spec.carrier);
        let date = self.date(&spec.date);
        let within_seconds = spec.within.as_deref().and_then(|text| {
            let seconds = self.duration("within", text, LONGEST_WINDOW_SECONDS)?;
            if seconds <= 0.0 {
                self.wrong(
                    "within",
                    format!("is {text}, must be the time from cut-off to dispatch, like 45m"),
                );
            }
            Some(seconds)
        });
        let at_seconds_of_day = match (&spec.at, spec.none) {
            (Some(text), false) => Some(self.time_of_day(text)?),
            (None, true) if spec.within.is_none() => None,
            (None, true) => {
                self.wrong("within", "stands beside none: true; keep one".to_owned());
                return None;
            }
            (Some(at), true) => {
                self.wrong("at", format!("is {at:?} beside none: true; keep one"));
                return None;
            }
            (None, false) => {
                self.wrong("at", "is missing; give a time of day like 12:00, or none: true".to_owned());
                return None;
            }
        };
        Some(CutOffException {
            carrier: spec.carrier.clone(),
            date: date?,
            at_seconds_of_day,
            within_seconds,
        })
    }

    fn contradiction(&mut self, known: &[CutOffException], new: &CutOffException) {
        let same =
            |one: &&CutOffException| one.carrier.eq_ignore_ascii_case(&new.carrier) && one.date == new.date;
        let clash = |one: &CutOffException| {
            one.at_seconds_of_day.is_none()
                || new.at_seconds_of_day.is_none()
                || one.at_seconds_of_day == new.at_seconds_of_day
        };
        if known.iter().filter(same).any(clash) {
            let (carrier, date) = (&new.carrier, new.date);
            self.wrong("date", format!("is {date} for {carrier:?} a second time; keep one of the two"));
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        let length = text.chars().count();
        if text.trim().is_empty() {
            self.wrong(key, "is empty, must be a name".to_owned());
        } else if length > LONGEST_NAME || text.chars().any(char::is_control) {
            self.wrong(key, format!("has {length} characters, must be at most {LONGEST_NAME} on one line"));
        }
    }

    fn number(&mut self, key: &str, value: f64, most: f64) {
        if !(0.0..=most).contains(&value) {
            self.wrong(key, format!("is {value}, must be a number from 0 to {most}"));
        }
    }

    fn zone(&mut self, key: &str, name: Option<&str>, default: TimeZone) -> TimeZone {
        let Some(name) = name else { return default };
        TimeZone::get(name).unwrap_or_else(|_| {
            self.wrong(key, format!("is {name:?}, must be an IANA time zone such as Europe/Prague"));
            default
        })
    }

    fn duration(&mut self, key: &str, text: &str, most: f64) -> Option<f64> {
        let seconds = text.parse::<SignedDuration>().map(|duration| duration.as_secs_f64());
        match seconds {
            Ok(seconds) if (0.0..=most).contains(&seconds) => Some(seconds),
            _ => {
                let hours = most / 3600.0;
                self.wrong(
                    key,
                    format!("is {text:?}, must be a duration up to {hours}h such as 30m or 1h30m"),
                );
                None
            }
        }
    }

    fn date(&mut self, text: &str) -> Option<Date> {
        let date = text.parse().ok().filter(|_| text.len() == 10);
        if date.is_none() {
            self.wrong("date", format!("is {text:?}, must be a date such as 2026-12-24"));
        }
        date
    }

    fn time_of_day(&mut self, text: &str) -> Option<u32> {
        let time = text.split_once(':').and_then(|(hour, minute)| {
            let digits = |part: &str| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let (hour, minute) =
                (Some(hour).filter(|part| digits(part))?, Some(minute).filter(|part| digits(part))?);
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        });
        if time.is_none() {
            self.wrong("at", format!("is {text:?}, must be a time of day such as 12:00"));
        }
        let seconds = |part: i8, unit: u32| u32::from(part.unsigned_abs()) * unit;
        time.map(|time| seconds(time.hour(), 3600) + seconds(time.minute(), 60))
    }

    fn span(&mut self, from: &str, to: &str, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let start = self.moment("from", from, zone, start_of);
        let end = self.moment("to", to, zone, end_of);
        let (start, end) = (start?, end?);
        if start >= end {
            self.wrong("to", format!("is {to}, must be after from, which is {from}"));
            return None;
        }
        Some((start, end))
    }

    fn moment(
        &mut self,
        key: &str,
        text: &str,
        zone: &TimeZone,
        of_date: impl Fn(Date, &TimeZone) -> Option<Timestamp>,
    ) -> Option<Timestamp> {
        let offset = text.char_indices().any(|(place, c)| match c {
            'Z' | 'z' | '[' | '+' => true,
            '-' => place > 10,
            _ => false,
        });
        let found = if text.len() == 10 {
            text.parse().ok().and_then(|date| of_date(date, zone))
        } else {
            let local: Option<DateTime> = text.parse().ok().filter(|_| !offset);
            local.and_then(|local| zone.to_timestamp(local).ok())
        };
        if found.is_none() {
            let right =
                "must be a local date or date-time without offset, such as 2026-11-27 or 2026-11-27T08:00";
            self.wrong(key, format!("is {text:?}, {right}"));
        }
        found
    }
}

fn start_of(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    date.to_zoned(zone.clone()).ok().map(|start| start.timestamp())
}

fn end_of(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    date.tomorrow().ok().and_then(|next| start_of(next, zone))
}
