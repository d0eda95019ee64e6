//! What Karpenter may take away in the middle of a peak: nodes that reach their age, and consolidation.

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::peak::Peak;
use crate::clock::{earlier, later};
use crate::observe::cluster::facts::{BudgetFacts, ClaimFacts, PoolFacts};

/// How often the peak is looked at.
const STEP: Duration = Duration::from_mins(5);
/// The reason of a budget that is about moving pods.
const MOVING: &str = "Underutilized";

/// Claims that reach `expireAfter` in the peak, soonest first. No budget stops that.
pub fn expiring<'a>(claims: &'a [ClaimFacts], peak: &Peak) -> Vec<&'a ClaimFacts> {
    let in_peak = |claim: &&ClaimFacts| {
        !claim.is_going && claim.expires.is_some_and(|at| at >= peak.from && at <= peak.until)
    };
    let mut found: Vec<&ClaimFacts> = claims.iter().filter(in_peak).collect();
    found.sort_by_key(|claim| claim.expires);
    found
}

/// The first moment of the peak at which Karpenter may move pods off nodes; `None` when it never may.
pub fn moves_pods_at(pool: &PoolFacts, peak: &Peak) -> Option<Timestamp> {
    if !pool.moves_pods || pool.never_consolidates {
        return None;
    }
    let mut at = peak.from;
    while at <= peak.until {
        if !pool.budgets.iter().any(|budget| forbids_moving(budget, at)) {
            return Some(at);
        }
        at = later(at, STEP);
    }
    None
}

fn forbids_moving(budget: &BudgetFacts, at: Timestamp) -> bool {
    let is_about_moving = budget.reasons.is_empty() || budget.reasons.iter().any(|reason| reason == MOVING);
    is_about_moving && matches!(budget.nodes.as_str(), "0" | "0%") && is_active(budget, at)
}

/// Whether a budget counts at a moment: it does from each time of its schedule, for its duration. One that cannot be
/// read counts as Karpenter takes it: as forbidding everything.
pub fn is_active(budget: &BudgetFacts, at: Timestamp) -> bool {
    let (Some(schedule), Some(seconds)) = (&budget.schedule, budget.duration_seconds) else { return true };
    let Ok(cron) = Cron::from_str(schedule) else { return true };
    let from = earlier(at, Duration::from_secs_f64(seconds)).to_zoned(TimeZone::UTC);
    cron.find_next_occurrence(&from, false).is_ok_and(|start| start.timestamp() <= at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::cluster::facts::tests::claim;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-27T{text}Z").parse().unwrap()
    }

    fn peak(from: &str, until: &str) -> Peak {
        Peak { replicas: 30, from: at(from), until: at(until) }
    }

    fn budget(nodes: &str, schedule: Option<(&str, f64)>, reasons: &[&str]) -> BudgetFacts {
        BudgetFacts {
            nodes: nodes.to_owned(),
            schedule: schedule.map(|(schedule, _)| schedule.to_owned()),
            duration_seconds: schedule.map(|(_, hours)| hours * 3600.0),
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        }
    }

    #[test]
    fn claims_expire_in_the_peak_or_not() {
        // Created at 08:00.
        let of = |after: &str| claim(&json!({"spec": {"expireAfter": after}}));
        let claims = [of("2h"), of("90m"), of("10h"), of("Never"), of("30m")];
        let found = expiring(&claims, &peak("09:00:00", "10:30:00"));
        let moments: Vec<_> = found.iter().filter_map(|claim| claim.expires).collect();
        assert_eq!(moments, [at("09:30:00"), at("10:00:00")]);
    }

    #[test]
    fn budgets_hold_consolidation_back_while_they_count() {
        let noon = peak("12:30:00", "14:00:00");
        let pool =
            |budgets: Vec<BudgetFacts>| PoolFacts { moves_pods: true, budgets, ..PoolFacts::default() };
        for (what, pool, expected) in [
            ("no budget", pool(vec![]), Some("12:30:00")),
            ("a tenth", pool(vec![budget("10%", None, &[])]), Some("12:30:00")),
            ("none, always", pool(vec![budget("0", None, &[])]), None),
            ("none, 12 to 16 h", pool(vec![budget("0", Some(("0 12 * * *", 4.0)), &[])]), None),
            ("none, 12 to 13 h", pool(vec![budget("0", Some(("0 12 * * *", 1.0)), &[])]), Some("13:00:00")),
            ("none, on Sundays", pool(vec![budget("0", Some(("0 12 * * 0", 4.0)), &[])]), Some("12:30:00")),
            ("none, daily from midnight", pool(vec![budget("0", Some(("@daily", 20.0)), &[])]), None),
            ("empty nodes alone", pool(vec![budget("0", None, &["Empty"])]), Some("12:30:00")),
            ("moving alone", pool(vec![budget("0", None, &["Underutilized"])]), None),
            ("empty ones only", PoolFacts { moves_pods: false, ..pool(vec![]) }, None),
            ("never", PoolFacts { never_consolidates: true, ..pool(vec![]) }, None),
        ] {
            assert_eq!(moves_pods_at(&pool, &noon), expected.map(at), "{what}");
        }
    }
}
