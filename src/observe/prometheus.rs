//! Prometheus and Mimir: rates as counts over intervals, and present values.
//!
//! A rate query (`arrivalQuery`, `completionQuery`; orders a second) is evaluated at every step since
//! the last value taken, with `query_range`, so that neither a slow poll nor an outage of up to three hours leaves a
//! gap. The value at `t` holds for the step before `t`: a count of rate x step over
//! `[t - step, t)`. A step without a value is unknown, not zero; it is asked for again until a later one has been
//! taken. A present value (`backlogQuery`, `replicasQuery`) is one instant query.
//!
//! The operator's bearer token goes to the operator's own address only. It is read from its file at every request,
//! for the platform renews it there. Redirects are not followed: they would lead past the allow-list.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::PastWindow;
use super::poll::{Cell, ReadError, Schedule, Task, run};
use crate::clock::Clock;
use crate::core::Interval;

/// From one evaluation of a rate to the next, and between polls.
pub(super) const STEP_SECONDS: i64 = 15;
/// A step is asked for this long after it ended: samples take a moment to arrive.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// At the start this much of the past is read.
const FIRST_LOOK: SignedDuration = SignedDuration::from_mins(60);
/// No query reaches further back, whatever the outage.
const LONGEST_LOOK: SignedDuration = SignedDuration::from_mins(180);
/// Steps kept for workloads that join later: one hour.
const KEPT: usize = 240;
const TIMEOUT: Duration = Duration::from_secs(5);
/// A window of the past is more work.
const PAST_TIMEOUT: Duration = Duration::from_secs(30);
const QUERIES_AT_ONCE: usize = 32;
/// Of those, for the past: nobody waits for it.
const PAST_QUERIES_AT_ONCE: usize = 2;
/// An answer larger than this is no answer to a query of one series.
const LARGEST_ANSWER_BYTES: usize = 1 << 20;

/// Which poll.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct QueryKey {
    /// Metadata key, for messages.
    pub(super) key: &'static str,
    /// Base address, allowed and without a slash at the end.
    pub(super) address: String,
    pub(super) tenant: Option<String>,
    pub(super) query: String,
}

/// The client of all queries.
#[derive(Debug)]
pub(super) struct Prometheus {
    http: Client,
    /// The operator's own address and the file of the token for it.
    token: Option<(String, PathBuf)>,
    calls: Semaphore,
    past_calls: Semaphore,
}

/// A rate's steps.
#[derive(Debug, Default)]
pub(super) struct Steps {
    kept: VecDeque<(u64, Interval)>,
    next: u64,
    taken_until: Option<Timestamp>,
}

/// The poll of a rate.
#[derive(Debug)]
pub(super) struct RatePoll {
    pub(super) cell: Arc<Cell<Steps>>,
    _task: Task,
}

/// The poll of a present value.
#[derive(Debug)]
pub(super) struct ValuePoll {
    /// The value and the moment it was evaluated for.
    pub(super) cell: Arc<Cell<Option<(Timestamp, f64)>>>,
    _task: Task,
}

impl RatePoll {
    pub(super) fn start(
        runtime: &Handle,
        clock: &Clock,
        period: Duration,
        client: Arc<Prometheus>,
        key: QueryKey,
    ) -> Self {
        let cell = Arc::new(Cell::<Steps>::default());
        let key = Arc::new(key);
        let task = runtime.spawn(run(clock.clone(), schedule(period), cell.clone(), {
            let cell = cell.clone();
            move |now| {
                let (cell, client, key) = (cell.clone(), client.clone(), key.clone());
                async move {
                    let window = cell.value().window(now);
                    let Some((from, to)) = window else { return Ok(()) };
                    let values = client.range(&key, from, to).await?;
                    cell.value().take_in(&values, from, to);
                    Ok(())
                }
            }
        }));
        Self { cell, _task: Task::new(task) }
    }
}

impl ValuePoll {
    pub(super) fn start(
        runtime: &Handle,
        clock: &Clock,
        period: Duration,
        client: Arc<Prometheus>,
        key: QueryKey,
    ) -> Self {
        let cell = Arc::new(Cell::<Option<(Timestamp, f64)>>::default());
        let key = Arc::new(key);
        let task = runtime.spawn(run(clock.clone(), schedule(period), cell.clone(), {
            let cell = cell.clone();
            move |now| {
                let (cell, client, key) = (cell.clone(), client.clone(), key.clone());
                async move {
                    let value = client.instant(&key, now).await?;
                    *cell.value() = Some((now, value));
                    Ok(())
                }
            }
        }));
        Self { cell, _task: Task::new(task) }
    }
}

fn schedule(period: Duration) -> Schedule {
    Schedule { period, spread: period / 20 }
}

impl Steps {
    /// Steps with a number of at least `from`, and the number to go on from.
    pub(super) fn since(&self, from: u64) -> (Vec<Interval>, u64) {
        let news = self.kept.iter().filter(|(number, _)| *number >= from);
        (news.map(|(_, interval)| *interval).collect(), self.next)
    }

    /// The first and last moment to evaluate at, both multiples of the step; `None` when nothing is new.
    fn window(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let last = floor_to_step(now - SETTLED_AFTER);
        let step = SignedDuration::from_secs(STEP_SECONDS);
        let first = match self.taken_until {
            None => last - FIRST_LOOK,
            Some(taken) => (taken + step).max(last - LONGEST_LOOK),
        };
        (first <= last).then_some((first, last))
    }

    fn take_in(&mut self, values: &[(Timestamp, f64)], from: Timestamp, to: Timestamp) {
        for &(at, rate) in values {
            if at < from || at > to || self.taken_until.is_some_and(|taken| at <= taken) {
                continue;
            }
            let interval = Interval {
                from: at - SignedDuration::from_secs(STEP_SECONDS),
                to: at,
                count: rate * STEP_SECONDS as f64,
            };
            self.kept.push_back((self.next, interval));
            self.next += 1;
            self.taken_until = Some(at);
        }
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }
}

fn floor_to_step(moment: Timestamp) -> Timestamp {
    let second = moment.as_second();
    Timestamp::from_second(second - second.rem_euclid(STEP_SECONDS)).unwrap_or(moment)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Matrix(Vec<MatrixSeries>),
    Vector(Vec<VectorSeries>),
    Scalar(Sample),
}

#[derive(Deserialize)]
struct MatrixSeries {
    values: Vec<Sample>,
}

#[derive(Deserialize)]
struct VectorSeries {
    value: Sample,
}

/// Seconds since 1970 and the value as text.
#[derive(Clone, Deserialize)]
struct Sample(f64, String);

impl Prometheus {
    /// `token` is the operator's own address (as the allow-list normalises it) and the file of its bearer token.
    pub(super) fn new(token: Option<(String, PathBuf)>) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(2))
            .pool_idle_timeout(Duration::from_secs(20))
            .user_agent(concat!("peakscaler/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            token,
            calls: Semaphore::new(QUERIES_AT_ONCE),
            past_calls: Semaphore::new(PAST_QUERIES_AT_ONCE),
        })
    }

    /// Evaluates at every step from `from` to `to`, both included.
    async fn range(
        &self,
        key: &QueryKey,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, f64)>, ReadError> {
        let parameters = [
            ("query", key.query.clone()),
            ("start", from.as_second().to_string()),
            ("end", to.as_second().to_string()),
            ("step", STEP_SECONDS.to_string()),
        ];
        let values = self.evaluate(key, &parameters, TIMEOUT).await?;
        if values.is_empty() {
            return Err(no_data(key));
        }
        Ok(values)
    }

    /// The values of one series at every step; none where there is nothing.
    async fn evaluate(
        &self,
        key: &QueryKey,
        parameters: &[(&str, String)],
        timeout: Duration,
    ) -> Result<Vec<(Timestamp, f64)>, ReadError> {
        let samples = match self.ask(key, "query_range", parameters, timeout).await? {
            Data::Matrix(series) => only_one(key, series)?.map(|series| series.values).unwrap_or_default(),
            Data::Vector(_) | Data::Scalar(_) => return Err(unexpected(key)),
        };
        let mut values = Vec::with_capacity(samples.len());
        for sample in samples {
            if let Some(rate) = number(key, &sample)? {
                #[expect(clippy::cast_possible_truncation, reason = "the steps asked for are whole seconds")]
                let second = sample.0.round() as i64;
                values.extend(Timestamp::from_second(second).ok().map(|at| (at, rate)));
            }
        }
        Ok(values)
    }

    /// Mean rates of the steps of a window, at their ends. A step of which less than nine tenths have a
    /// value is unknown: a mean over the rest would make an outage look like any other hour.
    pub(super) async fn past(
        &self,
        key: &QueryKey,
        window: PastWindow,
    ) -> Result<Vec<(Timestamp, f64)>, ReadError> {
        let step = window.step_seconds;
        let sample = (step / 60).clamp(STEP_SECONDS, 60);
        let least = (step / sample) * 9 / 10;
        // The query may end in a comment.
        let part = format!("({}\n)[{step}s:{sample}s]", key.query);
        let query = format!("avg_over_time({part}) and count_over_time({part}) >= {least}");
        let parameters = [
            ("query", query),
            ("start", (window.from.as_second() + step).to_string()),
            ("end", window.to.as_second().to_string()),
            ("step", step.to_string()),
        ];
        let Ok(_place) = self.past_calls.acquire().await else {
            return Err(ReadError::new("shutting down"));
        };
        self.evaluate(key, &parameters, PAST_TIMEOUT).await
    }

    /// Evaluates at `now`.
    async fn instant(&self, key: &QueryKey, now: Timestamp) -> Result<f64, ReadError> {
        let time = format!("{:.3}", now.as_millisecond() as f64 / 1000.0);
        let parameters = [("query", key.query.clone()), ("time", time)];
        let sample = match self.ask(key, "query", &parameters, TIMEOUT).await? {
            Data::Vector(series) => only_one(key, series)?.map(|series| series.value),
            Data::Scalar(sample) => Some(sample),
            Data::Matrix(_) => return Err(unexpected(key)),
        };
        let value = sample.map(|sample| number(key, &sample)).transpose()?.flatten();
        value.ok_or_else(|| no_data(key))
    }

    async fn ask(
        &self,
        key: &QueryKey,
        what: &str,
        parameters: &[(&str, String)],
        timeout: Duration,
    ) -> Result<Data, ReadError> {
        let Ok(_place) = self.calls.acquire().await else {
            return Err(ReadError::new("shutting down"));
        };
        let mut request =
            self.http.post(format!("{}/api/v1/{what}", key.address)).form(parameters).timeout(timeout);
        if let Some(tenant) = &key.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        if let Some((_, file)) = self.token.as_ref().filter(|(address, _)| *address == key.address) {
            let token = tokio::fs::read_to_string(file).await.map_err(|error| {
                ReadError::new(format!("the bearer token cannot be read from {}: {error}", file.display()))
            })?;
            request = request.bearer_auth(token.trim());
        }
        let unreachable = |error: reqwest::Error| {
            let why = with_causes(&error.without_url());
            ReadError::new(format!("{} cannot be reached for {}: {why}", key.address, key.key))
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER_BYTES {
                return Err(ReadError::new(format!(
                    "the answer to {} is larger than {LARGEST_ANSWER_BYTES} bytes: sum it to one series",
                    key.key
                )));
            }
        }
        let answer = serde_json::from_slice::<Answer>(&body);
        if status.is_success() {
            return answer.ok().and_then(|answer| answer.data).ok_or_else(|| {
                ReadError::new(format!("{} answers {} with something else than a result: check that it is the base address of Prometheus or Mimir", key.address, key.key))
            });
        }
        Err(refusal(key, status, answer.ok().and_then(|answer| answer.error)))
    }
}

fn refusal(key: &QueryKey, status: StatusCode, error: Option<String>) -> ReadError {
    let address = &key.address;
    let error = error.unwrap_or_else(|| "no reason given".to_owned());
    match status.as_u16() {
        429 => ReadError::throttled(format!(
            "{address} throttles queries: asking less often for a while ({error})"
        )),
        401 | 403 => ReadError::new(format!(
            "{address} refuses {}: check the bearer token of serve and prometheusTenant ({status}: {error})",
            key.key
        )),
        300..=399 => ReadError::new(format!(
            "{address} answers with a redirect, which is not followed: give the address that it leads to"
        )),
        404 => ReadError::new(format!(
            "{address} has no query API: give the base address, for Mimir usually ending in /prometheus ({status})"
        )),
        400 | 422 => {
            ReadError::new(format!("{address} cannot evaluate {} {:?}: {error}", key.key, key.query))
        }
        _ => ReadError::new(format!("{address} failed to answer {}: {status}: {error}", key.key)),
    }
}

fn only_one<T>(key: &QueryKey, series: Vec<T>) -> Result<Option<T>, ReadError> {
    if series.len() > 1 {
        return Err(ReadError::new(format!(
            "{} {:?} gives {} series: write sum(...) around it",
            key.key,
            key.query,
            series.len()
        )));
    }
    Ok(series.into_iter().next())
}

/// `None` for NaN, which is what a division by nothing gives.
fn number(key: &QueryKey, sample: &Sample) -> Result<Option<f64>, ReadError> {
    match sample.1.parse::<f64>() {
        Ok(value) if value.is_nan() => Ok(None),
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(Some(value)),
        _ => Err(ReadError::new(format!(
            "{} {:?} gives {}: it must be a finite number not below 0",
            key.key, key.query, sample.1
        ))),
    }
}

fn unexpected(key: &QueryKey) -> ReadError {
    ReadError::new(format!(
        "{} {:?} gives no number: write an expression for an instant vector of one series",
        key.key, key.query
    ))
}

fn no_data(key: &QueryKey) -> ReadError {
    ReadError::new(format!(
        "{} {:?} gives nothing at {}: check the metric's name and labels, and that its target is up",
        key.key, key.query, key.address
    ))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-27T{text}Z").parse().unwrap()
    }

    #[test]
    fn steps_follow_each_other_without_a_gap() {
        let mut steps = Steps::default();
        assert_eq!(steps.window(at("08:00:07")), Some((at("07:00:00"), at("08:00:00"))));
        steps.take_in(&[(at("07:59:45"), 2.0), (at("08:00:00"), 4.0)], at("07:00:00"), at("08:00:00"));
        let (intervals, next) = steps.since(0);
        assert_eq!(intervals.len(), 2);
        assert_eq!((intervals[1].from, intervals[1].to), (at("07:59:45"), at("08:00:00")));
        assert!((intervals[1].count - 60.0).abs() < 1e-9);
        // Nothing new yet.
        assert_eq!(steps.window(at("08:00:19")), None);
        // After an outage all that is missing is asked for, within bounds.
        assert_eq!(steps.window(at("08:20:03")), Some((at("08:00:15"), at("08:19:45"))));
        assert_eq!(steps.window(at("18:20:05")), Some((at("15:20:00"), at("18:20:00"))));
        // A step without a value is asked for again; one before a value that was taken is lost.
        steps.take_in(&[(at("08:00:45"), 1.0)], at("08:00:15"), at("08:01:00"));
        assert_eq!(steps.window(at("08:01:07")), Some((at("08:01:00"), at("08:01:00"))));
        assert_eq!(steps.since(next).0.len(), 1);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let key = QueryKey {
            key: "arrivalQuery",
            address: "http://mimir/prometheus".to_owned(),
            tenant: None,
            query: "rate(orders)".to_owned(),
        };
        for (status, word) in [
            (StatusCode::FOUND, "redirect"),
            (StatusCode::UNAUTHORIZED, "bearer token"),
            (StatusCode::NOT_FOUND, "base address"),
            (StatusCode::BAD_REQUEST, "arrivalQuery"),
            (StatusCode::TOO_MANY_REQUESTS, "throttles"),
            (StatusCode::BAD_GATEWAY, "502"),
        ] {
            let error = refusal(&key, status, Some("why".to_owned()));
            assert!(error.message.contains(word), "{}", error.message);
            assert_eq!(error.is_throttling, status.as_u16() == 429);
        }
    }

    #[test]
    fn values_that_are_no_counts_are_refused() {
        let key =
            QueryKey { key: "backlogQuery", address: String::new(), tenant: None, query: "x".to_owned() };
        for (text, expected) in
            [("3.5", Ok(Some(3.5))), ("NaN", Ok(None)), ("-1", Err(())), ("+Inf", Err(())), ("x", Err(()))]
        {
            assert_eq!(number(&key, &Sample(0.0, text.to_owned())).map_err(|_| ()), expected, "{text}");
        }
    }
}
