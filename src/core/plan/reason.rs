//! One sentence for a person: why this number.

use std::fmt::Write;

use super::situation::{ServiceSource, Situation};
use crate::core::decision::{Binding, BoundKind, DecisionRecord};
use crate::core::policy::Policy;

/// Tells what decided, from the figures in the record itself.
pub fn sentence(record: &DecisionRecord, situation: &Situation, policy: &Policy) -> String {
    if let Some(error) = &record.error {
        return error.reason.clone();
    }
    let mut text = String::new();
    let desired = record.desired.unwrap_or(0);
    let replicas = if desired == 1 { "1 replica".to_owned() } else { format!("{desired} replicas") };
    // Writing to a String cannot fail.
    let _ = match &record.binding {
        Binding::Idle => write!(text, "{replicas}: nothing waits and nothing is due"),
        Binding::Wait { due_in_seconds, orders } => write!(
            text,
            "{replicas}: {orders:.0} orders are to be started within {due_in_seconds:.0} s to keep the wait of {:.0} s",
            policy.target_wait_seconds.unwrap_or(0.0)
        ),
        Binding::CutOff { name, dispatch, orders } => {
            write!(text, "{replicas}: {orders:.0} orders are to be done for {name}'s dispatch at {dispatch}")
        }
        Binding::Bound => write!(text, "{replicas}: {}", bound(record, policy)),
        Binding::Hold { planned } => {
            write!(text, "{replicas}: {planned} would do, what was wanted a moment ago is held")
        }
        Binding::Stale { source, age_seconds } if *age_seconds < 0.0 => {
            write!(text, "{replicas}: the {source} has not been read yet")
        }
        Binding::Stale { source, age_seconds } => {
            write!(
                text,
                "{replicas}: the {source} was last read {age_seconds:.0} s ago, nothing is scaled down"
            )
        }
    };
    let rate = match situation.service.source {
        ServiceSource::Given => "as given",
        ServiceSource::Prior => "assumed, nothing seen yet",
        ServiceSource::Learned => "learned",
    };
    let _ = write!(
        text,
        "; {:.0} in the queue, {:.1} orders/min arrive, a replica does {:.2}/min ({rate})",
        record.backlog,
        record.arrival_rate * 60.0,
        record.service_rate * 60.0
    );
    text + &lateness(record)
}

/// Who will be late first, how many in all, and the bound to raise.
fn lateness(record: &DecisionRecord) -> String {
    let Some(first) = &record.late_first else { return String::new() };
    let anyhow = if record.relief.is_some() { "" } else { " whatever is done now" };
    let mut text = format!("; {:.0} orders will be late{anyhow}", record.late_expected);
    let _ = match &first.cut_off {
        Some(name) => write!(text, ", first {:.0} for {name}'s dispatch at {}", first.orders, first.at),
        None => write!(text, ", the first in {:.0} s", first.in_seconds),
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
        BoundKind::Ramp => format!("rampUp binds, {from} are needed"),
        BoundKind::ThroughputLimit => {
            format!("throughputLimit binds, {from} would out-run what stands behind the workers")
        }
        BoundKind::Contention => format!("more workers no longer add throughput, {from} were planned"),
        BoundKind::Activation => "activationQueueLength decides".to_owned(),
        BoundKind::Doubt => format!("the data is doubtful and scales nothing down, {from} were planned"),
        BoundKind::Hold => format!("held, {from} would do"),
    }
}
