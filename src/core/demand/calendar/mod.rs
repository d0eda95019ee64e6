//! Peaks, closures and cut-off exceptions that people know: what no history can foresee.
//!
//! [`PeakCalendar`] is the document; [`Calendar::new`] checks it and names everything wrong at
//! once; [`Calendar::events`] turns it into what the forecast multiplies and adds, and
//! [`foresee`] into a change of the present rate where there is no forecast.
//!
//! Where entries overlap:
//! 1. A closure beats everything.
//! 2. Of one e-shop's entries, promised orders beat uplifts; its promises add up; of its uplifts
//!    the one that brings most counts. Entries without `by` are one e-shop in this sense.
//! 3. What different e-shops add to (or take from) ordinary orders is added.
//!
//! 4. A public holiday of a country is only where no other entry for all orders touches its day.
//!
//! Confidence weighs what an entry changes: an uplift of 5 at 0.5 counts as 3.

mod check;
mod document;
mod effect;
mod foresight;
mod holidays;
mod learned;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub use check::WEEKDAYS;
pub use document::{
    CalendarSpec, ClosureSpec, CutOffSpec, HolidaySpec, PeakCalendar, PeakSpec, PublicHolidaySpec,
};
pub use effect::{EntryEffect, Ordinary};
pub use foresight::{Near, foresee, less_explained, without_entries};
use holidays::Holidays;
pub use holidays::{KnownCountry, LearnedHolidays, known_countries};
pub use learned::{Measured, measure};

/// `apiVersion` of the document.
pub const API_VERSION: &str = "peakscaler.io/v1alpha1";
/// `kind` of the document.
pub const KIND: &str = "PeakCalendar";

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Problem {
    /// Where, for example `peaks[0].uplift`; below `spec`.
    pub path: String,
    /// What came and what would be right.
    pub message: String,
}

/// A calendar that was checked, its times absolute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calendar {
    peaks: Vec<Peak>,
    closures: Vec<Closure>,
    holidays: Vec<Holidays>,
    cut_offs: Vec<CutOffException>,
}

/// A peak that was checked.
#[derive(Debug, Clone, PartialEq)]
struct Peak {
    name: String,
    by: Option<String>,
    from: Timestamp,
    to: Timestamp,
    zone: TimeZone,
    rise: Rise,
    share: f64,
    confidence: f64,
    ramp_seconds: f64,
    shape: Option<Vec<f64>>,
}

/// How much a peak brings.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rise {
    /// Times the ordinary.
    Uplift(f64),
    /// Orders in all.
    Orders(f64),
    /// As it is so many days later, which is another weekday.
    Like(i32),
}

#[derive(Debug, Clone, PartialEq)]
struct Closure {
    name: String,
    from: Timestamp,
    to: Timestamp,
    confidence: f64,
}

/// What one carrier does on one date, in place of what the policy says.
#[derive(Debug, Clone, PartialEq)]
pub struct CutOffException {
    /// The carrier's name in the policy; case does not count.
    pub carrier: String,
    /// The date in the policy's time zone.
    pub date: Date,
    /// `None`: it does not collect.
    pub at_seconds_of_day: Option<u32>,
    /// From the cut-off to the dispatch, in seconds; `None`: as on other days.
    pub within_seconds: Option<f64>,
}

impl Calendar {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.peaks.is_empty()
            && self.closures.is_empty()
            && self.holidays.is_empty()
            && self.cut_offs.is_empty()
    }

    /// Takes in what another calendar says too. Cut-offs of a carrier and date that are known already
    /// are left out, and returned.
    pub fn join(&mut self, other: &Self) -> Vec<CutOffException> {
        self.peaks.extend(other.peaks.iter().cloned());
        self.closures.extend(other.closures.iter().cloned());
        self.holidays.extend(other.holidays.iter().cloned());
        let is_known = |one: &CutOffException| {
            self.cut_offs
                .iter()
                .any(|own| own.date == one.date && own.carrier.eq_ignore_ascii_case(&one.carrier))
        };
        let (twice, news): (Vec<_>, Vec<_>) = other.cut_offs.iter().cloned().partition(is_known);
        self.cut_offs.extend(news);
        twice
    }

    /// Cut-offs of single dates.
    pub fn cut_offs(&self) -> &[CutOffException] {
        &self.cut_offs
    }

    /// The same without one entry, by its place in [`Self::entries`].
    #[must_use]
    pub fn without(&self, entry: usize) -> Self {
        let mut rest = self.clone();
        if entry < rest.peaks.len() {
            rest.peaks.remove(entry);
        } else if entry - rest.peaks.len() < rest.closures.len() {
            rest.closures.remove(entry - rest.peaks.len());
        }
        rest
    }

    /// The same without the public holiday `name` of one of its countries, by place.
    fn without_holiday(&self, of: usize, name: &str) -> Self {
        let mut rest = self.clone();
        rest.holidays[of].except.push(name.to_owned());
        rest
    }

    /// One entry alone, by its place in [`Self::entries`].
    fn alone(&self, entry: usize) -> Self {
        let closure = entry.checked_sub(self.peaks.len()).and_then(|place| self.closures.get(place));
        Self {
            peaks: self.peaks.get(entry).cloned().into_iter().collect(),
            closures: closure.cloned().into_iter().collect(),
            holidays: Vec::new(),
            cut_offs: Vec::new(),
        }
    }

    /// Names, starts and ends of all entries with an effect on orders, ramps included.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Timestamp, Timestamp)> {
        let peaks = self.peaks.iter().map(|peak| {
            let (from, to) = peak.span();
            (peak.name.as_str(), from, to)
        });
        peaks.chain(self.closures.iter().map(|closure| (closure.name.as_str(), closure.from, closure.to)))
    }

    /// Names, starts and ends of the public holidays that touch the time from `from` to `to`.
    pub fn public_holidays(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<(&'static str, Timestamp, Timestamp)> {
        let found = self.holidays.iter().flat_map(|one| one.between(from, to));
        found.map(|holiday| (holiday.name, holiday.from, holiday.to)).collect()
    }

    /// Whether an entry for all orders touches the time from `from` to `to`.
    fn is_named(&self, from: Timestamp, to: Timestamp) -> bool {
        let touches = |start, end| start < to && from < end;
        self.closures.iter().any(|closure| touches(closure.from, closure.to))
            || self.peaks.iter().any(|peak| peak.by.is_none() && touches(peak.span().0, peak.span().1))
    }

    /// The public holiday whose whole effect is that of the time from `from` to `to`.
    pub(in crate::core::demand) fn lone_holiday(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<&'static str> {
        let touched = self.peaks.iter().any(|peak| peak.span().0 < to && from < peak.span().1);
        let holiday = self.public_holidays(from, to).first().map(|holiday| holiday.0);
        holiday.filter(|_| !touched && !self.is_named(from, to))
    }
}
