//! What calendars are told of the workloads that plan with them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Engine;
use super::learning::SLOT_SECONDS;
use crate::calendar::cluster::{CalendarUsers, MeasuredUplift};
use crate::core::Flow;
use crate::core::demand::calendar::{Calendar, EntryEffect, LearnedHolidays, measure};
use crate::history::{Recorder, SeriesKey};

/// Public holidays are told of so far ahead.
const HOLIDAYS_AHEAD: SignedDuration = SignedDuration::from_hours(365 * 24);

impl CalendarUsers for Engine {
    fn namespaces(&self) -> Vec<String> {
        let namespaces: BTreeSet<String> =
            self.index().entries.keys().map(|id| id.namespace.clone()).collect();
        namespaces.into_iter().collect()
    }

    fn workloads(&self, namespace: &str) -> Vec<String> {
        let index = self.index();
        let names = index.entries.keys().filter(|id| id.namespace == namespace).map(|id| id.name.clone());
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn effects(&self, namespace: &str, calendar: &Calendar) -> Vec<EntryEffect> {
        let plus = |sum: Option<f64>, own: Option<f64>| own.map(|own| sum.unwrap_or(0.0) + own).or(sum);
        let nothing = |effect| EntryEffect { ordinary: None, added: None, ..effect };
        let now = self.clock().now();
        let until = now.checked_add(HOLIDAYS_AHEAD).unwrap_or(Timestamp::MAX);
        let all = calendar.effects(now, until, &LearnedHolidays::default(), None);
        let mut sums: Vec<EntryEffect> = all.into_iter().map(nothing).collect();
        for entry in self.newest(namespace) {
            for (sum, own) in sums.iter_mut().zip(entry.effects(calendar, now, until)) {
                sum.ordinary = plus(sum.ordinary, own.ordinary);
                sum.added = plus(sum.added, own.added);
            }
        }
        sums
    }

    fn measured(&self, namespace: String, calendar: Calendar) -> BoxFuture<'_, Vec<MeasuredUplift>> {
        Box::pin(async move {
            let Some(history) = self.shared.knowledge.history.clone() else { return Vec::new() };
            let now = self.clock().now();
            if !calendar.entries().any(|(.., to)| to <= now) {
                return Vec::new();
            }
            let series: Vec<(SeriesKey, TimeZone)> = self
                .newest(&namespace)
                .iter()
                .filter_map(|entry| {
                    let zone = TimeZone::get(&entry.accepted()?.trigger.policy.time_zone).ok()?;
                    Some((entry.series()?.clone(), zone))
                })
                .collect();
            let measured = tokio::task::spawn_blocking(move || uplifts(&history, &series, &calendar, now));
            measured.await.unwrap_or_default()
        })
    }
}

impl Engine {
    /// The newest valid entry of each ScaledObject of a namespace.
    fn newest(&self, namespace: &str) -> Vec<std::sync::Arc<super::Entry>> {
        let index = self.index();
        let own = index.entries.iter().filter(|(id, _)| id.namespace == namespace);
        own.filter_map(|(_, entries)| entries.iter().rev().find(|entry| entry.accepted().is_some()).cloned())
            .collect()
    }
}

/// What came over what is ordinary, of all workloads together.
fn uplifts(
    history: &Recorder,
    series: &[(SeriesKey, TimeZone)],
    calendar: &Calendar,
    now: Timestamp,
) -> Vec<MeasuredUplift> {
    let mut sums: BTreeMap<(Timestamp, String), (f64, f64)> = BTreeMap::new();
    for (series, zone) in series {
        let past = match history.read(series, Flow::Arrivals) {
            Ok(past) => past,
            Err(error) => {
                tracing::warn!(%series, %error, "the history cannot be read: no uplift is measured");
                continue;
            }
        };
        for measured in measure(calendar, &past.intervals(now), zone, SLOT_SECONDS) {
            let sum = sums.entry((measured.from, measured.name)).or_default();
            *sum = (sum.0 + measured.came, sum.1 + measured.ordinary);
        }
    }
    let known = sums.into_iter().filter(|(_, (_, ordinary))| *ordinary >= 1.0);
    known.map(|((from, name), (came, ordinary))| (name, from, came / ordinary)).collect()
}
