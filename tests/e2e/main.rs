//! Scenarios on a real cluster: Kubernetes, KEDA, Karpenter and an SQS server as plain processes.
//!
//! `scripts/e2e.sh` builds the parts and calls this; a plain `cargo test` says that it was skipped. See `e2e/README.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../commands/support.rs"]
#[expect(dead_code, reason = "the tests of the commands use more of it")]
mod commands;
#[path = "../support/mod.rs"]
mod parts;
mod run;
mod scenarios;
mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use support::cluster::Cluster;

/// Set by `scripts/e2e.sh`: the parts are built.
const BUILT: &str = "PEAKSCALER_E2E";
/// Directory of a cluster that runs already, in place of one for this run.
const CLUSTER: &str = "PEAKSCALER_E2E_CLUSTER";
/// Kubeconfig of somebody else's cluster, in place of one for this run.
const KUBECONFIG: &str = "PEAKSCALER_E2E_KUBECONFIG";

fn main() -> ExitCode {
    if std::env::var_os(BUILT).is_none() {
        println!("e2e: skipped, `make e2e` builds a cluster and runs it");
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let result = runtime.block_on(async {
        match &arguments[..] {
            ["up"] => up(&kept()).await,
            ["down"] => down(&kept()).await,
            ["down", directory] => down(Path::new(directory)).await,
            ["report"] => support::report::page().map(|page| print!("{page}")),
            names => run::run(names, place()).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn place() -> run::Where {
    let path = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let kept = path(CLUSTER).map(run::Where::Kept);
    kept.or_else(|| path(KUBECONFIG).map(run::Where::Foreign)).unwrap_or(run::Where::Own)
}

/// Where `make e2e-up` keeps its cluster.
fn kept() -> PathBuf {
    run::directory().join("kept")
}

async fn up(directory: &Path) -> anyhow::Result<()> {
    if support::process::is_running(directory, "apiserver") {
        println!("it runs already");
    } else {
        let _ = std::fs::remove_dir_all(directory);
        Cluster::up(directory).await.context("the cluster does not start")?;
    }
    let cluster = Cluster::found(directory).await?;
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("SQS: http://127.0.0.1:{}", cluster.ports.sqs);
    println!("one scenario in it: {CLUSTER}={} scripts/e2e.sh run exactness", directory.display());
    println!("end it: make e2e-down");
    Ok(())
}

async fn down(directory: &Path) -> anyhow::Result<()> {
    Cluster::down(directory).await?;
    println!("no process of {} is left", directory.display());
    Ok(())
}
