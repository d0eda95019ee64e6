//! Scaler metadata: raw strings in, one typed and validated [`Trigger`] out, or every mistake at once.

use crate::core::Policy;

/// A validated trigger of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Where the backlog is read.
    pub backlog: BacklogSource,
    /// Where arrivals and completions are read.
    pub throughput: ThroughputSource,
    /// AWS region, from `awsRegion` or the queue's URL.
    pub aws_region: Option<String>,
    /// Endpoint in place of AWS's own.
    pub aws_endpoint: Option<String>,
    /// Role to assume in place of the pod's own identity.
    pub aws_role_arn: Option<String>,
    /// `http(s)://…` of Prometheus or Mimir.
    pub prometheus_server_address: Option<String>,
    /// Mimir's tenant (`X-Scope-OrgID`).
    pub prometheus_tenant: Option<String>,
    /// PromQL for ready replicas, where no cluster tells.
    pub replicas_query: Option<String>,
    /// Act, or only advise.
    pub mode: Mode,
    /// What the core needs.
    pub policy: Policy,
}

/// Where the backlog is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BacklogSource {
    /// SQS queue URLs; their counters are added up.
    Sqs(Vec<String>),
    /// A PromQL query.
    Prometheus(String),
}

/// Where arrivals and completions are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ThroughputSource {
    /// CloudWatch's `NumberOfMessagesSent` and `NumberOfMessagesDeleted`.
    CloudWatch,
    /// Two PromQL queries, each orders a second.
    Prometheus {
        /// Orders arriving, a second.
        arrival_query: String,
        /// Orders completed, a second; without it the queue's counters tell.
        completion_query: Option<String>,
    },
    /// The queue's own counters alone.
    Queue,
}

/// Whether our answer scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Act,
    /// KEDA gets 0 and inactive; the decision is only reported.
    Advise,
}
