//! A cluster as plain processes, and what scenarios do in it.

pub(crate) mod cluster;
pub(crate) mod counters;
pub(crate) mod dns;
pub(crate) mod gate;
pub(crate) mod keys;
pub(crate) mod nodes;
pub(crate) mod objects;
pub(crate) mod parts;
pub(crate) mod peak;
pub(crate) mod process;
pub(crate) mod queue;
pub(crate) mod report;
pub(crate) mod room;
pub(crate) mod scaler;
pub(crate) mod scene;
pub(crate) mod shop;
pub(crate) mod track;
pub(crate) mod workers;

use std::time::Duration;

use peakscaler::clock::Stopwatch;

const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Looks again and again until there is something, for as long as `patience`. An error of a look only counts when
/// nothing better comes.
pub(crate) async fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let watch = Stopwatch::start();
    loop {
        let found = look().await;
        if let Ok(Some(found)) = found {
            return Ok(found);
        }
        if watch.elapsed() > patience {
            let seconds = patience.as_secs();
            return Err(match found {
                Err(error) => error.context(format!("not within {seconds} s: {what}")),
                Ok(_) => anyhow::anyhow!("not within {seconds} s: {what}"),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
