//! An emulator of SQS and CloudWatch, and a test's own hands on it.

use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use aws_sdk_sqs::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};
use jiff::Timestamp;
use peakscaler::observe::live::fixed_identity;

use super::process::{Part, free_port, install_crypto, tools};

pub(crate) const REGION: &str = "eu-central-1";

/// A running emulator; it ends when this is dropped.
pub(crate) struct Emulator {
    process: Part,
    port: u16,
    directory: tempfile::TempDir,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
}

/// Keys that the emulator takes for anybody's.
pub(crate) fn identity() -> SharedCredentialsProvider {
    fixed_identity("test", "test")
}

impl Emulator {
    /// Starts one on a free port and waits until it answers.
    pub(crate) async fn start() -> Self {
        install_crypto();
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let process = start(port, &directory).await;
        let http = http();
        Self {
            process,
            port,
            directory,
            sqs: sqs_client_of(port, http.clone()),
            cloudwatch: cloudwatch_client(port, http),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it; its queues are gone.
    pub(crate) fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again on the same port, empty.
    pub(crate) async fn start_again(&mut self) {
        self.process = start(self.port, &self.directory).await;
    }

    /// Creates a queue (FIFO when the name says so) and returns its URL on 127.0.0.1.
    pub(crate) async fn create_queue(&self, name: &str) -> String {
        let mut request = self.sqs.create_queue().queue_name(name);
        if has_fifo_name(name) {
            request = request.attributes(QueueAttributeName::FifoQueue, "true");
        }
        request.send().await.unwrap();
        format!("{}/000000000000/{name}", self.endpoint())
    }

    /// Sends so many messages.
    pub(crate) async fn send(&self, queue_url: &str, count: usize) {
        for index in 0..count {
            let mut request = self.sqs.send_message().queue_url(queue_url).message_body(index.to_string());
            if has_fifo_name(queue_url) {
                let unique = format!("{index}-{}", free_port());
                request = request.message_group_id(index.to_string()).message_deduplication_id(unique);
            }
            request.send().await.unwrap();
        }
    }

    /// Sends a message that becomes visible after so many seconds.
    pub(crate) async fn send_delayed(&self, queue_url: &str, seconds: i32) {
        let request = self.sqs.send_message().queue_url(queue_url).message_body("later");
        request.delay_seconds(seconds).send().await.unwrap();
    }

    /// Takes up to ten messages into work and returns their receipts.
    pub(crate) async fn receive(&self, queue_url: &str, count: i32) -> Vec<String> {
        let request = self.sqs.receive_message().queue_url(queue_url).max_number_of_messages(count);
        let answer = request.visibility_timeout(600).send().await.unwrap();
        let receipts = answer.messages().iter().filter_map(|message| message.receipt_handle());
        receipts.map(str::to_owned).collect()
    }

    /// Completes messages.
    pub(crate) async fn delete(&self, queue_url: &str, receipts: &[String]) {
        for receipt in receipts {
            let request = self.sqs.delete_message().queue_url(queue_url).receipt_handle(receipt);
            request.send().await.unwrap();
        }
    }

    /// Puts the sum of a minute for a queue's metric, as SQS does.
    pub(crate) async fn put_minute(&self, queue_name: &str, metric_name: &str, minute: Timestamp, sum: f64) {
        let datum = MetricDatum::builder()
            .metric_name(metric_name)
            .dimensions(Dimension::builder().name("QueueName").value(queue_name).build())
            .timestamp(DateTime::from(SystemTime::from(minute)))
            .value(sum)
            .build();
        let request = self.cloudwatch.put_metric_data().namespace("AWS/SQS").metric_data(datum);
        request.send().await.unwrap();
    }
}

fn has_fifo_name(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "fifo")
}

async fn start(port: u16, directory: &tempfile::TempDir) -> Part {
    let mut command = Command::new(tools().join("aws/bin/python"));
    command
        .args(["-m", "ministack.app"])
        .current_dir(directory.path())
        .env("TMPDIR", directory.path())
        .env("GATEWAY_PORT", port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("SERVICES", "sqs,monitoring,cloudwatch,sts")
        .env("MINISTACK_REGION", REGION)
        .env("MINISTACK_WORKER_THREADS", "4")
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("LOG_LEVEL", "WARNING");
    let mut process = Part::start("ministack", &mut command);
    process.ready(&format!("http://127.0.0.1:{port}/_ministack/ready")).await;
    process
}

fn http() -> SharedHttpClient {
    Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// A client of an SQS on this port of 127.0.0.1.
pub(crate) fn sqs_client(port: u16) -> aws_sdk_sqs::Client {
    install_crypto();
    sqs_client_of(port, http())
}

fn sqs_client_of(port: u16, http: SharedHttpClient) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(identity())
        .http_client(http);
    aws_sdk_sqs::Client::from_conf(config.build())
}

fn cloudwatch_client(port: u16, http: SharedHttpClient) -> aws_sdk_cloudwatch::Client {
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(identity())
        .http_client(http);
    aws_sdk_cloudwatch::Client::from_conf(config.build())
}

/// How long a test waits for something that must come: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
