//! A forecast that knows all: what a better forecast could still win.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::orders::Orders;
use super::super::run::Cell;
use super::super::units::{Millis, SECOND, count, millis};
use crate::core::Interval;
use crate::core::demand::calendar::Calendar;
use crate::core::demand::outlook::{ArrivalForecast, Distrust, Knot, Outlook, PresentRate};

/// The true arrivals of a cell, as a forecast without error.
#[derive(Debug, Clone)]
pub struct Foresight {
    orders: Arc<Orders>,
    origin: Timestamp,
}

impl Foresight {
    /// The arrivals of `cell`.
    pub fn of(cell: &Cell) -> Self {
        Self { orders: Arc::clone(cell.orders()), origin: cell.scenario().origin() }
    }

    fn arrived_until(&self, time: Millis) -> f64 {
        f64::from(count(self.orders.arrivals.partition_point(|arrival| *arrival <= time)))
    }
}

impl ArrivalForecast for Foresight {
    fn observe(&mut self, _interval: &Interval) {}

    fn outlook(
        &mut self,
        now: Timestamp,
        _present: &PresentRate,
        horizon_seconds: f64,
    ) -> Result<Outlook, Distrust> {
        let start = millis(now.duration_since(self.origin).as_secs_f64());
        let arrived = self.arrived_until(start);
        let horizon = millis(horizon_seconds);
        let mut knots = Vec::new();
        let mut ahead = 0;
        while ahead <= horizon {
            let mean = self.arrived_until(start + ahead) - arrived;
            knots.push(Knot::new(ahead as f64 / 1_000.0, mean, 0.0));
            ahead += if ahead < 900 * SECOND { 15 * SECOND } else { 60 * SECOND };
        }
        Ok(Outlook { model: "foresight".to_owned(), knots })
    }

    /// It knows what comes better than any calendar.
    fn set_calendar(&mut self, _calendar: &Arc<Calendar>) {}

    fn boxed_clone(&self) -> Box<dyn ArrivalForecast> {
        Box::new(self.clone())
    }
}
