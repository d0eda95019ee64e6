//! Amounts of resources: Kubernetes' quantities as plain numbers, and what pods ask for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

/// The resource that every pod takes one of.
pub const PODS: &str = "pods";

/// Amounts by resource, in the base unit of each: cores, bytes, pieces.
pub type Resources = BTreeMap<String, f64>;

/// A quantity in its base unit; `None` when the text is none.
pub fn parse(quantity: &str) -> Option<f64> {
    let text = quantity.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic() && !is_exponent(text, c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Pi" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Ei" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor).filter(|amount| amount.is_finite())
}

/// `12e6` and `12E6` have an exponent where `12E` has a suffix.
fn is_exponent(text: &str, letter: char) -> bool {
    matches!(letter, 'e' | 'E')
        && text.split_once(letter).is_some_and(|(_, rest)| {
            !rest.is_empty() && rest.trim_start_matches(['+', '-']).parse::<u16>().is_ok()
        })
}

/// The amounts of a JSON object such as `status.capacity`; what is no quantity is left out.
pub fn of_json(amounts: &Value) -> Resources {
    let entry = |(name, amount): (&String, &Value)| {
        let amount = amount.as_str().map_or_else(|| amount.as_f64(), parse);
        amount.map(|amount| (name.clone(), amount))
    };
    amounts.as_object().into_iter().flatten().filter_map(entry).collect()
}

/// The amounts of a typed resource list.
pub fn of_list(list: &BTreeMap<String, Quantity>) -> Resources {
    list.iter().filter_map(|(name, quantity)| Some((name.clone(), parse(&quantity.0)?))).collect()
}

/// What the scheduler reckons for a pod: the containers and sidecars together, or what an init container
/// needs while it runs, whichever is more; and the overhead of its runtime class.
pub fn requested_by(spec: &PodSpec) -> Resources {
    // Where a container sets a limit alone, Kubernetes asks for as much.
    let mut total = total(spec, |resources| {
        let mut asked = limits(resources);
        asked.extend(requests(resources));
        asked
    });
    // Requests of the pod as a whole stand above those of its containers.
    total.extend(requests(spec.resources.as_ref()));
    add(&mut total, &spec.overhead.as_ref().map(of_list).unwrap_or_default());
    total.insert(PODS.to_owned(), 1.0);
    total
}

/// What a pod may take at most, where its containers say so; reckoned as [`requested_by`] does. Overhead counts where
/// there is a limit.
pub fn limited_by(spec: &PodSpec) -> Resources {
    let mut total = total(spec, limits);
    total.extend(limits(spec.resources.as_ref()));
    for (name, amount) in spec.overhead.as_ref().map(of_list).unwrap_or_default() {
        total.entry(name).and_modify(|limit| *limit += amount);
    }
    total
}

/// The containers and sidecars together, or what an init container needs while it runs, whichever is more.
fn total(spec: &PodSpec, of: impl Fn(Option<&ResourceRequirements>) -> Resources) -> Resources {
    let mut total = Resources::new();
    for container in &spec.containers {
        add(&mut total, &of(container.resources.as_ref()));
    }
    let mut sidecars = Resources::new();
    let mut most = Resources::new();
    for container in spec.init_containers.iter().flatten() {
        let mut needed = of(container.resources.as_ref());
        if is_sidecar(container) {
            add(&mut sidecars, &needed);
            needed.clone_from(&sidecars);
        } else {
            add(&mut needed, &sidecars);
        }
        raise(&mut most, &needed);
    }
    add(&mut total, &sidecars);
    raise(&mut total, &most);
    total
}

/// `left += right`.
pub fn add(left: &mut Resources, right: &Resources) {
    for (name, amount) in right {
        *left.entry(name.clone()).or_default() += amount;
    }
}

/// How many pods of `request` fit into `room`. Room that says nothing of a count of pods has no bound on it.
pub fn fitting(room: &Resources, request: &Resources) -> u32 {
    let of_one = request.iter().filter(|(_, amount)| **amount > 0.0).map(|(name, amount)| {
        let left = room.get(name).copied().unwrap_or(if name == PODS { f64::INFINITY } else { 0.0 });
        // A thousandth: sums of decimal fractions must not cost a pod.
        (left / amount + 1e-3).floor().max(0.0)
    });
    let least = of_one.fold(f64::INFINITY, f64::min);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, bounded here")]
    let count = least.min(100_000.0) as u32;
    count
}

/// A quotient of amounts as whole things: rounded down, none where it is negative. Sums of decimal fractions must not
/// cost one.
pub fn whole(quotient: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count; the cast saturates"
    )]
    let count = (quotient + 1e-9).floor().max(0.0) as u32;
    count
}

/// An amount as an operator writes it: `12`, `1.5` or `64Gi`.
pub fn display(resource: &str, amount: f64) -> String {
    let is_bytes = resource.contains("memory") || resource.contains("storage");
    let (amount, unit) = if is_bytes { (amount / (1024.0 * 1024.0 * 1024.0), "Gi") } else { (amount, "") };
    let rounded = (amount * 100.0).round() / 100.0;
    format!("{rounded}{unit}")
}

fn requests(resources: Option<&ResourceRequirements>) -> Resources {
    resources.and_then(|resources| resources.requests.as_ref()).map(of_list).unwrap_or_default()
}

fn limits(resources: Option<&ResourceRequirements>) -> Resources {
    resources.and_then(|resources| resources.limits.as_ref()).map(of_list).unwrap_or_default()
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn raise(left: &mut Resources, right: &Resources) {
    for (name, amount) in right {
        let known = left.entry(name.clone()).or_default();
        *known = known.max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, expected) in [
            ("1", Some(1.0)),
            ("250m", Some(0.25)),
            ("1.5", Some(1.5)),
            ("64Gi", Some(64.0 * 1024.0 * 1024.0 * 1024.0)),
            ("128974848", Some(128_974_848.0)),
            ("129e6", Some(129e6)),
            ("129E6", Some(129e6)),
            ("1E", Some(1e18)),
            ("123Mi", Some(123.0 * 1024.0 * 1024.0)),
            ("4k", Some(4000.0)),
            ("5Xi", None),
            ("", None),
            ("many", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_pod_asks_for_its_containers_or_its_largest_init_container() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}},
                {"name": "b", "resources": {"requests": {"cpu": "250m"}}},
            ],
            "initContainers": [
                {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
                {"name": "warm", "resources": {"requests": {"memory": "2Gi"}}},
            ],
            "overhead": {"cpu": "50m"},
        }))
        .unwrap();
        let asked = requested_by(&spec);
        assert!((asked["cpu"] - 0.9).abs() < 1e-9, "{asked:?}");
        assert!((asked["memory"] - 2.0 * 1024.0 * 1024.0 * 1024.0).abs() < 1.0);
        assert!((asked[PODS] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn limits_add_up_and_stand_for_requests_that_are_left_out() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Gi"}}},
                {"name": "b", "resources": {"limits": {"cpu": "250m"}}},
            ],
            "initContainers": [{"name": "warm", "resources": {"limits": {"cpu": "2"}}}],
            "overhead": {"cpu": "50m", "pods": "1"},
        }))
        .unwrap();
        let (asked, limits) = (requested_by(&spec), limited_by(&spec));
        assert!((limits["cpu"] - 2.05).abs() < 1e-9, "{limits:?}");
        assert!((asked["cpu"] - 2.05).abs() < 1e-9, "{asked:?}");
        assert!((asked["memory"] - limits["memory"]).abs() < 1.0);
        assert!(!limits.contains_key(PODS));
    }

    #[test]
    fn a_quotient_is_rounded_down() {
        for (quotient, expected) in
            [(0.0, 0), (2.9, 2), (0.3 / 0.1, 3), (-0.5, 0), (1e12, u32::MAX), (f64::INFINITY, u32::MAX)]
        {
            assert_eq!(whole(quotient), expected, "{quotient}");
        }
    }

    #[test]
    fn the_scarcest_resource_decides_what_fits() {
        let request = of_json(&json!({"cpu": "100m", "memory": "1Gi", "pods": 1}));
        for (room, expected) in [
            (json!({"cpu": "1", "memory": "64Gi", "pods": 110}), 10),
            (json!({"cpu": "4", "memory": "3Gi", "pods": 110}), 3),
            (json!({"cpu": "4", "memory": "64Gi", "pods": 2}), 2),
            (json!({"cpu": "4", "memory": "64Gi"}), 40),
            (json!({"cpu": "4", "pods": 9}), 0),
            (json!({"cpu": "300m", "memory": "64Gi", "pods": 9}), 3),
        ] {
            assert_eq!(fitting(&of_json(&room), &request), expected, "{room}");
        }
    }
}
