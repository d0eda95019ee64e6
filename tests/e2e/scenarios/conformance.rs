//! KEDA's own client code asks a replica: all five RPCs, and what it gets for invalid metadata.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::support::objects::ScaledObject;
use crate::support::parts::program;
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::{PATIENCE, Scene};
use crate::support::until;

const REPLICAS: &str = "7";

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "conformance").await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let replica = scaler.replicas().into_iter().next().context("one replica")?;
    let scaled_object = ScaledObject::shipped("scaledobject.yaml", &scene.namespace, "pickers")?
        .reads(&scaler, &queue, scene.cluster.ports.sqs)
        .ours(&[("minReplicas", REPLICAS), ("maxReplicas", REPLICAS)])
        .ours(&[("scalerAddress", &scaler.authority(&replica))]);
    let first = async || Ok(scaler.number(&replica, &scaled_object).await?.ok());
    until("a first number", PATIENCE, first).await?;
    let mut command = Command::new(program("conformance"));
    command.args(["-namespace", &scene.namespace, "-name", "pickers", "-expect", REPLICAS]);
    let triggers = scaled_object.0["spec"]["triggers"].as_array().context("triggers")?;
    for (key, value) in triggers[0]["metadata"].as_object().into_iter().flatten() {
        command.arg("-metadata").arg(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    let output = command.output().await?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", words.lines().last().unwrap_or_default());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let found: Value = serde_json::from_str(line)?;
        let (call, answer) = (found["call"].as_str(), found["answer"].as_str());
        scene.figure(call.context("a call")?, answer.context("an answer")?, "");
    }
    Ok(())
}
