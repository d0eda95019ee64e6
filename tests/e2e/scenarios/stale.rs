//! The queue cannot be read any more: hold, then the `fallback` of the ScaledObject, then back to normal.

use anyhow::{Context as _, ensure};

use crate::support::gate::Gate;
use crate::support::objects::{ScaledObject, workers};
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;

const WANTED: i32 = 12;
/// `fallback.replicas` of the shipped example.
const FALLBACK: i32 = 20;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "stale").await?;
    let gate = Gate::to(scene.cluster.ports.sqs).await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let replica = scaler.replicas().into_iter().next().context("one replica")?;
    let track = Track::start(scene, "pickers");
    scene.cluster.apply(&[workers(&scene.namespace, "pickers")]).await?;
    // Nobody works: the orders stay, and so does the number, at the most that is allowed.
    queue.send(600).await?;
    let scaled_object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .bounds(0, 50)
        .reads(&scaler, &queue, gate.port())
        .ours(&[("targetWait", "2m"), ("serviceRate", "6"), ("maxReplicas", "12"), ("staleAfter", "30s")]);
    scene.cluster.apply(&[scaled_object.0]).await?;
    track.until("12 for the backlog", PATIENCE, |now| now.wanted == WANTED).await?;

    gate.shut();
    let shut = scene.seconds();
    scene.tell("SQS is gone");
    let fallback = track.until("the fallback", PATIENCE, |now| now.wanted == FALLBACK).await?;
    let (_, least) = track.wanted_since(shut).context("samples")?;
    scene.figure("least replicas while SQS was gone", least, "");
    scene.figure(
        "fallback took over after (staleAfter 30 s, three failed polls)",
        fallback.at_seconds - shut,
        "s",
    );
    ensure!(least >= WANTED, "the replicas went down to {least}");
    let explained = scaler.explain(&replica, &scene.namespace, "pickers").await?;
    let said = explained["error"].as_str().unwrap_or_default().to_owned();
    scene.figure("what KEDA was told", said.clone(), "");
    ensure!(said.contains("staleAfter"), "the error names staleAfter: {said:?}");

    gate.open();
    let opened = scene.seconds();
    scene.tell("SQS is back");
    scene.until_answered(&scaler, &replica, "pickers").await?;
    scene.figure("a number again after", scene.seconds() - opened, "s");
    scene.until_fallback("pickers", false).await?;
    scene.figure("KEDA out of its fallback after (two polls: 10 s)", scene.seconds() - opened, "s");
    let normal = track.until("12 again", PATIENCE, |now| now.wanted == WANTED).await?;
    scene.figure("replicas as before after (HPA syncs every 15 s)", normal.at_seconds - opened, "s");
    Ok(())
}
