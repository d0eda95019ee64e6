//! The five RPCs.

use std::time::Duration;

use peakscaler::cli::serve::Settings;
use peakscaler::core::{QueueReading, Replicas};
use peakscaler::engine::EngineOptions;
use peakscaler::grpc::proto::{GetMetricsRequest, MetricSpec, MetricValue, ScaledObjectRef};
use peakscaler::observe::AttachError;
use tonic::Code;

use crate::support::{Running, Script, ask, reference, soon, start, until};

#[tokio::test]
async fn a_number_comes_in_both_fields() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    let values = client.get_metrics(ask(reference("packers", &[]))).await.unwrap().into_inner().metric_values;
    let expected = MetricValue {
        metric_name: "peakscaler-shop-packers".to_owned(),
        metric_value: 3,
        metric_value_float: 3.0,
    };
    assert_eq!(values, [expected]);
    assert!(client.is_active(reference("packers", &[])).await.unwrap().into_inner().result);
}

#[tokio::test]
async fn the_spec_is_answered_whatever_is_wrong() {
    let settings = Settings {
        engine: EngineOptions { max_workloads: 1, ..EngineOptions::default() },
        ..Settings::default()
    };
    let running = Running::start(settings).await;
    let mut client = running.client().await;
    let expected =
        |name: &str| MetricSpec { metric_name: name.to_owned(), target_size: 1, target_size_float: 1.0 };
    let cases = [
        (reference("packers", &[]), "peakscaler-shop-packers"),
        (reference("packers", &[("maxReplicas", "many")]), "peakscaler-shop-packers"),
        (reference("beyond.max_workloads", &[]), "peakscaler-shop-beyond-max-workloads"),
        (ScaledObjectRef::default(), "peakscaler--"),
    ];
    for (reference, name) in cases {
        let specs = client.get_metric_spec(reference).await.unwrap().into_inner().metric_specs;
        assert_eq!(specs, [expected(name)]);
    }
}

#[tokio::test]
async fn invalid_metadata_names_every_problem() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    let wrong = reference("packers", &[("maxReplicas", "many"), ("minReplicas", "-1")]);
    for status in [
        client.get_metrics(ask(wrong.clone())).await.unwrap_err(),
        client.is_active(wrong.clone()).await.unwrap_err(),
        client.stream_is_active(wrong.clone()).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::InvalidArgument);
        for key in ["maxReplicas", "minReplicas"] {
            assert!(status.message().contains(key), "{:?} lacks {key}", status.message());
        }
    }
}

#[tokio::test]
async fn a_request_for_nothing_is_refused() {
    let running = Running::start(Settings::default()).await;
    let status = running.client().await.get_metrics(GetMetricsRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("scaledObjectRef"));
}

#[tokio::test]
async fn one_more_workload_than_allowed_is_refused() {
    let settings = Settings {
        engine: EngineOptions { max_workloads: 2, ..EngineOptions::default() },
        ..Settings::default()
    };
    let running = Running::start(settings).await;
    let mut client = running.client().await;
    client.get_metrics(ask(reference("one", &[]))).await.unwrap();
    client.get_metrics(ask(reference("two", &[]))).await.unwrap();
    let status = client.get_metrics(ask(reference("three", &[]))).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("--max-workloads"), "{}", status.message());
    client.get_metrics(ask(reference("one", &[]))).await.unwrap();
}

#[tokio::test]
async fn an_adviser_says_zero_and_inactive() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    let adviser = reference("packers", &[("mode", "advise")]);
    let values = client.get_metrics(ask(adviser.clone())).await.unwrap().into_inner().metric_values;
    assert_eq!(values.len(), 1);
    assert_eq!((values[0].metric_value, values[0].metric_value_float), (0, 0.0));
    assert!(!client.is_active(adviser).await.unwrap().into_inner().result);
}

#[tokio::test]
async fn triggers_of_one_scaled_object_are_apart_and_an_edit_takes_effect() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    let mut number = async |more: &[(&str, &str)]| {
        let answer = client.get_metrics(ask(reference("packers", more))).await.unwrap();
        answer.into_inner().metric_values[0].metric_value
    };
    let other = ("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/returns");
    assert_eq!(number(&[]).await, 3);
    assert_eq!(number(&[other, ("minReplicas", "7")]).await, 7);
    assert_eq!(number(&[]).await, 3);
    assert_eq!(running.script.attached(), 2);
    // An edit of what decides reads through the sources that are open.
    assert_eq!(number(&[("minReplicas", "5")]).await, 5);
    assert_eq!(running.script.attached(), 2);
}

#[tokio::test]
async fn what_is_not_asked_for_is_dropped() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    client.get_metrics(ask(reference("packers", &[("minReplicas", "4")]))).await.unwrap();
    let engine = running.server.engine();
    assert_eq!(engine.count(), 2);
    // What was edited away goes early, what is only idle later.
    until("both tasks sleep", || running.hand.sleepers() >= 2).await;
    running.hand.advance(Duration::from_mins(3));
    until("the edited one is dropped", || engine.count() == 1).await;
    until("both tasks sleep", || running.hand.sleepers() >= 2).await;
    running.hand.advance(Duration::from_mins(13));
    until("the idle one is dropped", || engine.count() == 0).await;
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
}

#[tokio::test]
async fn an_edit_that_was_undone_is_dropped_and_not_what_was_before_it() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    client.get_metrics(ask(reference("packers", &[("minReplicas", "many")]))).await.unwrap_err();
    let engine = running.server.engine();
    until("the sweeper and the task sleep", || running.hand.sleepers() >= 2).await;
    running.hand.advance(Duration::from_secs(10));
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    until("the sweeper and the task sleep", || running.hand.sleepers() >= 2).await;
    running.hand.advance(Duration::from_mins(3));
    until("the undone one is dropped", || engine.count() == 1).await;
    assert!(engine.entries()[0].accepted().is_some());
}

#[tokio::test]
async fn a_first_call_waits_two_seconds_for_sources_and_tells_why_there_is_no_number() {
    let script = Script::default();
    script.set(|shown| shown.attach_error = Some(AttachError::Unusable("no credentials".to_owned())));
    let running = Running::start_with(Settings::default(), script).await;
    let mut client = running.client().await;
    let call = tokio::spawn({
        let mut client = client.clone();
        async move { client.get_metrics(ask(reference("packers", &[]))).await }
    });
    // The dropper, the task that will attach again, and the call.
    until("the call waits", || running.hand.sleepers() >= 3).await;
    assert!(!call.is_finished());
    running.hand.advance(Duration::from_secs(2));
    let status = soon("an answer", call).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("no credentials"), "{}", status.message());
    // Later ones do not wait: the clock stands still.
    soon("an error at once", client.get_metrics(ask(reference("packers", &[])))).await.unwrap_err();
    // The sources are tried again.
    running.script.set(|shown| shown.attach_error = None);
    running.hand.advance(Duration::from_secs(30));
    until("the sources are open", || running.script.attached() == 1).await;
}

#[tokio::test]
async fn a_first_call_gets_the_number_when_the_first_reading_comes_in_time() {
    let script = Script::default();
    script.set(|shown| shown.queue = None);
    let running = Running::start_with(Settings::default(), script).await;
    let mut client = running.client().await;
    let call = tokio::spawn(async move { client.get_metrics(ask(reference("packers", &[]))).await });
    until("the call waits", || running.hand.sleepers() >= 3).await;
    assert!(!call.is_finished());
    running.script.set(|shown| {
        shown.queue = Some(QueueReading::default());
    });
    let answer = soon("the number", call).await.unwrap().unwrap();
    assert_eq!(answer.into_inner().metric_values[0].metric_value, 3);
}

#[tokio::test]
async fn a_panic_drops_the_workload_and_the_next_call_starts_it_afresh() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    let mut activity = client.stream_is_active(reference("packers", &[])).await.unwrap().into_inner();
    assert!(soon("the state", activity.message()).await.unwrap().unwrap().result);
    running.script.set(|shown| shown.panics = true);
    assert!(soon("the stream's end", activity.message()).await.unwrap().is_none());
    assert_eq!(running.server.engine().count(), 0);
    running.script.set(|shown| shown.panics = false);
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
}

#[tokio::test]
async fn a_forbidden_endpoint_names_the_flag() {
    let script = Script::default();
    let forbidden = AttachError::Forbidden {
        key: "awsEndpoint",
        value: "http://10.0.0.1".to_owned(),
        namespace: "shop".to_owned(),
        flag: "--allow-endpoint",
    };
    script.set(|shown| shown.attach_error = Some(forbidden));
    let running = Running::start_with(Settings::default(), script).await;
    let mut client = running.client().await;
    let call = tokio::spawn(async move { client.get_metrics(ask(reference("packers", &[]))).await });
    until("the call waits", || running.hand.sleepers() >= 3).await;
    running.hand.advance(Duration::from_secs(2));
    let status = soon("an answer", call).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("--allow-endpoint"), "{}", status.message());
}

#[tokio::test]
async fn a_decision_that_nobody_renews_is_not_answered_for_ever() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    running.script.set(|shown| shown.frozen_at = Some(start()));
    running.hand.advance(Duration::from_secs(179));
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    running.hand.advance(Duration::from_mins(1));
    let status = client.get_metrics(ask(reference("packers", &[]))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("staleAfter"), "{}", status.message());
    assert_eq!(client.is_active(reference("packers", &[])).await.unwrap_err().code(), Code::Unavailable);
    client.get_metric_spec(reference("packers", &[])).await.unwrap();
}

#[tokio::test]
async fn a_silent_queue_is_an_error_after_stale_after_and_heals() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    client.get_metrics(ask(reference("packers", &[]))).await.unwrap();
    running.script.set(|shown| shown.queue = None);
    // In steps, as the engine ticks: it holds its number until staleAfter.
    let mut last = Ok(());
    for _ in 0..50 {
        until("the tasks sleep", || running.hand.sleepers() >= 2).await;
        running.hand.advance(Duration::from_secs(5));
        last = client.get_metrics(ask(reference("packers", &[]))).await.map(|_| ());
        if last.is_err() {
            break;
        }
    }
    let status = last.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    client.get_metric_spec(reference("packers", &[])).await.unwrap();
    running.script.set(|shown| {
        shown.queue = Some(QueueReading::default());
    });
    let healed = async {
        while client.get_metrics(ask(reference("packers", &[]))).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon("a number again", healed).await;
}

#[tokio::test]
async fn streams_say_at_once_what_holds_and_activation_when_it_comes() {
    let running = Running::start(Settings::default()).await;
    let mut client = running.client().await;
    let sleeping = reference("packers", &[("minReplicas", "0")]);
    let mut specs = client.stream_metric_spec(sleeping.clone()).await.unwrap().into_inner();
    let spec = soon("the spec", specs.message()).await.unwrap().unwrap();
    assert_eq!(spec, client.get_metric_spec(sleeping.clone()).await.unwrap().into_inner());

    let mut activity = client.stream_is_active(sleeping.clone()).await.unwrap().into_inner();
    assert!(!soon("the state", activity.message()).await.unwrap().unwrap().result);
    running.script.set(|shown| {
        shown.queue = Some(QueueReading { visible: 500.0, ..QueueReading::default() });
        shown.replicas = Some(Replicas { ready: 0, starting: Vec::new(), pending: 0, wanted: Some(0) });
    });
    let active = async {
        loop {
            tokio::select! {
                message = activity.message() => return message,
                // Activation takes two samples of three: let the engine tick.
                () = tokio::task::yield_now() => {
                    if running.hand.sleepers() >= 2 {
                        running.hand.advance(Duration::from_secs(1));
                    }
                }
            }
        }
    };
    assert!(soon("activation", active).await.unwrap().unwrap().result);
}
