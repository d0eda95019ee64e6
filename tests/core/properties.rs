//! Properties of one decision, over situations of all kinds.

use jiff::Timestamp;
use peakscaler::core::demand::outlook::{Knot, Outlook};
use peakscaler::core::plan::situation::{Service, ServiceSource};
use peakscaler::core::plan::{Cohort, Deadline, Fleet, Situation, decide};
use peakscaler::core::{NodeSlots, Policy, ServiceRate};
use proptest::prelude::*;

/// Cases of a property: as many as `PROPTEST_CASES` says, or few enough for an unoptimised build.
fn cases(few: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(few)
}

prop_compose! {
    fn policies()(
        wait in 60.0..900.0_f64,
        min_replicas in 0..5_u32,
        above in 1..300_u32,
        ramp in prop::option::of(1.0..50.0_f64),
        limit in prop::option::of(100.0..20_000.0_f64),
        hold in 15.0..300.0_f64,
    ) -> Policy {
        Policy {
            target_wait_seconds: Some(wait),
            min_replicas,
            max_replicas: min_replicas + above,
            ramp_up_per_minute: ramp,
            throughput_limit_per_hour: limit,
            hold_down_seconds: hold,
            service_rate: ServiceRate::Learned,
            ..Policy::default()
        }
    }
}

prop_compose! {
    fn fleets()(
        ready in 0..200_u32,
        mut ready_in_seconds in prop::collection::vec(1.0..200.0_f64, 0..40),
        pending in 0..10_u32,
    ) -> Fleet {
        ready_in_seconds.sort_by(f64::total_cmp);
        let pending = pending.min(u32::try_from(ready_in_seconds.len()).unwrap());
        Fleet { ready, ready_in_seconds, pending }
    }
}

prop_compose! {
    fn outlooks()(rate in 0.0..10.0_f64, growth in -0.5..2.0_f64, dispersion in 1.0..10.0_f64) -> Outlook {
        let knot = |x: f64| {
            let mean = (rate * x + growth * rate * x * x / 7200.0).max(0.0);
            Knot::new(x, mean, (dispersion * mean).sqrt() + 0.05 * mean)
        };
        let knots = [0.0, 30.0, 120.0, 600.0, 1800.0, 3600.0].map(knot).to_vec();
        Outlook { model: "test".to_owned(), knots }
    }
}

prop_compose! {
    fn situations()(
        waiting in prop::collection::vec((0.0..900.0_f64, 0.1..300.0_f64), 0..12),
        started in 0.0..100.0_f64,
        fleet in prop::option::weighted(0.9, fleets()),
        outlook in outlooks(),
        per_second in 0.005..0.5_f64,
        known in 0.5..0.99_f64,
        nodes in prop::option::of((0..50_u32, 0..50_u32)),
        cut_off in prop::option::of((-1000.0..3000.0_f64, 1200.0..4000.0_f64)),
        leads in (5.0..120.0_f64, 20.0..300.0_f64),
        memory in (prop::option::of(0..300_u32), 0..300_u32, 0..300_u32, prop::option::of(0..300_u32)),
        ages in (0.0..300.0_f64, 0.0..200.0_f64),
        flags in (any::<bool>(), any::<bool>(), 0.0..400.0_f64),
    ) -> Situation {
        let mut waiting: Vec<Cohort> =
            waiting.into_iter().map(|(age_seconds, orders)| Cohort { age_seconds, orders }).collect();
        waiting.sort_by(|left, right| right.age_seconds.total_cmp(&left.age_seconds));
        let orders: f64 = waiting.iter().map(|cohort| cohort.orders).sum();
        let longest = waiting.first().map(|cohort| cohort.age_seconds);
        Situation {
            at: Timestamp::UNIX_EPOCH,
            queue_age_seconds: Some(ages.0),
            fleet_age_seconds: Some(ages.1),
            arrivals_age_seconds: Some(60.0),
            doubtful: flags.0,
            backlog: orders + started,
            started,
            waiting,
            activated: flags.1,
            empty_seconds: flags.2,
            arrival_rate: outlook.at(1.0).0,
            outlook,
            forecast_distrust: None,
            forecast_quality: None,
            calendar: Vec::new(),
            service: Service {
                per_second,
                lower_per_second: per_second * known,
                concurrency: 1.0,
                settled: true,
                source: ServiceSource::Learned,
                unmet_per_second: None,
            },
            fleet,
            nodes: nodes.map(|(free_slots, coming)| NodeSlots { free_slots, coming }),
            pod_lead_seconds: leads.0,
            node_lead_seconds: leads.1,
            visibility_timeout_seconds: memory.0.map(f64::from),
            longest_wait_seconds: longest,
            deadlines: cut_off
                .map(|(cut_off_in_seconds, window)| Deadline {
                    name: "DPD".to_owned(),
                    cut_off_in_seconds,
                    dispatch_in_seconds: cut_off_in_seconds + window,
                })
                .into_iter()
                .collect(),
            last_desired: memory.0,
            hold_replicas: memory.1,
            settled_replicas: memory.1.max(memory.2),
            settled_one: Some(memory.1),
            lumps: None,
            minute_ago_replicas: memory.3,
            busy_at_start: memory.3.filter(|busy| busy % 2 == 0),
            unlearned_replicas: None,
            contention_replicas: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(512)))]

    #[test]
    fn stays_within_the_bounds(situation in situations(), policy in policies()) {
        let record = decide(&situation, &policy);
        if let Some(desired) = record.desired {
            prop_assert!((policy.min_replicas..=policy.max_replicas).contains(&desired));
            prop_assert_eq!(record.active, desired > 0);
        } else {
            prop_assert!(record.error.is_some());
        }
        prop_assert!(record.late_expected >= 0.0 && record.late_expected.is_finite());
        prop_assert!(record.ahead <= policy.max_replicas);
    }

    #[test]
    fn the_record_decides_again_bit_for_bit(situation in situations(), policy in policies()) {
        let record = decide(&situation, &policy);
        let line = serde_json::to_string(&record).unwrap();
        let kept: peakscaler::core::DecisionRecord = serde_json::from_str(&line).unwrap();
        let again = decide(kept.inputs.as_ref().unwrap(), &policy);
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), line);
    }

    #[test]
    fn more_backlog_never_means_fewer(situation in situations(), policy in policies(), more in 1.0..500.0_f64) {
        let before = decide(&situation, &policy);
        let mut situation = situation;
        situation.backlog += more;
        match situation.waiting.last_mut() {
            Some(youngest) => youngest.orders += more,
            None => situation.waiting.push(Cohort { age_seconds: 0.0, orders: more }),
        }
        let after = decide(&situation, &policy);
        prop_assert!(after.desired >= before.desired, "{:?} then {:?}", before.desired, after.desired);
    }

    #[test]
    fn an_earlier_due_never_means_fewer(situation in situations(), policy in policies(), share in 0.3..1.0_f64) {
        let before = decide(&situation, &policy);
        let sooner = Policy { target_wait_seconds: policy.target_wait_seconds.map(|wait| wait * share), ..policy };
        let after = decide(&situation, &sooner);
        prop_assert!(after.desired >= before.desired, "{:?} then {:?}", before.desired, after.desired);
    }

    #[test]
    fn a_wait_beside_a_cut_off_never_means_fewer(situation in situations(), policy in policies(), wait in 60.0..90_000.0_f64) {
        let cut_off_alone = Policy { target_wait_seconds: None, ..policy };
        let before = decide(&situation, &cut_off_alone);
        let both = Policy { target_wait_seconds: Some(wait), ..cut_off_alone };
        let after = decide(&situation, &both);
        prop_assert!(after.desired >= before.desired, "{:?} then {:?}", before.desired, after.desired);
    }

    #[test]
    fn doubt_never_scales_down(situation in situations(), policy in policies()) {
        let situation = Situation { doubtful: true, contention_replicas: None, ..situation };
        let record = decide(&situation, &policy);
        if let (Some(desired), Some(last)) = (record.desired, situation.last_desired) {
            prop_assert!(desired >= last.min(policy.max_replicas));
        }
    }
}
