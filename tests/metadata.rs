//! Scaler metadata from outside: what is wrong is named, what is right comes through, nothing panics.

use std::collections::BTreeMap;

use peakscaler::core::{Policy, ServiceRate};
use peakscaler::trigger::docs::render_metadata_docs;
use peakscaler::trigger::keys::{Fallback, KEYS};
use peakscaler::trigger::{BacklogSource, Mode, Origin, Problem, ThroughputSource, Trigger, parse};
use proptest::prelude::*;

/// Takes a key out of the base it is laid over.
const GONE: &str = "\0gone";

const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";

/// A queue on SQS.
const SQS: &[(&str, &str)] = &[("queueURL", QUEUE), ("targetWait", "5m"), ("maxReplicas", "50")];

/// A queue that only Prometheus knows.
const PROM: &[(&str, &str)] = &[
    ("backlogQuery", "sum(rabbitmq_queue_messages)"),
    ("arrivalQuery", "sum(rate(orders_received_total[2m]))"),
    ("prometheusServerAddress", "http://prometheus.monitoring:9090"),
    ("targetWait", "5m"),
];

type Pairs = &'static [(&'static str, &'static str)];

fn laid_over(base: Pairs, changes: Pairs) -> BTreeMap<String, String> {
    let mut metadata: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in base.iter().chain(changes) {
        if *value == GONE {
            metadata.remove(*key);
        } else {
            metadata.insert((*key).to_owned(), (*value).to_owned());
        }
    }
    metadata
}

/// Base, what is changed in it, the key that must be named, and what must be said of it.
type Bad = (Pairs, Pairs, &'static str, &'static str);

#[rustfmt::skip]
const BAD: &[Bad] = &[
    // --- durations
    (SQS, &[("targetWait", "5 minutes")], "targetWait", "\"5 minutes\" is not a duration; write it like 300s, 5m or 1h30m"),
    (SQS, &[("targetWait", "five")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "5min")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "5M")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "PT5M")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "00:05:00")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "1d")], "targetWait", "days are written in hours"),
    (SQS, &[("targetWait", "-5m")], "targetWait", "is negative"),
    (SQS, &[("targetWait", "30m1h")], "targetWait", "units out of order"),
    (SQS, &[("targetWait", "5m5m")], "targetWait", "units out of order"),
    (SQS, &[("targetWait", "5m30")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "0")], "targetWait", "is too short; write at least 1s"),
    (SQS, &[("targetWait", "0s")], "targetWait", "is too short"),
    (SQS, &[("targetWait", "500ms")], "targetWait", "is too short"),
    (SQS, &[("targetWait", "200h")], "targetWait", "is too long; write at most 168h"),
    (SQS, &[("targetWait", "")], "targetWait", "is empty; give it a value or leave the key out"),
    (SQS, &[("targetWait", "   ")], "targetWait", "is empty"),
    (SQS, &[("targetWait", "1e3")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "inf")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "NaN")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "٥m")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "1,5m")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "+5m")], "targetWait", "is not a duration"),
    (SQS, &[("targetWait", "{{ .Values.wait }}")], "targetWait", "is not a duration"),
    (SQS, &[("podLeadTime", "soon")], "podLeadTime", "is not a duration"),
    (SQS, &[("podLeadTime", "3h")], "podLeadTime", "is too long; write at most 2h"),
    (SQS, &[("nodeLeadTime", "1.5.2s")], "nodeLeadTime", "is not a duration"),
    (SQS, &[("nodeLeadTime", "-90")], "nodeLeadTime", "is negative"),
    (SQS, &[("holdDown", "60 s")], "holdDown", "is not a duration"),
    (SQS, &[("holdDown", "2h")], "holdDown", "is too long; write at most 1h"),
    (SQS, &[("staleAfter", "never")], "staleAfter", "is not a duration"),
    (SQS, &[("staleAfter", "0")], "staleAfter", "is too short"),
    (SQS, &[("staleAfter", "2days")], "staleAfter", "days are written in hours"),

    // --- whole numbers
    (SQS, &[("maxReplicas", "many")], "maxReplicas", "is not a whole number; write a whole number from 1 to 100000"),
    (SQS, &[("maxReplicas", "0")], "maxReplicas", "is too small"),
    (SQS, &[("maxReplicas", "2.5")], "maxReplicas", "has a fraction"),
    (SQS, &[("maxReplicas", "50.0")], "maxReplicas", "has a fraction"),
    (SQS, &[("maxReplicas", "-1")], "maxReplicas", "is negative"),
    (SQS, &[("maxReplicas", "1000000")], "maxReplicas", "is too large"),
    (SQS, &[("maxReplicas", "99999999999999999999999")], "maxReplicas", "is too large"),
    (SQS, &[("maxReplicas", "1_000")], "maxReplicas", "is not a whole number"),
    (SQS, &[("maxReplicas", "0x32")], "maxReplicas", "is not a whole number"),
    (SQS, &[("maxReplicas", "50 pods")], "maxReplicas", "is not a whole number"),
    (SQS, &[("maxReplicas", "50%")], "maxReplicas", "is not a whole number"),
    (SQS, &[("maxReplicas", "")], "maxReplicas", "is empty"),
    (SQS, &[("maxReplicas", "null")], "maxReplicas", "is not a whole number"),
    (SQS, &[("minReplicas", "-2")], "minReplicas", "is negative"),
    (SQS, &[("minReplicas", "one")], "minReplicas", "is not a whole number"),
    (SQS, &[("minReplicas", "0.5")], "minReplicas", "has a fraction"),
    (SQS, &[("minReplicas", "true")], "minReplicas", "is not a whole number"),

    // --- numbers with a unit
    (SQS, &[("serviceRate", "fast")], "serviceRate", "write orders a minute and replica as a number like 20 or 0.5, or learned"),
    (SQS, &[("serviceRate", "0")], "serviceRate", "must be above 0"),
    (SQS, &[("serviceRate", "0.0")], "serviceRate", "must be above 0"),
    (SQS, &[("serviceRate", "-3")], "serviceRate", "is negative"),
    (SQS, &[("serviceRate", "12/min")], "serviceRate", "is not a number"),
    (SQS, &[("serviceRate", "12,5")], "serviceRate", "has a comma in it"),
    (SQS, &[("serviceRate", "Learned")], "serviceRate", "or learned"),
    (SQS, &[("serviceRate", "auto")], "serviceRate", "is not a number"),
    (SQS, &[("serviceRate", "1000000")], "serviceRate", "is too large"),
    (SQS, &[("serviceRate", "inf")], "serviceRate", "is not a number"),
    (SQS, &[("serviceRate", ".5")], "serviceRate", "is not a number"),
    (SQS, &[("rampUp", "0")], "rampUp", "must be above 0"),
    (SQS, &[("rampUp", "10/m")], "rampUp", "write replicas a minute as a number"),
    (SQS, &[("rampUp", "unlimited")], "rampUp", "is not a number"),
    (SQS, &[("rampUp", "-60")], "rampUp", "is negative"),
    (SQS, &[("throughputLimit", "7,200")], "throughputLimit", "has a comma in it; write orders an hour"),
    (SQS, &[("throughputLimit", "2/s")], "throughputLimit", "is not a number"),
    (SQS, &[("throughputLimit", "0")], "throughputLimit", "must be above 0"),
    (SQS, &[("throughputLimit", "7200 orders")], "throughputLimit", "is not a number"),
    (SQS, &[("throughputLimit", "99999999999")], "throughputLimit", "is too large"),
    (SQS, &[("activationQueueLength", "-1")], "activationQueueLength", "is negative"),
    (SQS, &[("activationQueueLength", "few")], "activationQueueLength", "is not a number"),
    (SQS, &[("activationQueueLength", "NaN")], "activationQueueLength", "is not a number"),
    (SQS, &[("activationQueueLength", "5..0")], "activationQueueLength", "is not a number"),

    // --- flags and choices
    (SQS, &[("scaleOnInFlight", "yes")], "scaleOnInFlight", "is neither true nor false"),
    (SQS, &[("scaleOnInFlight", "tRuE")], "scaleOnInFlight", "is neither true nor false"),
    (SQS, &[("scaleOnInFlight", "")], "scaleOnInFlight", "is empty"),
    (SQS, &[("scaleOnDelayed", "on")], "scaleOnDelayed", "is neither true nor false"),
    (SQS, &[("scaleOnDelayed", "2")], "scaleOnDelayed", "is neither true nor false"),
    (SQS, &[("forecast", "off")], "forecast", "is neither true nor false"),
    (SQS, &[("forecast", "ets")], "forecast", "is neither true nor false"),
    (SQS, &[("mode", "advice")], "mode", "is not one of act, advise; did you mean advise?"),
    (SQS, &[("mode", "Act")], "mode", "did you mean act?"),
    (SQS, &[("mode", "dry-run")], "mode", "is not one of act, advise"),
    (SQS, &[("throughputSource", "cloud-watch")], "throughputSource", "did you mean cloudwatch?"),
    (SQS, &[("throughputSource", "mimir")], "throughputSource", "is not one of cloudwatch, prometheus, queue"),
    (SQS, &[("throughputSource", "Prometheus")], "throughputSource", "did you mean prometheus?"),

    // --- cut-offs
    (SQS, &[("cutOffs", "DPD 14:00+45m")], "cutOffs", "has no days; write DPD Mon-Fri 14:00+45m or DPD daily 14:00+45m"),
    (SQS, &[("cutOffs", "Mon-Fri 14:00+45m")], "cutOffs", "has no carrier's name"),
    (SQS, &[("cutOffs", "14:00+45m")], "cutOffs", "has neither carrier nor days"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00")], "cutOffs", "has no window; write 14:00+45m"),
    (SQS, &[("cutOffs", "DPD Mon-Fri")], "cutOffs", "does not end in time+window"),
    (SQS, &[("cutOffs", "DPD")], "cutOffs", "does not end in time+window"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00+0m")], "cutOffs", "has a window of 0"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00+25h")], "cutOffs", "the most is 24h"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00+")], "cutOffs", "has the window \"\", which is not a duration"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00+-45m")], "cutOffs", "has the window \"-45m\", which is negative"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00-14:45")], "cutOffs", "does not end in time+window"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 24:00+45m")], "cutOffs", "has \"24:00\" in it, which is not a time of day"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:60+45m")], "cutOffs", "has \"14:60\" in it, which is not a time of day"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 2pm+45m")], "cutOffs", "has \"2pm\" in it, which is not a time of day"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14h00+45m")], "cutOffs", "has \"14h00\" in it, which is not a time of day"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 1400+45m")], "cutOffs", "has \"1400\" in it, which is not a time of day"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:0+45m")], "cutOffs", "has \"14:0\" in it, which is not a time of day"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00:00+45m")], "cutOffs", "is not a time of day"),
    (SQS, &[("cutOffs", "DPD Mo-Fr 14:00+45m")], "cutOffs", "has \"Mo\" in it, which is not a day"),
    (SQS, &[("cutOffs", "DPD weekdays 14:00+45m")], "cutOffs", "has \"weekdays\" in it, which is not a day"),
    (SQS, &[("cutOffs", "DPD Mon- 14:00+45m")], "cutOffs", "has \"\" in it, which is not a day"),
    (SQS, &[("cutOffs", "DPD Mon-Wed-Fri 14:00+45m")], "cutOffs", "has \"Wed-Fri\" in it, which is not a day"),
    (SQS, &[("cutOffs", "DPD Mon..Fri 14:00+45m")], "cutOffs", "has \"Mon..Fri\" in it, which is not a day"),
    (SQS, &[("cutOffs", "DPD 1-5 14:00+45m")], "cutOffs", "has \"1\" in it, which is not a day"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00+45m;; PPL daily 17:00+30m")], "cutOffs", "\"\" is empty"),
    (SQS, &[("cutOffs", ";")], "cutOffs", "\"\" is empty"),
    (SQS, &[("cutOffs", "")], "cutOffs", "is empty"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00+45m, PPL Mon-Sat 17:30+30m")], "cutOffs", "put ; between cut-offs"),
    (SQS, &[("cutOffs", "DPD Mon-Fri 14:00+45m; DPD Fri 14:00+30m")], "cutOffs", "names \"DPD\" again for the same day and time"),
    (SQS, &[("cutOffs", "DPD daily 14:00+45m; dpd Sun 14:00+45m")], "cutOffs", "names \"dpd\" again"),
    (SQS, &[("cutOffs", "A carrier with a name that is far too long for any table Mon 14:00+45m")], "cutOffs", "the most is 40 characters"),
    (SQS, &[("cutOffs", "0 14 * * 1-5")], "cutOffs", "does not end in time+window"),
    (SQS, &[("cutOffs", "[{\"name\":\"DPD\"}]")], "cutOffs", "does not end in time+window"),

    // --- time zones
    (SQS, &[("timeZone", "Europe/Praha")], "timeZone", "is not an IANA time zone; did you mean Europe/Prague?"),
    (SQS, &[("timeZone", "Prague")], "timeZone", "did you mean Europe/Prague?"),
    (SQS, &[("timeZone", "+02:00")], "timeZone", "is not an IANA time zone"),
    (SQS, &[("timeZone", "CEST")], "timeZone", "is not an IANA time zone"),
    (SQS, &[("timeZone", "Local")], "timeZone", "is not an IANA time zone"),
    (SQS, &[("timeZone", "")], "timeZone", "is empty"),
    (SQS, &[("timeZone", "../../etc/passwd")], "timeZone", "is not an IANA time zone"),
    (SQS, &[("timeZone", "Mitteleuropäische Zeit")], "timeZone", "is not an IANA time zone"),

    // --- queue URLs
    (SQS, &[("queueURL", "orders")], "queueURL", "is not an http or https URL; write the queue's URL in full"),
    (SQS, &[("queueURL", "arn:aws:sqs:eu-central-1:123456789012:orders")], "queueURL", "is an ARN; write https://sqs.eu-central-1.amazonaws.com/123456789012/orders"),
    (SQS, &[("queueURL", "arn:aws-cn:sqs:cn-north-1:123456789012:orders")], "queueURL", "amazonaws.com.cn"),
    (SQS, &[("queueURL", "sqs.eu-central-1.amazonaws.com/123456789012/orders")], "queueURL", "is not an http or https URL"),
    (SQS, &[("queueURL", "sqs://eu-central-1/orders")], "queueURL", "is not an http or https URL"),
    (SQS, &[("queueURL", "file:///etc/passwd")], "queueURL", "is not an http or https URL"),
    (SQS, &[("queueURL", "https://")], "queueURL", "is not an http or https URL"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com")], "queueURL", "does not end in a queue's name"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/")], "queueURL", "does not end in a queue's name"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/orders")], "queueURL", "has no account of 12 digits"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/1234/orders")], "queueURL", "has no account of 12 digits"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/or ders")], "queueURL", "does not end in a queue's name"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo.old")], "queueURL", "does not end in a queue's name"),
    (SQS, &[("queueURL", "https://me:secret@sqs.eu-central-1.amazonaws.com/123456789012/orders")], "queueURL", "has a user or password in it"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/orders?Action=Send")], "queueURL", "has a part after ? or #"),
    (SQS, &[("queueURL", "")], "queueURL", "is empty"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/a,")], "queueURL", "\"\" is empty; write URLs with one comma"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/a,https://sqs.eu-central-1.amazonaws.com/123456789012/a")], "queueURL", "is there twice, so its orders would be counted twice"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/a, b")], "queueURL", "\"b\" is not an http or https URL"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/a https://sqs.eu-central-1.amazonaws.com/123456789012/b")], "queueURL", "has no account"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/a,https://sqs.eu-west-1.amazonaws.com/123456789012/b")], "queueURL", "several regions (eu-central-1, eu-west-1)"),
    (SQS, &[("queueURL", "http://localhost:9324/000000000000/orders")], "awsRegion", "is missing, and the host of queueURL does not tell it"),
    (SQS, &[("queueURL", "$(ORDERS_QUEUE_URL)")], "queueURL", "is not an http or https URL"),
    (SQS, &[("queueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/{{queue}}")], "queueURL", "does not end in a queue's name"),

    // --- AWS's other names
    (SQS, &[("awsRegion", "eu-central1")], "awsRegion", "is not an AWS region; write it like eu-central-1"),
    (SQS, &[("awsRegion", "eu-central-1a")], "awsRegion", "is an availability zone; write its region eu-central-1"),
    (SQS, &[("awsRegion", "EU-Central-1")], "awsRegion", "did you mean eu-central-1?"),
    (SQS, &[("awsRegion", "Frankfurt")], "awsRegion", "is not an AWS region"),
    (SQS, &[("awsRegion", "eu_central_1")], "awsRegion", "is not an AWS region"),
    (SQS, &[("awsRegion", "eu-west-1")], "awsRegion", "is not the region of queueURL; write eu-central-1"),
    (SQS, &[("awsRegion", "")], "awsRegion", "is empty"),
    (SQS, &[("awsRoleArn", "orders-reader")], "awsRoleArn", "is not the ARN of a role"),
    (SQS, &[("awsRoleArn", "arn:aws:iam::123456789012:user/me")], "awsRoleArn", "is not the ARN of a role"),
    (SQS, &[("awsRoleArn", "arn:aws:iam::1234:role/reader")], "awsRoleArn", "is not the ARN of a role"),
    (SQS, &[("awsRoleArn", "arn:aws:sts::123456789012:assumed-role/reader/me")], "awsRoleArn", "is not the ARN of a role"),
    (SQS, &[("awsRoleArn", "arn:aws:iam::123456789012:role/")], "awsRoleArn", "is not the ARN of a role"),
    (SQS, &[("awsRoleArn", "arn:aws:iam::123456789012:role/a b")], "awsRoleArn", "is not the ARN of a role"),
    (SQS, &[("awsEndpoint", "localhost:9324")], "awsEndpoint", "is not an http or https URL"),
    (SQS, &[("awsEndpoint", "elasticmq")], "awsEndpoint", "is not an http or https URL"),
    (SQS, &[("awsEndpoint", "http://user@elasticmq:9324")], "awsEndpoint", "has a user or password in it"),
    (SQS, &[("awsEndpoint", "http://elasticmq:99999")], "awsEndpoint", "is not an http or https URL"),

    // --- Prometheus
    (PROM, &[("prometheusServerAddress", "prometheus:9090")], "prometheusServerAddress", "is not an http or https URL; write it like http://prometheus.monitoring:9090"),
    (PROM, &[("prometheusServerAddress", "http://prometheus:9090/?q=1")], "prometheusServerAddress", "has a part after ? or #"),
    (PROM, &[("prometheusServerAddress", "https://u:p@mimir")], "prometheusServerAddress", "has a user or password in it"),
    (PROM, &[("prometheusServerAddress", GONE)], "prometheusServerAddress", "is missing, but backlogQuery needs it"),
    (SQS, &[("replicasQuery", "sum(up)")], "prometheusServerAddress", "is missing, but replicasQuery needs it"),
    (PROM, &[("prometheusTenant", "two words")], "prometheusTenant", "is not a tenant id"),
    (PROM, &[("prometheusTenant", "größe")], "prometheusTenant", "is not a tenant id"),
    (PROM, &[("prometheusTenant", "a\r\nHost: b")], "prometheusTenant", "is not a tenant id"),
    (PROM, &[("backlogQuery", "sum(rabbitmq_queue_messages")], "backlogQuery", "has a ( that is never closed"),
    (PROM, &[("backlogQuery", "sum(x))")], "backlogQuery", "has a ) that closes nothing"),
    (PROM, &[("backlogQuery", "x{queue=\"orders}")], "backlogQuery", "has a \" that is never closed"),
    (PROM, &[("backlogQuery", "x{queue=\"a\"]")], "backlogQuery", "has a ] that closes nothing"),
    (PROM, &[("backlogQuery", "")], "backlogQuery", "is empty"),
    (PROM, &[("arrivalQuery", "sum(rate(x[$__rate_interval]))")], "arrivalQuery", "has a variable of Grafana"),
    (PROM, &[("arrivalQuery", "sum(rate(x[2m])")], "arrivalQuery", "has a ( that is never closed"),
    (PROM, &[("completionQuery", "rate(y{queue=\"{{ .Values.q }}\"}[2m])")], "completionQuery", "of Grafana or Helm"),
    (PROM, &[("completionQuery", "rate(y[2m)")], "completionQuery", "closes nothing"),
    (PROM, &[("replicasQuery", "'")], "replicasQuery", "has a ' that is never closed"),

    // --- Kubernetes' names
    (SQS, &[("nodePool", "Pickers")], "nodePool", "is not a Kubernetes name"),
    (SQS, &[("nodePool", "pickers/spot")], "nodePool", "is not a Kubernetes name"),
    (SQS, &[("capacityBuffer", "-ahead")], "capacityBuffer", "is not a Kubernetes name"),
    (SQS, &[("capacityBuffer", "pickers_ahead")], "capacityBuffer", "is not a Kubernetes name"),
    (SQS, &[("placeholder", "a..b")], "placeholder", "is not a Kubernetes name"),
    (SQS, &[("placeholder", "pause pods")], "placeholder", "is not a Kubernetes name"),

    // --- keys that contradict each other, or need each other
    (SQS, &[("queueURL", GONE)], "queueURL", "is missing; write the queue's full URL, or backlogQuery"),
    (SQS, &[("targetWait", GONE)], "targetWait", "is missing, and so is cutOffs"),
    (SQS, &[("backlogQuery", "sum(x)"), ("prometheusServerAddress", "http://p:9090")], "backlogQuery", "is given beside queueURL"),
    (SQS, &[("minReplicas", "60")], "minReplicas", "is above maxReplicas 50"),
    (SQS, &[("minReplicas", "101"), ("maxReplicas", GONE)], "minReplicas", "is above maxReplicas 100"),
    (SQS, &[("queueURLFromEnv", "ORDERS_QUEUE_URL")], "queueURLFromEnv", "is given beside queueURL"),
    (SQS, &[("throughputSource", "prometheus")], "arrivalQuery", "is missing with throughputSource prometheus"),
    (SQS, &[("completionQuery", "sum(y)"), ("prometheusServerAddress", "http://p:9090")], "arrivalQuery", "is missing with completionQuery"),
    (SQS, &[("throughputSource", "cloudwatch"), ("completionQuery", "sum(y)"), ("prometheusServerAddress", "http://p:9090")], "completionQuery", "is not used with throughputSource cloudwatch"),
    (SQS, &[("throughputSource", "queue"), ("arrivalQuery", "sum(x)"), ("prometheusServerAddress", "http://p:9090")], "arrivalQuery", "is not used with throughputSource queue"),
    (PROM, &[("throughputSource", "cloudwatch"), ("arrivalQuery", GONE)], "throughputSource", "needs queueURL; with backlogQuery write prometheus or queue"),
    (SQS, &[("capacityBuffer", "a"), ("placeholder", "b")], "placeholder", "is given beside capacityBuffer"),

    // --- variables of the container
    (SQS, &[("queueURL", GONE), ("queueURLFromEnv", "")], "queueURLFromEnv", "is not the name of an environment variable"),
    (SQS, &[("queueURL", GONE), ("queueURLFromEnv", "https://sqs.eu-central-1.amazonaws.com/1/a")], "queueURLFromEnv", "or the value itself as queueURL"),
    (SQS, &[("maxReplicas", GONE), ("maxReplicasFromEnv", "50")], "maxReplicasFromEnv", "is not the name of an environment variable"),
    (SQS, &[("targetWait", GONE), ("targetWaitFromEnv", "$WAIT")], "targetWaitFromEnv", "is not the name of an environment variable"),

    // --- keys that are not ours
    (SQS, &[("queueUrl", QUEUE)], "queueUrl", "did you mean queueURL?"),
    (SQS, &[("queue_url", QUEUE)], "queue_url", "did you mean queueURL?"),
    (SQS, &[("targetwait", "5m")], "targetwait", "did you mean targetWait?"),
    (SQS, &[("tragetWait", "5m")], "tragetWait", "did you mean targetWait?"),
    (SQS, &[("cutoffs", "x")], "cutoffs", "did you mean cutOffs?"),
    (SQS, &[("timezone", "UTC")], "timezone", "did you mean timeZone?"),
    (SQS, &[("maxReplica", "5")], "maxReplica", "did you mean maxReplicas?"),
    (SQS, &[("nodeLead", "5")], "nodeLead", "did you mean nodeLeadTime?"),
    (SQS, &[("awsEndPointt", "x")], "awsEndPointt", "did you mean awsEndpoint?"),
    (SQS, &[("targetWaitFromENV", "WAIT")], "targetWaitFromENV", "did you mean targetWaitFromEnv?"),
    (SQS, &[("serviceRates", "5")], "serviceRates", "did you mean serviceRate?"),
    (SQS, &[("queueUrlFromEnv", "Q")], "queueUrlFromEnv", "did you mean queueURLFromEnv?"),
    (SQS, &[("colour", "blue")], "colour", "is not a key of peakscaler; docs/metadata.md lists them"),
    (SQS, &[("", "x")], "", "is not a key of peakscaler"),
    (SQS, &[("queueLength", "5")], "queueLength", "write targetWait, and serviceRate"),
    (SQS, &[("threshold", "5")], "threshold", "write targetWait"),
    (SQS, &[("query", "up")], "query", "write backlogQuery or arrivalQuery"),
    (SQS, &[("serverAddress", "http://p:9090")], "serverAddress", "write prometheusServerAddress"),
    (SQS, &[("maxReplicaCount", "5")], "maxReplicaCount", "write maxReplicas here"),
    (SQS, &[("minReplicaCount", "5")], "minReplicaCount", "write minReplicas here"),
    (SQS, &[("pollingInterval", "5")], "pollingInterval", "belongs to the ScaledObject's spec"),
    (SQS, &[("cooldownPeriod", "5")], "cooldownPeriod", "write holdDown here"),
    (SQS, &[("metricType", "Value")], "metricType", "belongs to the trigger"),
    (SQS, &[("awsSecretAccessKeyFromEnv", "SECRET")], "awsSecretAccessKeyFromEnv", "is a credential"),
    (SQS, &[("identityOwner", "operator")], "identityOwner", "its own identity"),
    (SQS, &[("scalerAdress", "peakscaler:8080")], "scalerAdress", "did you mean scalerAddress?"),
    (SQS, &[("activationThreshold", "1")], "activationThreshold", "write activationQueueLength"),
];

#[test]
fn two_hundred_mistakes_are_named() {
    assert!(BAD.len() >= 200, "{} rows", BAD.len());
    let mut failures = Vec::new();
    for (base, changes, key, part) in BAD {
        let metadata = laid_over(base, changes);
        let problems = Trigger::parse(&metadata, Origin::File).err().unwrap_or_default();
        let named = problems.iter().any(|problem| problem.key == *key && problem.to_string().contains(part));
        if !named {
            let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
            failures.push(format!("{changes:?}\n   wanted {key}: …{part}…\n   got    {said:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn rows_differ() {
    for (position, row) in BAD.iter().enumerate() {
        assert!(BAD[..position].iter().all(|other| other != row), "{row:?}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let metadata = laid_over(
        SQS,
        &[("targetWait", "5 minutes"), ("maxReplicas", "many"), ("cutOffs", "DPD"), ("colour", "blue"), ("mode", "x")],
    );
    let problems = Trigger::parse(&metadata, Origin::File).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["colour", "cutOffs", "maxReplicas", "mode", "targetWait"]);
}

#[test]
fn a_message_can_not_forge_a_line() {
    let metadata = BTreeMap::from([("evil\nkey", "x"), ("targetWait", "1\nINFO all is well")]);
    for problem in Trigger::parse(&metadata, Origin::File).unwrap_err() {
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
    let long = "9".repeat(100_000);
    for value in [
        long.clone(),
        format!("{long} Mon 14:00+45m"),
        format!("DPD {long} 14:00+45m"),
        format!("DPD Mon {long}:00+45m"),
        format!("DPD Mon 14:00+{long}m; {long}"),
        format!("DPD 14:00+{long}m"),
        format!("arn:aws:sqs:eu-west-1:1:{long},{long}"),
        format!("arn:aws:sqs:eu-west-1:1:{long}"),
    ] {
        let all_keys = KEYS.iter().map(|definition| definition.name).chain([value.as_str()]);
        let problems = Trigger::parse(all_keys.map(|key| (key, value.as_str())), Origin::File).unwrap_err();
        for problem in problems {
            assert!(problem.to_string().chars().count() < 700, "{problem}");
        }
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let (trigger, warnings) = Trigger::parse(SQS.iter().copied(), Origin::Request).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(trigger.policy, Policy { max_replicas: 50, ..Policy::default() });
    assert_eq!(trigger.aws_region.as_deref(), Some("eu-central-1"));
    assert_eq!(trigger.throughput, ThroughputSource::CloudWatch);
    assert_eq!(trigger.mode, Mode::Act);
}

#[test]
fn a_request_carries_resolved_variables_and_keda_s_own_keys() {
    let metadata = BTreeMap::from([
        ("queueURLFromEnv", QUEUE),
        ("targetWaitFromEnv", " 90s "),
        ("maxReplicas", "5"),
        ("scalerAddress", "peakscaler.peakscaler:8080"),
        ("caCert", "-----BEGIN CERTIFICATE-----"),
        ("enableTLS", "true"),
        ("unsafeSsl", "false"),
        ("tlsClientCert", "x"),
        ("keyOfALaterVersion", "x"),
    ]);
    let (trigger, warnings) = Trigger::parse(&metadata, Origin::Request).unwrap();
    assert_eq!(trigger.backlog, BacklogSource::Sqs(vec![QUEUE.to_owned()]));
    assert_eq!(trigger.policy.target_wait_seconds, Some(90.0));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].key, "keyOfALaterVersion");
    let wrong = Trigger::parse([("queueURLFromEnv", "orders"), ("targetWait", "5m")], Origin::Request).unwrap_err();
    assert!(wrong[0].to_string().starts_with("queueURLFromEnv: \"orders\" is not"), "{}", wrong[0]);
    let missing = Trigger::parse([("targetWait", "5m")], Origin::Request).unwrap_err();
    assert!(missing[0].to_string().contains("KEDA drops queueURLFromEnv"), "{}", missing[0]);
}

#[test]
fn a_file_s_variables_stay_open() {
    let metadata = laid_over(SQS, &[("queueURL", GONE), ("queueURLFromEnv", "ORDERS_QUEUE_URL"), ("awsRegionFromEnv", "AWS_REGION")]);
    let parsed = parse(&metadata, Origin::File);
    let trigger = parsed.trigger.unwrap();
    assert_eq!(trigger.backlog, BacklogSource::Sqs(vec!["$(ORDERS_QUEUE_URL)".to_owned()]));
    assert_eq!(parsed.unresolved, [""; 0]);
    let metadata = laid_over(SQS, &[("maxReplicas", GONE), ("maxReplicasFromEnv", "MOST")]);
    assert_eq!(parse(&metadata, Origin::File).unresolved, ["maxReplicasFromEnv"]);
}

/// Doubts, which never stop a trigger: what is changed, the key, and what is said of it.
#[rustfmt::skip]
const DOUBTFUL: &[Bad] = &[
    (SQS, &[("cutOffs", "DPD daily 14:00+45m")], "cutOffs", "is read in UTC; write timeZone"),
    (SQS, &[("timeZone", "Europe/Prague")], "timeZone", "has no effect without cutOffs"),
    (SQS, &[("targetWait", "20s")], "targetWait", "is shorter than podLeadTime 30s"),
    (SQS, &[("cutOffs", "DPD daily 14:00+1m"), ("timeZone", "UTC"), ("podLeadTime", "2m")], "cutOffs", "a window of 1m, shorter than podLeadTime 2m"),
    (SQS, &[("minReplicas", "50")], "minReplicas", "the number of workers never changes"),
    (SQS, &[("staleAfter", "20s")], "staleAfter", "one reading that comes late"),
    (SQS, &[("prometheusServerAddress", "http://p:9090")], "prometheusServerAddress", "has no effect without a query"),
    (SQS, &[("prometheusTenant", "x")], "prometheusTenant", "has no effect without prometheusServerAddress"),
    (SQS, &[("minReplicas", "10"), ("serviceRate", "10"), ("throughputLimit", "600")], "throughputLimit", "less than the 10 workers of minReplicas"),
    (SQS, &[("queueURL", "http://localhost:9324/000000000000/orders"), ("awsRegion", "eu-west-1")], "queueURL", "write the queue's server as awsEndpoint too"),
    (PROM, &[("awsRegion", "eu-west-1")], "awsRegion", "has no effect with backlogQuery"),
    (PROM, &[("scaleOnDelayed", "true")], "scaleOnDelayed", "has no effect with backlogQuery"),
];

#[test]
fn doubts_are_named_and_do_not_stop() {
    for (base, changes, key, part) in DOUBTFUL {
        let (_, warnings) = Trigger::parse(laid_over(base, changes), Origin::File).unwrap();
        let named = warnings.iter().any(|warning| warning.key == *key && warning.to_string().contains(part));
        assert!(named, "{changes:?}: {warnings:?}");
    }
}

/// Metadata that are right, with all there is.
#[rustfmt::skip]
const GOOD: &[(Pairs, Pairs)] = &[
    (SQS, &[]),
    (PROM, &[]),
    (PROM, &[("arrivalQuery", GONE)]),
    (PROM, &[("completionQuery", "sum(rate(x{a=\"(\"}[2m]))"), ("replicasQuery", "sum(up)"), ("prometheusTenant", "a|b")]),
    (SQS, &[("throughputSource", "queue"), ("mode", "advise"), ("forecast", "False")]),
    (SQS, &[("targetWait", GONE), ("cutOffs", "DPD Fri-Mon 14:00+45m; PPL Express Mon,Wed 17:30+1h30m;"), ("timeZone", "europe/prague")]),
    (SQS, &[("queueURL", "https://sqs.eu-west-1.amazonaws.com/123456789012/a.fifo, https://sqs.eu-west-1.amazonaws.com/123456789012/b"), ("awsRoleArn", "arn:aws:iam::123456789012:role/path/reader")]),
    (SQS, &[("queueURL", "http://127.0.0.1:9324/000000000000/orders"), ("awsRegion", "eu-west-1"), ("awsEndpoint", "http://127.0.0.1:9324")]),
    (SQS, &[("serviceRate", "12.5"), ("rampUp", "60"), ("throughputLimit", "7200"), ("holdDown", "0"), ("activationQueueLength", "5"), ("podLeadTime", "45.5s"), ("nodeLeadTime", "1m40s"), ("staleAfter", "1h0m1s")]),
    (SQS, &[("nodePool", "spot"), ("capacityBuffer", "pickers-ahead"), ("minReplicas", "2"), ("scaleOnInFlight", "0"), ("scaleOnDelayed", "T")]),
    (SQS, &[("placeholder", "pause.pods")]),
];

#[test]
fn what_is_right_comes_through_and_back() {
    for (base, changes) in GOOD {
        let metadata = laid_over(base, changes);
        let (trigger, _) = Trigger::parse(&metadata, Origin::Request).unwrap_or_else(|problems| panic!("{changes:?}: {problems:?}"));
        let (again, _) = Trigger::parse(trigger.metadata(), Origin::Request).unwrap();
        assert_eq!(trigger, again, "{changes:?}");
    }
    let (trigger, _) = Trigger::parse(laid_over(GOOD[8].0, GOOD[8].1), Origin::File).unwrap();
    assert_eq!(trigger.policy.service_rate, ServiceRate::PerMinute(12.5));
    assert!((trigger.policy.node_lead_seconds - 100.0).abs() < f64::EPSILON);
}

#[test]
fn every_default_of_the_table_is_the_policy_s() {
    let (trigger, _) = Trigger::parse(SQS.iter().copied(), Origin::File).unwrap();
    let policy = Policy { max_replicas: Policy::default().max_replicas, ..trigger.policy.clone() };
    assert_eq!(policy, Policy::default());
    let written = Trigger { policy, ..trigger }.metadata();
    for definition in KEYS {
        let (Fallback::Value(default), Some(value)) = (definition.default, written.get(definition.name)) else { continue };
        let mut spelled = laid_over(SQS, &[]);
        spelled.insert(definition.name.to_owned(), default.to_owned());
        let (with_default, _) = Trigger::parse(spelled, Origin::File).unwrap();
        assert_eq!(with_default.metadata().get(definition.name), Some(value), "{}", definition.name);
    }
}

#[test]
fn docs_metadata_md_is_generated() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metadata.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == render_metadata_docs(), "run: peakscaler docs metadata > docs/metadata.md");
}

/// A key: one of ours, with or without `FromEnv`, KEDA's, or anything.
fn any_key() -> impl Strategy<Value = String> {
    let ours = prop::sample::select(KEYS).prop_map(|definition| definition.name.to_owned());
    prop_oneof![
        6 => ours.clone(),
        1 => ours.prop_map(|name| format!("{name}FromEnv")),
        1 => "\\PC{0,20}",
    ]
}

/// A value: right for some key, nearly right, or anything.
fn any_value() -> impl Strategy<Value = String> {
    let examples: Vec<String> = KEYS.iter().map(|definition| definition.example.to_owned()).collect();
    prop_oneof![
        3 => prop::sample::select(examples),
        2 => "[0-9a-zA-Z.:+;,/ -]{0,24}",
        1 => "([0-9]{0,3}\\.?[0-9]{0,2}(h|m|s|ms|d| )){0,3}",
        1 => "([A-Z]{1,3} (Mon|Fri|Sun|daily)(-|,)?(Tue|Sat)? [0-9]{1,2}:[0-9]{2}\\+[0-9]{1,3}m;? ?){0,3}",
        1 => "\\PC{0,30}",
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn random_maps_never_panic(metadata in prop::collection::btree_map(any_key(), any_value(), 0..12)) {
        for origin in [Origin::File, Origin::Request] {
            let parsed = parse(&metadata, origin);
            prop_assert_eq!(parsed.trigger.is_some(), parsed.problems.is_empty());
            for problem in parsed.problems.iter().chain(&parsed.warnings) {
                prop_assert!(!problem.message.is_empty());
                prop_assert!(!problem.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn mutated_maps_never_panic_and_what_is_taken_comes_back(
        which in 0..GOOD.len(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<char>(), 0..4u8), 1..4),
    ) {
        let mut metadata: Vec<(String, String)> = laid_over(GOOD[which].0, GOOD[which].1).into_iter().collect();
        for (pair, place, character, kind) in mutations {
            let (key, value) = pair.get(&metadata).clone();
            let mut letters: Vec<char> = value.chars().collect();
            let at = place.index(letters.len() + 1);
            match kind {
                0 => letters.insert(at, character),
                1 if at < letters.len() => { letters.remove(at); }
                2 => letters.truncate(at),
                _ if at < letters.len() => letters.swap(at, 0),
                _ => {}
            }
            metadata.retain(|(other, _)| *other != key);
            metadata.push((key, letters.into_iter().collect()));
        }
        if let Ok((trigger, _)) = Trigger::parse(metadata, Origin::Request) {
            prop_assert!(trigger.policy.min_replicas <= trigger.policy.max_replicas);
            let (again, _) = Trigger::parse(trigger.metadata(), Origin::Request).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            prop_assert_eq!(trigger, again);
        }
    }

    #[test]
    fn random_files_never_panic(text in "([a-zA-Z&*<!?|>'\"#%@:,\\[\\]{}~-]|\n| |  |kind: ScaledObject\n|spec:\n|triggers:\n){0,60}") {
        for finding in peakscaler::trigger::review::review(&text) {
            prop_assert!(finding.line >= 1);
        }
    }
}
