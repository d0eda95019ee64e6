//! What the engine knows beyond its sources: past orders, and what people say of the days ahead.

use crate::calendar::live::Calendars;
use crate::history::Recorder;

/// Handed to the engine at its start. Cheap to clone.
#[derive(Clone)]
pub struct Knowledge {
    /// Keeps past orders between two starts.
    pub history: Option<Recorder>,
    /// Peaks, closures and cut-offs in force.
    pub calendars: Calendars,
    /// Whether sources are asked for their past.
    pub backfill: bool,
}

impl Default for Knowledge {
    /// No history, no calendar, and sources asked for their past.
    fn default() -> Self {
        Self { history: None, calendars: Calendars::default(), backfill: true }
    }
}
