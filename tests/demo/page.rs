//! The live page and its stream.

use std::sync::Arc;

use peakscaler::demo::page::{Feed, PageState, Point, router};
use serde_json::Value;

use crate::serve;

#[tokio::test]
async fn the_page_and_its_stream_are_delivered() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let feed = Arc::new(Feed::default());
    feed.publish(PageState { reason: "because".to_owned(), ..PageState::default() }, [Point::default()]);
    let served = serve(|_, stop| router(feed.clone(), stop)).await;

    let page = reqwest::get(&served.url).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(page.text().await.unwrap().contains("<title>peakscaler demo</title>"));

    let stream = reqwest::get(format!("{}/api/stream", served.url)).await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    feed.publish(PageState { ended: true, ..PageState::default() }, [Point::default()]);
    // The end closes the stream, so that the whole of it can be read.
    let text = stream.text().await.unwrap();
    assert!(text.starts_with("event: start\n"), "{text}");
    assert!(text.contains("event: tick\n"), "{text}");
    assert!(text.contains("\"ended\":true"), "{text}");

    let state: Value = reqwest::get(format!("{}/api/state", served.url)).await.unwrap().json().await.unwrap();
    assert_eq!(state["points"].as_array().unwrap().len(), 2);
}
