//! Histories of arrivals as CSV files of local wall-clock time, in and out.
//!
//! In: `timestamp,count` rows on a regular grid, ascending; rows may be missing (missing is not
//! zero). Out: closed intervals in absolute time. Where clocks go forward, the hour that does not
//! exist may be written as zero; where they go back, the repeated hour may be written once (both
//! together) or twice. Every error names its line and what would be right.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::core::observation::Interval;

mod rows;

/// A history that was read.
#[derive(Debug, Clone)]
pub struct History {
    /// Length of the grid's steps in seconds.
    pub step_seconds: i64,
    /// Closed intervals, ascending.
    pub intervals: Vec<Interval>,
    /// Grid steps between the first and the last row that have no row.
    pub missing: usize,
    /// What was odd and left out, one line each.
    pub warnings: Vec<String>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be read as CSV.
    #[error("history is not readable as CSV: {0}; it needs lines `timestamp,count`")]
    Csv(#[from] csv::Error),
    /// The file cannot be read at all.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// A row is wrong by itself or in its place.
    #[error("line {line}: {what}")]
    Row {
        /// Line in the file, the header being 1.
        line: u64,
        /// What is wrong and what would be right.
        what: String,
    },
    /// Too few rows.
    #[error("needs at least 2 rows below the header `timestamp,count` to know its grid, has {rows}")]
    Short {
        /// Rows that came.
        rows: usize,
    },
}

#[derive(Debug, Clone, Copy)]
struct Row {
    line: u64,
    at: DateTime,
    count: f64,
}

impl Row {
    fn error(&self, what: String) -> HistoryError {
        HistoryError::Row { line: self.line, what }
    }
}

/// Reads `timestamp,count` rows whose times are wall-clock times of `zone`.
///
/// # Errors
/// [`HistoryError`] with the line and what would be right.
pub fn read(mut input: impl Read, zone: &TimeZone) -> Result<History, HistoryError> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let rows = rows::parse(&bytes)?;
    let step_seconds = step_of(&rows)?;
    let missing = check_grid(&rows, step_seconds, zone)?;
    let intervals = Vec::with_capacity(rows.len());
    let mut history = History { step_seconds, intervals, missing, warnings: Vec::new() };
    let mut told: HashMap<DateTime, usize> = HashMap::new();
    for row in &rows {
        *told.entry(row.at).or_default() += 1;
    }
    let mut seen: HashMap<DateTime, usize> = HashMap::new();
    for row in &rows {
        let times = told[&row.at];
        let nth =
            if times > 1 { seen.entry(row.at).and_modify(|nth| *nth += 1).or_insert(0) } else { &mut 0 };
        place(row, *nth, times, step_seconds, zone, &mut history)?;
    }
    history.intervals.sort_by_key(|interval| interval.from);
    Ok(history)
}

/// Writes rows `timestamp,count` of moments in the wall-clock time of `zone`. Where clocks go back, the
/// repeated times are written once, both together; [`read`] takes them apart again.
///
/// # Errors
/// When `out` fails.
pub fn write(
    out: impl Write,
    counts: impl Iterator<Item = (Timestamp, f64)>,
    zone: &TimeZone,
) -> csv::Result<()> {
    let mut rows: BTreeMap<DateTime, f64> = BTreeMap::new();
    for (from, count) in counts {
        *rows.entry(zone.to_datetime(from)).or_default() += count;
    }
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["timestamp", "count"])?;
    for (at, count) in rows {
        let count = (count * 1000.0).round() / 1000.0;
        writer.write_record([at.strftime("%Y-%m-%dT%H:%M:%S").to_string(), count.to_string()])?;
    }
    writer.flush()?;
    Ok(())
}

/// The most common difference of neighbouring rows.
fn step_of(rows: &[Row]) -> Result<i64, HistoryError> {
    let mut differences: HashMap<i64, usize> = HashMap::new();
    for pair in rows.windows(2) {
        let seconds = pair[1].at.duration_since(pair[0].at).as_secs();
        if seconds > 0 {
            *differences.entry(seconds).or_default() += 1;
        }
    }
    let step = differences.into_iter().max_by_key(|(seconds, times)| (*times, -*seconds));
    let Some((step, _)) = step else {
        return match rows {
            [first, second, ..] => {
                Err(second.error(format!("{} is not after {}; rows must ascend", second.at, first.at)))
            }
            _ => Err(HistoryError::Short { rows: rows.len() }),
        };
    };
    if 86_400 % step != 0 || step > 3600 {
        if let Some(pair) = rows.windows(2).find(|pair| pair[1].at < pair[0].at) {
            return Err(pair[1].error(format!("{} comes after {}; rows must ascend", pair[1].at, pair[0].at)));
        }
        let what = format!(
            "steps of {step} s; they must divide a day and be an hour at most, such as 3600, 1800, 300 or 60"
        );
        return Err(rows[1].error(what));
    }
    Ok(step)
}

/// Checks order and grid; returns how many steps have no row.
fn check_grid(rows: &[Row], step: i64, zone: &TimeZone) -> Result<usize, HistoryError> {
    let mut missing = 0;
    for pair in rows.windows(2) {
        let (before, row) = (&pair[0], &pair[1]);
        let seconds = row.at.duration_since(before.at).as_secs();
        if seconds <= 0 {
            if fold(zone, row.at).is_some() && fold(zone, before.at).is_some() {
                continue;
            }
            let what = if seconds == 0 {
                format!("{} comes twice; each time must come once", row.at)
            } else {
                format!("{} comes after {}; rows must ascend", row.at, before.at)
            };
            return Err(row.error(what));
        }
        if seconds % step != 0 {
            let right = before.at.checked_add(SignedDuration::from_secs(step)).unwrap_or(before.at);
            return Err(
                row.error(format!("{} is not on the grid of {step} s; the next would be {right}", row.at))
            );
        }
        missing += usize::try_from(seconds / step - 1).unwrap_or(0);
    }
    Ok(missing)
}

/// Both moments of a local time that comes twice.
fn fold(zone: &TimeZone, at: DateTime) -> Option<(Timestamp, Timestamp)> {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    match ambiguous.offset() {
        AmbiguousOffset::Fold { before, after } => {
            Some((before.to_timestamp(at).ok()?, after.to_timestamp(at).ok()?))
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => None,
    }
}

/// Turns a row into intervals; `nth` of `times` rows of that local time.
fn place(
    row: &Row,
    nth: usize,
    times: usize,
    step: i64,
    zone: &TimeZone,
    history: &mut History,
) -> Result<(), HistoryError> {
    let out_of_range = || row.error(format!("{} is out of the range of times", row.at));
    let length = SignedDuration::from_secs(step);
    if let Some((early, late)) =
        fold(zone, row.at).filter(|(early, late)| late.duration_since(*early) >= length)
    {
        let both = [early, late];
        match times {
            1 => history.intervals.extend(both.map(|from| Interval {
                from,
                to: from + length,
                count: 0.5 * row.count,
            })),
            2 => {
                let from = both[nth];
                history.intervals.push(Interval { from, to: from + length, count: row.count });
            }
            times => {
                return Err(
                    row.error(format!("{} comes {times} times; here clocks go back, at most 2", row.at))
                );
            }
        }
        return Ok(());
    }
    if zone.to_ambiguous_timestamp(row.at).is_ambiguous() && fold(zone, row.at).is_none() {
        if row.count == 0.0 {
            return Ok(());
        }
        let name = zone.iana_name().unwrap_or("that zone");
        history.warnings.push(format!(
            "line {}: {} does not exist in {name}, where clocks go forward: its {} orders are left out; is this the zone the file was written in?",
            row.line, row.at, row.count
        ));
        return Ok(());
    }
    let end = row.at.checked_add(length).map_err(|_| out_of_range())?;
    let from = zone.to_timestamp(row.at).map_err(|_| out_of_range())?;
    let to = zone.to_timestamp(end).map_err(|_| out_of_range())?;
    history.intervals.push(Interval { from, to, count: row.count });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(body: &str, zone: &str) -> Result<History, HistoryError> {
        read(format!("timestamp,count\n{body}").as_bytes(), &TimeZone::get(zone).unwrap())
    }

    fn starts(history: &History) -> Vec<(String, f64)> {
        history.intervals.iter().map(|interval| (interval.from.to_string(), interval.count)).collect()
    }

    #[test]
    fn rows_become_intervals_and_missing_rows_are_counted() {
        let history = read_text(
            "2024-01-01T00:00:00,1\n2024-01-01T01:00:00,2\n2024-01-01T04:00:00,3\n2024-01-01T05:00:00,0",
            "UTC",
        )
        .unwrap();
        assert_eq!((history.step_seconds, history.missing, history.intervals.len()), (3600, 2, 4));
        assert_eq!(history.intervals[2].to.to_string(), "2024-01-01T05:00:00Z");
    }

    #[test]
    fn an_hour_that_does_not_exist_may_be_zero_only() {
        let rows = "2024-03-31T01:00:00,5\n2024-03-31T02:00:00,0\n2024-03-31T03:00:00,7";
        let history = read_text(rows, "Europe/Prague").unwrap();
        let expected = [("2024-03-31T00:00:00Z", 5.0), ("2024-03-31T01:00:00Z", 7.0)];
        assert_eq!(starts(&history), expected.map(|(from, count)| (from.to_owned(), count)));
        assert_eq!(history.intervals[0].to, history.intervals[1].from);
        assert_eq!(history.warnings, [""; 0]);
        let odd = read_text(&rows.replace("02:00:00,0", "02:00:00,4"), "Europe/Prague").unwrap();
        assert_eq!(odd.intervals, history.intervals);
        assert!(odd.warnings[0].starts_with("line 3: 2024-03-31T02:00:00 does not exist in Europe/Prague"));
    }

    #[test]
    fn a_repeated_hour_may_come_once_or_twice() {
        let once = "2024-10-27T01:00:00,5\n2024-10-27T02:00:00,8\n2024-10-27T03:00:00,7";
        let twice =
            "2024-10-27T01:00:00,5\n2024-10-27T02:00:00,4\n2024-10-27T02:00:00,4\n2024-10-27T03:00:00,7";
        let expected = [
            ("2024-10-26T23:00:00Z", 5.0),
            ("2024-10-27T00:00:00Z", 4.0),
            ("2024-10-27T01:00:00Z", 4.0),
            ("2024-10-27T02:00:00Z", 7.0),
        ];
        for rows in [once, twice] {
            let history = read_text(rows, "Europe/Prague").unwrap();
            assert_eq!(starts(&history), expected.map(|(from, count)| (from.to_owned(), count)));
            assert!(history.intervals.windows(2).all(|pair| pair[0].to == pair[1].from));
        }
    }

    #[test]
    fn a_half_hour_grid_survives_the_repeated_hour() {
        let rows =
            "2014-11-02T00:30:00,3\n2014-11-02T01:00:00,10\n2014-11-02T01:30:00,20\n2014-11-02T02:00:00,4";
        let history = read_text(rows, "America/New_York").unwrap();
        let counts: Vec<f64> = history.intervals.iter().map(|interval| interval.count).collect();
        assert_eq!(counts, [3.0, 5.0, 10.0, 5.0, 10.0, 4.0]);
        assert!(history.intervals.windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let zone = TimeZone::get("Europe/Prague").unwrap();
        let start: Timestamp = "2024-10-26T20:00:00Z".parse().unwrap();
        let counts: Vec<(Timestamp, f64)> =
            (0..10).map(|hour| (start + SignedDuration::from_hours(hour), 10.0 + hour as f64)).collect();
        let mut text = Vec::new();
        write(&mut text, counts.iter().copied(), &zone).unwrap();
        let history = read(text.as_slice(), &zone).unwrap();
        let back: Vec<(Timestamp, f64)> =
            history.intervals.iter().map(|interval| (interval.from, interval.count)).collect();
        // The two hours from 02:00 to 03:00, 14 and 15 orders, come back as two of the same size.
        let mut expected = counts;
        (expected[4].1, expected[5].1) = (14.5, 14.5);
        assert_eq!(back, expected);
    }

    #[test]
    fn errors_name_the_line_and_what_would_be_right() {
        let first = "2024-01-01T00:00:00,1\n2024-01-01T01:00:00,1\n";
        for (row, expected) in [
            (
                "2024-01-01T00:00:00,1",
                "line 4: 2024-01-01T00:00:00 comes after 2024-01-01T01:00:00; rows must ascend",
            ),
            ("2024-01-01T01:00:00,1", "line 4: 2024-01-01T01:00:00 comes twice; each time must come once"),
            (
                "2024-01-01T02:20:00,1",
                "line 4: 2024-01-01T02:20:00 is not on the grid of 3600 s; the next would be 2024-01-01T02:00:00",
            ),
            (
                "2024-01-01T02:00:00,-3",
                "line 4: count -3 must be zero or more, and finite; leave the row out if unknown",
            ),
            ("2024-01-01T02:00:00,many", "line 4: count \"many\" is not a number such as 120 or 12.5"),
            (
                "1711846800,1",
                "line 4: timestamp \"1711846800\" is not a local time such as 2024-11-29T08:00:00 (no offset, no Z)",
            ),
            (
                "2024-01-01T02:00:00+01:00,1",
                "line 4: timestamp \"2024-01-01T02:00:00+01:00\" has an offset; write local times and give --time-zone",
            ),
            ("2024-01-01T02:00:00", "line 4: 1 field, a row has 2: `2024-11-29T08:00:00,120`"),
        ] {
            let error = read_text(&format!("{first}{row}"), "Europe/Prague").unwrap_err().to_string();
            assert_eq!(error, expected);
        }
        let header = read("time,n\n".as_bytes(), &TimeZone::UTC).unwrap_err().to_string();
        assert_eq!(header, "line 1: header is \"time,n\", it must be \"timestamp,count\"");
        // What leaves no step that is right is told as what it is.
        let mixed = read_text("2024-01-01T01:00:00,1\n2024-01-01T00:00:00,1\n2024-01-01T04:00:00,1", "UTC");
        assert_eq!(
            mixed.unwrap_err().to_string(),
            "line 3: 2024-01-01T00:00:00 comes after 2024-01-01T01:00:00; rows must ascend"
        );
        let short = read_text("2024-01-01T00:00:00,1", "UTC").unwrap_err().to_string();
        assert_eq!(short, "needs at least 2 rows below the header `timestamp,count` to know its grid, has 1");
    }
}
