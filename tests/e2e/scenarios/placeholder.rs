//! The peak of `ahead` where there is no CapacityBuffer: pods of a placeholder Deployment hold the room, and make way.

use anyhow::ensure;

use crate::support::nodes::POOL_LABEL;
use crate::support::peak::{Contender, Peak, WAIT_SECONDS};
use crate::support::room;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::shop::PICKERS;
use crate::support::track::Track;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    room::grant(scene).await?;
    let pickers = Contender::enter(scene, PICKERS).await?;
    let held = Track::start(scene, room::PLACEHOLDER);
    scene.cluster.apply(&room::placeholder(scene, (POOL_LABEL, &pickers.pool))?).await?;
    let peak = Peak::announce(scene)?;
    let scaler = room::scaler(scene, &peak.flags()).await?;
    let room = [("nodePool", pickers.pool.as_str()), ("placeholder", room::PLACEHOLDER)];
    pickers.scale(scene, &scaler, &room).await?;
    let wait = pickers.day(scene, &peak).await?;
    let most = held.wanted_since(0.0).map_or(0, |(most, _)| most);
    scene.figure("most placeholders held", most, "");
    ensure!(most > 0, "no room was held");
    ensure!(wait < WAIT_SECONDS, "a pod waited {wait:.0} s for a node");

    scene.cluster.kubectl(&["delete", "scaledobject", PICKERS, "-n", &scene.namespace]).await?;
    let deleted = scene.seconds();
    let none = held.until("room is given back", PATIENCE, |now| now.wanted == 0).await?;
    let seconds = (none.at_seconds - deleted).max(0.0);
    scene.figure("room is given back, after the workload was deleted, after", seconds, "s");
    Ok(())
}
