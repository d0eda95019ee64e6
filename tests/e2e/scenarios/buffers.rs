//! Buffers and pools that are not what the trigger says: a finding, an event, and no write.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::support::nodes::POOL_LABEL;
use crate::support::objects::{ScaledObject, deployment};
use crate::support::queue::Queue;
use crate::support::room::{self, until_found, until_told};
use crate::support::scene::Scene;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "buffers").await?;
    room::grant(scene).await?;
    let scaler = room::scaler(scene, &[]).await?;
    queue.send(50).await?;
    let named = |name: &str, of: &str, replicas: u32| -> anyhow::Result<Value> {
        let mut buffer = room::buffer(scene)?;
        buffer["metadata"]["name"] = json!(name);
        buffer["spec"]["scalableRef"]["name"] = json!(of);
        buffer["spec"]["replicas"] = json!(replicas);
        Ok(buffer)
    };
    scene.cluster.apply(&[named("of-others", "owned", 3)?, named("of-packers", "packers", 0)?]).await?;
    // (workload, buffer, finding, reason of the event, buffer's replicas)
    let cases = [
        ("missing", "not-there", "holder_missing", "HolderMissing", None),
        ("owned", "of-others", "holder_of_others", "HolderOfOthers", Some(3)),
        ("elsewhere", "of-packers", "holder_refers_elsewhere", "HolderRefersElsewhere", Some(0)),
    ];
    for (workload, buffer, ..) in cases {
        let workers = deployment(&scene.namespace, workload, (POOL_LABEL, "no-such-pool"));
        let object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, workload)?
            .bounds(0, 2)
            .reads(&scaler, &queue, scene.cluster.ports.sqs)
            .ours(&[
                ("serviceRate", "6"),
                ("minReplicas", "9"),
                ("maxReplicas", "9"),
                ("nodePool", "no-such-pool"),
                ("capacityBuffer", buffer),
            ]);
        scene.cluster.apply(&[workers, object.0]).await?;
    }
    for (workload, buffer, kind, reason, replicas) in cases {
        let text = until_found(scene, &scaler, workload, kind).await?;
        scene.tell(format!("{kind}: {text}"));
        let note = until_told(scene, workload, reason).await?;
        ensure!(note.contains(buffer), "{note}");
        until_found(scene, &scaler, workload, "pool_missing").await?;
        if let Some(replicas) = replicas {
            let held = room::held(scene, buffer).await?;
            ensure!(held == replicas, "{buffer} was written: {held}");
        }
    }
    scene.figure("buffers that were not to be written, and were", 0, "");
    Ok(())
}
