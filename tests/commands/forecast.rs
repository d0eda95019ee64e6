//! `forecast` and `calendar learn` of a history with a peak that a calendar names.

use std::fmt::Write as _;

use jiff::civil::{Date, date};

use crate::support::{Folder, json};

/// The day that brings five times as many.
const PEAK: Date = date(2026, 11, 12);

const CALENDAR: &str = "timeZone: Europe/Prague
peaks:
  - {name: Sale, from: 2026-11-12, to: 2026-11-12, uplift: 4}
  - {name: Next, from: 2027-11-12, to: 2027-11-12, uplift: 2}
";

/// Six weeks of hours from the first of October, both sides of a change of clocks.
fn folder() -> Folder {
    let folder = Folder::new();
    let mut text = "timestamp,count\n".to_owned();
    let mut day = date(2026, 10, 1);
    for number in 0..45 {
        let times = if day == PEAK { 5 } else { 1 };
        for hour in 0..24_i32 {
            // The weekday, the hour and a little that is none of both.
            let usual = 40 + 20 * (number % 7) - 3 * i32::abs(hour - 13) + (hour * number) % 5;
            let skipped = day == date(2026, 10, 25) && hour == 2;
            if !skipped {
                let _ = writeln!(text, "{day}T{hour:02}:00:00,{}", times * usual);
            }
        }
        day = day.tomorrow().unwrap();
    }
    folder.write("past.csv", &text);
    folder.write("peaks.yaml", CALENDAR);
    folder
}

#[test]
fn a_score_with_a_calendar_stands_beside_that_without() {
    let folder = folder();
    let score = "forecast score --history past.csv --time-zone Europe/Prague --from 2026-11-08 --fast";
    let scored = json(&folder.says(&format!("{score} --calendar peaks.yaml --output json"), 0));
    let wape = |name: &str| {
        let lines = scored["day_ahead"].as_array().unwrap();
        lines.iter().find(|line| line["name"] == name).unwrap()["wape"].as_f64().unwrap()
    };
    let (without, with) = (wape("peakscaler"), wape("peakscaler, calendar"));
    assert!(with < 0.5 * without, "{with} told of four fifths of the peak, {without} without");
    let plain = json(&folder.says(&format!("{score} --output json"), 0));
    assert_eq!(plain["day_ahead"].as_array().unwrap().len(), 3, "{plain}");
    let hour = |scored: &serde_json::Value| scored["hour_ahead"]["wape_with_ratio"].as_f64().unwrap();
    assert!(hour(&scored) < hour(&plain), "{} and {}", hour(&scored), hour(&plain));

    folder.write("none.yaml", "peaks: []\n");
    let empty = json(&folder.says(&format!("{score} --calendar none.yaml --output json"), 0));
    let lines = empty["day_ahead"].as_array().unwrap();
    let close = lines[0]["wape"].as_f64().unwrap() - lines[1]["wape"].as_f64().unwrap();
    assert!(close.abs() < 0.02, "a calendar that says nothing changes little: {lines:?}");

    folder.write("wrong.yaml", "peaks: [{name: a, from: 2026-11-12, to: 2026-11-12}]\n");
    let refused = folder.refuses(&format!("{score} --calendar wrong.yaml"));
    assert!(refused.contains("wrong.yaml:1:") && refused.contains("uplift"), "{refused}");
}

#[test]
fn what_a_past_peak_brought_is_told_as_a_table_json_and_a_calendar_for_next_year() {
    let folder = folder();
    let learn = "calendar learn peaks.yaml --history past.csv --time-zone Europe/Prague";
    let table = folder.says(learn, 0);
    assert!(table.contains("Sale") && table.contains("Thu 2026-11-12 00:00"), "{table}");
    assert!(!table.contains("Next"), "what is to come cannot be measured: {table}");
    let lines = json(&folder.says(&format!("{learn} --output json"), 0));
    let uplift = lines[0]["uplift"].as_f64().unwrap();
    assert!((4.5..5.5).contains(&uplift), "{lines}");
    assert_eq!(lines[0]["said"], 4.0);

    let next = folder.says(&format!("{learn} --output yaml"), 0);
    folder.write("next.yaml", &next);
    assert!(next.contains("2027-11-11T00:00:00"), "the same Thursday of next year: {next}");
    let checked = folder.says("calendar check next.yaml", 0);
    assert_eq!(
        checked,
        "next.yaml: 1 peak, 0 closures, 0 public holidays within a year from now, 0 cut-offs, nothing wrong\n"
    );

    folder.write("later.yaml", "peaks: [{name: a, from: 2027-01-01, to: 2027-01-01, uplift: 2}]\n");
    let output = folder.run("calendar learn later.yaml --history past.csv --output json");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[]\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing is measured"));
}

#[test]
fn a_history_is_read_in_the_zone_of_its_calendar_and_that_is_said() {
    let folder = folder();
    for command in ["learn", "preview"] {
        let run = format!("calendar {command} peaks.yaml --history past.csv --output json");
        let (own, asked) = (folder.run(&run), folder.run(&format!("{run} --time-zone Europe/Prague")));
        assert!(own.status.success() && own.stdout == asked.stdout, "{command}: {own:?}");
        let said = String::from_utf8(own.stderr).unwrap();
        assert!(said.contains("in Europe/Prague, the calendar's timeZone"), "{said}");
        assert!(!String::from_utf8_lossy(&asked.stderr).contains("note: times"), "{asked:?}");
        let other = folder.says(&format!("{run} --time-zone UTC"), 0);
        assert_ne!(other.as_bytes(), own.stdout, "{command}");
    }
    folder.write("bare.yaml", "peaks: [{name: Sale, from: 2026-11-12, to: 2026-11-12, uplift: 4}]\n");
    let bare = folder.run("calendar learn bare.yaml --history past.csv");
    assert!(String::from_utf8_lossy(&bare.stderr).contains("in UTC, as the calendar has no timeZone"));
}

#[test]
fn a_reason_is_told_once() {
    let refused = Folder::new().refuses("calendar check missing.yaml");
    assert_eq!(refused, "error: missing.yaml: cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn public_holidays_of_a_checked_calendar_are_counted() {
    let folder = folder();
    folder.write("czech.yaml", "timeZone: Europe/Prague\npublicHolidays: [{country: CZ, uplift: 0.5}]\n");
    let checked = folder.says("calendar check czech.yaml", 0);
    let words: Vec<&str> = checked.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let place = words.iter().position(|word| *word == "public").unwrap();
    // Thirteen dates, two of which move with Easter.
    assert!((11..=15).contains(&words[place - 1].parse::<u32>().unwrap()), "{checked}");
}
