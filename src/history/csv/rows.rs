//! The lines of a history, each by itself: a local time and a count, or what would be right there.

use jiff::civil::DateTime;

use super::{HistoryError, Row};
use crate::core::observation::MOST_COUNT;

const HEADER: [&str; 2] = ["timestamp", "count"];

/// All rows below the header; lines of nothing but blanks are none.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Row>, HistoryError> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_text(bytes, error.valid_up_to()))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for (index, record) in reader.records().enumerate() {
        let record = record?;
        // The reader's own lines are one behind where a line ends as on Windows.
        let end = record.position().and_then(|position| usize::try_from(position.byte()).ok());
        let start = start_of(text, end.unwrap_or(counted));
        line += newlines(&bytes[counted..start]);
        counted = start;
        let fields: Vec<&str> = record.iter().collect();
        let row = match fields[..] {
            _ if index == 0 => header(&fields).map(|()| None),
            [""] => Ok(None),
            [at, count] => time(at).and_then(|at| Ok(Some(Row { line, at, count: number(count)? }))),
            _ => Err(wrong_fields(&fields)),
        };
        rows.extend(row.map_err(|what| HistoryError::Row { line, what })?);
    }
    Ok(rows)
}

/// Where the line begins that comes after the line ends at a place.
fn start_of(text: &str, end: usize) -> usize {
    text.len() - text.get(end..).unwrap_or_default().trim_start_matches(['\r', '\n']).len()
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

fn not_text(bytes: &[u8], valid: usize) -> HistoryError {
    let is_utf_16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let found = if is_utf_16 { "is UTF-16" } else { "is not text in UTF-8" };
    HistoryError::Row {
        line: 1 + newlines(&bytes[..valid]),
        what: format!(
            "{found}; save the file as CSV in UTF-8, with lines `timestamp,count` such as `2024-11-29T08:00:00,120`"
        ),
    }
}

fn header(fields: &[&str]) -> Result<(), String> {
    if fields == HEADER {
        return Ok(());
    }
    let found = fields.join(",");
    let hint = if fields.first().is_some_and(|first| first.parse::<DateTime>().is_ok()) {
        "; write that line above the rows"
    } else if found.contains([';', '\t']) {
        "; between fields stands a comma, also in the rows"
    } else {
        ""
    };
    Err(format!("header is {found:?}, it must be \"timestamp,count\"{hint}"))
}

fn wrong_fields(fields: &[&str]) -> String {
    let count = if fields.len() == 1 { "1 field".to_owned() } else { format!("{} fields", fields.len()) };
    let hint = match fields {
        [one] if one.contains([';', '\t']) => "; between fields stands a comma",
        [_, whole, part] if [whole, part].iter().all(|part| part.parse::<u64>().is_ok()) => {
            "; in a count stands a point, as in 12.5, and no comma"
        }
        _ => "",
    };
    format!("{count}, a row has 2: `2024-11-29T08:00:00,120`{hint}")
}

fn time(at: &str) -> Result<DateTime, String> {
    let has_offset = at.ends_with([']', 'Z', 'z']) || at.rfind(['+', '-']).is_some_and(|place| place > 10);
    if has_offset {
        return Err(format!("timestamp {at:?} has an offset; write local times and give --time-zone"));
    }
    let time: DateTime = at.parse().map_err(|_| {
        format!("timestamp {at:?} is not a local time such as 2024-11-29T08:00:00 (no offset, no Z)")
    })?;
    if time.subsec_nanosecond() != 0 {
        return Err(format!("timestamp {at:?} has parts of a second; write whole ones"));
    }
    Ok(time)
}

fn number(count: &str) -> Result<f64, String> {
    let value: f64 = count.parse().map_err(|_| match count {
        "" => "count is empty; write 0 where no order came, and leave the row out if unknown".to_owned(),
        _ => format!("count {count:?} is not a number such as 120 or 12.5"),
    })?;
    if value > MOST_COUNT {
        return Err(format!("count {count} must be at most {MOST_COUNT}; leave the row out if unknown"));
    }
    if value >= 0.0 {
        return Ok(value);
    }
    Err(format!("count {count} must be zero or more, and finite; leave the row out if unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_wrong_says_what_would_be_right() {
        let below = |rows: &str| format!("timestamp,count\n{rows}");
        for (text, expected) in [
            (
                "2024-11-29T08:00:00,1\n".to_owned(),
                "line 1: header is \"2024-11-29T08:00:00,1\", it must be \"timestamp,count\"; write that line",
            ),
            (
                "timestamp;count\n".to_owned(),
                "line 1: header is \"timestamp;count\", it must be \"timestamp,count\"; between fields",
            ),
            (
                below("2024-11-29T08:00:00;1"),
                "line 2: 1 field, a row has 2: `2024-11-29T08:00:00,120`; between fields",
            ),
            (
                below("2024-11-29T08:00:00,1,5"),
                "line 2: 3 fields, a row has 2: `2024-11-29T08:00:00,120`; in a count",
            ),
            (below("2024-11-29T08:00:00,1,A"), "line 2: 3 fields, a row has 2: `2024-11-29T08:00:00,120`"),
            (
                below("2024-11-29T08:00:00,\"1,5\""),
                "line 2: count \"1,5\" is not a number such as 120 or 12.5",
            ),
            (below("2024-11-29T08:00:00,"), "line 2: count is empty; write 0"),
            (below("2024-11-29T08:00:00,1e12"), "line 2: count 1e12 must be at most 1000000000; leave"),
            (below("2024-11-29T08:00:00,NaN"), "line 2: count NaN must be zero or more, and finite; leave"),
            (below("2024-11-29T08:00:00Z,1"), "line 2: timestamp \"2024-11-29T08:00:00Z\" has an offset"),
            (
                below("2024-11-29T08:00:00.25,1"),
                "line 2: timestamp \"2024-11-29T08:00:00.25\" has parts of a second",
            ),
        ] {
            let message = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{text}\n{message}");
        }
        let latin: &[u8] = b"timestamp,count\n2024-11-29T08:00:00,1\n2024-11-29T09:00:00,\xe9\n";
        let wide: &[u8] = b"\xff\xfet\0i\0";
        for (bytes, expected) in [(latin, "line 3: is not text in UTF-8"), (wide, "line 1: is UTF-16")] {
            let message = parse(bytes).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_byte_order_mark_windows_line_ends_and_blank_lines_are_taken() {
        let text = "\u{feff}timestamp,count\r\n2024-11-29T08:00:00,1\r\n\r\n  \r\n2024-11-29 09:00:00, 2\r\n";
        let rows = parse(text.as_bytes()).unwrap();
        let found: Vec<(u64, f64)> = rows.iter().map(|row| (row.line, row.count)).collect();
        assert_eq!(found, [(2, 1.0), (5, 2.0)]);
    }
}
