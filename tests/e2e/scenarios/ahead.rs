//! A peak that needs three times the nodes, with a buffer and without: what its pods wait for a node, and what it costs.

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;

use crate::support::peak::{Contender, Peak, WAIT_SECONDS};
use crate::support::room;
use crate::support::scene::Scene;
use crate::support::shop::PICKERS;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    room::grant(scene).await?;
    let buffered = Contender::enter(scene, PICKERS).await?;
    let without = Contender::enter(scene, "without").await?;
    let peak = Peak::announce(scene)?;
    let scaler = room::scaler(scene, &peak.flags()).await?;
    scene.cluster.apply(&[room::buffer(scene)?]).await?;
    let room = [("nodePool", buffered.pool.as_str()), ("capacityBuffer", room::BUFFER)];
    buffered.scale(scene, &scaler, &room).await?;
    without.scale(scene, &scaler, &[]).await?;
    let waits = try_join_all([buffered.day(scene, &peak), without.day(scene, &peak)]).await?;
    let replica = scaler.replicas().into_iter().next().context("a replica")?;
    let explained = scaler.explain(&replica, &scene.namespace, buffered.name).await?;
    let lead = explained["room"]["leads"]["node_seconds"].as_f64().context("a lead time of nodes")?;
    scene.figure("lead time of a node as measured (registered after 60 s), 90th percentile", lead, "s");
    ensure!((60.0..120.0).contains(&lead), "a node's lead time was measured as {lead:.0} s");
    ensure!(waits[0] < WAIT_SECONDS, "with a buffer pods waited {:.0} s for a node", waits[0]);
    Ok(())
}
