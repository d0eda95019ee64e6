//! Flags of `serve` that say what may be read, and how.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::serve::duration;
use crate::clock::Clock;
use crate::observe::cluster::{Cluster, KubernetesCluster};
use crate::observe::{AllowList, LiveOptions, LiveSources, Sources};

/// Where facts come from.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArguments {
    /// Endpoint that a namespace's triggers may name, repeatable: `shop=http://localstack:4566`,
    /// `*=https://host/path-*`. Without any, only AWS's own.
    #[arg(long, env = "PEAKSCALER_ALLOW_ENDPOINT", value_name = "NAMESPACE=URL", value_delimiter = ',')]
    allow_endpoint: Vec<String>,
    /// Role that a namespace's triggers may assume, repeatable: `shop=arn:aws:iam::1:role/queues`.
    /// Without any, only the pod's own identity.
    #[arg(long, env = "PEAKSCALER_ALLOW_ROLE", value_name = "NAMESPACE=ARN", value_delimiter = ',')]
    allow_role: Vec<String>,
    /// Tenant of Mimir whose data a namespace's triggers may read, repeatable: `shop=fulfilment`, `*=team-*`.
    /// Without any, no trigger may name one.
    #[arg(long, env = "PEAKSCALER_ALLOW_TENANT", value_name = "NAMESPACE=TENANT", value_delimiter = ',')]
    allow_tenant: Vec<String>,
    /// Prometheus for triggers that name none; every namespace may use it.
    #[arg(long, env = "PEAKSCALER_PROMETHEUS_ADDRESS", value_name = "URL")]
    prometheus_address: Option<String>,
    /// Bearer token for that address; read again at every query.
    #[arg(
        long,
        env = "PEAKSCALER_PROMETHEUS_TOKEN_FILE",
        value_name = "FILE",
        requires = "prometheus_address"
    )]
    prometheus_token_file: Option<PathBuf>,
    /// From one Prometheus query to its next.
    #[arg(long, env = "PEAKSCALER_PROMETHEUS_PERIOD", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    prometheus_period: Duration,
    /// From one reading of a queue's counters to the next; at least 20s on AWS itself.
    #[arg(long, env = "PEAKSCALER_SQS_PERIOD", value_name = "DURATION", default_value = "20s", value_parser = duration)]
    sqs_period: Duration,
    /// Kubeconfig; without it the pod's own service account, or what kubectl would use.
    #[arg(long, env = "PEAKSCALER_KUBECONFIG", value_name = "FILE", conflicts_with = "no_cluster")]
    kubeconfig: Option<PathBuf>,
    /// Run without a cluster: ready replicas come from `replicasQuery`.
    #[arg(long, env = "PEAKSCALER_NO_CLUSTER")]
    no_cluster: bool,
}

impl SourceArguments {
    /// Opens what the flags name; nothing is contacted before a trigger asks for it.
    pub(super) fn open(
        &self,
        clock: &Clock,
        client: Option<kube::Client>,
    ) -> anyhow::Result<Arc<dyn Sources>> {
        let cluster = |client| Arc::new(KubernetesCluster::new(client, clock.clone())) as Arc<dyn Cluster>;
        let allow =
            AllowList::parse(&self.allow_endpoint, &self.allow_role, self.prometheus_address.as_deref())?
                .with_tenants(&self.allow_tenant)?;
        let options = LiveOptions {
            allow,
            prometheus_token_file: self.prometheus_token_file.clone(),
            sqs_period: self.sqs_period,
            prometheus_period: self.prometheus_period,
            aws_identity: None,
            cluster: client.map(cluster),
        };
        Ok(Arc::new(LiveSources::new(clock.clone(), options).context("opening an HTTP client")?))
    }

    /// A client of the cluster, unless there is to be none; nothing is contacted yet.
    pub(super) async fn client(&self) -> anyhow::Result<Option<kube::Client>> {
        if self.no_cluster {
            return Ok(None);
        }
        let mut config = match &self.kubeconfig {
            Some(path) => {
                let what = || format!("--kubeconfig {}", path.display());
                let kubeconfig = Kubeconfig::read_from(path).with_context(what)?;
                kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                    .await
                    .with_context(what)?
            }
            None => kube::Config::infer()
                .await
                .context("no cluster is configured here: name one with --kubeconfig, or say --no-cluster")?,
        };
        // The watches begin again by themselves; a retry below them would hide an outage for minutes.
        config.default_retry = false;
        Ok(Some(kube::Client::try_from(config).context("the cluster's configuration cannot be used")?))
    }
}
