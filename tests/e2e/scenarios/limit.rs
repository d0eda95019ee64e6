//! A NodePool too small for a peak that is known: told before it, with limit, need and shortfall.

use std::time::Duration;

use anyhow::ensure;
use peakscaler::clock::Clock;

use crate::support::nodes::POOL_LABEL;
use crate::support::objects::{ScaledObject, deployment};
use crate::support::peak::Peak;
use crate::support::queue::Queue;
use crate::support::room::{self, until_found, until_told};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;

/// Cores: two nodes.
const LIMIT: u32 = 16;
const PEAK_IN: Duration = Duration::from_mins(15);
const PEAK: Duration = Duration::from_mins(10);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "limit").await?;
    room::grant(scene).await?;
    let peak = Peak::in_calendar(scene, PEAK_IN, PEAK, 6000)?;
    let scaler = room::scaler(scene, &peak.flags()).await?;
    let pool = scene.add_pool("pickers", LIMIT).await?;
    let workers = deployment(&scene.namespace, "pickers", (POOL_LABEL, &pool));
    scene.cluster.apply(&[workers, room::buffer(scene)?]).await?;
    let object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .bounds(1, 60)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[
            ("serviceRate", "20"),
            ("minReplicas", "1"),
            ("maxReplicas", "60"),
            ("nodePool", &pool),
            ("capacityBuffer", room::BUFFER),
        ]);
    let track = Track::start(scene, "pickers");
    scene.cluster.apply(&[object.0]).await?;
    track.until("a worker on a node", PATIENCE, |now| now.ready >= 1).await?;
    let text = until_found(scene, &scaler, "pickers", "pool_limit_below_plan").await?;
    scene.tell(text);
    let note = until_told(scene, "pickers", "PoolLimitBelowPlan").await?;
    let left = peak.at.duration_since(Clock::real().now()).as_secs_f64();
    scene.figure("the event came before the peak by", left, "s");
    ensure!(left > 0.0, "the peak has begun");
    for part in
        [format!("cpu limit {LIMIT}"), "in use".to_owned(), "more needed".to_owned(), "short".to_owned()]
    {
        ensure!(note.contains(&part), "no {part:?} in: {note}");
    }
    Ok(())
}
