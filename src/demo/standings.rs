//! The score while the demo runs: ours and, once their best settings are found, the rivals'.
//!
//! The search runs on threads of its own; until it is done the page shows ours alone.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::centre::Centre;
use super::contenders::{Contender, Kind, Opening, Rivals};
use super::day::{Day, Stretch};
use super::page::Point;
use super::panel::Standing;
use super::score::{Account, DayScore, Judge};
use crate::replay::run::Cell;
use crate::replay::units::Millis;

/// Keeps the score of a stretch.
pub struct Standings {
    day: Day,
    cell: Arc<Cell>,
    judge: Arc<Judge>,
    stretch: Stretch,
    opening: Opening,
    rivals: Found,
    points: Vec<Point>,
}

/// The rivals at their best.
enum Found {
    Searching(JoinHandle<[Contender; 2]>),
    Playing(Box<[Contender; 2]>),
    /// The search ended by a panic: the score goes without.
    Nobody,
}

/// New points of the charts.
pub enum Points {
    /// To be added.
    More(Vec<Point>),
    /// In the place of all so far, since the rivals are known now.
    All(Vec<Point>),
}

impl Standings {
    /// Starts the search. `opening` is what our centre has cost so far.
    pub fn start(day: Day, cell: Arc<Cell>, stretch: Stretch, opening: Opening) -> Self {
        let judge = Arc::new(Judge::new(&cell));
        let search = {
            let (cell, judge) = (cell.clone(), judge.clone());
            std::thread::spawn(move || Rivals::find(&cell, &judge, stretch).contenders(&cell, stretch))
        };
        Self { day, cell, judge, stretch, opening, rivals: Found::Searching(search), points: Vec::new() }
    }

    /// Whether the rivals' best settings are known.
    pub fn is_complete(&self) -> bool {
        !matches!(self.rivals, Found::Searching(_))
    }

    /// Takes the centre's new points and brings the rivals to its present moment.
    pub fn update(&mut self, centre: &Centre) -> (Points, Standing) {
        let new = centre.take_points();
        let known = self.points.len();
        self.points.extend(new);
        let joined = matches!(&self.rivals, Found::Searching(search) if search.is_finished());
        if joined {
            self.join();
        }
        let from = if joined { 0 } else { known };
        self.play_peers(from);
        let standing = self.standing(centre);
        let points = self.points[from..].to_vec();
        (if joined { Points::All(points) } else { Points::More(points) }, standing)
    }

    /// Waits for the search, if it is still to come in.
    fn join(&mut self) {
        let found = std::mem::replace(&mut self.rivals, Found::Nobody);
        self.rivals = match found {
            Found::Searching(search) => {
                search.join().map_or(Found::Nobody, |contenders| Found::Playing(Box::new(contenders)))
            }
            found @ (Found::Playing(_) | Found::Nobody) => found,
        };
    }

    /// Fills the points from index `from` on with KEDA's centre at the same moments.
    fn play_peers(&mut self, from: usize) {
        let Found::Playing(contenders) = &mut self.rivals else { return };
        let origin = self.cell.scenario().origin().as_millisecond();
        let Some(keda) = contenders.iter_mut().find(|contender| contender.kind() == Kind::Keda) else {
            return;
        };
        for point in &mut self.points[from..] {
            keda.advance_to(point.at_milliseconds - origin);
            point.peer = Some(keda.peer_point());
        }
    }

    fn standing(&mut self, centre: &Centre) -> Standing {
        let (account, now) = centre.look(|world| (Account::of(world), world.now()));
        let so_far = self.so_far(now);
        let lateness = self.judge.count(&account.outcomes, so_far);
        let ours =
            self.opening.line(Kind::Ours, "peakscaler".to_owned(), &account, lateness, centre.peak_wanted());
        let mut lines = vec![ours];
        if let Found::Playing(contenders) = &mut self.rivals {
            for contender in contenders.iter_mut() {
                contender.advance_to(now);
                lines.push(contender.line(&self.judge, so_far).0);
            }
        }
        Standing { lateness, lines }
    }

    fn so_far(&self, now: Millis) -> Stretch {
        Stretch { from: self.stretch.from, to: now }
    }

    /// The last word; waits for the search.
    pub fn finish(mut self, centre: &Centre) -> DayScore {
        self.join();
        let standing = self.standing(centre);
        let now = centre.look(crate::replay::world::World::now);
        DayScore::new(
            self.day,
            self.cell.scenario(),
            self.so_far(now),
            standing.lateness.orders,
            standing.lines,
        )
    }
}
