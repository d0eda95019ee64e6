//! Counters of standard, FIFO and several queues; shared polls; an outage.

use peakscaler::clock::Clock;
use peakscaler::observe::LiveSources;
use peakscaler::trigger::ThroughputSource;

use crate::support::emulator::Emulator;
use crate::{Observer, counters, error_of, options, queues_trigger};

/// Twenty times as fast as real time: a poll every 0.1 s, waits after errors of a second at most.
fn fast_clock() -> Clock {
    Clock::scaled("2026-11-27T08:00:00Z".parse().unwrap(), 20.0)
}

#[tokio::test]
async fn counters_of_standard_fifo_and_several_queues() {
    let emulator = Emulator::start().await;
    let standard = emulator.create_queue("orders").await;
    let fifo = emulator.create_queue("orders.fifo").await;
    let clock = fast_clock();
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let on = |urls: &[&str]| queues_trigger(urls, ThroughputSource::Queue);
    let mut one = Observer::attach(&sources, &clock, "one", &on(&[&standard]));
    let mut ordered = Observer::attach(&sources, &clock, "ordered", &on(&[&fifo]));
    let mut both = Observer::attach(&sources, &clock, "both", &on(&[&standard, &fifo]));

    one.until("an empty queue", |seen| counters(seen) == Some([0.0, 0.0, 0.0])).await;
    emulator.send(&standard, 3).await;
    emulator.send(&fifo, 2).await;
    one.until("three messages", |seen| counters(seen) == Some([3.0, 0.0, 0.0])).await;
    ordered.until("two messages", |seen| counters(seen) == Some([2.0, 0.0, 0.0])).await;
    both.until("the sum", |seen| counters(seen) == Some([5.0, 0.0, 0.0])).await;

    let taken = emulator.receive(&standard, 1).await;
    emulator.send_delayed(&standard, 600).await;
    let seen = one.until("work and a delay", |seen| counters(seen) == Some([2.0, 1.0, 1.0])).await;
    assert_eq!(error_of(&seen, "sqs"), "");
    assert_eq!(seen.observation.queue.unwrap().visibility_timeout_seconds, Some(30.0), "SQS's default");
    emulator.delete(&standard, &taken).await;
    one.until("a completion", |seen| counters(seen) == Some([2.0, 0.0, 1.0])).await;
    both.until("the sum again", |seen| counters(seen) == Some([4.0, 0.0, 1.0])).await;

    // Two queues, whatever the number of workloads on them, and one client.
    let running = sources.running();
    assert_eq!((running.queues, running.clients), (2, 1));
    drop((one, ordered));
    assert_eq!(sources.running().queues, 2);
    drop(both);
    assert_eq!(sources.running().queues, 0);
}

#[tokio::test]
async fn a_missing_queue_is_named() {
    let emulator = Emulator::start().await;
    let url = format!("{}/000000000000/nowhere", emulator.endpoint());
    let clock = fast_clock();
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let trigger = queues_trigger(&[&url], ThroughputSource::Queue);
    let mut observer = Observer::attach(&sources, &clock, "orders", &trigger);
    let seen = observer.until("the error", |seen| !error_of(seen, "sqs").is_empty()).await;
    let error = error_of(&seen, "sqs");
    assert!(error.contains("does not exist") && error.contains(&url), "{error}");
    assert_eq!(seen.observation.queue, None);

    emulator.create_queue("nowhere").await;
    observer.until("the queue", |seen| counters(seen) == Some([0.0, 0.0, 0.0])).await;
}

#[tokio::test]
async fn an_outage_ages_the_last_reading_then_drops_it_and_ends() {
    let mut emulator = Emulator::start().await;
    let url = emulator.create_queue("orders").await;
    emulator.send(&url, 4).await;
    let clock = fast_clock();
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let mut trigger = queues_trigger(&[&url], ThroughputSource::Queue);
    std::sync::Arc::make_mut(&mut trigger.policy).stale_after_seconds = 60.0;
    let mut observer = Observer::attach(&sources, &clock, "orders", &trigger);
    observer.until("four messages", |seen| counters(seen) == Some([4.0, 0.0, 0.0])).await;

    emulator.stop();
    let seen = observer.until("the error", |seen| !error_of(seen, "sqs").is_empty()).await;
    assert_eq!(counters(&seen), Some([4.0, 0.0, 0.0]), "the last reading stays for a while");
    assert!(error_of(&seen, "sqs").contains("cannot be reached"), "{seen:?}");
    let seen = observer.until("the end of the last reading", |seen| seen.observation.queue.is_none()).await;
    let health = &seen.sources[0];
    assert!(health.age_seconds.unwrap() > 60.0, "{health:?}");

    emulator.start_again().await;
    emulator.create_queue("orders").await;
    emulator.send(&url, 2).await;
    let seen = observer.until("the queue again", |seen| counters(seen) == Some([2.0, 0.0, 0.0])).await;
    assert_eq!(error_of(&seen, "sqs"), "");
}
