//! A client that behaves as KEDA and the HPA behind it do.
//!
//! At each poll KEDA asks `GetMetricSpec`, `GetMetrics` and `IsActive` and takes the workload from
//! zero and, after the cool-down, to zero. At each sync the HPA asks the same by way of KEDA and sets
//! the replicas by its own arithmetic. An error holds the replicas. All waits are simulated time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::clock::{Clock, later};
use crate::grpc::proto::external_scaler_client::ExternalScalerClient;
use crate::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use crate::replay::world::hpa::{Behavior, Hpa};

/// What is scaled.
pub trait ScaleTarget: Send + Sync {
    /// The scale's `spec.replicas`.
    fn wanted(&self) -> u32;
    /// Sets the scale's `spec.replicas`.
    fn set_wanted(&self, replicas: u32);
}

/// The ScaledObject's own settings.
#[derive(Debug, Clone)]
pub struct AutoscalerSettings {
    /// KEDA's `pollingInterval`.
    pub polling: Duration,
    /// The HPA's sync period.
    pub sync: Duration,
    /// KEDA's `cooldownPeriod`.
    pub cooldown: Duration,
    /// `minReplicaCount`.
    pub min_replicas: u32,
    /// `maxReplicaCount`.
    pub max_replicas: u32,
}

/// Why the scaler did not give a number.
#[derive(Debug, thiserror::Error)]
pub enum AutoscalerError {
    /// The address is no address, or nothing listens there.
    #[error("connect to the scaler at {address:?}: {source}")]
    Connect {
        /// `http://HOST:PORT`.
        address: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The scaler answered with a status.
    #[error("{call}: {code:?}: {message}")]
    Status {
        /// The RPC.
        call: &'static str,
        /// gRPC code.
        code: tonic::Code,
        /// What the scaler says.
        message: String,
    },
    /// KEDA cannot use such an answer.
    #[error("{call}: the answer has {found} entries in place of one")]
    NotOne {
        /// The RPC.
        call: &'static str,
        /// How many came.
        found: usize,
    },
}

/// What one asking gave.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Answer {
    /// The metric over its target.
    ratio: f64,
    active: bool,
}

/// KEDA and the HPA for one ScaledObject.
pub struct Autoscaler {
    client: ExternalScalerClient<Channel>,
    reference: ScaledObjectRef,
    clock: Clock,
    settings: AutoscalerSettings,
    target: Arc<dyn ScaleTarget>,
    hpa: Hpa,
    origin: Timestamp,
    last_active: Option<Timestamp>,
}

impl Autoscaler {
    /// Connects to the scaler at `address`. The HPA behaves as our manifests ask it to.
    ///
    /// # Errors
    /// When nothing listens there.
    pub async fn connect(
        address: String,
        (namespace, name): (&str, &str),
        metadata: BTreeMap<String, String>,
        clock: Clock,
        settings: AutoscalerSettings,
        target: Arc<dyn ScaleTarget>,
    ) -> Result<Self, AutoscalerError> {
        let connected = async { Endpoint::from_shared(address.clone())?.connect().await }.await;
        let channel = connected.map_err(|source| AutoscalerError::Connect { address, source })?;
        let behavior = Behavior::exact(settings.max_replicas);
        Ok(Self {
            client: ExternalScalerClient::new(channel),
            reference: ScaledObjectRef {
                name: name.to_owned(),
                namespace: namespace.to_owned(),
                scaler_metadata: metadata,
            },
            origin: clock.now(),
            clock,
            hpa: Hpa::new(behavior, settings.min_replicas, settings.max_replicas),
            settings,
            target,
            last_active: None,
        })
    }

    /// Polls and syncs until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut polls = self.clock.interval(self.settings.polling);
        let mut syncs = self.clock.interval(self.settings.sync);
        loop {
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = polls.tick() => self.poll().await,
                _ = syncs.tick() => self.sync().await,
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "the replicas hold");
            }
        }
    }

    /// KEDA's part: between zero and one.
    async fn poll(&mut self) -> Result<(), AutoscalerError> {
        let active = self.ask().await?.active;
        let (now, current) = (self.clock.now(), self.target.wanted());
        if active {
            self.last_active = Some(now);
        }
        let cooled = self.last_active.is_none_or(|last| later(last, self.settings.cooldown) <= now);
        let least = self.settings.min_replicas;
        match (current, active) {
            (0, true) => self.target.set_wanted(least.max(1)),
            (1.., false) if least == 0 && cooled => self.target.set_wanted(0),
            (_, false) if current < least => self.target.set_wanted(least),
            _ => {}
        }
        Ok(())
    }

    /// The HPA's part: from one up.
    async fn sync(&mut self) -> Result<(), AutoscalerError> {
        let answer = self.ask().await;
        let current = self.target.wanted();
        let since_origin = self.clock.now().duration_since(self.origin).as_millis();
        let now = i64::try_from(since_origin).unwrap_or(i64::MAX);
        let ratio = answer.as_ref().ok().map(|answer| answer.ratio);
        let decided = self.hpa.sync(now, current, ratio);
        if decided != current {
            self.target.set_wanted(decided);
        }
        answer.map(|_| ())
    }

    /// The three calls in KEDA's order.
    async fn ask(&mut self) -> Result<Answer, AutoscalerError> {
        let failed = |call| {
            move |status: tonic::Status| AutoscalerError::Status {
                call,
                code: status.code(),
                message: status.message().to_owned(),
            }
        };
        let call = "GetMetricSpec";
        let specs = self.client.get_metric_spec(self.reference.clone()).await.map_err(failed(call))?;
        let spec = only(call, specs.into_inner().metric_specs)?;
        let target = usable(spec.target_size_float, spec.target_size);

        let call = "GetMetrics";
        let request = GetMetricsRequest {
            scaled_object_ref: Some(self.reference.clone()),
            metric_name: spec.metric_name,
        };
        let values = self.client.get_metrics(request).await.map_err(failed(call))?;
        let value = only(call, values.into_inner().metric_values)?;
        let value = usable(value.metric_value_float, value.metric_value);

        let active = self.client.is_active(self.reference.clone()).await.map_err(failed("IsActive"))?;
        Ok(Answer {
            ratio: if target > 0.0 { value / target } else { 0.0 },
            active: active.into_inner().result,
        })
    }
}

/// KEDA's choice between the two fields: the float where it is above zero.
fn usable(float: f64, integer: i64) -> f64 {
    if float > 0.0 { float } else { integer as f64 }
}

fn only<T>(call: &'static str, mut entries: Vec<T>) -> Result<T, AutoscalerError> {
    match (entries.len(), entries.pop()) {
        (1, Some(entry)) => Ok(entry),
        (found, _) => Err(AutoscalerError::NotOne { call, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_float_is_used_where_it_says_something() {
        assert!((usable(2.5, 2) - 2.5).abs() < f64::EPSILON);
        assert!((usable(0.0, 3) - 3.0).abs() < f64::EPSILON);
        assert!((usable(f64::NAN, 3) - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn exactly_one_entry_is_an_answer() {
        assert_eq!(only("GetMetrics", vec![7]).unwrap(), 7);
        assert!(only("GetMetrics", Vec::<i32>::new()).is_err());
        assert!(only("GetMetrics", vec![1, 2]).is_err());
    }
}
