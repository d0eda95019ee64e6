//! The live sources against real parts: an SQS and CloudWatch emulator, and Prometheus.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod allow;
mod budget;
mod cloudwatch;
mod past;
mod prometheus;
mod role;
mod sqs;

use std::time::Duration;

use peakscaler::clock::Clock;
use peakscaler::observe::{
    AllowList, LiveOptions, LiveSources, Observed, Sources, WorkloadId, WorkloadSource,
};
use peakscaler::trigger::{self, BacklogSource, Origin, ThroughputSource, Trigger};

use support::emulator::{PATIENCE, REGION, identity};
use support::process::install_crypto;

/// A trigger on these queues.
fn queues_trigger(urls: &[&str], throughput: ThroughputSource) -> Trigger {
    let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
    let metadata = [("queueURL", url), ("targetWait", "5m")];
    Trigger {
        backlog: BacklogSource::Sqs(urls.iter().map(|url| (*url).to_owned()).collect()),
        throughput,
        aws_region: Some(REGION.to_owned()),
        ..trigger::parse(metadata, Origin::Request).trigger.unwrap()
    }
}

/// A trigger on Prometheus alone.
fn prometheus_trigger(address: Option<&str>, backlog_query: &str) -> Trigger {
    Trigger {
        backlog: BacklogSource::Prometheus(backlog_query.to_owned()),
        prometheus_server_address: address.map(str::to_owned),
        ..queues_trigger(&[], ThroughputSource::Queue)
    }
}

/// Everything on 127.0.0.1 is allowed; counters are read every two seconds of the clock.
fn options() -> LiveOptions {
    install_crypto();
    LiveOptions {
        allow: AllowList::parse(&["*=http://127.0.0.1:*".to_owned()], &[], None).unwrap(),
        sqs_period: Duration::from_secs(2),
        aws_identity: Some(identity()),
        ..LiveOptions::default()
    }
}

fn workload(name: &str) -> WorkloadId {
    WorkloadId { namespace: "shop".to_owned(), name: name.to_owned() }
}

/// One workload's source and its clock.
struct Observer {
    source: Box<dyn WorkloadSource>,
    clock: Clock,
}

impl Observer {
    fn attach(sources: &LiveSources, clock: &Clock, name: &str, trigger: &Trigger) -> Self {
        Self { source: sources.attach(&workload(name), trigger).unwrap(), clock: clock.clone() }
    }

    /// Observes whenever something changed, until `holds`; fails after a while.
    async fn until(&mut self, what: &str, mut holds: impl FnMut(&Observed) -> bool) -> Observed {
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            let observed = self.source.observe(self.clock.now());
            if holds(&observed) {
                return observed;
            }
            tokio::select! {
                () = &mut patience => panic!("{what} does not come: {observed:#?}"),
                () = self.source.changed() => {}
            }
        }
    }
}

/// The error of a source, or an empty text.
fn error_of(observed: &Observed, source: &str) -> String {
    let health = observed.sources.iter().find(|health| health.source == source);
    health.and_then(|health| health.error.clone()).unwrap_or_default()
}

/// The visible, in flight and delayed messages, where known.
fn counters(observed: &Observed) -> Option<[f64; 3]> {
    let queue = observed.observation.queue?;
    Some([queue.visible, queue.in_flight, queue.delayed])
}
