//! Candidate forecasts of a day, and the stack of them weighted by how they did lately.
//!
//! Candidates are plain: last week's same day, the mean of the last four, and levels of three
//! speeds times profiles of two memories. Each is scored every day; a candidate's weight falls
//! with a high power of its absolute error over the last weeks, so that the best leads, near-equals
//! share (averages of near-equals beat each of them), and the poor are left out. What suits a
//! series is thus learned from the series and not set by hand.

use std::collections::VecDeque;

use super::level::Level;
use super::profile::{Profile, WEEK};

/// Weeks of which the same-slot mean is taken.
const MEAN_WEEKS: usize = 4;
/// Half-life of the scores, in days: about the last four weeks count.
const SCORE_HALF_LIFE_DAYS: f64 = 14.0;
/// Power of best error over own error that is a candidate's weight.
const SHARPNESS: i32 = 12;
/// Memories of the profiles, in weeks.
const PROFILE_WEEKS: [f64; 2] = [4.0, 12.0];
/// Memories of the levels, in days; each is combined with each profile.
const LEVEL_DAYS: [f64; 3] = [2.0, 5.0, 15.0];
/// Memory of the level that the profiles are shares of.
const REFERENCE_DAYS: f64 = 6.0;
/// Days whose plain mean is the level before levels can be followed.
const START_DAYS: f64 = 7.0;
const NAMED: usize = 2;
const COUNT: usize = NAMED + PROFILE_WEEKS.len() * LEVEL_DAYS.len();

/// All candidates, their scores and what they need to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidates {
    slots: usize,
    recent: VecDeque<Vec<f64>>,
    profiles: [Profile; PROFILE_WEEKS.len()],
    reference: Level,
    levels: Vec<Level>,
    losses: [f64; COUNT],
    start_days: f64,
    shares: [Vec<f64>; PROFILE_WEEKS.len()],
    predictions: [Vec<f64>; COUNT],
}

impl Candidates {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots,
            recent: VecDeque::with_capacity(MEAN_WEEKS * WEEK + 1),
            profiles: PROFILE_WEEKS.map(|weeks| Profile::new(slots, weeks)),
            reference: Level::new(REFERENCE_DAYS),
            levels: PROFILE_WEEKS.iter().flat_map(|_| LEVEL_DAYS.map(Level::new)).collect(),
            losses: [0.0; COUNT],
            start_days: 0.0,
            shares: std::array::from_fn(|_| vec![0.0; slots]),
            predictions: std::array::from_fn(|_| vec![0.0; slots]),
        }
    }

    /// The stacked forecast of the day `days_ahead` (0: the day after the last one learned).
    pub(super) fn predict(&mut self, weekday: usize, days_ahead: usize, mean: &mut [f64]) {
        self.predict_each(weekday, days_ahead);
        let weights = self.weights();
        mean.fill(0.0);
        for (weight, prediction) in weights.iter().zip(&self.predictions) {
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

    /// What the candidates are called.
    pub(super) fn names() -> [String; COUNT] {
        std::array::from_fn(|index| match index {
            0 => "last week".to_owned(),
            1 => "four-week mean".to_owned(),
            other => {
                let weeks = PROFILE_WEEKS[(other - NAMED) / LEVEL_DAYS.len()];
                let days = LEVEL_DAYS[(other - NAMED) % LEVEL_DAYS.len()];
                format!("{days}-day level, {weeks}-week profile")
            }
        })
    }

    /// Mean gain of the levels in use: how fast the future drifts away from today.
    pub(super) fn level_gain(&self) -> f64 {
        let weights = self.weights();
        let followed: f64 = weights[NAMED..].iter().sum();
        let gains = self.levels.iter().zip(&weights[NAMED..]).map(|(level, weight)| level.gain() * weight);
        if followed > 0.0 { gains.sum::<f64>() / followed } else { 0.0 }
    }

    /// Scores the candidates on a day (`NaN`: missing), then learns it. The call before must have
    /// been [`Self::predict`] of that very day: its parts are what is scored.
    pub(super) fn learn(&mut self, weekday: usize, values: &[f64]) {
        if values.iter().any(|value| !value.is_nan()) {
            self.score(values);
            self.learn_level_and_profile(weekday, values);
        }
        self.remember(values);
    }

    /// Learns a day long past, of which only level and profile will still be known.
    pub(super) fn absorb(&mut self, weekday: usize, values: &[f64]) {
        if values.iter().any(|value| !value.is_nan()) {
            for (profile, shares) in self.profiles.iter().zip(&mut self.shares) {
                profile.own_shares(weekday, shares);
            }
            self.learn_level_and_profile(weekday, values);
        }
        self.remember(values);
    }

    fn remember(&mut self, values: &[f64]) {
        let oldest = (self.recent.len() == MEAN_WEEKS * WEEK).then(|| self.recent.pop_front());
        let mut day = oldest.flatten().unwrap_or_default();
        day.clear();
        day.extend_from_slice(values);
        self.recent.push_back(day);
    }

    fn score(&mut self, values: &[f64]) {
        let keep = 0.5_f64.powf(1.0 / SCORE_HALF_LIFE_DAYS);
        for (loss, prediction) in self.losses.iter_mut().zip(&self.predictions) {
            let known = prediction.iter().zip(values).filter(|(_, value)| !value.is_nan());
            *loss = *loss * keep + known.map(|(mean, value)| (value - mean).abs()).sum::<f64>();
        }
    }

    fn learn_level_and_profile(&mut self, weekday: usize, values: &[f64]) {
        let (mut seen, mut known) = (0.0, 0);
        for value in values.iter().filter(|value| !value.is_nan()) {
            seen += value;
            known += 1;
        }
        if self.start_days < START_DAYS {
            if seen <= 0.0 && self.start_days == 0.0 {
                return;
            }
            self.start(seen * self.slots as f64 / f64::from(known));
            for profile in &mut self.profiles {
                profile.learn(weekday, values, self.reference.value(), 1.0);
            }
            return;
        }
        let mut trust = 1.0;
        for (index, shares) in self.shares.iter().enumerate() {
            let all: f64 = shares.iter().sum();
            let expected: f64 =
                shares.iter().zip(values).filter(|(_, value)| !value.is_nan()).map(|(share, _)| share).sum();
            let share = if all > 0.0 { expected / all } else { 0.0 };
            for level in &mut self.levels[index * LEVEL_DAYS.len()..(index + 1) * LEVEL_DAYS.len()] {
                level.learn(seen, expected * level.value(), share);
            }
            if index == 0 {
                trust = self.reference.learn(seen, expected * self.reference.value(), share);
            }
        }
        for profile in &mut self.profiles {
            profile.learn(weekday, values, self.reference.value(), trust);
        }
    }

    fn start(&mut self, day_total: f64) {
        self.start_days += 1.0;
        let before = self.reference.value();
        let level = before + (day_total - before) / self.start_days;
        if before > 0.0 && level > 0.0 {
            self.profiles.iter_mut().for_each(|profile| profile.rescale(before / level));
        }
        self.reference.set(level);
        self.levels.iter_mut().for_each(|one| one.set(level));
    }

    fn predict_each(&mut self, weekday: usize, days_ahead: usize) {
        let back = WEEK - days_ahead % WEEK;
        let (last_week, rest) = self.predictions.split_at_mut(1);
        let (four_weeks, scaled) = rest.split_at_mut(1);
        for (profile, shares) in self.profiles.iter_mut().zip(&mut self.shares) {
            profile.shares(weekday, shares);
        }
        for (index, prediction) in scaled.iter_mut().enumerate() {
            let level = self.levels[index].value();
            let shares = &self.shares[index / LEVEL_DAYS.len()];
            prediction.iter_mut().zip(shares).for_each(|(mean, share)| *mean = level * share);
        }
        let stand_in = &scaled[COUNT - NAMED - 1];
        last_days(&self.recent, back, stand_in, &mut last_week[0], &mut four_weeks[0]);
    }
}

/// Last week's same day and the mean of the last four, with `stand_in` where they are missing.
fn last_days(recent: &VecDeque<Vec<f64>>, back: usize, stand_in: &[f64], last: &mut [f64], mean: &mut [f64]) {
    let days: [Option<&[f64]>; MEAN_WEEKS] = std::array::from_fn(|week| {
        let day = recent.len().checked_sub(back + week * WEEK)?;
        recent.get(day).map(Vec::as_slice)
    });
    for slot in 0..mean.len() {
        let (mut sum, mut weeks, mut newest) = (0.0, 0.0, f64::NAN);
        for value in days.iter().flatten().map(|day| day[slot]).filter(|value| !value.is_nan()) {
            sum += value;
            weeks += 1.0;
            newest = if newest.is_nan() { value } else { newest };
        }
        last[slot] = if newest.is_nan() { stand_in[slot] } else { newest };
        mean[slot] = if weeks > 0.0 { sum / weeks } else { stand_in[slot] };
    }
}
