//! Who writes buffers: the holder of the Lease, its successor when it is killed, and nobody else's.

use std::time::Duration;

use anyhow::ensure;

use crate::support::nodes::POOL_LABEL;
use crate::support::objects::{ScaledObject, deployment};
use crate::support::queue::Queue;
use crate::support::room::{self, until_held};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;

/// The HPA stops here, so that the plan wants more than exist.
const MOST: u32 = 4;
const WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "leader").await?;
    room::grant(scene).await?;
    let scaler = room::scaler(scene, &[]).await?;
    let pool = scene.add_pool("pickers", 200).await?;
    let workers = deployment(&scene.namespace, "pickers", (POOL_LABEL, &pool));
    scene.cluster.apply(&[workers, room::buffer(scene)?]).await?;
    queue.send(100).await?;
    let base = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .bounds(0, MOST)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("serviceRate", "6"), ("nodePool", &pool), ("capacityBuffer", room::BUFFER)]);
    let with = |number: &str| base.clone().ours(&[("minReplicas", number), ("maxReplicas", number)]);
    let track = Track::start(scene, "pickers");
    scene.cluster.apply(&[with("20").0]).await?;
    track.until("4 workers", PATIENCE, |now| now.wanted == 4).await?;
    until_held(scene, 16).await?;
    scene.tell("20 wanted ahead, 4 exist: room for 16 is held");

    let leader = room::leader(scene, &scaler, "pickers").await?;
    scaler.kill(&leader).await?;
    let killed = scene.seconds();
    scene.tell("the leader is killed");
    scene.cluster.apply(&[with("26").0]).await?;
    let after = until_held(scene, 22).await? - killed;
    scene.figure("room is written again, after the leader was killed, after", after, "s");
    ensure!(after <= WITHIN.as_secs_f64(), "it took {after:.1} s");

    let survivor = room::leader(scene, &scaler, "pickers").await?;
    ensure!(survivor.process != leader.process, "the dead one leads");
    scene.cluster.kubectl(&["delete", "scaledobject", "pickers", "-n", &scene.namespace]).await?;
    let deleted = scene.seconds();
    let after = until_held(scene, 0).await? - deleted;
    scene.figure("room is given back, after the workload was deleted, after", after, "s");
    Ok(())
}
