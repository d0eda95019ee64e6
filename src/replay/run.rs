//! A policy in the world: KEDA's polling and the HPA's syncs around it, to a score.

use std::sync::Arc;

use super::least::least_peak;
use super::oracle::{self, Bill};
use super::orders::Orders;
use super::scenario::{Keda, Nodes, Pods, Scenario, ScenarioError};
use super::score::{Score, Warnings};
use super::units::{Millis, SECOND, ceil, millis};
use super::world::hpa::Hpa;
use super::world::sensors::Sensors;
use super::world::{Outcomes, World};
use super::{Answer, ScalingPolicy};

/// A warning that comes back this soon was never withdrawn.
const WARNING_GAP: Millis = 120 * SECOND;

/// A scenario with its orders drawn, ready to be run under any number of policies.
#[derive(Debug, Clone)]
pub struct Cell {
    scenario: Arc<Scenario>,
    orders: Arc<Orders>,
    least_peak: f64,
}

impl Cell {
    /// Draws the orders of a valid scenario.
    ///
    /// # Errors
    /// When the scenario contradicts itself or its trace can't be used.
    pub fn new(scenario: Scenario) -> Result<Self, ScenarioError> {
        scenario.validate()?;
        let orders = Orders::draw(&scenario)?;
        Self::with_orders(scenario, orders)
    }

    /// A scenario with orders from elsewhere; where its own would come from plays no part.
    ///
    /// # Errors
    /// When the scenario contradicts itself.
    pub fn with_orders(scenario: Scenario, orders: Orders) -> Result<Self, ScenarioError> {
        scenario.validate()?;
        let least_peak = least_peak(&scenario, &orders, scenario.scored_from(), scenario.end());
        Ok(Self { scenario: Arc::new(scenario), orders: Arc::new(orders), least_peak })
    }

    /// The same orders and goal with other bounds and another pace.
    ///
    /// # Errors
    /// When these contradict the rest of the scenario.
    pub fn under(&self, pods: Pods, nodes: Nodes, keda: Keda) -> Result<Self, ScenarioError> {
        let scenario = Scenario { pods, nodes, keda, ..(*self.scenario).clone() };
        scenario.validate()?;
        Ok(Self { scenario: Arc::new(scenario), ..self.clone() })
    }

    /// The scenario.
    pub fn scenario(&self) -> &Arc<Scenario> {
        &self.scenario
    }

    /// Its orders.
    pub fn orders(&self) -> &Arc<Orders> {
        &self.orders
    }

    /// The fewest replicas, held all the time, that keep every order in time.
    pub fn least_peak(&self) -> f64 {
        self.least_peak
    }

    /// What the clairvoyant pays: takes a while, so it is asked for once a cell.
    pub fn bill(&self) -> Option<Bill> {
        oracle::bill(&self.scenario, &self.orders)
    }

    /// The pool's limit in nodes.
    pub fn node_limit(&self) -> Option<u32> {
        let nodes = &self.scenario.nodes;
        let relative = nodes.limit_over_least_peak;
        let relative = relative.map(|share| ceil(share * self.least_peak / f64::from(nodes.pods_per_node)));
        nodes.limit.or(relative)
    }

    /// The centre at its start.
    pub fn world(&self) -> World {
        World::new(Arc::clone(&self.scenario), Arc::clone(&self.orders), self.node_limit())
    }

    /// Runs a policy from the start to the end.
    pub fn run(&self, policy: &mut dyn ScalingPolicy) -> Score {
        let mut control = Control::new(self, policy);
        control.advance_to(self.scenario.end());
        self.score(control).0
    }

    /// The score of a run that has come to the end, and what became of each order.
    pub(super) fn score<P: ScalingPolicy>(&self, control: Control<P>) -> (Score, Outcomes) {
        let name = control.policy.name().to_owned();
        let warnings = control.warnings;
        let (outcomes, tally) = control.world.finish();
        let score =
            Score::of(&name, &self.scenario, &self.orders, (&outcomes, &tally), self.least_peak, &warnings);
        (score, outcomes)
    }
}

/// The control loop around a policy, moved on at will.
pub struct Control<P> {
    world: World,
    sensors: Sensors,
    hpa: Hpa,
    policy: P,
    last: Option<Answer>,
    last_active: Millis,
    warnings: Warnings,
    /// When each duty is due next, and its period.
    duties: Vec<(Millis, Duty, Millis)>,
}

/// What is due next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Duty {
    Sample,
    Sync,
    Poll,
}

impl<P: ScalingPolicy> Control<P> {
    /// A centre at its start, under `policy`.
    pub fn new(cell: &Cell, policy: P) -> Self {
        let scenario = &cell.scenario;
        let hpa = Hpa::new(policy.behavior(), scenario.pods.min, scenario.pods.max);
        let sampling = millis(scenario.sensors.sampling_seconds);
        let sync = millis(scenario.keda.sync_seconds);
        let polling = millis(scenario.keda.polling_seconds);
        // the three beats are not in step with each other; thirds keep them apart
        let mut duties = vec![(sync / 3, Duty::Sync, sync), (polling / 3 + sync / 3, Duty::Poll, polling)];
        if policy.samples_itself() {
            duties.push((sampling, Duty::Sample, sampling));
        }
        Self {
            warnings: policy.warns().map(|_| Vec::new()),
            world: cell.world(),
            sensors: Sensors::new(Arc::clone(scenario)),
            hpa,
            policy,
            last: None,
            last_active: 0,
            duties,
        }
    }

    /// Moves on to `time`, every duty until then included.
    pub fn advance_to(&mut self, time: Millis) {
        while let Some(next) = self.duties.iter_mut().min_by_key(|(at, duty, _)| (*at, *duty)) {
            let (at, duty, every) = *next;
            if at > time {
                break;
            }
            next.0 += every;
            match duty {
                Duty::Sample => self.sample(at),
                Duty::Sync => self.sync(at),
                Duty::Poll => self.poll(at),
            }
        }
        self.world.advance_to(time);
    }

    /// The centre.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Gives up the policy and keeps the centre.
    pub fn into_world(self) -> World {
        self.world
    }

    /// Reads the instruments at `at` and asks the policy.
    fn ask(&mut self, at: Millis) -> Answer {
        let lag = self.sensors.draw_lag();
        self.world.advance_to((at - lag).max(self.world.now()));
        let counters = self.world.counters();
        self.world.advance_to(at);
        let observation = self.sensors.observe(&self.world, counters);
        let answer = self.policy.decide(&observation);
        self.world.set_buffer(answer.buffer);
        self.last = Some(answer);
        self.note_warning(at);
        answer
    }

    fn note_warning(&mut self, at: Millis) {
        let (Some(warnings), Some(true)) = (&mut self.warnings, self.policy.warns()) else { return };
        match warnings.last_mut() {
            Some((_, until)) if at - *until <= WARNING_GAP => *until = at,
            Some(_) | None => warnings.push((at, at)),
        }
    }

    fn sample(&mut self, at: Millis) {
        // an external-push scaler's activation acts at once
        if self.ask(at).active {
            self.activate(at);
        }
    }

    fn sync(&mut self, at: Millis) {
        self.world.advance_to(at);
        let current = self.world.wanted();
        if current == 0 {
            return;
        }
        let answer = if self.policy.samples_itself() { self.last } else { Some(self.ask(at)) };
        let metric = answer.and_then(|answer| answer.desired);
        let decided = self.hpa.sync(at, current, metric);
        self.world.set_wanted(decided);
    }

    /// KEDA's own part: from zero to one, and back after the cool-down.
    fn poll(&mut self, at: Millis) {
        self.world.advance_to(at);
        let scenario = self.world.scenario();
        let (least, cooldown) = (scenario.pods.min, millis(scenario.keda.cooldown_seconds));
        if least > 0 {
            return;
        }
        let answer = if self.policy.samples_itself() { self.last } else { Some(self.ask(at)) };
        match answer {
            Some(answer) if answer.active => self.activate(at),
            Some(_) if self.world.wanted() > 0 && at - self.last_active >= cooldown => {
                self.world.set_wanted(0);
            }
            Some(_) | None => {}
        }
    }

    fn activate(&mut self, at: Millis) {
        self.last_active = at;
        if self.world.wanted() == 0 {
            self.world.set_wanted(1);
        }
    }
}

#[cfg(test)]
mod tests;
