//! What a scenario must be to make sense; every problem is found, not only the first.

use jiff::tz::TimeZone;

use super::{Generator, MOST_ORDERS_A_DAY, OrderSource, Scenario, ScenarioError, Window};

/// Greatest standard deviation of a logarithm: with it one day in forty is above seven times the usual.
const MOST_DEVIATION: f64 = 1.0;

/// Collects problems, each beginning with the field's name.
struct Problems(Vec<String>);

impl Problems {
    fn require(&mut self, holds: bool, field: &str, value: impl std::fmt::Display, wanted: &str) {
        if !holds {
            self.0.push(format!("{field}: {value} must be {wanted}"));
        }
    }

    fn positive(&mut self, field: &str, value: f64) {
        self.require(value.is_finite() && value > 0.0, field, shown(value), "above 0");
    }

    fn not_negative(&mut self, field: &str, value: f64) {
        self.require(value.is_finite() && value >= 0.0, field, shown(value), "0 or above");
    }

    fn dispersion(&mut self, field: &str, value: f64) {
        self.require((1.0..=100.0).contains(&value), field, value, "1 (Poisson) to 100");
    }

    fn at_most(&mut self, field: &str, value: f64, most: f64) {
        self.require((0.0..=most).contains(&value), field, shown(value), &format!("0 to {most}"));
    }

    fn window(&mut self, field: &str, window: &Window, days: u32) {
        self.require(
            (0.0..24.0).contains(&window.from_hour),
            &format!("{field}.from_hour"),
            shown(window.from_hour),
            "0 to below 24",
        );
        self.positive(&format!("{field}.hours"), window.hours);
        if let Some(day) = window.day {
            self.require(day < days, &format!("{field}.day"), day, &format!("below days ({days})"));
        }
    }
}

/// A figure without hundreds of zeros.
fn shown(value: f64) -> String {
    if value.abs() < 1e15 { value.to_string() } else { format!("{value:e}") }
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
        let mut unknown = self.known().err().unwrap_or_default();
        if self.calendar.time_zone.is_none() {
            // The scenario's own zone, which has been told of.
            unknown.retain(|problem| !problem.starts_with("calendar.timeZone"));
        }
        problems.0.extend(unknown);
        match &self.orders {
            OrderSource::Trace(trace) => {
                problems.dispersion("orders.trace.dispersion", trace.dispersion);
                if let Some(orders) = trace.median_day_orders {
                    problems.at_most("orders.trace.median_day_orders", orders, MOST_ORDERS_A_DAY);
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
        problems.at_most("orders.generator.orders_per_day", self.orders_per_day, MOST_ORDERS_A_DAY);
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
        problems.dispersion("orders.generator.dispersion", self.dispersion);
        problems.at_most("orders.generator.day_deviation", self.day_deviation, MOST_DEVIATION);
        problems.at_most("orders.generator.wander_deviation", self.wander_deviation, MOST_DEVIATION);
        problems.positive("orders.generator.wander_half_life_hours", self.wander_half_life_hours);
        self.check_imports(problems);
        for (index, burst) in self.bursts.iter().enumerate() {
            let field = format!("orders.generator.bursts[{index}]");
            problems.require(
                burst.day < days,
                &format!("{field}.day"),
                burst.day,
                &format!("below days ({days})"),
            );
            problems.not_negative(&format!("{field}.at_hour"), burst.at_hour);
            problems.at_most(&format!("{field}.orders"), burst.orders, MOST_ORDERS_A_DAY);
            problems.positive(&format!("{field}.over_seconds"), burst.over_seconds);
        }
        if let Some(peak) = &self.peak {
            problems.require(
                peak.day < days,
                "orders.generator.peak.day",
                peak.day,
                &format!("below days ({days})"),
            );
            for (field, factor) in [("factor", &peak.factor)]
                .into_iter()
                .chain(peak.before.iter().map(|factor| ("before", factor)))
                .chain(peak.after.iter().map(|factor| ("after", factor)))
            {
                let field = format!("orders.generator.peak.{field}");
                let most = MOST_ORDERS_A_DAY / self.orders_per_day.max(1.0);
                problems.at_most(&field, *factor, most.floor());
            }
        }
    }

    fn check_imports(&self, problems: &mut Problems) {
        // those left out follow from orders_per_day, which is checked
        let Some(imports) = &self.imports else { return };
        problems.at_most("orders.generator.imports.per_day", imports.per_day, MOST_ORDERS_A_DAY);
        problems.at_most("orders.generator.imports.orders", imports.orders, MOST_ORDERS_A_DAY);
        let imported = imports.per_day * imports.orders;
        problems.require(
            imported <= self.orders_per_day || self.orders_per_day <= 0.0,
            "orders.generator.imports",
            format!("{} orders a day (per_day times orders)", shown(imported)),
            &format!("at most orders_per_day ({}), which they are a part of", self.orders_per_day),
        );
        problems.positive("orders.generator.imports.over_seconds", imports.over_seconds);
    }
}
