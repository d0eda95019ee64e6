//! `spec.advanced.horizontalPodAutoscalerConfig.behavior`, laid over Kubernetes' defaults.

use super::read::Reader;
use crate::replay::world::hpa::{Behavior, LimitKind, RateLimit, Rules, Select};
use crate::trigger::yaml::Node;

const PATH: [&str; 4] = ["spec", "advanced", "horizontalPodAutoscalerConfig", "behavior"];

pub(super) fn behavior(object: &Node, reader: &mut Reader) -> Behavior {
    let mut behavior = Behavior::kubernetes_default();
    let Some(node) = object.path(&PATH) else { return behavior };
    reader.only_keys(node, &PATH.join("."), &["scaleUp", "scaleDown"]);
    if let Some(node) = node.get("scaleUp") {
        rules(node, "scaleUp", &mut behavior.up, reader);
    }
    if let Some(node) = node.get("scaleDown") {
        rules(node, "scaleDown", &mut behavior.down, reader);
    }
    behavior
}

fn rules(node: &Node, side: &str, rules: &mut Rules, reader: &mut Reader) {
    let keys = ["tolerance", "stabilizationWindowSeconds", "selectPolicy", "policies"];
    reader.only_keys(node, &format!("behavior.{side}"), &keys);
    if let Some(value) = node.get("tolerance") {
        match value.text().and_then(quantity) {
            Some(tolerance) => rules.tolerance = tolerance,
            None => reader.wrong(value, "tolerance", "a quantity of 0 or above, such as \"0\" or \"0.1\""),
        }
    }
    if let Some(value) = node.get("stabilizationWindowSeconds") {
        match value.integer().filter(|seconds| (0..=3600).contains(seconds)) {
            Some(seconds) => rules.stabilization_seconds = seconds as f64,
            None => match value.quoted_number(0) {
                Some(quoted) => reader.problem(value, format!("stabilizationWindowSeconds: {quoted}")),
                None => reader.wrong(value, "stabilizationWindowSeconds", "0 to 3600"),
            },
        }
    }
    if let Some(value) = node.get("selectPolicy") {
        match value.text() {
            Some("Max") => rules.select = Select::Max,
            Some("Min") => rules.select = Select::Min,
            Some("Disabled") => rules.select = Select::Disabled,
            _ => reader.wrong(value, "selectPolicy", "Max, Min or Disabled"),
        }
    }
    if let Some(policies) = node.get("policies").map(Node::items).filter(|policies| !policies.is_empty()) {
        rules.limits = policies.iter().filter_map(|policy| limit(policy, reader)).collect();
    }
}

fn limit(node: &Node, reader: &mut Reader) -> Option<RateLimit> {
    let kind = match node.get("type").and_then(Node::text) {
        Some("Pods") => Some(LimitKind::Pods),
        Some("Percent") => Some(LimitKind::Percent),
        _ => None,
    };
    let positive = |key: &str| node.get(key).and_then(Node::integer).filter(|value| *value > 0);
    let value = positive("value").and_then(|value| u32::try_from(value).ok());
    let period = positive("periodSeconds").filter(|seconds| *seconds <= 1800);
    if let (Some(kind), Some(value), Some(period)) = (kind, value, period) {
        return Some(RateLimit { kind, value, period_seconds: period as f64 });
    }
    for key in ["value", "periodSeconds"] {
        if let Some(quoted) = node.get(key).and_then(|value| value.quoted_number(1)) {
            reader.problem(node, format!("{key}: {quoted}"));
            return None;
        }
    }
    reader.problem(
        node,
        "policies: an entry needs type (Pods or Percent), value (above 0) and periodSeconds (1 to 1800)",
    );
    None
}

/// A Kubernetes quantity without a unit, or in thousandths.
fn quantity(text: &str) -> Option<f64> {
    let number = match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<f64>().ok()? / 1000.0,
        None => text.parse().ok()?,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}
