//! The live page: one HTML file, and server-sent events that feed it.
//!
//! A [`Feed`] keeps every point of the charts and the newest [`PageState`]; a browser that opens the
//! page gets all of it at once and then what is new, never more often than the feed is published.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Json};
use axum::routing::get;
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub mod state;

pub use state::{CutOffMark, PageState, Point, ScoreLine};

const PAGE: &str = include_str!("page.html");
/// The page loads nothing from anywhere.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
     connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// What the page shows, from the start until now.
#[derive(Debug)]
pub struct Feed {
    past: Mutex<Past>,
    /// Counts publications.
    published: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Past {
    /// Counts how often the points were replaced.
    edition: u64,
    points: Vec<Point>,
    state: Option<PageState>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { past: Mutex::default(), published: watch::Sender::new(0) }
    }
}

impl Feed {
    /// Adds points and replaces the state; browsers are told.
    pub fn publish(&self, state: PageState, points: impl IntoIterator<Item = Point>) {
        let mut past = self.past();
        past.points.extend(points);
        past.state = Some(state);
        drop(past);
        self.published.send_modify(|count| *count += 1);
    }

    /// Replaces all points and the state; browsers begin anew.
    pub fn replace(&self, state: PageState, points: Vec<Point>) {
        let mut past = self.past();
        past.edition += 1;
        past.points = points;
        past.state = Some(state);
        drop(past);
        self.published.send_modify(|count| *count += 1);
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a browser that has `next` points of `edition` does not have yet; all of it where there
    /// is another edition.
    fn since(&self, (edition, next): (u64, usize)) -> News {
        let past = self.past();
        let anew = edition != past.edition;
        let points = past.points.get(if anew { 0 } else { next }..).unwrap_or_default();
        News {
            message: json!({ "state": past.state, "points": points }),
            anew,
            position: (past.edition, past.points.len()),
            ended: past.state.as_ref().is_some_and(|state| state.ended),
        }
    }
}

/// What is sent to a browser.
struct News {
    message: Value,
    /// It holds everything, not only what is new.
    anew: bool,
    position: (u64, usize),
    ended: bool,
}

#[derive(Clone)]
struct Shared {
    feed: Arc<Feed>,
    stop: CancellationToken,
}

/// The HTTP side. Streams end when `stop` is cancelled, so that the server can close.
pub fn router(feed: Arc<Feed>, stop: CancellationToken) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/api/state", get(present))
        .route("/api/stream", get(live))
        .with_state(Shared { feed, stop })
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(PAGE))
}

async fn present(State(shared): State<Shared>) -> Json<Value> {
    Json(shared.feed.since((NOTHING, 0)).message)
}

async fn live(State(shared): State<Shared>) -> impl IntoResponse {
    let stop = shared.stop.clone();
    let events = events(shared.feed).take_until(stop.cancelled_owned());
    Sse::new(events.map(Ok::<Event, Infallible>)).keep_alive(KeepAlive::default())
}

/// The edition of a browser that has nothing.
const NOTHING: u64 = u64::MAX;

/// Where one browser's stream is.
struct Follower {
    feed: Arc<Feed>,
    published: watch::Receiver<u64>,
    position: (u64, usize),
    ended: bool,
}

fn events(feed: Arc<Feed>) -> impl Stream<Item = Event> {
    let mut published = feed.published.subscribe();
    published.mark_changed();
    let follower = Follower { feed, published, position: (NOTHING, 0), ended: false };
    stream::unfold(follower, |mut follower| async move {
        if follower.ended {
            return None;
        }
        loop {
            follower.published.changed().await.ok()?;
            let news = follower.feed.since(follower.position);
            if news.message["state"].is_null() {
                continue;
            }
            follower.position = news.position;
            // The end is told by a tick: a page opened after it closes its stream too.
            follower.ended = news.ended && !news.anew;
            if news.ended && news.anew {
                follower.published.mark_changed();
            }
            let name = if news.anew { "start" } else { "tick" };
            return Some((Event::default().event(name).data(news.message.to_string()), follower));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(markers: &str) -> usize {
        PAGE.matches(markers).count()
    }

    #[test]
    fn the_page_needs_nothing_from_outside() {
        assert_eq!(names("http://") + names("https://") + names("src="), names("http://www.w3.org/2000/svg"));
    }

    #[test]
    fn the_columns_of_the_page_are_those_of_the_points() {
        let start = PAGE.find("const COLUMN = {").unwrap();
        let line = PAGE[start..].lines().next().unwrap();
        assert_eq!(line.matches(':').count(), state::COLUMNS);
        let value = serde_json::to_value(Point::default()).unwrap();
        assert_eq!(value.as_array().unwrap().len(), state::COLUMNS);
    }

    #[tokio::test]
    async fn a_follower_gets_all_then_what_is_new() {
        let feed = Arc::new(Feed::default());
        feed.publish(PageState::default(), [Point::default(), Point::default()]);
        let mut events = Box::pin(events(feed.clone()));
        assert!(events.next().await.is_some());
        feed.publish(PageState { ended: true, ..PageState::default() }, [Point::default()]);
        assert!(events.next().await.is_some());
        assert!(events.next().await.is_none());
        assert_eq!(feed.since((0, 1)).message["points"].as_array().unwrap().len(), 2);
    }
}
