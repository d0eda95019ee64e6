//! How long a decision takes: one tick of one workload that has seen a day, and of 10,000 of them.

#[path = "../loadtests/centre.rs"]
#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod centre;

use divan::Bencher;
use jiff::{SignedDuration, Timestamp};
use peakscaler::core::demand::calendar::{Calendar, CalendarSpec, PeakSpec, PublicHolidaySpec};
use peakscaler::core::demand::forecast::ProfileForecast;
use peakscaler::core::{DecisionRecord, Workload};
use peakscaler::trigger::{Origin, Trigger};

use centre::Centre;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TICK: SignedDuration = SignedDuration::from_secs(5);
const WORKLOADS: usize = 10_000;

fn main() {
    divan::main();
}

/// A workload, what it observes, and the time there.
#[derive(Clone)]
struct Running {
    workload: Workload,
    centre: Centre,
    now: Timestamp,
}

impl Running {
    /// At the end of a working day: an order a minute and more, two cut-offs ahead.
    fn after_a_day(number: usize, forecast: bool) -> Self {
        let reference = centre::reference(number, &[]);
        let Ok((trigger, _)) = Trigger::parse(&reference.scaler_metadata, Origin::Request) else {
            unreachable!("the metadata of every load test");
        };
        // A Thursday.
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_795_650_000);
        let mut running =
            Self { workload: Workload::new(trigger.policy), centre: Centre::new(&reference.name), now };
        if forecast {
            let forecast = running.three_weeks();
            running.workload.set_forecast(Box::new(forecast));
        }
        for _ in 0..23 * 60 {
            running.step(SignedDuration::from_mins(1));
        }
        for _ in 0..720 {
            running.step(TICK);
        }
        running
    }

    fn three_weeks(&self) -> ProfileForecast {
        let zone = jiff::tz::TimeZone::get(&self.workload.policy().time_zone);
        let mut forecast = ProfileForecast::new(zone.unwrap_or(jiff::tz::TimeZone::UTC), 900.0);
        let mut past = self.centre.clone();
        let mut moment = self.now - SignedDuration::from_hours(21 * 24);
        while moment < self.now {
            moment += SignedDuration::from_mins(5);
            past.observation(moment).arrivals.iter().for_each(|interval| {
                use peakscaler::core::demand::outlook::ArrivalForecast as _;
                forecast.observe(interval);
            });
        }
        forecast
    }

    fn step(&mut self, by: SignedDuration) -> Option<DecisionRecord> {
        self.now += by;
        self.workload.step(&self.centre.observation(self.now)).ok()
    }
}

/// The aim: under 50 microseconds.
#[divan::bench]
fn one_workload(bencher: Bencher<'_, '_>) {
    let mut running = Running::after_a_day(1, false);
    bencher.bench_local(|| running.step(TICK));
}

#[divan::bench]
fn one_workload_with_forecast(bencher: Bencher<'_, '_>) {
    let mut running = Running::after_a_day(1, true);
    bencher.bench_local(|| running.step(TICK));
}

/// Fifty peaks with ramps, a week apart, and a country's holidays; `near` of them lie at `now`.
fn calendar(now: Timestamp, near: i64) -> Calendar {
    let local = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let peak = |number: i64| {
        let weeks = if number < near { 0 } else { number + 1 };
        let from = now + SignedDuration::from_hours(weeks * 168) + SignedDuration::from_mins(number - 10);
        PeakSpec {
            name: format!("peak {number}"),
            from: local(from),
            to: local(from + SignedDuration::from_hours(6)),
            uplift: Some(1.5),
            ramp: Some("1h".to_owned()),
            ..PeakSpec::default()
        }
    };
    let holidays = PublicHolidaySpec { country: "CZ".to_owned(), ..PublicHolidaySpec::default() };
    let spec = CalendarSpec {
        peaks: (0..50).map(peak).collect(),
        public_holidays: vec![holidays],
        ..CalendarSpec::default()
    };
    Calendar::new(&spec).unwrap_or_default()
}

/// With fifty entries of which none is near, one is on, or four are: each that is near takes a plan
/// of its own.
#[divan::bench(args = [0, 1, 4])]
fn one_workload_with_forecast_and_calendar(bencher: Bencher<'_, '_>, near: i64) {
    let mut running = Running::after_a_day(1, true);
    running.workload.set_calendar(calendar(running.now, near).into());
    bencher.bench_local(|| running.step(TICK));
}

/// On one thread. Every decision is dropped only when the next of its workload is taken, as the
/// engine does, so that caches are as cold as they are there.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn ten_thousand_workloads(bencher: Bencher<'_, '_>) {
    let different: Vec<_> = (0..50).map(|number| Running::after_a_day(number, false)).collect();
    let mut all: Vec<(Running, Option<DecisionRecord>)> =
        (0..WORKLOADS).map(|number| (different[number % different.len()].clone(), None)).collect();
    bencher.bench_local(|| {
        for (running, record) in &mut all {
            *record = running.step(TICK);
        }
    });
}
