//! A cluster without Karpenter: workers are scaled all the same, and that nodes are not coordinated is said once.

use std::fs;
use std::rc::Rc;
use std::time::Duration;

use anyhow::ensure;

use crate::support::objects::{ScaledObject, workers};
use crate::support::process::log_file;
use crate::support::queue::Queue;
use crate::support::room::{self, until_found, until_told};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::shop::PICKERS;
use crate::support::until;

/// 600 orders within two minutes, six a minute by each worker.
const WANTED: i64 = 50;
/// Longer than what is found takes to be told, and to be told again if it were.
const WATCHED: Duration = Duration::from_secs(30);
const SAID: &str = "there is no Karpenter in this cluster";

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, &scene.namespace).await?;
    queue.send(600).await?;
    let bare = Scene::begin(Rc::new(scene.cluster.bare().await?), "alone").await?;
    scene.owns("apiserver-second");
    scene.tell("an API server without Karpenter's kinds answers");
    room::grant(&bare).await?;
    let scaler = room::scaler(&bare, &[]).await?;
    for replica in scaler.replicas() {
        scene.owns(&replica.process);
    }
    let scaled_object = ScaledObject::shipped("scaledobject.yaml", &bare.namespace, PICKERS)?
        .bounds(0, 60)
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("targetWait", "2m"), ("serviceRate", "6"), ("maxReplicas", "60")])
        .ours(&[("nodePool", "pickers"), ("capacityBuffer", room::BUFFER)]);
    bare.cluster.apply(&[workers(&bare.namespace, PICKERS), scaled_object.0.clone()]).await?;

    // KEDA isn't there: its calls are made here.
    let replicas = scaler.replicas();
    let ask = async || {
        let mut numbers = Vec::new();
        for replica in &replicas {
            numbers.push(scaler.number(replica, &scaled_object).await??);
        }
        anyhow::Ok(numbers)
    };
    let numbers = until("both replicas have a number", PATIENCE, async || {
        let numbers = ask().await?;
        Ok(numbers.iter().all(|number| *number >= WANTED).then_some(numbers))
    });
    let numbers = numbers.await?;
    scene.figure(
        "600 orders, two minutes, six a minute a worker: numbers of both replicas",
        format!("{numbers:?}"),
        "",
    );
    let found = until_found(&bare, &scaler, PICKERS, "no_karpenter").await?;
    scene.figure("what `explain` finds", found, "");
    let no_kind = until_found(&bare, &scaler, PICKERS, "buffer_kind_missing").await?;
    scene.figure("and of the buffer that the trigger names", no_kind, "");
    until_told(&bare, PICKERS, "NoKarpenter").await?;

    let watched = scene.seconds() + WATCHED.as_secs_f64();
    let over = async || {
        ask().await?;
        Ok((scene.seconds() > watched).then_some(()))
    };
    until("it is asked on", PATIENCE, over).await?;
    let events = room::told(&bare, PICKERS, "NoKarpenter").await?;
    let mut lines = Vec::new();
    for replica in &replicas {
        let log = fs::read_to_string(log_file(&scene.cluster.run, &replica.process))?;
        lines.push(log.lines().filter(|line| line.contains(SAID)).count());
    }
    scene.figure("events that say so", events, "");
    scene.figure("lines of each replica's log that say so", format!("{lines:?}"), "");
    ensure!(events == 1 && lines == [1, 1], "it was not said once");
    Ok(())
}
