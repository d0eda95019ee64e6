//! Calls a queue and minute, those for the past included, counted by a server in AWS's place.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use peakscaler::clock::Clock;
use peakscaler::observe::{LiveOptions, LiveSources, Sources as _};
use peakscaler::trigger::ThroughputSource;
use serde_json::json;

use crate::support::recorder::{Recorder, Request, json};
use crate::{Observer, counters, error_of, options, queues_trigger, workload};

fn answer(request: &Request) -> Response {
    if request.header("x-amz-target").is_some() {
        let attributes = json!({
            "ApproximateNumberOfMessages": "7",
            "ApproximateNumberOfMessagesNotVisible": "1",
            "ApproximateNumberOfMessagesDelayed": "0",
        });
        return json(StatusCode::OK, &json!({"Attributes": attributes}));
    }
    // CBOR: {"MetricDataResults": []}
    let mut body = vec![0xa1, 0x71];
    body.extend_from_slice(b"MetricDataResults");
    body.push(0x80);
    let headers = [(header::CONTENT_TYPE.as_str(), "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")];
    (headers, body).into_response()
}

fn throttle(request: &Request) -> Response {
    if request.header("x-amz-target").is_some() {
        let body = json!({"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"});
        return json(StatusCode::BAD_REQUEST, &body);
    }
    StatusCode::TOO_MANY_REQUESTS.into_response()
}

/// Has three workloads observe one queue for `minutes` and returns when each call came.
async fn calls(
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    minutes: u64,
    expect: impl Fn(&mut Observer) -> futures::future::BoxFuture<'_, ()>,
) -> Vec<Timestamp> {
    let clock = Clock::scaled("2026-11-27T08:00:00Z".parse().unwrap(), 60.0);
    let times = Arc::new(Mutex::new(Vec::new()));
    let recorder = Recorder::start({
        let (clock, times) = (clock.clone(), times.clone());
        move |request| {
            times.lock().unwrap().push(clock.now());
            answer(request)
        }
    })
    .await;
    let options = LiveOptions { sqs_period: LiveOptions::default().sqs_period, ..options() };
    let sources = LiveSources::new(clock.clone(), options).unwrap();
    let url = format!("{}/000000000000/orders", recorder.address());
    let trigger = queues_trigger(&[&url], ThroughputSource::CloudWatch);
    let mut observers: Vec<_> =
        ["a", "b", "c"].iter().map(|name| Observer::attach(&sources, &clock, name, &trigger)).collect();
    expect(&mut observers[0]).await;
    let past = sources.past(&workload("a"), &trigger).unwrap();
    let read_past = async {
        for window in past.windows(clock.now()) {
            // Failures are counted like any other call.
            let _ = past.read(window).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = read_past => {}
        () = clock.sleep(Duration::from_secs(minutes * 60)) => {}
    }
    drop(observers);
    times.lock().unwrap().clone()
}

/// The most calls in any minute, leaving out a second for what the network adds in scaled time.
fn most_in_a_minute(times: &[Timestamp]) -> usize {
    let within = |start: &Timestamp| {
        let seconds = |time: &Timestamp| time.duration_since(*start).as_secs_f64();
        times.iter().filter(|time| (0.0..59.0).contains(&seconds(time))).count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

#[tokio::test]
async fn at_most_four_calls_a_queue_and_minute() {
    let times = calls(answer, 6, |observer| {
        Box::pin(async {
            observer.until("the counters", |seen| counters(seen) == Some([7.0, 1.0, 0.0])).await;
        })
    })
    .await;
    assert!(most_in_a_minute(&times) <= 4, "{times:#?}");
    assert!(times.len() >= 18, "{} calls in six minutes are too few", times.len());
}

#[tokio::test]
async fn throttling_makes_the_calls_rarer() {
    let times = calls(throttle, 6, |observer| {
        Box::pin(async {
            let throttled = |source| {
                move |seen: &peakscaler::observe::Observed| error_of(seen, source).contains("throttle")
            };
            observer.until("the throttling", throttled("sqs")).await;
        })
    })
    .await;
    assert!(most_in_a_minute(&times) <= 4, "{times:#?}");
    assert!(times.len() < 24, "{} calls in six minutes of throttling", times.len());
}
