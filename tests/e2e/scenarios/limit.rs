//! A NodePool too small for a peak that is known: told before it, with limit, need and shortfall.

use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;
use peakscaler::clock::Clock;

use crate::support::nodes::POOL_LABEL;
use crate::support::objects::{ScaledObject, deployment};
use crate::support::peak::calendar;
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
    let now = Clock::real().now();
    let second = Timestamp::from_second(now.as_second())?;
    let from = second + jiff::SignedDuration::try_from(PEAK_IN)?;
    let peak = calendar(from, from + jiff::SignedDuration::try_from(PEAK)?, 6000);
    let file = scene.cluster.run.join("limit-calendar.yaml");
    std::fs::write(&file, peak)?;
    let scaler = room::scaler(scene, &["--calendar".to_owned(), file.display().to_string()]).await?;
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
    let left = from.duration_since(Clock::real().now()).as_secs_f64();
    scene.figure("the event came before the peak by", left, "s");
    ensure!(left > 0.0, "the peak has begun");
    for part in
        [format!("cpu limit {LIMIT}"), "in use".to_owned(), "more needed".to_owned(), "short".to_owned()]
    {
        ensure!(note.contains(&part), "no {part:?} in: {note}");
    }
    Ok(())
}
