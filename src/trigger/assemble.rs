//! From single keys to one [`Trigger`]: what keys say of each other is checked here.

use std::sync::Arc;

use super::reading::Reading;
use super::{BacklogSource, Mode, Origin, Parsed, ThroughputSource, Trigger, aws, duration, keys};
use crate::core::{Policy, ServiceRate};

/// The least that can be told apart from a source that answers at its normal pace.
const SHORT_STALE_SECONDS: f64 = 45.0;

/// Keys that need Prometheus.
const QUERIES: [&str; 4] = ["backlogQuery", "arrivalQuery", "completionQuery", "replicasQuery"];

pub(super) fn assemble(mut reading: Reading, origin: Origin) -> Parsed {
    let backlog = backlog(&mut reading, origin);
    let region = region(&mut reading);
    let throughput = throughput(&mut reading);
    check_prometheus(&mut reading);
    check_room(&mut reading);
    check_due(&mut reading, origin);
    check_workers(&mut reading);
    check_freshness(&mut reading);
    let trigger = match (backlog, throughput) {
        (Some(backlog), Some(throughput)) if reading.problems.is_empty() => Some(Trigger {
            backlog,
            throughput,
            aws_region: region,
            aws_endpoint: reading.text("awsEndpoint"),
            aws_role_arn: reading.text("awsRoleArn"),
            prometheus_server_address: reading.text("prometheusServerAddress"),
            prometheus_tenant: reading.text("prometheusTenant"),
            replicas_query: reading.text("replicasQuery"),
            node_pool: reading.text("nodePool"),
            capacity_buffer: reading.text("capacityBuffer"),
            placeholder: reading.text("placeholder"),
            mode: mode(&reading),
            min_replicas_given: reading.is_given("minReplicas"),
            max_replicas_given: reading.is_given("maxReplicas"),
            time_zone_given: reading.is_given("timeZone"),
            pod_lead_seconds: reading.number("podLeadTime").filter(|_| reading.is_given("podLeadTime")),
            node_lead_seconds: reading.number("nodeLeadTime").filter(|_| reading.is_given("nodeLeadTime")),
            policy: Arc::new(policy(&reading)),
        }),
        _ => None,
    };
    let unresolved = reading.unresolved();
    let (min_replicas, max_replicas) = (reading.whole("minReplicas"), reading.whole("maxReplicas"));
    Parsed {
        trigger,
        problems: reading.problems,
        warnings: reading.warnings,
        min_replicas,
        max_replicas,
        unresolved,
    }
}

fn mode(reading: &Reading) -> Mode {
    match reading.known_text("mode").as_deref() {
        Some("advise") => Mode::Advise,
        _ => Mode::Act,
    }
}

/// Values that only the cluster knows leave the documented default in place.
fn policy(reading: &Reading) -> Policy {
    let standard = Policy::default();
    let number = |name: &str, standard: f64| reading.number(name).unwrap_or(standard);
    Policy {
        target_wait_seconds: reading.number("targetWait"),
        cut_offs: reading.cut_offs().unwrap_or_default(),
        time_zone: reading.known_text("timeZone").unwrap_or(standard.time_zone),
        service_rate: reading.service_rate().unwrap_or(standard.service_rate),
        min_replicas: reading.whole("minReplicas").unwrap_or(standard.min_replicas),
        max_replicas: reading.whole("maxReplicas").unwrap_or(standard.max_replicas),
        pod_lead_seconds: number("podLeadTime", standard.pod_lead_seconds),
        node_lead_seconds: number("nodeLeadTime", standard.node_lead_seconds),
        ramp_up_per_minute: reading.number("rampUp"),
        hold_down_seconds: number("holdDown", standard.hold_down_seconds),
        throughput_limit_per_hour: reading.number("throughputLimit"),
        stale_after_seconds: number("staleAfter", standard.stale_after_seconds),
        scale_on_in_flight: reading.flag("scaleOnInFlight").unwrap_or(standard.scale_on_in_flight),
        scale_on_delayed: reading.flag("scaleOnDelayed").unwrap_or(standard.scale_on_delayed),
        activation_queue_length: number("activationQueueLength", standard.activation_queue_length),
        forecast: reading.flag("forecast").unwrap_or(standard.forecast),
    }
}

/// What to add about a key that may have been dropped on its way.
fn dropped(origin: Origin, key: &str) -> String {
    match origin {
        Origin::Request => {
            format!(" (KEDA drops {key}{} when the container has no such variable)", keys::FROM_ENV)
        }
        Origin::File => String::new(),
    }
}

fn backlog(reading: &mut Reading, origin: Origin) -> Option<BacklogSource> {
    match (reading.is_given("queueURL"), reading.is_given("backlogQuery")) {
        (true, true) => {
            let message = format!(
                "is given beside {}; keep the one that tells the backlog",
                reading.written("queueURL")
            );
            reading.problem("backlogQuery", message);
            None
        }
        (true, false) => reading.texts("queueURL").map(BacklogSource::Sqs),
        (false, true) => {
            for key in ["awsRegion", "awsEndpoint", "awsRoleArn"] {
                if reading.is_given(key) {
                    reading.warn(key, "has no effect with backlogQuery; take it out");
                }
            }
            for key in ["scaleOnInFlight", "scaleOnDelayed"] {
                if reading.is_given(key) {
                    reading.warn(
                        key,
                        "has no effect with backlogQuery, which says by itself what counts; take it out",
                    );
                }
            }
            reading.text("backlogQuery").map(BacklogSource::Prometheus)
        }
        (false, false) => {
            let message = format!(
                "is missing{}; write the queue's full URL, or backlogQuery for a queue that Prometheus knows",
                dropped(origin, "queueURL")
            );
            reading.problem("queueURL", message);
            None
        }
    }
}

fn region(reading: &mut Reading) -> Option<String> {
    let given = reading.text("awsRegion");
    let Some(urls) = reading.known_texts("queueURL") else { return given };
    let mut told: Vec<String> = urls.iter().filter_map(|url| aws::region_of_queue(url)).collect();
    told.sort();
    told.dedup();
    if told.len() > 1 {
        let message = format!(
            "names queues of several regions ({}); give each region its own trigger",
            told.join(", ")
        );
        reading.problem("queueURL", message);
        return None;
    }
    if !reading.is_given("awsEndpoint") && urls.iter().any(|url| !aws::is_aws_queue(url)) {
        reading.warn("queueURL", "is not on AWS's own host; write the queue's server as awsEndpoint too");
    }
    let told = told.pop();
    if let (Some(told), Some(known)) = (&told, reading.known_text("awsRegion"))
        && *told != known
    {
        reading.problem("awsRegion", format!("is not the region of queueURL; write {told} or leave it out"));
    }
    if told.is_none() && !reading.is_given("awsRegion") {
        reading.problem(
            "awsRegion",
            "is missing, and the host of queueURL does not tell it; write it like eu-central-1",
        );
    }
    given.or(told)
}

fn throughput(reading: &mut Reading) -> Option<ThroughputSource> {
    let source = if reading.is_given("throughputSource") {
        reading.known_text("throughputSource")?
    } else if reading.is_given("arrivalQuery") || reading.is_given("completionQuery") {
        "prometheus".to_owned()
    } else if reading.is_given("queueURL") {
        "cloudwatch".to_owned()
    } else {
        "queue".to_owned()
    };
    match source.as_str() {
        "prometheus" => {
            if !reading.is_given("arrivalQuery") {
                let of = if reading.is_given("completionQuery") {
                    "completionQuery"
                } else {
                    "throughputSource prometheus"
                };
                let message =
                    format!("is missing with {of}; write the orders that arrive a second, in PromQL");
                reading.problem("arrivalQuery", message);
            }
            let arrival_query = reading.text("arrivalQuery")?;
            Some(ThroughputSource::Prometheus {
                arrival_query,
                completion_query: reading.text("completionQuery"),
            })
        }
        other => {
            for query in ["arrivalQuery", "completionQuery"] {
                if reading.is_given(query) {
                    let message = format!(
                        "is not used with throughputSource {other}; write throughputSource prometheus, or take it out"
                    );
                    reading.problem(query, message);
                }
            }
            if other == "queue" {
                return Some(ThroughputSource::Queue);
            }
            if reading.is_given("backlogQuery") && !reading.is_given("queueURL") {
                reading.problem(
                    "throughputSource",
                    "needs queueURL; with backlogQuery write prometheus or queue",
                );
            }
            Some(ThroughputSource::CloudWatch)
        }
    }
}

fn check_prometheus(reading: &mut Reading) {
    let queries: Vec<&str> = QUERIES.into_iter().filter(|query| reading.is_given(query)).collect();
    let address = reading.is_given("prometheusServerAddress");
    if let (false, Some(query)) = (address, queries.first()) {
        let message = format!(
            "is missing, but {} needs it; write it like http://prometheus.monitoring:9090",
            reading.written(query)
        );
        reading.problem("prometheusServerAddress", message);
    }
    if address && queries.is_empty() {
        reading.warn(
            "prometheusServerAddress",
            "has no effect without a query; write arrivalQuery, or take it out",
        );
    }
    if reading.is_given("prometheusTenant") && !address && queries.is_empty() {
        reading.warn("prometheusTenant", "has no effect without prometheusServerAddress; take it out");
    }
}

fn check_room(reading: &mut Reading) {
    if reading.is_given("capacityBuffer") && reading.is_given("placeholder") {
        let message =
            format!("is given beside {}; keep the one that exists", reading.written("capacityBuffer"));
        reading.problem("placeholder", message);
    }
}

fn check_due(reading: &mut Reading, origin: Origin) {
    if !reading.is_given("targetWait") && !reading.is_given("cutOffs") {
        let message = format!(
            "is missing, and so is cutOffs{}; write how long an order may wait, like 5m, or the carriers' cut-offs, like DPD Mon-Fri 14:00+45m",
            dropped(origin, "targetWait")
        );
        reading.problem("targetWait", message);
    }
    match (reading.is_given("cutOffs"), reading.is_given("timeZone")) {
        (true, false) => reading.warn("cutOffs", "is read in UTC; write timeZone, like Europe/Prague"),
        (false, true) => reading.warn("timeZone", "has no effect without cutOffs; take it out"),
        _ => {}
    }
    let Some(lead) = reading.number("podLeadTime") else { return };
    let lead_text = duration::format(lead);
    if reading.number("targetWait").is_some_and(|wait| wait < lead) {
        let message = format!(
            "is shorter than podLeadTime {lead_text}: from zero workers no order is in time; keep minReplicas above 0"
        );
        reading.warn("targetWait", message);
    }
    let short =
        reading.cut_offs().unwrap_or_default().into_iter().find(|cut_off| cut_off.within_seconds < lead);
    if let Some(cut_off) = short {
        let message = format!(
            "gives {:?} a window of {}, shorter than podLeadTime {lead_text}: workers started at the cut-off come too late",
            cut_off.name,
            duration::format(cut_off.within_seconds)
        );
        reading.warn("cutOffs", message);
    }
}

fn check_workers(reading: &mut Reading) {
    let (min, max) = (reading.whole("minReplicas"), reading.whole("maxReplicas"));
    if let (Some(min), Some(max)) = (min, max) {
        if min > max {
            let right = format!("write at most {max}, or a larger maxReplicas");
            reading.problem("minReplicas", format!("is above maxReplicas {max}; {right}"));
        } else if min == max {
            reading.warn(
                "minReplicas",
                format!("equals maxReplicas {max}: the number of workers never changes"),
            );
        }
    }
    if let (Some(ServiceRate::PerMinute(rate)), Some(limit), Some(min)) =
        (reading.service_rate(), reading.number("throughputLimit"), min)
        && f64::from(min) * rate * 60.0 > limit
    {
        let message = format!(
            "is less than the {min} workers of minReplicas do at serviceRate {rate}; write a larger one or fewer workers"
        );
        reading.warn("throughputLimit", message);
    }
}

fn check_freshness(reading: &mut Reading) {
    if reading.number("staleAfter").is_some_and(|seconds| seconds < SHORT_STALE_SECONDS) {
        let least = duration::format(SHORT_STALE_SECONDS);
        let message =
            format!("is short: one reading that comes late makes KEDA fall back; write {least} or more");
        reading.warn("staleAfter", message);
    }
}
