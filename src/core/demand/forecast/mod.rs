//! The forecast of order arrivals.
