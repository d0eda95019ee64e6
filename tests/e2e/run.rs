//! One run: a cluster, the scenarios stage by stage, and what they showed.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::stream::{self, StreamExt as _};
use peakscaler::clock::Stopwatch;

use crate::scenarios::{ALL, Needs, Scenario};
use crate::support::cluster::Cluster;
use crate::support::process;
use crate::support::report::{self, Outcome};
use crate::support::scene::Scene;

/// No scenario may take longer.
const LIMIT: Duration = Duration::from_mins(20);
/// More of them side by side would wait for two cores.
const AT_ONCE: usize = 6;

/// Where clusters live.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/e2e")
}

/// The cluster that scenarios run in.
pub(crate) enum Where {
    /// One for this run alone.
    Own,
    /// One of ours that runs already, in this directory.
    Kept(PathBuf),
    /// Somebody else's, by its kubeconfig.
    Foreign(PathBuf),
}

/// Runs the named scenarios, or all.
pub(crate) async fn run(names: &[&str], place: Where) -> anyhow::Result<()> {
    let chosen = choose(names)?;
    let watch = Stopwatch::start();
    let own = directory().join(format!("run-{}", std::process::id()));
    let (cluster, directory) = match &place {
        Where::Own => (Cluster::up(&own).await, own.clone()),
        Where::Kept(directory) => (Cluster::found(directory).await, directory.clone()),
        Where::Foreign(kubeconfig) => (Cluster::foreign(&own, kubeconfig).await, own.clone()),
    };
    let cluster = cluster.context("the cluster does not start")?;
    println!("the cluster is there after {:.0} s, in {}", watch.elapsed().as_secs_f64(), directory.display());
    let chosen = possible(&cluster, chosen).await;
    let is_whole = chosen.len() == ALL.len();
    let figures = report::directory(is_whole);
    report::begin(&figures)?;
    let outcomes = in_stages(&Rc::new(cluster), &chosen, &figures).await;
    if directory == own {
        Cluster::down(&own).await?;
    }
    let seconds = watch.elapsed().as_secs_f64();
    println!("\n{seconds:.0} s in all");
    let failed = told(&outcomes);
    if !failed.is_empty() {
        bail!("failed: {}; the logs are in {}", failed.join(", "), directory.join("log").display());
    }
    if is_whole {
        report::end(&figures, seconds)?;
    }
    if directory == own {
        std::fs::remove_dir_all(&own)?;
    }
    Ok(())
}

/// Prints how each went; returns the names of those that failed.
fn told(outcomes: &[Outcome]) -> Vec<&str> {
    let mut failed = Vec::new();
    for outcome in outcomes {
        let state = outcome.failure.as_deref().map_or("passed", |_| "FAILED");
        println!("{state}  {:<16} {:>5.0} s  {}", outcome.scenario, outcome.seconds, outcome.proves);
        if let Some(failure) = &outcome.failure {
            println!("        {failure}");
            failed.push(outcome.scenario.as_str());
        }
    }
    failed
}

type Chosen = (usize, &'static Scenario);

fn choose(names: &[&str]) -> anyhow::Result<Vec<Chosen>> {
    for name in names {
        let known: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        ensure!(known.contains(name), "no scenario is called {name:?}; there are {}", known.join(", "));
    }
    let is_chosen = |scenario: &Scenario| names.is_empty() || names.contains(&scenario.name);
    Ok(ALL.iter().enumerate().filter(|(_, scenario)| is_chosen(scenario)).collect())
}

/// Those of the chosen scenarios that the cluster has all for; the others are named.
async fn possible(cluster: &Cluster, chosen: Vec<Chosen>) -> Vec<Chosen> {
    let (has_parts, has_nodes) = (cluster.has_parts(), cluster.has_nodes().await);
    let mut possible = Vec::new();
    for (order, scenario) in chosen {
        let missing = match scenario.needs {
            Needs::Parts if !has_parts => "it stops parts of the cluster, or looks into them",
            Needs::Nodes if !has_nodes => "there is no Karpenter with kwok's nodes",
            Needs::Keda | Needs::Nodes | Needs::Parts => {
                possible.push((order, scenario));
                continue;
            }
        };
        println!("skipped {}: {missing}", scenario.name);
    }
    possible
}

async fn in_stages(cluster: &Rc<Cluster>, chosen: &[Chosen], figures: &Path) -> Vec<Outcome> {
    let mut stages: Vec<u8> = chosen.iter().map(|(_, scenario)| scenario.stage).collect();
    stages.sort_unstable();
    stages.dedup();
    let mut outcomes = Vec::new();
    for stage in stages {
        let together = chosen.iter().filter(|(_, scenario)| scenario.stage == stage);
        let runs = together.map(|(order, scenario)| one(cluster.clone(), *order, scenario, figures));
        outcomes.extend(stream::iter(runs).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    }
    outcomes.sort_by_key(|outcome| outcome.order);
    outcomes
}

async fn one(cluster: Rc<Cluster>, order: usize, scenario: &'static Scenario, figures: &Path) -> Outcome {
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
    if let Err(error) = outcome.write(figures) {
        outcome.failure.get_or_insert(format!("{error:#}"));
    }
    outcome
}

/// What a person would look at first.
async fn show_state(scene: &Scene) {
    let asked: [&[&str]; 3] = [
        &["get", "scaledobjects,hpa,deployments", "-o", "wide"],
        &["get", "pods", "-o", "wide", "--field-selector=status.phase!=Running"],
        &["get", "events", "--sort-by=.lastTimestamp", "--field-selector=type=Warning"],
    ];
    for asked in asked {
        let arguments = [asked, &["-n", &scene.namespace]].concat();
        let said = scene.cluster.kubectl(&arguments).await.unwrap_or_else(|error| format!("{error:#}"));
        println!("--- kubectl {}\n{said}", arguments.join(" "));
    }
    for name in scene.processes() {
        println!("--- the end of {name}.log\n{}", process::last_words(&scene.cluster.run, &name, 8));
    }
}
