//! The least that a tonic server can do with these messages: decode, answer with a constant, encode.

use futures::Stream;
use peakscaler::grpc::proto::external_scaler_server::ExternalScaler;
use peakscaler::grpc::proto::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use tonic::{Request, Response, Status};

/// Knows nothing and remembers nothing.
pub(crate) struct Echo;

type Nothing<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalScaler for Echo {
    async fn is_active(&self, _: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        Ok(Response::new(IsActiveResponse { result: true }))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let metric_name = request.into_inner().name;
        let spec = MetricSpec { metric_name, target_size: 1, target_size_float: 1.0 };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let metric_name = request.into_inner().metric_name;
        let value = MetricValue { metric_name, metric_value: 17, metric_value_float: 17.0 };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }

    type StreamIsActiveStream = Nothing<IsActiveResponse>;

    async fn stream_is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }

    type StreamMetricSpecStream = Nothing<GetMetricSpecResponse>;

    async fn stream_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }
}
