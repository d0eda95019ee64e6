//! Times at which an operator asks for replicas, as KEDA's `cron` and Zalando's
//! `ScalingSchedule` take them.

use jiff::{SignedDuration, Timestamp, ToSpan};

use super::super::scenario::{OrderSource, Scenario};
use super::super::units::{ceil, index};

/// So many replicas from a moment to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Start, included.
    pub from: Timestamp,
    /// End, excluded.
    pub to: Timestamp,
    /// Replicas.
    pub replicas: u32,
}

/// What an operator would write who knows his ordinary week, and his peak days' factors where they
/// are in the calendar: one number for each day's busy hours, 8 to 22 o'clock. Empty for a recorded
/// series.
pub fn of_operator(scenario: &Scenario) -> Vec<Entry> {
    let OrderSource::Generator(generator) = &scenario.orders else { return Vec::new() };
    let week = generator.week_shape();
    let busy_hours = 8..22;
    let knows_peaks = !scenario.calendar.peaks.is_empty();
    (0..scenario.days)
        .filter_map(|day| {
            let date = scenario.start.checked_add(i64::from(day).days()).ok()?;
            let monday = i64::from(date.weekday().to_monday_zero_offset()) * 24;
            let orders: f64 = busy_hours.clone().map(|hour| week[index(monday + hour)]).sum();
            let factor = if knows_peaks { generator.peak_factor(i64::from(day)) } else { 1.0 };
            let an_hour = orders * factor / 14.0;
            let work = an_hour * scenario.service.mean_seconds / 3_600.0;
            let start = scenario.origin() + SignedDuration::from_hours(i64::from(day) * 24);
            Some(Entry {
                from: start + SignedDuration::from_hours(busy_hours.start),
                to: start + SignedDuration::from_hours(busy_hours.end),
                replicas: ceil(work / f64::from(scenario.service.concurrency)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::demand::calendar::{CalendarSpec, PeakSpec};
    use crate::replay::scenario::{Generator, Imports, Peak, Trace};

    /// 24,000 orders a day, 1,000 in each hour, of 20 s: 5.6 busy workers.
    fn even() -> Scenario {
        let none = Imports { per_day: 0.0, ..Imports::default() };
        let generator = Generator {
            orders_per_day: 24_000.0,
            week: vec![1.0; 168],
            imports: Some(none),
            peak: Some(Peak { day: 1, factor: 3.0, before: vec![], after: vec![] }),
            ..Generator::default()
        };
        Scenario { days: 2, orders: OrderSource::Generator(generator), ..Scenario::default() }
    }

    fn replicas(scenario: &Scenario) -> Vec<u32> {
        of_operator(scenario).iter().map(|entry| entry.replicas).collect()
    }

    #[test]
    fn busy_hours_have_the_workers_that_their_mean_hour_keeps_busy() {
        let scenario = even();
        let [first, second] = of_operator(&scenario)[..] else { panic!("one entry a day") };
        let hour = |hours| scenario.origin() + SignedDuration::from_hours(hours);
        assert_eq!(first, Entry { from: hour(8), to: hour(22), replicas: 6 });
        assert_eq!((second.from, second.to), (hour(32), hour(46)));
        let mut two_at_once = scenario;
        two_at_once.service.concurrency = 2;
        assert_eq!(replicas(&two_at_once), [3, 3]);
    }

    #[test]
    fn a_peak_counts_where_the_calendar_has_it() {
        let mut scenario = even();
        assert_eq!(replicas(&scenario), [6, 6], "nobody wrote it down");
        let day = scenario.start.tomorrow().unwrap().to_string();
        let peak = PeakSpec { from: day.clone(), to: day, uplift: Some(3.0), ..PeakSpec::default() };
        scenario.calendar = CalendarSpec { peaks: vec![peak], ..CalendarSpec::default() };
        assert_eq!(replicas(&scenario), [6, 17]);
    }

    #[test]
    fn a_quiet_night_plays_no_part_and_a_recorded_series_has_no_schedule() {
        let mut scenario = even();
        let OrderSource::Generator(generator) = &mut scenario.orders else { panic!("it is generated") };
        // all in the busy hours: 24,000 over 14 of them, 9.5 workers
        generator.week = (0..168).map(|hour| f64::from((8..22).contains(&(hour % 24)))).collect();
        assert_eq!(replicas(&scenario), [10, 10]);
        let trace = Trace {
            path: "orders.csv".into(),
            from: None,
            median_day_orders: None,
            dispersion: 1.0,
            smooth: false,
        };
        scenario.orders = OrderSource::Trace(trace);
        assert!(of_operator(&scenario).is_empty());
    }
}
