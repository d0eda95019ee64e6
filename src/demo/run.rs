//! The live demo: starts every part, moves the centre on in scaled time, ends cleanly.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::autoscaler::{Autoscaler, AutoscalerError, AutoscalerSettings};
use super::centre::{Centre, SCRAPE_EVERY, sample};
use super::cluster::SimulatedCluster;
use super::contenders::Opening;
use super::day::{Day, REGION, Stretch, metadata};
use super::http_server::BoundPort;
use super::metrics_server::{self, Metrics};
use super::page::{self, Feed};
use super::panel::{Panel, Said};
use super::queue_server::{self, Queues};
use super::recorder::Recorder;
use super::score::{DayScore, wall_clock};
use super::standings::{Points, Standings};
use super::terminal::Terminal;
use crate::cli::serve::{Server, Settings};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::observe::allow::AllowList;
use crate::observe::{LiveOptions, LiveSources};
use crate::replay::policies::CorePolicy;
use crate::replay::run::{Cell, Control};
use crate::replay::scenario::{Scenario, ScenarioError};
use crate::replay::units::{HOUR, Millis, timestamp};

/// The ScaledObject of the demo.
const WORKLOAD: (&str, &str) = ("demo", "order-workers");
/// The embedded queue is asked this often, in simulated time.
const SQS_PERIOD: Duration = Duration::from_secs(15);
/// The centre is moved on this often, in real time.
const MOVE_EVERY: Duration = Duration::from_millis(10);
/// Page and terminal are told this often, in real time.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// A machine that lets simulated time leap by more at once reads the queue too late, in milliseconds.
const LONGEST_LEAP: Millis = 2 * 15_000;
/// How long browsers may take to read the last of the stream, in real time.
const LAST_READ: Duration = Duration::from_secs(1);

/// What is played live.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Which day.
    pub day: Day,
    /// What it is drawn from; the scenario file's own when not given.
    pub seed: Option<u64>,
    /// Which part of it.
    pub stretch: Stretch,
    /// Simulated seconds a second.
    pub speed: f64,
    /// Port of the page; 0 for a free one.
    pub port: u16,
}

/// Why the demo cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The page's port.
    #[error("--port {port} cannot be bound on 127.0.0.1: {source}")]
    Port {
        /// As asked for.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// A port of the embedded servers, or a signal handler.
    #[error("starting the demo: {0}")]
    Start(#[from] std::io::Error),
    /// The day's scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The server.
    #[error("starting the server: {0}")]
    Server(String),
    /// The client that scales.
    #[error(transparent)]
    Autoscaler(#[from] AutoscalerError),
    /// A thread of the simulation.
    #[error("the simulation ended: {0}")]
    Simulation(#[from] tokio::task::JoinError),
    /// A second signal.
    #[error("ended by a second signal, before the score was known")]
    Impatient,
}

/// Plays until the end of the stretch or a signal, and gives the score.
///
/// # Errors
/// When a part cannot start, or on a second signal.
pub async fn live(plan: Plan) -> Result<DayScore, DemoError> {
    let page_port =
        BoundPort::bind(plan.port).await.map_err(|source| DemoError::Port { port: plan.port, source })?;
    let (queue_port, metrics_port) = (BoundPort::bind(0).await?, BoundPort::bind(0).await?);
    let mut ending = Ending::listen()?;
    let prepared = tokio::task::spawn_blocking(move || prepare(plan)).await??;
    let Prepared { scenario, standings, centre } = prepared;

    let clock = Clock::scaled(timestamp(scenario.origin(), plan.stretch.from), plan.speed);
    let (stop, cut, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    let feed = Arc::new(Feed::default());
    let queues = Arc::new(Queues::new(queue_port.url(), REGION, clock.clone()));
    let places = Places {
        page: page_port.url(),
        queue_endpoint: queue_port.url(),
        queue: queues.insert("orders", centre.clone()),
        metrics: metrics_port.url(),
    };
    let metrics = Metrics { recorder: centre.recorder(), clock: clock.clone() };
    tasks.spawn(queue_port.serve(queue_server::router(queues), stop.clone()));
    tasks.spawn(metrics_port.serve(metrics_server::router(metrics), stop.clone()));
    tasks.spawn(page_port.serve(page::router(feed.clone(), cut.clone()), stop.clone()));

    let server = start_server(&places, &centre, &clock).await?;
    let autoscaler = connect(&server, &places, &scenario, &centre, &clock).await?;
    tasks.spawn(autoscaler.run(stop.clone()));
    let haste = Arc::new(Haste::default());
    let engine = server.engine().clone();
    let passing = Mover { centre: centre.clone(), clock, engine, to: plan.stretch.to, haste: haste.clone() };
    let moved = tasks.spawn(passing.run(scenario.origin(), stop.clone()));

    let terminal = Terminal::open();
    terminal.say(&opening(&plan, &scenario, &places, &server));
    let panel = Panel::new(scenario, plan.speed);
    let show = Show { panel, centre, feed, terminal, engine: server.engine().clone() };
    let standings = show.until_the_end(standings, &mut ending, moved).await?;
    stop.cancel();
    let score = show.last_word(standings, &mut ending).await;
    if haste.is_too_much() {
        show.terminal.say(&format!(
            "This machine was too busy for {} times the speed: the queue was read late, so the score says little. \
             Choose a lower --speed.",
            plan.speed
        ));
    }

    tasks.close();
    if tokio::time::timeout(LAST_READ, tasks.wait()).await.is_err() {
        cut.cancel();
    }
    server.stop().await;
    tasks.wait().await;
    score
}

/// Where the parts listen.
struct Places {
    page: String,
    queue_endpoint: String,
    queue: String,
    metrics: String,
}

/// What is there before time begins to pass.
struct Prepared {
    scenario: Arc<Scenario>,
    standings: Standings,
    centre: Arc<Centre>,
}

/// Plays the hours before the stretch in the simulator, under the same core.
fn prepare(plan: Plan) -> Result<Prepared, DemoError> {
    let cell = Arc::new(Cell::new(plan.day.scenario(plan.seed)?)?);
    let mut control = Control::new(&cell, CorePolicy::for_scenario(cell.scenario()));
    let recorder = Recorder::default();
    for scrape in 0..=plan.stretch.from / SCRAPE_EVERY {
        control.advance_to(scrape * SCRAPE_EVERY);
        recorder.record(sample(control.world()));
    }
    let world = control.into_world();
    let opening = Opening::of(&world);
    let standings = Standings::start(plan.day, cell.clone(), plan.stretch, opening);
    Ok(Prepared {
        scenario: cell.scenario().clone(),
        standings,
        centre: Arc::new(Centre::new(world, recorder)),
    })
}

/// The server as `serve` runs it, allowed to ask the embedded queue and store.
async fn start_server(places: &Places, centre: &Arc<Centre>, clock: &Clock) -> Result<Server, DemoError> {
    let failed = |error: &dyn std::fmt::Display| DemoError::Server(error.to_string());
    let rules = [&places.queue_endpoint, &places.metrics].map(|url| format!("{}={url}", WORKLOAD.0));
    let credentials = Credentials::new("demo", "demo", None, None, "demo");
    let options = LiveOptions {
        allow: AllowList::parse(&rules, &[], None).map_err(|error| failed(&error))?,
        aws_identity: Some(SharedCredentialsProvider::new(credentials)),
        sqs_period: SQS_PERIOD,
        cluster: Some(Arc::new(SimulatedCluster(centre.clone()))),
        ..LiveOptions::default()
    };
    let sources = LiveSources::new(clock.clone(), options).map_err(|error| failed(&error))?;
    let started = Server::start(&Settings::default(), Arc::new(sources), clock.clone()).await;
    started.map_err(|error| DemoError::Server(format!("{error:#}")))
}

async fn connect(
    server: &Server,
    places: &Places,
    scenario: &Scenario,
    centre: &Arc<Centre>,
    clock: &Clock,
) -> Result<Autoscaler, DemoError> {
    let metadata = metadata(scenario, &places.queue, &places.queue_endpoint, &places.metrics);
    let settings = AutoscalerSettings {
        polling: Duration::from_secs_f64(scenario.keda.polling_seconds),
        sync: Duration::from_secs_f64(scenario.keda.sync_seconds),
        cooldown: Duration::from_secs_f64(scenario.keda.cooldown_seconds),
        min_replicas: scenario.pods.min,
        max_replicas: scenario.pods.max,
    };
    let address = format!("http://{}", server.address());
    Ok(Autoscaler::connect(address, WORKLOAD, metadata, clock.clone(), settings, centre.clone()).await?)
}

/// The first lines in the terminal.
fn opening(plan: &Plan, scenario: &Scenario, places: &Places, server: &Server) -> String {
    let hour = |time: Millis| wall_clock(time as f64 / HOUR as f64);
    format!(
        "peakscaler demo: {} ({}), {} to {} at {} times the speed; wait {} s, pods {} s, nodes {} s\n\
         \x20 live page   {}/\n\
         \x20 scaler      {} (gRPC), http://{}/metrics\n\
         \x20 queue       {} (SQS protocol)\n\
         \x20 throughput  {} (Prometheus protocol)\n\
         Ctrl-C ends it and prints the score.",
        plan.day.name(),
        scenario.start.strftime("%A %Y-%m-%d"),
        hour(plan.stretch.from),
        hour(plan.stretch.to),
        plan.speed,
        scenario.goal.target_wait_seconds.unwrap_or_default(),
        scenario.pods.lead_seconds,
        scenario.nodes.lead_seconds,
        places.page,
        server.address(),
        server.admin_address(),
        places.queue,
        places.metrics,
    )
}

/// SIGINT and SIGTERM.
struct Ending {
    interrupt: Signal,
    terminate: Signal,
}

impl Ending {
    fn listen() -> Result<Self, std::io::Error> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whether the machine keeps up with simulated time.
#[derive(Debug, Default)]
struct Haste {
    passed: AtomicI64,
    leapt: AtomicI64,
}

impl Haste {
    fn passed(&self, by: Millis) {
        self.passed.fetch_add(by, Ordering::Relaxed);
        if by > LONGEST_LEAP {
            self.leapt.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// More than a twentieth of the time passed in leaps.
    fn is_too_much(&self) -> bool {
        self.leapt.load(Ordering::Relaxed) * 20 > self.passed.load(Ordering::Relaxed)
    }
}

/// Lets simulated time pass.
struct Mover {
    centre: Arc<Centre>,
    clock: Clock,
    engine: Engine,
    to: Millis,
    haste: Arc<Haste>,
}

impl Mover {
    /// Until the end of the stretch or `stop`.
    async fn run(self, origin: Timestamp, stop: CancellationToken) {
        let mut beats = tokio::time::interval(MOVE_EVERY);
        let mut before: Option<Millis> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = beats.tick() => {}
            }
            let passed = self.clock.now().duration_since(origin).as_millis();
            let now = Millis::try_from(passed).unwrap_or(self.to).min(self.to);
            self.haste.passed(now - before.replace(now).unwrap_or(now));
            // What a capacity buffer in a cluster would be set to.
            if let Some(buffer) = Said::by(&self.engine).buffer {
                self.centre.set_buffer(buffer);
            }
            self.centre.advance_to(now);
            if now >= self.to {
                return;
            }
        }
    }
}

/// Tells page and terminal.
struct Show {
    panel: Panel,
    centre: Arc<Centre>,
    feed: Arc<Feed>,
    terminal: Terminal,
    engine: Engine,
}

impl Show {
    /// Shows the centre until it has come to its end or somebody asks to end.
    async fn until_the_end(
        &self,
        mut standings: Standings,
        ending: &mut Ending,
        mut moved: JoinHandle<()>,
    ) -> Result<Standings, DemoError> {
        let mut beats = tokio::time::interval(SHOW_EVERY);
        loop {
            let last = tokio::select! {
                () = ending.asked() => true,
                _ = &mut moved => true,
                _ = beats.tick() => false,
            };
            standings = self.show(standings, last).await?;
            if last {
                return Ok(standings);
            }
        }
    }

    /// One picture.
    async fn show(&self, mut standings: Standings, last: bool) -> Result<Standings, DemoError> {
        let centre = self.centre.clone();
        let update = move || {
            let (points, standing) = standings.update(&centre);
            (standings, points, standing)
        };
        let (standings, points, standing) = tokio::task::spawn_blocking(update).await?;
        let state = self.panel.state(&self.centre, &Said::by(&self.engine), &standing, last);
        self.terminal.show(&self.panel.line(&state), &state.reason);
        match points {
            Points::More(points) => self.feed.publish(state, points),
            Points::All(points) => self.feed.replace(state, points),
        }
        Ok(standings)
    }

    /// The score, for which the search may have to be waited for.
    async fn last_word(&self, standings: Standings, ending: &mut Ending) -> Result<DayScore, DemoError> {
        self.terminal.close();
        if !standings.is_complete() {
            self.terminal.say(
                "looking for KEDA's best queueLength and the best fixed fleet; Ctrl-C once more goes without",
            );
        }
        let centre = self.centre.clone();
        tokio::select! {
            score = tokio::task::spawn_blocking(move || standings.finish(&centre)) => Ok(score?),
            () = ending.asked() => Err(DemoError::Impatient),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_leaps_is_too_busy() {
        let haste = Haste::default();
        (0..1_000).for_each(|_| haste.passed(6_000));
        assert!(!haste.is_too_much());
        (0..10).for_each(|_| haste.passed(60_000));
        assert!(haste.is_too_much());
    }
}
