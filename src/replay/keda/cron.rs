//! KEDA's `cron` trigger.
//!
//! `pkg/scalers/cron_scaler.go` of kedacore/keda: `desiredReplicas` between `start` and `end`, 1
//! outside; inside is where the next end comes before the next start.

use croner::Cron as Schedule;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A window that comes again and again.
#[derive(Debug, Clone)]
pub struct Cron {
    start: Schedule,
    end: Schedule,
    zone: TimeZone,
    replicas: u32,
    /// Until when the last answer holds.
    known: Option<(Timestamp, Timestamp, bool)>,
}

impl Cron {
    pub(super) fn new(start: Schedule, end: Schedule, zone: TimeZone, replicas: u32) -> Self {
        Self { start, end, zone, replicas, known: None }
    }

    /// Replicas at `now`, and whether that is inside the window.
    pub fn at(&mut self, now: Timestamp) -> (f64, bool) {
        let inside = self.is_inside(now);
        (if inside { f64::from(self.replicas) } else { 1.0 }, inside)
    }

    fn is_inside(&mut self, now: Timestamp) -> bool {
        if let Some((from, until, inside)) = self.known
            && (from..until).contains(&now)
        {
            return inside;
        }
        let never = now + SignedDuration::from_hours(24 * 366);
        let local = now.to_zoned(self.zone.clone());
        let next = |schedule: &Schedule| {
            schedule.find_next_occurrence(&local, false).map_or(never, |next| next.timestamp())
        };
        let (start, end) = (next(&self.start), next(&self.end));
        let inside = end < start;
        self.known = Some((now, start.min(end), inside));
        inside
    }
}

/// Reads `minute hour day month weekday`, as the parser that KEDA uses does.
///
/// # Errors
/// What is wrong, as the end of a message.
pub(super) fn schedule(text: &str) -> Result<Schedule, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| {
        // the parser's "Component error" does not say of what
        let error = error.to_string();
        let error = error.strip_prefix("Component error: ").unwrap_or(&error);
        format!("is not a cron expression such as \"0 8 * * 1-5\" (minute hour day month weekday): {error}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Cases of TestIsActive-like kind in cron_scaler_test.go: a whole weekday, a window over
    // midnight, and one inside each hour.
    #[test]
    fn inside_is_where_the_end_comes_next() {
        for (start, end, at, inside) in [
            ("0 8 * * 1-5", "0 20 * * 1-5", "2026-11-27T07:59:59", false),
            ("0 8 * * 1-5", "0 20 * * 1-5", "2026-11-27T08:00:00", true),
            ("0 8 * * 1-5", "0 20 * * 1-5", "2026-11-27T19:59:59", true),
            ("0 8 * * 1-5", "0 20 * * 1-5", "2026-11-27T20:00:00", false),
            ("0 8 * * 1-5", "0 20 * * 1-5", "2026-11-28T12:00:00", false),
            ("0 22 * * *", "0 6 * * *", "2026-11-27T23:30:00", true),
            ("0 22 * * *", "0 6 * * *", "2026-11-27T05:30:00", true),
            ("0 22 * * *", "0 6 * * *", "2026-11-27T12:00:00", false),
            ("30 * * * *", "45 * * * *", "2026-11-27T12:31:00", true),
            ("30 * * * *", "45 * * * *", "2026-11-27T12:46:00", false),
        ] {
            let zone = TimeZone::get("Europe/Prague").unwrap();
            let mut cron = Cron::new(schedule(start).unwrap(), schedule(end).unwrap(), zone.clone(), 12);
            let local: jiff::civil::DateTime = at.parse().unwrap();
            let now = local.to_zoned(zone).unwrap().timestamp();
            let expected = if inside { 12.0 } else { 1.0 };
            assert_eq!(cron.at(now), (expected, inside), "{start} to {end} at {at}");
        }
    }

    #[test]
    fn the_answer_follows_the_clock() {
        let mut cron =
            Cron::new(schedule("0 8 * * *").unwrap(), schedule("0 9 * * *").unwrap(), TimeZone::UTC, 5);
        let minute = |minute: i64| Timestamp::from_second(1_764_201_600 + minute * 60).unwrap();
        let midnight = minute(0).to_zoned(TimeZone::UTC);
        assert_eq!(midnight.hour(), 0);
        let inside: Vec<i64> = (0..1440).filter(|at| cron.at(minute(*at)).1).collect();
        assert_eq!(inside, (480..540).collect::<Vec<_>>());
    }

    #[test]
    fn six_fields_and_nonsense_are_refused() {
        for text in ["0 0 8 * * 1-5", "whenever", "61 8 * * *", ""] {
            assert!(schedule(text).unwrap_err().contains("minute hour day month weekday"), "{text}");
        }
    }
}
