//! Carrier cut-offs as one line: `DPD Mon-Fri 14:00+45m; PPL Mon-Sat 17:30+30m`.
//!
//! Each entry is a carrier's name, the days on which it collects, the cut-off by the wall clock and
//! the window after it: orders in by 14:00 are done by 14:45.

use super::duration;
use super::problem::{list_wrong, shortened};
use crate::core::CutOff;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const FULL_DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MOST_CUT_OFFS: usize = 64;
const LONGEST_NAME: usize = 40;
const LONGEST_WINDOW_SECONDS: f64 = 24.0 * 3600.0;
const RIGHT: &str =
    "write each as carrier, days and time+window, like DPD Mon-Fri 14:00+45m, with ; between them";

/// Reads all cut-offs of one value.
///
/// # Errors
/// Everything wrong with them, as the end of a message that starts with the whole value.
pub(crate) fn parse(text: &str) -> Result<Vec<CutOff>, String> {
    let mut cut_offs: Vec<CutOff> = Vec::new();
    let mut wrong = Vec::new();
    // A semicolon after the last entry is a habit, not a mistake.
    let entries = text.trim().strip_suffix(';').unwrap_or(text);
    for entry in entries.split(';').map(str::trim) {
        match parse_entry(entry) {
            Ok(cut_off) if cut_offs.iter().any(|other| collide(other, &cut_off)) => {
                wrong.push((
                    entry,
                    format!("names {:?} again for the same day and time; keep one", cut_off.name),
                ));
            }
            Ok(cut_off) => cut_offs.push(cut_off),
            Err(message) => wrong.push((entry, message)),
        }
        if cut_offs.len() + wrong.len() > MOST_CUT_OFFS {
            return Err(format!("has more than {MOST_CUT_OFFS} cut-offs"));
        }
    }
    if wrong.is_empty() { Ok(cut_offs) } else { Err(list_wrong(text, wrong)) }
}

/// Writes cut-offs so that [`parse`] reads the same back.
pub(crate) fn format(cut_offs: &[CutOff]) -> String {
    cut_offs.iter().map(format_one).collect::<Vec<_>>().join("; ")
}

fn format_one(cut_off: &CutOff) -> String {
    let days = if cut_off.weekdays == [true; 7] { "daily".to_owned() } else { named(cut_off.weekdays) };
    let minutes = cut_off.at_seconds_of_day / 60;
    format!(
        "{} {days} {:02}:{:02}+{}",
        cut_off.name,
        minutes / 60,
        minutes % 60,
        duration::format(cut_off.within_seconds)
    )
}

/// Weekdays as a list, three and more in a row as a range: `Mon-Fri,Sun`.
fn named(weekdays: [bool; 7]) -> String {
    let runs = weekdays.chunk_by(|one, other| one == other);
    let mut first = 0;
    let mut words = Vec::new();
    for run in runs {
        let days = &DAYS[first..first + run.len()];
        first += run.len();
        match (run[0], days) {
            (true, [from, _, .., to]) => words.push(format!("{from}-{to}")),
            (true, days) => words.extend(days.iter().map(|day| (*day).to_owned())),
            (false, _) => {}
        }
    }
    words.join(",")
}

fn collide(one: &CutOff, other: &CutOff) -> bool {
    one.name.eq_ignore_ascii_case(&other.name)
        && one.at_seconds_of_day == other.at_seconds_of_day
        && one.weekdays.iter().zip(other.weekdays).any(|(one, other)| *one && other)
}

fn parse_entry(entry: &str) -> Result<CutOff, String> {
    if entry.is_empty() {
        return Err(format!("is empty; {RIGHT}"));
    }
    let tightened = tighten(entry);
    let mut words: Vec<&str> = tightened.split_whitespace().collect();
    let time = words.pop().unwrap_or_default();
    let time_read = parse_time(time);
    let days_read = match words.pop() {
        Some(days) if !words.is_empty() => parse_days(days),
        Some(word) if parse_days(word).is_ok() => Err(format!("has no carrier's name; {RIGHT}")),
        Some(name) if time_read.is_ok() => {
            let (name, time) = (shortened(name), shortened(time));
            Err(format!("has no days; write {name} Mon-Fri {time} or {name} daily {time}"))
        }
        _ => return Err(time_read.err().unwrap_or_else(|| format!("has neither carrier nor days; {RIGHT}"))),
    };
    let (weekdays, (at_seconds_of_day, within_seconds)) = match (days_read, time_read) {
        (Ok(weekdays), Ok(time)) => (weekdays, time),
        (Err(days), Err(time)) => return Err(format!("{days}, and {time}")),
        (Err(message), _) | (_, Err(message)) => return Err(message),
    };
    let name = words.join(" ");
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!("has a carrier's name that is too long; the most is {LONGEST_NAME} characters"));
    }
    if name.contains([':', '+', ',']) {
        return Err(format!("has {name:?} for a carrier; put ; between cut-offs"));
    }
    Ok(CutOff { name, weekdays, at_seconds_of_day, within_seconds })
}

/// Takes out the blanks that people put around `+` and after `,`.
fn tighten(entry: &str) -> String {
    let around_plus = entry.split('+').map(str::trim).collect::<Vec<_>>().join("+");
    around_plus.split(',').map(str::trim).collect::<Vec<_>>().join(",")
}

fn parse_time(word: &str) -> Result<(u32, f64), String> {
    let Some((clock, window)) = word.split_once('+') else {
        return Err(match parse_clock(word) {
            Ok(_) => format!(
                "has no window; write {word}+45m when orders in by {word} are to be done 45 minutes later"
            ),
            Err(_) => format!("does not end in time+window; {RIGHT}"),
        });
    };
    let at = parse_clock(clock)?;
    let within = duration::parse(window)
        .map_err(|message| format!("has the window {:?}, which {message}", shortened(window)))?;
    if within <= 0.0 {
        return Err("has a window of 0; write the time from the cut-off to the dispatch, like 45m".to_owned());
    }
    if within > LONGEST_WINDOW_SECONDS {
        return Err(format!("has a window of {}; the most is 24h", shortened(window)));
    }
    Ok((at, within))
}

fn parse_clock(clock: &str) -> Result<u32, String> {
    let wrong = || {
        format!(
            "has {:?} in it, which is not a time of day; write it like 14:00, from 00:00 to 23:59",
            shortened(clock)
        )
    };
    let (hours, minutes) = clock.split_once(':').ok_or_else(wrong)?;
    let part = |text: &str, most: u32| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten().filter(|number| *number <= most)
    };
    if minutes.len() != 2 {
        return Err(wrong());
    }
    let (hours, minutes) = (part(hours, 23).ok_or_else(wrong)?, part(minutes, 59).ok_or_else(wrong)?);
    Ok(hours * 3600 + minutes * 60)
}

fn parse_days(word: &str) -> Result<[bool; 7], String> {
    let mut weekdays = [false; 7];
    if word.eq_ignore_ascii_case("daily") {
        return Ok([true; 7]);
    }
    for part in word.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_day(first)?, parse_day(last)?);
        // `Fri-Mon` goes over the weekend.
        let length = (last + 7 - first) % 7;
        for step in 0..=length {
            weekdays[(first + step) % 7] = true;
        }
    }
    Ok(weekdays)
}

fn parse_day(word: &str) -> Result<usize, String> {
    let found = (0..7)
        .find(|day| word.eq_ignore_ascii_case(DAYS[*day]) || word.eq_ignore_ascii_case(FULL_DAYS[*day]));
    found.ok_or_else(|| {
        format!(
            "has {:?} in it, which is not a day; write Mon, Tue, Wed, Thu, Fri, Sat, Sun, a range like Mon-Fri, a list like Mon,Wed, or daily",
            shortened(word)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> String {
        let parsed = parse(&format!("DPD {text} 14:00+45m")).unwrap();
        parsed[0].weekdays.iter().map(|collects| if *collects { 'x' } else { '.' }).collect()
    }

    #[test]
    fn reads_two_carriers() {
        let parsed = parse("DPD Mon-Fri 14:00+45m; PPL Mon-Sat 17:30+30m").unwrap();
        assert_eq!(parsed.len(), 2);
        assert_eq!(parsed[0].name, "DPD");
        assert_eq!(parsed[0].weekdays, [true, true, true, true, true, false, false]);
        assert_eq!(parsed[0].at_seconds_of_day, 14 * 3600);
        assert!((parsed[0].within_seconds - 2700.0).abs() < f64::EPSILON);
        assert_eq!(parsed[1].at_seconds_of_day, 17 * 3600 + 1800);
    }

    #[test]
    fn reads_days_in_every_form() {
        for (text, expected) in [
            ("Mon-Fri", "xxxxx.."),
            ("mon-fri", "xxxxx.."),
            ("Fri-Mon", "x...xxx"),
            ("Mon,Wed", "x.x...."),
            ("Mon, Wed", "x.x...."),
            ("Mon-Tue,Sat", "xx...x."),
            ("Sunday", "......x"),
            ("Sun-Sun", "......x"),
            ("Tue-Mon", "xxxxxxx"),
            ("daily", "xxxxxxx"),
        ] {
            assert_eq!(days(text), expected, "{text}");
        }
    }

    #[test]
    fn days_in_a_row_are_written_as_a_range() {
        for (text, expected) in [
            ("Mon-Fri", "Mon-Fri"),
            ("Mon,Tue", "Mon,Tue"),
            ("Fri-Mon", "Mon,Fri-Sun"),
            ("Mon,Wed,Sat", "Mon,Wed,Sat"),
            ("Mon-Sun", "daily"),
        ] {
            let parsed = parse(&format!("DPD {text} 14:00+45m")).unwrap();
            let written = format(&parsed);
            assert_eq!(written, format!("DPD {expected} 14:00+45m"));
            assert_eq!(parse(&written).unwrap(), parsed);
        }
    }

    #[test]
    fn takes_names_with_blanks_and_a_carrier_that_comes_twice_a_day() {
        let parsed = parse("DHL Express daily 9:30 + 1h; DPD Mon 10:00+45m; DPD Mon 14:00+45m;").unwrap();
        assert_eq!(
            parsed.iter().map(|cut_off| cut_off.name.as_str()).collect::<Vec<_>>(),
            ["DHL Express", "DPD", "DPD"]
        );
        assert_eq!(parse(&format(&parsed)).unwrap(), parsed);
    }

    #[test]
    fn says_everything_that_is_wrong() {
        let message =
            parse("DPD 14:00+45m; PPL Mon-Fry 25:00+45m; UPS Mon 12:00; GLS Mon 12:00+0m").unwrap_err();
        for part in [
            "has no days",
            "\"PPL Mon-Fry 25:00+45m\" has \"Fry\" in it, which is not a day",
            "has \"25:00\" in it",
            "has no window",
            "window of 0",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}
