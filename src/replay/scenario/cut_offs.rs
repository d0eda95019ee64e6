//! A scenario's carrier cut-offs as moments: by the wall clock, single dates of the calendar included.

use super::{Millis, Scenario, TimeZone, millis};
use crate::core::Policy;
use crate::core::demand::deadlines::cut_offs_of;

/// A carrier's cut-off of one date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOffMoment {
    /// The carrier.
    pub name: String,
    /// The cut-off.
    pub at: Millis,
    /// The dispatch, by which the orders must be done.
    pub dispatch: Millis,
}

impl Scenario {
    /// Cut-offs over all simulated days, in order of the cut-off.
    pub fn cut_off_moments(&self) -> Vec<CutOffMoment> {
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let origin = self.origin();
        let policy = Policy { cut_offs: self.goal.cut_offs.clone(), ..Policy::default() };
        let known = self.known().unwrap_or_default();
        let mut all = Vec::new();
        for day in 0..=self.days {
            let Ok(date) = self.start.checked_add(jiff::Span::new().days(i64::from(day))) else { break };
            for cut_off in cut_offs_of(date, &policy, known.cut_offs()) {
                let seconds = jiff::Span::new().seconds(i64::from(cut_off.at_seconds_of_day));
                let wall = date.to_datetime(jiff::civil::Time::midnight()).checked_add(seconds);
                let Some(at) = wall.ok().and_then(|wall| wall.to_zoned(zone.clone()).ok()) else { continue };
                let at = millis(at.timestamp().duration_since(origin).as_secs_f64());
                all.push(CutOffMoment {
                    name: cut_off.name,
                    at,
                    dispatch: at + millis(cut_off.within_seconds),
                });
            }
        }
        all.sort_by_key(|moment| (moment.at, moment.dispatch));
        all
    }

    /// The same as `(cut-off, dispatch)`.
    pub fn cut_offs(&self) -> Vec<(Millis, Millis)> {
        self.cut_off_moments().into_iter().map(|moment| (moment.at, moment.dispatch)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::units::{DAY, HOUR};

    #[test]
    fn the_wall_clock_and_single_dates_count() {
        // clocks go back on the second day
        let scenario = Scenario::parse(
            "start: 2026-10-24\ndays: 3\nwarm_up_days: 0\ngoal: {cut_offs: [{name: DPD, weekdays: [true, true, true, true, true, true, true], at_seconds_of_day: 50400, within_seconds: 3600}]}\ncalendar: {cutOffs: [{carrier: DPD, date: 2026-10-26, at: \"12:00\"}]}",
        )
        .unwrap();
        let found: Vec<_> = scenario.cut_offs().into_iter().take(3).collect();
        let expected = [14 * HOUR, DAY + 15 * HOUR, 2 * DAY + 13 * HOUR].map(|at| (at, at + HOUR));
        assert_eq!(found, expected);
    }
}
