//! Kills a process in the middle of writes, and damages files at random places.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;
use peakscaler::core::{Flow, Interval};
use peakscaler::history::{Past, Recorder, Resolution, SeriesKey, Store, StoreError};
use rand::{Rng as _, SeedableRng as _};

const MAX_BYTES: u64 = 1 << 30;
const DIRECTORY: &str = "PEAKSCALER_TEST_DIRECTORY";

fn now() -> Timestamp {
    "2026-11-27T08:00:00Z".parse().unwrap()
}

fn series(number: u32) -> SeriesKey {
    SeriesKey {
        namespace: "shop".to_owned(),
        workload: format!("pickers-{number}"),
        queue: "orders".to_owned(),
    }
}

/// Minute `number` of the last days: it has `number` orders.
fn minute(number: u32) -> Past {
    let from = now() - SignedDuration::from_hours(240) + SignedDuration::from_mins(i64::from(number));
    Past::of(&[Interval { from, to: from + SignedDuration::from_mins(1), count: f64::from(number) }])
}

fn minutes(store: &Store, of: &SeriesKey) -> Vec<f32> {
    let past = store.read(of, Flow::Arrivals, now()).unwrap();
    past.cells(Resolution::Minute).map(|(_, cell)| cell.count).collect()
}

/// Not a test by itself: the process that is killed. Writes minute after minute, and says so after each.
#[test]
#[ignore = "run as a child by the test below"]
fn child_that_writes() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let store = Store::open(Path::new(&directory), MAX_BYTES).unwrap();
    let known = u32::try_from(minutes(&store, &series(0)).len()).unwrap();
    for number in known..14_000 {
        let news: Vec<_> = (0..3).map(|one| (series(one), Flow::Arrivals, minute(number))).collect();
        store.write(&news, &[], now()).unwrap();
        // Past the test harness, which would keep what is printed.
        let mut out = std::io::stderr().lock();
        writeln!(out, "written {}", number + 1).unwrap();
    }
}

#[test]
fn a_kill_in_the_middle_of_writes_loses_nothing_that_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let mut told = 0;
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::child_that_writes", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let until = told + random.random_range(1..60);
        for line in lines {
            let line = line.unwrap();
            let Some(number) = line.strip_prefix("written ") else { panic!("{line}") };
            told = number.parse().unwrap();
            if told >= until {
                break;
            }
        }
        // Somewhere within the next transactions.
        std::thread::sleep(std::time::Duration::from_micros(random.random_range(0..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(directory.path(), MAX_BYTES).unwrap();
        let expected: Vec<f32> = (0_u16..).take(minutes(&store, &series(0)).len()).map(f32::from).collect();
        assert!(expected.len() >= told as usize, "round {round}: {} of {told}", expected.len());
        for one in 0..3 {
            assert_eq!(minutes(&store, &series(one)), expected, "round {round}: whole transactions");
        }
        told = u32::try_from(expected.len()).unwrap();
    }
    let files = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 1, "nothing was set aside");
}

/// A file with an afternoon of three workloads.
fn filled(directory: &Path) -> Vec<u8> {
    let store = Store::open(directory, MAX_BYTES).unwrap();
    for hour in 0..6 {
        let mut past = Past::default();
        (hour * 60..hour * 60 + 60).for_each(|number| past.merge(&minute(number)));
        let news: Vec<_> = (0..3).map(|one| (series(one), Flow::Arrivals, past.clone())).collect();
        store.write(&news, &[], now()).unwrap();
    }
    drop(store);
    std::fs::read(directory.join("history.redb")).unwrap()
}

#[test]
fn a_file_damaged_anywhere_is_set_aside_or_whole() {
    let whole = filled(tempfile::tempdir().unwrap().path());
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let expected: Vec<f32> = (0_u16..360).map(f32::from).collect();
    let mut random = rand::rngs::StdRng::seed_from_u64(11);
    let mut set_aside = 0;
    for case in 0..120 {
        let mut bytes = whole.clone();
        let what = match case % 4 {
            0 => {
                bytes.truncate(random.random_range(1..whole.len()));
                format!("cut to {}", bytes.len())
            }
            1 => {
                let place = random.random_range(0..4096.min(used));
                bytes[place] ^= 1 << random.random_range(0..8);
                format!("a bit of the head, {place}")
            }
            2 => {
                let place = random.random_range(0..used);
                bytes[place] = bytes[place].wrapping_add(random.random_range(1..=255));
                format!("byte {place}")
            }
            _ => {
                let start = random.random_range(0..used);
                let end = (start + random.random_range(1..8192)).min(bytes.len());
                random.fill(&mut bytes[start..end]);
                format!("noise from {start} to {end}")
            }
        };
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("history.redb"), &bytes).unwrap();
        let store =
            Store::open(directory.path(), MAX_BYTES).unwrap_or_else(|error| panic!("{what}: {error}"));
        let was_set_aside = directory.path().join("history.redb.damaged").exists();
        set_aside += i32::from(was_set_aside);
        for one in 0..3 {
            let found = minutes(&store, &series(one));
            if was_set_aside {
                assert!(found.is_empty(), "{what}: begun anew");
            } else {
                assert_eq!(found, expected, "{what}: not noticed");
            }
        }
        store.write(&[(series(9), Flow::Arrivals, minute(5))], &[], now()).unwrap();
        assert_eq!(minutes(&store, &series(9)), [5.0], "{what}: it is used again");
    }
    assert!(set_aside > 30, "only {set_aside} of 120 were noticed");
}

#[test]
fn the_oldest_and_finest_goes_first_when_room_runs_out() {
    let directory = tempfile::tempdir().unwrap();
    let most = 4 << 20;
    let store = Store::open(directory.path(), most).unwrap();
    let day = |day: i64| {
        let minute = |minute: i64| {
            let from = now() - SignedDuration::from_hours(24 * day) + SignedDuration::from_mins(minute);
            Interval { from, to: from + SignedDuration::from_mins(1), count: 1.0 }
        };
        Past::of(&(0..1440).map(minute).collect::<Vec<_>>())
    };
    for back in (1..=14).rev() {
        let news: Vec<_> = (0..20).map(|one| (series(one), Flow::Arrivals, day(back))).collect();
        store.write(&news, &[], now()).unwrap();
    }
    let past = store.read(&series(0), Flow::Arrivals, now()).unwrap();
    let (minutes_from, ..) = past.span(Resolution::Minute).unwrap();
    let (hours_from, ..) = past.span(Resolution::Hour).unwrap();
    assert!(minutes_from > now() - SignedDuration::from_hours(24 * 8), "{minutes_from}");
    assert_eq!(hours_from, now() - SignedDuration::from_hours(24 * 14), "hours are kept longest");
    drop(store);
    let bytes = std::fs::metadata(directory.path().join("history.redb")).unwrap().len();
    assert!(bytes < 2 * most, "{bytes} bytes for a bound of {most}");
}

#[test]
fn what_is_too_old_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), MAX_BYTES).unwrap();
    store.write(&[(series(0), Flow::Arrivals, minute(0))], &[], now()).unwrap();
    let later = now() + SignedDuration::from_hours(24 * 40);
    store.write(&[(series(1), Flow::Arrivals, Past::default())], &[], later).unwrap();
    let past = store.read(&series(0), Flow::Arrivals, later).unwrap();
    assert_eq!(past.cells(Resolution::Minute).count(), 0);
    assert_eq!(past.cells(Resolution::FiveMinutes).count(), 1);
    let much_later = now() + SignedDuration::from_hours(24 * 480);
    store.write(&[], &[], much_later).unwrap();
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn a_recorder_writes_at_its_end_and_two_do_not_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let (clock, _hand) = Clock::manual(now());
    let recorder = Recorder::open(directory.path(), MAX_BYTES, clock.clone()).unwrap();
    let second = Recorder::open(directory.path(), MAX_BYTES, clock).err().unwrap();
    assert!(matches!(second, StoreError::InUse(_)), "{second}");
    let from = now() - SignedDuration::from_mins(3);
    let interval = Interval { from, to: from + SignedDuration::from_mins(1), count: 7.0 };
    recorder.record(&series(0), Flow::Completions, &[interval]);
    recorder.record(&series(0), Flow::Completions, &[interval]);
    // Somebody may read beside the process that writes.
    let beside = Store::open_to_read(directory.path()).unwrap();
    assert_eq!(beside.list().unwrap(), []);
    drop(recorder);
    let store = Store::open(directory.path(), MAX_BYTES).unwrap();
    assert_eq!(store.list().unwrap(), [(series(0), Flow::Completions)]);
    let past = store.read(&series(0), Flow::Completions, now()).unwrap();
    assert_eq!(past.cells(Resolution::Minute).map(|(_, cell)| cell.count).collect::<Vec<_>>(), [7.0]);
}
