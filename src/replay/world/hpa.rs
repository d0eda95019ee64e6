//! The arithmetic of Kubernetes' horizontal pod autoscaler (`autoscaling/v2`), pure.
//!
//! One external metric of type `AverageValue`: usage over target, tolerance, stabilisation, rate
//! limits, bounds, in the order of `pkg/controller/podautoscaler/horizontal.go`
//! (`stabilizeRecommendationWithBehaviors`, `convertDesiredReplicasWithBehaviorRate`) and
//! `replica_calculator.go` (`GetExternalPerPodMetricReplicas`).

use std::cmp::Ordering;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::replay::units::{Millis, ceil, millis};

/// `spec.behavior` of an HPA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behavior {
    /// Rules for more replicas.
    pub up: Rules,
    /// Rules for fewer replicas.
    pub down: Rules,
}

/// The rules of one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// No change while the ratio of usage to target is this close to 1.
    pub tolerance: f64,
    /// Window over which recommendations are held, in seconds.
    pub stabilization_seconds: f64,
    /// Rate limits; empty for none.
    pub limits: Vec<RateLimit>,
    /// Which limit holds when there are several.
    pub select: Select,
}

/// At most so much change in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Pods or percent of the replicas at the period's start.
    pub kind: LimitKind,
    /// How many of them.
    pub value: u32,
    /// Length of the period.
    pub period_seconds: f64,
}

/// What a rate limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Whole pods.
    Pods,
    /// Percent of the replicas at the period's start.
    Percent,
}

/// Which of several rate limits holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// The one that allows the most change.
    Max,
    /// The one that allows the least change.
    Min,
    /// No change in this direction.
    Disabled,
}

impl Behavior {
    /// What Kubernetes sets where nothing is said: up by the larger of 4 pods and 100 % each 15 s,
    /// down at once after 300 s of stabilisation, tolerance 0.1.
    pub fn kubernetes_default() -> Self {
        let limit = |kind, value| RateLimit { kind, value, period_seconds: 15.0 };
        Self {
            up: Rules {
                tolerance: 0.1,
                stabilization_seconds: 0.0,
                limits: vec![limit(LimitKind::Percent, 100), limit(LimitKind::Pods, 4)],
                select: Select::Max,
            },
            down: Rules {
                tolerance: 0.1,
                stabilization_seconds: 300.0,
                limits: vec![limit(LimitKind::Percent, 100)],
                select: Select::Max,
            },
        }
    }

    /// What our manifests set: the number is taken as it is, in one step.
    pub fn exact(max_replicas: u32) -> Self {
        let limit = |kind, value| RateLimit { kind, value, period_seconds: 15.0 };
        let rules =
            |limits| Rules { tolerance: 0.0, stabilization_seconds: 0.0, limits, select: Select::Max };
        Self {
            up: rules(vec![limit(LimitKind::Percent, 900), limit(LimitKind::Pods, max_replicas.max(1))]),
            down: rules(vec![limit(LimitKind::Percent, 100)]),
        }
    }

    /// The same with another stabilisation on the way down, in seconds.
    #[must_use]
    pub fn with_down_stabilization(mut self, seconds: f64) -> Self {
        self.down.stabilization_seconds = seconds;
        self
    }
}

/// One autoscaler with what it remembers.
#[derive(Debug, Clone)]
pub struct Hpa {
    behavior: Behavior,
    min_replicas: u32,
    max_replicas: u32,
    recommendations: VecDeque<(Millis, u32)>,
    ups: VecDeque<(Millis, u32)>,
    downs: VecDeque<(Millis, u32)>,
}

impl Hpa {
    /// An autoscaler; `min_replicas` below 1 counts as 1, since KEDA alone scales to zero.
    pub fn new(behavior: Behavior, min_replicas: u32, max_replicas: u32) -> Self {
        Self {
            behavior,
            min_replicas: min_replicas.max(1),
            max_replicas: max_replicas.max(1),
            recommendations: VecDeque::new(),
            ups: VecDeque::new(),
            downs: VecDeque::new(),
        }
    }

    /// One sync: the replicas to set, from the present `current` and the metric over its target
    /// (`None` when the metric could not be read: the replicas hold). Zero replicas stay zero.
    pub fn sync(&mut self, now: Millis, current: u32, metric_over_target: Option<f64>) -> u32 {
        if self.recommendations.is_empty() {
            // Of an HPA that is new, the replicas found count as recommended.
            self.recommendations.push_back((now, current));
        }
        if current == 0 {
            return 0;
        }
        if current > self.max_replicas || current < self.min_replicas {
            let bounded = current.clamp(self.min_replicas, self.max_replicas);
            self.remember_change(now, current, bounded);
            return bounded;
        }
        let Some(metric) = metric_over_target.filter(|metric| metric.is_finite()) else {
            return current;
        };
        let raw = self.recommend(current, metric.max(0.0));
        let stable = self.stabilize(now, current, raw);
        let decided = self.limit(now, current, stable);
        self.remember_change(now, current, decided);
        decided
    }

    fn recommend(&self, current: u32, metric: f64) -> u32 {
        let ratio = metric / f64::from(current);
        let (down, up) = (self.behavior.down.tolerance, self.behavior.up.tolerance);
        if (1.0 - down..=1.0 + up).contains(&ratio) { current } else { ceil(metric) }
    }

    fn stabilize(&mut self, now: Millis, current: u32, raw: u32) -> u32 {
        let up_cutoff = now - millis(self.behavior.up.stabilization_seconds);
        let down_cutoff = now - millis(self.behavior.down.stabilization_seconds);
        let oldest = up_cutoff.min(down_cutoff);
        while self.recommendations.front().is_some_and(|(at, _)| *at <= oldest) {
            self.recommendations.pop_front();
        }
        let (mut lower, mut upper) = (raw, raw);
        for &(at, recommendation) in &self.recommendations {
            if at > up_cutoff {
                lower = lower.min(recommendation);
            }
            if at > down_cutoff {
                upper = upper.max(recommendation);
            }
        }
        self.recommendations.push_back((now, raw));
        current.max(lower).min(upper)
    }

    fn limit(&mut self, now: Millis, current: u32, desired: u32) -> u32 {
        let longest = self.longest_period();
        for events in [&mut self.ups, &mut self.downs] {
            while events.front().is_some_and(|(at, _)| *at <= now - longest) {
                events.pop_front();
            }
        }
        match desired.cmp(&current) {
            Ordering::Greater => desired.min(self.up_limit(now, current).max(current).min(self.max_replicas)),
            Ordering::Less => desired.max(self.down_limit(now, current).min(current).max(self.min_replicas)),
            Ordering::Equal => desired,
        }
    }

    fn longest_period(&self) -> Millis {
        let limits = self.behavior.up.limits.iter().chain(&self.behavior.down.limits);
        limits.map(|limit| millis(limit.period_seconds)).max().unwrap_or(0)
    }

    fn period_start(&self, now: Millis, current: u32, limit: RateLimit) -> u32 {
        let since = now - millis(limit.period_seconds);
        let sum = |events: &VecDeque<(Millis, u32)>| -> u32 {
            events.iter().filter(|(at, _)| *at > since).map(|(_, change)| change).sum()
        };
        (current + sum(&self.downs)).saturating_sub(sum(&self.ups))
    }

    fn up_limit(&self, now: Millis, current: u32) -> u32 {
        let rules = &self.behavior.up;
        let proposals = rules.limits.iter().map(|&limit| {
            let start = self.period_start(now, current, limit);
            match limit.kind {
                LimitKind::Pods => start.saturating_add(limit.value),
                // rounded up, or one replica could never become two
                LimitKind::Percent => ceil(f64::from(start) * (1.0 + f64::from(limit.value) / 100.0)),
            }
        });
        match rules.select {
            Select::Disabled => current,
            Select::Max => proposals.max().unwrap_or(u32::MAX),
            Select::Min => proposals.min().unwrap_or(u32::MAX),
        }
    }

    fn down_limit(&self, now: Millis, current: u32) -> u32 {
        let rules = &self.behavior.down;
        let proposals = rules.limits.iter().map(|&limit| {
            let start = self.period_start(now, current, limit);
            match limit.kind {
                LimitKind::Pods => start.saturating_sub(limit.value),
                LimitKind::Percent => {
                    ceil((f64::from(start) * (1.0 - f64::from(limit.value) / 100.0)).floor())
                }
            }
        });
        match rules.select {
            Select::Disabled => current,
            Select::Max => proposals.min().unwrap_or(0),
            Select::Min => proposals.max().unwrap_or(0),
        }
    }

    fn remember_change(&mut self, now: Millis, from: u32, to: u32) {
        if to > from {
            self.ups.push_back((now, to - from));
        } else if to < from {
            self.downs.push_back((now, from - to));
        }
    }
}

#[cfg(test)]
mod tests;
