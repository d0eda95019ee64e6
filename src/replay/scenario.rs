//! What is simulated: orders, goals, workers, nodes, sensors and faults, as a YAML file.
//!
//! Every field has a default; unknown fields are errors; [`Scenario::validate`] names all fields
//! that contradict at once. Times inside a scenario are hours or days since its start, which is
//! a local midnight.

use std::path::{Path, PathBuf};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{DAY, Millis, millis};
use crate::core::CutOff;
use crate::core::demand::calendar::{Calendar, CalendarSpec};
use crate::trigger::yaml;

mod clock;
mod cut_offs;
mod defaults;
pub mod docs;
mod validate;

pub use cut_offs::CutOffMoment;

/// Most orders of one day: more would take memory and hours without end.
pub const MOST_ORDERS_A_DAY: f64 = 5_000_000.0;

/// Why a scenario can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not YAML, or a field of the wrong name or type.
    #[error("{path}:{line}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// Fields that contradict or are out of range, all of them.
    #[error("scenario {name}: {}", .problems.join("; "))]
    Invalid {
        /// The scenario's name.
        name: String,
        /// One sentence a problem, each beginning with the field.
        problems: Vec<String>,
    },
    /// The orders could not be read.
    #[error("scenario {name}: {source}")]
    Orders {
        /// The scenario's name.
        name: String,
        /// Why.
        source: super::orders::OrdersError,
    },
}

/// One world to simulate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Short name for tables and files.
    pub name: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// IANA zone of the wall clock.
    pub time_zone: String,
    /// First day, from local midnight.
    pub start: Date,
    /// Days simulated, warm-up included.
    pub days: u32,
    /// Whether they are those of the wall clock, with 23 or 25 hours where the clocks change, and not of 24 hours
    /// each. A history has such days; a file cannot say it, for its hours are counted from the start.
    #[serde(skip)]
    pub wall_days: bool,
    /// First days that are simulated and not scored.
    pub warm_up_days: u32,
    /// Where the orders come from.
    pub orders: OrderSource,
    /// Days of earlier orders that a policy may learn from (generator: made with the same shape).
    pub history_days: u32,
    /// When an order is late.
    pub goal: Goal,
    /// What people know of the days ahead: the `spec` of a `PeakCalendar`. Its zone is the scenario's
    /// where it names none.
    #[serde(skip_serializing_if = "knows_nothing")]
    #[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")]
    pub calendar: CalendarSpec,
    /// The work.
    pub service: Service,
    /// The worker pods.
    pub pods: Pods,
    /// The nodes under them.
    pub nodes: Nodes,
    /// What can be seen.
    pub sensors: Sensors,
    /// KEDA's and the HPA's timing.
    pub keda: Keda,
}

/// Where orders come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderSource {
    /// A recorded series.
    Trace(Trace),
    /// Made from parameters.
    Generator(Generator),
}

/// A recorded series: CSV with the header `timestamp,count`, local time, regular grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The file; relative to the scenario's own file.
    pub path: PathBuf,
    /// First day taken; default the first of the file.
    #[serde(default)]
    pub from: Option<Date>,
    /// Scales the days taken so that a median day with orders has this many; default as recorded.
    #[serde(default)]
    pub median_day_orders: Option<f64>,
    /// Variance over mean of the orders in one minute; 1 is Poisson. Counts are drawn anew around those recorded (a history of `backtest` keeps its own).
    #[serde(default = "one")]
    pub dispersion: f64,
    /// Draws the rate between the middles of bins, not as steps.
    #[serde(default)]
    pub smooth: bool,
}

fn one() -> f64 {
    1.0
}

fn knows_nothing(calendar: &CalendarSpec) -> bool {
    *calendar == CalendarSpec::default()
}

/// Orders from parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Generator {
    /// Orders on an ordinary day, imports included.
    pub orders_per_day: f64,
    /// Weight of each hour of the week from Monday 00:00 (168 values); empty for the built-in
    /// ordinary week.
    pub week: Vec<f64>,
    /// Variance over mean of the orders in one minute; 1 is Poisson.
    pub dispersion: f64,
    /// Standard deviation of the logarithm of a day's level.
    pub day_deviation: f64,
    /// Standard deviation of the logarithm of the level that wanders within the day.
    pub wander_deviation: f64,
    /// Half-life of that wandering in hours.
    pub wander_half_life_hours: f64,
    /// Batch imports from e-shops; left out, twelve a day of sixty orders, or of fewer where those would be
    /// more than half of the day's.
    pub imports: Option<Imports>,
    /// Flash bursts on top.
    pub bursts: Vec<Burst>,
    /// A peak day.
    pub peak: Option<Peak>,
}

impl Generator {
    /// The imports asked for, or the ordinary ones of a centre of this size.
    pub fn imports(&self) -> Imports {
        self.imports.clone().unwrap_or_else(|| {
            let ordinary = Imports::default();
            let most = 0.5 * self.orders_per_day / ordinary.per_day;
            Imports { orders: ordinary.orders.min(most), ..ordinary }
        })
    }
}

/// Lumps of orders at random times, as when an e-shop hands over a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Imports {
    /// Mean number a day.
    pub per_day: f64,
    /// Mean orders in one (exponentially distributed).
    pub orders: f64,
    /// Seconds over which one arrives.
    pub over_seconds: f64,
}

/// Additional orders at a known moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Day, 0 is the first.
    pub day: u32,
    /// Hour of that day.
    pub at_hour: f64,
    /// Orders.
    pub orders: f64,
    /// Seconds over which they arrive, fading away.
    pub over_seconds: f64,
}

/// A day with many times the ordinary orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// Day, 0 is the first.
    pub day: u32,
    /// How many times an ordinary day.
    pub factor: f64,
    /// Factors of the days just before, the last one for the day before.
    #[serde(default)]
    pub before: Vec<f64>,
    /// Factors of the days just after.
    #[serde(default)]
    pub after: Vec<f64>,
}

/// When an order is late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Goal {
    /// The longest wait before the work starts, in seconds.
    pub target_wait_seconds: Option<f64>,
    /// Carrier cut-offs.
    pub cut_offs: Vec<CutOff>,
}

/// The work of one order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Mean seconds of work.
    pub mean_seconds: f64,
    /// Coefficient of variation (gamma distributed).
    pub variation: f64,
    /// Orders that one worker works on at once.
    pub concurrency: u32,
    /// An order whose worker was killed returns so long after its work began.
    pub visibility_timeout_seconds: f64,
    /// How long a worker told to stop may go on with what it has (Kubernetes' default is 30).
    pub grace_seconds: f64,
    /// Times at which work takes longer.
    pub slow: Vec<Slow>,
}

/// Work takes `factor` times as long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// When.
    pub window: Window,
    /// How many times as long.
    pub factor: f64,
}

/// Some hours of one day or of every day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The day, 0 is the first; every day when absent.
    #[serde(default)]
    pub day: Option<u32>,
    /// Hour of the day at which it begins.
    pub from_hour: f64,
    /// How long.
    pub hours: f64,
}

/// The worker pods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pods {
    /// Mean seconds from a place on a node to Ready.
    pub lead_seconds: f64,
    /// Coefficient of variation of that (log-normal).
    pub lead_variation: f64,
    /// Least replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Replicas ready at the start.
    pub initial: u32,
}

/// The nodes, as Karpenter buys them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nodes {
    /// Mean seconds from the claim to Initialized.
    pub lead_seconds: f64,
    /// Coefficient of variation of that (log-normal).
    pub lead_variation: f64,
    /// Node lead time in force over the one that policies are told.
    pub lead_factor: f64,
    /// Worker pods that fit on one.
    pub pods_per_node: u32,
    /// The pool's limit in nodes; absent for none.
    pub limit: Option<u32>,
    /// The pool's limit as a multiple of the least peak replicas; absent for none.
    pub limit_over_least_peak: Option<f64>,
    /// Seconds an empty node is kept.
    pub consolidate_after_seconds: f64,
    /// Karpenter's batch ends after this many seconds without a new pod ...
    pub batch_idle_seconds: f64,
    /// ... and at the latest after so many.
    pub batch_max_seconds: f64,
}

/// What can be seen, how late and how wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sensors {
    /// Interval of a scaler that samples by itself.
    pub sampling_seconds: f64,
    /// A counter reflects a moment up to so many seconds ago.
    pub queue_lag_seconds: f64,
    /// Relative standard deviation of a counter.
    pub queue_noise: f64,
    /// Share of readings with one or two messages that do not exist.
    pub phantom_share: f64,
    /// Minutes a day, at random, in which the counters read zero.
    pub zero_minutes_per_day: f64,
    /// Where arrivals and completions come from.
    pub throughput: Throughput,
    /// Times at which the queue can't be read.
    pub queue_blackouts: Vec<Window>,
    /// Times whose arrivals and completions never become known.
    pub throughput_blackouts: Vec<Window>,
    /// Whether nodes' free slots and lead times are seen.
    pub cluster: bool,
}

/// Source of arrivals and completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Throughput {
    /// None.
    None,
    /// One-minute intervals, known two to three minutes later.
    Cloudwatch,
    /// Fifteen-second intervals, known 15 to 30 s later.
    Prometheus,
}

/// KEDA's and the HPA's timing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keda {
    /// `pollingInterval`, seconds.
    pub polling_seconds: f64,
    /// `cooldownPeriod`, seconds.
    pub cooldown_seconds: f64,
    /// The HPA's sync period, seconds.
    pub sync_seconds: f64,
}

impl Window {
    /// Whether `time` lies inside.
    pub fn contains(&self, time: Millis) -> bool {
        let from = millis(self.from_hour * 3_600.0);
        let to = from + millis(self.hours * 3_600.0);
        match self.day {
            Some(day) => (from..to).contains(&(time - i64::from(day) * DAY)),
            // a window of every day may reach over midnight
            None => (from..to).contains(&(time % DAY)) || (from..to).contains(&(time % DAY + DAY)),
        }
    }
}

impl Service {
    /// How many times as long work takes that begins at `time`.
    pub fn factor(&self, time: Millis) -> f64 {
        let slow = self.slow.iter().filter(|slow| slow.window.contains(time));
        slow.map(|slow| slow.factor).product()
    }
}

impl Scenario {
    /// Reads, parses and validates a file; a trace's path is taken relative to it.
    ///
    /// # Errors
    /// When the file can't be read, is not a scenario, or contradicts itself.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        let mut scenario = Self::parse(&text).map_err(|error| match error {
            ScenarioError::Parse { line, message, .. } => {
                ScenarioError::Parse { path: path.to_owned(), line, message }
            }
            other @ (ScenarioError::Read { .. }
            | ScenarioError::Invalid { .. }
            | ScenarioError::Orders { .. }) => other,
        })?;
        if let (OrderSource::Trace(trace), Some(folder)) = (&mut scenario.orders, path.parent()) {
            trace.path = folder.join(&trace.path);
        }
        Ok(scenario)
    }

    /// Parses and validates YAML.
    ///
    /// # Errors
    /// When it is not a scenario or contradicts itself.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = yaml::read(text).map_err(|error| ScenarioError::Parse {
            path: PathBuf::from("scenario"),
            line: error.place.line,
            message: error.message,
        })?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// The wall clock's start.
    pub fn origin(&self) -> Timestamp {
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        self.start.to_zoned(zone).map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp())
    }

    /// What people know of the days ahead, its times absolute.
    ///
    /// # Errors
    /// What is wrong with it, each as `calendar.` and the field.
    pub fn known(&self) -> Result<Calendar, Vec<String>> {
        let zone = self.calendar.time_zone.clone().or_else(|| Some(self.time_zone.clone()));
        let spec = CalendarSpec { time_zone: zone, ..self.calendar.clone() };
        let named = |problem: &crate::core::demand::calendar::Problem| format!("calendar.{problem}");
        Calendar::new(&spec).map_err(|problems| problems.iter().map(named).collect())
    }

    /// End of the simulated time.
    pub fn end(&self) -> Millis {
        self.day_start(self.days)
    }

    /// End of the warm-up, from which scores count.
    pub fn scored_from(&self) -> Millis {
        self.day_start(self.warm_up_days)
    }

    /// For each of the sorted `arrivals` the dispatch of the first cut-off it makes.
    pub fn dispatches(&self, arrivals: &[Millis]) -> Vec<Option<Millis>> {
        let cut_offs = self.cut_offs();
        let mut next = 0;
        let dispatch = |&arrival: &Millis| {
            while cut_offs.get(next).is_some_and(|(at, _)| *at < arrival) {
                next += 1;
            }
            cut_offs.get(next).map(|(_, dispatch)| *dispatch)
        };
        arrivals.iter().map(dispatch).collect()
    }

    /// The latest moment at which work on each of the sorted `arrivals` may start: after the
    /// target wait, or its mean work before the dispatch. Never falling: served in order of
    /// arrival, an order before an urgent one is as urgent.
    pub fn due_starts(&self, arrivals: &[Millis]) -> Vec<Millis> {
        let wait = self.goal.target_wait_seconds.map(millis);
        let work = millis(self.service.mean_seconds);
        let dispatches = self.dispatches(arrivals);
        let due = |(&arrival, dispatch): (&Millis, &Option<Millis>)| {
            let by_wait = wait.map_or(Millis::MAX, |wait| arrival + wait);
            dispatch.map_or(by_wait, |dispatch| by_wait.min(dispatch - work))
        };
        let mut dues: Vec<Millis> = arrivals.iter().zip(&dispatches).map(due).collect();
        for index in (1..dues.len()).rev() {
            dues[index - 1] = dues[index - 1].min(dues[index]);
        }
        dues
    }
}

#[cfg(test)]
mod tests;
