//! The document as it is written: a `PeakCalendar`, or its `spec` alone.
//!
//! Times, zones and durations are text here, so that one pass can name everything that is wrong
//! with them ([`super::Calendar::new`]).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The envelope, as of a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PeakCalendar {
    /// [`super::API_VERSION`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// [`super::KIND`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, labels and so on; not read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// What is known.
    #[serde(default)]
    pub spec: CalendarSpec,
}

/// What people know of the days ahead, and of days past.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CalendarSpec {
    /// IANA zone of all times that do not name their own; default `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Times with more, or fewer, orders than usual.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peaks: Vec<PeakSpec>,
    /// Times without orders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closures: Vec<ClosureSpec>,
    /// Days without orders, or with fewer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<HolidaySpec>,
    /// Public holidays of countries, in every year.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_holidays: Vec<PublicHolidaySpec>,
    /// Carriers that collect at another time on one date, or not at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cut_offs: Vec<CutOffSpec>,
}

/// One peak: exactly one of `uplift`, `orders` and `ordersPerHour`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PeakSpec {
    /// For tables and charts.
    pub name: String,
    /// Local date or date-time, included.
    pub from: String,
    /// Local date-time, excluded; or a date, which is included as a whole.
    pub to: String,
    /// IANA zone of `from`, `to` and `shape`, in place of the calendar's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Times what such a time ordinarily brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplift: Option<f64>,
    /// Orders promised from `from` to `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<f64>,
    /// The same as a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_per_hour: Option<f64>,
    /// The e-shop that it comes from; without it, all orders together are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The part of ordinary orders that is this e-shop's, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Weights of the 24 local hours of a day, in place of the ordinary shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<f64>>,
    /// Duration of a steady rise, and of a fall: around an uplift's time, within a promise's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<String>,
    /// How sure it is, 0 to 1; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// A time without orders.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClosureSpec {
    /// For tables and charts.
    pub name: String,
    /// Local date or date-time, included.
    pub from: String,
    /// Local date-time, excluded; or a date, which is included as a whole.
    pub to: String,
    /// How sure it is, 0 to 1; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// A day without orders, or with fewer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HolidaySpec {
    /// For tables and charts.
    pub name: String,
    /// The local date.
    pub date: String,
    /// Times what such a day ordinarily brings; without it the day is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplift: Option<f64>,
    /// How sure it is, 0 to 1; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// A country's public holidays: with `uplift`, with `like`, or as past ones were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PublicHolidaySpec {
    /// ISO 3166 code, like `CZ`.
    pub country: String,
    /// Names of holidays that are left out, in the country's language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Times what such a day ordinarily brings; 0 is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplift: Option<f64>,
    /// The weekday whose ordinary orders come instead, like `Sun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// How sure it is, 0 to 1; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// A carrier's cut-off of one date, in place of all that the workload's policy has for it then:
/// `at`, or `none: true`. In the workload's time zone, as its cut-offs are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CutOffSpec {
    /// The carrier's name in the policy.
    pub carrier: String,
    /// The date.
    pub date: String,
    /// Time of day, like `12:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// From the cut-off to the dispatch; default as on other days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// The carrier does not collect on that date.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub none: bool,
}
