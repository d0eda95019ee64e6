//! Simulated time is whole milliseconds since the scenario's start: exact to compare and to add.

use jiff::{SignedDuration, Timestamp};

/// Milliseconds since the scenario's start.
pub type Millis = i64;

/// One second.
pub const SECOND: Millis = 1_000;
/// One hour.
pub const HOUR: Millis = 3_600 * SECOND;
/// One day of 24 hours.
pub const DAY: Millis = 24 * HOUR;

/// Seconds, rounded to milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "a float beyond i64 saturates, which is meant")]
pub fn millis(seconds: f64) -> Millis {
    (seconds * 1_000.0).round() as Millis
}

/// Milliseconds as seconds.
pub fn seconds(time: Millis) -> f64 {
    time as f64 / 1_000.0
}

/// The wall clock at `time` of a simulation that starts at `origin`.
pub fn timestamp(origin: Timestamp, time: Millis) -> Timestamp {
    origin.saturating_add(SignedDuration::from_millis(time)).unwrap_or(Timestamp::MAX)
}

/// A count of things in memory, as the narrow type of the contract.
pub fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}

/// A finite, non-negative number rounded up to whole things.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before the cast")]
pub fn ceil(value: f64) -> u32 {
    value.ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// A non-negative index from a quotient of times.
pub fn index(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}
