//! The API server is gone for a minute, while room ahead is held.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::support::process;
use crate::support::room::{self, until_held};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::shop::{PICKERS, PILE_WANTS, Pile};
use crate::support::until;

const GONE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(500);
/// What we say; the HPA stops at [`PILE_WANTS`], and room for the rest is held.
const SAID: i64 = 20;
const HELD: u64 = 8;
/// Watched for writes after the outage: two syncs of the HPA, and longer than a Lease lasts.
const AFTERWARDS: Duration = Duration::from_secs(30);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    room::grant(scene).await?;
    let scaler = room::scaler(scene, &[]).await?;
    let pool = scene.add_pool(PICKERS, 200).await?;
    scene.cluster.apply(&[room::buffer(scene)?]).await?;
    let (said, most) = (SAID.to_string(), u32::try_from(PILE_WANTS)?);
    let (pile, before) = Pile::heap(scene, scaler, |object| {
        let room = [("nodePool", pool.as_str()), ("capacityBuffer", room::BUFFER)];
        object.bounds(0, most).ours(&[("minReplicas", &said), ("maxReplicas", &said)]).ours(&room)
    })
    .await?;
    until_held(scene, HELD).await?;
    let buffer_before = room::generation(scene, room::BUFFER).await?;
    let written_before = written(&pile).await?;

    process::kill(&scene.cluster.run, "apiserver").await?;
    scene.tell("the API server is killed");
    let (asked, failed, least) = ask(scene, &pile).await?;
    let told = cluster_error(scene, &pile).await?;
    scene.figure("answers asked for while it was gone", asked, "");
    scene.figure("answers that failed", failed, "");
    scene.figure("least number answered", least, "");
    scene.figure("what `explain` said of the cluster", told.clone().unwrap_or_default(), "");
    ensure!(failed == 0, "{failed} of {asked} answers failed");
    ensure!(least >= SAID, "the number fell to {least}");
    ensure!(told.is_some(), "nobody is told that the cluster cannot be read");

    scene.cluster.start("apiserver")?;
    scene.cluster.answers().await?;
    scene.cluster.revive().await?;
    let back = scene.seconds();
    scene.tell("it is back");
    let well = async || Ok(cluster_error(scene, &pile).await?.is_none().then(|| scene.seconds()));
    let well = until("our watches recover", PATIENCE, well).await?;
    scene.figure("our watches recovered after", well - back, "s");
    scene.is_polled(PICKERS).await?;
    room::leader(scene, &pile.scaler, PICKERS).await?;
    tokio::time::sleep(AFTERWARDS).await;
    let after = pile.track.last().context("samples")?;
    let edits = after.generation - before.generation;
    let (written, buffer) =
        (written(&pile).await? - written_before, room::generation(scene, room::BUFFER).await?);
    let seconds = AFTERWARDS.as_secs();
    scene.figure(format!("writes to the workers' scale from before until {seconds} s after"), edits, "");
    scene.figure(
        format!("writes to their buffer of {HELD} from before until {seconds} s after"),
        written,
        "",
    );
    ensure!(edits == 0, "the scale was written {edits} times: {before:?} to {after:?}");
    ensure!(written == 0.0 && buffer == buffer_before, "the buffer was written {written} times");
    ensure!(room::held(scene, room::BUFFER).await? == HELD, "room was given up");

    let edited = scene.seconds();
    scene.cluster.apply(&[pile.scaled_object.clone().bounds(0, most + 2).0]).await?;
    let followed = pile.track.until("14 replicas", PATIENCE, |now| now.wanted == PILE_WANTS + 2).await?;
    scene.figure("a new number is followed after", followed.at_seconds - edited, "s");
    let moved_in = until_held(scene, HELD - 2).await?;
    scene.figure("and room given up for the pods that moved in, after", moved_in - edited, "s");
    Ok(())
}

/// Writes on buffers, by both replicas.
async fn written(pile: &Pile) -> anyhow::Result<f64> {
    let mut all = 0.0;
    for replica in pile.scaler.replicas() {
        all += pile.scaler.metric(&replica, "peakscaler_hold_writes_total", r#"outcome="written""#).await?;
    }
    Ok(all)
}

/// Asks all the while, as KEDA would if it could: how often, how many failed, and the least number.
async fn ask(scene: &Scene, pile: &Pile) -> anyhow::Result<(usize, usize, i64)> {
    let until = scene.seconds() + GONE.as_secs_f64();
    let (mut asked, mut failed, mut least) = (0, 0, i64::MAX);
    while scene.seconds() < until {
        asked += 1;
        match pile.scaler.number(&pile.replica, &pile.scaled_object).await? {
            Ok(number) => least = least.min(number),
            Err(_) => failed += 1,
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok((asked, failed, least))
}

/// What is wrong with our view of the cluster.
async fn cluster_error(scene: &Scene, pile: &Pile) -> anyhow::Result<Option<String>> {
    let explained = pile.scaler.explain(&pile.replica, &scene.namespace, PICKERS).await?;
    let sources = explained["sources"].as_array().context("sources")?.clone();
    let cluster =
        sources.iter().find(|source| source["source"] == "cluster").context("a source `cluster`")?;
    Ok(cluster["error"].as_str().map(str::to_owned))
}
