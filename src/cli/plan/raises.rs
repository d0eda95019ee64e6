//! The limits to raise. What is needed without limits is more than what must be: so the days are lived through with
//! all of them raised, then without each raise in turn, and none is named that keeps no order.

use super::demand::Demand;
use super::runs::{Around, LevelRun, Limits, within};
use crate::cli::backtest::contest::{Contest, run_all};
use crate::cli::centre::Centre;

/// A limit to raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raise {
    pub(super) limit: &'static str,
    pub(super) from: u32,
    pub(super) to: u32,
}

/// The limits that must be raised at a level, each to what is needed there.
pub(super) fn needed(
    centre: &Centre,
    demand: &Demand,
    around: &Around<'_>,
    (run, level): (&LevelRun, usize),
) -> anyhow::Result<Vec<Raise>> {
    if run.within.score.late <= run.free.score.late {
        return Ok(Vec::new());
    }
    let late = |raises: &[Raise]| {
        if raises.is_empty() {
            return Ok(run.within.score.late);
        }
        let limits = raises.iter().fold(around.limits, |limits, raise| limits.with(raise.limit, raise.to));
        let within = within(centre, demand, &Around { limits, ..*around }, (&run.cell, level))?;
        let contest = Contest { contestants: vec![within], assumptions: Vec::new(), notes: Vec::new() };
        let trails = run_all(&[contest]).into_iter().flatten();
        Ok(trails.map(|trail| trail.score.late).sum())
    };
    without_idle(low(&around.limits, run), late)
}

/// The limits that are below what is needed without any.
fn low(limits: &Limits, run: &LevelRun) -> Vec<Raise> {
    let listed = limits.listed().into_iter().filter_map(|limit| {
        let free = &run.free.score;
        let needed = if limit.of_nodes { free.peak_nodes } else { free.peak_replicas };
        let from = limit.value?;
        (needed > from).then_some(Raise { limit: limit.name, from, to: needed })
    });
    listed.collect()
}

/// Drops each raise without which no more orders are late; the last ones, of nodes, first: they cost money.
fn without_idle(
    mut raises: Vec<Raise>,
    late: impl Fn(&[Raise]) -> anyhow::Result<u32>,
) -> anyhow::Result<Vec<Raise>> {
    let least = late(&raises)?;
    for index in (0..raises.len()).rev() {
        let raise = raises.remove(index);
        if late(&raises)? > least {
            raises.insert(index, raise);
        }
    }
    Ok(raises)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raise_that_keeps_no_order_is_dropped() {
        let all = ["a", "b", "c"].map(|limit| Raise { limit, from: 1, to: 2 });
        let cases: [(&[&str], &[&str]); 5] = [
            (&["a", "b", "c"], &["a", "b", "c"]),
            (&["a"], &["a"]),
            (&["c"], &["c"]),
            (&["a", "c"], &["a", "c"]),
            (&[], &[]),
        ];
        for (needed, kept) in cases {
            let late = |raises: &[Raise]| {
                let missing = |name: &&&str| !raises.iter().any(|raise| raise.limit == **name);
                Ok(u32::from(needed.iter().filter(missing).count() > 0))
            };
            let found = without_idle(all.to_vec(), late).unwrap();
            let found: Vec<&str> = found.iter().map(|raise| raise.limit).collect();
            assert_eq!(found, kept);
        }
        // where either would do, the one that costs no nodes stays
        let either = |raises: &[Raise]| Ok(u32::from(raises.is_empty()));
        assert_eq!(without_idle(all.to_vec(), either).unwrap(), all[..1]);
    }
}
