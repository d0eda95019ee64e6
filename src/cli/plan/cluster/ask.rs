//! What a plan asks the API server once, beside what it watches: by lists alone, so that `list` is all that a user must
//! be allowed for it.

use k8s_openapi::api::core::v1::{PodSpec, ResourceQuota};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use crate::core::demand::calendar::{Calendar, CalendarSpec};

/// Why an object cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("there is no {kind} {name}")]
    Missing { kind: String, name: String },
    #[error("the cluster knows no {kind} ({api_version}): it is not installed there")]
    NoSuchKind { kind: String, api_version: String },
    /// In the API server's words.
    #[error("{0}")]
    Refused(String),
    #[error("the API server cannot be asked")]
    Unreachable(#[source] kube::Error),
}

impl AskError {
    fn of(error: kube::Error, kind: &ApiResource) -> Self {
        let kube::Error::Api(status) = error else { return Self::Unreachable(error) };
        // A list that is empty, of whatever namespace, is no error.
        if status.code == 404 {
            return Self::NoSuchKind { kind: kind.kind.clone(), api_version: kind.api_version.clone() };
        }
        Self::Refused(status.message.clone())
    }
}

/// A kind by its group, version and name.
pub(super) fn kind(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn api(client: &Client, kind: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
        None => Api::all_with(client.clone(), kind),
    }
}

/// One object, of a namespace or of the cluster.
pub(super) async fn one(
    client: &Client,
    kind: &ApiResource,
    namespace: Option<&str>,
    name: &str,
) -> Result<DynamicObject, AskError> {
    let by_name = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = api(client, kind, namespace).list(&by_name).await;
    let found = found.map_err(|error| AskError::of(error, kind))?.items;
    found.into_iter().find(|object| object.name_any() == name).ok_or_else(|| {
        let name = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
        AskError::Missing { kind: kind.kind.clone(), name }
    })
}

/// How many objects of a kind of the cluster's have a label.
pub(super) async fn count(client: &Client, kind: &ApiResource, label: &str) -> Result<usize, AskError> {
    let found = api(client, kind, None).list_metadata(&ListParams::default().labels(label)).await;
    found.map(|found| found.items.len()).map_err(|error| AskError::of(error, kind))
}

/// The quotas of a namespace.
pub(super) async fn quotas(client: &Client, namespace: &str) -> Result<Vec<ResourceQuota>, AskError> {
    let api: Api<ResourceQuota> = Api::namespaced(client.clone(), namespace);
    let found = api.list(&ListParams::default()).await;
    found
        .map(|found| found.items)
        .map_err(|error| AskError::of(error, &ApiResource::erase::<ResourceQuota>(&())))
}

/// The priority class that pods get that name none.
pub(super) async fn default_priority_class(client: &Client) -> Result<Option<String>, AskError> {
    let api: Api<PriorityClass> = Api::all(client.clone());
    let found = api.list(&ListParams::default()).await;
    let found = found.map_err(|error| AskError::of(error, &ApiResource::erase::<PriorityClass>(&())))?;
    // Of several the lowest counts.
    let defaults = found.items.iter().filter(|class| class.global_default == Some(true));
    Ok(defaults.min_by_key(|class| class.value).map(PriorityClass::name_any))
}

/// The pods of what a ScaledObject scales, by its template, where it can be read.
pub(super) async fn pod_spec(client: &Client, scaled_object: &DynamicObject) -> Option<PodSpec> {
    let reference = &scaled_object.data["spec"]["scaleTargetRef"];
    let api_version = reference["apiVersion"].as_str().unwrap_or("apps/v1");
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let kind = kind(group, version, reference["kind"].as_str().unwrap_or("Deployment"));
    let namespace = scaled_object.namespace();
    let target = one(client, &kind, namespace.as_deref(), reference["name"].as_str()?).await.ok()?;
    serde_json::from_value(target.data["spec"]["template"]["spec"].clone()).ok()
}

/// All `PeakCalendar`s of the namespace that are in force, as one; `None` where there is none.
pub(super) async fn calendar(
    client: &Client,
    namespace: &str,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<CalendarSpec>> {
    let kind = kind("peakscaler.io", "v1alpha1", "PeakCalendar");
    let found = api(client, &kind, Some(namespace)).list(&ListParams::default()).await;
    let found = match found.map_err(|error| AskError::of(error, &kind)) {
        Ok(found) => found.items,
        Err(AskError::NoSuchKind { .. }) => return Ok(None),
        Err(error) => {
            let error = anyhow::Error::from(error);
            notes.push(format!("PeakCalendars cannot be read ({error:#}): --calendar counts"));
            return Ok(None);
        }
    };
    let mut joined: Option<CalendarSpec> = None;
    for object in found {
        match in_force(&object.data["spec"]) {
            Ok(spec) => joined = Some(join(joined, spec, namespace)?),
            Err(problem) => notes
                .push(format!("PeakCalendar {} is not in force, and left out: {problem}", object.name_any())),
        }
    }
    Ok(joined)
}

/// A calendar's document, unless something in it is wrong.
fn in_force(spec: &Value) -> Result<CalendarSpec, String> {
    let mut spec: CalendarSpec = serde_json::from_value(spec.clone()).map_err(|error| error.to_string())?;
    Calendar::new(&spec).map_err(|problems| problems[0].to_string())?;
    spec.time_zone.get_or_insert_with(|| "UTC".to_owned());
    Ok(spec)
}

fn join(all: Option<CalendarSpec>, more: CalendarSpec, namespace: &str) -> anyhow::Result<CalendarSpec> {
    let Some(mut all) = all else { return Ok(more) };
    anyhow::ensure!(
        all.time_zone == more.time_zone,
        "the PeakCalendars of {namespace} are in several time zones: give one file by --calendar"
    );
    all.peaks.extend(more.peaks);
    all.closures.extend(more.closures);
    all.holidays.extend(more.holidays);
    all.public_holidays.extend(more.public_holidays);
    all.cut_offs.extend(more.cut_offs);
    Ok(all)
}
