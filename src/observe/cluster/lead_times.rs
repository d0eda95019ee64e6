//! How long pods and nodes take, measured: the 90th percentile of what was seen, with a prior.
//!
//! Samples are those of the objects that exist, remembered when they are gone. As long as fewer than
//! [`ENOUGH`] were seen, the prior stands for the missing ones, so that one lucky node makes no plan late.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::seconds_between;

/// Samples from which on the prior is forgotten.
pub const ENOUGH: usize = 5;
/// Samples remembered; older ones fall out, since nodes of last week tell little.
const KEPT: usize = 40;
/// The share of samples that are at most as slow as what is told.
const QUANTILE: f64 = 0.9;
/// A pod that got its node within this time found room: it was not held up by a node.
const PROMPT_SECONDS: f64 = 10.0;
/// What takes longer than this is a fault and no lead time.
const LONGEST_SECONDS: f64 = 1800.0;

/// The moments in the life of one pod.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PodLife {
    /// Created.
    pub created: Timestamp,
    /// Got its node.
    pub scheduled: Option<Timestamp>,
    /// Ready.
    pub ready: Option<Timestamp>,
}

impl PodLife {
    /// Created to Ready where a node had room; without the wait for a node otherwise.
    fn seconds(&self) -> Option<f64> {
        let scheduled = self.scheduled?;
        let prompt = seconds_between(self.created, scheduled) <= PROMPT_SECONDS;
        Some(seconds_between(if prompt { self.created } else { scheduled }, self.ready?))
    }

    /// Seconds that it waited for a node.
    fn wait_seconds(&self) -> Option<f64> {
        Some(seconds_between(self.created, self.scheduled?))
    }
}

/// The moments in the life of one NodeClaim.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClaimLife {
    /// Created: the node was asked for.
    pub created: Timestamp,
    /// The instance was launched.
    pub launched: Option<Timestamp>,
    /// Its node has joined the cluster.
    pub registered: Option<Timestamp>,
    /// Pods can be started on it.
    pub initialized: Option<Timestamp>,
}

/// Lead times as measured, in seconds; `None` where nothing was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasuredLeads {
    /// Pod created to Ready where a node has room.
    pub pod_seconds: Option<f64>,
    /// Pods behind that figure.
    pub pod_samples: usize,
    /// Pod created to its place on a node.
    pub pod_wait_seconds: Option<f64>,
    /// Node asked for to initialized.
    pub node_seconds: Option<f64>,
    /// Nodes behind that figure.
    pub node_samples: usize,
    /// Node asked for to launched.
    pub launched_seconds: Option<f64>,
    /// Node asked for to registered.
    pub registered_seconds: Option<f64>,
}

/// Collects what is seen of one workload and its pool.
#[derive(Debug, Default)]
pub struct LeadTimes {
    pods: Samples,
    waits: Samples,
    nodes: Samples,
    launched: Samples,
    registered: Samples,
}

impl LeadTimes {
    /// Takes in the pods that exist.
    pub fn see_pods<'a>(&mut self, pods: impl Iterator<Item = (&'a str, PodLife)>) {
        let pods: Vec<_> = pods.collect();
        self.pods.see(pods.iter().map(|(uid, life)| (*uid, life.seconds())));
        self.waits.see(pods.iter().map(|(uid, life)| (*uid, life.wait_seconds())));
    }

    /// Takes in the NodeClaims that exist.
    pub fn see_claims<'a>(&mut self, claims: impl Iterator<Item = (&'a str, ClaimLife)>) {
        let claims: Vec<_> = claims.collect();
        let until = |moment: fn(&ClaimLife) -> Option<Timestamp>| {
            claims.iter().map(move |(uid, life)| {
                (*uid, moment(life).map(|moment| seconds_between(life.created, moment)))
            })
        };
        self.nodes.see(until(|life| life.initialized));
        self.launched.see(until(|life| life.launched));
        self.registered.see(until(|life| life.registered));
    }

    /// What is measured; the priors are in seconds. A node that has been on its way for longer than that is
    /// taken as slow as it is already.
    pub fn measured(&self, pod_prior: f64, node_prior: f64, in_flight_seconds: &[f64]) -> MeasuredLeads {
        let node_seconds = self.nodes.quantile(node_prior).map(|quantile| {
            let late = in_flight_seconds.iter().copied().filter(|age| *age <= LONGEST_SECONDS);
            late.fold(quantile, f64::max)
        });
        MeasuredLeads {
            pod_seconds: self.pods.quantile(pod_prior),
            pod_samples: self.pods.values.len(),
            pod_wait_seconds: self.waits.quantile(0.0),
            node_seconds,
            node_samples: self.nodes.values.len(),
            launched_seconds: self.launched.quantile(0.0),
            registered_seconds: self.registered.quantile(0.0),
        }
    }
}

/// The last samples of one kind, each object's once.
#[derive(Debug, Default)]
struct Samples {
    values: VecDeque<f64>,
    /// Objects that exist and were counted; what is gone does not come back.
    seen: BTreeSet<String>,
}

impl Samples {
    /// Takes in all objects that exist, with what is known of each.
    fn see<'a>(&mut self, objects: impl Iterator<Item = (&'a str, Option<f64>)>) {
        let mut seen = BTreeSet::new();
        for (uid, seconds) in objects {
            // Only the first time counts: a pod that was not ready for a while has not started again.
            let is_known = self.seen.contains(uid);
            let sample = seconds.filter(|seconds| !is_known && (0.0..=LONGEST_SECONDS).contains(seconds));
            if let Some(seconds) = sample {
                self.values.push_back(seconds);
                if self.values.len() > KEPT {
                    self.values.pop_front();
                }
            }
            if is_known || seconds.is_some() {
                seen.insert(uid.to_owned());
            }
        }
        self.seen = seen;
    }

    fn quantile(&self, prior: f64) -> Option<f64> {
        if self.values.is_empty() {
            return None;
        }
        let mut sorted: Vec<f64> = self.values.iter().copied().collect();
        sorted.extend((sorted.len()..ENOUGH).map(|_| prior));
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the number of samples"
        )]
        let rank = (QUANTILE * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn claim(seconds: i64) -> ClaimLife {
        ClaimLife {
            created: at(0),
            launched: Some(at(2)),
            registered: Some(at(seconds - 5)),
            initialized: Some(at(seconds)),
        }
    }

    #[test]
    fn few_samples_lean_on_the_prior() {
        for (samples, expected) in [
            (vec![], None),
            (vec![40], Some(90.0)),
            (vec![200], Some(200.0)),
            (vec![40, 41, 42, 43], Some(90.0)),
            (vec![40, 41, 42, 43, 44], Some(44.0)),
            ((41..=60).collect(), Some(58.0)),
            // Only the last forty count.
            ((1..=80).collect(), Some(76.0)),
        ] {
            let mut leads = LeadTimes::default();
            let uids: Vec<String> = samples.iter().map(|seconds| format!("claim-{seconds}")).collect();
            leads.see_claims(
                uids.iter().map(String::as_str).zip(samples.iter().map(|seconds| claim(*seconds))),
            );
            // Seen again, and counted once.
            leads.see_claims(
                uids.iter().map(String::as_str).zip(samples.iter().map(|seconds| claim(*seconds))),
            );
            assert_eq!(leads.measured(30.0, 90.0, &[]).node_seconds, expected, "{samples:?}");
        }
    }

    #[test]
    fn a_node_on_its_way_for_long_counts_already() {
        let mut leads = LeadTimes::default();
        leads.see_claims([("a", claim(60))].into_iter());
        assert_eq!(leads.measured(30.0, 90.0, &[20.0, 150.0]).node_seconds, Some(150.0));
        assert_eq!(
            leads.measured(30.0, 90.0, &[20.0, 4000.0]).node_seconds,
            Some(90.0),
            "a fault, no lead time"
        );
    }

    #[test]
    fn the_wait_for_a_node_is_no_part_of_a_pods_lead_time() {
        let life = |scheduled, ready| PodLife {
            created: at(0),
            scheduled: Some(at(scheduled)),
            ready: Some(at(ready)),
        };
        let mut leads = LeadTimes::default();
        let pods = ["a", "b", "c", "d", "e"];
        let lives = [life(1, 21), life(2, 22), life(90, 112), life(0, 20), life(100, 121)];
        leads.see_pods(pods.into_iter().zip(lives));
        let measured = leads.measured(30.0, 90.0, &[]);
        assert_eq!((measured.pod_seconds, measured.pod_samples), (Some(22.0), 5));
        assert_eq!(measured.pod_wait_seconds, Some(100.0));
        // Not ready for a while, an hour later: no second start.
        leads.see_pods([("a", PodLife { ready: None, ..life(1, 21) })].into_iter());
        leads.see_pods([("a", life(1, 1600))].into_iter());
        assert_eq!(leads.measured(30.0, 90.0, &[]).pod_samples, 5);
    }
}
