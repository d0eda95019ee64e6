//! Metadata off the wire, by way of `trigger`. (local shim)
use std::collections::BTreeMap;

use crate::core::Policy;
use crate::trigger::{BacklogSource, Mode, ThroughputSource, Trigger};

pub(super) fn parse(metadata: &BTreeMap<String, String>) -> Result<(Trigger, Vec<String>), Vec<String>> {
    let mut policy = Policy::default();
    let mut problems = Vec::new();
    let Some(queue) = metadata.get("queueURL") else {
        return Err(vec!["queueURL is missing".to_owned()]);
    };
    for (key, slot) in [("minReplicas", &mut policy.min_replicas), ("maxReplicas", &mut policy.max_replicas)]
    {
        if let Some(value) = metadata.get(key) {
            match value.parse() {
                Ok(number) => *slot = number,
                Err(_) => problems.push(format!("{key} {value:?} is not a whole number")),
            }
        }
    }
    let mode =
        if metadata.get("mode").is_some_and(|mode| mode == "advise") { Mode::Advise } else { Mode::Act };
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok((
        Trigger {
            backlog: BacklogSource::Sqs(vec![queue.clone()]),
            throughput: ThroughputSource::Queue,
            aws_region: metadata.get("awsRegion").cloned(),
            aws_endpoint: None,
            aws_role_arn: None,
            prometheus_server_address: None,
            prometheus_tenant: None,
            replicas_query: None,
            mode,
            policy,
        },
        Vec::new(),
    ))
}

pub fn load_trigger(path: &std::path::Path) -> anyhow::Result<Trigger> {
    let text = std::fs::read_to_string(path)?;
    let metadata: BTreeMap<String, BTreeMap<String, String>> = serde_saphyr::from_str(&text)?;
    let (trigger, _) =
        parse(&metadata["metadata"]).map_err(|problems| anyhow::anyhow!(problems.join("; ")))?;
    Ok(trigger)
}
