//! Past arrivals: where the forecast's history comes from.

pub mod csv;
