//! `serve` as a process of its own over real parts: an emulator of SQS and CloudWatch, and Prometheus.

use jiff::{SignedDuration, Timestamp};
use peakscaler::grpc::proto::ScaledObjectRef;
use peakscaler::grpc::proto::external_scaler_client::ExternalScalerClient;
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::parts::emulator::{Emulator, PATIENCE, REGION};
use crate::parts::prometheus::Prometheus;
use crate::process::Process;
use crate::support::{ask, get};

type Client = ExternalScalerClient<Channel>;

/// `serve` that may contact the emulator for the namespace `shop`, and is quick.
async fn serve(emulator: &Emulator, more: &[&str]) -> Process {
    let allowed = format!("shop={}", emulator.endpoint());
    let mut arguments = vec!["--allow-endpoint", &allowed, "--sqs-period", "500ms", "--tick", "500ms"];
    arguments.extend(more);
    Process::start_as(&arguments, &[("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]).await
}

fn trigger(emulator: &Emulator, queue_url: &str, more: &[(&str, &str)]) -> ScaledObjectRef {
    let endpoint = emulator.endpoint();
    let own = [
        ("queueURL", queue_url),
        ("awsRegion", REGION),
        ("awsEndpoint", endpoint.as_str()),
        ("targetWait", "120s"),
        ("serviceRate", "2"),
        ("maxReplicas", "50"),
        ("holdDown", "1s"),
        ("staleAfter", "5s"),
    ];
    let metadata = own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ScaledObjectRef {
        name: "pickers".to_owned(),
        namespace: "shop".to_owned(),
        scaler_metadata: metadata.collect(),
    }
}

async fn number(client: &mut Client, trigger: &ScaledObjectRef) -> Result<f64, Status> {
    let answer = client.get_metrics(ask(trigger.clone())).await?.into_inner();
    let [value] = &answer.metric_values[..] else { panic!("one value: {answer:?}") };
    Ok(value.metric_value_float.max(value.metric_value as f64))
}

/// Asks as often as it takes until the answer is `wanted`.
async fn until_answer(
    client: &mut Client,
    trigger: &ScaledObjectRef,
    what: &str,
    wanted: impl Fn(&Result<f64, Status>) -> bool,
) -> Result<f64, Status> {
    let mut last = None;
    let asking = async {
        loop {
            let answer = number(client, trigger).await;
            if wanted(&answer) {
                return answer;
            }
            last = Some(answer);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, asking).await;
    answered.unwrap_or_else(|_| panic!("never: {what}; last {last:?}"))
}

async fn decision(process: &Process) -> Value {
    let (status, body) = get(process.admin, "/v1/workloads/shop/pickers/decision").await;
    assert_eq!(status, 200, "{body}");
    let explanation: Value = serde_json::from_str(&body).unwrap();
    explanation["triggers"][0]["decision"].clone()
}

#[tokio::test]
async fn the_number_follows_a_real_queue_and_its_outage() {
    let mut emulator = Emulator::start().await;
    let queue = emulator.create_queue("orders").await;
    let process = serve(&emulator, &[]).await;
    let mut client = process.client().await;
    let trigger = trigger(&emulator, &queue, &[("throughputSource", "queue")]);

    until_answer(&mut client, &trigger, "nothing to do", |answer| matches!(answer, Ok(0.0))).await.unwrap();
    assert!(!client.is_active(trigger.clone()).await.unwrap().into_inner().result);
    let mut activity = client.stream_is_active(trigger.clone()).await.unwrap().into_inner();

    emulator.send(&queue, 90).await;
    let filled = until_answer(&mut client, &trigger, "workers for 90 orders", |answer| {
        answer.as_ref().is_ok_and(|number| *number >= 20.0)
    });
    let filled = filled.await.unwrap();
    assert!(filled <= 50.0, "within maxReplicas: {filled}");
    assert!(client.is_active(trigger.clone()).await.unwrap().into_inner().result);
    let pushed = async { while !activity.message().await.unwrap().unwrap().result {} };
    tokio::time::timeout(PATIENCE, pushed).await.expect("the stream tells of the first order");

    for _ in 0..6 {
        let receipts = emulator.receive(&queue, 10).await;
        emulator.delete(&queue, &receipts).await;
    }
    let drained = until_answer(&mut client, &trigger, "fewer for what is left", |answer| {
        answer.as_ref().is_ok_and(|number| *number < 0.6 * filled)
    });
    assert!(drained.await.unwrap() > 0.0, "30 orders are left");

    emulator.stop();
    let stale = until_answer(&mut client, &trigger, "an error once the data is stale", Result::is_err);
    let status = stale.await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("staleAfter is 5 s"), "{}", status.message());
    let specs = client.get_metric_spec(trigger.clone()).await.unwrap().into_inner();
    assert_eq!(specs.metric_specs.len(), 1, "GetMetricSpec answers always");

    emulator.start_again().await;
    emulator.create_queue("orders").await;
    emulator.send(&queue, 30).await;
    let back = until_answer(&mut client, &trigger, "the number is back", Result::is_ok).await.unwrap();
    assert!(back > 0.0, "30 orders wait");
}

#[tokio::test]
async fn cloudwatch_tells_how_many_orders_arrive() {
    let emulator = Emulator::start().await;
    let queue = emulator.create_queue("orders").await;
    let now = peakscaler::clock::Clock::real().now();
    for minutes in 6..40 {
        let minute = now - SignedDuration::from_mins(minutes);
        let minute = Timestamp::from_second(minute.as_second().div_euclid(60) * 60).unwrap();
        emulator.put_minute("orders", "NumberOfMessagesSent", minute, 90.0).await;
        emulator.put_minute("orders", "NumberOfMessagesDeleted", minute, 90.0).await;
    }
    let process = serve(&emulator, &[]).await;
    let mut client = process.client().await;
    let trigger = trigger(&emulator, &queue, &[("throughputSource", "cloudwatch")]);
    let kept_up = until_answer(&mut client, &trigger, "workers for 1.5 orders a second", |answer| {
        answer.as_ref().is_ok_and(|number| *number >= 20.0)
    });
    kept_up.await.unwrap();
    let rate = decision(&process).await["arrival_rate"].as_f64().unwrap();
    assert!((0.7..2.0).contains(&rate), "90 a minute: {rate}");
}

#[tokio::test]
async fn prometheus_tells_rates_and_ready_replicas() {
    let emulator = Emulator::start().await;
    let queue = emulator.create_queue("orders").await;
    let prometheus = Prometheus::start(None, None).await;
    let address = prometheus.address();
    let process = serve(&emulator, &["--prometheus-address", &address, "--prometheus-period", "1s"]).await;
    let mut client = process.client().await;
    let queries = [
        ("throughputSource", "prometheus"),
        ("prometheusServerAddress", address.as_str()),
        ("arrivalQuery", "vector(0.5)"),
        ("completionQuery", "vector(0.5)"),
        ("replicasQuery", "vector(15)"),
    ];
    let trigger = trigger(&emulator, &queue, &queries);
    let kept_up = until_answer(&mut client, &trigger, "15 workers for 0.5 orders a second", |answer| {
        answer.as_ref().is_ok_and(|number| (13.0..=20.0).contains(number))
    });
    kept_up.await.unwrap();
    let record = decision(&process).await;
    assert_eq!(record["inputs"]["fleet"]["ready"], 15);
    let rate = record["arrival_rate"].as_f64().unwrap();
    assert!((rate - 0.5).abs() < 0.1, "{rate}");
}
