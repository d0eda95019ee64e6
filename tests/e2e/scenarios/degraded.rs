//! The second shipped example: while our data is stale, KEDA's own SQS scaler decides.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::support::gate::Gate;
use crate::support::objects::{ScaledObject, keda_credentials, workers};
use crate::support::queue::Queue;
use crate::support::scaler::{Replica, Scaler};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;
use crate::support::until;

const OURS: i32 = 6;
const MESSAGES: usize = 60;
/// `sqs / 5` of the shipped formula.
const KEDAS: i32 = 12;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "degraded").await?;
    let gate = Gate::to(scene.cluster.ports.sqs).await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let replica = scaler.replicas().into_iter().next().context("one replica")?;
    let track = Track::start(scene, "packers");
    scene.cluster.apply(&keda_credentials(&scene.namespace)).await?;
    scene.cluster.apply(&[workers(&scene.namespace, "packers")]).await?;
    queue.send(MESSAGES).await?;
    let scaled_object =
        ScaledObject::shipped("scaledobject-with-sqs-fallback.yaml", &scene.namespace, "packers")?
            .reads(&scaler, &queue, gate.port())
            .ours(&[("minReplicas", "6"), ("maxReplicas", "6"), ("staleAfter", "20s")])
            .keda_reads(&queue, scene.cluster.ports.sqs);
    scene.cluster.apply(std::slice::from_ref(&scaled_object.0)).await?;
    track.until("our number", PATIENCE, |now| now.wanted == OURS).await?;

    gate.shut();
    let shut = scene.seconds();
    scene.tell("SQS is gone for peakscaler alone");
    let degraded = track.until("KEDA's own number", PATIENCE, |now| now.wanted == KEDAS).await?;
    let (_, least) = track.wanted_since(shut).context("samples")?;
    scene.figure("KEDA's own number (60 messages / 5) after", degraded.at_seconds - shut, "s");
    scene.figure("least replicas until then", least, "");
    ensure!(least >= OURS, "the replicas went down to {least}");
    gate.open();
    let opened = scene.seconds();
    let back = track.until("our number again", PATIENCE, |now| now.wanted == OURS).await?;
    scene.figure("our number again after", back.at_seconds - opened, "s");
    edited_while_away(scene, &scaler, &replica, scaled_object, &track).await
}

/// Whoever edits the ScaledObject while we cannot be asked takes our metric out of it: until the next edit.
async fn edited_while_away(
    scene: &Scene,
    scaler: &Scaler,
    replica: &Replica,
    scaled_object: ScaledObject,
    track: &Track,
) -> anyhow::Result<()> {
    scaler.kill(replica).await?;
    let edited = scaled_object.spec("cooldownPeriod", json!(21));
    let away = scene.seconds();
    scene.cluster.apply(std::slice::from_ref(&edited.0)).await?;
    let lost = async || Ok((ours_among(scene).await? == Some(false)).then_some(()));
    until("our metric is taken out of the ScaledObject", PATIENCE, lost).await?;
    scene.tell("edited while peakscaler was away: its metric is no longer asked for");
    scaler.start_again(replica).await?;
    let (_, least) = track.wanted_since(away).context("samples")?;
    scene.figure("least replicas over an edit while peakscaler was away", least, "");
    ensure!(least >= OURS, "the replicas went down to {least}");
    let back = scene.seconds();
    scene.cluster.apply(&[edited.spec("cooldownPeriod", json!(20)).0]).await?;
    let found = async || Ok((ours_among(scene).await? == Some(true)).then_some(()));
    until("the next edit takes our metric in again", PATIENCE, found).await?;
    scene.figure("asked for again, by the next edit, after", scene.seconds() - back, "s");
    track.until("our number", PATIENCE, |now| now.wanted == OURS).await?;
    Ok(())
}

/// Whether KEDA asks for our metric; it is not known before KEDA has looked.
async fn ours_among(scene: &Scene) -> anyhow::Result<Option<bool>> {
    let status = scene.scaled_object("packers").await?;
    let names = status["status"]["externalMetricNames"].as_array().cloned();
    Ok(names.map(|names| names.iter().filter_map(Value::as_str).any(|name| name.contains("peakscaler"))))
}
