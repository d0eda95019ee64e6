//! The queue cannot be read any more: hold, then the `fallback` of the ScaledObject, then back to normal.

use anyhow::{Context as _, ensure};

use crate::support::scaler::Scaler;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::shop::{PICKERS, PILE_WANTS, Pile};

/// At the `pollingInterval` of the shipped example.
const TWO_POLLS_SECONDS: f64 = 60.0;
/// `fallback.replicas` of the shipped example.
const FALLBACK: i32 = 20;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let (pile, _) = Pile::heap(scene, scaler, |object| object.ours(&[("staleAfter", "30s")])).await?;
    let Pile { gate, scaler, replica, track, .. } = &pile;

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
    ensure!(least >= PILE_WANTS, "the replicas went down to {least}");
    let explained = scaler.explain(replica, &scene.namespace, PICKERS).await?;
    let said = explained["error"].as_str().unwrap_or_default().to_owned();
    scene.figure("what KEDA was told", said.clone(), "");
    ensure!(said.contains("staleAfter"), "the error names staleAfter: {said:?}");

    gate.open();
    let opened = scene.seconds();
    scene.tell("SQS is back");
    scene.until_answered(scaler, replica, PICKERS).await?;
    let answered = scene.seconds() - opened;
    scene.figure("a number again after", answered, "s");
    ensure!(answered <= TWO_POLLS_SECONDS, "it took {answered:.0} s");
    scene.until_fallback(PICKERS, false).await?;
    scene.figure("KEDA out of its fallback after", scene.seconds() - opened, "s");
    let normal = track.until("12 again", PATIENCE, |now| now.wanted == PILE_WANTS).await?;
    scene.figure("replicas as before after (HPA syncs every 15 s)", normal.at_seconds - opened, "s");
    Ok(())
}
