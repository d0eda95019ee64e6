//! What a trigger needs contacted, after the operator's allow-list has been asked. Pure: a forbidden
//! address is refused here, before a name is looked up or a connection made.

use super::AttachError;
use super::allow::{AllowList, Allowed, is_region};
use super::aws::ClientKey;
use super::prometheus::QueryKey;
use super::sqs::QueueKey;
use crate::core::Flow;
use crate::trigger::{BacklogSource, ThroughputSource, Trigger};

/// Everything to be read for one workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Needs {
    pub(super) queues: Vec<QueueKey>,
    pub(super) backlog: Option<QueryKey>,
    /// Client and queue name.
    pub(super) metrics: Vec<(ClientKey, String)>,
    pub(super) rates: Vec<(Flow, QueryKey)>,
    pub(super) replicas: Option<QueryKey>,
}

/// A queue whose address passed.
struct Queue {
    key: QueueKey,
    name: String,
    /// CloudWatch stands elsewhere than an endpoint that is SQS's alone.
    metrics_client: ClientKey,
}

impl Needs {
    /// # Errors
    /// When an address, role or tenant is not allowed, or something cannot be used at all.
    pub(super) fn of(namespace: &str, trigger: &Trigger, allow: &AllowList) -> Result<Self, AttachError> {
        let scope = Scope { namespace, trigger, allow };
        let mut needs = Self::default();
        let queues = match &trigger.backlog {
            BacklogSource::Sqs(urls) => scope.queues(urls)?,
            BacklogSource::Prometheus(query) => {
                needs.backlog = Some(scope.query("backlogQuery", query)?);
                Vec::new()
            }
        };
        match &trigger.throughput {
            ThroughputSource::CloudWatch => {
                if queues.is_empty() {
                    return Err(AttachError::Unusable(
                        "throughputSource \"cloudwatch\" needs queueURL; with backlogQuery use \"prometheus\" or \"queue\""
                            .to_owned(),
                    ));
                }
                needs.metrics =
                    queues.iter().map(|queue| (queue.metrics_client.clone(), queue.name.clone())).collect();
            }
            ThroughputSource::Prometheus { arrival_query, completion_query } => {
                needs.rates.push((Flow::Arrivals, scope.query("arrivalQuery", arrival_query)?));
                if let Some(query) = completion_query {
                    needs.rates.push((Flow::Completions, scope.query("completionQuery", query)?));
                }
            }
            ThroughputSource::Queue => {}
        }
        if let Some(query) = &trigger.replicas_query {
            needs.replicas = Some(scope.query("replicasQuery", query)?);
        }
        needs.queues = queues.into_iter().map(|queue| queue.key).collect();
        Ok(needs)
    }
}

struct Scope<'a> {
    namespace: &'a str,
    trigger: &'a Trigger,
    allow: &'a AllowList,
}

impl Scope<'_> {
    fn queues(&self, urls: &[String]) -> Result<Vec<Queue>, AttachError> {
        if let Some(role) = &self.trigger.aws_role_arn {
            self.allow.role(self.namespace, "awsRoleArn", role)?;
        }
        let endpoint = match &self.trigger.aws_endpoint {
            Some(endpoint) => Some(self.allow.aws_endpoint(self.namespace, "awsEndpoint", endpoint)?),
            None => None,
        };
        urls.iter().map(|url| self.queue(url, endpoint.as_ref())).collect()
    }

    fn queue(&self, url: &str, endpoint: Option<&Allowed>) -> Result<Queue, AttachError> {
        let own = self.allow.aws_endpoint(self.namespace, "queueURL", url)?;
        let region = self.region(url, &own)?;
        let path = reqwest::Url::parse(url).map(|url| url.path().to_owned()).unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !is_name {
            return Err(AttachError::Unusable(format!(
                "queueURL {url:?} does not end in a queue's name: give it as the SQS console shows it"
            )));
        }
        let role = self.trigger.aws_role_arn.clone();
        // An explicit endpoint counts before the host in the queue's URL.
        let (sqs, metrics) = match endpoint.unwrap_or(&own) {
            Allowed::AwsRegional { .. } => (None, None),
            Allowed::AwsOther(origin) => (Some(origin.clone()), None),
            Allowed::Foreign(base) => (Some(base.clone()), Some(base.clone())),
        };
        let client = |endpoint| ClientKey { region: region.clone(), role: role.clone(), endpoint };
        Ok(Queue {
            key: QueueKey { client: client(sqs), url: url.to_owned() },
            name: name.to_owned(),
            metrics_client: client(metrics),
        })
    }

    fn region(&self, url: &str, own: &Allowed) -> Result<String, AttachError> {
        let of_host = match own {
            Allowed::AwsRegional { region } => region.clone(),
            Allowed::AwsOther(_) | Allowed::Foreign(_) => None,
        };
        match self.trigger.aws_region.clone().or(of_host) {
            Some(region) if is_region(&region) => Ok(region),
            Some(region) => Err(AttachError::Unusable(format!(
                "awsRegion {region:?} is no region: write it as in \"eu-central-1\""
            ))),
            None => Err(AttachError::Unusable(format!(
                "awsRegion is missing and queueURL {url:?} does not name one"
            ))),
        }
    }

    fn query(&self, key: &'static str, query: &str) -> Result<QueryKey, AttachError> {
        let address = match &self.trigger.prometheus_server_address {
            Some(address) => self.allow.prometheus(self.namespace, "prometheusServerAddress", address)?,
            None => self.allow.prometheus_address().ok_or_else(|| {
                AttachError::Unusable(format!(
                    "{key} needs prometheusServerAddress, for serve has no --prometheus-address of its own"
                ))
            })?,
        };
        let tenant = self.trigger.prometheus_tenant.clone();
        if let Some(tenant) = &tenant {
            self.allow.tenant(self.namespace, "prometheusTenant", tenant)?;
        }
        Ok(QueryKey { key, address, tenant, query: query.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trigger::Origin;

    const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";

    fn trigger() -> Trigger {
        Trigger {
            throughput: ThroughputSource::CloudWatch,
            aws_region: None,
            ..crate::trigger::parse([("queueURL", QUEUE), ("targetWait", "5m")], Origin::Request)
                .trigger
                .unwrap()
        }
    }

    fn allow(endpoints: &[&str]) -> AllowList {
        let endpoints: Vec<_> = endpoints.iter().map(|text| (*text).to_owned()).collect();
        AllowList::parse(&endpoints, &[], None).unwrap()
    }

    fn endpoints(trigger: &Trigger, allow: &AllowList) -> (Option<String>, Option<String>) {
        let needs = Needs::of("shop", trigger, allow).unwrap();
        (needs.queues[0].client.endpoint.clone(), needs.metrics[0].0.endpoint.clone())
    }

    #[test]
    fn aws_itself_is_found_by_region() {
        let needs = Needs::of("shop", &trigger(), &AllowList::default()).unwrap();
        assert_eq!(needs.queues[0].client.region, "eu-central-1");
        assert_eq!(needs.queues[0].client.endpoint, None);
        assert_eq!(needs.metrics, vec![(needs.queues[0].client.clone(), "orders".to_owned())]);
    }

    #[test]
    fn an_endpoint_of_sqs_alone_is_not_used_for_cloudwatch() {
        let interface = "https://vpce-1.sqs.eu-central-1.vpce.amazonaws.com";
        let mut with_endpoint = trigger();
        with_endpoint.aws_endpoint = Some(interface.to_owned());
        assert_eq!(endpoints(&with_endpoint, &AllowList::default()), (Some(interface.to_owned()), None));

        let mut in_url = trigger();
        in_url.aws_region = Some("eu-central-1".to_owned());
        in_url.backlog = BacklogSource::Sqs(vec![format!("{interface}/123456789012/orders")]);
        assert_eq!(endpoints(&in_url, &AllowList::default()), (Some(interface.to_owned()), None));
    }

    #[test]
    fn a_foreign_queue_is_an_endpoint() {
        let mut foreign = trigger();
        foreign.aws_region = Some("eu-central-1".to_owned());
        foreign.backlog = BacklogSource::Sqs(vec!["http://localhost:4566/000000000000/orders".to_owned()]);
        let error = Needs::of("shop", &foreign, &AllowList::default()).unwrap_err().to_string();
        assert!(error.contains("queueURL") && error.contains("--allow-endpoint"), "{error}");

        let local = Some("http://localhost:4566".to_owned());
        assert_eq!(endpoints(&foreign, &allow(&["shop=http://localhost:4566"])), (local.clone(), local));

        // Also when another endpoint is contacted in its place.
        foreign.aws_endpoint = Some("http://127.0.0.1:4566".to_owned());
        assert!(Needs::of("shop", &foreign, &allow(&["shop=http://127.0.0.1:4566"])).is_err());
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let unusable = |change: &dyn Fn(&mut Trigger)| {
            let mut trigger = trigger();
            change(&mut trigger);
            Needs::of("shop", &trigger, &allow(&["*=http://localhost:4566"])).unwrap_err().to_string()
        };
        for (change, words) in [
            (
                &(|trigger: &mut Trigger| trigger.aws_region = Some("eu-1.evil.org".to_owned()))
                    as &dyn Fn(&mut Trigger),
                vec!["awsRegion", "eu-1.evil.org"],
            ),
            (
                &|trigger| {
                    trigger.backlog =
                        BacklogSource::Sqs(vec!["http://localhost:4566/000000000000/orders".to_owned()]);
                },
                vec!["awsRegion is missing"],
            ),
            (
                &|trigger| {
                    trigger.backlog =
                        BacklogSource::Sqs(vec!["https://sqs.eu-central-1.amazonaws.com".to_owned()]);
                },
                vec!["queue's name"],
            ),
            (
                &|trigger| trigger.aws_role_arn = Some("arn:aws:iam::1:role/x".to_owned()),
                vec!["awsRoleArn", "--allow-role", "shop"],
            ),
            (
                &|trigger| trigger.replicas_query = Some("up".to_owned()),
                vec!["replicasQuery", "prometheusServerAddress", "--prometheus-address"],
            ),
            (
                &|trigger| {
                    trigger.replicas_query = Some("up".to_owned());
                    trigger.prometheus_server_address = Some("http://evil.org".to_owned());
                },
                vec!["prometheusServerAddress", "http://evil.org", "--allow-endpoint"],
            ),
            (
                &|trigger| {
                    trigger.replicas_query = Some("up".to_owned());
                    trigger.prometheus_server_address = Some("http://localhost:4566".to_owned());
                    trigger.prometheus_tenant = Some("payroll".to_owned());
                },
                vec!["prometheusTenant", "payroll", "shop", "--allow-tenant"],
            ),
            (
                &|trigger| {
                    trigger.backlog = BacklogSource::Prometheus("x".to_owned());
                    trigger.prometheus_server_address = Some("http://localhost:4566".to_owned());
                },
                vec!["throughputSource"],
            ),
        ] {
            let error = unusable(change);
            for word in words {
                assert!(error.contains(word), "{error}");
            }
        }
    }
}
