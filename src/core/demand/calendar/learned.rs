//! What past peaks have truly brought: their measured uplift, to be said the next time.
//!
//! One pass through the history with the calendar in hand: before an entry begins, the forecast (which
//! keeps entries out of what it learns) says what that time ordinarily brings; what came is counted.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Calendar, Rise};
use crate::core::demand::forecast::{ProfileForecast, seconds_between};
use crate::core::demand::outlook::ArrivalForecast as _;
use crate::core::observation::Interval;

/// Of an entry's time so much must be known for its uplift to be told.
const LEAST_KNOWN: f64 = 0.9;

/// What came of an entry of the past.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Measured {
    /// The entry.
    pub name: String,
    /// Start, without ramps.
    pub from: Timestamp,
    /// End, without ramps.
    pub to: Timestamp,
    /// The uplift that it was given; `None` where orders were promised, 0 for a closure.
    pub said: Option<f64>,
    /// Orders that this time would ordinarily have brought.
    pub ordinary: f64,
    /// Orders that came, scaled up where a little of the time is unknown.
    pub came: f64,
    /// Other entries of the same time: the figure is of all together.
    pub beside: Vec<String>,
}

impl Measured {
    /// Times the ordinary; `None` where nothing is ordinary.
    pub fn uplift(&self) -> Option<f64> {
        (self.ordinary >= 1.0).then(|| self.came / self.ordinary)
    }
}

/// An entry on its way through the history.
struct Entry {
    measured: Measured,
    known_seconds: f64,
    /// Whether `ordinary` was asked for, and the answer was one.
    foreseen: Option<bool>,
}

/// Measures every entry that the history holds nearly all of and enough before. Intervals ascend.
pub fn measure(
    calendar: &Calendar,
    intervals: &[Interval],
    zone: &TimeZone,
    slot_seconds: f64,
) -> Vec<Measured> {
    let mut entries = entries(calendar);
    let mut forecast = ProfileForecast::new(zone.clone(), slot_seconds);
    forecast.set_calendar(&Arc::new(calendar.clone()));
    for interval in intervals {
        for entry in entries.iter_mut().filter(|entry| entry.measured.from < interval.to) {
            let measured = &mut entry.measured;
            if entry.foreseen.is_none() {
                let ordinary = forecast.ordinary(measured.from, measured.to);
                entry.foreseen = Some(ordinary.is_ok());
                measured.ordinary = ordinary.unwrap_or(0.0);
            }
            let (from, to) = (interval.from.max(measured.from), interval.to.min(measured.to));
            let seconds = seconds_between(from, to);
            if seconds > 0.0 {
                measured.came += interval.count * seconds / seconds_between(interval.from, interval.to);
                entry.known_seconds += seconds;
            }
        }
        forecast.observe(interval);
    }
    let whole = |entry: Entry| {
        let mut measured = entry.measured;
        let known = entry.known_seconds / seconds_between(measured.from, measured.to);
        measured.came /= known.clamp(LEAST_KNOWN, 1.0);
        (known >= LEAST_KNOWN && entry.foreseen == Some(true)).then_some(measured)
    };
    entries.into_iter().filter_map(whole).collect()
}

fn entries(calendar: &Calendar) -> Vec<Entry> {
    let peaks = calendar.peaks.iter().map(|peak| {
        let said = match peak.rise {
            Rise::Uplift(uplift) => Some(uplift),
            Rise::Orders(_) | Rise::Like(_) => None,
        };
        (peak.name.clone(), peak.from, peak.to, said)
    });
    let closures = calendar.closures.iter();
    let closures = closures.map(|closure| (closure.name.clone(), closure.from, closure.to, Some(0.0)));
    let all: Vec<_> = peaks.chain(closures).collect();
    let beside = |index: usize, from: Timestamp, to: Timestamp| -> Vec<String> {
        let others =
            all.iter().enumerate().filter(|(other, entry)| *other != index && entry.1 < to && from < entry.2);
        others.map(|(_, entry)| entry.0.clone()).collect()
    };
    let entry =
        |(index, (name, from, to, said)): (usize, &(String, Timestamp, Timestamp, Option<f64>))| Entry {
            measured: Measured {
                name: name.clone(),
                from: *from,
                to: *to,
                said: *said,
                ordinary: 0.0,
                came: 0.0,
                beside: beside(index, *from, *to),
            },
            known_seconds: 0.0,
            foreseen: None,
        };
    all.iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::core::demand::calendar::{CalendarSpec, PeakSpec};

    /// Forty days of a hundred orders an hour, by day twice that; on day 35 six times as many come.
    fn history(factor: f64) -> Vec<Interval> {
        let start: Timestamp = "2026-10-01T00:00:00Z".parse().unwrap();
        let hour = |hour: i64| {
            let from = start + SignedDuration::from_hours(hour);
            let usual = if (8..20).contains(&(hour % 24)) { 200.0 } else { 100.0 };
            let count = if hour / 24 == 35 { factor * usual } else { usual };
            Interval { from, to: from + SignedDuration::from_hours(1), count }
        };
        (0..40 * 24).map(hour).collect()
    }

    fn peak(name: &str, date: &str, uplift: f64) -> PeakSpec {
        PeakSpec {
            name: name.to_owned(),
            from: date.to_owned(),
            to: date.to_owned(),
            uplift: Some(uplift),
            ..PeakSpec::default()
        }
    }

    #[test]
    fn what_a_past_peak_brought_is_measured() {
        let peaks = vec![peak("sale", "2026-11-05", 4.0), peak("next", "2026-11-27", 7.0)];
        let calendar = Calendar::new(&CalendarSpec { peaks, ..CalendarSpec::default() }).unwrap();
        let measured = measure(&calendar, &history(6.0), &TimeZone::UTC, 3600.0);
        assert_eq!(measured.len(), 1, "what is to come cannot be measured: {measured:?}");
        let sale = &measured[0];
        assert_eq!((sale.name.as_str(), sale.said), ("sale", Some(4.0)));
        let uplift = sale.uplift().unwrap();
        assert!((uplift - 6.0).abs() < 0.1, "{uplift}: {sale:?}");
    }

    #[test]
    fn gaps_and_short_histories_tell_nothing() {
        let calendar = |date| {
            let peaks = vec![peak("sale", date, 4.0)];
            Calendar::new(&CalendarSpec { peaks, ..CalendarSpec::default() }).unwrap()
        };
        let mut intervals = history(6.0);
        assert_eq!(measure(&calendar("2026-10-02"), &intervals, &TimeZone::UTC, 3600.0), []);
        intervals.retain(|interval| interval.from < "2026-11-05T18:00:00Z".parse().unwrap());
        assert_eq!(measure(&calendar("2026-11-05"), &intervals, &TimeZone::UTC, 3600.0), []);
    }
}
