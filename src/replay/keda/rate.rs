//! KEDA's `prometheus` trigger where its query is a rate of arriving orders.
//!
//! `pkg/scalers/prometheus_scaler.go` of kedacore/keda: the query's value over `threshold` as
//! `AverageValue`, active when above `activationThreshold`; without data the value is 0
//! (`ignoreNullValues`).

use std::collections::VecDeque;

use crate::core::{Interval, Observation};

/// Words in a counter's name that tell of orders done, not of orders arriving.
const WORDS_OF_DONE: [&str; 10] = [
    "complete",
    "processed",
    "deleted",
    "done",
    "shipped",
    "finished",
    "consumed",
    "packed",
    "picked",
    "acked",
];

/// The value of a rate query, from the arrivals that were seen.
#[derive(Debug, Clone)]
pub struct ArrivalRate {
    query: Query,
    threshold: f64,
    activation_threshold: f64,
    seen: VecDeque<Interval>,
}

/// A query that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    /// The counter.
    pub(super) metric: String,
    /// The window in square brackets, seconds.
    pub(super) window_seconds: f64,
    /// `increase` gives orders in the window, `rate` orders a second.
    pub(super) is_increase: bool,
    /// What the whole is multiplied by.
    pub(super) factor: f64,
}

impl ArrivalRate {
    pub(super) fn new(query: Query, threshold: f64, activation_threshold: f64) -> Self {
        Self { query, threshold, activation_threshold, seen: VecDeque::new() }
    }

    /// Takes in what became known; gives the metric over its threshold, and whether it is active.
    pub fn at(&mut self, observation: &Observation) -> (f64, bool) {
        self.seen.extend(observation.arrivals.iter().copied());
        let value = self.value();
        (value / self.threshold, value > self.activation_threshold)
    }

    fn value(&mut self) -> f64 {
        let Some(last) = self.seen.back().copied() else { return 0.0 };
        let window = self.query.window_seconds;
        while self.seen.front().is_some_and(|one| last.to.duration_since(one.to).as_secs_f64() >= window) {
            self.seen.pop_front();
        }
        let orders: f64 = self.seen.iter().map(|one| one.count).sum();
        let per = if self.query.is_increase { 1.0 } else { window };
        orders / per * self.query.factor
    }
}

impl Query {
    /// Understands `sum(rate(orders_total{...}[2m]))`, with `increase` or `irate` in the place of
    /// `rate`, without `sum`, and times or over a number.
    ///
    /// # Errors
    /// What is not understood, as the end of a message.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not understood; known is a rate of arriving orders, like sum(rate(orders_received_total[2m])), times or over a number"
            )
        };
        let compact: String = text.split_whitespace().collect();
        let close = compact.rfind(')').ok_or_else(wrong)?;
        let factor = factor(&compact[close + 1..]).ok_or_else(wrong)?;
        let call = &compact[..=close];
        let call = call.strip_prefix("sum(").and_then(|inner| inner.strip_suffix(')')).unwrap_or(call);
        let (function, argument) =
            call.strip_suffix(')').and_then(|call| call.split_once('(')).ok_or_else(wrong)?;
        let is_increase = match function {
            "rate" | "irate" => false,
            "increase" => true,
            _ => return Err(wrong()),
        };
        let (selector, window) =
            argument.strip_suffix(']').and_then(|text| text.rsplit_once('[')).ok_or_else(wrong)?;
        let window_seconds = seconds(window).ok_or_else(wrong)?;
        let metric = selector.split('{').next().unwrap_or_default().to_owned();
        let is_name = !metric.is_empty()
            && metric.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':'));
        if !is_name || (selector.contains('{') && !selector.ends_with('}')) {
            return Err(wrong());
        }
        if let Some(word) = WORDS_OF_DONE.iter().find(|word| metric.contains(*word)) {
            return Err(format!(
                "{text:?} counts orders done (\"{word}\"), and a scaler on those is not simulated; a rate of arriving orders is"
            ));
        }
        Ok(Self { metric, window_seconds, is_increase, factor })
    }
}

fn factor(rest: &str) -> Option<f64> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    match rest.split_at_checked(1) {
        None => Some(1.0),
        Some(("*", factor)) => number(factor),
        Some(("/", divisor)) => number(divisor).map(|divisor| 1.0 / divisor),
        Some(_) => None,
    }
}

/// A duration as PromQL writes it: `30s`, `5m`, `1h30m`.
fn seconds(text: &str) -> Option<f64> {
    let has_unit = text.ends_with(['s', 'm', 'h']);
    crate::trigger::duration::parse(text).ok().filter(|seconds| has_unit && *seconds > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_understood() {
        for (text, window, is_increase, factor) in [
            ("rate(orders_total[2m])", 120.0, false, 1.0),
            ("sum(rate(orders_received_total{shop=\"a\"}[5m]))", 300.0, false, 1.0),
            ("sum( irate(orders_total[30s]) ) * 60", 30.0, false, 60.0),
            ("sum(increase(orders_total[1m])) / 2", 60.0, true, 0.5),
        ] {
            let query = Query::parse(text).unwrap();
            assert_eq!(
                (query.window_seconds, query.is_increase, query.factor),
                (window, is_increase, factor)
            );
            assert!(query.metric.starts_with("orders_"), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_of_arrivals_is_refused() {
        for text in [
            "sum(orders_waiting)",
            "avg_over_time(orders[5m])",
            "rate(orders_total[2m]) + 1",
            "rate(orders_total[5])",
            "histogram_quantile(0.9, sum(rate(wait_bucket[5m])) by (le))",
            "sum(rate(orders_completed_total[2m]))",
            "sum(rate(a[2m]))-sum(rate(b[2m]))",
            "",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_window_moves() {
        let query = Query::parse("sum(rate(orders_total[2m]))").unwrap();
        let mut rate = ArrivalRate::new(query, 0.5, 0.0);
        let at = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap();
        let mut observation: Observation = serde_json::from_str(r#"{"at":"1970-01-01T00:10:00Z"}"#).unwrap();
        assert_eq!(rate.at(&observation), (0.0, false));
        for (minute, count, expected) in [(0, 60.0, 1.0), (1, 60.0, 2.0), (2, 0.0, 1.0), (3, 0.0, 0.0)] {
            let interval = Interval { from: at(minute * 60), to: at(minute * 60 + 60), count };
            observation.arrivals = vec![interval];
            assert_eq!(rate.at(&observation), (expected, expected > 0.0), "minute {minute}");
        }
    }
}
