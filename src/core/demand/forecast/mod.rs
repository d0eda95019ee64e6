//! The forecast of order arrivals: level times weekly profile times event, made to earn its place.
//!
//! Closed intervals of arrivals go in; the mean, variance and quantiles of what is to come go out,
//! as a day's path ([`DayModel`]) or as the planner's cumulative curve ([`ProfileForecast`], behind
//! [`ArrivalForecast`](crate::core::demand::outlook::ArrivalForecast)). Pure: time is an argument.
//!
//! - `profile`, `level` and `recent` make the plain forecasts, `candidates` stacks them by recent error;
//! - `dispersion`, [`distribution`] and `conformal` make quantiles that are kept honest;
//! - `intraday` corrects the hours ahead by the hours just seen;
//! - `grid` cuts time into local days and slots, `curve` makes the rate continuous across them;
//! - `event` is what is known to change orders for a while;
//! - `live`, `today` and `walk` put it together for a stream of intervals, `watch` says whether to rely on it;
//! - [`score`] judges it and its [`baselines`] the same way.

pub mod baselines;
mod candidates;
mod conformal;
mod curve;
mod day;
mod dispersion;
pub mod distribution;
mod drift;
mod echo;
mod event;
mod grid;
mod habits;
mod intraday;
mod level;
mod live;
mod profile;
mod recent;
pub mod score;
mod today;
mod walk;
mod watch;
mod year;

pub use day::{DayForecast, DayModel};
pub use event::{Change, Event, change_at, change_seen};
pub use grid::{DayCounts, days_of, slot_seconds_for};
pub(crate) use grid::{later, seconds_between};
pub use live::{ProfileForecast, SlotForecast};

#[cfg(test)]
mod tests;
