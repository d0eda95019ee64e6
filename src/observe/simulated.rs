//! Sources that say what they are told: for tests and benches, without I/O.
//!
//! A workload's observations come from a queue of programmed ones ([`SimulatedSources::push`]) or
//! from a function of workload and time ([`SimulatedSources::generated`]). Ten thousand workloads cost
//! a map entry each.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::poll::lock;
use super::{AttachError, Observed, SourceHealth, Sources, WorkloadId, WorkloadSource};
use crate::clock::seconds_between;
use crate::core::Observation;
use crate::trigger::Trigger;

type Generator = dyn Fn(&WorkloadId, Timestamp) -> Observed + Send + Sync;

/// Programmed sources.
#[derive(Default)]
pub struct SimulatedSources {
    scripts: Mutex<HashMap<WorkloadId, Arc<Script>>>,
    refusals: Mutex<HashMap<WorkloadId, AttachError>>,
    generator: Option<Arc<Generator>>,
    attached: Arc<AtomicUsize>,
}

/// What one workload is to see.
#[derive(Default)]
struct Script {
    coming: Mutex<VecDeque<Observed>>,
    news: Notify,
}

impl SimulatedSources {
    /// Sources that say nothing until told to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sources that answer every workload with `generate(workload, now)`.
    pub fn generated(generate: impl Fn(&WorkloadId, Timestamp) -> Observed + Send + Sync + 'static) -> Self {
        Self { generator: Some(Arc::new(generate)), ..Self::default() }
    }

    /// Adds to what a workload sees next and wakes it. Intervals are handed out once; counters and replicas
    /// stay until the next push, getting older.
    pub fn push(&self, workload: &WorkloadId, observed: Observed) {
        let script = self.script(workload);
        lock(&script.coming).push_back(observed);
        script.news.notify_one();
    }

    /// Has `attach` fail for a workload from now on; `None` lets it succeed again.
    pub fn refuse(&self, workload: &WorkloadId, error: Option<AttachError>) {
        let mut refusals = lock(&self.refusals);
        match error {
            Some(error) => refusals.insert(workload.clone(), error),
            None => refusals.remove(workload),
        };
    }

    /// Workloads attached at present.
    pub fn attached(&self) -> usize {
        self.attached.load(Ordering::SeqCst)
    }

    fn script(&self, workload: &WorkloadId) -> Arc<Script> {
        lock(&self.scripts).entry(workload.clone()).or_default().clone()
    }
}

impl Sources for SimulatedSources {
    fn attach(
        &self,
        workload: &WorkloadId,
        _trigger: &Trigger,
    ) -> Result<Box<dyn WorkloadSource>, AttachError> {
        if let Some(error) = lock(&self.refusals).get(workload) {
            return Err(error.clone());
        }
        self.attached.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(SimulatedWorkload {
            workload: workload.clone(),
            script: self.script(workload),
            generator: self.generator.clone(),
            last: None,
            attached: self.attached.clone(),
        }))
    }
}

struct SimulatedWorkload {
    workload: WorkloadId,
    script: Arc<Script>,
    generator: Option<Arc<Generator>>,
    last: Option<Observed>,
    attached: Arc<AtomicUsize>,
}

impl WorkloadSource for SimulatedWorkload {
    fn observe(&mut self, now: Timestamp) -> Observed {
        if let Some(generate) = &self.generator {
            return generate(&self.workload, now);
        }
        let coming: Vec<_> = lock(&self.script.coming).drain(..).collect();
        let mut arrivals = Vec::new();
        let mut completions = Vec::new();
        for mut observed in coming {
            arrivals.append(&mut observed.observation.arrivals);
            completions.append(&mut observed.observation.completions);
            self.last = Some(observed);
        }
        let mut answer = self.last.clone().unwrap_or_else(|| nothing(now));
        age(&mut answer, now);
        answer.observation.arrivals = arrivals;
        answer.observation.completions = completions;
        answer
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.script.news.notified())
    }
}

impl Drop for SimulatedWorkload {
    fn drop(&mut self) {
        self.attached.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Moves an observation on to `now`: what it says gets older.
fn age(observed: &mut Observed, now: Timestamp) {
    let passed = seconds_between(observed.observation.at, now).max(0.0);
    observed.observation.at = now;
    if let Some(queue) = &mut observed.observation.queue {
        queue.age_seconds += passed;
    }
    if let Some(replicas) = &mut observed.observation.replicas {
        replicas.starting.iter_mut().for_each(|age_seconds| *age_seconds += passed);
    }
    for SourceHealth { age_seconds, .. } in &mut observed.sources {
        *age_seconds = age_seconds.map(|age_seconds| age_seconds + passed);
    }
}

fn nothing(now: Timestamp) -> Observed {
    Observed {
        observation: Observation {
            at: now,
            queue: None,
            arrivals: Vec::new(),
            completions: Vec::new(),
            replicas: None,
            nodes: None,
            lead_times: None,
            bounds: None,
        },
        sources: Vec::new(),
        capacity: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Interval, QueueReading};
    use crate::trigger::Origin;

    fn trigger() -> Trigger {
        let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
        let metadata = [("queueURL", url), ("targetWait", "5m")];
        crate::trigger::parse(metadata, Origin::Request).trigger.unwrap()
    }

    fn workload() -> WorkloadId {
        WorkloadId { namespace: "shop".to_owned(), name: "orders".to_owned() }
    }

    #[tokio::test]
    async fn intervals_come_once_and_counters_get_older() {
        let sources = SimulatedSources::new();
        let mut source = sources.attach(&workload(), &trigger()).unwrap();
        let now: Timestamp = "2026-11-27T08:00:00Z".parse().unwrap();
        assert_eq!(source.observe(now), nothing(now));

        let mut observed = nothing(now);
        observed.observation.queue =
            Some(QueueReading { visible: 7.0, in_flight: 1.0, age_seconds: 2.0, ..QueueReading::default() });
        observed.observation.arrivals =
            vec![Interval { from: now - jiff::SignedDuration::from_secs(60), to: now, count: 9.0 }];
        sources.push(&workload(), observed.clone());
        source.changed().await;
        assert_eq!(source.observe(now), observed);

        let later = now + jiff::SignedDuration::from_secs(30);
        let again = source.observe(later).observation;
        assert_eq!((again.at, again.arrivals.len()), (later, 0));
        assert!((again.queue.unwrap().age_seconds - 32.0).abs() < 1e-9);

        assert_eq!(sources.attached(), 1);
        drop(source);
        assert_eq!(sources.attached(), 0);
    }

    #[test]
    fn a_refusal_is_handed_out() {
        let sources = SimulatedSources::generated(|_, now| nothing(now));
        let error = AttachError::Unusable("no".to_owned());
        sources.refuse(&workload(), Some(error.clone()));
        assert_eq!(sources.attach(&workload(), &trigger()).err(), Some(error));
        sources.refuse(&workload(), None);
        assert!(sources.attach(&workload(), &trigger()).is_ok());
    }
}
