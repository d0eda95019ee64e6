//! Minutes of sent and deleted messages from the CloudWatch emulator.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;
use peakscaler::core::Interval;
use peakscaler::observe::LiveSources;
use peakscaler::trigger::ThroughputSource;

use crate::support::emulator::Emulator;
use crate::{Observer, error_of, options, queues_trigger};

/// An hour ago, at a full minute: one minute of it passes in a second.
fn past_clock() -> (Clock, Timestamp) {
    let second = Clock::real().now().as_second();
    let start = Timestamp::from_second(second - second % 60 - 3600).unwrap();
    (Clock::scaled(start, 60.0), start)
}

fn by_minute(known: &mut BTreeMap<Timestamp, f64>, intervals: &[Interval]) {
    for interval in intervals {
        assert_eq!(interval.to.duration_since(interval.from), SignedDuration::from_mins(1));
        let twice = known.insert(interval.from, interval.count);
        assert_eq!(twice, None, "the minute {} came twice", interval.from);
    }
}

#[tokio::test]
async fn minutes_are_believed_once_and_added_up() {
    let emulator = Emulator::start().await;
    let first = emulator.create_queue("orders").await;
    let second = emulator.create_queue("parcels").await;
    let (clock, start) = past_clock();
    let minute = |offset: i64| start + SignedDuration::from_mins(offset);
    for offset in -10..0 {
        for (queue, sent) in [("orders", 30.0), ("parcels", 12.0)] {
            emulator.put_minute(queue, "NumberOfMessagesSent", minute(offset), sent).await;
        }
        emulator.put_minute("orders", "NumberOfMessagesDeleted", minute(offset), 20.0).await;
        emulator.put_minute("parcels", "NumberOfMessagesDeleted", minute(offset), 0.0).await;
    }
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let both = queues_trigger(&[&first, &second], ThroughputSource::CloudWatch);
    let one = queues_trigger(&[&first], ThroughputSource::CloudWatch);
    let mut both = Observer::attach(&sources, &clock, "both", &both);
    let mut one = Observer::attach(&sources, &clock, "one", &one);

    let (mut arrivals, mut completions) = (BTreeMap::new(), BTreeMap::new());
    let mut believed_at = BTreeMap::new();
    let seen = both
        .until("all minutes", |seen| {
            by_minute(&mut arrivals, &seen.observation.arrivals);
            by_minute(&mut completions, &seen.observation.completions);
            for interval in &seen.observation.arrivals {
                believed_at.insert(interval.from, seen.observation.at);
            }
            arrivals.len() == 10 && completions.len() == 10
        })
        .await;
    assert!(arrivals.values().all(|count| (count - 42.0).abs() < 1e-9), "{arrivals:?}");
    assert!(completions.values().all(|count| (count - 20.0).abs() < 1e-9), "{completions:?}");
    for (from, at) in &believed_at {
        let age = at.duration_since(*from) - SignedDuration::from_mins(1);
        assert!(age >= SignedDuration::from_mins(2), "the minute {from} was believed after {age:#}");
    }
    assert_eq!(error_of(&seen, "cloudwatch"), "");

    // The other workload on the same queue gets its own share of the same read.
    let mut arrivals = BTreeMap::new();
    one.until("the same minutes", |seen| {
        by_minute(&mut arrivals, &seen.observation.arrivals);
        arrivals.len() == 10
    })
    .await;
    assert!(arrivals.values().all(|count| (count - 30.0).abs() < 1e-9), "{arrivals:?}");
    let running = sources.running();
    assert_eq!((running.series, running.clients), (2, 1));
}

#[tokio::test]
async fn a_minute_that_still_grows_is_waited_for() {
    let emulator = Emulator::start().await;
    let url = emulator.create_queue("orders").await;
    let (clock, start) = past_clock();
    let minute = start - SignedDuration::from_mins(1);
    emulator.put_minute("orders", "NumberOfMessagesSent", minute, 30.0).await;
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let trigger = queues_trigger(&[&url], ThroughputSource::CloudWatch);
    let mut observer = Observer::attach(&sources, &clock, "orders", &trigger);
    clock.sleep(Duration::from_secs(70)).await;
    emulator.put_minute("orders", "NumberOfMessagesSent", minute, 5.0).await;
    let seen = observer.until("the minute", |seen| !seen.observation.arrivals.is_empty()).await;
    let believed = seen.observation.arrivals[0];
    assert_eq!((believed.from, believed.count), (minute, 35.0));
}
