//! The second shipped example: while our data is stale, KEDA's own SQS scaler decides.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::support::gate::Gate;
use crate::support::objects::{ScaledObject, keda_credentials, workers};
use crate::support::queue::Queue;
use crate::support::room::until_found;
use crate::support::scaler::{Replica, Scaler};
use crate::support::scene::{PATIENCE, Scene};
use crate::support::track::Track;
use crate::support::until;

const OURS: i32 = 6;
const MESSAGES: usize = 60;
/// `sqs / 5` of the shipped formula.
const KEDAS: i32 = 12;
/// What is found when KEDA does not ask for our metric.
const FINDING: &str = "metric_missing";
/// So long after an edit KEDA has tried its stream four times, and will not again for a quarter of a minute.
const LAST_TRY_SECONDS: f64 = 16.0;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "degraded").await?;
    let gate = Gate::to(scene.cluster.ports.sqs).await?;
    let scaler = Scaler::start(scene, 1, &[]).await?;
    let replica = scaler.replicas().into_iter().next().context("one replica")?;
    let track = Track::start(scene, "packers");
    scene.cluster.apply(&keda_credentials(&scene.namespace)).await?;
    scene.cluster.apply(&[workers(&scene.namespace, "packers")]).await?;
    queue.send(MESSAGES).await?;
    let scaled_object =
        ScaledObject::shipped("scaledobject-with-sqs-fallback.yaml", &scene.namespace, "packers")?
            .reads(&scaler, &queue, gate.port())
            .ours(&[("minReplicas", "6"), ("maxReplicas", "6"), ("staleAfter", "20s")])
            .keda_reads(&queue, scene.cluster.ports.sqs);
    scene.cluster.apply(std::slice::from_ref(&scaled_object.0)).await?;
    track.until("our number", PATIENCE, |now| now.wanted == OURS).await?;

    gate.shut();
    let shut = scene.seconds();
    scene.tell("SQS is gone for peakscaler alone");
    let degraded = track.until("KEDA's own number", PATIENCE, |now| now.wanted == KEDAS).await?;
    let (_, least) = track.wanted_since(shut).context("samples")?;
    scene.figure("KEDA's own number (60 messages / 5) after", degraded.at_seconds - shut, "s");
    scene.figure("least replicas until then", least, "");
    ensure!(least >= OURS, "the replicas went down to {least}");
    gate.open();
    let opened = scene.seconds();
    let back = track.until("our number again", PATIENCE, |now| now.wanted == OURS).await?;
    scene.figure("our number again after", back.at_seconds - opened, "s");
    let away = scene.seconds();
    let absence = Away { scene, scaler: &scaler, replica: &replica };
    absence.heals_by_command(&scaled_object).await?;
    absence.heals_by_itself(&scaled_object).await?;
    track.until("our number", PATIENCE, |now| now.wanted == OURS).await?;
    let (_, least) = track.wanted_since(away).context("samples")?;
    scene.figure("least replicas over two edits while peakscaler was away", least, "");
    ensure!(least >= OURS, "the replicas went down to {least}");
    Ok(())
}

/// Whoever edits the ScaledObject while we cannot be asked takes our metric out of it.
struct Away<'a> {
    scene: &'a Scene,
    scaler: &'a Scaler,
    replica: &'a Replica,
}

impl Away<'_> {
    /// We come back, find it, and are asked again by the command that the finding names.
    async fn heals_by_command(&self, scaled_object: &ScaledObject) -> anyhow::Result<()> {
        let scene = self.scene;
        let edited = self.edited(scaled_object.clone().spec("cooldownPeriod", json!(21))).await?;
        // KEDA opens its stream 2, 4, 8, 16 and 32 s after each failure, and looks again when it has one: not yet now.
        let tried = async || Ok((scene.seconds() - edited > LAST_TRY_SECONDS).then_some(()));
        until("KEDA waits longer for its stream", PATIENCE, tried).await?;
        self.scaler.start_again(self.replica).await?;
        let text = until_found(scene, self.scaler, "packers", FINDING).await?;
        let found = scene.seconds();
        scene.figure("what `explain` finds then", text.clone(), "");
        let command = text.rsplit_once("kubectl ").context("a command")?.1.replace("\"$(date)\"", "now");
        scene.cluster.kubectl(&command.split_whitespace().collect::<Vec<_>>()).await?;
        self.asked_again().await?;
        scene.figure("asked for again, by the command in the finding, after", scene.seconds() - found, "s");
        Ok(())
    }

    /// We come back, and wait.
    async fn heals_by_itself(&self, scaled_object: &ScaledObject) -> anyhow::Result<()> {
        self.edited(scaled_object.clone()).await?;
        self.scaler.start_again(self.replica).await?;
        let back = self.scene.seconds();
        self.asked_again().await?;
        self.scene.figure("asked for again, by KEDA alone, after", self.scene.seconds() - back, "s");
        Ok(())
    }

    /// Kills our only replica and edits the ScaledObject, until our metric is gone from it; returns when.
    async fn edited(&self, scaled_object: ScaledObject) -> anyhow::Result<f64> {
        self.scaler.kill(self.replica).await?;
        self.scene.cluster.apply(&[scaled_object.0]).await?;
        let lost = async || Ok((ours_among(self.scene).await? == Some(false)).then_some(()));
        until("our metric is taken out of the ScaledObject", PATIENCE, lost).await?;
        self.scene.tell("edited while peakscaler was away: its metric is no longer asked for");
        Ok(self.scene.seconds())
    }

    /// Waits until KEDA asks for our metric, and nothing is found any more.
    async fn asked_again(&self) -> anyhow::Result<()> {
        let asked = async || Ok((ours_among(self.scene).await? == Some(true)).then_some(()));
        until("our metric is asked for again", PATIENCE, asked).await?;
        let none = async || {
            let explained = self.scaler.explain(self.replica, &self.scene.namespace, "packers").await?;
            let mut findings = explained["findings"].as_array().into_iter().flatten();
            Ok((!findings.any(|finding| finding["kind"] == FINDING)).then_some(()))
        };
        until("nothing is found any more", PATIENCE, none).await
    }
}

/// Whether KEDA asks for our metric; it is not known before KEDA has looked.
async fn ours_among(scene: &Scene) -> anyhow::Result<Option<bool>> {
    let status = scene.scaled_object("packers").await?;
    let names = status["status"]["externalMetricNames"].as_array().cloned();
    Ok(names.map(|names| names.iter().filter_map(Value::as_str).any(|name| name.contains("peakscaler"))))
}
