//! Public holidays of a country, by name, for any year.
//!
//! The dates are those of the `holidays-rs` crate: rules, not tables, so that nothing has to be
//! fetched. What such a day brings is said by the calendar, or learned from those that passed.

use std::collections::BTreeMap;

use holidays_rs::{Calendar as Public, Country};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// ISO 3166 codes of the countries that are known.
const COUNTRIES: [(&str, Country); 39] = [
    ("AT", Country::Austria),
    ("AU", Country::Australia),
    ("BE", Country::Belgium),
    ("BR", Country::Brazil),
    ("CA", Country::Canada),
    ("CH", Country::Switzerland),
    ("CY", Country::Cyprus),
    ("CZ", Country::Czechia),
    ("DE", Country::Germany),
    ("DK", Country::Denmark),
    ("EE", Country::Estonia),
    ("ES", Country::Spain),
    ("FI", Country::Finland),
    ("FR", Country::France),
    ("GB", Country::UnitedKingdom),
    ("GR", Country::Greece),
    ("HR", Country::Croatia),
    ("ID", Country::Indonesia),
    ("IE", Country::Ireland),
    ("IS", Country::Iceland),
    ("IT", Country::Italy),
    ("LI", Country::Liechtenstein),
    ("LT", Country::Lithuania),
    ("LU", Country::Luxembourg),
    ("LV", Country::Latvia),
    ("MC", Country::Monaco),
    ("MT", Country::Malta),
    ("MX", Country::Mexico),
    ("NL", Country::Netherlands),
    ("NO", Country::Norway),
    ("NZ", Country::NewZealand),
    ("PE", Country::Peru),
    ("PL", Country::Poland),
    ("PT", Country::Portugal),
    ("RO", Country::Romania),
    ("SE", Country::Sweden),
    ("SI", Country::Slovenia),
    ("SK", Country::Slovakia),
    ("US", Country::UnitedStates),
];

/// A country's holidays as a calendar means them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Holidays {
    pub(super) country: Country,
    pub(super) zone: TimeZone,
    /// Names that are left out.
    pub(super) except: Vec<String>,
    pub(super) day: HolidayDay,
    pub(super) confidence: f64,
}

/// What a holiday brings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum HolidayDay {
    /// Times an ordinary such day.
    Uplift(f64),
    /// What this weekday (Monday is 0) ordinarily brings.
    Like(i32),
    /// What past ones brought.
    Learned,
}

/// One holiday of one year.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Holiday {
    pub(super) name: &'static str,
    pub(super) date: Date,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// The country of an ISO 3166 code or an English name; case does not count.
pub(super) fn country(text: &str) -> Option<Country> {
    let by_code = COUNTRIES.iter().find(|(code, _)| code.eq_ignore_ascii_case(text));
    by_code
        .or_else(|| COUNTRIES.iter().find(|(_, one)| one.name().eq_ignore_ascii_case(text)))
        .map(|found| found.1)
}

/// The codes that [`country`] knows, for messages.
pub(super) fn codes() -> String {
    COUNTRIES.map(|(code, _)| code).join(", ")
}

/// A country whose public holidays are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCountry {
    /// ISO 3166 code.
    pub code: &'static str,
    /// English name.
    pub name: &'static str,
    /// Its holidays in its language, each once.
    pub holidays: Vec<&'static str>,
}

/// All countries that a calendar may name.
pub fn known_countries() -> Vec<KnownCountry> {
    let known = COUNTRIES.iter().map(|(code, country)| {
        let mut holidays: Vec<&str> = Vec::new();
        for name in country.holidays().iter().map(|holiday| holiday.name) {
            if !holidays.contains(&name) {
                holidays.push(name);
            }
        }
        KnownCountry { code, name: country.name(), holidays }
    });
    known.collect()
}

/// Whether a country has a holiday of this name in any year.
pub(super) fn has(country: Country, name: &str) -> bool {
    country.holidays().iter().any(|holiday| holiday.name.eq_ignore_ascii_case(name))
}

impl Holidays {
    /// The holidays that touch the time from `from` to `to`.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> Vec<Holiday> {
        let day = |at| {
            let date = self.zone.to_datetime(at).date();
            (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()))
        };
        let (begin, end) = (day(from), day(to));
        let years = begin.0..=end.0.min(begin.0 + 2);
        let public = Public::new(self.country);
        // Asked in every tick: by date first, since a moment of each date takes longer than all else.
        let mut found: Vec<Holiday> = years
            .flat_map(|year| public.holidays_in(year))
            .filter(|(date, _)| {
                let on = (date.year, i32::from(date.month), i32::from(date.day));
                (begin..=end).contains(&on)
            })
            .filter(|(_, name)| !self.except.iter().any(|left_out| left_out.eq_ignore_ascii_case(name)))
            .filter_map(|(date, name)| self.holiday(date, name))
            .filter(|holiday| holiday.from < to && from < holiday.to)
            .collect();
        found.sort_by_key(|holiday| holiday.from);
        found.dedup_by_key(|holiday| holiday.from);
        found
    }

    fn holiday(&self, date: holidays_rs::Date, name: &'static str) -> Option<Holiday> {
        let year = i16::try_from(date.year).ok()?;
        let date = Date::new(year, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?).ok()?;
        let start = |date: Date| Some(date.to_zoned(self.zone.clone()).ok()?.timestamp());
        Some(Holiday { name, date, from: start(date)?, to: start(date.tomorrow().ok()?)? })
    }
}

/// What past holidays brought, over what such days ordinarily bring.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LearnedHolidays {
    seen: BTreeMap<String, (f64, f64)>,
}

impl LearnedHolidays {
    /// Learns that the holiday `name` brought `times` what the day ordinarily brings.
    pub fn learn(&mut self, name: &str, times: f64) {
        let (sum, count) = self.seen.entry(name.to_owned()).or_default();
        *sum += times.clamp(0.0, MOST_TIMES);
        *count += 1.0;
    }

    /// Times an ordinary such day: the mean of those seen, drawn to that of all holidays, and that
    /// to an ordinary day, as if by one day each.
    pub fn times(&self, name: &str) -> f64 {
        let (sum, count) = self.seen.values().fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        let of_all = (sum + 1.0) / (count + 1.0);
        let (own, days) = self.seen.get(name).copied().unwrap_or_default();
        (own + of_all) / (days + 1.0)
    }
}

/// A holiday counts as at most so many ordinary days.
const MOST_TIMES: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn holidays(code: &str) -> Holidays {
        let zone = TimeZone::get("Europe/Prague").unwrap();
        let country = country(code).unwrap();
        Holidays { country, zone, except: Vec::new(), day: HolidayDay::Learned, confidence: 1.0 }
    }

    fn dates(code: &str, year: i16) -> Vec<String> {
        let one = holidays(code);
        let at = |year| Date::new(year, 1, 1).unwrap().to_zoned(one.zone.clone()).unwrap().timestamp();
        one.between(at(year), at(year + 1)).iter().map(|day| day.date.strftime("%m-%d").to_string()).collect()
    }

    #[test]
    fn dates_are_the_official_ones() {
        let czech = "01-01 04-03 04-06 05-01 05-08 07-05 07-06 09-28 10-28 11-17 12-24 12-25 12-26";
        assert_eq!(dates("CZ", 2026).join(" "), czech);
        let german = "01-01 04-03 04-06 05-01 05-14 05-25 10-03 12-25 12-26";
        assert_eq!(dates("de", 2026).join(" "), german);
        let american = "01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25";
        assert_eq!(dates("United States", 2025).join(" "), american);
        let english = "01-01 04-18 04-21 05-05 05-26 08-25 12-25 12-26";
        assert_eq!(dates("GB", 2025).join(" "), english);
    }

    #[test]
    fn a_holiday_is_learned_from_its_own_past_and_from_the_others() {
        let mut learned = LearnedHolidays::default();
        assert_eq!(learned.times("any").to_bits(), 1.0_f64.to_bits());
        for name in ["one", "two", "three"] {
            learned.learn(name, 0.4);
        }
        assert!((learned.times("new") - 0.55).abs() < 1e-12);
        learned.learn("one", 0.0);
        let own = learned.times("one");
        assert!(own < learned.times("two") && own > 0.0, "{own}");
    }
}
