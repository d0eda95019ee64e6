//! One replica of ours is killed, then both.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::support::objects::{ScaledObject, workers};
use crate::support::process::log_file;
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;

/// How long KEDA finds nobody: longer than its `fallback` would need, were there one for this.
const AWAY: Duration = Duration::from_mins(1);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "killed").await?;
    let scaler = Scaler::start(scene, 2, &[]).await?;
    let track = Track::start(scene, "pickers");
    scene.cluster.apply(&[workers(&scene.namespace, "pickers")]).await?;
    queue.send(100).await?;
    let base = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .bounds(0, 50)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("serviceRate", "6"), ("holdDown", "0s")]);
    let with = |number: &str| base.clone().ours(&[("minReplicas", number), ("maxReplicas", number)]);
    scene.cluster.apply(&[with("9").0]).await?;
    track.until("9 replicas", PATIENCE, |now| now.wanted == 9).await?;
    both_say_the_same(scene, &scaler, &with("9")).await?;

    let [first, second] = &scaler.replicas()[..] else { anyhow::bail!("two replicas") };
    let failed_before = failed_answers(scene)?;
    scaler.kill(first).await?;
    let killed = scene.seconds();
    scene.tell("one replica is killed");
    scene.cluster.apply(&[with("11").0]).await?;
    let reached = track.until("11 replicas", PATIENCE, |now| now.wanted == 11).await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (_, least) = track.wanted_since(killed).context("samples")?;
    let failed = failed_answers(scene)? - failed_before;
    scene.figure("a new number is followed with one replica killed, after", reached.at_seconds - killed, "s");
    scene.figure("answers that failed for KEDA meanwhile", failed, "");
    // The call that was under way when it died; KEDA asks again at its next poll.
    ensure!(failed <= 1, "{failed} answers failed");
    ensure!(least >= 9, "the replicas went down to {least}");

    scaler.kill(second).await?;
    let gone = scene.seconds();
    scene.tell("both are killed");
    tokio::time::sleep(AWAY).await;
    let (most, least) = track.wanted_since(gone).context("samples")?;
    scene.figure(
        "replicas while nobody answered for 60 s, least and most",
        format!("{least} and {most}"),
        "",
    );
    ensure!((least, most) == (11, 11), "the replicas did not hold: {least} to {most}");
    for replica in [first, second] {
        scaler.start_again(replica).await?;
    }
    let back = scene.seconds();
    scene.cluster.apply(&[with("8").0]).await?;
    let followed = track.until("8 replicas", PATIENCE, |now| now.wanted == 8).await?;
    scene.figure("followed again after both are back, after", followed.at_seconds - back, "s");
    Ok(())
}

/// Each replica observes and decides for itself.
async fn both_say_the_same(
    scene: &Scene,
    scaler: &Scaler,
    scaled_object: &ScaledObject,
) -> anyhow::Result<()> {
    let mut numbers = Vec::new();
    for replica in scaler.replicas() {
        numbers.push(scaler.number(&replica, scaled_object).await??);
    }
    scene.figure("numbers of both replicas", format!("{numbers:?}"), "");
    ensure!(numbers == [9, 9], "they differ: {numbers:?}");
    Ok(())
}

/// Failures of our answers in KEDA's log, for this scene's workload; streams that end are opened anew.
fn failed_answers(scene: &Scene) -> anyhow::Result<usize> {
    let log = std::fs::read_to_string(log_file(&scene.cluster.run, "keda-operator"))?;
    let is_ours = |line: &&str| {
        line.contains("external") && line.contains(&scene.namespace) && !line.contains("Stream")
    };
    Ok(log.lines().filter(|line| line.contains("ERROR") && line.contains("error")).filter(is_ours).count())
}
