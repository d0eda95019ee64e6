//! What the page shows, as it is sent to it.

use serde::{Serialize, Serializer};

/// Columns of a [`Point`].
pub const COLUMNS: usize = 13;

/// One moment of the charts, sent as an array.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// Simulated time, milliseconds since 1970.
    pub at_milliseconds: i64,
    /// Orders waiting or in work.
    pub backlog: u32,
    /// Orders in work.
    pub in_flight: u32,
    /// Replicas wanted.
    pub wanted: u32,
    /// Replicas ready.
    pub ready: u32,
    /// Replicas on a node that are not ready.
    pub starting: u32,
    /// Replicas without a node.
    pub pending: u32,
    /// Orders that came in, a minute.
    pub arrivals_per_minute: f64,
    /// Orders completed, a minute.
    pub completions_per_minute: f64,
    /// Seconds that the oldest order has waited for its work to start.
    pub oldest_wait_seconds: f64,
    /// The same centre under KEDA's formula, once that is known.
    pub peer: Option<PeerPoint>,
}

/// The centre under KEDA's formula at the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PeerPoint {
    /// Orders waiting or in work.
    pub backlog: u32,
    /// Replicas ready.
    pub ready: u32,
    /// Seconds that the oldest order has waited.
    pub oldest_wait_seconds: f64,
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        let row = (
            self.at_milliseconds,
            self.backlog,
            self.in_flight,
            self.wanted,
            self.ready,
            self.starting,
            self.pending,
            tenths(self.arrivals_per_minute),
            tenths(self.completions_per_minute),
            tenths(self.oldest_wait_seconds),
            self.peer.map(|peer| peer.backlog),
            self.peer.map(|peer| peer.ready),
            self.peer.map(|peer| tenths(peer.oldest_wait_seconds)),
        );
        row.serialize(serializer)
    }
}

/// A carrier's cut-off of the day.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CutOffMark {
    /// The carrier.
    pub name: String,
    /// Orders in by then, milliseconds since 1970.
    pub at_ms: i64,
    /// Are done by then, milliseconds since 1970.
    pub dispatch_ms: i64,
}

/// One line of the score.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ScoreLine {
    /// `ours`, `keda` or `fixed`.
    pub kind: &'static str,
    /// For a person.
    pub name: String,
    /// Orders whose work started, or that were done, too late.
    pub late: u64,
    /// Hours of all replicas that existed.
    pub replica_hours: f64,
    /// Replica-hours over the hours of work that the orders needed; `None` before the first.
    pub over_work: Option<f64>,
    /// Most replicas at once.
    pub peak: u32,
}

/// Everything on the page beside the charts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PageState {
    /// Simulated time, milliseconds since 1970.
    pub at_ms: i64,
    /// Offset of the centre's zone, to show local time.
    pub utc_offset_seconds: i32,
    /// Local date and weekday.
    pub date: String,
    /// IANA name of the centre's zone.
    pub time_zone: String,
    /// Which day is played.
    pub scenario: String,
    /// Simulated seconds a second.
    pub speed: f64,
    /// The demo is over: nothing more will come.
    pub ended: bool,
    /// Orders waiting.
    pub visible: u32,
    /// Orders in work.
    pub in_flight: u32,
    /// Replicas wanted.
    pub wanted: u32,
    /// Replicas ready.
    pub ready: u32,
    /// Replicas on a node that are not ready.
    pub starting: u32,
    /// Replicas without a node.
    pub pending: u32,
    /// Nodes that take workers.
    pub nodes: u32,
    /// Nodes on their way.
    pub nodes_coming: u32,
    /// Seconds that the oldest order has waited.
    pub oldest_wait_seconds: f64,
    /// The longest that an order may wait.
    pub target_wait_seconds: f64,
    /// Orders that came in, a minute.
    pub arrivals_per_minute: f64,
    /// Why the present number.
    pub reason: String,
    /// Orders since the start.
    pub orders: u64,
    /// Late orders since the start.
    pub late: u64,
    /// Cut-offs still to come today, the next first.
    pub next_cut_offs: Vec<CutOffMark>,
    /// All cut-offs of the day.
    pub cut_offs_today: Vec<CutOffMark>,
    /// The score so far.
    pub score: Vec<ScoreLine>,
    /// What the score's words mean.
    pub score_note: String,
}
