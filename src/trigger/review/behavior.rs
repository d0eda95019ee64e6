//! The HPA's behaviour: whatever it holds back, the plan did not reckon with.

use super::{Findings, Subject};
use crate::trigger::yaml::{Node, Place};

const PATH: [&str; 4] = ["spec", "advanced", "horizontalPodAutoscalerConfig", "behavior"];
/// The HPA's sync; a policy cannot act more often.
const SYNC_SECONDS: i64 = 15;
/// From a tenth of the peak to the peak in one step.
const WIDE_PERCENT: i64 = 900;
/// The HPA's own default when scaling down.
const DEFAULT_DOWN_WINDOW_SECONDS: i64 = 300;

pub(super) fn review(subject: &Subject<'_>, findings: &mut Findings) {
    for direction in ["scaleUp", "scaleDown"] {
        let side = Side::new(subject, direction);
        review_tolerance(&side, findings);
        review_window(&side, findings);
        review_selection(&side, findings);
    }
    review_up_policies(&Side::new(subject, "scaleUp"), subject, findings);
    review_down_policies(&Side::new(subject, "scaleDown"), findings);
}

/// One of the two directions.
struct Side<'a> {
    object: &'a Node,
    direction: &'a str,
}

impl<'a> Side<'a> {
    fn new(subject: &Subject<'a>, direction: &'a str) -> Self {
        Self { object: subject.object, direction }
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.object.path(&PATH)?.get(self.direction)?.get(key)
    }

    fn place(&self, key: &str) -> Place {
        let [a, b, c, d] = PATH;
        self.object.place_of(&[a, b, c, d, self.direction, key])
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{}.{key}", PATH.join("."), self.direction)
    }

    fn is_up(&self) -> bool {
        self.direction == "scaleUp"
    }
}

fn review_tolerance(side: &Side<'_>, findings: &mut Findings) {
    let key = side.key("tolerance");
    let message = match side.get("tolerance") {
        None => format!(
            "{key}: is missing, so the HPA ignores a change of up to 10 %: 100 workers stay 100 when 109 are wanted; write \"0\""
        ),
        Some(node) if is_zero(node.text().unwrap_or_default()) => return,
        Some(node) => {
            let text = node.text().unwrap_or_default();
            format!("{key}: {text:?} makes the HPA ignore changes smaller than that; write \"0\"")
        }
    };
    findings.error(side.place("tolerance"), message);
}

/// A Kubernetes quantity of nothing: `0`, `0.0`, `0m`.
fn is_zero(quantity: &str) -> bool {
    let number = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    number.parse::<f64>().is_ok_and(|number| number == 0.0)
}

fn review_window(side: &Side<'_>, findings: &mut Findings) {
    let key = side.key("stabilizationWindowSeconds");
    let place = side.place("stabilizationWindowSeconds");
    match (side.get("stabilizationWindowSeconds").map(|node| (node, node.integer())), side.is_up()) {
        (None, true) | (Some((_, Some(0))), _) => {}
        (None, false) => findings.warning(
            place,
            format!("{key}: is missing, so the HPA holds {DEFAULT_DOWN_WINDOW_SECONDS} s; write 0, as peakscaler holds by itself (holdDown)"),
        ),
        (Some((_, Some(seconds))), true) => {
            findings.error(place, format!("{key}: {seconds} holds every rise back that long, so orders are late; write 0"));
        }
        (Some((_, Some(seconds))), false) => {
            findings.warning(place, format!("{key}: {seconds} keeps workers longer than holdDown says; write 0"));
        }
        (Some((node, None)), _) => {
            let wrong = node.quoted_number(0).unwrap_or_else(|| {
                format!("{:?} is not a whole number of seconds; write 0", node.text().unwrap_or_default())
            });
            findings.error(place, format!("{key}: {wrong}"));
        }
    }
}

fn review_selection(side: &Side<'_>, findings: &mut Findings) {
    let key = side.key("selectPolicy");
    let place = side.place("selectPolicy");
    match (side.get("selectPolicy").and_then(Node::text), side.is_up()) {
        (None | Some("Max"), _) => {}
        (Some("Disabled"), true) => findings
            .error(place, format!("{key}: \"Disabled\" means that workers are never added; write Max")),
        (Some("Disabled"), false) => findings.warning(
            place,
            format!("{key}: \"Disabled\" means that workers are never taken away; write Max"),
        ),
        (Some("Min"), _) => {
            findings.warning(place, format!("{key}: \"Min\" takes the narrowest policy; write Max"));
        }
        (Some(other), _) => {
            findings.error(place, format!("{key}: {other:?} is not one of Max, Min, Disabled; write Max"));
        }
    }
}

fn review_up_policies(side: &Side<'_>, subject: &Subject<'_>, findings: &mut Findings) {
    let most = subject.count("maxReplicaCount").unwrap_or(100);
    let wide = |policy: &Node| {
        let value = policy.get("value").and_then(Node::integer).unwrap_or(0);
        match policy.get("type").and_then(Node::text) {
            Some("Pods") => value >= most,
            Some("Percent") => value >= WIDE_PERCENT,
            _ => false,
        }
    };
    let key = side.key("policies");
    let right =
        format!("write Pods {most} and Percent {WIDE_PERCENT}, each with periodSeconds {SYNC_SECONDS}");
    match side.get("policies").map(Node::items) {
        None => {
            let message = format!(
                "{key}: is missing, so the HPA adds at most 4 workers or 100 % each {SYNC_SECONDS} s, and a peak is reached late; {right}"
            );
            findings.warning(side.place("policies"), message);
        }
        Some(policies) => {
            review_each(policies, &key, findings);
            if !policies.iter().any(|policy| wide(policy) && period(policy) <= SYNC_SECONDS) {
                let message = format!("{key}: none is wide enough for a peak in one step; {right}");
                findings.warning(side.place("policies"), message);
            }
        }
    }
}

fn review_down_policies(side: &Side<'_>, findings: &mut Findings) {
    // Without policies the HPA may take everything away at once, which is what we want.
    let Some(policies) = side.get("policies").map(Node::items) else { return };
    let key = side.key("policies");
    review_each(policies, &key, findings);
    let wide = |policy: &Node| {
        policy.get("type").and_then(Node::text) == Some("Percent")
            && policy.get("value").and_then(Node::integer).is_some_and(|value| value >= 100)
            && period(policy) <= SYNC_SECONDS
    };
    if !policies.iter().any(wide) {
        let message = format!(
            "{key}: workers go more slowly than planned; write Percent 100 with periodSeconds {SYNC_SECONDS}"
        );
        findings.warning(side.place("policies"), message);
    }
}

fn review_each(policies: &[Node], key: &str, findings: &mut Findings) {
    for policy in policies {
        let sound = matches!(policy.get("type").and_then(Node::text), Some("Pods" | "Percent"))
            && policy.get("value").and_then(Node::integer).is_some_and(|value| value > 0)
            && (1..=1800).contains(&period(policy));
        if !sound {
            let message = format!(
                "{key}: an entry needs type (Pods or Percent), value (above 0) and periodSeconds (1 to 1800)"
            );
            findings.error(policy.place, message);
        }
    }
}

fn period(policy: &Node) -> i64 {
    policy.get("periodSeconds").and_then(Node::integer).unwrap_or(0)
}
