//! What a scenario must be to make sense; every problem is found, not only the first.

use jiff::tz::TimeZone;

use super::{Generator, OrderSource, Scenario, ScenarioError, Window};

/// Collects problems, each beginning with the field's name.
struct Problems(Vec<String>);

impl Problems {
    fn require(&mut self, holds: bool, field: &str, value: impl std::fmt::Display, wanted: &str) {
        if !holds {
            self.0.push(format!("{field}: {value} must be {wanted}"));
        }
    }

    fn positive(&mut self, field: &str, value: f64) {
        self.require(value.is_finite() && value > 0.0, field, value, "above 0");
    }

    fn not_negative(&mut self, field: &str, value: f64) {
        self.require(value.is_finite() && value >= 0.0, field, value, "0 or above");
    }

    fn window(&mut self, field: &str, window: &Window, days: u32) {
        self.not_negative(&format!("{field}.from_hour"), window.from_hour);
        self.positive(&format!("{field}.hours"), window.hours);
        if let Some(day) = window.day {
            self.require(day < days, &format!("{field}.day"), day, &format!("below days ({days})"));
        }
    }
}

impl Scenario {
    /// Checks ranges and contradictions.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] with every problem.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        let mut problems = Problems(Vec::new());
        self.check_time(&mut problems);
        self.check_goal(&mut problems);
        self.check_centre(&mut problems);
        self.check_sensors(&mut problems);
        problems.0.extend(self.known().err().unwrap_or_default());
        match &self.orders {
            OrderSource::Trace(trace) => {
                problems.require(
                    trace.dispersion >= 1.0,
                    "orders.trace.dispersion",
                    trace.dispersion,
                    "1 (Poisson) or above",
                );
                if let Some(orders) = trace.median_day_orders {
                    problems.positive("orders.trace.median_day_orders", orders);
                }
            }
            OrderSource::Generator(generator) => generator.check(&mut problems, self.days),
        }
        if problems.0.is_empty() {
            Ok(())
        } else {
            Err(ScenarioError::Invalid { name: self.name.clone(), problems: problems.0 })
        }
    }

    fn check_time(&self, problems: &mut Problems) {
        let zone_known = TimeZone::get(&self.time_zone).is_ok();
        problems.require(zone_known, "time_zone", &self.time_zone, "an IANA name as Europe/Prague");
        problems.require((1..=400).contains(&self.days), "days", self.days, "1 to 400");
        problems.require(
            self.warm_up_days < self.days,
            "warm_up_days",
            self.warm_up_days,
            &format!("below days ({})", self.days),
        );
        problems.require(self.history_days <= 800, "history_days", self.history_days, "at most 800");
    }

    fn check_goal(&self, problems: &mut Problems) {
        let goal = &self.goal;
        if let Some(wait) = goal.target_wait_seconds {
            problems.positive("goal.target_wait_seconds", wait);
        }
        problems.require(
            goal.target_wait_seconds.is_some() || !goal.cut_offs.is_empty(),
            "goal",
            "neither target_wait_seconds nor cut_offs",
            "at least one of them",
        );
        for (index, cut_off) in goal.cut_offs.iter().enumerate() {
            let field = format!("goal.cut_offs[{index}]");
            problems.require(
                cut_off.at_seconds_of_day < 86_400,
                &format!("{field}.at_seconds_of_day"),
                cut_off.at_seconds_of_day,
                "below 86400",
            );
            problems.positive(&format!("{field}.within_seconds"), cut_off.within_seconds);
            problems.require(
                cut_off.weekdays.contains(&true),
                &format!("{field}.weekdays"),
                "none",
                "at least one day",
            );
        }
    }

    fn check_centre(&self, problems: &mut Problems) {
        let service = &self.service;
        problems.positive("service.mean_seconds", service.mean_seconds);
        problems.not_negative("service.variation", service.variation);
        problems.require(service.concurrency >= 1, "service.concurrency", service.concurrency, "1 or above");
        problems.positive("service.visibility_timeout_seconds", service.visibility_timeout_seconds);
        problems.not_negative("service.grace_seconds", service.grace_seconds);
        for (index, slow) in service.slow.iter().enumerate() {
            problems.window(&format!("service.slow[{index}]"), &slow.window, self.days);
            problems.positive(&format!("service.slow[{index}].factor"), slow.factor);
        }
        let pods = &self.pods;
        problems.not_negative("pods.lead_seconds", pods.lead_seconds);
        problems.not_negative("pods.lead_variation", pods.lead_variation);
        problems.require(pods.max >= 1, "pods.max", pods.max, "1 or above");
        problems.require(
            pods.min <= pods.max,
            "pods.min",
            pods.min,
            &format!("at most pods.max ({})", pods.max),
        );
        problems.require(
            pods.initial <= pods.max,
            "pods.initial",
            pods.initial,
            &format!("at most pods.max ({})", pods.max),
        );
        let nodes = &self.nodes;
        problems.not_negative("nodes.lead_seconds", nodes.lead_seconds);
        problems.not_negative("nodes.lead_variation", nodes.lead_variation);
        problems.positive("nodes.lead_factor", nodes.lead_factor);
        problems.require(nodes.pods_per_node >= 1, "nodes.pods_per_node", nodes.pods_per_node, "1 or above");
        problems.not_negative("nodes.consolidate_after_seconds", nodes.consolidate_after_seconds);
        problems.not_negative("nodes.batch_idle_seconds", nodes.batch_idle_seconds);
        problems.require(
            nodes.batch_max_seconds >= nodes.batch_idle_seconds,
            "nodes.batch_max_seconds",
            nodes.batch_max_seconds,
            "at least nodes.batch_idle_seconds",
        );
        if let Some(limit) = nodes.limit_over_least_peak {
            problems.positive("nodes.limit_over_least_peak", limit);
            problems.require(
                nodes.limit.is_none(),
                "nodes.limit",
                "set",
                "absent beside limit_over_least_peak",
            );
        }
    }

    fn check_sensors(&self, problems: &mut Problems) {
        let sensors = &self.sensors;
        problems.require(
            sensors.sampling_seconds >= 1.0 && sensors.sampling_seconds <= 3_600.0,
            "sensors.sampling_seconds",
            sensors.sampling_seconds,
            "1 to 3600",
        );
        let lag = sensors.queue_lag_seconds;
        problems.require((0.0..=120.0).contains(&lag), "sensors.queue_lag_seconds", lag, "0 to 120");
        problems.not_negative("sensors.queue_noise", sensors.queue_noise);
        let phantom = sensors.phantom_share;
        problems.require((0.0..=1.0).contains(&phantom), "sensors.phantom_share", phantom, "0 to 1");
        problems.not_negative("sensors.zero_minutes_per_day", sensors.zero_minutes_per_day);
        for (field, windows) in [
            ("queue_blackouts", &sensors.queue_blackouts),
            ("throughput_blackouts", &sensors.throughput_blackouts),
        ] {
            for (index, window) in windows.iter().enumerate() {
                problems.window(&format!("sensors.{field}[{index}]"), window, self.days);
            }
        }
        for (field, value) in [
            ("keda.polling_seconds", self.keda.polling_seconds),
            ("keda.sync_seconds", self.keda.sync_seconds),
        ] {
            problems.require((1.0..=3_600.0).contains(&value), field, value, "1 to 3600");
        }
        problems.not_negative("keda.cooldown_seconds", self.keda.cooldown_seconds);
    }
}

impl Generator {
    fn check(&self, problems: &mut Problems, days: u32) {
        let orders = self.orders_per_day;
        problems.require(
            (0.0..=5_000_000.0).contains(&orders),
            "orders.generator.orders_per_day",
            orders,
            "0 to 5000000",
        );
        problems.require(
            self.week.is_empty() || self.week.len() == 168,
            "orders.generator.week",
            self.week.len(),
            "168 weights, one an hour from Monday",
        );
        problems.require(
            self.week.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
                && (self.week.is_empty() || self.week.iter().sum::<f64>() > 0.0),
            "orders.generator.week",
            "a weight",
            "0 or above, and not all 0",
        );
        problems.require(
            self.dispersion >= 1.0,
            "orders.generator.dispersion",
            self.dispersion,
            "1 (Poisson) or above",
        );
        problems.not_negative("orders.generator.day_deviation", self.day_deviation);
        problems.not_negative("orders.generator.wander_deviation", self.wander_deviation);
        problems.positive("orders.generator.wander_half_life_hours", self.wander_half_life_hours);
        problems.not_negative("orders.generator.imports.per_day", self.imports.per_day);
        problems.not_negative("orders.generator.imports.orders", self.imports.orders);
        problems.positive("orders.generator.imports.over_seconds", self.imports.over_seconds);
        for (index, burst) in self.bursts.iter().enumerate() {
            let field = format!("orders.generator.bursts[{index}]");
            problems.require(
                burst.day < days,
                &format!("{field}.day"),
                burst.day,
                &format!("below days ({days})"),
            );
            problems.not_negative(&format!("{field}.at_hour"), burst.at_hour);
            problems.not_negative(&format!("{field}.orders"), burst.orders);
            problems.positive(&format!("{field}.over_seconds"), burst.over_seconds);
        }
        if let Some(peak) = &self.peak {
            problems.require(
                peak.day < days,
                "orders.generator.peak.day",
                peak.day,
                &format!("below days ({days})"),
            );
            problems.positive("orders.generator.peak.factor", peak.factor);
            for factor in peak.before.iter().chain(&peak.after) {
                problems.not_negative("orders.generator.peak.before and after", *factor);
            }
        }
    }
}
