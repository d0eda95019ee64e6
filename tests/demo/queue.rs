//! The embedded queue, asked by the real SDK.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::QueueAttributeName;
use jiff::Timestamp;
use peakscaler::clock::{Clock, ManualClock};
use peakscaler::demo::queue_server::{Queues, router};
use peakscaler::demo::queue_view::{QueueCounters, QueueView};

use crate::{Served, serve};

struct Fixture {
    client: Client,
    queues: Arc<Queues>,
    hand: ManualClock,
    _served: Served,
}

async fn fixture() -> Fixture {
    let (clock, hand) = Clock::manual("2026-11-27T08:00:00Z".parse::<Timestamp>().unwrap());
    let mut queues = None;
    let served = serve(|url, _| {
        let made = Arc::new(Queues::new(url, "eu-central-1", clock));
        queues = Some(made.clone());
        router(made)
    })
    .await;
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("demo", "demo", None, None, "test"))
        .endpoint_url(&served.url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Fixture { client: Client::from_conf(config), queues: queues.unwrap(), hand, _served: served }
}

impl Fixture {
    async fn counters(&self, url: &str) -> [String; 3] {
        use QueueAttributeName as Name;
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(url);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await.unwrap();
        let attributes = answer.attributes.unwrap();
        assert_eq!(attributes.len(), names.len());
        names.map(|name| attributes[&name].clone())
    }
}

#[tokio::test]
async fn messages_go_through_all_their_states() {
    let fixture = fixture().await;
    let client = &fixture.client;
    let created = client.create_queue().queue_name("orders").send().await.unwrap();
    let url = created.queue_url.unwrap();
    let found = client.get_queue_url().queue_name("orders").send().await.unwrap();
    assert_eq!(found.queue_url.as_ref(), Some(&url));
    let listed = client.list_queues().queue_name_prefix("ord").send().await.unwrap();
    assert_eq!(listed.queue_urls(), std::slice::from_ref(&url));

    let sent = client.send_message().queue_url(&url).message_body("order 1").send().await.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("99a233e67156812c9681c22c78e91aaa"));
    client.send_message().queue_url(&url).message_body("order 2").delay_seconds(60).send().await.unwrap();
    assert_eq!(fixture.counters(&url).await, ["1", "0", "1"]);

    let received = client.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
    let [message] = received.messages() else { panic!("{received:?}") };
    assert_eq!(message.body(), Some("order 1"));
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(fixture.counters(&url).await, ["0", "1", "1"]);

    fixture.hand.advance(Duration::from_secs(61));
    assert_eq!(fixture.counters(&url).await, ["2", "0", "0"]);
    let late = client.delete_message().queue_url(&url).receipt_handle(message.receipt_handle().unwrap());
    assert_eq!(late.send().await.unwrap_err().code(), Some("ReceiptHandleIsInvalid"));

    let again = client.receive_message().queue_url(&url).max_number_of_messages(2).send().await.unwrap();
    assert_eq!(again.messages().len(), 2);
    for message in again.messages() {
        let receipt = message.receipt_handle().unwrap();
        client.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
    }
    assert_eq!(fixture.counters(&url).await, ["0", "0", "0"]);
    let empty = client.receive_message().queue_url(&url).send().await.unwrap();
    assert!(empty.messages().is_empty());
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_as_sqs_tells_it() {
    let fixture = fixture().await;
    let request = fixture.client.get_queue_attributes().queue_url("http://127.0.0.1:1/000000000000/none");
    let error = request.attribute_names(QueueAttributeName::All).send().await.unwrap_err();
    let error = error.into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    assert_eq!(error.message(), Some("queue \"none\" does not exist"));
}

#[tokio::test]
async fn a_queue_of_counters_alone_refuses_messages() {
    struct Counters;
    impl QueueView for Counters {
        fn counters(&self) -> QueueCounters {
            QueueCounters { visible: 12, in_flight: 3, delayed: 1 }
        }
    }
    let fixture = fixture().await;
    let url = fixture.queues.insert("centre", Arc::new(Counters));
    assert_eq!(fixture.counters(&url).await, ["12", "3", "1"]);
    let refused = fixture.client.send_message().queue_url(&url).message_body("x").send().await.unwrap_err();
    assert!(refused.message().unwrap().contains("counters only"), "{refused:?}");
}
