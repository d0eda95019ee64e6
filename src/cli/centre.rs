//! The centre around a ScaledObject, for `backtest` and `plan`: what no ScaledObject and no history
//! say is taken from flags, and each figure is told with its source.

mod files;
mod history;

use anyhow::bail;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use crate::core::{CutOff, Policy, ServiceRate};
use crate::replay::keda::ScaledObject;
use crate::replay::scenario::{Goal, Keda, Nodes, Pods, Scenario, Sensors, Service, Throughput};
use crate::trigger::{ThroughputSource, Trigger, cut_offs, duration};

pub(super) use files::{read_calendar, read_cell};
pub(super) use history::{MOST_DAYS, Recorded, Stretch};

/// Worker pods on a node where nobody tells.
const PODS_PER_NODE: u32 = 4;

/// Flags that describe the centre.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The centre")]
pub(super) struct CentreArguments {
    /// Mean time that one order takes a worker; default: from the trigger's serviceRate
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = seconds)]
    service_time: Option<f64>,
    /// Orders that one worker works on at once
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = super::whole(1, 1000))]
    concurrency: u32,
    /// Longest wait before work on an order starts; default: the trigger's targetWait
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = seconds)]
    target_wait: Option<f64>,
    /// Carriers' cut-offs, like "DPD Mon-Fri 14:00+45m"; default: the trigger's cutOffs
    #[arg(long, value_name = "TEXT", value_parser = read_cut_offs)]
    cut_offs: Option<CutOffs>,
    /// Zone of the history's times and of the cut-offs (IANA name); default: the trigger's timeZone
    #[arg(long, value_name = "ZONE", value_parser = zone_name)]
    time_zone: Option<String>,
    /// From a pod's place on a node to Ready; default: the trigger's podLeadTime, or 30s
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = seconds)]
    pod_lead: Option<f64>,
    /// From asking for a node to Initialized; default: the trigger's nodeLeadTime, or 90s
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = seconds)]
    node_lead: Option<f64>,
    /// Worker pods that fit on one node; default: 4
    #[arg(long, value_name = "PODS", allow_negative_numbers = true, value_parser = super::whole(1, 1000))]
    pods_per_node: Option<u32>,
    /// Most nodes that the NodePool's limits allow; default: none
    #[arg(long, value_name = "NODES", allow_negative_numbers = true, value_parser = super::whole(1, u32::MAX))]
    node_limit: Option<u32>,
    /// The workers' terminationGracePeriodSeconds; default: 30s
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = seconds)]
    grace: Option<f64>,
    /// What a node costs an hour, in any currency
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true, value_parser = price)]
    pub(super) price_per_node_hour: Option<f64>,
    /// What the moments of orders, lead times and noise are drawn from
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = seed)]
    pub(super) seed: u64,
}

/// Cut-offs of one flag.
#[derive(Debug, Clone)]
struct CutOffs(Vec<CutOff>);

/// A figure that the simulation rests on, and where it comes from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Assumption {
    /// What is assumed.
    pub(super) what: &'static str,
    /// Its value, with the unit.
    pub(super) value: String,
    /// Where it comes from: a flag, the trigger, the cluster, the history or a default.
    pub(super) source: &'static str,
}

/// What a cluster tells of the centre. Flags stand above it, triggers and defaults below.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) pods_per_node: Option<u32>,
    pub(super) node_limit: Option<u32>,
    pub(super) pod_lead: Option<f64>,
    pub(super) node_lead: Option<f64>,
    /// The workers' `terminationGracePeriodSeconds`.
    pub(super) grace_seconds: Option<f64>,
}

/// The centre, complete.
#[derive(Debug, Clone)]
pub(super) struct Centre {
    pub(super) zone: TimeZone,
    /// What peakscaler decides by.
    pub(super) policy: Policy,
    pub(super) assumptions: Vec<Assumption>,
    scenario: Scenario,
}

impl CentreArguments {
    /// Whether the NodePool's limit is told by a flag, whatever the cluster says.
    pub(super) fn tells_node_limit(&self) -> bool {
        self.node_limit.is_some()
    }

    /// Completes the centre from what a cluster tells, and from the triggers of ours in these objects, the first
    /// one first.
    pub(super) fn complete(&self, objects: &[&ScaledObject], seen: Seen) -> anyhow::Result<Centre> {
        let trigger = objects.iter().find_map(|object| object.ours.as_deref());
        let mut sources = Sources { trigger: trigger.map(|trigger| &*trigger.policy), list: Vec::new() };
        let goal = self.goal(&mut sources)?;
        let zone_name = self.zone(&mut sources, &goal, trigger.filter(|trigger| trigger.time_zone_given))?;
        let service = self.service(&mut sources, seen)?;
        let default = Policy::default();
        let pod_lead = sources.seconds(
            "from a pod's place on a node to Ready",
            (self.pod_lead, seen.pod_lead),
            trigger.and_then(|trigger| trigger.pod_lead_seconds),
            default.pod_lead_seconds,
        );
        let node_lead = sources.seconds(
            "from asking for a node to Initialized",
            (self.node_lead, seen.node_lead),
            trigger.and_then(|trigger| trigger.node_lead_seconds),
            default.node_lead_seconds,
        );
        let nodes = self.nodes(&mut sources, seen, node_lead);
        let bounds = objects.first();
        let policy = Policy {
            target_wait_seconds: goal.target_wait_seconds,
            cut_offs: goal.cut_offs.clone(),
            time_zone: zone_name.clone(),
            pod_lead_seconds: pod_lead,
            node_lead_seconds: node_lead,
            ..trigger.map_or_else(
                || Policy {
                    min_replicas: bounds.map_or(default.min_replicas, |object| object.min_replicas),
                    max_replicas: bounds.map_or(default.max_replicas, |object| object.max_replicas),
                    ..default.clone()
                },
                |trigger| (*trigger.policy).clone(),
            )
        };
        let zone = TimeZone::get(&zone_name)?;
        let scenario = Scenario {
            seed: self.seed,
            time_zone: zone_name,
            goal,
            service,
            pods: Pods { lead_seconds: pod_lead, ..Pods::default() },
            nodes,
            sensors: Sensors { throughput: throughput(trigger, objects), ..Sensors::default() },
            ..Scenario::default()
        };
        Ok(Centre { zone, policy, assumptions: sources.list, scenario })
    }

    fn nodes(&self, sources: &mut Sources<'_>, seen: Seen, lead_seconds: f64) -> Nodes {
        let pods_per_node = self.pods_per_node.or(seen.pods_per_node).unwrap_or(PODS_PER_NODE).max(1);
        let from = source_of(self.pods_per_node, seen.pods_per_node);
        sources.say("worker pods on a node", pods_per_node.to_string(), from);
        let limit = self.node_limit.or(seen.node_limit);
        let most = limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
        sources.say("most nodes", most, source_of(self.node_limit, seen.node_limit));
        Nodes { lead_seconds, pods_per_node, limit, ..Nodes::default() }
    }

    fn goal(&self, sources: &mut Sources<'_>) -> anyhow::Result<Goal> {
        let wait = self.target_wait.or(sources.trigger.and_then(|policy| policy.target_wait_seconds));
        let cut_offs = self.cut_offs.as_ref().map(|cut_offs| &cut_offs.0);
        let cut_offs = cut_offs.or(sources.trigger.map(|policy| &policy.cut_offs)).cloned();
        let goal = Goal { target_wait_seconds: wait, cut_offs: cut_offs.unwrap_or_default() };
        let by_flag = self.target_wait.is_some() || self.cut_offs.is_some();
        let by_trigger = sources.trigger.is_some_and(|policy| {
            (self.target_wait.is_none() && policy.target_wait_seconds.is_some())
                || (self.cut_offs.is_none() && !policy.cut_offs.is_empty())
        });
        let source = match (by_flag, by_trigger) {
            (true, true) => "flag and trigger",
            (true, false) => "flag",
            (false, true) => "trigger",
            (false, false) => bail!(
                "when is an order late? no trigger of peakscaler says it; give --target-wait, such as 5m, or --cut-offs, such as \"DPD Mon-Fri 14:00+45m\""
            ),
        };
        let wait = goal
            .target_wait_seconds
            .map(|wait| format!("begun more than {} after it came in", duration::format(wait)));
        let cut_offs = (!goal.cut_offs.is_empty())
            .then(|| format!("missed its dispatch: {}", cut_offs::format(&goal.cut_offs)));
        let words: Vec<String> = wait.into_iter().chain(cut_offs).collect();
        sources.say("an order is late when", words.join(", or "), source);
        Ok(goal)
    }

    /// `telling` is a trigger that has a zone of its own.
    fn zone(
        &self,
        sources: &mut Sources<'_>,
        goal: &Goal,
        telling: Option<&Trigger>,
    ) -> anyhow::Result<String> {
        let with_cut_offs = sources.trigger.filter(|policy| !policy.cut_offs.is_empty());
        let known = telling.map(|trigger| &*trigger.policy).or(with_cut_offs);
        let (zone, source) = match (&self.time_zone, known) {
            (Some(zone), _) => (zone.clone(), "flag"),
            (None, Some(policy)) if telling.is_some() => (policy.time_zone.clone(), "trigger"),
            (None, Some(policy)) => (policy.time_zone.clone(), "default"),
            (None, None) if goal.cut_offs.is_empty() => ("UTC".to_owned(), "default"),
            (None, None) => bail!(
                "in which zone are --cut-offs and history meant? give --time-zone, such as Europe/Prague"
            ),
        };
        sources.say("time zone", zone.clone(), source);
        Ok(zone)
    }

    fn service(&self, sources: &mut Sources<'_>, seen: Seen) -> anyhow::Result<Service> {
        let concurrency = f64::from(self.concurrency);
        let given = sources.trigger.and_then(|policy| match policy.service_rate {
            ServiceRate::PerMinute(rate) => Some(60.0 * concurrency / rate),
            ServiceRate::Learned => None,
        });
        let (mean_seconds, source) = match (self.service_time, given) {
            (Some(seconds), _) => (seconds, "flag"),
            (None, Some(seconds)) => (seconds, "trigger's serviceRate"),
            (None, None) => bail!(
                "how long does one order take a worker? a history does not say it, and everything depends on it; give --service-time, such as 20s"
            ),
        };
        // a rate that divides no minute has digits that nobody needs
        let shown = duration::format((mean_seconds * 1000.0).round() / 1000.0);
        let value = format!("{shown} of one worker, {} at once", self.concurrency);
        sources.say("an order takes", value, source);
        let usual = Service::default();
        let grace = self.grace.or(seen.grace_seconds).unwrap_or(usual.grace_seconds);
        let source = source_of(self.grace, seen.grace_seconds);
        sources.say("terminationGracePeriodSeconds", grace.to_string(), source);
        let visibility_timeout_seconds = (3.0 * mean_seconds).max(30.0);
        Ok(Service {
            mean_seconds,
            concurrency: self.concurrency,
            grace_seconds: grace,
            visibility_timeout_seconds,
            ..usual
        })
    }
}

/// Where a figure comes from that no trigger tells.
fn source_of<T>(flag: Option<T>, seen: Option<T>) -> &'static str {
    match (flag, seen) {
        (Some(_), _) => "flag",
        (None, Some(_)) => "cluster",
        (None, None) => "default",
    }
}

/// Where figures come from.
struct Sources<'a> {
    trigger: Option<&'a Policy>,
    list: Vec<Assumption>,
}

impl Sources<'_> {
    fn say(&mut self, what: &'static str, value: String, source: &'static str) {
        self.list.push(Assumption { what, value, source });
    }

    fn seconds(
        &mut self,
        what: &'static str,
        (flag, seen): (Option<f64>, Option<f64>),
        given: Option<f64>,
        default: f64,
    ) -> f64 {
        let (seconds, source) = match (flag, seen, given) {
            (Some(seconds), ..) => (seconds, "flag"),
            (None, Some(seconds), _) => (seconds, "cluster"),
            (None, None, Some(seconds)) => (seconds, "trigger"),
            (None, None, None) => (default, "default"),
        };
        self.say(what, duration::format(seconds), source);
        seconds
    }
}

fn throughput(trigger: Option<&Trigger>, objects: &[&ScaledObject]) -> Throughput {
    let by_prometheus = objects.iter().any(|object| object.reads_prometheus());
    match trigger.map(|trigger| &trigger.throughput) {
        _ if by_prometheus => Throughput::Prometheus,
        Some(ThroughputSource::Prometheus { .. }) => Throughput::Prometheus,
        Some(ThroughputSource::Queue) => Throughput::None,
        Some(ThroughputSource::CloudWatch) | None => Throughput::Cloudwatch,
    }
}

impl Centre {
    /// The NodePool's limit in nodes.
    pub(super) fn node_limit(&self) -> Option<u32> {
        self.scenario.nodes.limit
    }

    /// The scenario of a stretch of days, under bounds and pace to be set.
    pub(super) fn scenario(&self, name: String, stretch: Stretch) -> Scenario {
        Scenario {
            name,
            start: stretch.start,
            days: stretch.days + stretch.warm_up_days,
            warm_up_days: stretch.warm_up_days,
            wall_days: true,
            ..self.scenario.clone()
        }
    }

    /// Pods and pace as a ScaledObject sets them; the first `orders_per_second` have their workers.
    pub(super) fn bounds(&self, object: &ScaledObject, orders_per_second: f64) -> (Pods, Keda) {
        let busy = orders_per_second * self.scenario.service.mean_seconds
            / f64::from(self.scenario.service.concurrency);
        let initial = crate::replay::units::ceil(busy).max(1).clamp(object.min_replicas, object.max_replicas);
        let pods = Pods {
            min: object.min_replicas,
            max: object.max_replicas,
            initial,
            ..self.scenario.pods.clone()
        };
        let keda = Keda {
            polling_seconds: object.polling_seconds,
            cooldown_seconds: object.cooldown_seconds,
            ..Keda::default()
        };
        (pods, keda)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = duration::parse(text).map_err(|wrong| format!("{text:?} {wrong}"))?;
    if seconds > 0.0 && seconds <= 86_400.0 {
        Ok(seconds)
    } else {
        Err(format!("{text:?} is not above 0 and at most 24h"))
    }
}

fn read_cut_offs(text: &str) -> Result<CutOffs, String> {
    cut_offs::parse(text).map(CutOffs).map_err(|wrong| format!("{text:?} {wrong}"))
}

fn zone_name(text: &str) -> Result<String, String> {
    super::forecast::time_zone(text).map(|_| text.to_owned())
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number of 0 or above"))
}

/// A date, and nothing beside it that would go unheard.
pub(super) fn date(text: &str) -> Result<Date, String> {
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text);
    date.ok_or_else(|| format!("{text:?} is not a date that exists, such as 2026-11-27"))
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| format!("{text:?} is not a price of 0 or above, such as 0.192"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        centre: CentreArguments,
    }

    fn object(keys: &str) -> ScaledObject {
        let text = format!(
            "kind: ScaledObject\nmetadata: {{name: a}}\nspec:\n  scaleTargetRef: {{name: a}}\n  maxReplicaCount: 9\n  \
             triggers: [{{type: external-push, metadata: {{scalerAddress: peakscaler:9443, queueURL: \
             'https://sqs.eu-central-1.amazonaws.com/123456789012/q', maxReplicas: '9', {keys}}}}}]"
        );
        ScaledObject::parse(&text).unwrap()
    }

    #[test]
    fn each_flag_stands_above_its_own_key_alone() {
        let (wait, cut_offs) = ("targetWait: 5m", "cutOffs: 'DPD daily 14:00+45m', timeZone: Europe/Prague");
        let both = format!("{wait}, {cut_offs}");
        for (keys, flags, seconds, carriers, source, zone) in [
            (both.as_str(), "", Some(300.0), 1, "trigger", "Europe/Prague"),
            (both.as_str(), "--target-wait=2m", Some(120.0), 1, "flag and trigger", "Europe/Prague"),
            (
                both.as_str(),
                "--cut-offs=A daily 9:00+5m;B daily 9:00+5m",
                Some(300.0),
                2,
                "flag and trigger",
                "Europe/Prague",
            ),
            (wait, "--target-wait=2m", Some(120.0), 0, "flag", "UTC"),
            (cut_offs, "", None, 1, "trigger", "Europe/Prague"),
            ("targetWait: 5m, timeZone: Europe/Prague", "", Some(300.0), 0, "trigger", "Europe/Prague"),
            (
                "targetWait: 5m, timeZone: UTC",
                "--cut-offs=A daily 9:00+5m",
                Some(300.0),
                1,
                "flag and trigger",
                "UTC",
            ),
        ] {
            let arguments =
                ["centre", "--service-time=1m"].into_iter().chain((!flags.is_empty()).then_some(flags));
            let arguments = Arguments::parse_from(arguments).centre;
            let centre = arguments.complete(&[&object(keys)], Seen::default()).unwrap();
            let goal = &centre.scenario.goal;
            let found = (goal.target_wait_seconds, goal.cut_offs.len(), centre.assumptions[0].source);
            assert_eq!(found, (seconds, carriers, source), "{keys} {flags}");
            assert_eq!(centre.policy.time_zone, zone, "{keys} {flags}");
        }
    }

    #[test]
    fn what_a_trigger_leaves_at_its_default_is_told_as_such() {
        let (pod, node) = ("from a pod's place on a node to Ready", "from asking for a node to Initialized");
        let cut_offs = "cutOffs: 'DPD daily 14:00+45m'";
        for (keys, what, value, source) in [
            ("targetWait: 2m", pod, "30s", "default"),
            ("targetWait: 2m", node, "1m30s", "default"),
            ("targetWait: 2m, podLeadTime: 30s", pod, "30s", "trigger"),
            ("targetWait: 2m, podLeadTime: 30s", node, "1m30s", "default"),
            ("targetWait: 2m, nodeLeadTime: 2m", node, "2m", "trigger"),
            (cut_offs, "time zone", "UTC", "default"),
            ("cutOffs: 'DPD daily 14:00+45m', timeZone: UTC", "time zone", "UTC", "trigger"),
        ] {
            let arguments = Arguments::parse_from(["centre", "--service-time=1m"]).centre;
            let centre = arguments.complete(&[&object(keys)], Seen::default()).unwrap();
            let told = centre.assumptions.iter().find(|one| one.what == what).unwrap();
            assert_eq!((told.value.as_str(), told.source), (value, source), "{keys}");
        }
    }

    #[test]
    fn a_flag_that_says_the_usual_stands_above_the_cluster_too() {
        for (flags, seen, seconds, source) in [
            ("--grace=30s", Some(120.0), 30.0, "flag"),
            ("--grace=5m", None, 300.0, "flag"),
            ("--seed=1", Some(120.0), 120.0, "cluster"),
            ("--seed=1", None, 30.0, "default"),
        ] {
            let arguments = Arguments::parse_from(["centre", "--service-time=1m", flags]).centre;
            let seen = Seen { grace_seconds: seen, ..Seen::default() };
            let centre = arguments.complete(&[&object("targetWait: 5m")], seen).unwrap();
            let mut told = centre.assumptions.iter();
            let told = told.find(|one| one.what == "terminationGracePeriodSeconds").unwrap();
            assert_eq!((told.value.as_str(), told.source), (seconds.to_string().as_str(), source), "{flags}");
            assert!((centre.scenario.service.grace_seconds - seconds).abs() < 1e-9, "{flags}");
        }
    }
}
