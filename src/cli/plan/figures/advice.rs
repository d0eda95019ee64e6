//! The sentences that people act on: "raise maxReplicas to 84 or the 17:30 cut-off loses 412 orders".

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{HourReport, Report};
use crate::cli::plan::raises::Raise;
use crate::cli::report::words::{counted, grouped, percent};

pub(super) fn sentences(report: &Report, raises: &[Raise], zone: &TimeZone) -> Vec<String> {
    let deciding = report.deciding;
    let total = report.totals[deciding];
    if !report.fails {
        let tight = tight(report, raises);
        let fine = format!(
            "At quantile {} nothing fails: {} of {} late, {} and {} at the peak.",
            report.at,
            grouped(total.late),
            counted(total.orders as usize, "order"),
            counted(total.peak_replicas as usize, "replica"),
            counted(total.peak_nodes as usize, "node"),
        );
        return std::iter::once(fine).chain(tight).collect();
    }
    let losses = losses(report, zone);
    let by_limits = total.late > total.late_without_limits;
    let mut sentences = Vec::new();
    if by_limits && !raises.is_empty() {
        let raises = in_words(raises);
        sentences.extend(losses.iter().take(1).map(|loss| format!("Raise {raises} or {loss}.")));
        sentences.extend(losses.iter().skip(1).map(|loss| format!("Without that {loss} too.")));
    } else {
        sentences.extend(losses.iter().map(|loss| {
            let mut letters = loss.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
            format!("{first}{}.", letters.as_str())
        }));
    }
    if total.late_without_limits > 0 {
        let cause = if report.by_kills {
            "workers are killed in the middle of them (see the note on terminationGracePeriodSeconds), or they come faster than pods and nodes can"
        } else {
            "they come faster than pods and nodes can; more replicas before that (minReplicaCount, a ramp in the calendar) or a longer wait would keep them"
        };
        sentences.push(format!(
            "{} of {} late orders are late whatever the limits are: {cause}.",
            grouped(total.late_without_limits.min(total.late)),
            grouped(total.late)
        ));
    } else if !by_limits || raises.is_empty() {
        sentences.push("No limit is too low for that: the HPA's behaviour is too slow; `peakscaler check` says what to write.".to_owned());
    }
    sentences
}

/// What is lost, each as the end of a sentence; the cut-offs first, then hours in which orders wait.
fn losses(report: &Report, zone: &TimeZone) -> Vec<String> {
    let deciding = report.deciding;
    let failing = report.cut_offs.iter().filter(|cut_off| cut_off.fails);
    let mut losses: Vec<String> = failing
        .map(|cut_off| {
            let (lost, orders) = (cut_off.lost[deciding], cut_off.orders[deciding]);
            format!(
                "{}'s {} cut-off loses {} of {}",
                cut_off.carrier,
                clock(cut_off.cut_off, report, zone),
                grouped(lost),
                counted(orders as usize, "order")
            )
        })
        .collect();
    if losses.is_empty() {
        let hours: Vec<&HourReport> = report.hours.iter().filter(|hour| hour.fails).collect();
        if let (Some(first), Some(last)) = (hours.first(), hours.last()) {
            let late: u32 = hours.iter().map(|hour| hour.late[deciding]).sum();
            let to = last.from + jiff::SignedDuration::from_hours(1);
            let when = if hours.len() == report.hours.len() {
                "all day".to_owned()
            } else {
                format!("between {} and {}", clock(first.from, report, zone), end_clock(to, report, zone))
            };
            let orders =
                if late == 1 { "1 order waits".to_owned() } else { format!("{} orders wait", grouped(late)) };
            losses.push(format!("{orders} too long {when}"));
        }
    }
    losses
}

/// The limits to raise and to what.
fn in_words(raises: &[Raise]) -> String {
    let words = raises
        .iter()
        .map(|raise| format!("{} to {} (it is {})", raise.limit, grouped(raise.to), grouped(raise.from)));
    words.collect::<Vec<_>>().join(" and ")
}

/// Limits that hold now and would not at a higher quantile, and orders that are late there.
fn tight(report: &Report, raises: &[Raise]) -> Option<String> {
    let last = report.totals.len() - 1;
    let total = report.totals[last];
    if last == report.deciding || total.late == 0 {
        return None;
    }
    let share = percent(f64::from(total.late) / f64::from(total.orders.max(1)));
    let remedy = if raises.is_empty() {
        String::new()
    } else {
        format!("; raising {} would keep those that limits cost", in_words(raises))
    };
    Some(format!(
        "At quantile {} {} would be late ({share}){remedy}.",
        total.quantile,
        counted(total.late as usize, "order")
    ))
}

/// The time of day, with the day where several are planned, and the zone's name where the clocks tell it twice.
pub(super) fn clock(at: Timestamp, report: &Report, zone: &TimeZone) -> String {
    let format = if report.days > 1 { "%a %H:%M" } else { "%H:%M" };
    let local = at.to_zoned(zone.clone());
    let twice = zone.to_ambiguous_timestamp(local.datetime()).is_ambiguous();
    local.strftime(&format!("{format}{}", if twice { " %Z" } else { "" })).to_string()
}

/// The same of an end: a day ends at 24:00.
fn end_clock(at: Timestamp, report: &Report, zone: &TimeZone) -> String {
    let text = clock(at, report, zone);
    if report.days == 1 && text == "00:00" { "24:00".to_owned() } else { text }
}
