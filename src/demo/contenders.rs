//! Who is compared: each in a centre of its own, on the same orders.

use serde::Serialize;

use super::day::Stretch;
use super::page::state::PeerPoint;
use super::score::{Account, Judge, Lateness, Line};
use crate::replay::ScalingPolicy;
use crate::replay::least::least_peak;
use crate::replay::policies::{CorePolicy, Fixed, KedaSqs};
use crate::replay::run::{Cell, Control};
use crate::replay::units::{Millis, SECOND, ceil, seconds};
use crate::replay::world::World;

/// Values of `queueLength` that are tried.
const QUEUE_LENGTHS: [u32; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 25, 30, 40, 50, 70, 100];
/// Wanted replicas are looked at this often for the peak; they only change at syncs.
const LOOK_EVERY: Millis = 5 * SECOND;
/// A fixed fleet of up to this share above the least possible is tried.
const FLEET_OVER_LEAST: f64 = 1.25;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// This program.
    Ours,
    /// KEDA's `aws-sqs-queue`.
    Keda,
    /// A fleet of constant size.
    Fixed,
}

impl Kind {
    /// As in the page's data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Keda => "keda",
            Self::Fixed => "fixed",
        }
    }
}

/// A centre under one policy, and what it had cost when its stretch began.
pub struct Contender {
    kind: Kind,
    name: String,
    control: Control<Box<dyn ScalingPolicy + Send>>,
    opening: Opening,
    peak: u32,
}

/// What a centre had cost when its stretch began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opening {
    replica_seconds: f64,
    work_seconds: f64,
}

impl Opening {
    /// At the world's present moment.
    pub fn of(world: &World) -> Self {
        let account = Account::of(world);
        Self { replica_seconds: account.replica_seconds, work_seconds: account.work_seconds }
    }

    /// The line of a centre that has come from this opening to `account`.
    pub fn line(self, kind: Kind, name: String, account: &Account, lateness: Lateness, peak: u32) -> Line {
        let replica_seconds = account.replica_seconds - self.replica_seconds;
        let work_seconds = account.work_seconds - self.work_seconds;
        Line {
            kind,
            name,
            late_orders: lateness.late,
            replica_hours: replica_seconds / 3_600.0,
            hours_over_work: (work_seconds > 0.0).then(|| replica_seconds / work_seconds),
            peak_replicas: peak,
        }
    }
}

impl Contender {
    fn new(
        cell: &Cell,
        kind: Kind,
        name: String,
        policy: Box<dyn ScalingPolicy + Send>,
        stretch: Stretch,
    ) -> Self {
        let mut control = Control::new(cell, policy);
        control.advance_to(stretch.from);
        let (opening, peak) = (Opening::of(control.world()), control.world().wanted());
        Self { kind, name, control, opening, peak }
    }

    /// This program's core, at the beginning of the stretch.
    pub fn ours(cell: &Cell, stretch: Stretch) -> Self {
        let policy = CorePolicy::for_scenario(cell.scenario());
        Self::new(cell, Kind::Ours, "peakscaler".to_owned(), Box::new(policy), stretch)
    }

    fn keda(cell: &Cell, queue_length: u32, stretch: Stretch) -> Self {
        let policy = KedaSqs::with_queue_length(f64::from(queue_length));
        let name = format!("KEDA aws-sqs-queue, queueLength {queue_length}");
        Self::new(cell, Kind::Keda, name, Box::new(policy), stretch)
    }

    fn fixed(cell: &Cell, replicas: u32, stretch: Stretch) -> Self {
        let name = format!("fixed fleet of {replicas}");
        Self::new(cell, Kind::Fixed, name, Box::new(Fixed::new(replicas)), stretch)
    }

    /// Plays on until `time`.
    pub fn advance_to(&mut self, time: Millis) {
        let mut at = self.world().now();
        while at < time {
            at = (at + LOOK_EVERY).min(time);
            self.control.advance_to(at);
            self.peak = self.peak.max(self.world().wanted());
        }
    }

    /// The centre as it is drawn beside ours.
    pub fn peer_point(&self) -> PeerPoint {
        let world = self.world();
        PeerPoint {
            backlog: world.backlog(),
            ready: world.ready(),
            oldest_wait_seconds: world.oldest_wait().map_or(0.0, seconds),
        }
    }

    /// The centre.
    pub fn world(&self) -> &World {
        self.control.world()
    }

    /// Who decides.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The score so far.
    pub fn line(&self, judge: &Judge, stretch: Stretch) -> (Line, Lateness) {
        let account = Account::of(self.world());
        let lateness = judge.count(&account.outcomes, stretch);
        (self.opening.line(self.kind, self.name.clone(), &account, lateness, self.peak), lateness)
    }
}

/// The settings with which the rivals do best, in hindsight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rivals {
    /// KEDA's `queueLength`.
    pub queue_length: u32,
    /// Replicas of the fixed fleet.
    pub fleet: u32,
}

impl Rivals {
    /// Tries them on the stretch: fewest late orders, then fewest replica-hours.
    pub fn find(cell: &Cell, judge: &Judge, stretch: Stretch) -> Self {
        let least_peak = least_peak(cell.scenario(), cell.orders(), stretch.from, stretch.to);
        let least = ceil(least_peak).max(1);
        let most = ceil(least_peak * FLEET_OVER_LEAST).max(least);
        let fleets: Vec<u32> = (least..=most).step_by(((most - least) / 8 + 1) as usize).collect();
        let best = |values: &[u32], contender: fn(&Cell, u32, Stretch) -> Contender| {
            in_parallel(values, |value| cost(contender(cell, value, stretch), judge, stretch))
        };
        Self { queue_length: best(&QUEUE_LENGTHS, Contender::keda), fleet: best(&fleets, Contender::fixed) }
    }

    /// Both at the beginning of the stretch.
    pub fn contenders(self, cell: &Cell, stretch: Stretch) -> [Contender; 2] {
        [Contender::keda(cell, self.queue_length, stretch), Contender::fixed(cell, self.fleet, stretch)]
    }
}

/// Late orders first, replica-hours second.
fn cost(mut contender: Contender, judge: &Judge, stretch: Stretch) -> (u64, f64) {
    contender.advance_to(stretch.to);
    let (line, lateness) = contender.line(judge, stretch);
    (lateness.late, line.replica_hours)
}

/// The value of the least cost, tried on all cores.
fn in_parallel(values: &[u32], cost: impl Fn(u32) -> (u64, f64) + Sync) -> u32 {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = values.len().div_ceil(threads).max(1);
    let costs: Vec<(u32, (u64, f64))> = std::thread::scope(|scope| {
        let cost = &cost;
        let parts: Vec<_> = values
            .chunks(share)
            .map(|part| {
                scope.spawn(move || part.iter().map(|value| (*value, cost(*value))).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().filter_map(|part| part.join().ok()).flatten().collect()
    });
    let least = costs.iter().min_by(|(_, (late, hours)), (_, (other_late, other_hours))| {
        late.cmp(other_late).then(hours.total_cmp(other_hours))
    });
    least.map_or(values.first().copied().unwrap_or(1), |(value, _)| *value)
}
