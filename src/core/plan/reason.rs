//! One sentence for a person: why this number, by the clock of the centre.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::situation::ServiceSource;
use crate::core::decision::{Binding, BoundKind, DecisionRecord};
use crate::core::policy::Policy;

/// Up to here a moment is told by what is left alone.
const SOON_SECONDS: f64 = 120.0;
/// From here on a due point is told by its pace too.
const FAR_SECONDS: f64 = 600.0;

/// Tells what decided, from the figures in the record itself.
pub fn sentence(record: &DecisionRecord, policy: &Policy) -> String {
    if let Some(error) = &record.error {
        return error.reason.clone();
    }
    let mut text = String::new();
    let replicas = count(record.desired.unwrap_or(0), "replica");
    let clock = WallClock::new(record.at, policy);
    // Writing to a String cannot fail.
    let _ = match &record.binding {
        Binding::Idle => write!(text, "{replicas}: nothing waits and nothing is due"),
        Binding::Wait { due_in_seconds, orders } => write!(
            text,
            "{replicas}: {} to be started {}{} to keep the wait of {}",
            orders_are(*orders),
            clock.by(*due_in_seconds),
            pace(*orders, *due_in_seconds),
            span(policy.target_wait_seconds.unwrap_or(0.0))
        ),
        Binding::CutOff { name, dispatch, orders } => write!(
            text,
            "{replicas}: {} to be done for {name}'s dispatch at {}",
            orders_are(*orders),
            clock.moment_and_left(*dispatch)
        ),
        Binding::Bound => write!(text, "{replicas}: {}", bound(record, policy)),
        Binding::Hold { planned } => {
            write!(text, "{replicas}: {planned} would do, what was wanted a moment ago is held")
        }
        Binding::Stale { source, age_seconds: None } => {
            write!(text, "{replicas}: the {source} has not been read yet")
        }
        Binding::Stale { source, age_seconds: Some(age_seconds) } => {
            write!(
                text,
                "{replicas}: the {source} was last read {} ago, nothing is scaled down",
                span(*age_seconds)
            )
        }
    };
    let rate = match record.inputs.as_ref().map(|situation| situation.service.source) {
        Some(ServiceSource::Given) => "as given",
        Some(ServiceSource::Prior) => "assumed, nothing seen yet",
        Some(ServiceSource::Learned) | None => "learned",
    };
    let _ = write!(
        text,
        "; {:.0} in the queue, {:.1} orders/min arrive, a replica does {:.2}/min ({rate})",
        record.backlog,
        record.arrival_rate * 60.0,
        record.service_rate * 60.0
    );
    if let Some(seen) = record.inputs.as_ref().and_then(|situation| situation.service.unmet_per_second) {
        let _ = write!(text, ", but only {:.2}/min is seen: lower serviceRate or leave it out", seen * 60.0);
    }
    text + &lateness(record, &clock)
}

/// Who will be late first, how many in all, and the bound to raise.
fn lateness(record: &DecisionRecord, clock: &WallClock) -> String {
    let Some(first) = &record.late_first else { return String::new() };
    let anyhow = if record.relief.is_some() { "" } else { " whatever is done now" };
    let mut text = format!("; {} late{anyhow}", orders_will_be(record.late_expected));
    let _ = match &first.cut_off {
        Some(name) => {
            write!(
                text,
                ", first {:.0} for {name}'s dispatch at {}",
                first.orders,
                clock.moment_and_left(first.at)
            )
        }
        None => write!(text, ", the first {}", clock.soon_or_at(first.in_seconds)),
    };
    if let Some(relief) = &record.relief {
        let (key, unit) = if relief.bound == BoundKind::ThroughputLimit {
            ("throughputLimit", " orders an hour")
        } else if relief.bound == BoundKind::Ramp {
            ("rampUp", " replicas a minute")
        } else {
            ("maxReplicas", "")
        };
        let _ = write!(
            text,
            ": raise {key} to {:.0}{unit} to save {:.0} of them",
            relief.raise_to, relief.orders
        );
    }
    text
}

fn bound(record: &DecisionRecord, policy: &Policy) -> String {
    let Some(bound) = record.bounds.last() else { return String::new() };
    let from = bound.from;
    match bound.kind {
        BoundKind::Minimum => format!("minReplicas {}, {from} would do", policy.min_replicas),
        BoundKind::Maximum => {
            let need = if record.late_expected < 1.0 { "would keep the reserve" } else { "are needed" };
            format!("maxReplicas {} binds, {from} {need}", policy.max_replicas)
        }
        BoundKind::Ramp => format!(
            "rampUp {} a minute binds, {from} are needed: raise rampUp",
            policy.ramp_up_per_minute.unwrap_or(0.0)
        ),
        BoundKind::ThroughputLimit => format!(
            "throughputLimit {} an hour binds, {from} would outrun what stands behind the workers",
            policy.throughput_limit_per_hour.unwrap_or(0.0)
        ),
        BoundKind::Contention => {
            format!("more workers no longer add throughput, {from} were planned: look at what they share")
        }
        BoundKind::Activation => {
            format!("activationQueueLength {} decides, {from} were planned", policy.activation_queue_length)
        }
        BoundKind::Doubt => format!("the data is doubtful and scales nothing down, {from} were planned"),
        BoundKind::Hold => format!("held, {from} would do"),
        BoundKind::Queue => format!("{from} would do, the orders that wait are worked off first"),
        BoundKind::Redelivery => format!(
            "{from} would do, but an order whose worker is taken away now would return to the queue too late"
        ),
        BoundKind::Unlearned => format!(
            "no service rate was seen yet, on an assumed one {from} are needed: doubled until one is seen, or give serviceRate"
        ),
    }
}

/// What a far due point asks for in the meantime: a large number of orders tells little.
fn pace(orders: f64, due_in_seconds: f64) -> String {
    if due_in_seconds < FAR_SECONDS {
        return String::new();
    }
    format!(", {:.0} a minute,", orders / due_in_seconds * 60.0)
}

fn orders_are(orders: f64) -> String {
    match format!("{orders:.0}").as_str() {
        "1" => "1 order is".to_owned(),
        orders => format!("{orders} orders are"),
    }
}

fn orders_will_be(orders: f64) -> String {
    match format!("{orders:.0}").as_str() {
        "1" => "1 order will be".to_owned(),
        orders => format!("{orders} orders will be"),
    }
}

fn count(number: u32, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A length of time as people say it: `45 s`, `75 min`, `4 h 57 min`.
pub fn span(seconds: f64) -> String {
    if seconds.round() < SOON_SECONDS {
        return format!("{seconds:.0} s");
    }
    let minutes = (seconds / 60.0).round();
    if minutes <= 90.0 {
        return format!("{minutes:.0} min");
    }
    let (hours, minutes) = ((minutes / 60.0).floor(), minutes % 60.0);
    if minutes < 1.0 { format!("{hours:.0} h") } else { format!("{hours:.0} h {minutes:.0} min") }
}

/// Tells moments by the clock on the wall of the centre, seen from `now`.
#[derive(Debug)]
pub struct WallClock {
    now: Timestamp,
    zone: TimeZone,
}

impl WallClock {
    /// In the time zone of the policy.
    pub fn new(now: Timestamp, policy: &Policy) -> Self {
        Self { now, zone: TimeZone::get(&policy.time_zone).unwrap_or(TimeZone::UTC) }
    }

    /// `14:45`, with the day where it is another, and the zone where it is no place's.
    pub fn moment(&self, moment: Timestamp) -> String {
        let (today, local) = (self.now.to_zoned(self.zone.clone()), moment.to_zoned(self.zone.clone()));
        let days = (local.date() - today.date()).get_days();
        let form = match days {
            0 => "%H:%M",
            -6..=6 => "%a %H:%M",
            _ => "%Y-%m-%d %H:%M",
        };
        let utc = if self.zone == TimeZone::UTC { " UTC" } else { "" };
        format!("{}{utc}", local.strftime(form))
    }

    /// `14:45 (in 75 min)`.
    pub fn moment_and_left(&self, moment: Timestamp) -> String {
        let left = moment.duration_since(self.now).as_secs_f64();
        let distance = if left < 0.0 { format!("{} ago", span(-left)) } else { format!("in {}", span(left)) };
        format!("{} ({distance})", self.moment(moment))
    }

    /// `within 45 s`, `by 14:45 (in 75 min)`.
    pub fn by(&self, seconds: f64) -> String {
        match self.far(seconds) {
            Some(moment) => format!("by {}", self.moment_and_left(moment)),
            None if seconds < 1.0 => "at once".to_owned(),
            None => format!("within {}", span(seconds)),
        }
    }

    /// `in 45 s`, `at 14:45 (in 75 min)`.
    fn soon_or_at(&self, seconds: f64) -> String {
        match self.far(seconds) {
            Some(moment) => format!("at {}", self.moment_and_left(moment)),
            None => format!("in {}", span(seconds)),
        }
    }

    /// The moment in so many seconds, unless it is so near that only what is left counts.
    fn far(&self, seconds: f64) -> Option<Timestamp> {
        let moment = self.now.checked_add(jiff::SignedDuration::from_secs_f64(seconds.round()));
        moment.ok().filter(|_| seconds >= SOON_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_as_people_say_them() {
        for (seconds, said) in [
            (0.0, "0 s"),
            (45.4, "45 s"),
            (60.0, "60 s"),
            (119.0, "119 s"),
            (120.0, "2 min"),
            (4500.0, "75 min"),
            (5400.0, "90 min"),
            (7200.0, "2 h"),
            (17_802.0, "4 h 57 min"),
            (7_170.0, "2 h"),
        ] {
            assert_eq!(span(seconds), said, "{seconds}");
        }
    }

    #[test]
    fn moments_are_told_by_the_clock_of_the_centre() {
        let clock = |zone: &str| {
            let policy = Policy { time_zone: zone.to_owned(), ..Policy::default() };
            WallClock::new("2026-11-27T12:30:00Z".parse().unwrap(), &policy)
        };
        let prague = clock("Europe/Prague");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(prague.moment_and_left(at("2026-11-27T13:45:00Z")), "14:45 (in 75 min)");
        assert_eq!(prague.moment(at("2026-11-27T23:15:00Z")), "Sat 00:15");
        assert_eq!(prague.moment(at("2026-12-24T08:00:00Z")), "2026-12-24 09:00");
        assert_eq!(prague.moment_and_left(at("2026-11-27T12:29:00Z")), "13:29 (60 s ago)");
        assert_eq!(clock("UTC").moment(at("2026-11-27T13:45:00Z")), "13:45 UTC");
        assert_eq!(prague.by(0.0), "at once");
        assert_eq!(prague.by(75.0), "within 75 s");
        assert_eq!(prague.by(17_802.0), "by 18:26 (in 4 h 57 min)");
        assert_eq!(prague.soon_or_at(75.0), "in 75 s");
        assert_eq!(prague.soon_or_at(4_500.0), "at 14:45 (in 75 min)");
    }
}
