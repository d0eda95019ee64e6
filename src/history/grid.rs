//! The past on a grid: counts by the minute, by five minutes and by the hour, and how much of each
//! is known.
//!
//! A [`Cell`] holds a count and the seconds that it covers, so that what is missing is never taken
//! for zero. An interval goes into the finest resolution whose cells are as long as it is; coarser cells
//! are summed up from finer ones where those know more. What a cell covers already is not counted
//! again: sources tell their last hour anew after every start.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::core::Interval;

/// How fine counts are kept, and for how long: as `CloudWatch` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// For 15 days.
    Minute,
    /// For 63 days.
    FiveMinutes,
    /// For 455 days.
    Hour,
}

impl Resolution {
    /// Finest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::Hour];

    /// Length of a cell.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3600,
        }
    }

    /// For how long cells are kept.
    pub fn kept_days(self) -> i64 {
        match self {
            Self::Minute => 15,
            Self::FiveMinutes => 63,
            Self::Hour => 455,
        }
    }

    /// Cells that are stored together: an hour, six hours, ten days of them.
    pub(super) fn chunk_cells(self) -> usize {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 72,
            Self::Hour => 240,
        }
    }

    /// Length of a chunk in seconds.
    pub(super) fn chunk_seconds(self) -> i64 {
        self.seconds() * i64::try_from(self.chunk_cells()).unwrap_or(i64::MAX)
    }

    /// The first moment, in seconds since the epoch, that is still kept at `now`.
    pub fn kept_since(self, now: Timestamp) -> i64 {
        now.as_second() - self.kept_days() * 86_400
    }
}

/// A count, and how many seconds of the cell it covers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cell {
    /// Orders in the seconds covered.
    pub count: f32,
    /// Seconds covered.
    pub covered_seconds: f32,
}

impl Cell {
    /// Bytes of a stored cell.
    pub(super) const BYTES: usize = 8;

    /// Adds a further part of the same telling, as far as there is room for it.
    fn add(&mut self, other: Self, resolution: Resolution) {
        let unknown = resolution.seconds() as f32 - self.covered_seconds;
        let taken = other.covered_seconds.min(unknown);
        // Below a thousandth of a second there is nothing but rounding.
        if taken > 1e-3 {
            self.count += other.count * (taken / other.covered_seconds);
            self.covered_seconds += taken;
        }
    }

    /// Takes in another telling of the same cell. Minutes are told in parts; of anything coarser,
    /// whoever knows more counts.
    fn merge(&mut self, other: Self, resolution: Resolution) {
        if resolution == Resolution::Minute {
            self.add(other, resolution);
        } else if other.covered_seconds > self.covered_seconds {
            *self = other;
        }
    }

    /// The share of the cell that is known.
    pub fn known(self, resolution: Resolution) -> f64 {
        f64::from(self.covered_seconds) / resolution.seconds() as f64
    }
}

/// One stream of counts, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    chunks: BTreeMap<(Resolution, i64), Vec<Cell>>,
}

/// Below this share of a cell nothing is said of it.
const LEAST_KNOWN: f64 = 0.5;

impl Past {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The past that these intervals tell. What is longer than an hour is left out: it has no shape.
    pub fn of(intervals: &[Interval]) -> Self {
        let mut past = Self::default();
        for interval in intervals {
            past.record(interval);
        }
        past.sum_up();
        past
    }

    fn record(&mut self, interval: &Interval) {
        let (from, to) = (seconds(interval.from), seconds(interval.to));
        let length = to - from;
        let is_count = interval.count.is_finite() && interval.count >= 0.0;
        let finest = Resolution::ALL.into_iter().find(|one| length <= one.seconds() as f64 + 1e-6);
        let Some(resolution) = finest.filter(|_| is_count && length > 0.0) else { return };
        let width = resolution.seconds() as f64;
        let mut start = (from / width).floor() * width;
        while start < to {
            let covered = to.min(start + width) - from.max(start);
            if covered > 0.0 {
                self.add(resolution, start, interval.count * covered / length, covered);
            }
            start += width;
        }
    }

    /// Coarser cells from finer ones, wherever those know more.
    fn sum_up(&mut self) {
        for (fine, coarse) in
            [(Resolution::Minute, Resolution::FiveMinutes), (Resolution::FiveMinutes, Resolution::Hour)]
        {
            let mut sums: BTreeMap<i64, Cell> = BTreeMap::new();
            for (start, cell) in self.cells(fine) {
                let sum = sums.entry(start - start.rem_euclid(coarse.seconds())).or_default();
                sum.count += cell.count;
                sum.covered_seconds += cell.covered_seconds;
            }
            for (start, sum) in sums {
                self.cell(coarse, start).merge(sum, coarse);
            }
        }
    }

    fn cell(&mut self, resolution: Resolution, start: i64) -> &mut Cell {
        let chunk = start - start.rem_euclid(resolution.chunk_seconds());
        let index = usize::try_from((start - chunk) / resolution.seconds()).unwrap_or(0);
        let empty = || vec![Cell::default(); resolution.chunk_cells()];
        &mut self.chunks.entry((resolution, chunk)).or_insert_with(empty)[index]
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole seconds since the epoch, and counts")]
    fn add(&mut self, resolution: Resolution, start: f64, count: f64, covered: f64) {
        let news = Cell { count: count as f32, covered_seconds: covered as f32 };
        self.cell(resolution, start as i64).add(news, resolution);
    }

    /// Takes in what another knows and this does not.
    pub fn merge(&mut self, other: &Self) {
        for (resolution, start, cells) in other.chunks() {
            self.merge_chunk(resolution, start, cells);
        }
        self.sum_up();
    }

    /// Chunks that a write of these news touches: their own, and the coarser ones that they are summed up in.
    pub(super) fn touched(&self) -> BTreeSet<(Resolution, i64)> {
        let mut touched = BTreeSet::new();
        for (of, start, _) in self.chunks() {
            for resolution in Resolution::ALL.into_iter().filter(|resolution| *resolution >= of) {
                touched.insert((resolution, start - start.rem_euclid(resolution.chunk_seconds())));
            }
        }
        touched
    }

    pub(super) fn merge_chunk(&mut self, resolution: Resolution, start: i64, cells: &[Cell]) {
        let empty = || vec![Cell::default(); resolution.chunk_cells()];
        let own = self.chunks.entry((resolution, start)).or_insert_with(empty);
        own.iter_mut().zip(cells).for_each(|(own, other)| own.merge(*other, resolution));
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = (Resolution, i64, &[Cell])> {
        self.chunks.iter().map(|((resolution, start), cells)| (*resolution, *start, cells.as_slice()))
    }

    /// Cells of which anything is known, ascending, with their starts in seconds since the epoch.
    pub fn cells(&self, resolution: Resolution) -> impl Iterator<Item = (i64, Cell)> {
        let range = (resolution, i64::MIN)..=(resolution, i64::MAX);
        self.chunks.range(range).flat_map(move |((_, start), cells)| {
            let starts = (*start..).step_by(usize::try_from(resolution.seconds()).unwrap_or(1));
            starts.zip(cells.iter().copied()).filter(|(_, cell)| cell.covered_seconds > 0.0)
        })
    }

    /// Closed intervals that end by `now`, ascending: for each hour the finer cells where they know
    /// as much of it. Minutes are told as five minutes: a forecast's slots are longer.
    pub fn intervals(&self, now: Timestamp) -> Vec<Interval> {
        let mut fine: BTreeMap<i64, Vec<(i64, Cell)>> = BTreeMap::new();
        for (start, cell) in self.cells(Resolution::FiveMinutes) {
            fine.entry(start - start.rem_euclid(3600)).or_default().push((start, cell));
        }
        let mut hours: BTreeMap<i64, Cell> = self.cells(Resolution::Hour).collect();
        for (hour, cells) in &fine {
            let covered: f32 = cells.iter().map(|(_, cell)| cell.covered_seconds).sum();
            if hours.get(hour).is_some_and(|hour| hour.covered_seconds <= covered + 1.0) {
                hours.remove(hour);
            }
        }
        let mut intervals = Vec::with_capacity(hours.len() + 12 * fine.len());
        let mut push = |resolution: Resolution, start: i64, cell: Cell| {
            intervals.extend(interval(resolution, start, cell).filter(|interval| interval.to <= now));
        };
        for (hour, cell) in &hours {
            push(Resolution::Hour, *hour, *cell);
        }
        for (hour, cells) in fine.iter().filter(|(hour, _)| !hours.contains_key(hour)) {
            debug_assert!(cells.iter().all(|(start, _)| (*hour..hour + 3600).contains(start)));
            for (start, cell) in cells {
                push(Resolution::FiveMinutes, *start, *cell);
            }
        }
        intervals.sort_by_key(|interval| interval.from);
        intervals
    }

    /// Start of the first and end of the last cell known, and the share between them that is known.
    pub fn span(&self, resolution: Resolution) -> Option<(Timestamp, Timestamp, f64)> {
        let (mut first, mut last, mut covered) = (None, 0, 0.0);
        for (start, cell) in self.cells(resolution) {
            first = first.or(Some(start));
            last = start + resolution.seconds();
            covered += f64::from(cell.covered_seconds);
        }
        let first = first?;
        let (from, to) = (Timestamp::from_second(first).ok()?, Timestamp::from_second(last).ok()?);
        Some((from, to, covered / (last - first) as f64))
    }

    /// Whether so much of `[from, to)` is known at this resolution that it need not be read again.
    pub fn knows(&self, resolution: Resolution, from: Timestamp, to: Timestamp, share: f64) -> bool {
        let inside = |start: &i64| (from.as_second()..to.as_second()).contains(start);
        let covered: f64 = self
            .cells(resolution)
            .filter(|(start, _)| inside(start))
            .map(|(_, cell)| f64::from(cell.covered_seconds))
            .sum();
        covered >= share * (to.as_second() - from.as_second()) as f64
    }
}

/// A cell as an interval, scaled up to the whole of it; `None` where too little is known.
fn interval(resolution: Resolution, start: i64, cell: Cell) -> Option<Interval> {
    let known = cell.known(resolution);
    if known < LEAST_KNOWN {
        return None;
    }
    let from = Timestamp::from_second(start).ok()?;
    let to = Timestamp::from_second(start + resolution.seconds()).ok()?;
    Some(Interval { from, to, count: f64::from(cell.count) / known.min(1.0) })
}

fn seconds(moment: Timestamp) -> f64 {
    moment.as_second() as f64 + f64::from(moment.subsec_nanosecond()) * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_766_400 + second).unwrap()
    }

    fn orders(from: i64, to: i64, count: f64) -> Interval {
        Interval { from: at(from), to: at(to), count }
    }

    fn told(past: &Past, resolution: Resolution) -> Vec<(i64, f32, f32)> {
        past.cells(resolution)
            .map(|(start, cell)| (start - 1_795_766_400, cell.count, cell.covered_seconds))
            .collect()
    }

    #[test]
    fn an_interval_goes_into_the_grid_that_is_as_coarse_and_is_summed_up() {
        let past = Past::of(&[orders(30, 90, 60.0), orders(600, 900, 12.0), orders(0, 7200, 5.0)]);
        assert_eq!(told(&past, Resolution::Minute), [(0, 30.0, 30.0), (60, 30.0, 30.0)]);
        assert_eq!(told(&past, Resolution::FiveMinutes), [(0, 60.0, 60.0), (600, 12.0, 300.0)]);
        assert_eq!(told(&past, Resolution::Hour), [(0, 72.0, 360.0)], "two hours have no place");
    }

    #[test]
    fn what_is_told_twice_counts_once() {
        let first = Past::of(&[orders(0, 60, 7.0)]);
        let mut past = Past::of(&[orders(0, 60, 7.0), orders(0, 60, 7.0)]);
        assert_eq!(past, first);
        let both = Past::of(&[orders(0, 60, 7.0), orders(60, 120, 3.0)]);
        past.merge(&both);
        past.merge(&both);
        assert_eq!(told(&past, Resolution::FiveMinutes), [(0, 10.0, 120.0)]);
        assert_eq!(past, both);
    }

    #[test]
    fn whoever_knows_more_of_a_coarse_cell_counts() {
        let mut past = Past::of(&[orders(0, 60, 7.0)]);
        past.merge(&Past::of(&[orders(0, 300, 40.0)]));
        assert_eq!(told(&past, Resolution::FiveMinutes), [(0, 40.0, 300.0)]);
        let minutes: Vec<Interval> =
            (0..5).map(|minute| orders(minute * 60, minute * 60 + 60, 6.0)).collect();
        past.merge(&Past::of(&minutes));
        assert_eq!(told(&past, Resolution::FiveMinutes), [(0, 40.0, 300.0)]);
    }

    #[test]
    fn finer_cells_are_told_where_they_know_as_much_of_an_hour() {
        let mut intervals = vec![orders(0, 3600, 120.0), orders(3600, 7200, 60.0)];
        intervals.extend((0..12).map(|five| orders(3600 + five * 300, 3900 + five * 300, 9.0)));
        // The last hour is known in part, and not over yet.
        intervals.extend([orders(7200, 7500, 4.0), orders(7500, 7560, 1.0)]);
        let past = Past::of(&intervals);
        let intervals = past.intervals(at(7800));
        assert_eq!(intervals.len(), 14);
        assert_eq!(intervals[0], orders(0, 3600, 120.0));
        assert_eq!(intervals[1], orders(3600, 3900, 9.0));
        assert_eq!(intervals[13], orders(7200, 7500, 4.0));
        assert_eq!(past.intervals(at(7499)).len(), 13, "what is not over yet is not told");
        assert!(past.knows(Resolution::Hour, at(0), at(7200), 0.99));
        assert!(!past.knows(Resolution::FiveMinutes, at(0), at(7200), 0.6));
    }

    #[test]
    fn nonsense_is_left_out() {
        let counts = [f64::NAN, f64::INFINITY, -1.0];
        let mut intervals: Vec<Interval> = counts.map(|count| orders(0, 60, count)).to_vec();
        intervals.push(orders(60, 60, 1.0));
        let past = Past::of(&intervals);
        assert!(past.is_empty());
    }
}
