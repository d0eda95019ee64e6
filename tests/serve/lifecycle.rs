//! Health, reflection, age and number of connections, and the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use peakscaler::cli::serve::Settings;
use peakscaler::grpc::proto::external_scaler_client::ExternalScalerClient;
use peakscaler::grpc::{GrpcOptions, TlsFiles};
use peakscaler::observe::AttachError;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{Running, Script, ask, reference, soon, until};

#[tokio::test]
async fn health_says_serving_until_the_end_is_announced() {
    let running = Running::start(Settings::default()).await;
    let mut health = HealthClient::new(running.channel().await);
    let mut status = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        health.check(request).await.unwrap().into_inner().status()
    };
    for service in ["", "externalscaler.ExternalScaler"] {
        assert_eq!(status(service).await, ServingStatus::Serving);
    }
    running.server.announce_end().await;
    for service in ["", "externalscaler.ExternalScaler"] {
        assert_eq!(status(service).await, ServingStatus::NotServing);
    }
    running.client().await.get_metrics(ask(reference("packers", &[]))).await.unwrap();
}

#[tokio::test]
async fn reflection_knows_the_services() {
    let running = Running::start(Settings::default()).await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(running.channel().await)
        .server_reflection_info(futures::stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("not a list of services");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"externalscaler.ExternalScaler"), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
}

#[tokio::test]
async fn stopping_lets_a_call_end_and_closes_streams_cleanly() {
    let script = Script::default();
    script.set(|shown| shown.attach_error = Some(AttachError::Unusable("no credentials".to_owned())));
    let running = Running::start_with(Settings::default(), script).await;
    let mut client = running.client().await;
    let mut specs = client.stream_metric_spec(reference("packers", &[])).await.unwrap().into_inner();
    specs.message().await.unwrap().unwrap();
    let call = tokio::spawn(async move { client.get_metrics(ask(reference("packers", &[]))).await });
    until("the call waits", || running.hand.sleepers() >= 3).await;

    let address = running.server.address();
    let stopping = tokio::spawn(running.server.stop());
    assert!(soon("the stream's end", specs.message()).await.unwrap().is_none());
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "takes no more connections");
    assert!(!stopping.is_finished());
    assert!(!call.is_finished());
    running.hand.advance(Duration::from_secs(2));
    let status = soon("the call's answer", call).await.unwrap().unwrap_err();
    assert!(status.message().contains("no credentials"), "{status:?}");
    soon("the end", stopping).await.unwrap();
}

#[tokio::test]
async fn old_connections_end_and_calls_go_on() {
    let settings = Settings {
        grpc: GrpcOptions { max_connection_age: Some(Duration::from_millis(50)), ..GrpcOptions::default() },
        ..Settings::default()
    };
    let running = Running::start(settings).await;
    let mut client = running.client().await;
    for _ in 0..3 {
        let mut specs = client.stream_metric_spec(reference("packers", &[])).await.unwrap().into_inner();
        specs.message().await.unwrap().unwrap();
        assert!(soon("the stream's end", specs.message()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_connection_too_many_is_closed() {
    let settings = Settings {
        grpc: GrpcOptions { max_connections: 1, ..GrpcOptions::default() },
        ..Settings::default()
    };
    let running = Running::start(settings).await;
    let mut first = running.client().await;
    first.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    let mut second = tokio::net::TcpStream::connect(running.server.address()).await.unwrap();
    let mut byte = [0];
    let read = soon("the close", tokio::io::AsyncReadExt::read(&mut second, &mut byte)).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    first.get_metrics(ask(reference("packers", &[]))).await.unwrap();
}

fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/tls").join(name)
}

fn with_tls(client_authorities: Option<PathBuf>) -> Settings {
    // Fails when another test installed it already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let files =
        TlsFiles { certificate: tls_file("server.pem"), key: tls_file("server-key.pem"), client_authorities };
    Settings { grpc: GrpcOptions { tls: Some(files), ..GrpcOptions::default() }, ..Settings::default() }
}

async fn over_tls(running: &Running, identity: Option<Identity>) -> Result<i64, String> {
    let authority = Certificate::from_pem(std::fs::read(tls_file("ca.pem")).unwrap());
    let mut tls = ClientTlsConfig::new().ca_certificate(authority).domain_name("localhost");
    if let Some(identity) = identity {
        tls = tls.identity(identity);
    }
    let endpoint = Channel::from_shared(format!("https://{}", running.server.address())).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.map_err(|error| error.to_string())?;
    let answer = ExternalScalerClient::new(channel).get_metrics(ask(reference("packers", &[]))).await;
    answer
        .map(|answer| answer.into_inner().metric_values[0].metric_value)
        .map_err(|status| status.to_string())
}

#[tokio::test]
async fn tls_answers_clients_that_trust_the_authority() {
    let running = Running::start(with_tls(None)).await;
    assert_eq!(over_tls(&running, None).await, Ok(3));
    // Plain text on a TLS port is closed.
    let plain = Channel::from_shared(format!("http://{}", running.server.address())).unwrap().connect_lazy();
    ExternalScalerClient::new(plain).get_metrics(ask(reference("packers", &[]))).await.unwrap_err();
}

#[tokio::test]
async fn with_an_authority_for_clients_only_theirs_are_answered() {
    let running = Running::start(with_tls(Some(tls_file("ca.pem")))).await;
    over_tls(&running, None).await.unwrap_err();
    let read = |name| std::fs::read(tls_file(name)).unwrap();
    let identity = Identity::from_pem(read("client.pem"), read("client-key.pem"));
    assert_eq!(over_tls(&running, Some(identity)).await, Ok(3));
}

#[tokio::test]
async fn a_request_too_large_is_refused() {
    let settings = Settings {
        grpc: GrpcOptions { max_message_bytes: 4096, ..GrpcOptions::default() },
        ..Settings::default()
    };
    let running = Running::start(settings).await;
    let large = "x".repeat(5000);
    let mut client = running.client().await;
    client.get_metrics(ask(reference("packers", &[("scalerAddress", &large)]))).await.unwrap_err();
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
}
