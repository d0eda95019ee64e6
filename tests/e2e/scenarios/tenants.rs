//! A ScaledObject of another namespace may not make us contact what its namespace was not granted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;
use tonic::Code;

use crate::support::objects::{ScaledObject, workers};
use crate::support::queue::Queue;
use crate::support::scaler::Scaler;
use crate::support::scene::Scene;

/// KEDA asks four times meanwhile.
const WATCHED: Duration = Duration::from_secs(25);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<()> {
    let queue = Queue::create(&scene.cluster, "tenants").await?;
    // It may contact endpoints for a namespace that is not this one.
    let scaler = Scaler::start_for(scene, "somebody-else", 1, &[]).await?;
    let (port, connections) = trap().await?;
    scene.cluster.apply(&[workers(&scene.namespace, "endpoint"), workers(&scene.namespace, "role")]).await?;
    let shipped = |name: &str| ScaledObject::shipped("scaledobject.yaml", &scene.namespace, name);
    let endpoint = shipped("endpoint")?.reads(&scaler, &queue, port);
    let aws = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
    let role = shipped("role")?.reads(&scaler, &queue, port).ours(&[
        ("queueURL", aws),
        ("awsEndpoint", ""),
        ("awsRoleArn", "arn:aws:iam::123456789012:role/everything"),
    ]);
    for (name, key, flag, scaled_object) in [
        ("endpoint", "awsEndpoint", "--allow-endpoint", endpoint),
        ("role", "awsRoleArn", "--allow-role", role),
    ] {
        scene.cluster.apply(std::slice::from_ref(&scaled_object.0)).await?;
        let message = refused(&scaler, &scaled_object).await?;
        ensure!(message.contains(key) || message.contains("queueURL"), "the key is not named: {message}");
        ensure!(message.contains(flag), "{flag} is not named: {message}");
        scene.figure(format!("a forbidden {name} is refused"), message, "");
    }
    tokio::time::sleep(WATCHED).await;
    let made = connections.load(Ordering::SeqCst);
    scene.figure("connections made to the forbidden endpoint", made, "");
    ensure!(made == 0, "{made} connections were made");
    Ok(())
}

async fn refused(scaler: &Scaler, scaled_object: &ScaledObject) -> anyhow::Result<String> {
    let replica = scaler.replicas().into_iter().next().context("one replica")?;
    match scaler.number(&replica, scaled_object).await? {
        Ok(number) => anyhow::bail!("it got a number: {number}"),
        Err(status) => {
            ensure!(status.code() == Code::PermissionDenied, "{status:?}");
            Ok(status.message().to_owned())
        }
    }
}

/// A port that counts who connects.
async fn trap() -> anyhow::Result<(u16, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let connections = Arc::<AtomicUsize>::default();
    let counted = connections.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    Ok((port, connections))
}
