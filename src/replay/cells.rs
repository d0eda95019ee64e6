//! The benchmark's cells, built from parameters: slack to lead time, times what happens.

use jiff::{ToSpan, civil::Date};

use super::scenario::{
    Burst, Generator, Goal, Nodes, OrderSource, Peak, Pods, Scenario, Sensors, Service, Slow, Window,
};
use crate::core::CutOff;
use crate::core::demand::calendar::{CalendarSpec, PeakSpec};

/// Days of earlier orders that a policy may learn from.
const HISTORY_DAYS: u32 = 28;
/// Runs of different seeds that make up a cell of the benchmark ...
const RUNS: u64 = 3;
/// ... and the scored days of each: a peak week is among them in each run.
const DAYS_A_RUN: u32 = 10;

/// How much slack there is, against the lead times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regime {
    /// Name in tables.
    pub name: &'static str,
    /// Target wait in seconds; `None` with cut-offs alone deciding beside two hours.
    pub wait_seconds: f64,
    /// Pod lead time in seconds.
    pub pod_seconds: f64,
    /// Node lead time in seconds.
    pub node_seconds: f64,
    /// Whether carriers cut off at 14:00 and 17:30.
    pub cut_offs: bool,
}

/// The regimes of the benchmark.
pub const REGIMES: [Regime; 4] = [
    Regime { name: "900", wait_seconds: 900.0, pod_seconds: 30.0, node_seconds: 80.0, cut_offs: false },
    Regime { name: "300", wait_seconds: 300.0, pod_seconds: 45.0, node_seconds: 100.0, cut_offs: false },
    Regime { name: "120", wait_seconds: 120.0, pod_seconds: 45.0, node_seconds: 100.0, cut_offs: false },
    Regime {
        name: "cut-offs",
        wait_seconds: 7_200.0,
        pod_seconds: 45.0,
        node_seconds: 100.0,
        cut_offs: true,
    },
];

/// What happens in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// Ordinary weeks.
    Normal,
    /// A peak day of six times an ordinary one, with its ramp, that nobody wrote into the calendar.
    BlackFriday,
    /// The same peak, and it is in the calendar.
    KnownBlackFriday,
    /// Two sudden bursts.
    FlashBurst,
    /// Work takes 1.8 times as long from 13:00 to 17:00, on every other day.
    SlowService,
    /// The pool ends at 1.3 times the least peak.
    NodeLimit,
    /// Counters of ten times the ordinary noise.
    QueueNoise,
    /// No history to forecast from, and for six busy hours a day no arrivals and completions.
    ForecastBlackout,
    /// Nodes take twice as long as everybody believes.
    SlowNodes,
    /// The queue can't be read for ten minutes, at noon.
    QueueBlackout,
}

/// All that can happen.
pub const HAPPENINGS: [Happening; 10] = [
    Happening::Normal,
    Happening::BlackFriday,
    Happening::KnownBlackFriday,
    Happening::FlashBurst,
    Happening::SlowService,
    Happening::NodeLimit,
    Happening::QueueNoise,
    Happening::ForecastBlackout,
    Happening::SlowNodes,
    Happening::QueueBlackout,
];

impl Happening {
    /// Name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::BlackFriday => "black-friday",
            Self::KnownBlackFriday => "known-black-friday",
            Self::FlashBurst => "flash-burst",
            Self::SlowService => "slow-service",
            Self::NodeLimit => "node-limit",
            Self::QueueNoise => "queue-noise",
            Self::ForecastBlackout => "forecast-blackout",
            Self::SlowNodes => "slow-nodes",
            Self::QueueBlackout => "queue-blackout",
        }
    }
}

/// The scenario of one cell: a Saturday as warm-up, then `days` scored days; the peak day is the
/// Friday after.
pub fn cell(regime: Regime, happening: Happening, days: u32, seed: u64) -> Scenario {
    let mut generator = Generator::default();
    let mut calendar = CalendarSpec::default();
    let mut history_days = HISTORY_DAYS;
    let mut nodes = Nodes { lead_seconds: regime.node_seconds, ..Nodes::default() };
    let mut sensors = Sensors::default();
    let mut service = Service::default();
    match happening {
        Happening::Normal => {}
        Happening::BlackFriday | Happening::KnownBlackFriday => {
            let peak = Peak {
                day: 6.min(days),
                factor: 6.0,
                before: vec![1.2, 1.4, 1.8],
                after: vec![2.2, 1.8, 2.5, 1.3],
            };
            if happening == Happening::KnownBlackFriday {
                calendar = written_down(&peak, Scenario::default().start);
            }
            generator.peak = Some(peak);
        }
        Happening::FlashBurst => {
            generator.bursts = (1..=days).flat_map(flash).collect();
        }
        Happening::SlowService => service.slow = (1..=days).step_by(2).map(slow_afternoon).collect(),
        Happening::NodeLimit => nodes.limit_over_least_peak = Some(1.3),
        Happening::QueueNoise => {
            sensors.queue_noise = 0.2;
            sensors.phantom_share = 0.2;
            sensors.zero_minutes_per_day = 6.0;
            sensors.queue_lag_seconds = 30.0;
        }
        Happening::ForecastBlackout => {
            history_days = 0;
            sensors.throughput_blackouts = vec![Window { day: None, from_hour: 9.0, hours: 6.0 }];
        }
        Happening::SlowNodes => nodes.lead_factor = 2.0,
        Happening::QueueBlackout => {
            sensors.queue_blackouts = vec![Window { day: None, from_hour: 12.0, hours: 1.0 / 6.0 }];
        }
    }
    Scenario {
        name: format!("{} {}", regime.name, happening.name()),
        seed,
        days: days + 1,
        history_days,
        calendar,
        orders: OrderSource::Generator(generator),
        goal: goal(regime),
        service,
        pods: Pods { lead_seconds: regime.pod_seconds, ..Pods::default() },
        nodes,
        sensors,
        ..Scenario::default()
    }
}

/// The cells of the benchmark: what can happen at each slack, a queue that can't be read at one of
/// them, and what matters most with carriers' cut-offs.
pub fn benchmark() -> Vec<(Regime, Happening)> {
    let with_cut_offs =
        [Happening::Normal, Happening::BlackFriday, Happening::KnownBlackFriday, Happening::SlowService];
    let cells = REGIMES.into_iter().flat_map(|regime| HAPPENINGS.map(|happening| (regime, happening)));
    let run = |regime: &Regime, happening: &Happening| {
        if regime.cut_offs {
            with_cut_offs.contains(happening)
        } else {
            *happening != Happening::QueueBlackout || *regime == REGIMES[1]
        }
    };
    cells.filter(|(regime, happening)| run(regime, happening)).collect()
}

/// The runs that make up a cell of the benchmark, each with its own seed.
pub fn runs(regime: Regime, happening: Happening, seed: u64) -> Vec<Scenario> {
    (seed..seed + RUNS).map(|seed| cell(regime, happening, DAYS_A_RUN, seed)).collect()
}

/// Ordinary weeks before those that are scored, on which peers are tuned.
pub fn earlier_weeks(regime: Regime, seed: u64) -> Scenario {
    cell(regime, Happening::Normal, 7, seed ^ 0x7a1e)
}

/// A peak with its ramp as an operator writes it into the calendar: a factor a day.
fn written_down(peak: &Peak, start: Date) -> CalendarSpec {
    let first = i64::from(peak.day) - i64::try_from(peak.before.len()).unwrap_or(0);
    let factors = peak.before.iter().chain([&peak.factor]).chain(&peak.after);
    let day = |(offset, uplift): (i64, &f64)| {
        let date = start.saturating_add(offset.days()).to_string();
        PeakSpec {
            name: format!("peak {date}"),
            from: date.clone(),
            to: date,
            uplift: Some(*uplift),
            ..PeakSpec::default()
        }
    };
    CalendarSpec { peaks: (first..).zip(factors).map(day).collect(), ..CalendarSpec::default() }
}

fn goal(regime: Regime) -> Goal {
    let cut_off = |name: &str, hour: f64, within_minutes: f64| CutOff {
        name: name.to_owned(),
        weekdays: [true; 7],
        at_seconds_of_day: super::units::ceil(hour * 3_600.0),
        within_seconds: within_minutes * 60.0,
    };
    let cut_offs = if regime.cut_offs {
        vec![cut_off("DPD", 14.0, 45.0), cut_off("PPL", 17.5, 30.0)]
    } else {
        Vec::new()
    };
    Goal { target_wait_seconds: Some(regime.wait_seconds), cut_offs }
}

fn flash(day: u32) -> [Burst; 2] {
    let burst = |at_hour, orders, over_seconds| Burst { day, at_hour, orders, over_seconds };
    [burst(10.25, 1_500.0, 600.0), burst(20.0, 2_500.0, 1_200.0)]
}

fn slow_afternoon(day: u32) -> Slow {
    Slow { window: Window { day: Some(day), from_hour: 13.0, hours: 4.0 }, factor: 1.8 }
}
