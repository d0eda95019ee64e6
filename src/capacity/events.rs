//! Which findings are told as events, and when: what stays is told once and again every hour, never in a flood.

use std::collections::HashMap;

use jiff::Timestamp;

use super::finding::{Finding, FindingKind};
use crate::clock::seconds_between;
use crate::observe::WorkloadId;

/// What is over sooner than this is not told.
const PERSISTS_SECONDS: f64 = 10.0;
/// From one telling to the next.
const AGAIN_SECONDS: f64 = 3600.0;
/// What was gone for longer than this is new when it is found again.
const FORGOTTEN_SECONDS: f64 = 600.0;
/// Most events in a minute.
const MOST_A_MINUTE: usize = 20;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    known: HashMap<(WorkloadId, FindingKind), Known>,
    lately: Vec<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    first_seen: Timestamp,
    last_seen: Timestamp,
    told_at: Option<Timestamp>,
}

impl Told {
    /// Those of a workload's findings that are to be told now.
    pub(super) fn due(
        &mut self,
        now: Timestamp,
        workload: &WorkloadId,
        findings: &[Finding],
    ) -> Vec<Finding> {
        self.lately.retain(|at| seconds_between(*at, now) < 60.0);
        let mut due = Vec::new();
        for finding in findings {
            let new = Known { first_seen: now, last_seen: now, told_at: None };
            let known = self.known.entry((workload.clone(), finding.kind)).or_insert(new);
            if seconds_between(known.last_seen, now) > FORGOTTEN_SECONDS {
                *known = new;
            }
            known.last_seen = now;
            let persists = seconds_between(known.first_seen, now) >= PERSISTS_SECONDS;
            let is_news = known.told_at.is_none_or(|at| seconds_between(at, now) >= AGAIN_SECONDS);
            if persists && is_news && self.lately.len() < MOST_A_MINUTE {
                known.told_at = Some(now);
                self.lately.push(now);
                due.push(finding.clone());
            }
        }
        due
    }

    /// Forgets what is long over.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        self.known.retain(|_, known| seconds_between(known.last_seen, now) <= AGAIN_SECONDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Severity;
    use crate::capacity::findings::tests::workload;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn what_stays_is_told_once_an_hour() {
        let mut told = Told::default();
        let finding = [Finding::new(FindingKind::PoolMissing, Severity::Warning, "no pool")];
        let mut moments = Vec::new();
        for second in (0..8000).step_by(10) {
            if !told.due(at(second), &workload(), &finding).is_empty() {
                moments.push(second);
            }
        }
        assert_eq!(moments, [10, 3610, 7210]);
    }

    #[test]
    fn what_passes_is_not_told_and_what_returns_is_new() {
        let mut told = Told::default();
        let finding = [Finding::new(FindingKind::PoolMissing, Severity::Warning, "no pool")];
        for (second, expected) in [(0, 0), (5, 0), (900, 0), (910, 1), (1000, 0), (2000, 0), (2010, 1)] {
            assert_eq!(told.due(at(second), &workload(), &finding).len(), expected, "{second}");
        }
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut told = Told::default();
        let finding = [Finding::new(FindingKind::PoolMissing, Severity::Warning, "no pool")];
        let workloads: Vec<WorkloadId> =
            (0..50).map(|number| WorkloadId { name: number.to_string(), ..workload() }).collect();
        let mut count = |second| -> usize {
            workloads.iter().map(|workload| told.due(at(second), workload, &finding).len()).sum()
        };
        assert_eq!([count(0), count(10), count(20), count(80), count(150)], [0, 20, 0, 20, 10]);
    }
}
