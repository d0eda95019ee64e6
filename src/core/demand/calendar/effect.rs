//! What a calendar does to orders, as events that do not overlap.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::holidays::HolidayDay;
use super::{Calendar, LearnedHolidays, Peak, Rise};
use crate::core::demand::forecast::{Change, Event, later, seconds_between};

/// A ramp is a staircase of so many steps.
const RAMP_STEPS: u32 = 8;

/// Tells the orders that a time ordinarily brings.
pub type Ordinary<'a> = &'a mut dyn FnMut(Timestamp, Timestamp) -> f64;

/// What one entry does by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryEffect {
    /// The entry's name.
    pub name: String,
    /// Start, ramps included.
    pub from: Timestamp,
    /// End, ramps included.
    pub to: Timestamp,
    /// Orders that this time ordinarily brings; `None` where that is not known.
    pub ordinary: Option<f64>,
    /// Orders that the entry adds to them, or takes: then below 0. Promised ones are known in any case.
    pub added: Option<f64>,
}

/// A part of a peak in which it has one effect.
#[derive(Debug, Clone, Copy)]
struct Part {
    peak: usize,
    from: Timestamp,
    to: Timestamp,
    effect: Effect,
}

/// What a part of a peak does, weighed by its confidence.
#[derive(Debug, Clone, Copy, Default)]
struct Effect {
    /// By how much of ordinary orders there are more.
    gained: f64,
    /// The part of ordinary orders whose place is taken.
    replaced: f64,
    /// Orders a second on top.
    added_per_second: f64,
    /// What decides between uplifts of one e-shop.
    rank: f64,
}

/// What one e-shop's entries do together.
#[derive(Debug, Default)]
struct Group {
    uplift: Option<Effect>,
    promised: Option<Effect>,
}

impl Calendar {
    /// Everything that changes orders from `from` to `to`, cut so that nothing overlaps.
    ///
    /// `ordinary` spreads promised orders and keeps totals of peaks with a shape of their own;
    /// without it promised orders come evenly, and a shape is laid over whatever is ordinary.
    /// Public holidays without a factor are as `learned` says.
    pub fn events(
        &self,
        from: Timestamp,
        to: Timestamp,
        learned: &LearnedHolidays,
        mut ordinary: Option<Ordinary<'_>>,
    ) -> Vec<Event> {
        let holidays = self.holiday_peaks(from, to, learned);
        let peaks: Vec<&Peak> = self.peaks.iter().chain(holidays.iter().map(|(_, peak)| peak)).collect();
        let mut parts = Vec::new();
        for (index, peak) in peaks.iter().enumerate() {
            let (start, end) = peak.span();
            if start < to && from < end {
                let effects = peak.parts(&mut ordinary);
                parts.extend(effects.into_iter().map(|(from, to, effect)| Part {
                    peak: index,
                    from,
                    to,
                    effect,
                }));
            }
        }
        let closures = || self.closures.iter().filter(|closure| closure.from < to && from < closure.to);
        let mut edges: Vec<Timestamp> = parts.iter().flat_map(|part| [part.from, part.to]).collect();
        edges.extend(closures().flat_map(|closure| [closure.from, closure.to]));
        for edge in &mut edges {
            *edge = (*edge).clamp(from, to);
        }
        edges.sort_unstable();
        edges.dedup();
        parts.sort_by_key(|part| part.from);
        let mut events = Vec::new();
        for pair in edges.windows(2) {
            let (start, end) = (pair[0], pair[1]);
            let started = &parts[..parts.partition_point(|part| part.from <= start)];
            let on: Vec<&Part> = started.iter().filter(|part| start < part.to).collect();
            let open = closures()
                .filter(|closure| closure.from <= start && start < closure.to)
                .map(|closure| 1.0 - closure.confidence)
                .reduce(f64::min);
            if !on.is_empty() || open.is_some() {
                events.push(Event {
                    from: start,
                    to: end,
                    change: together(&peaks, &on, open.unwrap_or(1.0)),
                });
            }
        }
        events
    }

    /// What each entry does by itself, in the order of [`Self::entries`], then each public holiday in force
    /// from `from` to `to`, in order of time.
    pub fn effects(
        &self,
        from: Timestamp,
        to: Timestamp,
        learned: &LearnedHolidays,
        mut ordinary: Option<Ordinary<'_>>,
    ) -> Vec<EntryEffect> {
        let mut holidays = self.holiday_peaks(from, to, learned);
        holidays.sort_by_key(|(_, peak)| peak.from);
        let holidays = holidays.into_iter().map(|(_, peak)| Self { peaks: vec![peak], ..Self::default() });
        let alone = (0..self.entries().count()).map(|index| self.alone(index)).chain(holidays);
        alone.filter_map(|alone| alone.lone_effect(&mut ordinary)).collect()
    }

    /// What a calendar of a single entry does.
    fn lone_effect(&self, ordinary: &mut Option<Ordinary<'_>>) -> Option<EntryEffect> {
        let (name, from, to) = self.entries().next()?;
        let learned = LearnedHolidays::default();
        let events = match ordinary {
            Some(ordinary) => self.events(from, to, &learned, Some(&mut **ordinary)),
            None => self.events(from, to, &learned, None),
        };
        let added = events.iter().map(|event| {
            let promised = event.change.added_per_second * seconds_between(event.from, event.to);
            let times = event.change.uplift - 1.0;
            match ordinary {
                Some(ordinary) => Some(times * ordinary(event.from, event.to) + promised),
                None => (promised > 0.0).then_some(promised),
            }
        });
        let added = added.sum();
        let ordinary = ordinary.as_mut().map(|ordinary| ordinary(from, to));
        Some(EntryEffect { name: name.to_owned(), from, to, ordinary, added })
    }

    /// Public holidays as peaks, where nothing else is said of their day, each with the place of its
    /// country.
    pub(super) fn holiday_peaks(
        &self,
        from: Timestamp,
        to: Timestamp,
        learned: &LearnedHolidays,
    ) -> Vec<(usize, Peak)> {
        let mut peaks = Vec::new();
        for (of, holidays) in self.holidays.iter().enumerate() {
            for day in holidays.between(from, to) {
                if self.is_named(day.from, day.to) {
                    continue;
                }
                let rise = match holidays.day {
                    HolidayDay::Uplift(uplift) => Rise::Uplift(uplift),
                    HolidayDay::Learned => Rise::Uplift(learned.times(day.name)),
                    HolidayDay::Like(weekday) => {
                        let own = i32::from(day.date.weekday().to_monday_zero_offset());
                        Rise::Like((weekday - own).rem_euclid(7))
                    }
                };
                let peak = Peak {
                    name: day.name.to_owned(),
                    by: None,
                    from: day.from,
                    to: day.to,
                    zone: holidays.zone.clone(),
                    rise,
                    share: 1.0,
                    confidence: holidays.confidence,
                    ramp_seconds: 0.0,
                    shape: None,
                };
                peaks.push((of, peak));
            }
        }
        peaks
    }
}

/// The rule for entries that overlap; see the module.
fn together(peaks: &[&Peak], parts: &[&Part], open: f64) -> Change {
    let mut groups: BTreeMap<Option<&str>, Group> = BTreeMap::new();
    for part in parts {
        let peak = peaks[part.peak];
        let group = groups.entry(peak.by.as_deref()).or_default();
        let effect = part.effect;
        match peak.rise {
            Rise::Orders(_) => {
                let promised = group.promised.get_or_insert_default();
                promised.gained += effect.gained;
                promised.added_per_second += effect.added_per_second;
                promised.replaced = promised.replaced.max(effect.replaced);
            }
            Rise::Uplift(_) | Rise::Like(_) if group.uplift.is_none_or(|other| effect.rank > other.rank) => {
                group.uplift = Some(effect);
            }
            Rise::Uplift(_) | Rise::Like(_) => {}
        }
    }
    let mut change = Change::NONE;
    for effect in groups.values().filter_map(|group| group.promised.or(group.uplift)) {
        change.uplift += effect.gained - effect.replaced;
        change.added_per_second += effect.added_per_second;
    }
    Change { uplift: change.uplift.max(0.0) * open, added_per_second: change.added_per_second * open }
}

impl Peak {
    /// Start and end, the ramps included.
    pub(super) fn span(&self) -> (Timestamp, Timestamp) {
        match self.rise {
            Rise::Uplift(_) | Rise::Like(_) => {
                (later(self.from, -self.ramp_seconds), later(self.to, self.ramp_seconds))
            }
            Rise::Orders(_) => (self.from, self.to),
        }
    }

    fn parts(&self, ordinary: &mut Option<Ordinary<'_>>) -> Vec<(Timestamp, Timestamp, Effect)> {
        if let Rise::Like(days) = self.rise {
            return self.like(days, ordinary);
        }
        let weighted: Vec<(Timestamp, Timestamp, f64)> = match &self.shape {
            Some(shape) => local_hours(self.from, self.to, &self.zone)
                .map(|(from, to, hour)| (from, to, shape.get(hour).copied().unwrap_or(0.0)))
                .collect(),
            None => self.staircase(),
        };
        let seconds: f64 =
            weighted.iter().map(|(from, to, weight)| weight * seconds_between(*from, *to)).sum();
        let effect = match (self.rise, &self.shape) {
            (Rise::Uplift(uplift), None) => self.uplifted(uplift),
            (Rise::Uplift(uplift), Some(_)) => match ordinary {
                Some(ordinary) => {
                    let total = uplift * self.share * ordinary(self.from, self.to);
                    self.spread(total / seconds, uplift)
                }
                None => self.shaped(uplift, seconds / seconds_between(self.from, self.to)),
            },
            (Rise::Like(_), _) => self.uplifted(1.0),
            (Rise::Orders(orders), Some(_)) => self.spread(orders / seconds, 0.0),
            (Rise::Orders(orders), None) => {
                let usual: f64 = match ordinary {
                    Some(ordinary) => {
                        weighted.iter().map(|(from, to, weight)| weight * ordinary(*from, *to)).sum()
                    }
                    None => 0.0,
                };
                // Where nothing is ordinary there is no ordinary shape either.
                if usual > 0.0 {
                    self.in_ordinary_shape(orders / usual)
                } else {
                    self.spread(orders / seconds, 0.0)
                }
            }
        };
        weighted.into_iter().map(|(from, to, weight)| (from, to, effect(weight))).collect()
    }

    /// Hour by hour what comes `days` later; nothing changed where nothing is known.
    fn like(&self, days: i32, ordinary: &mut Option<Ordinary<'_>>) -> Vec<(Timestamp, Timestamp, Effect)> {
        let shift = f64::from(days) * 86_400.0;
        local_hours(self.from, self.to, &self.zone)
            .map(|(from, to, _)| {
                let Some(ordinary) = ordinary else { return (from, to, Effect::default()) };
                let (own, other) = (ordinary(from, to), ordinary(later(from, shift), later(to, shift)));
                let effect = if own > 0.0 {
                    let excess = self.confidence * (other / own - 1.0);
                    Effect { gained: excess, rank: excess, ..Effect::default() }
                } else {
                    let added_per_second = self.confidence * other / seconds_between(from, to);
                    Effect { added_per_second, ..Effect::default() }
                };
                (from, to, effect)
            })
            .collect()
    }

    /// Weights of a rise, a plateau and a fall.
    fn staircase(&self) -> Vec<(Timestamp, Timestamp, f64)> {
        let (start, end) = self.span();
        let (rise_end, fall_start) = (later(start, self.ramp_seconds), later(end, -self.ramp_seconds));
        let mut steps = Vec::new();
        if self.ramp_seconds > 0.0 {
            let width = self.ramp_seconds / f64::from(RAMP_STEPS);
            for step in 0..RAMP_STEPS {
                let weight = (f64::from(step) + 0.5) / f64::from(RAMP_STEPS);
                let (near, far) = (f64::from(step) * width, f64::from(step + 1) * width);
                steps.push((later(start, near), later(start, far), weight));
                steps.push((later(end, -far), later(end, -near), weight));
            }
        }
        if rise_end < fall_start {
            steps.push((rise_end, fall_start, 1.0));
        }
        steps
    }

    fn uplifted(&self, uplift: f64) -> Box<dyn Fn(f64) -> Effect> {
        let excess = self.confidence * self.share * (uplift - 1.0);
        Box::new(move |weight| Effect { gained: weight * excess, rank: weight * excess, ..Effect::default() })
    }

    /// An uplift whose shape is laid over ordinary orders, of `mean` weight.
    fn shaped(&self, uplift: f64, mean: f64) -> Box<dyn Fn(f64) -> Effect> {
        let (part, rank) = (self.confidence * self.share, self.confidence * self.share * (uplift - 1.0));
        Box::new(move |weight| Effect {
            gained: part * uplift * weight / mean,
            replaced: part,
            rank,
            ..Effect::default()
        })
    }

    /// Orders in the place of ordinary ones, `per_second` at a weight of 1.
    fn spread(&self, per_second: f64, uplift: f64) -> Box<dyn Fn(f64) -> Effect> {
        let (confidence, share) = (self.confidence, self.share);
        Box::new(move |weight| Effect {
            gained: 0.0,
            replaced: confidence * share,
            added_per_second: confidence * weight * per_second,
            rank: confidence * share * (uplift - 1.0),
        })
    }

    /// `times` ordinary orders in their place.
    fn in_ordinary_shape(&self, times: f64) -> Box<dyn Fn(f64) -> Effect> {
        let (confidence, share) = (self.confidence, self.share);
        Box::new(move |weight| Effect {
            gained: confidence * weight * times,
            replaced: confidence * share,
            ..Effect::default()
        })
    }
}

/// Cuts a time at every full local hour: start, end and hour of day.
pub(super) fn local_hours(
    from: Timestamp,
    to: Timestamp,
    zone: &TimeZone,
) -> impl Iterator<Item = (Timestamp, Timestamp, usize)> {
    let zone = zone.clone();
    let mut at = from;
    std::iter::from_fn(move || {
        (at < to).then(|| {
            let time = zone.to_datetime(at).time();
            let into = f64::from(time.minute()) * 60.0
                + f64::from(time.second())
                + f64::from(time.subsec_nanosecond()) * 1e-9;
            let start = at;
            // Where clocks change within an hour, the next piece begins at the new time.
            let change = zone.following(at).next().map_or(to, |change| change.timestamp());
            at = later(at, 3600.0 - into).min(to).min(change);
            (start, at, usize::from(time.hour().unsigned_abs()))
        })
    })
}
