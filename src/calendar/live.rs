//! The calendars in force: the operator's file, which is read again when it changes, and those of each
//! namespace.
//!
//! All that apply to a workload are read as one document: the file first, then its namespace's own by
//! name. So entries overlap by the same rule wherever they stand. A carrier's cut-offs of one date that
//! were told already are not told again: the earlier calendar counts.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::{LoadError, load, parse};
use crate::clock::Clock;
use crate::core::demand::calendar::Calendar;

/// How often the file is looked at. Its content is compared: a mounted `ConfigMap` keeps no good times.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is known of peaks, by namespace. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub struct Calendars {
    shared: Arc<RwLock<Shared>>,
}

#[derive(Default)]
struct Shared {
    file: Calendar,
    own: HashMap<String, BTreeMap<String, Calendar>>,
    joined: HashMap<String, Arc<Calendar>>,
    everywhere: Arc<Calendar>,
}

impl Calendars {
    /// All that applies to workloads of a namespace; the same pointer until it changes.
    pub fn of(&self, namespace: &str) -> Arc<Calendar> {
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        shared.joined.get(namespace).unwrap_or(&shared.everywhere).clone()
    }

    /// Puts the file's content in the place of what it said before.
    pub fn set_file(&self, calendar: Calendar) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        shared.everywhere = Arc::new(calendar.clone());
        shared.file = calendar;
        let namespaces: Vec<String> = shared.own.keys().cloned().collect();
        for namespace in namespaces {
            shared.join(&namespace);
        }
    }

    /// Puts a namespace's own calendars, by name, in the place of those before.
    pub fn set_own(&self, namespace: &str, own: BTreeMap<String, Calendar>) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        if shared.own.get(namespace).is_none_or(|before| *before != own) {
            shared.own.insert(namespace.to_owned(), own);
            shared.join(namespace);
        }
    }
}

impl Shared {
    fn join(&mut self, namespace: &str) {
        let own = self.own.get(namespace).into_iter().flat_map(BTreeMap::values);
        let mut joined = self.file.clone();
        for calendar in own {
            joined.join(calendar);
        }
        self.joined.insert(namespace.to_owned(), Arc::new(joined));
    }
}

/// Loads the operator's file and follows it from then on.
///
/// # Errors
/// When it cannot be read, or everything that is wrong with it. Later mistakes are logged, and what it
/// said before stays in force.
pub fn follow(path: PathBuf, calendars: Calendars, clock: Clock) -> Result<(), LoadError> {
    let mut file = File::open(path, calendars)?;
    tokio::spawn(async move {
        loop {
            clock.sleep(LOOK_EVERY).await;
            let looked = tokio::task::spawn_blocking(move || {
                file.look();
                file
            });
            match looked.await {
                Ok(same) => file = same,
                Err(_) => return,
            }
        }
    });
    Ok(())
}

/// The operator's file, and what it said when it was last looked at.
struct File {
    path: PathBuf,
    calendars: Calendars,
    content: Option<String>,
}

impl File {
    fn open(path: PathBuf, calendars: Calendars) -> Result<Self, LoadError> {
        calendars.set_file(load(&path)?);
        let content = std::fs::read_to_string(&path).ok();
        Ok(Self { path, calendars, content })
    }

    fn look(&mut self) {
        let file = self.path.display();
        let now = match std::fs::read_to_string(&self.path) {
            Ok(now) => now,
            Err(error) => {
                if self.content.take().is_some() {
                    tracing::error!(%file, %error, "the calendar cannot be read: what it said stays in force");
                }
                return;
            }
        };
        if self.content.as_ref() == Some(&now) {
            return;
        }
        match parse(&now) {
            Ok(calendar) => {
                tracing::info!(%file, entries = calendar.entries().count(), "the calendar is read");
                self.calendars.set_file(calendar);
            }
            Err(findings) => {
                let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
                let findings = findings.join("; ");
                tracing::error!(%file, findings, "the calendar is wrong: what it said before stays in force");
            }
        }
        self.content = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(text: &str) -> Calendar {
        parse(text).unwrap()
    }

    fn names(calendars: &Calendars, namespace: &str) -> Vec<String> {
        calendars.of(namespace).entries().map(|(name, ..)| name.to_owned()).collect()
    }

    #[test]
    fn a_namespace_sees_the_file_and_its_own_alone() {
        let calendars = Calendars::default();
        let before = calendars.of("shop");
        assert!(before.is_empty() && Arc::ptr_eq(&before, &calendars.of("shop")));
        calendars.set_file(calendar("peaks: [{name: file, from: 2026-11-27, to: 2026-11-27, uplift: 5}]"));
        let own = |text| BTreeMap::from([("own".to_owned(), calendar(text))]);
        calendars.set_own("shop", own("closures: [{name: shop, from: 2026-11-28, to: 2026-11-28}]"));
        calendars.set_own("pack", own("peaks: [{name: pack, from: 2026-11-27, to: 2026-11-27, uplift: 9}]"));
        assert_eq!(names(&calendars, "shop"), ["file", "shop"]);
        assert_eq!(names(&calendars, "pack"), ["file", "pack"]);
        assert_eq!(names(&calendars, "other"), ["file"]);
        calendars.set_file(Calendar::default());
        assert_eq!(names(&calendars, "shop"), ["shop"]);
        calendars.set_own("shop", BTreeMap::new());
        assert!(calendars.of("shop").is_empty());
    }

    #[test]
    fn of_cut_offs_told_twice_the_file_counts() {
        let calendars = Calendars::default();
        calendars.set_file(calendar("cutOffs: [{carrier: DPD, date: 2026-12-23, at: '12:00'}]"));
        let own = "cutOffs: [{carrier: dpd, date: 2026-12-23, none: true}, {carrier: dpd, date: 2026-12-24, none: true}]";
        calendars.set_own("shop", BTreeMap::from([("own".to_owned(), calendar(own))]));
        let cut_offs = calendars.of("shop").cut_offs().to_vec();
        assert_eq!(cut_offs.len(), 2);
        assert_eq!(cut_offs[0].at_seconds_of_day, Some(43_200));
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_wrong_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peaks.yaml");
        let write = |name: &str, uplift: i32| {
            let peak =
                format!("peaks: [{{name: {name}, from: 2026-11-27, to: 2026-11-27, uplift: {uplift}}}]");
            std::fs::write(&path, peak).unwrap();
        };
        write("a", 5);
        let calendars = Calendars::default();
        let mut file = File::open(path.clone(), calendars.clone()).unwrap();
        let mut look = || {
            file.look();
            names(&calendars, "shop")
        };
        assert_eq!(look(), ["a"]);
        write("b", -1);
        assert_eq!(look(), ["a"]);
        write("c", 6);
        assert_eq!(look(), ["c"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(), ["c"]);
        write("c", 6);
        assert_eq!(look(), ["c"]);
        std::fs::remove_file(&path).unwrap();
        assert!(File::open(path, calendars).is_err(), "at the start it must be there");
    }
}
