//! Durations as KEDA's users write them: `300`, `300s`, `5m`, `1h30m`.

use std::fmt::Write as _;

/// Units from the largest to the smallest, in seconds; in this order they may follow each other.
const UNITS: [(&str, f64); 4] = [("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 0.001)];

/// What a message says would be right.
const RIGHT: &str = "write it like 300s, 5m or 1h30m";

/// Reads a duration, in seconds. A number alone means seconds.
///
/// # Errors
/// What is wrong, as the end of a message that starts with the value.
pub(crate) fn parse(text: &str) -> Result<f64, String> {
    if text.starts_with('-') {
        return Err(format!("is negative; {RIGHT}"));
    }
    let wrong = || format!("is not a duration; {RIGHT}");
    let mut rest = text;
    let mut total = 0.0;
    let mut next_unit = 0;
    loop {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let amount = decimal(number).ok_or_else(wrong)?;
        if after.is_empty() && next_unit == 0 {
            return Ok(amount);
        }
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, following) = after.split_at(unit_end);
        if matches!(unit, "d" | "day" | "days") {
            return Err("is not a duration; days are written in hours, like 24h".to_owned());
        }
        let position = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if position < next_unit {
            return Err(format!("has its units out of order; {RIGHT}"));
        }
        total += amount * UNITS[position].1;
        next_unit = position + 1;
        if following.is_empty() {
            return Ok(total);
        }
        rest = following;
    }
}

/// Writes seconds so that [`parse`] reads the same number back.
pub(crate) fn format(seconds: f64) -> String {
    let minutes = (seconds / 60.0).floor();
    if seconds.fract() != 0.0 || seconds == 0.0 || minutes > 1e9 {
        return format!("{seconds}s");
    }
    let (hours, minutes) = ((minutes / 60.0).floor(), minutes % 60.0);
    let mut text = String::new();
    for (amount, unit) in [(hours, "h"), (minutes, "m"), (seconds % 60.0, "s")] {
        if amount > 0.0 {
            let _ = write!(text, "{amount}{unit}");
        }
    }
    text
}

/// A plain decimal number such as `12` or `0.5`; nothing that only a programmer would write.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_operators_write() {
        for (text, seconds) in [
            ("300", 300.0),
            ("300s", 300.0),
            ("5m", 300.0),
            ("1h30m", 5400.0),
            ("1h0m1s", 3601.0),
            ("1.5h", 5400.0),
            ("0", 0.0),
            ("250ms", 0.25),
            ("2.5", 2.5),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "5 minutes",
            "m",
            "5mm",
            "1m1h",
            "1h1h",
            "PT5M",
            "1e3",
            "5min",
            "٣s",
            "1..5s",
            ".5s",
            "5.s",
            "-5s",
            "1d",
            "5m30",
            "inf",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for seconds in [0.0, 1.0, 59.0, 60.0, 90.0, 3600.0, 5400.0, 86_399.0, 0.25, 90.5] {
            assert_eq!(parse(&format(seconds)), Ok(seconds), "{}", format(seconds));
        }
        assert_eq!(format(5400.0), "1h30m");
    }
}
