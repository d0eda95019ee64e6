//! The days that the demo plays, as scenarios of the simulated centre.

use std::collections::BTreeMap;

use super::metrics_server::{ARRIVAL_QUERY, COMPLETION_QUERY, REPLICAS_QUERY};
use crate::core::CutOff;
use crate::replay::scenario::{Scenario, ScenarioError, Throughput};
use crate::replay::units::{HOUR, Millis, millis};

/// A worker that is told to stop may finish its order, as a pod that works on orders should be set.
const GRACE_SECONDS: f64 = 120.0;
/// The carriers' cut-offs, in the words of the metadata key.
const CUT_OFFS: &str = "DPD Mon-Fri 14:00+45m; PPL Mon-Sat 17:30+30m";

/// Which day is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Day {
    /// An ordinary day of about 30,000 orders.
    Normal,
    /// Black Friday: seven times as many.
    BlackFriday,
    /// An ordinary day on which work takes 1.8 times as long from 13:00 to 17:00; wait 300 s.
    SlowWorkers,
}

impl Day {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::BlackFriday => "black-friday",
            Self::SlowWorkers => "slow-workers",
        }
    }

    /// A lively hour to begin at.
    pub fn lively_hour(self) -> u32 {
        match self {
            Self::Normal => 9,
            Self::BlackFriday => 8,
            Self::SlowWorkers => 12,
        }
    }

    /// The whole day as the simulated centre plays it: the scenario file of the same name, with
    /// carriers, a metrics store, and workers that may finish what they have begun.
    ///
    /// # Errors
    /// When the file is not a scenario.
    pub fn scenario(self, seed: Option<u64>) -> Result<Scenario, ScenarioError> {
        let mut scenario = Scenario::parse(match self {
            Self::Normal => include_str!("../../scenarios/normal.yaml"),
            Self::BlackFriday => include_str!("../../scenarios/black-friday.yaml"),
            Self::SlowWorkers => include_str!("../../scenarios/slow-workers.yaml"),
        })?;
        scenario.seed = seed.unwrap_or(scenario.seed);
        scenario.goal.cut_offs = cut_offs();
        scenario.sensors.throughput = Throughput::Prometheus;
        scenario.service.grace_seconds = GRACE_SECONDS;
        Ok(scenario)
    }
}

/// [`CUT_OFFS`] as the centre keeps them.
fn cut_offs() -> Vec<CutOff> {
    let cut_off = |name: &str, days: usize, (hour, minute): (u32, u32), within_minutes: u32| CutOff {
        name: name.to_owned(),
        weekdays: std::array::from_fn(|day| day < days),
        at_seconds_of_day: hour * 3_600 + minute * 60,
        within_seconds: f64::from(within_minutes) * 60.0,
    };
    vec![cut_off("DPD", 5, (14, 0), 45), cut_off("PPL", 6, (17, 30), 30)]
}

/// The trigger's metadata that an operator of this centre would write.
pub fn metadata(
    scenario: &Scenario,
    queue_url: &str,
    queue_endpoint: &str,
    metrics_url: &str,
) -> BTreeMap<String, String> {
    let (pods, seconds) = (&scenario.pods, |seconds: f64| format!("{seconds}s"));
    [
        ("queueURL", queue_url.to_owned()),
        ("awsRegion", REGION.to_owned()),
        ("awsEndpoint", queue_endpoint.to_owned()),
        ("throughputSource", "prometheus".to_owned()),
        ("prometheusServerAddress", metrics_url.to_owned()),
        ("arrivalQuery", ARRIVAL_QUERY.to_owned()),
        ("completionQuery", COMPLETION_QUERY.to_owned()),
        ("replicasQuery", REPLICAS_QUERY.to_owned()),
        ("targetWait", seconds(scenario.goal.target_wait_seconds.unwrap_or_default())),
        ("cutOffs", CUT_OFFS.to_owned()),
        ("timeZone", scenario.time_zone.clone()),
        ("minReplicas", pods.min.to_string()),
        ("maxReplicas", pods.max.to_string()),
        ("podLeadTime", seconds(pods.lead_seconds)),
        ("nodeLeadTime", seconds(scenario.nodes.lead_seconds)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// Region of the embedded queue.
pub const REGION: &str = "eu-central-1";

/// The part of the day that is played and scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Since local midnight.
    pub from: Millis,
    /// Since local midnight, after `from`.
    pub to: Millis,
}

impl Stretch {
    /// From an hour of the day, for some hours or until midnight.
    pub fn new(from_hour: u32, hours: Option<f64>) -> Self {
        let from = i64::from(from_hour) * HOUR;
        let to = hours.map_or(24 * HOUR, |hours| (from + millis(hours * 3_600.0)).min(24 * HOUR));
        Self { from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_a_valid_scenario() {
        for day in [Day::Normal, Day::BlackFriday, Day::SlowWorkers] {
            day.scenario(None).unwrap().validate().unwrap();
        }
    }

    #[test]
    fn a_stretch_ends_at_midnight() {
        assert_eq!(Stretch::new(8, None), Stretch { from: 8 * HOUR, to: 24 * HOUR });
        assert_eq!(Stretch::new(8, Some(0.5)).to, 8 * HOUR + HOUR / 2);
        assert_eq!(Stretch::new(23, Some(9.0)).to, 24 * HOUR);
    }

    #[test]
    fn the_trigger_says_what_the_centre_does() {
        let scenario = Day::BlackFriday.scenario(Some(1)).unwrap();
        let metadata = metadata(
            &scenario,
            "http://127.0.0.1:1/000000000000/orders",
            "http://127.0.0.1:1",
            "http://127.0.0.1:2",
        );
        let trigger = crate::trigger::Trigger::parse(&metadata, crate::trigger::Origin::File).unwrap().0;
        assert_eq!(trigger.policy.cut_offs, scenario.goal.cut_offs);
        assert_eq!(trigger.policy.target_wait_seconds, scenario.goal.target_wait_seconds);
    }
}
