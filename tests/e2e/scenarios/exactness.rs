//! The HPA stands at just the number that we say, with the shipped `behavior`.

use std::time::Duration;

use anyhow::ensure;

use crate::support::objects::{ScaledObject, workers};
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::Scene;
use crate::support::track::Track;

/// 100 to 103 and back to 97 lie within the HPA's default tolerance of a tenth.
const NUMBERS: [u32; 8] = [1, 7, 100, 103, 97, 250, 1, 0];
/// A step was missed when it takes longer than this; the HPA syncs every 15 s.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "exactness").await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let track = Track::start(scene, "pickers");
    scene.cluster.apply(&[workers(&scene.namespace, "pickers")]).await?;
    let base = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .bounds(0, 300)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("targetWait", "5m"), ("holdDown", "0s")]);
    let mut slowest = 0.0_f64;
    for number in NUMBERS {
        // The bounds alone decide: an empty queue wants none.
        let (text, most) = (number.to_string(), number.max(1).to_string());
        let scaled_object = base.clone().ours(&[("minReplicas", &text), ("maxReplicas", &most)]);
        let edited = scene.seconds();
        scene.cluster.apply(&[scaled_object.0]).await?;
        let wanted = i32::try_from(number)?;
        let sample = track.until(&format!("{number} replicas"), PATIENCE, |now| now.wanted == wanted).await?;
        let took = sample.at_seconds - edited;
        scene.figure(format!("{number} wanted: reached after"), took, "s");
        slowest = slowest.max(took);
        stays(&track, wanted).await?;
    }
    scene.figure("numbers missed", 0, "");
    scene.figure("slowest step", slowest, "s");
    Ok(())
}

/// The number holds over one more sync of the HPA.
async fn stays(track: &Track, wanted: i32) -> anyhow::Result<()> {
    tokio::time::sleep(Duration::from_secs(16)).await;
    let last = track.last().map(|sample| sample.wanted);
    ensure!(last == Some(wanted), "{wanted} was reached, then {last:?}");
    Ok(())
}
