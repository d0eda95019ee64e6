//! One `GetMetrics` in instructions, by valgrind: the figure that a busy machine does not move.
//!
//! Beside the handler alone, the same with its messages decoded and encoded, and that for the least
//! that any server does with them.

#[path = "../loadtests/centre.rs"]
mod centre;

use std::hint::black_box;
use std::sync::Arc;

use futures::FutureExt as _;
use gungraun::prelude::*;
use peakscaler::clock::Clock;
use peakscaler::engine::{Engine, EngineOptions, metric_name};
use peakscaler::grpc::ScalerService;
use peakscaler::grpc::proto::external_scaler_server::ExternalScaler as _;
use peakscaler::grpc::proto::{GetMetricsRequest, GetMetricsResponse, MetricValue};
use peakscaler::telemetry::Metrics;
use prost::Message as _;
use prost::bytes::Bytes;
use tonic::Request;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WORKLOADS: usize = 500;

/// A service that knows its workloads, and a request for one of them.
struct Ready {
    _runtime: tokio::runtime::Runtime,
    service: ScalerService,
    request: GetMetricsRequest,
    bytes: Bytes,
}

fn request(number: usize) -> GetMetricsRequest {
    let reference = centre::reference(number, &[]);
    GetMetricsRequest {
        metric_name: metric_name(&reference.namespace, &reference.name),
        scaled_object_ref: Some(reference),
    }
}

fn ready() -> Ready {
    Metrics::install().expect("no other recorder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let service = runtime.block_on(async {
        let engine = Engine::start(EngineOptions::default(), Arc::new(centre::Centres), Clock::real(), None);
        let service = ScalerService::new(engine);
        for number in 0..WORKLOADS {
            service.get_metrics(Request::new(request(number))).await.expect("a first number");
        }
        service
    });
    let request = request(WORKLOADS / 2);
    let bytes = request.encode_to_vec().into();
    Ready { _runtime: runtime, service, request, bytes }
}

/// What is known is answered without waiting.
fn answer(service: &ScalerService, request: GetMetricsRequest) -> GetMetricsResponse {
    let answer = service.get_metrics(Request::new(request)).now_or_never();
    answer.expect("no waiting").expect("a number").into_inner()
}

#[library_benchmark]
#[bench::known(ready())]
fn handler(mut ready: Ready) -> (Ready, GetMetricsResponse) {
    let answer = answer(&ready.service, std::mem::take(&mut ready.request));
    black_box((ready, answer))
}

#[library_benchmark]
#[bench::known(ready())]
fn decode_handle_encode(ready: Ready) -> (Ready, Vec<u8>) {
    let request = GetMetricsRequest::decode(ready.bytes.clone()).expect("a request");
    let answer = answer(&ready.service, request).encode_to_vec();
    black_box((ready, answer))
}

#[library_benchmark]
#[bench::known(ready())]
fn decode_echo_encode(ready: Ready) -> (Ready, Vec<u8>) {
    let request = GetMetricsRequest::decode(ready.bytes.clone()).expect("a request");
    let value = MetricValue { metric_name: request.metric_name, metric_value: 17, metric_value_float: 17.0 };
    let answer = GetMetricsResponse { metric_values: vec![value] }.encode_to_vec();
    black_box((ready, answer))
}

library_benchmark_group!(
    name = get_metrics,
    benchmarks = [handler, decode_handle_encode, decode_echo_encode]
);
main!(library_benchmark_groups = get_metrics);
