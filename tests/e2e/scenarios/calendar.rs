//! `PeakCalendar`s: refused in words, in force in their own namespace, and told what became of them.

use anyhow::{Context as _, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;
use serde_json::{Value, json};

use crate::support::objects::{ScaledObject, workers};
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::until;

/// A `PeakCalendar`.
pub(super) fn calendar(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "peakscaler.io/v1alpha1", "kind": "PeakCalendar",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    refused(scene).await?;

    let queue = Queue::create(&scene.cluster, "calendar").await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let replica = scaler.replicas().into_iter().next().context("one replica")?;
    scene.cluster.apply(&[workers(&scene.namespace, "pickers")]).await?;
    let object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .bounds(0, 500)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("serviceRate", "6"), ("maxReplicas", "500"), ("targetWait", "5m")]);
    scene.cluster.apply(&[object.0]).await?;
    scene.until_answered(&scaler, &replica, "pickers").await?;
    let before = scaler.explain(&replica, &scene.namespace, "pickers").await?;
    scene.figure("replicas without a calendar", before["desired"].clone(), "");

    // 36,000 orders an hour from two minutes on: 100 workers of six orders a minute.
    let local = |minutes: i64| {
        let at: Timestamp = Clock::real().now() + SignedDuration::from_mins(minutes);
        at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    };
    let peak = json!({"name": "Sale", "from": local(2), "to": local(62), "ordersPerHour": 36_000});
    let other = format!("{}-other", scene.namespace);
    scene.grant(&other).await?;
    let closure = json!({"closures": [{"name": "Theirs", "from": local(-60), "to": local(600)}]});
    scene.cluster.apply(&[calendar(&other, "theirs", &closure)]).await?;
    scene.cluster.apply(&[calendar(&scene.namespace, "season", &json!({"peaks": [peak]}))]).await?;
    let applied = scene.seconds();
    let foreseen = until("the peak is planned for", PATIENCE, async || {
        let explained = scaler.explain(&replica, &scene.namespace, "pickers").await?;
        let decision = explained["decision"].clone();
        Ok((decision["calendar"][0]["replicas"].as_i64() > Some(50)).then_some(decision))
    });
    let foreseen = foreseen.await?;
    scene.figure("planned for after", scene.seconds() - applied, "s");
    scene.figure("replicas that the entry adds", foreseen["calendar"][0]["replicas"].clone(), "");
    scene.figure("replicas wanted", foreseen["desired"].clone(), "");
    let names: Vec<&Value> =
        foreseen["calendar"].as_array().into_iter().flatten().map(|part| &part["name"]).collect();
    ensure!(names == [&json!("Sale")], "another namespace's entry counts: {names:?}");

    let status = until_status(scene, "season", "True").await?;
    ensure!(status["workloads"] == json!(["pickers"]), "workloads: {}", status["workloads"]);
    ensure!(status["next"]["name"] == "Sale", "next: {}", status["next"]);
    ensure!(status["next"]["addedOrders"] == 36_000, "next: {}", status["next"]);
    let shown = scene.cluster.kubectl(&["get", "peakcalendars", "-n", &scene.namespace]).await?;
    scene.tell(shown.lines().collect::<Vec<_>>().join(" | "));

    // What the API server cannot see is told, and changes nothing for the others.
    let unknown_zone = json!({"timeZone": "Europe/Atlantis", "closures": [{"name": "a", "from": local(-60), "to": local(600)}]});
    scene.cluster.apply(&[calendar(&scene.namespace, "wrong", &unknown_zone)]).await?;
    let status = until_status(scene, "wrong", "False").await?;
    scene.figure("a wrong zone is told as", status["problems"][0].clone(), "");
    ensure!(status["problems"][0].as_str().is_some_and(|problem| problem.contains("Europe/Atlantis")));
    let now = scaler.explain(&replica, &scene.namespace, "pickers").await?;
    ensure!(now["decision"]["calendar"][0]["name"] == "Sale", "{}", now["decision"]["calendar"]);

    scene.cluster.kubectl(&["delete", "peakcalendar", "season", "-n", &scene.namespace]).await?;
    until("the peak is forgotten", PATIENCE, async || {
        let explained = scaler.explain(&replica, &scene.namespace, "pickers").await?;
        Ok(explained["decision"]["calendar"].is_null().then_some(()))
    })
    .await?;
    scene.cluster.kubectl(&["delete", "namespace", &other, "--wait=false"]).await.map(|_| ())
}

/// Wrong objects, and what the API server says of each.
async fn refused(scene: &Scene) -> anyhow::Result<()> {
    let peak = |more: Value| {
        let mut peak = json!({"name": "a", "from": "2026-11-27", "to": "2026-11-28"});
        for (key, value) in more.as_object().into_iter().flatten() {
            peak[key] = value.clone();
        }
        json!({"peaks": [peak]})
    };
    let cases = [
        (peak(json!({})), "give exactly one of uplift (like 5), orders (like 20000) and ordersPerHour"),
        (peak(json!({"uplift": 2, "orders": 5})), "give exactly one of uplift"),
        (peak(json!({"uplift": 1000})), "less than or equal to 100"),
        (
            peak(json!({"uplift": 2, "from": "27.11.2026"})),
            "from must be a local date or date-time without offset",
        ),
        (peak(json!({"uplift": 2, "to": "2026-11-26"})), "to must not be before from"),
        (peak(json!({"uplift": 2, "by": "shoes"})), "needs its share of ordinary orders"),
        (peak(json!({"uplift": 2, "ramp": "soon"})), "ramp must be a duration such as 30m"),
        (peak(json!({"uplift": 2, "confidence": 80})), "less than or equal to 1"),
        (peak(json!({"uplift": 2, "shape": [1, 2]})), "24 items"),
        (
            json!({"cutOffs": [{"carrier": "DPD", "date": "2026-12-24"}]}),
            "give either at (a time of day like 12:00) or none: true",
        ),
        (json!({"publicHolidays": [{"country": "Atlantis"}]}), "country must be one of AT, AU"),
        (json!({"publicHolidays": [{"country": "CZ", "like": "Someday"}]}), "like must be a weekday: Mon"),
        (
            json!({"publicHolidays": [{"country": "Czechia", "except": ["Easter"]}]}),
            "except must name holidays of Czechia: Nový rok",
        ),
        (json!({"holidays": [{"name": "a", "date": "tomorrow"}]}), "date must be a date such as 2026-12-24"),
        (json!({"peeks": []}), "peeks"),
    ];
    for (spec, words) in &cases {
        match scene.cluster.apply(&[calendar(&scene.namespace, "refused", spec)]).await {
            Ok(()) => bail!("{spec} was taken"),
            Err(error) => ensure!(error.to_string().contains(words), "{spec}: {words:?} is not in {error}"),
        }
    }
    scene.figure("wrong objects refused with the reason", cases.len(), "");
    Ok(())
}

/// The status of a calendar once its condition `Valid` says so.
async fn until_status(scene: &Scene, name: &str, wanted: &str) -> anyhow::Result<Value> {
    let look = async || {
        let arguments = ["get", "peakcalendar", name, "-n", &scene.namespace, "-o", "json"];
        let object: Value = serde_json::from_str(&scene.cluster.kubectl(&arguments).await?)?;
        let is_told = object["status"]["conditions"][0]["status"] == wanted;
        Ok(is_told.then(|| object["status"].clone()))
    };
    until(&format!("{name}: Valid is {wanted}"), PATIENCE, look).await
}
