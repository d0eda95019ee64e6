//! What is not allowed is never contacted.

use std::io::ErrorKind;
use std::net::TcpListener;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use peakscaler::clock::Clock;
use peakscaler::observe::{AllowList, AttachError, LiveOptions, LiveSources, Sources};
use peakscaler::trigger::{ThroughputSource, Trigger};

use crate::support::emulator::REGION;
use crate::support::recorder::Recorder;
use crate::{Observer, error_of, options, prometheus_trigger, queues_trigger, workload};

/// A port on which nobody may knock.
fn untouched() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

fn assert_untouched(listener: &TcpListener) {
    let knock = listener.accept().map(|(_, from)| from);
    assert_eq!(knock.unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_forbidden_address_is_never_contacted() {
    let (listener, address) = untouched();
    let (operators_listener, operators_address) = untouched();
    let rules = ["pack=*".to_owned()];
    let forbidding = LiveOptions {
        allow: AllowList::parse(&rules, &[], Some(&operators_address)).unwrap().with_tenants(&rules).unwrap(),
        ..options()
    };
    let sources = LiveSources::new(Clock::real(), forbidding).unwrap();
    let own = format!("https://sqs.{REGION}.amazonaws.com/123456789012/orders");
    let foreign = format!("{address}/000000000000/orders");
    let with = |change: &dyn Fn(&mut Trigger)| {
        let mut trigger = queues_trigger(&[&own], ThroughputSource::CloudWatch);
        change(&mut trigger);
        trigger
    };
    let throughput = ThroughputSource::Prometheus { arrival_query: "x".to_owned(), completion_query: None };
    for (key, trigger) in [
        ("queueURL", queues_trigger(&[&foreign], ThroughputSource::Queue)),
        ("queueURL", queues_trigger(&[&own, &foreign], ThroughputSource::CloudWatch)),
        ("awsEndpoint", with(&|trigger| trigger.aws_endpoint = Some(address.clone()))),
        ("prometheusServerAddress", prometheus_trigger(Some(&address), "x")),
        (
            "prometheusServerAddress",
            with(&|trigger| {
                trigger.throughput = throughput.clone();
                trigger.prometheus_server_address = Some(address.clone());
            }),
        ),
        (
            "prometheusServerAddress",
            with(&|trigger| {
                trigger.replicas_query = Some("up".to_owned());
                trigger.prometheus_server_address = Some(address.clone());
            }),
        ),
        (
            "prometheusTenant",
            Trigger {
                prometheus_tenant: Some("payroll".to_owned()),
                ..prometheus_trigger(None, "sum(salaries)")
            },
        ),
        (
            "awsRoleArn",
            with(&|trigger| trigger.aws_role_arn = Some("arn:aws:iam::123456789012:role/x".to_owned())),
        ),
    ] {
        let answer = sources.attach(&workload("orders"), &trigger).err();
        let is_expected = matches!(&answer, Some(AttachError::Forbidden { key: named, .. }) if *named == key);
        assert!(is_expected, "{key}: {answer:?}");
    }
    // Nothing was begun, not even for the parts that are allowed.
    let running = sources.running();
    assert_eq!((running.queues, running.series, running.queries, running.clients), (0, 0, 0, 0));
    assert_untouched(&listener);
    assert_untouched(&operators_listener);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (listener, address) = untouched();
    let recorder = Recorder::start(move |_| {
        (StatusCode::FOUND, [(header::LOCATION, format!("{address}/api/v1/query"))]).into_response()
    })
    .await;
    let clock = Clock::real();
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let trigger = prometheus_trigger(Some(recorder.address()), "x");
    let mut observer = Observer::attach(&sources, &clock, "orders", &trigger);
    let seen = observer.until("the refusal", |seen| !error_of(seen, "prometheus_backlog").is_empty()).await;
    let error = error_of(&seen, "prometheus_backlog");
    assert!(error.contains("redirect"), "{error}");
    assert_eq!(recorder.requests().len(), 1);
    assert_untouched(&listener);
}

#[tokio::test]
async fn a_signed_call_does_not_follow_a_redirect() {
    let (listener, address) = untouched();
    let recorder = Recorder::start(move |_| {
        let to = [(header::LOCATION, format!("{address}/"))];
        (StatusCode::TEMPORARY_REDIRECT, to).into_response()
    })
    .await;
    let clock = Clock::real();
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let url = format!("{}/000000000000/orders", recorder.address());
    let trigger = queues_trigger(&[&url], ThroughputSource::CloudWatch);
    let mut observer = Observer::attach(&sources, &clock, "orders", &trigger);
    for source in ["sqs", "cloudwatch"] {
        observer.until("the refusal", |seen| !error_of(seen, source).is_empty()).await;
    }
    assert!(recorder.requests().iter().all(|request| request.header("authorization").is_some()));
    assert_untouched(&listener);
}
