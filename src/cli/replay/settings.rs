//! A recorded situation as it would have been under other settings.
//!
//! Most settings act in the decision itself. Those that act before it are followed here as far as
//! the record tells: cut-offs, a given service rate, lead times, what counts as backlog. The pods
//! stay those that were there, and what was held is what had been planned then: it is one decision
//! under other settings, not another day.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::demand::deadlines::Deadlines;
use crate::core::plan::Situation;
use crate::core::plan::situation::{Service, ServiceSource};
use crate::core::{Policy, ServiceRate};
use crate::trigger::policy_metadata;

/// The situation under `new` that was recorded under `old`.
pub(super) fn under(situation: &Situation, old: &Policy, new: &Policy) -> Situation {
    let mut situation = situation.clone();
    if old.cut_offs != new.cut_offs || old.time_zone != new.time_zone {
        // Cut-offs of single dates are not in a record; where the weekly ones change they are lost.
        situation.deadlines = Deadlines::default().upcoming(situation.at, new, &[]);
    }
    if old.service_rate != new.service_rate
        && let ServiceRate::PerMinute(rate) = new.service_rate
    {
        let per_second = rate / 60.0;
        situation.service = Service {
            per_second,
            lower_per_second: per_second,
            source: ServiceSource::Given,
            // Another rate was not met.
            unmet_per_second: None,
            ..situation.service
        };
    }
    for (lead, old, new) in [
        (&mut situation.pod_lead_seconds, old.pod_lead_seconds, new.pod_lead_seconds),
        (&mut situation.node_lead_seconds, old.node_lead_seconds, new.node_lead_seconds),
    ] {
        // A measured lead time stays.
        if (*lead - old).abs() < f64::EPSILON {
            *lead = new;
        }
    }
    match (old.scale_on_in_flight, new.scale_on_in_flight) {
        (true, false) => situation.backlog -= situation.started,
        (false, true) => situation.backlog += situation.started,
        (true, true) | (false, false) => {}
    }
    situation
}

/// What two policies say differently, by the keys of the metadata.
pub(super) fn changed_keys(old: &Policy, new: &Policy) -> Vec<String> {
    let [old, new] = [old, new].map(|policy| policy_metadata(policy).collect::<BTreeMap<_, _>>());
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let shown = |value: Option<&String>| value.map_or("not set", String::as_str).to_owned();
    keys.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| format!("{key} {} -> {}", shown(old.get(key)), shown(new.get(key))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{CutOff, Observation, Workload};

    #[test]
    fn what_acts_before_the_decision_is_followed() {
        let text = r#"{"at":"2026-11-27T08:00:00Z","queue":{"visible":40,"in_flight":3}}"#;
        let observation: Observation = serde_json::from_str(text).unwrap();
        let old = Policy::default();
        let record = Workload::new(old.clone()).step(&observation).unwrap();
        let recorded = record.inputs.unwrap();
        let new = Policy {
            service_rate: ServiceRate::PerMinute(30.0),
            pod_lead_seconds: 77.0,
            scale_on_in_flight: false,
            cut_offs: vec![CutOff {
                name: "DPD".to_owned(),
                weekdays: [true; 7],
                at_seconds_of_day: 14 * 3600,
                within_seconds: 2700.0,
            }],
            ..old.clone()
        };
        let found = under(&recorded, &old, &new);
        assert!((found.service.per_second - 0.5).abs() < 1e-12);
        assert!((found.pod_lead_seconds - 77.0).abs() < 1e-12);
        assert!((found.deadlines[0].cut_off_in_seconds - 6.0 * 3600.0).abs() < 1e-6);
        assert!((found.backlog - (recorded.backlog - recorded.started)).abs() < 1e-12);
        assert_eq!(under(&recorded, &old, &old), *recorded);
        let keys = changed_keys(&old, &new);
        assert!(keys.contains(&"podLeadTime 30s -> 1m17s".to_owned()), "{keys:?}");
        assert!(keys.contains(&"serviceRate learned -> 30".to_owned()), "{keys:?}");
    }
}
