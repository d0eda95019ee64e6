//! Who writes: the holder of a Lease.

use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseCreateMode, LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::coordinator::CoordinationOptions;
use crate::clock::Clock;

/// A Lease that is not renewed for this long is free.
const LEASE_SECONDS: u64 = 15;
/// It is renewed this long before.
const GRACE_SECONDS: u64 = 8;
/// After a failure the Lease is looked at again.
const AGAIN_AFTER: Duration = Duration::from_secs(3);
/// The Lease is given back within this time at the end.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

/// Follows the Lease until `stop`; tells whether this process holds it. Gives it back at the end.
pub(super) async fn follow(
    client: Client,
    options: CoordinationOptions,
    clock: Clock,
    holds: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let mut has_failed = false;
    loop {
        let opened = tokio::select! {
            () = stop.cancelled() => return,
            opened = open(&client, &options) => opened,
        };
        match opened {
            Ok(manager) => {
                has_failed = false;
                if hold(manager, &holds, &stop).await {
                    return;
                }
            }
            Err(error) if !has_failed => {
                has_failed = true;
                tracing::warn!(
                    %error,
                    "Lease {}/{} cannot be used: nothing is coordinated; apply it as shipped, with get and patch on it",
                    options.lease_namespace,
                    options.lease_name
                );
            }
            Err(_) => {}
        }
        holds.send_replace(false);
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(AGAIN_AFTER) => {}
        }
    }
}

async fn open(
    client: &Client,
    options: &CoordinationOptions,
) -> Result<LeaseManager, kube_lease_manager::LeaseManagerError> {
    LeaseManagerBuilder::new(client.clone(), options.lease_name.clone())
        .with_namespace(options.lease_namespace.clone())
        .with_identity(options.identity.clone())
        .with_duration(LEASE_SECONDS)
        .with_grace(GRACE_SECONDS)
        // Creating Leases would take a right that cannot be bound to a name.
        .with_create_mode(LeaseCreateMode::UseExistent)
        .build()
        .await
}

/// Tells every change; true when it was stopped.
async fn hold(manager: LeaseManager, holds: &watch::Sender<bool>, stop: &CancellationToken) -> bool {
    let (mut state, task) = manager.watch().await;
    loop {
        holds.send_if_modified(|held| {
            let now = *state.borrow_and_update();
            std::mem::replace(held, now) != now
        });
        tokio::select! {
            () = stop.cancelled() => {
                holds.send_replace(false);
                // Without a receiver the manager gives the Lease back and ends.
                drop(state);
                let _ = tokio::time::timeout(RELEASE_WITHIN, task).await;
                return true;
            }
            changed = state.changed() => if changed.is_err() {
                return false;
            }
        }
    }
}
