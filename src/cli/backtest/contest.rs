//! Who is compared on which days, and the running of it on all cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::centre::Assumption;
use crate::replay::ScalingPolicy;
use crate::replay::run::Cell;
use crate::replay::trail::Trail;

/// The same orders under several settings.
pub(in crate::cli) struct Contest {
    pub(in crate::cli) contestants: Vec<Contestant>,
    pub(in crate::cli) assumptions: Vec<Assumption>,
    pub(in crate::cli) notes: Vec<String>,
}

/// One of the settings.
pub(in crate::cli) struct Contestant {
    pub(in crate::cli) name: String,
    pub(in crate::cli) cell: Cell,
    policy: Mutex<Box<dyn ScalingPolicy + Send>>,
}

impl Contestant {
    pub(in crate::cli) fn new(name: &str, cell: Cell, policy: impl ScalingPolicy + Send + 'static) -> Self {
        Self { name: name.to_owned(), cell, policy: Mutex::new(Box::new(policy)) }
    }
}

/// Runs everybody, as many at a time as there are cores; one list of trails a contest.
pub(in crate::cli) fn run_all(contests: &[Contest]) -> Vec<Vec<Trail>> {
    run_on(std::thread::available_parallelism().map_or(1, std::num::NonZero::get), contests)
}

/// The same on at most so many threads; who runs on which makes no difference.
fn run_on(threads: usize, contests: &[Contest]) -> Vec<Vec<Trail>> {
    let all: Vec<&Contestant> = contests.iter().flat_map(|contest| &contest.contestants).collect();
    let days: u32 = all.iter().map(|one| one.cell.scenario().days).sum();
    let bar = ProgressBar::new(u64::from(days) * 24).with_style(style());
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Trail>>> = all.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(all.len()) {
            scope.spawn(|| {
                while let Some((one, done)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| all.get(at).zip(done.get(at)))
                {
                    let mut policy = one.policy.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let trail = Trail::run(&one.cell, policy.as_mut(), || bar.inc(1));
                    *done.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(trail);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut trails = done
        .into_iter()
        .filter_map(|one| one.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    contests.iter().map(|contest| trails.by_ref().take(contest.contestants.len()).collect()).collect()
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} simulated hours, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::policies::{CorePolicy, Fixed, KedaSqs};
    use crate::replay::scenario::Scenario;

    fn contests() -> Vec<Contest> {
        let contest = |seed| {
            let text = format!(
                "seed: {seed}\ndays: 1\nwarm_up_days: 0\nsensors: {{sampling_seconds: 60}}\norders: {{generator: {{orders_per_day: 2000}}}}"
            );
            let cell = Cell::new(Scenario::parse(&text).unwrap()).unwrap();
            let contestants = vec![
                Contestant::new("keda", cell.clone(), KedaSqs::with_defaults()),
                Contestant::new("ours", cell.clone(), CorePolicy::ours(&cell)),
                Contestant::new("fixed", cell, Fixed::new(3)),
            ];
            Contest { contestants, assumptions: Vec::new(), notes: Vec::new() }
        };
        vec![contest(1), contest(2)]
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_one_thread_or_two_or_many() {
        let told = |threads| {
            let trails = run_on(threads, &contests());
            let scores: Vec<Vec<&_>> =
                trails.iter().map(|trails| trails.iter().map(|trail| &trail.score).collect()).collect();
            let points: Vec<_> = trails.iter().flatten().map(|trail| trail.points.clone()).collect();
            (serde_json::to_string(&scores).unwrap(), points)
        };
        let one = told(1);
        assert_eq!(one.0.matches("\"policy\"").count(), 6);
        for threads in [2, 8] {
            let many = told(threads);
            assert_eq!(one.0, many.0, "{threads} threads");
            assert!(one.1 == many.1, "{threads} threads");
        }
    }
}
