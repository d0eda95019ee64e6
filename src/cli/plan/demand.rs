//! The orders of the days planned, at several quantiles, as the forecast sees them.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::cli::centre::{Recorded, Stretch};
use crate::core::Interval;
use crate::core::demand::calendar::{Calendar, CalendarSpec};
use crate::core::demand::forecast::{ProfileForecast, SlotForecast, slot_seconds_for};
use crate::core::demand::outlook::ArrivalForecast as _;

/// What is foreseen.
pub(super) struct Demand {
    pub(super) stretch: Stretch,
    pub(super) start: Timestamp,
    /// The midnight after the last day.
    pub(super) end: Timestamp,
    pub(super) levels: Vec<f64>,
    /// One list of intervals a level: every slot at its own quantile.
    pub(super) paths: Vec<Vec<Interval>>,
    pub(super) slot_seconds: i64,
    /// As it stands on the first morning.
    pub(super) forecast: ProfileForecast,
    pub(super) calendar: Arc<Calendar>,
    /// How the history was taken.
    pub(super) notes: Vec<String>,
}

impl Demand {
    pub(super) fn foresee(
        history: &Recorded,
        zone: &TimeZone,
        spec: &CalendarSpec,
        on: Date,
        days: u32,
        levels: &[f64],
    ) -> anyhow::Result<Self> {
        let calendar =
            Calendar::new(spec).map_err(|problems| anyhow::anyhow!("--calendar: {}", problems[0]))?;
        let calendar = Arc::new(calendar);
        let start = history.midnight(on)?;
        let end = history.midnight(on.checked_add(Span::new().days(days))?)?;
        let (intervals, mut notes) = brought_to(history, zone, on)?;
        notes.extend(history.missing_note());
        let slot_seconds = slot_seconds_for(history.step_seconds as f64);
        let mut forecast = ProfileForecast::new(zone.clone(), slot_seconds);
        if !calendar.is_empty() {
            forecast.set_calendar(&calendar);
        }
        intervals.iter().filter(|one| one.to <= start).for_each(|one| forecast.observe(one));
        let horizon = end.duration_since(start).as_secs_f64();
        let slots = forecast.slots(start, horizon, levels).with_context(|| too_little(history, on))?;
        ensure!(!slots.is_empty(), "the forecast sees nothing on {on}");
        if let Err(distrust) = forecast.trusted(start) {
            notes.push(format!("the planner would not lean on this forecast: {distrust}"));
        }
        let paths = (0..levels.len()).map(|level| path(&slots, level)).collect();
        let stretch = Stretch { start: on, days, warm_up_days: 0 };
        #[expect(clippy::cast_possible_truncation, reason = "at most 3600")]
        let slot_seconds = slot_seconds as i64;
        let levels = levels.to_vec();
        Ok(Self { stretch, start, end, levels, paths, slot_seconds, forecast, calendar, notes })
    }

    /// Orders of the first hour at a level, a second.
    pub(super) fn first_rate(&self, level: usize) -> f64 {
        let hour = self.start + jiff::SignedDuration::from_hours(1);
        self.paths[level].iter().filter(|one| one.from < hour).map(|one| one.count).sum::<f64>() / 3600.0
    }
}

/// What a forecast that cannot be made has to learn from.
fn too_little(history: &Recorded, on: Date) -> String {
    let shown = history.path().display();
    match history.known_days() {
        Ok((first, last)) if last.tomorrow().is_ok_and(|next| next < on) => format!(
            "{shown} has whole days from {first} to {last}, and is moved by whole weeks to end before {on}: give a longer history"
        ),
        Ok((first, last)) if last < on => {
            format!(
                "{shown} has whole days from {first} to {last}: too few before {on}, give a longer history"
            )
        }
        Ok((first, last)) => format!(
            "{shown} has whole days from {first} to {last}: too few before {on}, give a longer history or a later --on"
        ),
        Err(error) => error.to_string(),
    }
}

fn path(slots: &[SlotForecast], level: usize) -> Vec<Interval> {
    slots.iter().map(|slot| Interval { from: slot.from, to: slot.to, count: slot.quantiles[level] }).collect()
}

/// The history as it may be learned for a day: what was before it. Where it ends more than a day
/// earlier it is moved by whole weeks to end at the day, so that its last weeks are taken for the last
/// before it: nothing else is known of them.
fn brought_to(history: &Recorded, zone: &TimeZone, on: Date) -> anyhow::Result<(Vec<Interval>, Vec<String>)> {
    let end = history.end()?;
    if end >= on {
        return Ok((history.before(history.midnight(on)?).to_vec(), Vec::new()));
    }
    let gap = i64::from((on - end).get_days());
    let weeks = gap / 7;
    // days of the last week that would lie beyond the day planned are known of, but not the last
    let (shift, cut) =
        if gap % 7 == 0 { (weeks, end) } else { (weeks + 1, on.checked_sub(Span::new().weeks(weeks + 1))?) };
    let until = history.midnight(cut)?;
    let move_on = |at: Timestamp| -> anyhow::Result<Timestamp> {
        let wall = zone.to_datetime(at).checked_add(Span::new().weeks(shift))?;
        Ok(wall.to_zoned(zone.clone())?.timestamp())
    };
    let mut moved = Vec::new();
    for interval in history.before(until) {
        let (from, to) = (move_on(interval.from)?, move_on(interval.to)?);
        // where clocks change the wall clock has an hour more or less
        if from < to {
            moved.push(Interval { from, to, count: interval.count });
        }
    }
    let note = format!(
        "the history ends on {}, {gap} days before {on}: its weeks are moved by {shift}, as if those before {on} were like its last ones up to {}",
        end.yesterday()?,
        cut.yesterday()?
    );
    Ok((moved, vec![note]))
}
