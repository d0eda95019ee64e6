//! One run: a cluster, the scenarios stage by stage, and what they showed.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::stream::{self, StreamExt as _};
use peakscaler::clock::Stopwatch;

use crate::scenarios::{ALL, Scenario};
use crate::support::cluster::Cluster;
use crate::support::process;
use crate::support::report::Outcome;
use crate::support::scene::Scene;

/// No scenario may take longer.
const LIMIT: Duration = Duration::from_mins(20);
/// More of them side by side would wait for two cores.
const AT_ONCE: usize = 6;

/// Where clusters live.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/e2e")
}

/// Runs the named scenarios, or all, in a cluster of this run or the one in `existing`.
pub(crate) async fn run(names: &[&str], existing: Option<PathBuf>) -> anyhow::Result<()> {
    let chosen = choose(names)?;
    let watch = Stopwatch::start();
    let directory =
        existing.clone().unwrap_or_else(|| directory().join(format!("run-{}", std::process::id())));
    let cluster = match &existing {
        Some(directory) => Cluster::found(directory).await?,
        None => Cluster::up(&directory).await.context("the cluster does not start")?,
    };
    println!("the cluster is there after {:.0} s, in {}", watch.elapsed().as_secs_f64(), directory.display());
    let outcomes = in_stages(&Rc::new(cluster), &chosen).await;
    if existing.is_none() {
        Cluster::down(&directory).await?;
    }
    println!("\n{:.0} s in all", watch.elapsed().as_secs_f64());
    let mut failed = Vec::new();
    for outcome in outcomes {
        let state = outcome.failure.as_deref().map_or("passed", |_| "FAILED");
        println!("{state}  {:<16} {:>5.0} s  {}", outcome.scenario, outcome.seconds, outcome.proves);
        if let Some(failure) = &outcome.failure {
            println!("        {failure}");
            failed.push(outcome.scenario.clone());
        }
    }
    if failed.is_empty() {
        if existing.is_none() {
            std::fs::remove_dir_all(&directory)?;
        }
        return Ok(());
    }
    bail!("failed: {}; the logs are in {}", failed.join(", "), directory.join("log").display())
}

fn choose(names: &[&str]) -> anyhow::Result<Vec<(usize, &'static Scenario)>> {
    for name in names {
        let known: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        ensure!(known.contains(name), "no scenario is called {name:?}; there are {}", known.join(", "));
    }
    let is_chosen = |scenario: &Scenario| names.is_empty() || names.contains(&scenario.name);
    Ok(ALL.iter().enumerate().filter(|(_, scenario)| is_chosen(scenario)).collect())
}

async fn in_stages(cluster: &Rc<Cluster>, chosen: &[(usize, &'static Scenario)]) -> Vec<Outcome> {
    let mut stages: Vec<u8> = chosen.iter().map(|(_, scenario)| scenario.stage).collect();
    stages.sort_unstable();
    stages.dedup();
    let mut outcomes = Vec::new();
    for stage in stages {
        let together = chosen.iter().filter(|(_, scenario)| scenario.stage == stage);
        let runs = together.map(|(order, scenario)| one(cluster.clone(), *order, scenario));
        outcomes.extend(stream::iter(runs).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    }
    outcomes.sort_by_key(|outcome| outcome.order);
    outcomes
}

async fn one(cluster: Rc<Cluster>, order: usize, scenario: &'static Scenario) -> Outcome {
    let watch = Stopwatch::start();
    let mut outcome = Outcome {
        scenario: scenario.name.to_owned(),
        proves: scenario.proves.to_owned(),
        order,
        failure: None,
        seconds: 0.0,
        figures: Vec::new(),
        timeline: Vec::new(),
    };
    let result = match Scene::begin(cluster, scenario.name).await {
        Ok(scene) => {
            let result = tokio::time::timeout(LIMIT, (scenario.run)(&scene)).await;
            let result =
                result.unwrap_or_else(|_| Err(anyhow::anyhow!("took longer than {} s", LIMIT.as_secs())));
            if let Err(error) = &result {
                scene.tell(format!("FAILED: {error:#}"));
                show_state(&scene).await;
            }
            (outcome.figures, outcome.timeline) = scene.seen();
            result.and(scene.end().await)
        }
        Err(error) => Err(error),
    };
    outcome.failure = result.err().map(|error| format!("{error:#}"));
    outcome.seconds = watch.elapsed().as_secs_f64();
    if let Err(error) = outcome.write() {
        outcome.failure.get_or_insert(format!("{error:#}"));
    }
    outcome
}

/// What a person would look at first.
async fn show_state(scene: &Scene) {
    let mut asked = vec!["get", "scaledobjects,hpa,deployments", "-o", "wide", "-n", &scene.namespace];
    for _ in 0..2 {
        let said = scene.cluster.kubectl(&asked).await.unwrap_or_else(|error| format!("{error:#}"));
        println!("--- kubectl {}\n{said}", asked.join(" "));
        asked = vec![
            "get",
            "events",
            "-n",
            &scene.namespace,
            "--sort-by=.lastTimestamp",
            "--field-selector=type=Warning",
        ];
    }
    for name in scene.processes() {
        println!("--- the end of {name}.log\n{}", process::last_words(&scene.cluster.run, &name, 8));
    }
}
