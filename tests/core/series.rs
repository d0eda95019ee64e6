//! Synthetic series of orders by the hour or half hour, of many kinds, each from its seed.

use std::f64::consts::TAU;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use peakscaler::core::Interval;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal, Poisson};

/// What a series is like.
#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) step_seconds: i64,
    /// Orders an hour, on average.
    pub(crate) level: f64,
    /// Deviation of a day's level, and how much of it is left on the next day.
    pub(crate) days: (f64, f64),
    /// Variance of an hour's rate beyond chance.
    pub(crate) noise: f64,
    /// Growth a day, in logarithms.
    pub(crate) growth: f64,
    /// Part of the days of which some hours are missing.
    pub(crate) gaps: f64,
    pub(crate) shape: fn(usize, f64) -> f64,
    /// Times the ordinary, by days before (negative) or after the first day that is scored.
    pub(crate) happening: fn(i64) -> f64,
}

/// Days before the first one that is scored.
pub(crate) const PAST_DAYS: i64 = 200;

fn bump(hour: f64, at: f64, width: f64) -> f64 {
    let off = (hour - at + 36.0).rem_euclid(24.0) - 12.0;
    (-off * off / (2.0 * width * width)).exp()
}

fn shop_online(weekday: usize, hour: f64) -> f64 {
    let week = [1.15, 1.1, 1.05, 1.0, 0.95, 0.75, 0.9][weekday];
    week * (0.08 + 0.9 * bump(hour, 11.0, 2.5) + 1.2 * bump(hour, 20.0, 2.2))
}

fn shop_with_hours(weekday: usize, hour: f64) -> f64 {
    let open = weekday < 6 && (8.0..20.0).contains(&hour);
    if open { 0.6 + 0.8 * bump(hour, 11.0, 1.5) + bump(hour, 17.0, 1.5) } else { 0.0 }
}

fn city(weekday: usize, hour: f64) -> f64 {
    if weekday < 5 {
        0.15 + 1.2 * bump(hour, 8.0, 1.2) + 0.6 * bump(hour, 13.0, 3.0) + 1.3 * bump(hour, 18.0, 1.8)
    } else {
        0.2 + 0.9 * bump(hour, 14.0, 3.5) + 0.7 * bump(hour, 0.5, 1.8)
    }
}

fn imports(weekday: usize, hour: f64) -> f64 {
    0.6 * shop_online(weekday, hour) + if (2.0..3.0).contains(&hour) { 6.0 } else { 0.0 }
}

fn nothing(_: i64) -> f64 {
    1.0
}

fn closures(day: i64) -> f64 {
    f64::from(u8::from(!(8..15).contains(&day) && !(-60..-55).contains(&day)))
}

fn shifts(day: i64) -> f64 {
    if day < 10 { 1.0 } else { 2.2 }
}

fn launch(day: i64) -> f64 {
    if day < -30 { 0.0 } else { 1.0 - 0.8 * (-(day as f64 + 30.0) / 20.0).exp() }
}

/// The kinds that are scored.
pub(crate) fn kinds() -> Vec<Kind> {
    let usual = Kind {
        name: "",
        zone: "Europe/Prague",
        step_seconds: 3600,
        level: 100.0,
        days: (0.08, 0.6),
        noise: 0.02,
        growth: 0.0,
        gaps: 0.0,
        shape: shop_online,
        happening: nothing,
    };
    let kind = |name, level| Kind { name, level, ..usual.clone() };
    let american = "America/New_York";
    vec![
        kind("two an hour", 1.5),
        kind("a hundred an hour", 100.0),
        Kind { shape: shop_with_hours, ..kind("closed at night and on Sundays", 20.0) },
        Kind { shape: city, zone: american, noise: 0.004, days: (0.05, 0.6), ..kind("a city", 1e5) },
        Kind {
            shape: city,
            step_seconds: 1800,
            days: (0.3, 0.6),
            ..kind("weather, by the half hour", 200.0)
        },
        Kind { days: (0.25, 0.0), ..kind("days that differ", 200.0) },
        Kind { growth: 0.012, ..kind("growth", 50.0) },
        Kind { happening: closures, ..kind("a week closed", 150.0) },
        Kind { happening: shifts, ..kind("twice as much at once", 150.0) },
        Kind { happening: launch, ..kind("launched a month ago", 150.0) },
        Kind { gaps: 0.15, zone: american, ..kind("gaps", 120.0) },
        Kind { shape: imports, noise: 0.1, ..kind("imports at night", 80.0) },
    ]
}

/// Intervals of a kind's past and of `scored` days, and the first day that is scored.
pub(crate) fn series(kind: &Kind, scored: i64, seed: u64) -> (Vec<Interval>, Date) {
    let mut draw = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(0.0, 1.0).unwrap();
    let zone = TimeZone::get(kind.zone).unwrap();
    // Monday; the days scored begin in October, and clocks go back in them.
    let start = date(2023, 4, 3);
    let wobble: Vec<f64> = (0..168).map(|_| 1.0 + 0.1 * normal.sample(&mut draw)).collect();
    let (sigma, kept) = kind.days;
    let (mut at, mut today) = (start.to_zoned(zone.clone()).unwrap().timestamp(), -1);
    let (mut day_level, mut hour_level, mut missing) = (0.0, 0.0, 0.0..0.0);
    let mut intervals = Vec::new();
    loop {
        let local = zone.to_datetime(at);
        let day = i64::from(start.until(local.date()).unwrap().get_days());
        if day >= PAST_DAYS + scored {
            return (intervals, start.saturating_add(jiff::Span::new().days(PAST_DAYS)));
        }
        if day != today {
            today = day;
            day_level = kept * day_level + (1.0_f64 - kept * kept).sqrt() * normal.sample(&mut draw);
            let from = draw.random_range(0.0..20.0);
            missing = if draw.random_bool(kind.gaps) { from..from + 8.0 } else { 0.0..0.0 };
        }
        hour_level = 0.7 * hour_level + 0.714 * normal.sample(&mut draw);
        let hour = f64::from(local.hour()) + f64::from(local.minute()) / 60.0;
        let weekday = usize::try_from(local.date().weekday().to_monday_zero_offset()).unwrap();
        let season = 0.1 * (TAU * day as f64 / 365.0).sin() + kind.growth * (day - PAST_DAYS) as f64;
        let rate = kind.level * kind.step_seconds as f64 / 3600.0
            * (kind.shape)(weekday, hour)
            * wobble[weekday * 24 + usize::try_from(local.hour()).unwrap()]
            * (kind.happening)(day - PAST_DAYS)
            * (season + sigma * day_level + kind.noise.sqrt() * hour_level).exp();
        let count = if rate > 0.0 { Poisson::new(rate).unwrap().sample(&mut draw) } else { 0.0 };
        let to: Timestamp = at + SignedDuration::from_secs(kind.step_seconds);
        if !missing.contains(&hour) {
            intervals.push(Interval { from: at, to, count });
        }
        at = to;
    }
}
