//! AWS clients: one a (region, role, endpoint), their credentials, and errors in an operator's words.
//!
//! Retries are off, because the polls repeat themselves and every call counts towards the budget of
//! four a queue and minute. Credentials are loaded before a call and not inside it: a call's time-out of a few
//! seconds covers what the SDK loads on the way, and the first load of a pod's identity can take longer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use aws_sdk_sqs::config::SharedHttpClient;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector, tls};
use tokio::sync::{Mutex, OnceCell, Semaphore};

use super::poll::{Lease, ReadError, Registry};
use crate::clock::Clock;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(3);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(15);
/// AWS closes idle connections after about 20 s; a shorter life on our side avoids sending into a closed one.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// Credentials this close to their end are loaded again.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// Calls under way at once, over all queues.
const CALLS_AT_ONCE: usize = 64;

/// What makes a client of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    pub(super) region: String,
    pub(super) role: Option<String>,
    /// In place of AWS's regional host.
    pub(super) endpoint: Option<String>,
}

impl ClientKey {
    /// Whose rights count, for messages.
    fn identity(&self) -> String {
        match &self.role {
            Some(role) => format!("role {role}"),
            None => "the pod's own identity".to_owned(),
        }
    }

    fn place(&self) -> String {
        self.endpoint.clone().unwrap_or_else(|| format!("AWS in {}", self.region))
    }
}

/// All clients in use.
#[derive(Debug)]
pub(super) struct AwsClients {
    registry: Registry<ClientKey, AwsClient>,
    http: SharedHttpClient,
    identity: Option<SharedCredentialsProvider>,
    calls: Arc<Semaphore>,
}

/// A share in a client.
pub(super) type ClientLease = Arc<Lease<ClientKey, AwsClient>>;

/// The clients of one key, made at their first use.
#[derive(Debug)]
pub(super) struct AwsClient {
    key: ClientKey,
    http: SharedHttpClient,
    identity: Option<SharedCredentialsProvider>,
    calls: Arc<Semaphore>,
    made: OnceCell<Made>,
}

#[derive(Debug)]
struct Made {
    sqs: aws_sdk_sqs::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    credentials: Held,
}

impl AwsClients {
    /// `identity` in place of the pod's own, for embedded queues and tests.
    pub(super) fn new(identity: Option<SharedCredentialsProvider>) -> Self {
        let http = Builder::new().pool_idle_timeout(IDLE_CONNECTION).build_with_connector_fn(
            |settings, components| {
                let mut connector = Connector::builder()
                    .pool_idle_timeout(IDLE_CONNECTION)
                    .proxy_config(ProxyConfig::from_env());
                connector.set_connector_settings(settings.cloned());
                connector
                    .set_sleep_impl(components.and_then(aws_sdk_sqs::config::RuntimeComponents::sleep_impl));
                connector.tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build()
            },
        );
        Self { registry: Registry::default(), http, identity, calls: Arc::new(Semaphore::new(CALLS_AT_ONCE)) }
    }

    pub(super) fn get(&self, key: &ClientKey) -> ClientLease {
        self.registry.get(key, || AwsClient {
            key: key.clone(),
            http: self.http.clone(),
            identity: self.identity.clone(),
            calls: self.calls.clone(),
            made: OnceCell::new(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.registry.len()
    }
}

impl AwsClient {
    pub(super) fn key(&self) -> &ClientKey {
        &self.key
    }

    /// The SQS client, with credentials in hand and a place among the calls under way.
    pub(super) async fn sqs(&self) -> Result<(&aws_sdk_sqs::Client, impl Drop + use<>), ReadError> {
        let (made, permit) = self.ready().await?;
        Ok((&made.sqs, permit))
    }

    /// The CloudWatch client, with credentials in hand and a place among the calls under way.
    pub(super) async fn cloudwatch(
        &self,
    ) -> Result<(&aws_sdk_cloudwatch::Client, impl Drop + use<>), ReadError> {
        let (made, permit) = self.ready().await?;
        Ok((&made.cloudwatch, permit))
    }

    async fn ready(&self) -> Result<(&Made, tokio::sync::OwnedSemaphorePermit), ReadError> {
        let made = self.made.get_or_init(|| self.make()).await;
        match tokio::time::timeout(CREDENTIALS_TIMEOUT, made.credentials.get()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(self.no_credentials(&DisplayErrorContext(&error).to_string())),
            Err(_) => return Err(self.no_credentials("loading them took too long")),
        }
        let permit = self.calls.clone().acquire_owned().await;
        let permit = permit.map_err(|_| ReadError::new("shutting down"))?;
        Ok((made, permit))
    }

    fn no_credentials(&self, why: &str) -> ReadError {
        ReadError::new(match &self.key.role {
            Some(role) => format!(
                "role {role} cannot be assumed: allow sts:AssumeRole on it to the pod's own identity and trust that in the role ({why})"
            ),
            None => format!(
                "no AWS credentials: give the pod an identity (EKS Pod Identity, IRSA, or AWS_ACCESS_KEY_ID) ({why})"
            ),
        })
    }

    async fn make(&self) -> Made {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.key.region.clone()))
            .http_client(self.http.clone())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::disabled());
        if let Some(identity) = &self.identity {
            loader = loader.credentials_provider(identity.clone());
        }
        let config = loader.load().await;
        let credentials = Held::new(self.credentials(&config).await);
        let config = config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .build();
        let mut sqs = aws_sdk_sqs::config::Builder::from(&config);
        let mut cloudwatch = aws_sdk_cloudwatch::config::Builder::from(&config);
        if let Some(endpoint) = &self.key.endpoint {
            sqs = sqs.endpoint_url(endpoint);
            cloudwatch = cloudwatch.endpoint_url(endpoint);
        }
        Made {
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch.build()),
            credentials,
        }
    }

    async fn credentials(&self, config: &SdkConfig) -> Option<SharedCredentialsProvider> {
        match &self.key.role {
            None => config.credentials_provider(),
            Some(role) => Some(SharedCredentialsProvider::new(
                AssumeRoleProvider::builder(role).session_name("peakscaler").configure(config).build().await,
            )),
        }
    }
}

/// Credentials kept until shortly before their end.
#[derive(Debug, Clone)]
struct Held {
    provider: Option<SharedCredentialsProvider>,
    last: Arc<Mutex<Option<Credentials>>>,
    /// Real time whatever the polls run on: AWS says when credentials end.
    clock: Clock,
}

impl Held {
    fn new(provider: Option<SharedCredentialsProvider>) -> Self {
        Self { provider, last: Arc::default(), clock: Clock::real() }
    }

    async fn get(&self) -> Result<Credentials, CredentialsError> {
        let mut last = self.last.lock().await;
        if let Some(credentials) = last.as_ref().filter(|credentials| self.is_fresh(credentials)) {
            return Ok(credentials.clone());
        }
        let provider = self.provider.as_ref().ok_or_else(|| CredentialsError::not_loaded("no provider"))?;
        let credentials = provider.provide_credentials().await?;
        *last = Some(credentials.clone());
        Ok(credentials)
    }

    fn is_fresh(&self, credentials: &Credentials) -> bool {
        let renew_at = SystemTime::from(self.clock.now()) + RENEW_BEFORE;
        credentials.expiry().is_none_or(|end| end > renew_at)
    }
}

impl ProvideCredentials for Held {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}

/// What a call was about, for its error.
pub(super) struct Call<'a> {
    /// IAM action.
    pub(super) action: &'static str,
    /// Queue URL, or what else the call was about.
    pub(super) resource: &'a str,
    pub(super) key: &'a ClientKey,
}

impl Call<'_> {
    /// Says what is wrong and what to do about it.
    pub(super) fn explain<E, R>(&self, error: &SdkError<E, R>) -> ReadError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        if let SdkError::ServiceError(context) = error {
            let code = context.err().code().unwrap_or("an error without a code");
            return self.explain_code(code, context.err().message().unwrap_or("no message"));
        }
        let (place, action) = (self.key.place(), self.action);
        ReadError::new(if matches!(error, SdkError::TimeoutError(_)) {
            format!("{place} did not answer {action} within {} s", CALL_TIMEOUT.as_secs())
        } else {
            format!("{place} cannot be reached for {action}: {}", DisplayErrorContext(error))
        })
    }

    /// `code` and `message` as the service sends them.
    fn explain_code(&self, code: &str, message: &str) -> ReadError {
        let Self { action, resource, key } = self;
        // Both protocols' names: "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist".
        let short = code.rsplit(['.', '#']).next().unwrap_or(code);
        match short {
            "AccessDenied" | "AccessDeniedException" | "AuthorizationError" => ReadError::new(format!(
                "{action} on {resource} is denied: allow that action to {} ({message})",
                key.identity()
            )),
            "NonExistentQueue" | "QueueDoesNotExist" => ReadError::new(format!(
                "queue {resource} does not exist in {}: check queueURL and awsRegion",
                key.place()
            )),
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "InvalidAccessKeyId" => ReadError::new(format!(
                "the credentials of {} are refused by {}: {code}: {message}",
                key.identity(),
                key.place()
            )),
            "RequestThrottled"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "SlowDown"
            | "LimitExceededException"
            | "OverLimit"
            | "KmsThrottled" => ReadError::throttled(format!(
                "{action} on {resource} is throttled by {}: asking less often for a while",
                key.place()
            )),
            _ => ReadError::new(format!("{action} on {resource} failed: {code}: {message}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let key = ClientKey {
            region: "eu-central-1".to_owned(),
            role: Some("arn:aws:iam::123456789012:role/orders".to_owned()),
            endpoint: None,
        };
        let call = Call {
            action: "sqs:GetQueueAttributes",
            resource: "https://sqs.eu-central-1.amazonaws.com/123456789012/orders",
            key: &key,
        };
        for (code, is_throttling, words) in [
            ("AccessDenied", false, vec!["sqs:GetQueueAttributes", "/orders", "role arn:aws:iam"]),
            (
                "AWS.SimpleQueueService.NonExistentQueue",
                false,
                vec!["does not exist", "/orders", "eu-central-1"],
            ),
            ("QueueDoesNotExist", false, vec!["does not exist", "queueURL"]),
            ("ExpiredToken", false, vec!["credentials", "role arn:aws:iam"]),
            ("ThrottlingException", true, vec!["throttled"]),
            ("RequestThrottled", true, vec!["throttled"]),
            ("InternalError", false, vec!["InternalError", "the message"]),
        ] {
            let error = call.explain_code(code, "the message");
            assert_eq!(error.is_throttling, is_throttling, "{code}");
            for word in words {
                assert!(error.message.contains(word), "{code}: {}", error.message);
            }
        }
    }
}
