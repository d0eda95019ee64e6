//! Single situations, each with what is to be decided in it and why.

use jiff::{SignedDuration, Timestamp};
use peakscaler::core::decision::BoundKind;
use peakscaler::core::demand::arrivals::LumpRate;
use peakscaler::core::demand::outlook::{Knot, Outlook, PRESENT_RATE};
use peakscaler::core::plan::situation::{Service, ServiceSource};
use peakscaler::core::plan::{Cohort, Deadline, Fleet, Situation, decide};
use peakscaler::core::{Interval, Observation, Policy, QueueReading, Replicas, ServiceRate, Workload};

#[test]
fn the_due_curve_names_what_binds() {
    let policy = Policy { target_wait_seconds: Some(7200.0), max_replicas: 10, ..Policy::default() };
    let situation = ten_workers();
    let record = decide(&situation, &policy);
    assert_eq!(record.desired, Some(10));
    assert!(record.late_expected > 400.0, "1500 of 2180 orders can be done: {}", record.late_expected);
    let first = record.late_first.unwrap();
    assert_eq!((first.cut_off.as_deref(), first.in_seconds), (Some("DPD"), 4500.0));
    let relief = record.relief.unwrap();
    assert_eq!(relief.bound, BoundKind::Maximum);
    assert!((14.0..=16.0).contains(&relief.raise_to) && relief.orders > 400.0, "{relief:?}");
    for part in
        ["maxReplicas 10 binds", "for DPD's dispatch at 14:45 UTC (in 75 min)", "raise maxReplicas to 1"]
    {
        assert!(record.reason.contains(part), "{part} in {}", record.reason);
    }
    let enough = decide(&situation, &Policy { max_replicas: 100, ..policy });
    assert!(enough.reason.contains("DPD's dispatch at 14:45 UTC (in "), "{}", enough.reason);
    assert!(enough.late_expected < 1.0 && enough.late_first.is_none() && enough.relief.is_none());
}

#[test]
fn a_wait_of_a_day_does_not_put_off_a_dispatch() {
    let deadline =
        Deadline { name: "PPL".to_owned(), cut_off_in_seconds: -300.0, dispatch_in_seconds: 1500.0 };
    let situation = Situation {
        backlog: 600.0,
        waiting: vec![Cohort { age_seconds: 900.0, orders: 600.0 }],
        deadlines: vec![deadline],
        ..ten_workers()
    };
    for wait in [Some(7200.0), Some(86_400.0), None] {
        let policy = Policy { target_wait_seconds: wait, ..Policy::default() };
        let desired = decide(&situation, &policy).desired.unwrap();
        // 600 orders of half a minute within the quarter of an hour that the reserve leaves.
        assert!((18..=24).contains(&desired), "{wait:?}: {desired}");
    }
}

#[test]
fn no_worker_goes_whose_order_would_return_late() {
    let policy = Policy { target_wait_seconds: Some(300.0), ..Policy::default() };
    let few = Situation {
        backlog: 20.0,
        waiting: vec![Cohort { age_seconds: 100.0, orders: 20.0 }],
        deadlines: Vec::new(),
        hold_replicas: 6,
        settled_replicas: 6,
        settled_one: None,
        lumps: None,
        ..ten_workers()
    };
    let of = |visibility: Option<f64>, waited: f64| {
        let situation = Situation {
            visibility_timeout_seconds: visibility,
            longest_wait_seconds: Some(waited),
            ..few.clone()
        };
        decide(&situation, &policy)
    };
    assert!(of(Some(90.0), 100.0).desired < Some(8));
    let kept = of(Some(90.0), 200.0);
    assert_eq!(kept.desired, Some(10), "one begun after 200 s returns after 290 s at best");
    assert!(kept.reason.contains("would return to the queue too late"), "{}", kept.reason);
    assert!(of(Some(30.0), 200.0).desired < Some(8), "it returns after 230 s");
    assert_eq!(of(None, 200.0).desired, Some(10), "nobody says when");
    assert!(of(Some(43_200.0), 100.0).desired < Some(8), "it is lost whenever it goes");

    let idle = Situation { backlog: 0.0, started: 0.0, waiting: Vec::new(), ..few.clone() };
    let idle = Situation { longest_wait_seconds: Some(200.0), ..idle };
    assert!(decide(&idle, &policy).desired < Some(8), "nothing is left that could return");

    let near = |dispatch_in_seconds: f64| {
        let deadline = Deadline { name: "DPD".to_owned(), cut_off_in_seconds: -1800.0, dispatch_in_seconds };
        let waiting = vec![Cohort { age_seconds: 1900.0, orders: 1.0 }];
        Situation { deadlines: vec![deadline], waiting, longest_wait_seconds: None, ..few.clone() }
    };
    let by_cut_off = Policy { target_wait_seconds: None, ..policy.clone() };
    assert_eq!(decide(&near(100.0), &by_cut_off).desired, Some(10), "one that returns misses the dispatch");
    assert!(decide(&near(600.0), &by_cut_off).desired < Some(8));
}

#[test]
fn a_single_worker_of_few_goes_sooner_than_a_small_share_of_many() {
    let policy = Policy { target_wait_seconds: Some(300.0), ..Policy::default() };
    let of = |ready: u32, settled: u32, one: Option<u32>| {
        let situation = Situation {
            backlog: 0.0,
            waiting: Vec::new(),
            deadlines: Vec::new(),
            arrival_rate: 0.0,
            outlook: Outlook {
                model: "test".to_owned(),
                knots: vec![Knot::START, Knot::new(7200.0, 180.0, 5.0)],
            },
            fleet: Some(Fleet { ready, ready_in_seconds: Vec::new(), pending: 0 }),
            hold_replicas: 1,
            settled_replicas: settled,
            settled_one: one,
            ..ten_workers()
        };
        decide(&situation, &policy).desired
    };
    assert_eq!(of(2, 2, Some(1)), Some(1));
    assert_eq!(of(2, 2, Some(2)), Some(2));
    assert_eq!(of(2, 2, None), Some(2), "an older record is decided as it was");
}

#[test]
fn a_queue_is_worked_off_before_workers_go() {
    let policy = Policy { target_wait_seconds: Some(900.0), ..Policy::default() };
    let of = |orders: f64, expected: f64| {
        let situation = Situation {
            backlog: orders,
            waiting: vec![Cohort { age_seconds: 60.0, orders }],
            deadlines: Vec::new(),
            outlook: Outlook {
                model: "test".to_owned(),
                knots: vec![
                    Knot::START,
                    Knot::new(900.0, expected, 5.0),
                    Knot::new(7200.0, 8.0 * expected, 9.0),
                ],
            },
            hold_replicas: 1,
            settled_replicas: 1,
            ..ten_workers()
        };
        decide(&situation, &policy)
    };
    let kept = of(60.0, 90.0);
    assert_eq!(kept.desired, Some(10), "{}", kept.reason);
    assert!(kept.reason.contains("worked off"), "{}", kept.reason);
    assert!(of(15.0, 90.0).desired < Some(8), "ten workers do these within a minute");
    assert!(of(60.0, 45.0).desired < Some(8), "workers that are there anyway will do them");
}

#[test]
fn near_the_ceiling_orders_wait_for_less() {
    let of = |max_replicas: u32, lower_per_second: f64| {
        let situation = Situation {
            backlog: 100.0,
            waiting: vec![Cohort { age_seconds: 600.0, orders: 100.0 }],
            deadlines: Vec::new(),
            service: Service { lower_per_second, ..ten_workers().service },
            fleet: Some(Fleet { ready: 3, ready_in_seconds: Vec::new(), pending: 0 }),
            ..ten_workers()
        };
        let policy = Policy { target_wait_seconds: Some(3600.0), max_replicas, ..Policy::default() };
        decide(&situation, &policy).planned
    };
    // Three are needed for what comes.
    assert!(
        of(4, 1.0 / 31.0) > of(100, 1.0 / 31.0),
        "{} of 4, {} of 100",
        of(4, 1.0 / 31.0),
        of(100, 1.0 / 31.0)
    );
    assert_eq!(of(4, 1.0 / 60.0), of(100, 1.0 / 60.0), "on a guess nothing is known of the ceiling");
}

#[test]
fn room_for_lumps_is_kept_beside_what_is_planned() {
    let with = |orders: Option<f64>| {
        let (waiting, node_lead_seconds) = (vec![Cohort { age_seconds: 60.0, orders: 200.0 }], 240.0);
        let lumps = orders.map(|orders| LumpRate { per_hour: 0.5, orders });
        let situation =
            Situation { lumps, waiting, node_lead_seconds, deadlines: Vec::new(), ..ten_workers() };
        decide(&situation, &Policy { target_wait_seconds: Some(300.0), ..Policy::default() })
    };
    let (none, large, larger) = (with(None), with(Some(400.0)), with(Some(800.0)));
    assert!(none.ahead < large.ahead && large.ahead < larger.ahead, "{} {}", none.ahead, large.ahead);
    assert_eq!(none.desired, larger.desired);
}

#[test]
fn no_more_workers_are_wanted_than_orders_are_there() {
    let slow = Service { per_second: 1.0 / 1500.0, lower_per_second: 1.0 / 1600.0, ..ten_workers().service };
    let stuck = Situation {
        backlog: 5.0,
        waiting: vec![Cohort { age_seconds: 3000.0, orders: 5.0 }],
        outlook: Outlook { model: "test".to_owned(), knots: vec![Knot::START, Knot::new(7200.0, 0.0, 0.0)] },
        service: slow,
        deadlines: Vec::new(),
        hold_replicas: 1,
        settled_replicas: 1,
        settled_one: None,
        lumps: None,
        ..ten_workers()
    };
    let record = decide(&stuck, &Policy { target_wait_seconds: Some(300.0), ..Policy::default() });
    assert_eq!((record.planned, record.ahead), (5, 5), "{}", record.reason);
}

#[test]
fn no_worker_waits_for_an_order_that_can_wait_for_a_worker() {
    let knots = vec![Knot::START, Knot::new(60.0, 1.0, 2.0), Knot::new(7200.0, 120.0, 20.0)];
    let long = Situation {
        started: 4.0,
        waiting: Vec::new(),
        outlook: Outlook { model: "test".to_owned(), knots },
        service: Service {
            per_second: 1.0 / 1200.0,
            lower_per_second: 1.0 / 1250.0,
            ..ten_workers().service
        },
        fleet: Some(Fleet { ready: 4, ready_in_seconds: Vec::new(), pending: 0 }),
        arrivals_age_seconds: Some(15.0),
        deadlines: Vec::new(),
        hold_replicas: 0,
        ..ten_workers()
    };
    let planned = |wait: f64, situation: &Situation| {
        decide(situation, &Policy { target_wait_seconds: Some(wait), ..Policy::default() }).planned
    };
    // Twenty are wanted in the long run. In a minute five orders are there, or as many as eleven.
    assert_eq!(planned(600.0, &long), 5);
    assert!(planned(60.0, &long) > 8);
    let uncounted = Situation { arrivals_age_seconds: None, ..long };
    assert!(planned(600.0, &uncounted) > 8, "who knows how long one has waited already");
}

#[test]
fn an_evenings_rate_does_not_make_the_next_days_orders_late() {
    let evening = |model: &str| Situation {
        backlog: 10.0,
        waiting: vec![Cohort { age_seconds: 10.0, orders: 10.0 }],
        outlook: Outlook {
            model: model.to_owned(),
            knots: vec![Knot::START, Knot::new(72_000.0, 36_000.0, 100.0)],
        },
        deadlines: vec![Deadline {
            name: "DPD".to_owned(),
            cut_off_in_seconds: 69_000.0,
            dispatch_in_seconds: 71_700.0,
        }],
        ..ten_workers()
    };
    // Ten workers do a third of an order a second, half of one comes.
    let policy = Policy { target_wait_seconds: None, max_replicas: 10, ..Policy::default() };
    let told = |model: &str| decide(&evening(model), &policy).late_expected;
    assert!(told(PRESENT_RATE) < 1.0, "{}", told(PRESENT_RATE));
    assert!(told("a forecast") > 5000.0, "{}", told("a forecast"));
    let unseen = Service { source: ServiceSource::Prior, ..ten_workers().service };
    let unseen = Situation { service: unseen, ..evening("a forecast") };
    assert!(decide(&unseen, &policy).late_expected < 1.0, "what workers do nobody knows yet");
}

#[test]
fn workers_stay_for_the_next_dispatch_while_one_is_at_hand() {
    let deadline = |cut_off_in_seconds: f64, dispatch_in_seconds: f64| Deadline {
        name: "DPD".to_owned(),
        cut_off_in_seconds,
        dispatch_in_seconds,
    };
    let between = Situation {
        backlog: 1500.0,
        waiting: vec![Cohort { age_seconds: 500.0, orders: 1500.0 }],
        deadlines: vec![deadline(-1000.0, 800.0), deadline(6200.0, 8000.0)],
        hold_replicas: 0,
        settled_replicas: 0,
        settled_one: None,
        lumps: None,
        ..ten_workers()
    };
    let desired =
        decide(&between, &Policy { target_wait_seconds: None, ..Policy::default() }).desired.unwrap();
    // 1,500 and what comes, of half a minute each, within two hours.
    assert!((7..=10).contains(&desired), "{desired}");
}

#[test]
fn what_is_in_flight_has_begun_with_pods_that_go_too() {
    let policy = Policy {
        target_wait_seconds: Some(900.0),
        service_rate: ServiceRate::PerMinute(0.1),
        max_replicas: 300,
        ..Policy::default()
    };
    let start: Timestamp = "2026-11-27T05:00:00Z".parse().unwrap();
    let mut workload = Workload::new(policy);
    for step in 0..40_i64 {
        let at = start + SignedDuration::from_secs(15 * step);
        let minute = Interval { from: at - SignedDuration::from_secs(60), to: at, count: 1.0 };
        let record = workload
            .step(&Observation {
                at,
                queue: Some(QueueReading { in_flight: 68.0, ..QueueReading::default() }),
                arrivals: if step % 4 == 0 { vec![minute] } else { Vec::new() },
                completions: Vec::new(),
                replicas: Some(Replicas { ready: 38, starting: Vec::new(), pending: 0, wanted: Some(38) }),
                nodes: None,
                lead_times: None,
                bounds: None,
            })
            .unwrap();
        assert!(record.desired <= Some(38), "{at}: {}", record.reason);
    }
}

#[test]
fn the_last_worker_is_not_kept_for_orders_that_can_wait_for_another() {
    let knot = |x_seconds: f64| Knot::new(x_seconds, 0.01 * x_seconds, 1.0);
    let silent = Situation {
        backlog: 0.0,
        started: 0.0,
        waiting: Vec::new(),
        activated: false,
        empty_seconds: 240.0,
        arrival_rate: 0.01,
        outlook: Outlook { model: PRESENT_RATE.to_owned(), knots: vec![knot(0.0), knot(7200.0)] },
        fleet: Some(Fleet { ready: 1, ready_in_seconds: Vec::new(), pending: 0 }),
        deadlines: Vec::new(),
        last_desired: Some(1),
        hold_replicas: 0,
        settled_replicas: 1,
        settled_one: None,
        lumps: None,
        ..ten_workers()
    };
    let desired = |wait: f64, situation: &Situation| {
        decide(situation, &Policy { target_wait_seconds: Some(wait), ..Policy::default() }).desired
    };
    assert_eq!(desired(300.0, &silent), Some(0));
    assert_eq!(desired(120.0, &silent), Some(1), "a worker started then would be late");
    let young = Situation { empty_seconds: 90.0, ..silent.clone() };
    assert_eq!(desired(300.0, &young), Some(1), "the counter may lie");
    let likely = Situation { empty_seconds: 150.0, ..silent };
    assert_eq!(desired(300.0, &likely), Some(1), "an order in a hundred seconds has only kept us waiting");
}

/// Ten workers before a cut-off that they can't keep.
fn ten_workers() -> Situation {
    Situation {
        at: "2026-11-27T13:30:00Z".parse().unwrap(),
        queue_age_seconds: Some(5.0),
        fleet_age_seconds: Some(0.0),
        arrivals_age_seconds: Some(60.0),
        doubtful: false,
        backlog: 2000.0,
        started: 0.0,
        waiting: vec![Cohort { age_seconds: 60.0, orders: 2000.0 }],
        activated: true,
        empty_seconds: 0.0,
        arrival_rate: 0.1,
        outlook: Outlook {
            model: "test".to_owned(),
            knots: vec![Knot::START, Knot::new(7200.0, 720.0, 30.0)],
        },
        forecast_distrust: None,
        forecast_quality: None,
        calendar: Vec::new(),
        service: Service {
            per_second: 1.0 / 30.0,
            lower_per_second: 1.0 / 31.0,
            concurrency: 1.0,
            settled: true,
            source: ServiceSource::Learned,
            unmet_per_second: None,
        },
        fleet: Some(Fleet { ready: 10, ready_in_seconds: Vec::new(), pending: 0 }),
        nodes: None,
        pod_lead_seconds: 30.0,
        node_lead_seconds: 90.0,
        visibility_timeout_seconds: Some(30.0),
        longest_wait_seconds: Some(60.0),
        deadlines: vec![Deadline {
            name: "DPD".to_owned(),
            cut_off_in_seconds: 1800.0,
            dispatch_in_seconds: 4500.0,
        }],
        last_desired: Some(10),
        hold_replicas: 10,
        settled_replicas: 10,
        settled_one: None,
        lumps: None,
        minute_ago_replicas: Some(10),
        busy_at_start: None,
        unlearned_replicas: None,
        contention_replicas: None,
    }
}
