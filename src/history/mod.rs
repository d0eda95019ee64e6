//! The past of each workload's orders: on a grid, in an embedded store, and as CSV.
//!
//! - [`grid`]: counts by the minute, five minutes and hour, and what of them is known;
//! - [`store`]: the file that they are kept in between two starts;
//! - [`recorder`]: takes in what is observed, and writes it once a minute from a thread of its own;
//! - [`csv`]: histories of local wall-clock times, in and out.

pub mod csv;
pub mod grid;
pub mod recorder;
pub mod store;

pub use grid::{Past, Resolution};
pub use recorder::Recorder;
pub use store::{Learned, SeriesKey, Store, StoreError};
