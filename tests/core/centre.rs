//! A centre without noise: orders as a fluid, workers that never falter, counters that tell the truth.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use peakscaler::core::demand::calendar::{Calendar, CalendarSpec};
use peakscaler::core::demand::forecast::ProfileForecast;
use peakscaler::core::demand::outlook::ArrivalForecast as _;
use peakscaler::core::observation::LeadTimes;
use peakscaler::core::{DecisionRecord, Interval, Observation, Policy, QueueReading, Replicas, Workload};

/// Seconds between two decisions.
pub(crate) const TICK_SECONDS: f64 = 15.0;
/// Monday, 29 December 2025, 09:00 in UTC.
pub(crate) const START: Timestamp = Timestamp::constant(1_766_998_800, 0);

/// A moment so many seconds after the start.
pub(crate) fn moment(seconds: f64) -> Timestamp {
    START + SignedDuration::from_secs_f64(seconds)
}

/// The centre and what became of its orders.
pub(crate) struct Centre {
    workload: Workload,
    service_seconds: f64,
    pod_lead: f64,
    /// Seconds at which each pod is or was ready, oldest first.
    pods: Vec<f64>,
    /// Waiting orders by moment of arrival.
    queue: VecDeque<(f64, f64)>,
    in_work: f64,
    now: f64,
    /// The longest wait of an order until its work started.
    pub(crate) longest_wait: f64,
    /// Every number decided, in order.
    pub(crate) decided: Vec<u32>,
    /// The last record.
    pub(crate) last: Option<DecisionRecord>,
    /// Whether the workers can be read.
    pub(crate) tells_replicas: bool,
}

impl Centre {
    pub(crate) fn new(policy: Policy, service_seconds: f64, pods: u32) -> Self {
        let pod_lead = policy.pod_lead_seconds;
        Self {
            workload: Workload::new(policy),
            service_seconds,
            pod_lead,
            pods: vec![0.0; pods as usize],
            queue: VecDeque::new(),
            in_work: 0.0,
            now: 0.0,
            longest_wait: 0.0,
            decided: Vec::new(),
            last: None,
            tells_replicas: true,
        }
    }

    /// So many orders are there at the start.
    pub(crate) fn enqueue(&mut self, orders: f64) {
        self.queue.push_back((self.now, orders));
    }

    /// Runs until `until` seconds, `rate(t)` orders arriving a second.
    pub(crate) fn run(&mut self, until: f64, rate: impl Fn(f64) -> f64) {
        while self.now < until {
            let from = self.now;
            let (mut arrived, mut completed) = (0.0, 0.0);
            while self.now < from + TICK_SECONDS {
                self.now += 1.0;
                self.queue.push_back((self.now, rate(self.now)));
                arrived += rate(self.now);
                completed += self.work_a_second();
            }
            self.decide(from, arrived, completed);
        }
    }

    /// Lets it have learned these orders a second, hour by hour, of the three weeks before, and know a
    /// calendar.
    pub(crate) fn knows(mut self, rate: impl Fn(f64) -> f64, calendar: Option<&CalendarSpec>) -> Self {
        let mut forecast = ProfileForecast::new(TimeZone::UTC, 3600.0);
        for hour in -21 * 24..0 {
            let from = f64::from(hour) * 3600.0;
            let count = 3600.0 * rate(from + 1800.0);
            forecast.observe(&Interval { from: moment(from), to: moment(from + 3600.0), count });
        }
        if let Some(spec) = calendar {
            self.workload.set_calendar(Arc::new(Calendar::new(spec).unwrap()));
        }
        self.workload.set_forecast(Box::new(forecast));
        self
    }

    /// Replica-seconds since the start.
    pub(crate) fn replica_seconds(&self) -> f64 {
        self.decided.iter().map(|desired| f64::from(*desired) * TICK_SECONDS).sum()
    }

    fn ready(&self) -> u32 {
        u32::try_from(self.pods.iter().filter(|ready_at| **ready_at <= self.now).count()).unwrap()
    }

    fn work_a_second(&mut self) -> f64 {
        let workers = f64::from(self.ready());
        let completed = self.in_work / self.service_seconds;
        self.in_work -= completed;
        let mut free = (workers - self.in_work).max(0.0);
        while free > 1e-9
            && let Some((arrived, orders)) = self.queue.front_mut()
        {
            let started = orders.min(free);
            self.longest_wait = self.longest_wait.max(self.now - *arrived);
            *orders -= started;
            free -= started;
            self.in_work += started;
            if *orders <= 1e-9 {
                self.queue.pop_front();
            }
        }
        completed
    }

    fn decide(&mut self, from: f64, arrived: f64, completed: f64) {
        let interval = |count| vec![Interval { from: moment(from), to: moment(self.now), count }];
        let pods = u32::try_from(self.pods.len()).unwrap();
        let starting = self.pods.iter().filter(|ready_at| **ready_at > self.now);
        let observation = Observation {
            at: moment(self.now),
            queue: Some(QueueReading {
                visible: self.queue.iter().map(|(_, orders)| orders).sum(),
                in_flight: self.in_work,
                ..QueueReading::default()
            }),
            arrivals: interval(arrived),
            completions: interval(completed),
            replicas: self.tells_replicas.then(|| Replicas {
                ready: self.ready(),
                starting: starting.map(|ready_at| self.pod_lead - (ready_at - self.now)).collect(),
                pending: 0,
                wanted: Some(pods),
            }),
            nodes: None,
            lead_times: Some(LeadTimes { pod_seconds: Some(self.pod_lead), node_seconds: None }),
            bounds: None,
        };
        let record = self.workload.step(&observation).unwrap();
        let desired = record.desired.unwrap();
        self.pods.sort_by(f64::total_cmp);
        self.pods.truncate(desired as usize);
        self.pods.resize(desired as usize, self.now + self.pod_lead);
        self.decided.push(desired);
        self.last = Some(record);
    }
}
