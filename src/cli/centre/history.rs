//! An operator's history, read strictly: what is odd in it is an error with its line, since days are
//! to be lived through again and not only learned from.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::core::Interval;
use crate::history::csv::{self, HistoryError};
use crate::replay::recorded::first_gap;

/// Days that are lived through where nothing is said.
const USUAL_DAYS: i64 = 14;
/// Most days of one run.
pub(in crate::cli) const MOST_DAYS: u32 = 399;

/// A history and its file.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Recorded {
    pub(in crate::cli) intervals: Vec<Interval>,
    pub(in crate::cli) step_seconds: i64,
    missing: usize,
    path: PathBuf,
    text: String,
    zone: TimeZone,
}

/// Days of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Stretch {
    /// First day simulated, warm-up included.
    pub(in crate::cli) start: Date,
    /// Days scored.
    pub(in crate::cli) days: u32,
    /// Days before them that only bring the centre into its stride.
    pub(in crate::cli) warm_up_days: u32,
}

impl Recorded {
    /// Reads `--history FILE`.
    pub(in crate::cli) fn open(path: &Path, zone: &TimeZone) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("--history {}", path.display()))?;
        let shown = path.display();
        let history = csv::read(bytes.as_slice(), zone).map_err(|error| match error {
            HistoryError::Row { line, what } => anyhow::anyhow!("{shown}:{line}: {what}"),
            other @ (HistoryError::Csv(_) | HistoryError::Read(_) | HistoryError::Short { .. }) => {
                anyhow::anyhow!("{shown}: {other}")
            }
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(odd) = history.warnings.first() {
            let place = odd.strip_prefix("line ").unwrap_or(odd);
            let place = place.split(": its ").next().unwrap_or(place);
            bail!(
                "{shown}:{place}, and has orders: the file is not in that zone; give the one it was written in by --time-zone (UTC where it knows no daylight saving time)"
            );
        }
        ensure!(
            history.intervals.iter().any(|one| one.count > 0.0),
            "{shown}: every count is 0: without an order there is nothing to live through or to plan"
        );
        let (intervals, step_seconds) = (history.intervals, history.step_seconds);
        let missing = history.missing;
        Ok(Self { intervals, step_seconds, missing, path: path.to_owned(), text, zone: zone.clone() })
    }

    /// What is to be said of rows that are missing; `None` where none is.
    pub(in crate::cli) fn missing_note(&self) -> Option<String> {
        let rows = if self.missing == 1 { "row" } else { "rows" };
        (self.missing > 0).then(|| {
            format!("{} {rows} of the history are missing: unknown to the forecast, not zero", self.missing)
        })
    }

    /// Its first whole day and the day after its last whole one.
    fn whole_days(&self) -> anyhow::Result<(Date, Date)> {
        let (Some(first), Some(last)) = (self.intervals.first(), self.intervals.last()) else {
            bail!("{}: has no orders", self.path.display());
        };
        let (first, end) = (self.zone.to_datetime(first.from), self.zone.to_datetime(last.to));
        let begin = if first.time() == jiff::civil::Time::midnight() {
            first.date()
        } else {
            first.date().tomorrow()?
        };
        ensure!(begin < end.date(), "{}: has no whole day from midnight to midnight", self.path.display());
        Ok((begin, end.date()))
    }

    /// Its first whole day and its last one.
    pub(in crate::cli) fn known_days(&self) -> anyhow::Result<(Date, Date)> {
        let (begin, end) = self.whole_days()?;
        Ok((begin, end.yesterday()?))
    }

    /// The day after the last whole one.
    pub(in crate::cli) fn end(&self) -> anyhow::Result<Date> {
        Ok(self.whole_days()?.1)
    }

    /// The days to live through: those asked for, or the last ones.
    pub(in crate::cli) fn stretch(&self, from: Option<Date>, days: Option<u32>) -> anyhow::Result<Stretch> {
        let (begin, end) = self.whole_days()?;
        let shown = self.path.display();
        let back = |days: i64| end.checked_sub(Span::new().days(days));
        let from = match (from, days) {
            (Some(from), _) => from,
            (None, Some(days)) => back(i64::from(days))?,
            (None, None) => back(USUAL_DAYS)?.max(begin),
        };
        let available = i64::from((end - from).get_days());
        ensure!(
            from >= begin && available >= 1,
            "{shown}: has whole days from {begin} to {}; {} {from}",
            end.yesterday()?,
            match days {
                None => "the days asked for begin on".to_owned(),
                Some(1) => "the day asked for is".to_owned(),
                Some(days) => format!("the {days} days asked for begin on"),
            }
        );
        let days = days.unwrap_or(u32::try_from(available.min(USUAL_DAYS))?);
        ensure!(
            (1..=MOST_DAYS).contains(&days) && i64::from(days) <= available,
            "{shown}: {days} days from {from} on are not in it, {available} are (and {MOST_DAYS} at most in one run)"
        );
        let warm_up_days = u32::from(from > begin);
        let start = if warm_up_days > 0 { from.yesterday()? } else { from };
        let stretch = Stretch { start, days, warm_up_days };
        self.ensure_known(stretch)?;
        Ok(stretch)
    }

    /// Orders that are not known cannot be lived through.
    fn ensure_known(&self, stretch: Stretch) -> anyhow::Result<()> {
        let days = i64::from(stretch.days + stretch.warm_up_days);
        let from = self.midnight(stretch.start)?;
        let to = self.midnight(stretch.start.checked_add(Span::new().days(days))?)?;
        let Some((gap_from, gap_to)) = first_gap(&self.intervals, from, to) else { return Ok(()) };
        let [from, to] = [gap_from, gap_to].map(|at| self.zone.to_datetime(at));
        bail!(
            "{}:{}: there is no row from {from} to {to}; a row that is missing is unknown, not zero: write the counts (0 where closed), or choose days without a gap by --from and --days",
            self.path.display(),
            self.line_at(to)
        )
    }

    /// The line of the first row at or after a local time; the last line where there is none.
    fn line_at(&self, time: DateTime) -> usize {
        let at = |line: &str| line.split(',').next()?.trim().parse::<DateTime>().ok();
        let found = self.text.lines().position(|line| at(line).is_some_and(|row| row >= time));
        found.map_or(self.text.lines().count(), |index| index + 1)
    }

    /// The file, for messages.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    /// A local midnight.
    pub(in crate::cli) fn midnight(&self, date: Date) -> anyhow::Result<Timestamp> {
        Ok(date.to_zoned(self.zone.clone())?.timestamp())
    }

    /// Intervals that are over by a moment.
    pub(in crate::cli) fn before(&self, moment: Timestamp) -> &[Interval] {
        &self.intervals[..self.intervals.partition_point(|interval| interval.to <= moment)]
    }

    /// Orders a second in the hour that begins at a moment.
    pub(in crate::cli) fn rate_at(&self, moment: Timestamp) -> f64 {
        let hour = moment + jiff::SignedDuration::from_hours(1);
        let inside = self.intervals.iter().filter(|one| one.from >= moment && one.from < hour);
        inside.map(|one| one.count).sum::<f64>() / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(text: &str) -> anyhow::Result<Recorded> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.csv");
        std::fs::write(&path, format!("timestamp,count\n{text}")).unwrap();
        let mut recorded = Recorded::open(&path, &TimeZone::get("Europe/Prague").unwrap())?;
        recorded.path = "orders.csv".into();
        Ok(recorded)
    }

    fn hours(days: i8, skip: impl Fn(i8, i8) -> bool) -> String {
        let all = (1..=days).flat_map(|day| (0..24).map(move |hour| (day, hour)));
        let rows = all.filter(|(day, hour)| !skip(*day, *hour));
        let lines: Vec<_> = rows.map(|(day, hour)| format!("2026-11-{day:02}T{hour:02}:00:00,5\n")).collect();
        lines.concat()
    }

    #[test]
    fn the_last_days_are_taken_or_those_asked_for() {
        let month = recorded(&hours(30, |_, _| false)).unwrap();
        let date = |day| jiff::civil::date(2026, 11, day);
        for (from, days, expected) in [
            (None, None, (16, 14, 1)),
            (None, Some(3), (27, 3, 1)),
            (Some(date(1)), Some(2), (1, 2, 0)),
            (Some(date(27)), None, (26, 4, 1)),
        ] {
            let stretch = month.stretch(from, days).unwrap();
            let found = (stretch.start.day(), stretch.days, stretch.warm_up_days);
            assert_eq!(found, expected, "{from:?} {days:?}");
        }
        let wrong = month.stretch(Some(jiff::civil::date(2027, 1, 1)), None).unwrap_err().to_string();
        assert_eq!(
            wrong,
            "orders.csv: has whole days from 2026-11-01 to 2026-11-30; the days asked for begin on 2027-01-01"
        );
        assert!(
            month
                .stretch(Some(date(29)), Some(9))
                .unwrap_err()
                .to_string()
                .contains("9 days from 2026-11-29")
        );
    }

    #[test]
    fn a_history_without_an_order_is_refused() {
        let error = recorded(&hours(3, |_, _| false).replace(",5", ",0")).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "orders.csv: every count is 0: without an order there is nothing to live through or to plan"
            ),
            "{error}"
        );
        assert!(recorded(&hours(3, |_, _| false).replacen(",5", ",0", 71)).is_ok(), "a closed day is none");
    }

    #[test]
    fn a_gap_is_named_with_its_line_where_it_matters() {
        let month = recorded(&hours(10, |day, hour| day == 9 && (3..6).contains(&hour))).unwrap();
        let error = month.stretch(None, Some(2)).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "orders.csv:197: there is no row from 2026-11-09T03:00:00 to 2026-11-09T06:00:00"
            ),
            "{error}"
        );
        assert_eq!(month.stretch(Some(jiff::civil::date(2026, 11, 2)), Some(6)).unwrap().days, 6);
    }
}
