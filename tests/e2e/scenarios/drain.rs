//! A pile of orders from nothing to nothing.

use std::time::Duration;

use anyhow::ensure;

use crate::support::scene::Scene;
use crate::support::shop::Shop;
use crate::support::until;

const ORDERS: usize = 3_000;
const TARGET_WAIT_SECONDS: f64 = 240.0;
const SERVICE_TIME: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(6);
/// The last worker goes when the queue has been empty for two minutes, and what was wanted is not held any more.
const FADE: Duration = Duration::from_mins(8);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene, 1, SERVICE_TIME).await?;
    shop.scale(scene, 100, &[("targetWait", "240s"), ("serviceRate", "57"), ("holdDown", "30s")]).await?;
    let Shop { queue, track, workers, .. } = &shop;

    let sent = scene.seconds();
    queue.send(ORDERS).await?;
    scene.tell(format!("{ORDERS} orders sent"));
    let first = track.until("the first worker is ready", PATIENCE, |now| now.ready > 0).await?;
    let empty = async || Ok((queue.counts().await? == (0, 0)).then(|| scene.seconds()));
    let empty = until("the queue is empty", PATIENCE, empty).await?;
    scene.tell("the queue is empty");
    let none = track.until("no workers", FADE, |now| now.wanted == 0).await?;

    let waits = workers.waits();
    let longest = waits.iter().copied().fold(0.0, f64::max);
    let late = waits.iter().filter(|wait| **wait > TARGET_WAIT_SECONDS).count();
    let most = track.wanted_since(0.0).map_or(0, |(most, _)| most);
    scene.figure("orders worked on", waits.len(), "");
    scene.figure("orders late against a target wait of 240 s", late, "");
    scene.figure("longest wait", longest, "s");
    scene.figure("first worker ready after", first.at_seconds - sent, "s");
    scene.figure("most workers", most, "");
    scene.figure("queue empty after", empty - sent, "s");
    scene.figure("no workers after another", none.at_seconds - empty, "s");
    scene.figure("turns from fewer workers to more", track.turns_up(), "");
    ensure!(waits.len() >= ORDERS, "only {} orders were worked on", waits.len());
    ensure!(
        late == 0,
        "{late} orders waited longer than {TARGET_WAIT_SECONDS} s, the longest {longest:.0} s"
    );
    ensure!(track.turns_up() == 0, "it flapped: {:?}", track.path());
    Ok(())
}
