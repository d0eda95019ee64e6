//! What page and terminal show, put together from the centre, the server's decision and the score.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::centre::Centre;
use super::page::{CutOffMark, PageState, ScoreLine};
use super::score::{Lateness, Line, explanation};
use crate::engine::Engine;
use crate::replay::scenario::Scenario;
use crate::replay::units::{Millis, millis, timestamp};

/// What stays the same all day.
#[derive(Debug)]
pub struct Panel {
    scenario: Arc<Scenario>,
    speed: f64,
    zone: TimeZone,
    cut_offs: Vec<CutOffMark>,
    note: String,
}

/// What the server last said.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Why the present number, or why there is none.
    pub reason: String,
    /// Replicas of the capacity buffer; `None` before the first decision.
    pub buffer: Option<u32>,
}

impl Said {
    /// The newest decision of the engine's one workload.
    pub fn by(engine: &Engine) -> Self {
        let snapshot = engine.entries().first().and_then(|entry| entry.snapshot());
        let Some(snapshot) = snapshot else { return Self::default() };
        let reason = match &snapshot.outcome {
            Err(error) => format!("no number: {error}"),
            Ok(_) => snapshot.record.as_ref().map(|record| record.reason.clone()).unwrap_or_default(),
        };
        Self { reason, buffer: snapshot.record.as_ref().map(|record| record.buffer) }
    }
}

/// The score so far.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Ours.
    pub lateness: Lateness,
    /// Ours first; the rivals once their best settings are known.
    pub lines: Vec<Line>,
}

impl Panel {
    /// For a scenario at a speed.
    pub fn new(scenario: Arc<Scenario>, speed: f64) -> Self {
        let zone = TimeZone::get(&scenario.time_zone).unwrap_or(TimeZone::UTC);
        Self { cut_offs: cut_offs(&scenario), note: explanation(&scenario), zone, speed, scenario }
    }

    /// Everything on the page beside the charts.
    pub fn state(&self, centre: &Centre, said: &Said, standing: &Standing, ended: bool) -> PageState {
        let point = centre.point();
        let at_ms = point.at_milliseconds;
        let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
        let local = at.to_zoned(self.zone.clone());
        let (nodes, nodes_coming) = centre.look(|world| (world.nodes_ready(), world.nodes_coming()));
        PageState {
            at_ms,
            utc_offset_seconds: local.offset().seconds(),
            date: local.strftime("%A %Y-%m-%d").to_string(),
            time_zone: self.scenario.time_zone.clone(),
            scenario: self.scenario.name.clone(),
            speed: self.speed,
            ended,
            visible: point.backlog.saturating_sub(point.in_flight),
            in_flight: point.in_flight,
            wanted: point.wanted,
            ready: point.ready,
            starting: point.starting,
            pending: point.pending,
            nodes,
            nodes_coming,
            oldest_wait_seconds: point.oldest_wait_seconds,
            target_wait_seconds: self.scenario.goal.target_wait_seconds.unwrap_or_default(),
            arrivals_per_minute: point.arrivals_per_minute,
            reason: said.reason.clone(),
            orders: standing.lateness.orders,
            late: standing.lateness.late,
            next_cut_offs: self.cut_offs.iter().filter(|cut_off| cut_off.at_ms > at_ms).cloned().collect(),
            cut_offs_today: self.cut_offs.clone(),
            score: standing.lines.iter().map(score_line).collect(),
            score_note: self.note.clone(),
        }
    }

    /// The same for the terminal, in one line.
    pub fn line(&self, state: &PageState) -> String {
        let at = Timestamp::from_millisecond(state.at_ms).unwrap_or_default().to_zoned(self.zone.clone());
        let rival = state.score.iter().find(|line| line.kind == "keda");
        let rival = rival.map_or_else(String::new, |line| format!(", KEDA's formula {}", line.late));
        format!(
            "{}  backlog {:>5}  oldest waits {:>3.0} of {} s  workers {:>3} ready of {:>3} (+{} starting, {} pending) on {} nodes  \
             in {:>4.0}/min  late {} of {}{rival}",
            at.strftime("%H:%M:%S"),
            state.visible + state.in_flight,
            state.oldest_wait_seconds,
            state.target_wait_seconds,
            state.ready,
            state.wanted,
            state.starting,
            state.pending,
            state.nodes,
            state.arrivals_per_minute,
            state.late,
            state.orders,
        )
    }
}

fn score_line(line: &Line) -> ScoreLine {
    ScoreLine {
        kind: line.kind.name(),
        name: line.name.clone(),
        late: line.late_orders,
        replica_hours: line.replica_hours,
        over_work: line.hours_over_work,
        peak: line.peak_replicas,
    }
}

/// The cut-offs of the scenario's first day, by their carriers' names.
fn cut_offs(scenario: &Scenario) -> Vec<CutOffMark> {
    let origin = scenario.origin();
    let weekday = usize::try_from(scenario.start.weekday().to_monday_zero_offset()).unwrap_or(0);
    let at = |time: Millis| timestamp(origin, time).as_millisecond();
    let mut marks: Vec<CutOffMark> = scenario
        .goal
        .cut_offs
        .iter()
        .filter(|cut_off| cut_off.weekdays[weekday])
        .map(|cut_off| {
            let time = i64::from(cut_off.at_seconds_of_day) * 1_000;
            let dispatch = time + millis(cut_off.within_seconds);
            CutOffMark { name: cut_off.name.clone(), at_ms: at(time), dispatch_ms: at(dispatch) }
        })
        .collect();
    marks.sort_by_key(|mark| mark.at_ms);
    marks
}
