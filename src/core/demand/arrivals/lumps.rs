//! Lumps: orders that come at once, such as an e-shop's import. How often they came at this time of the day, and
//! how large they were.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::bin::{BIN_SECONDS, Bin};
use super::slow::{USUAL_BINS, median};
use super::{ArrivalLog, COARSE, whole};

/// Orders of a lump come within so many bins: two minutes.
const LUMP_BINS: usize = 8;
/// Two minutes of more than so many standard deviations above the usual are a lump.
const LUMP_DEVIATIONS: f64 = 3.5;
/// Index of dispersion of what comes beside lumps.
const DISPERSION: f64 = 1.5;
const HOUR_SECONDS: f64 = 3600.0;
const HOURS: usize = 24;
/// Hours by the clock, before and after, that are taken for alike.
const ALIKE: usize = 2;
/// A day weighs no less than this against those before it.
const LEAST_WEIGHT: f32 = 0.15;
/// Where fewer hours were seen the missing ones count as hours without a lump.
const LEAST_HOURS: f64 = 8.0;
/// An hour tells when so many of its bins are known.
const LEAST_BINS: u32 = 120;

/// An hour of the day.
#[derive(Debug, Clone, Copy, Default)]
struct Hour {
    days: f32,
    /// Share of the days on which a lump came.
    share: f32,
    /// Orders of the largest lump, the mean over all days.
    orders: f32,
}

/// What is known of lumps.
#[derive(Debug, Clone, Default)]
pub(super) struct Lumps {
    /// By hour since the epoch, modulo 24; empty until the first lump.
    hours: Vec<Hour>,
    /// The hour that is looked at, its known bins, and its largest lump.
    hour: i64,
    bins: u32,
    largest: f32,
    /// Orders of a usual bin.
    usual: f32,
}

/// How often lumps come and how large they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LumpRate {
    /// Share of hours in which one comes.
    pub per_hour: f64,
    /// Orders of the largest of an hour, on average.
    pub orders: f64,
}

impl Lumps {
    /// Looks at the oldest bins, of which number `first` is the first, before they are gone.
    #[expect(clippy::cast_possible_truncation, reason = "orders of two minutes, hours since the epoch")]
    pub(super) fn look(&mut self, fine: &VecDeque<Bin>, first: i64) {
        if first.rem_euclid(COARSE) == 0 {
            self.usual = usual(fine) as f32;
        }
        let hour = (first as f64 * BIN_SECONDS / HOUR_SECONDS).floor() as i64;
        if hour != self.hour {
            self.finish_hour();
            self.hour = hour;
        }
        let known = fine.iter().take(LUMP_BINS).map_while(Bin::wholly_known);
        let (bins, orders) = known.fold((0, 0.0), |(bins, orders), bin| (bins + 1, orders + bin));
        if bins < LUMP_BINS {
            return;
        }
        self.bins += 1;
        let usual = LUMP_BINS as f64 * f64::from(self.usual);
        let lump = orders - usual;
        if lump > LUMP_DEVIATIONS * (DISPERSION * usual.max(1.0)).sqrt() {
            self.largest = self.largest.max(lump as f32);
        }
    }

    fn finish_hour(&mut self) {
        let (bins, largest) = (std::mem::take(&mut self.bins), std::mem::take(&mut self.largest));
        if bins < LEAST_BINS || (self.hours.is_empty() && largest <= 0.0) {
            return;
        }
        self.hours.resize(HOURS, Hour::default());
        let hour = &mut self.hours[usize::try_from(self.hour.rem_euclid(whole(HOURS))).unwrap_or(0)];
        hour.days += 1.0;
        let weight = (1.0 / hour.days).max(LEAST_WEIGHT);
        hour.share += weight * (f32::from(u8::from(largest > 0.0)) - hour.share);
        hour.orders += weight * (largest - hour.orders);
    }
}

impl ArrivalLog {
    /// How often lumps come at this time of the day; `None` where none did.
    pub fn lumps(&self, now: f64) -> Option<LumpRate> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an hour of the day")]
        let hour = (now / HOUR_SECONDS).rem_euclid(HOURS as f64) as usize;
        let (mut hours, mut share, mut orders) = (0.0, 0.0, 0.0);
        for near in hour + HOURS - ALIKE..=hour + HOURS + ALIKE {
            let near = self.lumps.hours.get(near % HOURS)?;
            let days = f64::from(near.days.min(1.0 / LEAST_WEIGHT));
            hours += days;
            share += days * f64::from(near.share);
            orders += days * f64::from(near.orders);
        }
        (share > 0.0).then(|| LumpRate { per_hour: share / hours.max(LEAST_HOURS), orders: orders / share })
    }
}

fn usual(fine: &VecDeque<Bin>) -> f64 {
    let mut orders: Vec<f64> = fine.iter().take(USUAL_BINS).filter_map(Bin::wholly_known).collect();
    if orders.is_empty() { 0.0 } else { median(&mut orders) }
}
