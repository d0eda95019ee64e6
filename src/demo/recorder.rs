//! The recent past of the centre as a metrics store would have scraped it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{earlier, seconds_between};

/// How much of the past is kept: more than any query of ours asks for.
const KEPT: Duration = Duration::from_hours(3);

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Counter: orders that arrived.
    Arrivals,
    /// Counter: orders completed.
    Completions,
    /// Gauge: workers that are ready.
    ReadyReplicas,
}

/// One scrape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Orders arrived since the start.
    pub arrivals: f64,
    /// Orders completed since the start.
    pub completions: f64,
    /// Workers that are ready.
    pub ready: f64,
}

impl Sample {
    fn value(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Arrivals => self.arrivals,
            Metric::Completions => self.completions,
            Metric::ReadyReplicas => self.ready,
        }
    }
}

/// Samples in order of time, the oldest dropped as new ones come.
#[derive(Debug, Default)]
pub struct Recorder {
    samples: Mutex<VecDeque<Sample>>,
}

impl Recorder {
    /// Adds a sample; one that is not after the last is ignored.
    pub fn record(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.back().is_some_and(|last| last.at >= sample.at) {
            return;
        }
        samples.push_back(sample);
        let horizon = earlier(sample.at, KEPT);
        while samples.front().is_some_and(|first| first.at < horizon) {
            samples.pop_front();
        }
    }

    /// The value at the last scrape up to `at`; `None` before the first.
    pub fn value(&self, metric: Metric, at: Timestamp) -> Option<f64> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let after = samples.partition_point(|sample| sample.at <= at);
        samples.get(after.checked_sub(1)?).map(|sample| sample.value(metric))
    }

    /// A counter's increase a second over the scrapes within `window` before `at`; `None` while
    /// fewer than two are in it.
    pub fn rate(&self, metric: Metric, at: Timestamp, window: Duration) -> Option<f64> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let end = samples.partition_point(|sample| sample.at <= at);
        let start = earlier(at, window);
        let begin = samples.partition_point(|sample| sample.at < start);
        let (first, last) = (samples.get(begin)?, samples.get(end.checked_sub(1)?)?);
        let seconds = seconds_between(first.at, last.at);
        (seconds > 0.0).then(|| (last.value(metric) - first.value(metric)) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    fn sample(seconds: i64) -> Sample {
        let count = seconds as f64;
        Sample { at: at(seconds), arrivals: 2.0 * count, completions: count, ready: 7.0 }
    }

    #[test]
    fn rates_are_over_the_window() {
        let recorder = Recorder::default();
        assert_eq!(recorder.value(Metric::ReadyReplicas, at(0)), None);
        for seconds in (0..=120).step_by(5) {
            recorder.record(sample(seconds));
        }
        let minute = Duration::from_mins(1);
        assert_eq!(recorder.rate(Metric::Arrivals, at(120), minute), Some(2.0));
        assert_eq!(recorder.rate(Metric::Completions, at(120), minute), Some(1.0));
        assert_eq!(recorder.rate(Metric::Arrivals, at(2), minute), None);
        assert_eq!(recorder.value(Metric::ReadyReplicas, at(118)), Some(7.0));
        assert_eq!(recorder.value(Metric::Completions, at(118)), Some(115.0));
    }

    #[test]
    fn time_does_not_go_back_and_the_past_is_dropped() {
        let recorder = Recorder::default();
        recorder.record(sample(10));
        recorder.record(sample(5));
        assert_eq!(recorder.value(Metric::Completions, at(9)), None);
        recorder.record(sample(20_000));
        assert_eq!(recorder.value(Metric::Completions, at(100)), None);
    }
}
