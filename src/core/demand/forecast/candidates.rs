//! Candidate forecasts of a day, and the stack of them weighted by how they did lately.
//!
//! Candidates are plain: last week's same day, the mean of the last four, and levels of three
//! speeds times profiles of two memories, one of them with yesterday's echo. Each is scored every
//! day; a candidate's weight falls with a high power of its absolute error over the last weeks, so that
//! the best leads, near-equals share (averages of near-equals beat each of them), and the poor are left
//! out. What suits a series is thus learned from the series and not set by hand.

use super::drift::Drift;
use super::echo::Echo;
use super::habits::Habits;
use super::level::{LEAST_SHARE, Level};
use super::profile::{Gathered, Profile, WEEK};
use super::recent::{RECENT_WEEKS, RecentDay, RecentDays};
use super::year::Year;

/// Half-life of the scores, in days: about the last four weeks count.
const SCORE_HALF_LIFE_DAYS: f64 = 14.0;
/// Power of best error over own error that is a candidate's weight.
const SHARPNESS: i32 = 16;
/// Memories of the profiles, in weeks.
const PROFILE_WEEKS: [f64; 2] = [4.0, 20.0];
/// Memories of the levels, in days; each is combined with each profile.
const LEVEL_DAYS: [f64; 3] = [2.0, 5.0, 15.0];
/// Memory of the level that goes with the drifted shape, and of the one that moves as it did a year ago.
const MIDDLE_DAYS: f64 = 5.0;
/// Shapes: the profiles, and the first one drifted.
const SHAPES: usize = PROFILE_WEEKS.len() + 1;
/// The shape that drifts.
const DRIFTED: usize = PROFILE_WEEKS.len();
/// Memory of the level that the profiles are shares of.
const REFERENCE_DAYS: f64 = 6.0;
/// Days whose plain mean is the level before levels can be followed.
const START_DAYS: f64 = 7.0;
const NAMED: usize = 2;
/// The mean of the last four weeks among the candidates.
const FOUR_WEEKS: usize = 1;
const SCALED: usize = PROFILE_WEEKS.len() * LEVEL_DAYS.len() + 3;
/// The one of them that is corrected by what is left of yesterday's surprise.
const ECHOING: usize = SCALED - 2;
const COUNT: usize = NAMED + SCALED;
/// A day on which all candidates err by more than so many times the usual counts as so many.
const CLIP_LOSS: f64 = 2.0;
/// So many silent days in a row may be a new weekly pause.
const LONGEST_WEEKEND: f64 = 2.0;
/// Slots that hold fewer orders by the four weeks before are scored together with the next ones: where
/// most hold none, the least absolute error is that of a forecast of none at all, whatever the day brings.
const LEAST_SCORED: f64 = 4.0;
/// An echo is of at most so many usual steps.
const ECHO_STEPS: f64 = 3.0;
/// A day of which less than this part is known, by what was expected, tells nothing of its weekday's habits.
const LEAST_TOLD: f64 = 0.7;
/// Gain of the usual loss, a day.
const USUAL_LOSS_GAIN: f64 = 0.1;

/// All candidates, their scores and what they need to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidates {
    slots: usize,
    recent: RecentDays,
    profiles: [Profile; PROFILE_WEEKS.len()],
    reference: Level,
    levels: [Level; SCALED],
    losses: [f64; COUNT],
    start_days: f64,
    usual_loss: f64,
    drift: Drift,
    year: Year,
    silent_weekdays: [bool; WEEK],
    habits: Habits,
    echo: Echo,
}

/// A day as each of the candidates sees it: what a forecast is made of, and what it is learned against.
#[derive(Debug)]
pub(super) struct Parts {
    gathered: Gathered,
    shares: [Vec<f64>; SHAPES],
    predictions: [Vec<f64>; COUNT],
}

impl Parts {
    /// Room for days of so many slots.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            gathered: Gathered::new(slots),
            shares: std::array::from_fn(|_| vec![0.0; slots]),
            predictions: std::array::from_fn(|_| vec![0.0; slots]),
        }
    }
}

impl Candidates {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots,
            recent: RecentDays::new(slots),
            profiles: PROFILE_WEEKS.map(|weeks| Profile::new(slots, weeks)),
            reference: Level::new(REFERENCE_DAYS),
            levels: std::array::from_fn(|index| Level::new(member(index).1)),
            year: Year::new(),
            silent_weekdays: [false; WEEK],
            habits: Habits::new(),
            echo: Echo::default(),
            usual_loss: 0.0,
            drift: Drift::new(slots),
            losses: [0.0; COUNT],
            start_days: 0.0,
        }
    }

    /// The stacked forecast of the day `days_ahead` (0: the day after the last one learned), and its parts.
    pub(super) fn predict(&self, weekday: usize, days_ahead: usize, parts: &mut Parts, mean: &mut [f64]) {
        self.predict_each(weekday, days_ahead, parts);
        let weights = self.weights();
        mean.fill(0.0);
        for (weight, prediction) in weights.iter().zip(&parts.predictions) {
            if *weight > 0.0 {
                mean.iter_mut().zip(prediction).for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }

    /// Weights of the candidates, in the order of [`Self::names`]; they sum to one.
    pub(super) fn weights(&self) -> [f64; COUNT] {
        let best = self.losses.iter().copied().fold(f64::INFINITY, f64::min);
        let raw = self.losses.map(|loss| if loss > 0.0 { (best / loss).powi(SHARPNESS) } else { 1.0 });
        let sum: f64 = raw.iter().sum();
        raw.map(|weight| weight / sum)
    }

    /// What a candidate is called, by its place among the weights.
    pub(super) fn name(index: usize) -> String {
        match index {
            0 => "last week".to_owned(),
            1 => "four-week mean".to_owned(),
            other => {
                let (shape, days) = member(other - NAMED);
                let shape = match PROFILE_WEEKS.get(shape) {
                    Some(weeks) => format!("{weeks}-week profile"),
                    None => "drifting profile".to_owned(),
                };
                let added = match other - NAMED {
                    ECHOING => ", yesterday's echo",
                    index if index + 1 == SCALED => ", moving as a year ago",
                    _ => "",
                };
                format!("{days}-day level, {shape}{added}")
            }
        }
    }

    /// Mean gain of the levels in use: how fast the future drifts away from today.
    pub(super) fn level_gain(&self) -> f64 {
        let weights = self.weights();
        let followed: f64 = weights[NAMED..].iter().sum();
        let gains = self.levels.iter().zip(&weights[NAMED..]).map(|(level, weight)| level.gain() * weight);
        if followed > 0.0 { gains.sum::<f64>() / followed } else { 0.0 }
    }

    /// Scores the candidates on a day (`NaN`: missing), then learns it; `parts` are those that
    /// [`Self::predict`] made for that very day.
    pub(super) fn learn(&mut self, weekday: usize, values: &[f64], parts: &Parts) {
        if values.iter().all(|value| value.is_nan()) {
            self.pass(values);
            return;
        }
        let losses = (self.losses, self.usual_loss);
        self.score(values, parts);
        let told = self.learn_level_and_profile(weekday, values, parts);
        if !told {
            (self.losses, self.usual_loss) = losses;
        }
        self.recent.push(told.then_some(values));
    }

    /// Learns a day long past, of which only level and profile will still be known.
    pub(super) fn absorb(&mut self, weekday: usize, values: &[f64], parts: &mut Parts) {
        if values.iter().all(|value| value.is_nan()) {
            self.pass(values);
            return;
        }
        for (profile, shares) in self.profiles.iter().zip(&mut parts.shares) {
            profile.own_shares(weekday, shares);
        }
        self.drift_shape(&mut parts.shares);
        let told = self.learn_level_and_profile(weekday, values, parts);
        self.recent.push(told.then_some(values));
    }

    /// A day of which nothing is known.
    fn pass(&mut self, values: &[f64]) {
        self.echo.pause();
        self.year.learn(self.reference.open_value());
        self.recent.push(Some(values));
    }

    fn score(&mut self, values: &[f64], parts: &Parts) {
        let keep = 0.5_f64.powf(1.0 / SCORE_HALF_LIFE_DAYS);
        let mut day = [0.0; COUNT];
        let usual = &parts.predictions[FOUR_WEEKS];
        for (loss, prediction) in day.iter_mut().zip(&parts.predictions) {
            let (mut error, mut expected) = (0.0_f64, 0.0);
            for ((mean, usual), value) in prediction.iter().zip(usual).zip(values) {
                if !value.is_nan() {
                    error += value - mean;
                    expected += usual;
                    if expected >= LEAST_SCORED {
                        *loss += error.abs();
                        (error, expected) = (0.0, 0.0);
                    }
                }
            }
            *loss += error.abs();
        }
        let mean = day.iter().sum::<f64>() / COUNT as f64;
        let bound = CLIP_LOSS * self.usual_loss;
        let weight = if bound > 0.0 && mean > bound { bound / mean } else { 1.0 };
        for (loss, day) in self.losses.iter_mut().zip(day) {
            *loss = *loss * keep + weight * day;
        }
        let gain = if self.usual_loss > 0.0 { USUAL_LOSS_GAIN } else { 1.0 };
        self.usual_loss += gain * (weight * mean - self.usual_loss);
    }

    /// Returns whether the day tells what such days are like: a silent one does not, unless the
    /// same weekday was silent a week ago.
    fn learn_level_and_profile(&mut self, weekday: usize, values: &[f64], parts: &Parts) -> bool {
        let (mut seen, mut known) = (0.0, 0);
        for value in values.iter().filter(|value| !value.is_nan()) {
            seen += value;
            known += 1;
        }
        if self.start_days < START_DAYS {
            if seen <= 0.0 && self.start_days == 0.0 {
                return true;
            }
            self.start(seen * self.slots as f64 / f64::from(known));
            for profile in &mut self.profiles {
                profile.learn(weekday, values, self.reference.open_value(), 1.0);
            }
            return true;
        }
        let part_of_slots = f64::from(known) / self.slots as f64;
        let known = |shares: &[f64]| {
            let all: f64 = shares.iter().sum();
            let of_known = shares.iter().zip(values).filter(|(_, value)| !value.is_nan());
            let expected: f64 = of_known.map(|(share, _)| share).sum();
            (expected, if all > 0.0 { expected / all } else { part_of_slots })
        };
        let shapes: [(f64, f64); SHAPES] = std::array::from_fn(|shape| known(&parts.shares[shape]));
        let (expected, part) = shapes[member(ECHOING).0];
        if part > LEAST_TOLD && expected > LEAST_SHARE {
            let slow = &self.levels[ECHOING];
            let bound = ECHO_STEPS * slow.usual_step();
            self.echo.learn(slow.step(seen, expected).clamp(-bound, bound));
        }
        for (index, level) in self.levels.iter_mut().enumerate() {
            let (expected, part) = shapes[member(index).0];
            level.learn(seen, expected, part);
        }
        let (expected, part) = shapes[0];
        let (step, usual) = (self.reference.step(seen, expected), self.reference.usual_step());
        let trust = self.reference.learn(seen, expected, part);
        let silent_days = self.reference.silent_days();
        let silent = trust <= 0.0;
        let weekly = silent && self.silent_weekdays[weekday] && silent_days <= LONGEST_WEEKEND;
        self.silent_weekdays[weekday] = silent;
        if silent {
            self.echo.pause();
        }
        if silent && !weekly {
            self.year.learn(self.reference.open_value());
            return false;
        }
        let anew = part > LEAST_TOLD && self.habits.learn(weekday, step, usual);
        if anew {
            self.learn_anew(weekday);
        }
        let trust = if weekly || anew { 1.0 } else { trust };
        if trust >= 1.0 && !weekly && !anew {
            self.drift.learn(&parts.shares[0], values, seen);
        }
        for profile in &mut self.profiles {
            profile.learn(weekday, values, self.reference.open_value(), trust);
        }
        self.year.learn(self.reference.open_value());
        true
    }

    /// Forgets what a weekday was like before it last came.
    fn learn_anew(&mut self, weekday: usize) {
        self.recent.forget_weekday();
        let last: Vec<f64> = self.recent.back(WEEK).map_or_else(Vec::new, |day| {
            (0..self.slots).map(|slot| day.count(slot).unwrap_or(f64::NAN)).collect()
        });
        for profile in &mut self.profiles {
            profile.forget(weekday);
            if last.iter().any(|value| !value.is_nan()) {
                profile.learn(weekday, &last, self.reference.open_value(), 1.0);
            }
        }
    }

    fn drift_shape(&self, shares: &mut [Vec<f64>; SHAPES]) {
        let (plain, drifted) = shares.split_at_mut(DRIFTED);
        self.drift.apply(&plain[0], &mut drifted[0]);
    }

    fn start(&mut self, day_total: f64) {
        self.start_days += 1.0;
        let before = self.reference.open_value();
        let level = before + (day_total - before) / self.start_days;
        if before > 0.0 && level > 0.0 {
            self.profiles.iter_mut().for_each(|profile| profile.rescale(before / level));
        }
        self.reference.set(level);
        self.levels.iter_mut().for_each(|one| one.set(level));
    }

    fn predict_each(&self, weekday: usize, days_ahead: usize, parts: &mut Parts) {
        let back = WEEK - days_ahead % WEEK;
        let Parts { gathered, shares, predictions } = parts;
        for (profile, shares) in self.profiles.iter().zip(shares.iter_mut()) {
            profile.shares(weekday, gathered, shares);
        }
        self.drift_shape(shares);
        let (last_week, rest) = predictions.split_at_mut(1);
        let (four_weeks, scaled) = rest.split_at_mut(1);
        for (index, prediction) in scaled.iter_mut().enumerate() {
            let factor = match index {
                ECHOING => self.echo.factor(days_ahead),
                index if index + 1 == SCALED => self.year.factor(days_ahead),
                _ => 1.0,
            };
            let level = self.levels[index].value() * factor;
            let shares = &shares[member(index).0];
            prediction.iter_mut().zip(shares).for_each(|(mean, share)| *mean = level * share);
        }
        let stand_in = &scaled[COUNT - NAMED - 1];
        let part = self.reference.after_silence();
        last_days(&self.recent, back, stand_in, part, &mut last_week[0], &mut four_weeks[0]);
    }
}

/// Shape and memory of the level of a candidate that is made of both.
fn member(index: usize) -> (usize, f64) {
    let plain = PROFILE_WEEKS.len() * LEVEL_DAYS.len();
    match index {
        index if index < plain => (index / LEVEL_DAYS.len(), LEVEL_DAYS[index % LEVEL_DAYS.len()]),
        index if index == plain => (DRIFTED, MIDDLE_DAYS),
        ECHOING => (PROFILE_WEEKS.len() - 1, LEVEL_DAYS[LEVEL_DAYS.len() - 1]),
        _ => (PROFILE_WEEKS.len() - 1, MIDDLE_DAYS),
    }
}

/// The `part` of last week's same day and of the mean of the last four; `stand_in` where missing.
fn last_days(
    recent: &RecentDays,
    back: usize,
    stand_in: &[f64],
    part: f64,
    last: &mut [f64],
    mean: &mut [f64],
) {
    let days: [Option<RecentDay<'_>>; RECENT_WEEKS] =
        std::array::from_fn(|week| recent.back(back + week * WEEK));
    for slot in 0..mean.len() {
        let (mut sum, mut weeks, mut newest) = (0.0, 0.0, None);
        for value in days.iter().flatten().filter_map(|day| day.count(slot)) {
            sum += value;
            weeks += 1.0;
            newest = newest.or(Some(value));
        }
        last[slot] = newest.map_or(stand_in[slot], |newest| part * newest);
        mean[slot] = if weeks > 0.0 { part * sum / weeks } else { stand_in[slot] };
    }
}
