//! The embedded metrics store, asked over HTTP.

use std::sync::Arc;

use jiff::Timestamp;
use peakscaler::clock::Clock;
use peakscaler::demo::metrics_server::{ARRIVAL_QUERY, COMPLETION_QUERY, Metrics, REPLICAS_QUERY, router};
use peakscaler::demo::recorder::{Recorder, Sample};
use serde_json::{Value, json};

use crate::{Served, serve};

const START: i64 = 1_795_000_000;

/// Two minutes in which two orders a second come and one a second goes.
async fn store() -> Served {
    let recorder = Arc::new(Recorder::default());
    let at = |seconds: i64| Timestamp::from_second(START + seconds).unwrap();
    for seconds in (0..=120).step_by(5) {
        let count = seconds as f64;
        recorder.record(Sample { at: at(seconds), arrivals: 2.0 * count, completions: count, ready: 7.0 });
    }
    let (clock, _hand) = Clock::manual(at(120));
    serve(|_, _| router(Metrics { recorder, clock })).await
}

async fn ask(url: String, form: &[(&str, &str)], post: bool) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let request = if post { client.post(url).form(form) } else { client.get(url).query(form) };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_three_queries_are_answered() {
    let store = store().await;
    let url = format!("{}/api/v1/query", store.url);
    for (query, value) in [(ARRIVAL_QUERY, "2"), (COMPLETION_QUERY, "1"), (REPLICAS_QUERY, "7")] {
        for post in [false, true] {
            let (status, body) = ask(url.clone(), &[("query", query)], post).await;
            assert_eq!(status, 200);
            let expected = json!([{ "metric": {}, "value": [(START + 120) as f64, value] }]);
            assert_eq!(body["data"], json!({ "resultType": "vector", "result": expected }), "{query}");
        }
    }
}

#[tokio::test]
async fn a_range_has_a_point_a_step() {
    let store = store().await;
    let (start, end) = ((START + 60).to_string(), (START + 120).to_string());
    let form = [("query", ARRIVAL_QUERY), ("start", &start), ("end", &end), ("step", "15s")];
    let (status, body) = ask(format!("{}/api/v1/query_range", store.url), &form, false).await;
    assert_eq!(status, 200, "{body}");
    let values = body["data"]["result"][0]["values"].as_array().unwrap();
    assert_eq!(values.len(), 5);
    assert!(values.iter().all(|value| value[1] == "2"), "{values:?}");
}

#[tokio::test]
async fn before_the_first_sample_there_is_nothing_and_nonsense_is_refused() {
    let store = store().await;
    let url = format!("{}/api/v1/query", store.url);
    let (_, empty) = ask(url.clone(), &[("query", ARRIVAL_QUERY), ("time", "1000")], false).await;
    assert_eq!(empty["data"]["result"], json!([]));
    let (status, refused) = ask(url, &[("query", "up")], false).await;
    assert_eq!((status, &refused["errorType"]), (400, &json!("bad_data")));
    let form = [("query", ARRIVAL_QUERY), ("start", "0"), ("end", "1795000000"), ("step", "1")];
    let (status, refused) = ask(format!("{}/api/v1/query_range", store.url), &form, false).await;
    assert_eq!(status, 400, "{refused}");
}
