//! The contract from the caller's side: requests encoded once and sent as bytes, so that the
//! generator spends as little as it can beside the server that it measures.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use peakscaler::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::centre::reference;

/// A call that is not answered within this time is given up.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// The three unary calls of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    GetMetricSpec,
    GetMetrics,
    IsActive,
}

impl Method {
    pub(crate) const ALL: [Self; 3] = [Self::GetMetricSpec, Self::GetMetrics, Self::IsActive];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GetMetricSpec => "GetMetricSpec",
            Self::GetMetrics => "GetMetrics",
            Self::IsActive => "IsActive",
        }
    }

    fn path(self) -> PathAndQuery {
        PathAndQuery::from_static(match self {
            Self::GetMetricSpec => "/externalscaler.ExternalScaler/GetMetricSpec",
            Self::GetMetrics => "/externalscaler.ExternalScaler/GetMetrics",
            Self::IsActive => "/externalscaler.ExternalScaler/IsActive",
        })
    }
}

/// What KEDA sends for one ScaledObject, encoded.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    reference: Bytes,
    metrics: Bytes,
}

impl Prepared {
    /// ScaledObjects `orders-0`, `orders-1` and so on, each on its own queue; `more` in addition to
    /// their metadata or in place of it.
    pub(crate) fn objects(count: usize, more: &[(String, String)]) -> Vec<Self> {
        (0..count).map(|number| Self::new(&reference(number, more))).collect()
    }

    fn new(reference: &ScaledObjectRef) -> Self {
        let metrics = GetMetricsRequest {
            metric_name: peakscaler::engine::metric_name(&reference.namespace, &reference.name),
            scaled_object_ref: Some(reference.clone()),
        };
        Self { reference: reference.encode_to_vec().into(), metrics: metrics.encode_to_vec().into() }
    }

    fn body(&self, method: Method) -> Bytes {
        match method {
            Method::GetMetricSpec | Method::IsActive => self.reference.clone(),
            Method::GetMetrics => self.metrics.clone(),
        }
    }
}

/// One connection, as KEDA keeps one to an address. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    grpc: Grpc<Channel>,
}

impl Caller {
    /// Connects.
    ///
    /// # Errors
    /// When nothing listens there.
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let channel = endpoint.connect().await.with_context(|| format!("no gRPC server at {address}"))?;
        Ok(Self { grpc: Grpc::new(channel) })
    }

    /// Calls and waits for the answer.
    ///
    /// # Errors
    /// The status that came, `DEADLINE_EXCEEDED` after ten seconds, or an empty answer.
    pub(crate) async fn call(&mut self, method: Method, object: &Prepared) -> Result<Bytes, Status> {
        let call = async {
            self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            self.grpc.unary(Request::new(object.body(method)), method.path(), Raw).await
        };
        let answer = tokio::time::timeout(CALL_WITHIN, call)
            .await
            .map_err(|_| Status::deadline_exceeded("no answer"))??
            .into_inner();
        // Even `IsActive` is asked for workloads that want replicas: false is a field left out.
        if answer.is_empty() && method != Method::IsActive {
            return Err(Status::data_loss("an empty answer, which KEDA takes for a failure"));
        }
        Ok(answer)
    }
}

/// Messages as they are on the wire.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
