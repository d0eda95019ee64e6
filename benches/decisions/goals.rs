//! The goals, and whether they are reached.

use peakscaler::replay::score::Score;

use super::run::CellResult;

/// Peers that have seen the very days they are scored on: shown, but nobody could run them.
const HINDSIGHT: [&str; 2] = ["fixed fleet", "keda sqs hindsight"];
/// The regimes that differ in their wait alone.
const WAITS: [&str; 3] = ["900", "300", "120"];
/// Share that a troubled cell may cost more than our own ordinary weeks.
const COST_MARGIN: f64 = 1.05;

/// One goal.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) found: String,
    pub(crate) reached: bool,
}

impl CellResult {
    /// Name in tables.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.regime, self.happening)
    }

    /// Ours as it runs.
    pub(crate) fn ours(&self) -> &Score {
        &self.scores[0]
    }

    /// All peers.
    pub(crate) fn peers(&self) -> &[Score] {
        &self.scores[self.ours..]
    }

    /// The peer that could have been run with the fewest late orders; of several, the cheapest.
    pub(crate) fn best_peer(&self) -> &Score {
        let could_be_run = self.peers().iter().filter(|peer| !HINDSIGHT.contains(&peer.policy.as_str()));
        let best = could_be_run.min_by(|one, other| {
            one.late.cmp(&other.late).then(one.replica_hours.total_cmp(&other.replica_hours))
        });
        best.unwrap_or(self.ours())
    }

    /// Peers that are neither later nor dearer than ours, hindsight included.
    pub(crate) fn lost_to(&self) -> Vec<&Score> {
        let ours = self.ours();
        let wins = |peer: &&Score| {
            peer.late <= ours.late
                && peer.replica_hours <= ours.replica_hours
                && (peer.late < ours.late || peer.replica_hours < ours.replica_hours)
        };
        self.peers().iter().filter(wins).collect()
    }
}

/// A share as percent, with as many digits as it needs.
pub(crate) fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0".to_owned(),
        small if small < 0.01 => format!("{small:.4}"),
        some if some < 1.0 => format!("{some:.3}"),
        much => format!("{much:.2}"),
    }
}

/// All goals for which the cells were run.
pub(crate) fn all(cells: &[CellResult]) -> Vec<Goal> {
    let find = |regime: &str, happening: &str| {
        cells.iter().find(|cell| cell.regime == regime && cell.happening == happening)
    };
    let mut goals = Vec::new();
    goals.extend(find("300", "normal").map(|cell| late(cell, 1e-4, None)));
    goals.extend(find("300", "known-black-friday").map(|cell| late(cell, 5e-4, Some(0.999))));
    goals.extend(find("300", "slow-service").map(|cell| late(cell, 1e-3, None)));
    for (wait, most) in WAITS.into_iter().zip([1.02, 1.04, 1.10]) {
        goals.extend(
            find(wait, "normal")
                .map(|cell| at_most(cell, "replica-hours over work", cell.ours().hours_over_work(), most)),
        );
    }
    for wait in WAITS {
        for happening in ["normal", "known-black-friday"] {
            let peak = |cell: &CellResult| {
                at_most(cell, "peak replicas over the least possible", cell.ours().peak_over_least, 1.2)
            };
            goals.extend(find(wait, happening).map(peak));
        }
    }
    for wait in WAITS {
        goals.extend(find(wait, "normal").map(|cell| {
            let over = cell.ours().node_hours / cell.bill.node_hours;
            at_most(cell, "node-hours over the oracle's", over, 1.10)
        }));
    }
    goals.extend(WAITS.iter().filter_map(|wait| Some(no_worse(find(wait, "black-friday")?))));
    for happening in ["forecast-blackout", "queue-noise", "slow-nodes"] {
        for wait in WAITS {
            if let (Some(cell), Some(normal)) = (find(wait, happening), find(wait, "normal")) {
                goals.push(robust(cell, normal));
            }
        }
    }
    goals.extend(WAITS.iter().filter_map(|wait| Some(actions(find(wait, "normal")?))));
    goals
}

fn late(cell: &CellResult, most: f64, worst: Option<f64>) -> Goal {
    let (share, day) = (cell.ours().late_share(), cell.ours().worst_day());
    let (and, shown) = match worst {
        Some(least) => (
            format!(", worst day at least {} % in time", percent(least)),
            format!(", worst day {} %", percent(day)),
        ),
        None => (String::new(), String::new()),
    };
    Goal {
        what: format!("{}: late orders", cell.name()),
        wanted: format!("at most {} %{and}", percent(most)),
        found: format!("{} %{shown}", percent(share)),
        reached: share <= most && worst.is_none_or(|least| day >= least),
    }
}

fn at_most(cell: &CellResult, what: &str, found: f64, most: f64) -> Goal {
    Goal {
        what: format!("{}: {what}", cell.name()),
        wanted: format!("at most {most:.2}"),
        found: format!("{found:.3}"),
        reached: found <= most,
    }
}

fn beside(score: &Score) -> String {
    format!("{} % at {:.3}", percent(score.late_share()), score.hours_over_work())
}

fn no_worse(cell: &CellResult) -> Goal {
    let (ours, peer) = (cell.ours(), cell.best_peer());
    Goal {
        what: format!("{}: late orders, nobody told", cell.name()),
        wanted: format!("no more than the best peer: {}, {}", peer.policy, beside(peer)),
        found: beside(ours),
        reached: ours.late <= peer.late,
    }
}

fn robust(cell: &CellResult, normal: &CellResult) -> Goal {
    let (ours, peer) = (cell.ours(), cell.best_peer());
    let most = normal.ours().hours_over_work() * COST_MARGIN;
    let fewer = ours.late < peer.late || (ours.late == 0 && peer.late == 0);
    Goal {
        what: format!("{}: late orders and cost", cell.name()),
        wanted: format!(
            "fewer late than the best peer ({}, {}), at most {most:.3}",
            peer.policy,
            beside(peer)
        ),
        found: beside(ours),
        reached: fewer && ours.hours_over_work() <= most,
    }
}

fn actions(cell: &CellResult) -> Goal {
    let tuned = cell.peers().iter().find(|peer| peer.policy == "keda sqs frozen").unwrap_or(cell.ours());
    Goal {
        what: format!("{}: actions a day", cell.name()),
        wanted: format!("no more than tuned KEDA's {:.0}", tuned.actions_per_day),
        found: format!("{:.0}", cell.ours().actions_per_day),
        reached: cell.ours().actions_per_day <= tuned.actions_per_day,
    }
}
