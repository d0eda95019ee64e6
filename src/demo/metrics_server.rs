//! A metrics store that answers the demo's three queries by Prometheus's HTTP API.
//!
//! `NAME` and `rate(NAME[WINDOW])`, each also inside `sum(...)`, at `/api/v1/query` and
//! `/api/v1/query_range`; anything else is an error that says so. Times are simulated times.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::recorder::{Metric, Recorder};
use crate::clock::{Clock, later};

/// Orders that arrive, a second.
pub const ARRIVAL_QUERY: &str = "sum(rate(demo_orders_received_total[15s]))";
/// Orders completed, a second.
pub const COMPLETION_QUERY: &str = "sum(rate(demo_orders_completed_total[15s]))";
/// Workers that are ready.
pub const REPLICAS_QUERY: &str = "sum(demo_workers_ready)";

/// Most points of one range, as Prometheus has it.
const MOST_POINTS: i64 = 11_000;

/// What the server answers from.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The past of the centre.
    pub recorder: Arc<Recorder>,
    /// Simulated time, for queries that name none.
    pub clock: Clock,
}

/// The HTTP side.
pub fn router(metrics: Metrics) -> Router {
    Router::new()
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .with_state(metrics)
}

#[derive(Debug, Deserialize)]
struct InstantRequest {
    query: String,
    time: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RangeRequest {
    query: String,
    start: String,
    end: String,
    step: String,
}

#[derive(Debug)]
struct BadData(String);

impl IntoResponse for BadData {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "errorType": "bad_data", "error": self.0 });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

async fn query(
    State(metrics): State<Metrics>,
    Form(request): Form<InstantRequest>,
) -> Result<Json<Value>, BadData> {
    let query = Query::parse(&request.query)?;
    let at = request.time.as_deref().map_or_else(|| Ok(metrics.clock.now()), parse_time)?;
    let result: Vec<Value> = query
        .answer(&metrics.recorder, at)
        .map(|value| json!({ "metric": {}, "value": point(at, value) }))
        .into_iter()
        .collect();
    Ok(Json(json!({ "status": "success", "data": { "resultType": "vector", "result": result } })))
}

async fn query_range(
    State(metrics): State<Metrics>,
    Form(request): Form<RangeRequest>,
) -> Result<Json<Value>, BadData> {
    let query = Query::parse(&request.query)?;
    let (start, end) = (parse_time(&request.start)?, parse_time(&request.end)?);
    let step = parse_duration(&request.step)?;
    let points =
        end.duration_since(start).as_millis() / i128::try_from(step.as_millis()).unwrap_or(i128::MAX);
    if points > i128::from(MOST_POINTS) {
        return Err(BadData(format!(
            "{points} points are more than {MOST_POINTS}: raise step {:?}",
            request.step
        )));
    }
    let times = std::iter::successors(Some(start), |at| Some(later(*at, step))).take_while(|at| *at <= end);
    let values: Vec<Value> =
        times.filter_map(|at| query.answer(&metrics.recorder, at).map(|value| point(at, value))).collect();
    let result = if values.is_empty() { json!([]) } else { json!([{ "metric": {}, "values": values }]) };
    Ok(Json(json!({ "status": "success", "data": { "resultType": "matrix", "result": result } })))
}

/// Prometheus's pair of seconds and text.
fn point(at: Timestamp, value: f64) -> Value {
    json!([at.as_millisecond() as f64 / 1000.0, value.to_string()])
}

/// A query that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Query {
    metric: Metric,
    /// `rate` over this window; without it the value itself.
    rate_over: Option<Duration>,
}

impl Query {
    fn parse(text: &str) -> Result<Self, BadData> {
        let inner = text.trim();
        let inner = call("sum", inner).unwrap_or(inner);
        let (name, rate_over) = match call("rate", inner) {
            None => (inner, None),
            Some(selector) => {
                let unknown =
                    || BadData(format!("query {text:?} is not understood: rate needs NAME[WINDOW]"));
                let (name, window) = selector.split_once('[').ok_or_else(unknown)?;
                let window = window.strip_suffix(']').ok_or_else(unknown)?;
                (name, Some(parse_duration(window)?))
            }
        };
        let metric = match name.trim() {
            "demo_orders_received_total" => Metric::Arrivals,
            "demo_orders_completed_total" => Metric::Completions,
            "demo_workers_ready" => Metric::ReadyReplicas,
            _ => {
                return Err(BadData(format!(
                    "query {text:?} is not understood: this store knows demo_orders_received_total, \
                     demo_orders_completed_total and demo_workers_ready, each plain or in rate(...[15s]) and sum(...)"
                )));
            }
        };
        Ok(Self { metric, rate_over })
    }

    fn answer(&self, recorder: &Recorder, at: Timestamp) -> Option<f64> {
        match self.rate_over {
            None => recorder.value(self.metric, at),
            Some(window) => recorder.rate(self.metric, at, window),
        }
    }
}

/// What stands in the parentheses of `name(...)`.
fn call<'text>(name: &str, text: &'text str) -> Option<&'text str> {
    text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')').map(str::trim)
}

/// Seconds since 1970, or RFC 3339.
fn parse_time(text: &str) -> Result<Timestamp, BadData> {
    let bad = || BadData(format!("time {text:?} is neither seconds since 1970 nor RFC 3339"));
    match text.parse::<f64>() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates and from_millisecond refuses what is too large"
        )]
        Ok(seconds) if seconds.is_finite() => {
            Timestamp::from_millisecond((seconds * 1000.0).round() as i64).map_err(|_| bad())
        }
        Ok(_) => Err(bad()),
        Err(_) => text.parse().map_err(|_| bad()),
    }
}

/// Seconds, or a number with `s`, `m` or `h`; above zero.
fn parse_duration(text: &str) -> Result<Duration, BadData> {
    let (number, factor) = match text.trim_end_matches(|last: char| last.is_ascii_alphabetic()) {
        number if number.len() == text.len() => (number, 1.0),
        number => match &text[number.len()..] {
            "ms" => (number, 0.001),
            "s" => (number, 1.0),
            "m" => (number, 60.0),
            "h" => (number, 3600.0),
            _ => ("", 0.0),
        },
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * factor).ok())
        .filter(|duration| duration.as_millis() > 0)
        .ok_or_else(|| {
            BadData(format!("duration {text:?} is not seconds or a number with ms, s, m or h above 0"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_queries_are_understood() {
        let step = Some(Duration::from_secs(15));
        let cases = [
            (ARRIVAL_QUERY, Metric::Arrivals, step),
            (COMPLETION_QUERY, Metric::Completions, step),
            (REPLICAS_QUERY, Metric::ReadyReplicas, None),
            ("rate(demo_orders_received_total[90s])", Metric::Arrivals, Some(Duration::from_secs(90))),
        ];
        for (text, metric, rate_over) in cases {
            assert_eq!(Query::parse(text).unwrap(), Query { metric, rate_over }, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for text in
            ["", "up", "rate(demo_workers_ready)", "rate(demo_workers_ready[0s])", "max(demo_workers_ready)"]
        {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        for text in ["", "x", "1y", "-1", "inf"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_time("nan").is_err());
        assert_eq!(parse_time("1795000000.5").unwrap(), parse_time("2026-11-18T11:06:40.5Z").unwrap());
    }
}
