//! What a scenario is where its file says nothing: an ordinary week of 30,000 orders a day.

use super::{
    Generator, Goal, Imports, Keda, Nodes, OrderSource, Pods, Scenario, Sensors, Service, Throughput,
};
use crate::core::demand::calendar::CalendarSpec;

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "ordinary".to_owned(),
            seed: 1,
            time_zone: "Europe/Prague".to_owned(),
            start: jiff::civil::date(2026, 11, 21),
            days: 8,
            wall_days: false,
            warm_up_days: 1,
            orders: OrderSource::Generator(Generator::default()),
            history_days: 0,
            goal: Goal::default(),
            calendar: CalendarSpec::default(),
            service: Service::default(),
            pods: Pods::default(),
            nodes: Nodes::default(),
            sensors: Sensors::default(),
            keda: Keda::default(),
        }
    }
}

impl Default for Generator {
    fn default() -> Self {
        Self {
            orders_per_day: 30_000.0,
            week: Vec::new(),
            dispersion: 1.5,
            day_deviation: 0.06,
            wander_deviation: 0.10,
            wander_half_life_hours: 3.0,
            imports: None,
            bursts: Vec::new(),
            peak: None,
        }
    }
}

impl Default for Imports {
    fn default() -> Self {
        Self { per_day: 12.0, orders: 60.0, over_seconds: 20.0 }
    }
}

impl Default for Goal {
    fn default() -> Self {
        Self { target_wait_seconds: Some(300.0), cut_offs: Vec::new() }
    }
}

impl Default for Service {
    fn default() -> Self {
        Self {
            mean_seconds: 20.0,
            variation: 0.5,
            concurrency: 1,
            visibility_timeout_seconds: 90.0,
            grace_seconds: 30.0,
            slow: Vec::new(),
        }
    }
}

impl Default for Pods {
    fn default() -> Self {
        Self { lead_seconds: 45.0, lead_variation: 0.2, min: 1, max: 300, initial: 4 }
    }
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            lead_seconds: 100.0,
            lead_variation: 0.15,
            lead_factor: 1.0,
            pods_per_node: 4,
            limit: None,
            limit_over_least_peak: None,
            consolidate_after_seconds: 60.0,
            batch_idle_seconds: 1.0,
            batch_max_seconds: 10.0,
        }
    }
}

impl Default for Sensors {
    fn default() -> Self {
        Self {
            sampling_seconds: 15.0,
            queue_lag_seconds: 5.0,
            queue_noise: 0.02,
            phantom_share: 0.02,
            zero_minutes_per_day: 0.2,
            throughput: Throughput::Cloudwatch,
            queue_blackouts: Vec::new(),
            throughput_blackouts: Vec::new(),
            cluster: true,
        }
    }
}

impl Default for Keda {
    fn default() -> Self {
        Self { polling_seconds: 30.0, cooldown_seconds: 300.0, sync_seconds: 15.0 }
    }
}
