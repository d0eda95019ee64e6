//! What CloudWatch and Prometheus still know of the past.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use peakscaler::clock::Clock;
use peakscaler::core::Flow;
use peakscaler::observe::{LiveSources, PastWindow, Sources as _};
use peakscaler::trigger::{ThroughputSource, Trigger};

use crate::support::emulator::Emulator;
use crate::support::prometheus::Prometheus;
use crate::{Observer, options, prometheus_trigger, queues_trigger, workload};

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// The last full hour.
fn hour() -> Timestamp {
    let second = Clock::real().now().as_second();
    Timestamp::from_second(second - second % 3600).unwrap()
}

#[tokio::test]
async fn cloudwatch_tells_minutes_then_five_minutes_then_hours_of_all_queues() {
    let emulator = Emulator::start().await;
    let first = emulator.create_queue("orders").await;
    let second = emulator.create_queue("parcels").await;
    let hour = hour();
    // Ten minutes of both queues at each age; of the parcels half as many minutes are known.
    for age in [1, 8, 12] {
        for minute in 0..10 {
            let at = hour - days(age) + SignedDuration::from_mins(minute);
            emulator.put_minute("orders", "NumberOfMessagesSent", at, 30.0).await;
            emulator.put_minute("orders", "NumberOfMessagesDeleted", at, 20.0).await;
            if minute < 5 {
                emulator.put_minute("parcels", "NumberOfMessagesSent", at, 12.0).await;
            }
        }
    }
    let clock = Clock::scaled(Clock::real().now(), 60.0);
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let trigger = queues_trigger(&[&first, &second], ThroughputSource::CloudWatch);
    let _observer = Observer::attach(&sources, &clock, "both", &trigger);
    let past = sources.past(&workload("both"), &trigger).unwrap();
    // The emulator forgets after two weeks; AWS keeps five minutes and hours longer.
    let window = |age: i64, step_seconds: i64| PastWindow {
        from: hour - days(age) - days(1),
        to: hour - days(age) + days(1),
        step_seconds,
    };
    for (age, step_seconds, arrivals, completions) in [
        (1, 60, vec![42.0; 5], vec![20.0; 10]),
        (8, 300, vec![210.0, 150.0], vec![100.0; 2]),
        (12, 3600, vec![360.0], vec![200.0]),
    ] {
        let at = hour - days(age);
        let told = past.read(window(age, step_seconds)).await.unwrap();
        let of = |wanted: Flow| -> Vec<f64> {
            told.iter().filter(|(flow, _)| *flow == wanted).map(|(_, interval)| interval.count).collect()
        };
        let expected: Vec<f64> =
            if age == 1 { arrivals.into_iter().chain(vec![30.0; 5]).collect() } else { arrivals };
        assert_eq!(of(Flow::Arrivals), expected, "{age} days ago; what is missing is not told as zero");
        assert_eq!(of(Flow::Completions), completions, "{age} days ago");
        assert_eq!(told[0].1.from, at);
        assert_eq!(told[0].1.to.duration_since(at).as_secs(), step_seconds);
    }
    let oldest = past.windows(clock.now()).pop().unwrap();
    assert_eq!(past.read(oldest).await.unwrap(), [], "nothing is no error");
}

/// Two orders a second for four hours from `start`, without the third hour.
fn counted(start: Timestamp) -> String {
    let mut text = "# TYPE orders counter\n".to_owned();
    for step in (0..=960).filter(|step| !(480..720).contains(step)) {
        let second = start.as_second() + step * 15;
        writeln!(text, "orders_total{{site=\"a\"}} {} {second}", step * 30).unwrap();
    }
    text + "# EOF\n"
}

#[tokio::test]
async fn prometheus_tells_means_of_steps_and_nothing_of_gaps() {
    let start = hour() - days(2);
    let prometheus = Prometheus::start(Some(&counted(start)), None).await;
    let clock = Clock::real();
    let sources = LiveSources::new(clock.clone(), options()).unwrap();
    let trigger = Trigger {
        throughput: ThroughputSource::Prometheus {
            arrival_query: "sum(rate(orders_total[1m])) # a comment at the end".to_owned(),
            completion_query: Some("sum(rate(orders_total[1m])) / 2".to_owned()),
        },
        ..prometheus_trigger(Some(&prometheus.address()), "vector(0)")
    };
    let past = sources.past(&workload("orders"), &trigger).unwrap();
    let to = start + SignedDuration::from_hours(4);
    for (step_seconds, least, most) in [(60, 160, 182), (300, 32, 37), (3600, 2, 3)] {
        let told = past.read(PastWindow { from: start, to, step_seconds }).await.unwrap();
        let arrivals: Vec<_> = told.iter().filter(|(flow, _)| *flow == Flow::Arrivals).collect();
        assert!((least..=most).contains(&arrivals.len()), "{step_seconds}: {}", arrivals.len());
        for (_, interval) in &arrivals {
            assert_eq!(interval.to.duration_since(interval.from).as_secs(), step_seconds);
            let rate = interval.count / step_seconds as f64;
            let within = interval.from.duration_since(start).as_secs();
            // A counter's first and last minute are guesses of Prometheus'.
            let is_edge =
                within < 60 || [7140..7260, 10_740..10_920].iter().any(|edge| edge.contains(&within));
            assert!(is_edge || (rate - 2.0).abs() < 0.1, "{interval:?}");
            assert!(!(7260..10_800 - step_seconds).contains(&within), "{interval:?} lies in the gap");
        }
        let completions: f64 =
            told.iter().filter(|(flow, _)| *flow == Flow::Completions).map(|(_, one)| one.count).sum();
        let orders: f64 = arrivals.iter().map(|(_, one)| one.count).sum();
        assert!((completions / orders - 0.5).abs() < 1e-6, "{completions} of {orders}");
    }
    let nothing = PastWindow { from: start - days(3), to: start - days(2), step_seconds: 300 };
    assert_eq!(past.read(nothing).await.unwrap(), []);
}
