//! Rates without gaps, present values, Mimir's tenant and the bearer token.

use std::fmt::Write;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;
use peakscaler::core::Interval;
use peakscaler::observe::{AllowList, LiveOptions, LiveSources};
use peakscaler::trigger::{ThroughputSource, Trigger};
use serde_json::json;

use crate::support::prometheus::{Exporter, Prometheus};
use crate::support::recorder::{Recorder, json};
use crate::{Observer, counters, error_of, options, prometheus_trigger};

/// Every order of `per_second` counted each 15 s from `start` for three hours.
fn history(start: Timestamp, per_second: i64) -> String {
    let mut text = "# TYPE orders counter\n".to_owned();
    for step in 0..=720 {
        let second = start.as_second() + step * 15;
        writeln!(text, "orders_total{{site=\"a\"}} {} {second}", step * 15 * per_second).unwrap();
    }
    text + "# EOF\n"
}

/// Checks that intervals follow each other and adds them to those known.
fn follow(known: &mut Vec<Interval>, news: &[Interval]) {
    for interval in news {
        if let Some(last) = known.last() {
            assert_eq!(interval.from, last.to, "a gap or an overlap");
        }
        known.push(*interval);
    }
}

#[tokio::test]
async fn rates_become_counts_without_a_gap_over_an_outage() {
    let second = Clock::real().now().as_second();
    let start = Timestamp::from_second(second - second % 60 - 4 * 3600).unwrap();
    let mut prometheus = Prometheus::start(Some(&history(start, 2)), None).await;
    // Two hours into the history, a minute of which passes in a second.
    let clock = Clock::scaled(start + SignedDuration::from_hours(2), 60.0);
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let trigger = Trigger {
        throughput: ThroughputSource::Prometheus {
            arrival_query: "sum(rate(orders_total[1m]))".to_owned(),
            completion_query: Some("sum(rate(orders_total[1m])) / 2".to_owned()),
        },
        ..prometheus_trigger(Some(&prometheus.address()), "sum(orders_total) - 14000")
    };
    let mut observer = Observer::attach(&sources, &clock, "orders", &trigger);
    let (mut arrivals, mut completions) = (Vec::new(), Vec::new());
    let mut follow_until =
        async |what: &str, observer: &mut Observer, arrivals_wanted: usize, wants_error: bool| {
            let seen = observer
                .until(what, |seen| {
                    follow(&mut arrivals, &seen.observation.arrivals);
                    follow(&mut completions, &seen.observation.completions);
                    let failed = !error_of(seen, "prometheus_arrivals").is_empty();
                    arrivals.len() >= arrivals_wanted
                        && completions.len() >= arrivals_wanted
                        && failed == wants_error
                        // The backlog has a query of its own, which may come back a moment later.
                        && (wants_error || seen.observation.queue.is_some())
                })
                .await;
            let is_right = |counts: &[Interval], expected: f64| {
                counts.iter().all(|one| (one.count - expected).abs() < 0.01)
            };
            assert!(is_right(&arrivals, 30.0) && is_right(&completions, 15.0), "{arrivals:?}");
            (seen, arrivals.len())
        };

    // An hour of the past at once, then step by step.
    let (_, known) = follow_until("the last hour", &mut observer, 241, false).await;
    prometheus.stop();
    let (seen, _) = follow_until("the outage", &mut observer, known, true).await;
    assert!(error_of(&seen, "prometheus_arrivals").contains("cannot be reached"), "{seen:?}");
    clock.sleep(Duration::from_mins(2)).await;
    prometheus.start_again().await;
    let (seen, _) = follow_until("all of the outage", &mut observer, known + 12, false).await;
    let reading = seen.observation.queue.unwrap();
    assert!((0.0..=14400.0).contains(&reading.visible), "{reading:?}");
}

#[tokio::test]
async fn present_values_are_scraped_and_bad_queries_explained() {
    let exporter = Exporter::default();
    exporter.set("waiting{site=\"a\"} 7\nwaiting{site=\"b\"} 5\nready 4\n");
    let target = exporter.start().await;
    let prometheus = Prometheus::start(None, Some(&target)).await;
    prometheus.knows("ready").await;
    let clock = Clock::real();
    let sources = LiveSources::new(
        clock.clone(),
        LiveOptions { prometheus_period: Duration::from_millis(300), ..options() },
    )
    .unwrap();
    let on = |backlog_query: &str| Trigger {
        replicas_query: Some("sum(ready)".to_owned()),
        ..prometheus_trigger(Some(&prometheus.address()), backlog_query)
    };
    let mut observer = Observer::attach(&sources, &clock, "orders", &on("sum(waiting)"));
    let replicas = |ready| {
        move |seen: &peakscaler::observe::Observed| {
            counters(seen).is_some()
                && seen.observation.replicas.as_ref().is_some_and(|replicas| replicas.ready == ready)
        }
    };
    let seen = observer.until("both values", replicas(4)).await;
    assert_eq!(counters(&seen), Some([12.0, 0.0, 0.0]));
    assert_eq!(seen.observation.replicas.unwrap().wanted, None);
    exporter.set("waiting{site=\"a\"} 1\nready 6\n");
    observer.until("new values", replicas(6)).await;

    exporter.set("waiting{site=\"a\"} 8\nwaiting{site=\"b\"} 6\nready 4\n");
    observer.until("two series again", |seen| counters(seen) == Some([14.0, 0.0, 0.0])).await;
    for (query, words) in [
        ("waiting", "2 series: write sum(...)"),
        ("sum(waiting", "cannot evaluate backlogQuery"),
        ("sum(no_such_metric)", "gives nothing"),
        ("sum(waiting) - 100", "must be a finite number not below 0"),
    ] {
        let mut observer = Observer::attach(&sources, &clock, query, &on(query));
        let error = |seen: &peakscaler::observe::Observed| error_of(seen, "prometheus_backlog");
        let seen = observer.until("an error", |seen| !error(seen).is_empty()).await;
        assert!(error(&seen).contains(words) && error(&seen).contains("backlogQuery"), "{}", error(&seen));
        assert_eq!(seen.observation.queue, None);
    }
}

#[tokio::test]
async fn the_tenant_is_named_and_the_token_read_again_for_the_operators_address_alone() {
    let answer = || json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, "3"]}]}});
    let own = Recorder::start(move |_| json(StatusCode::OK, &answer())).await;
    let other = Recorder::start(move |_| json(StatusCode::OK, &answer())).await;
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, "first\n").unwrap();
    let clock = Clock::real();
    let mimir = format!("{}/prometheus", own.address());
    let allow = AllowList::parse(&["shop=http://127.0.0.1:*".to_owned()], &[], Some(&mimir)).unwrap();
    let sources = LiveSources::new(
        clock.clone(),
        LiveOptions {
            allow: allow.with_tenants(&["shop=centre-7".to_owned()]).unwrap(),
            prometheus_token_file: Some(token_file.clone()),
            prometheus_period: Duration::from_millis(100),
            ..options()
        },
    )
    .unwrap();
    let tenant = |address: Option<&str>| Trigger {
        prometheus_tenant: Some("centre-7".to_owned()),
        ..prometheus_trigger(address, "waiting")
    };
    let mut observer = Observer::attach(&sources, &clock, "orders", &tenant(None));
    observer.until("the value", |seen| counters(seen) == Some([3.0, 0.0, 0.0])).await;
    let first = own.requests().remove(0);
    assert_eq!(first.path, "/prometheus/api/v1/query");
    assert_eq!(first.header("x-scope-orgid").as_deref(), Some("centre-7"));
    assert_eq!(first.header("authorization").as_deref(), Some("Bearer first"));

    std::fs::write(&token_file, "second\n").unwrap();
    let has_second = |_: &peakscaler::observe::Observed| {
        let last = own.requests().pop();
        last.and_then(|request| request.header("authorization")).as_deref() == Some("Bearer second")
    };
    observer.until("the new token", has_second).await;

    let mut elsewhere = Observer::attach(&sources, &clock, "elsewhere", &tenant(Some(other.address())));
    elsewhere.until("the value", |seen| counters(seen) == Some([3.0, 0.0, 0.0])).await;
    assert_eq!(other.requests()[0].header("authorization"), None, "the operator's token is not for others");

    std::fs::remove_file(&token_file).unwrap();
    let seen = observer.until("no token", |seen| !error_of(seen, "prometheus_backlog").is_empty()).await;
    assert!(error_of(&seen, "prometheus_backlog").contains("bearer token"), "{seen:?}");
}
