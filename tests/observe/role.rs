//! A role in place of the pod's own identity. STS is found by the environment, which a test must not change
//! for the others: so this runs in a process of its own.

use std::process::Command;

use axum::http::StatusCode;
use peakscaler::clock::Clock;
use peakscaler::observe::{AllowList, LiveOptions, LiveSources};
use peakscaler::trigger::{ThroughputSource, Trigger};
use serde_json::json;

use crate::support::emulator::Emulator;
use crate::support::recorder::{Recorder, json};
use crate::{Observer, counters, error_of, options, queues_trigger};

const ROLE: &str = "arn:aws:iam::000000000000:role/orders-reader";

async fn run_with_sts(test: &str, endpoint: &str) {
    let mut child = tokio::process::Command::from(Command::new(std::env::current_exe().unwrap()));
    let child = child.args(["--exact", test, "--ignored"]).env("AWS_ENDPOINT_URL_STS", endpoint);
    let output = child.kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn sources(clock: &Clock) -> LiveSources {
    let endpoints = ["*=http://127.0.0.1:*".to_owned()];
    let options = LiveOptions {
        allow: AllowList::parse(&endpoints, &[format!("shop={ROLE}")], None).unwrap(),
        ..options()
    };
    LiveSources::new(clock.clone(), options).unwrap()
}

fn trigger(url: &str) -> Trigger {
    Trigger { aws_role_arn: Some(ROLE.to_owned()), ..queues_trigger(&[url], ThroughputSource::Queue) }
}

#[tokio::test]
async fn a_role_is_assumed() {
    let emulator = Emulator::start().await;
    run_with_sts("role::with_a_role", &emulator.endpoint()).await;
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_named() {
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
    let sts = Recorder::start(move |_| {
        axum::response::IntoResponse::into_response((StatusCode::FORBIDDEN, refusal))
    })
    .await;
    run_with_sts("role::with_a_refused_role", sts.address()).await;
}

#[tokio::test]
#[ignore = "run by a_role_is_assumed, with its environment"]
async fn with_a_role() {
    let queue = Recorder::start(|_| {
        let attributes = json!({
            "ApproximateNumberOfMessages": "5",
            "ApproximateNumberOfMessagesNotVisible": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
        });
        json(StatusCode::OK, &json!({"Attributes": attributes}))
    })
    .await;
    let clock = Clock::real();
    let sources = sources(&clock);
    let url = format!("{}/000000000000/orders", queue.address());
    let mut with_role = Observer::attach(&sources, &clock, "with", &trigger(&url));
    with_role.until("the counters", |seen| counters(seen) == Some([5.0, 0.0, 0.0])).await;
    let signed_by = queue.requests()[0].header("authorization").unwrap();
    assert!(!signed_by.contains("Credential=test/"), "{signed_by}");
    assert!(queue.requests()[0].header("x-amz-security-token").is_some());

    let own = queues_trigger(&[&url], ThroughputSource::Queue);
    let mut without_role = Observer::attach(&sources, &clock, "without", &own);
    without_role.until("the counters", |seen| counters(seen).is_some()).await;
    let running = sources.running();
    assert_eq!((running.queues, running.clients), (2, 2), "what a role may read is not shared with others");
    assert!(
        queue
            .requests()
            .iter()
            .any(|request| request.header("authorization").unwrap().contains("Credential=test/"))
    );
}

#[tokio::test]
#[ignore = "run by a_role_that_cannot_be_assumed_is_named, with its environment"]
async fn with_a_refused_role() {
    let clock = Clock::real();
    let sources = sources(&clock);
    let mut observer =
        Observer::attach(&sources, &clock, "orders", &trigger("http://127.0.0.1:9/000000000000/orders"));
    let seen = observer.until("the error", |seen| !error_of(seen, "sqs").is_empty()).await;
    let error = error_of(&seen, "sqs");
    assert!(error.contains(ROLE) && error.contains("sts:AssumeRole"), "{error}");
}
