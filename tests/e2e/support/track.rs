//! What a Deployment's replicas did over time, as its watch tells.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::runtime::watcher;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::scene::{Scene, Teller};
use super::until;

/// The replicas of a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at_seconds: f64,
    /// What the scale asks for.
    pub(crate) wanted: i32,
    pub(crate) ready: i32,
    /// Counts the edits of the Deployment's spec.
    pub(crate) generation: i64,
}

/// Follows a Deployment until it is dropped.
pub(crate) struct Track {
    samples: Arc<Mutex<Vec<Sample>>>,
    teller: Teller,
    name: String,
    _stop: DropGuard,
}

impl Track {
    /// Of a Deployment in the scene's namespace; changes of what is wanted go into its timeline.
    pub(crate) fn start(scene: &Scene, deployment: &str) -> Self {
        let stop = CancellationToken::new();
        let samples = Arc::<Mutex<Vec<Sample>>>::default();
        let api = Api::namespaced(scene.cluster.client.clone(), &scene.namespace);
        let follow = follow(api, deployment.to_owned(), samples.clone(), scene.teller());
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
        Self { samples, teller: scene.teller(), name: deployment.to_owned(), _stop: stop.drop_guard() }
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Option<Sample> {
        self.samples.lock().unwrap().last().copied()
    }

    /// Waits until the newest sample is as wanted, and returns it.
    pub(crate) async fn until(
        &self,
        what: &str,
        patience: Duration,
        is_so: impl Fn(&Sample) -> bool,
    ) -> anyhow::Result<Sample> {
        let found = until(what, patience, async || Ok(self.last().filter(&is_so))).await;
        found.map_err(|error| error.context(format!("{} is at {:?}", self.name, self.last())))
    }

    /// The largest and the least number wanted since a moment of the scene.
    pub(crate) fn wanted_since(&self, at_seconds: f64) -> Option<(i32, i32)> {
        let samples = self.samples();
        let first = samples.iter().rposition(|sample| sample.at_seconds <= at_seconds).unwrap_or(0);
        let wanted = samples[first..].iter().map(|sample| sample.wanted);
        Some((wanted.clone().max()?, wanted.min()?))
    }

    /// Every number that was wanted, one after the other.
    pub(crate) fn path(&self) -> Vec<i32> {
        let mut wanted: Vec<_> = self.samples().iter().map(|sample| sample.wanted).collect();
        wanted.dedup();
        wanted
    }

    /// When the number last went down, in seconds of the scene; 0 when it never did.
    pub(crate) fn last_down(&self) -> f64 {
        let samples = self.samples();
        let downs = samples.windows(2).filter(|pair| pair[1].wanted < pair[0].wanted);
        downs.map(|pair| pair[1].at_seconds).next_back().unwrap_or(0.0)
    }

    /// How often the number turned from going down to going up again.
    pub(crate) fn turns_up(&self) -> usize {
        self.path().windows(3).filter(|three| three[0] > three[1] && three[1] < three[2]).count()
    }

    /// Minutes of replicas, as wanted, from one moment of the scene to now.
    pub(crate) fn replica_minutes_since(&self, at_seconds: f64) -> f64 {
        let mut samples = self.samples();
        samples.push(Sample { at_seconds: self.teller.seconds(), ..samples.last().copied().unwrap_or(NONE) });
        let pairs = samples.windows(2);
        let seconds = pairs.map(|pair| {
            let span = pair[1].at_seconds - pair[0].at_seconds.max(at_seconds);
            f64::from(pair[0].wanted) * span.max(0.0)
        });
        seconds.sum::<f64>() / 60.0
    }
}

const NONE: Sample = Sample { at_seconds: 0.0, wanted: 0, ready: 0, generation: 0 };

async fn follow(api: Api<Deployment>, name: String, samples: Arc<Mutex<Vec<Sample>>>, teller: Teller) {
    let mut objects = pin!(watcher::watch_object(api, &name));
    while let Some(object) = objects.next().await {
        let Ok(Some(deployment)) = object else {
            tokio::time::sleep(Duration::from_millis(300)).await;
            continue;
        };
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        let generation = deployment.metadata.generation.unwrap_or(0);
        let sample = Sample { at_seconds: teller.seconds(), wanted, ready, generation };
        let mut samples = samples.lock().unwrap();
        if samples.last().is_none_or(|before| before.wanted != wanted) {
            teller.tell(&format!("{name}: {wanted} wanted, {ready} ready"));
        }
        samples.push(sample);
    }
}
