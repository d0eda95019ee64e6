//! How long a forecast takes: a year of hourly orders fitted from scratch with quantiles of the day
//! ahead, beside a decomposition by the `augurs` toolkit, and the update of a tick.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::prelude::*;
use divan::{Bencher, black_box};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use peakscaler::core::Interval;
use peakscaler::core::demand::forecast::{DayModel, ProfileForecast, days_of};
use peakscaler::core::demand::outlook::{ArrivalForecast as _, PresentRate};
use peakscaler::history::csv;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LEVELS: [f64; 3] = [0.5, 0.9, 0.99];
const HOURS: usize = 24;
const YEAR_DAYS: usize = 365;

fn main() {
    divan::main();
}

fn zone() -> TimeZone {
    TimeZone::get("America/New_York").expect("a zone of the bundled database")
}

/// Bicycle rentals of 2011.
fn intervals() -> Vec<Interval> {
    let file = std::fs::File::open("data/bike_sharing_hourly.csv").expect("run in the project's directory");
    csv::read(file, &zone()).expect("a series of the project").intervals
}

/// A year of days by hour, and the weekday of the first (Monday is 0).
fn year() -> (usize, Vec<Vec<f64>>) {
    let days = days_of(&intervals(), &zone(), 3600.0);
    (days[0].weekday(), days.iter().take(YEAR_DAYS).map(|day| day.values(3600.0)).collect())
}

#[divan::bench]
fn fit_a_year(bencher: Bencher<'_, '_>) {
    let (first, days) = year();
    bencher.bench(|| {
        let forecast = DayModel::fit(HOURS, first, black_box(&days)).forecast((first + YEAR_DAYS) % 7, 0);
        LEVELS.map(|level| forecast.quantiles(level))
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn fit_a_year_mstl(bencher: Bencher<'_, '_>) {
    let (_, days) = year();
    let values: Vec<f64> =
        days.concat().iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect();
    bencher.bench(|| {
        let trend = AutoETS::non_seasonal().into_trend_model();
        let fit = MSTLModel::new(vec![HOURS, 7 * HOURS], trend).fit(black_box(&values)).expect("a year fits");
        LEVELS[1..].iter().map(|level| fit.predict(HOURS, 2.0 * level - 1.0)).collect::<Vec<_>>()
    });
}

/// One closed interval of a minute, and the curve of an hour ahead.
#[divan::bench]
fn update_and_outlook(bencher: Bencher<'_, '_>) {
    let history = intervals();
    let mut forecast = ProfileForecast::new(zone(), 3600.0);
    history.iter().take(YEAR_DAYS * HOURS + 9).for_each(|interval| forecast.observe(interval));
    let from = forecast.last_end().expect("a year was seen");
    let present = PresentRate { orders_per_second: 0.1, relative_uncertainty: 0.1 };
    let to = from + SignedDuration::from_mins(1);
    bencher.with_inputs(|| forecast.clone()).bench_values(|mut forecast| {
        forecast.observe(&Interval { from, to, count: 6.0 });
        (forecast.outlook(to, &present, 3600.0), forecast)
    });
}
