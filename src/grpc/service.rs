//! The five RPCs over the engine's snapshots.
//!
//! - `GetMetricSpec` answers always, from name and namespace alone: KEDA's `fallback` works only
//!   while it does. It also starts a new workload, since KEDA asks for the number right after.
//! - `GetMetrics` and `IsActive` tell the same snapshot. Where there is no number both are errors:
//!   an `IsActive` of false would let KEDA scale to zero after its cool-down though nothing is known.
//! - `StreamIsActive` says true as soon as replicas are wanted.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use metrics::{Counter, Histogram};
use tonic::{Code, Request, Response, Status};

use super::proto::external_scaler_server::ExternalScaler;
use super::proto::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use super::{connections, status, streams};
use crate::clock::Stopwatch;
use crate::engine::{Answer, Engine, EngineError, Entry, Subject, metric_name};
use crate::telemetry::catalogue;

/// The service that KEDA calls. Cheap to clone.
#[derive(Clone)]
pub struct ScalerService {
    engine: Engine,
    is_active: Arc<Meter>,
    metric_spec: Arc<Meter>,
    metrics: Arc<Meter>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl ScalerService {
    /// Over a running engine.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            is_active: Arc::new(Meter::new("IsActive")),
            metric_spec: Arc::new(Meter::new("GetMetricSpec")),
            metrics: Arc::new(Meter::new("GetMetrics")),
        }
    }

    fn entry(&self, reference: &ScaledObjectRef) -> Result<Arc<Entry>, EngineError> {
        self.engine.entry(&reference.namespace, &reference.name, metadata(reference))
    }

    /// What KEDA is told, and by which name.
    async fn answer(&self, reference: Option<&ScaledObjectRef>) -> Result<(Arc<Entry>, Answer), Status> {
        let reference = reference.ok_or_else(status::missing_reference)?;
        let entry = self.entry(reference).map_err(|error| status::from_engine(&error))?;
        let stall_margin = self.engine.options().tick.as_secs_f64() * 2.0;
        let answer = match entry.answer(self.engine.clock().now(), stall_margin) {
            Ok(answer) => Ok(answer),
            // Off the hot path: an error, or a workload so young that it may still get its number.
            Err(_) => entry.first_answer(self.engine.clock(), self.engine.options()).await,
        };
        answer.map(|answer| (entry, answer)).map_err(|error| status::from_engine(&error))
    }
}

fn metadata(reference: &ScaledObjectRef) -> &BTreeMap<String, String> {
    &reference.scaler_metadata
}

/// One metric with target 1: its value is the number of replicas.
fn metric_spec(reference: &ScaledObjectRef) -> GetMetricSpecResponse {
    GetMetricSpecResponse {
        metric_specs: vec![MetricSpec {
            metric_name: metric_name(&reference.namespace, &reference.name),
            target_size: 1,
            target_size_float: 1.0,
        }],
    }
}

#[tonic::async_trait]
impl ExternalScaler for ScalerService {
    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let watch = Stopwatch::start();
        let answer = self.answer(Some(request.get_ref())).await;
        let answer = answer.map(|(_, answer)| Response::new(IsActiveResponse { result: answer.active }));
        self.is_active.answered(watch, answer)
    }

    type StreamIsActiveStream = Answers<IsActiveResponse>;

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let ending = connections::ending(request.extensions());
        let entry = self.entry(request.get_ref()).map_err(|error| status::from_engine(&error))?;
        if let Subject::Rejected(problems) = entry.subject() {
            let error = EngineError::InvalidMetadata { problems: problems.clone() };
            return Err(status::from_engine(&error));
        }
        Ok(Response::new(Box::pin(streams::activity(self.engine.clone(), entry, ending))))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let watch = Stopwatch::start();
        // Only to start it or to count as asked for; whatever is wrong, GetMetrics says it.
        let _ = self.entry(request.get_ref());
        self.metric_spec.answered(watch, Ok(Response::new(metric_spec(request.get_ref()))))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let watch = Stopwatch::start();
        let answer = self.answer(request.get_ref().scaled_object_ref.as_ref()).await;
        let answer = answer.map(|(entry, answer)| {
            Response::new(GetMetricsResponse {
                metric_values: vec![MetricValue {
                    metric_name: entry.metric_name().to_owned(),
                    metric_value: i64::from(answer.replicas),
                    metric_value_float: f64::from(answer.replicas),
                }],
            })
        });
        self.metrics.answered(watch, answer)
    }

    type StreamMetricSpecStream = Answers<GetMetricSpecResponse>;

    async fn stream_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        let ending = connections::ending(request.extensions());
        let spec = metric_spec(request.get_ref());
        Ok(Response::new(Box::pin(streams::specs(spec, ending))))
    }
}

/// Counts and times the answers of one method; the common case without a look-up.
struct Meter {
    method: &'static str,
    fine: Counter,
    duration: Histogram,
}

impl Meter {
    fn new(method: &'static str) -> Self {
        Self {
            method,
            fine: metrics::counter!(catalogue::GRPC_REQUESTS.name, "method" => method, "code" => "OK"),
            duration: metrics::histogram!(catalogue::GRPC_DURATION.name, "method" => method),
        }
    }

    fn answered<T>(&self, watch: Stopwatch, answer: Result<T, Status>) -> Result<T, Status> {
        self.duration.record(watch.elapsed().as_secs_f64());
        match &answer {
            Ok(_) => self.fine.increment(1),
            Err(status) => {
                let code = code_name(status.code());
                metrics::counter!(catalogue::GRPC_REQUESTS.name, "method" => self.method, "code" => code)
                    .increment(1);
            }
        }
        answer
    }
}

/// The codes that this service answers, by their names in the gRPC specification.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Unavailable => "UNAVAILABLE",
        Code::Internal => "INTERNAL",
        Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => "OTHER",
    }
}
