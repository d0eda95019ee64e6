//! `PeakCalendar` as a custom resource: its definition, generated from the document's types, and its
//! status.
//!
//! `manifests/peakcalendar.yaml` is what [`definition`] gives (`peakscaler docs peak-calendar`); a test
//! holds the two together. The API server checks shapes, bounds and what entries must not say
//! together; what it cannot check (time zones, dates that do not exist) is told in the status.

#![expect(clippy::duplicated_attributes, reason = "each printed column has a name, a type and a path")]

use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::demand::calendar::{CalendarSpec, WEEKDAYS, known_countries};

/// What people know of the days ahead: peaks, closures, holidays and cut-offs of single dates. It
/// counts for the workloads of its own namespace.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "peakscaler.io",
    version = "v1alpha1",
    kind = "PeakCalendar",
    plural = "peakcalendars",
    shortname = "peaks",
    namespaced,
    derive = "PartialEq",
    status = "CalendarStatus",
    printcolumn(
        name = "Valid",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Valid\")].status"
    ),
    printcolumn(name = "Workloads", type_ = "integer", json_path = ".status.workloadCount"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.next.name"),
    printcolumn(name = "From", type_ = "date", json_path = ".status.next.from", priority = 1),
    printcolumn(name = "Adds", type_ = "integer", json_path = ".status.next.addedOrders"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(transparent)]
pub struct Spec(pub CalendarSpec);

/// What became of a calendar.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CalendarStatus {
    /// The generation that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Valid`: whether it is in force.
    pub conditions: Vec<Condition>,
    /// Everything that is wrong, by its place in the spec. A calendar with a problem is not in force.
    pub problems: Vec<String>,
    /// The ScaledObjects of the namespace that are observed, and planned with it.
    pub workloads: Vec<String>,
    /// How many.
    pub workload_count: i64,
    /// What each entry does, and each public holiday of the year ahead.
    pub entries: Vec<EntryStatus>,
    /// The entry that is on, or comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<EntryStatus>,
}

/// One condition, as Kubernetes writes them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// `Valid`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: String,
}

/// What one entry does to the orders of all workloads of the namespace together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EntryStatus {
    /// As in the spec.
    pub name: String,
    /// Start, ramps included.
    pub from: String,
    /// End, ramps included.
    pub to: String,
    /// Orders that this time ordinarily brings, where forecasts know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordinary_orders: Option<i64>,
    /// Orders that the entry adds to them, or takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_orders: Option<i64>,
    /// Times the ordinary that came, once it has passed: what to say next year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_uplift: Option<f64>,
}

/// Texts and lists are bounded: the API server refuses rules whose cost it cannot bound.
const MOST_ENTRIES: u64 = 500;
/// Of countries, and of holidays that are left out.
const MOST_NAMES: u64 = 50;
const MOMENT: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?)?$";
const DATE: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
const DURATION: &str = "^([0-9]+(\\\\.[0-9]+)?(h|m|s))+$";

/// A rule of the Common Expression Language, and what is said where it does not hold.
fn rule(expression: &str, message: &str) -> Value {
    json!({ "rule": expression, "message": message })
}

/// `from` and `to` of an entry.
fn span_rules() -> Vec<Value> {
    let moment = |key: &str| {
        rule(
            &format!("self.{key}.matches('{MOMENT}')"),
            &format!(
                "{key} must be a local date or date-time without offset, such as 2026-11-27 or 2026-11-27T08:00"
            ),
        )
    };
    vec![
        moment("from"),
        moment("to"),
        rule(
            "self.from.size() < 10 || self.to.size() < 10 || self.from.substring(0, 10) <= self.to.substring(0, 10)",
            "to must not be before from",
        ),
    ]
}

fn peak_rules() -> Vec<Value> {
    let mut rules = span_rules();
    rules.extend([
        rule(
            "[has(self.uplift), has(self.orders), has(self.ordersPerHour)].filter(given, given).size() == 1",
            "give exactly one of uplift (like 5), orders (like 20000) and ordersPerHour",
        ),
        rule(
            "!has(self.share) || has(self.by)",
            "share is the part of ordinary orders that is an e-shop's: name the e-shop in by",
        ),
        rule(
            "!has(self.by) || !has(self.uplift) || has(self.share)",
            "an uplift by one e-shop needs its share of ordinary orders, like 0.3",
        ),
        rule("!has(self.shape) || !has(self.ramp)", "a shape says how orders rise: leave ramp out"),
        rule(
            &format!("!has(self.ramp) || self.ramp.matches('{DURATION}')"),
            "ramp must be a duration such as 30m or 1h30m",
        ),
    ]);
    rules
}

fn holiday_rules() -> Vec<Value> {
    vec![rule(&format!("self.date.matches('{DATE}')"), "date must be a date such as 2026-12-24")]
}

/// A list of texts in the rules' language, in small letters: a name's case does not count.
fn list(texts: impl IntoIterator<Item = &'static str>) -> String {
    let texts = texts.into_iter().map(|text| Value::from(text.to_ascii_lowercase()).to_string());
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

/// Countries, and of each its holidays, in words that help.
fn public_holiday_rules() -> Vec<Value> {
    let countries = known_countries();
    let codes: Vec<&str> = countries.iter().map(|country| country.code).collect();
    let names = countries.iter().flat_map(|country| [country.code, country.name]);
    let mut rules = vec![
        rule(
            &format!("self.country.lowerAscii() in {}", list(names)),
            &format!("country must be one of {}", codes.join(", ")),
        ),
        rule("!has(self.uplift) || !has(self.like)", "keep one of uplift and like"),
        rule(
            &format!("!has(self.like) || self.like.lowerAscii() in {}", list(WEEKDAYS)),
            &format!("like must be a weekday: {}", WEEKDAYS.join(", ")),
        ),
    ];
    rules.extend(countries.iter().map(|country| {
        let holidays = list(country.holidays.iter().copied());
        rule(
            &format!(
                "!has(self.except) || !(self.country.lowerAscii() in {}) || self.except.all(name, name.lowerAscii() in {holidays})",
                list([country.code, country.name])
            ),
            &format!("except must name holidays of {}: {}", country.name, country.holidays.join(", ")),
        )
    }));
    rules
}

fn cut_off_rules() -> Vec<Value> {
    let none = "(has(self.none) && self.none)";
    vec![
        rule(&format!("self.date.matches('{DATE}')"), "date must be a date such as 2026-12-24"),
        rule(
            &format!("has(self.at) != {none}"),
            "give either at (a time of day like 12:00) or none: true (the carrier does not collect)",
        ),
        rule(
            "!has(self.at) || self.at.matches('^[0-9]{1,2}:[0-9]{2}$')",
            "at must be a time of day such as 12:00",
        ),
        rule("!has(self.within) || has(self.at)", "within goes with at"),
        rule(
            &format!("!has(self.within) || self.within.matches('{DURATION}')"),
            "within must be a duration such as 45m",
        ),
    ]
}

/// The definition, as JSON: generated from the types, with the bounds and rules of the entries.
///
/// # Panics
/// Never: the generated definition is an object with these lists.
pub fn definition() -> Value {
    let mut definition = serde_json::to_value(PeakCalendar::crd()).unwrap_or_default();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let Some(properties) = definition.pointer_mut(spec) else { return definition };
    bound_texts(properties);
    for (list, rules) in [
        ("peaks", peak_rules()),
        ("closures", span_rules()),
        ("holidays", holiday_rules()),
        ("publicHolidays", public_holiday_rules()),
        ("cutOffs", cut_off_rules()),
    ] {
        properties[list]["maxItems"] = MOST_ENTRIES.into();
        properties[list]["items"]["x-kubernetes-validations"] = rules.into();
        let fields = &mut properties[list]["items"]["properties"];
        for (field, least, most) in [
            ("uplift", 0.0, 100.0),
            ("confidence", 0.0, 1.0),
            ("share", 0.0, 1.0),
            ("orders", 0.0, 1e9),
            ("ordersPerHour", 0.0, 1e9),
        ] {
            if fields[field].is_object() {
                fields[field]["minimum"] = least.into();
                fields[field]["maximum"] = most.into();
            }
        }
    }
    let holidays = &mut properties["publicHolidays"];
    holidays["maxItems"] = MOST_NAMES.into();
    holidays["items"]["properties"]["except"]["maxItems"] = MOST_NAMES.into();
    let shape = &mut properties["peaks"]["items"]["properties"]["shape"];
    shape["minItems"] = 24.into();
    shape["maxItems"] = 24.into();
    shape["items"]["minimum"] = 0.0.into();
    definition
}

/// Every text is a name, a moment or a duration: a hundred characters at most, and not empty.
fn bound_texts(schema: &mut Value) {
    if schema["type"] == "string" {
        schema["maxLength"] = 100.into();
        schema["minLength"] = 1.into();
    }
    let parts = match schema {
        Value::Object(fields) => fields.values_mut().collect::<Vec<_>>(),
        Value::Array(items) => items.iter_mut().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    parts.into_iter().filter(|part| part.is_object() || part.is_array()).for_each(bound_texts);
}

/// The definition as a manifest.
///
/// # Errors
/// When it cannot be written as YAML.
pub fn manifest() -> Result<String, serde_saphyr::ser::Error> {
    let head = "# Generated from src/calendar/resource.rs by `peakscaler docs peak-calendar`: do not edit.\n";
    Ok(head.to_owned() + &serde_saphyr::to_string(&definition())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_what_the_types_say() {
        let file = std::fs::read_to_string("manifests/peakcalendar.yaml").unwrap_or_default();
        assert!(
            file == manifest().unwrap(),
            "run `peakscaler docs peak-calendar >manifests/peakcalendar.yaml`"
        );
    }

    #[test]
    fn the_definition_is_generated_with_rules_and_columns() {
        let definition = definition();
        let version = &definition["spec"]["versions"][0];
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        assert_eq!(columns[0]["name"], "Valid");
        assert_eq!(definition["spec"]["scope"], "Namespaced");
        assert!(version["subresources"]["status"].is_object());
        let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        for list in ["peaks", "closures", "holidays", "publicHolidays", "cutOffs"] {
            let items = &spec[list]["items"];
            assert!(
                items["x-kubernetes-validations"].as_array().is_some_and(|rules| !rules.is_empty()),
                "{list}"
            );
            assert!(items["properties"].is_object(), "{list}");
        }
        assert_eq!(spec["peaks"]["items"]["properties"]["uplift"]["maximum"], 100.0);
        assert_eq!(spec["timeZone"]["maxLength"], 100);
    }
}
