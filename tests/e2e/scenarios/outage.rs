//! The API server is gone for a minute.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::support::objects::{ScaledObject, workers};
use crate::support::process;
use crate::support::queue::Queue;
use crate::support::scaler::{Replica, Scaler};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;
use crate::support::until;

const GONE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(500);
const WANTED: i32 = 12;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "outage").await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let replica = scaler.replicas().into_iter().next().context("one replica")?;
    let track = Track::start(scene, "pickers");
    scene.cluster.apply(&[workers(&scene.namespace, "pickers")]).await?;
    queue.send(600).await?;
    let scaled_object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .bounds(0, 50)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("targetWait", "2m"), ("serviceRate", "6"), ("maxReplicas", "12")]);
    scene.cluster.apply(std::slice::from_ref(&scaled_object.0)).await?;
    let before =
        track.until("12 replicas", PATIENCE, |now| now.wanted == WANTED && now.ready == WANTED).await?;

    process::kill(&scene.cluster.run, "apiserver").await?;
    scene.tell("the API server is killed");
    let (asked, failed, least) = ask(scene, &scaler, &replica, &scaled_object).await?;
    let said = cluster_error(scene, &scaler, &replica).await?;
    scene.figure("answers asked for while it was gone", asked, "");
    scene.figure("answers that failed", failed, "");
    scene.figure("least number answered", least, "");
    scene.figure("what `explain` said of the cluster", said.clone().unwrap_or_default(), "");
    ensure!(failed == 0, "{failed} of {asked} answers failed");
    ensure!(least >= i64::from(WANTED), "the number fell to {least}");
    ensure!(said.is_some(), "nobody is told that the cluster cannot be read");

    scene.cluster.start("apiserver")?;
    scene.cluster.answers().await?;
    scene.cluster.revive().await?;
    let back = scene.seconds();
    scene.tell("it is back");
    let well = async || Ok(cluster_error(scene, &scaler, &replica).await?.is_none().then(|| scene.seconds()));
    let well = until("our watches recover", PATIENCE, well).await?;
    scene.figure("our watches recovered after", well - back, "s");
    scene.is_polled("pickers").await?;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let after = track.last().context("samples")?;
    let edits = after.generation - before.generation;
    scene.figure("writes to the workers' scale from before until 30 s after", edits, "");
    ensure!(edits == 0, "it was written {edits} times: {before:?} to {after:?}");

    let edited = scene.seconds();
    scene.cluster.apply(&[scaled_object.ours(&[("maxReplicas", "14")]).0]).await?;
    let followed = track.until("14 replicas", PATIENCE, |now| now.wanted == 14).await?;
    scene.figure("a new number is followed after", followed.at_seconds - edited, "s");
    Ok(())
}

/// Asks all the while, as KEDA would if it could: how often, how many failed, and the least number.
async fn ask(
    scene: &Scene,
    scaler: &Scaler,
    replica: &Replica,
    scaled_object: &ScaledObject,
) -> anyhow::Result<(usize, usize, i64)> {
    let until = scene.seconds() + GONE.as_secs_f64();
    let (mut asked, mut failed, mut least) = (0, 0, i64::MAX);
    while scene.seconds() < until {
        asked += 1;
        match scaler.number(replica, scaled_object).await? {
            Ok(number) => least = least.min(number),
            Err(_) => failed += 1,
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok((asked, failed, least))
}

/// What is wrong with our view of the cluster.
async fn cluster_error(scene: &Scene, scaler: &Scaler, replica: &Replica) -> anyhow::Result<Option<String>> {
    let explained = scaler.explain(replica, &scene.namespace, "pickers").await?;
    let sources = explained["sources"].as_array().context("sources")?.clone();
    let cluster =
        sources.iter().find(|source| source["source"] == "cluster").context("a source `cluster`")?;
    Ok(cluster["error"].as_str().map(str::to_owned))
}
