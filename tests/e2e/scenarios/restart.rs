//! Our pods are replaced while the orders rise: as a rollout does, one after the other.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::support::scaler::{Replica, Scaler};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::shop::{PICKERS, Shop};
use crate::support::track::Track;
use crate::support::until;

const SERVICE_TIME: Duration = Duration::from_secs(2);
/// What is learned has taken effect when nothing went down for so long.
const SETTLED_SECONDS: f64 = 45.0;
/// Orders a second that one worker completes.
const TRUE_RATE: f64 = 0.5;
/// `minReadySeconds` of the shipped Deployment: KEDA knows a new replica before an old one goes.
const MIN_READY: Duration = Duration::from_secs(35);
const LONGEST: Duration = Duration::from_mins(10);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene, 2, SERVICE_TIME).await?;
    let keys = [("targetWait", "90s"), ("serviceRate", "learned"), ("holdDown", "60s")];
    shop.scale(scene, 60, &keys).await?;

    // The load only rises, so that nothing but the replacement could be a reason to go down.
    let load = shop.queue.send_for(LONGEST, |seconds| 2.0 + seconds / 75.0);
    tokio::select! {
        replaced = replace(scene, &shop.scaler, &shop.track) => replaced,
        sent = load => anyhow::bail!("not replaced while {} orders came", sent?),
    }
}

async fn replace(scene: &Scene, scaler: &Scaler, track: &Track) -> anyhow::Result<()> {
    let old = scaler.replicas();
    let first = old.first().context("two replicas")?;
    let learned = async || {
        let rate = rate(scene, scaler, first).await?;
        Ok(((rate / TRUE_RATE - 1.0).abs() < 0.25).then_some(rate))
    };
    // What was assumed of a worker nobody had seen was too low: it has to come down from that first.
    let settled = async || {
        let down = track.last_down();
        Ok((down > 0.0 && scene.seconds() - down > SETTLED_SECONDS).then_some(()))
    };
    let before = until("the rate of a worker is learned", PATIENCE, learned).await?;
    until("the number no longer goes down", PATIENCE, settled).await?;
    scene.figure("rate learned before (0.5 is true)", format!("{before:.3}"), "orders/s a worker");
    let began = scene.seconds();
    let wanted = track.last().context("samples")?.wanted;
    for replica in &old {
        scaler.add(scene).await?;
        scene.tell("a new replica is ready");
        tokio::time::sleep(MIN_READY).await;
        scaler.retire(replica).await?;
        scene.tell("an old one has gone");
    }
    let replaced = scene.seconds();
    let newest = scaler.replicas().into_iter().next_back().context("new replicas")?;
    let learned = async || {
        let rate = rate(scene, scaler, &newest).await?;
        Ok(((rate / TRUE_RATE - 1.0).abs() < 0.25).then_some(rate))
    };
    let after = until("the rate is there again", PATIENCE, learned).await?;
    scene.figure("the newest replica has the rate after", scene.seconds() - replaced, "s");
    scene.figure("rate after", format!("{after:.3}"), "orders/s a worker");
    let (most, least) = track.wanted_since(began).context("samples")?;
    scene.figure("replicas when it began", wanted, "");
    scene.figure("least and most replicas from then on", format!("{least} and {most}"), "");
    ensure!(least >= wanted, "it scaled down: {:?}", track.path());
    Ok(())
}

async fn rate(scene: &Scene, scaler: &Scaler, replica: &Replica) -> anyhow::Result<f64> {
    let explained = scaler.explain(replica, &scene.namespace, PICKERS).await?;
    explained["decision"]["service_rate"].as_f64().context("no decision yet")
}
