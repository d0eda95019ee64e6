//! The forecast of order arrivals.

mod candidates;
mod conformal;
mod day;
mod dispersion;
pub mod distribution;
mod level;
mod profile;

pub use day::{DayForecast, DayModel};
