//! Metadata edited: a valid edit is in force at the next poll, an invalid one is refused in words.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::support::objects::{POLL_SECONDS, ScaledObject, workers};
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;
use crate::support::until;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "edited").await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let replica = scaler.replicas().into_iter().next().context("one replica")?;
    let track = Track::start(scene, "pickers");
    scene.cluster.apply(&[workers(&scene.namespace, "pickers")]).await?;
    queue.send(300).await?;
    let base = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .bounds(0, 50)
        // Without it the HPA holds, and nothing else can be the reason.
        .spec("fallback", Value::Null)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("serviceRate", "6"), ("maxReplicas", "12")]);
    scene.cluster.apply(&[base.clone().ours(&[("targetWait", "5m")]).0]).await?;
    track.until("12 replicas", PATIENCE, |now| now.wanted == 12).await?;

    let edited = scene.seconds();
    scene.cluster.apply(&[base.clone().ours(&[("targetWait", "2m")]).0]).await?;
    let in_force = async || {
        let explained = scaler.explain(&replica, &scene.namespace, "pickers").await?;
        let wait = explained["policy"]["target_wait_seconds"].as_f64();
        Ok((wait == Some(120.0) && !explained["desired"].is_null()).then(|| scene.seconds()))
    };
    let in_force = until("targetWait 2m in force", PATIENCE, in_force).await?;
    scene.figure(
        format!("an edit is in force after (KEDA polls every {POLL_SECONDS} s)"),
        in_force - edited,
        "s",
    );

    scene.cluster.apply(&[base.clone().ours(&[("targetWait", "soon")]).0]).await?;
    let broken = scene.seconds();
    scene.tell("targetWait is edited to \"soon\"");
    let (place, message) = until("our message in the cluster", PATIENCE, async || told(scene).await).await?;
    scene.figure("our message is shown in", place, "");
    scene.figure("it says", message, "");
    let explained = scaler.explain(&replica, &scene.namespace, "pickers").await?;
    let last_good = &explained["last_good"]["desired"];
    scene.figure("the last good decision, in `explain`", last_good.clone(), "");
    ensure!(*last_good == json!(12), "last_good is {last_good}");

    scene.cluster.apply(&[base.ours(&[("targetWait", "5m")]).0]).await?;
    scene.until_answered(&scaler, &replica, "pickers").await?;
    let (most, least) = track.wanted_since(broken).context("samples")?;
    scene.figure("replicas meanwhile, least and most", format!("{least} and {most}"), "");
    ensure!((least, most) == (12, 12), "the replicas did not hold: {least} to {most}");
    Ok(())
}

/// Where the cluster shows our message, and what of it.
async fn told(scene: &Scene) -> anyhow::Result<Option<(String, String)>> {
    let scaled_object = scene.scaled_object("pickers").await?;
    let hpa = ["get", "hpa", "keda-hpa-pickers", "-n", &scene.namespace, "-o", "json"];
    let hpa: Value = serde_json::from_str(&scene.cluster.kubectl(&hpa).await?)?;
    let events = ["get", "events", "-n", &scene.namespace, "-o", "json"];
    let events: Value = serde_json::from_str(&scene.cluster.kubectl(&events).await?)?;
    let conditions = |object: &Value| object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut places = Vec::new();
    for condition in conditions(&scaled_object) {
        places.push((
            format!("the ScaledObject's condition {}", condition["type"]),
            condition["message"].clone(),
        ));
    }
    for condition in conditions(&hpa) {
        places.push((format!("the HPA's condition {}", condition["type"]), condition["message"].clone()));
    }
    for event in events["items"].as_array().into_iter().flatten() {
        places.push((
            format!("an event {} of the {}", event["reason"], event["involvedObject"]["kind"]),
            event["message"].clone(),
        ));
    }
    let found = places.into_iter().find_map(|(place, message)| {
        let message = message.as_str()?.to_owned();
        message.contains("targetWait").then(|| (place.replace('"', ""), message))
    });
    Ok(found)
}
