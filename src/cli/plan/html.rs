//! The plan as a page: the sentences, the hours drawn, and every table.

use jiff::tz::TimeZone;

use super::figures::{HourReport, Report};
use crate::cli::centre::Assumption;
use crate::cli::report::chart::{Chart, Line};
use crate::cli::report::page::Page;

pub(super) fn page(report: &Report, zone: &TimeZone) -> String {
    let mut page = Page::new(&format!("Plan for {}", report.title));
    for sentence in &report.sentences {
        page.verdict(sentence, report.fails);
    }
    page.paragraph(&report.legend("what stands out as failing"));
    charts(&mut page, report, zone);
    let tables = [
        ("In all", report.total_rows()),
        ("Limits", report.limit_rows()),
        ("Cut-offs", report.cut_off_rows()),
        ("Hour by hour", report.hour_rows()),
    ];
    for (heading, (header, rows, fails)) in tables {
        if rows.is_empty() {
            continue;
        }
        page.subheading(heading);
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        page.table(&header, &rows, |row| fails[row]);
    }
    page.subheading("What this rests on");
    let rows: Vec<Vec<String>> = report
        .assumptions
        .iter()
        .map(|Assumption { what, value, source }| {
            vec![(*what).to_owned(), value.clone(), (*source).to_owned()]
        })
        .collect();
    page.words(&["assumed", "value", "from"], &rows);
    for note in &report.notes {
        page.paragraph(note);
    }
    page.finish()
}

fn charts(page: &mut Page, report: &Report, zone: &TimeZone) {
    let (Some(first), Some(last)) = (report.hours.first(), report.hours.last()) else { return };
    let hour = jiff::SignedDuration::from_hours(1);
    let level = |names: &[&str]| {
        let limits = report.limits.iter().filter(|limit| names.contains(&limit.name));
        limits.min_by_key(|limit| limit.value).map(|limit| (limit.name.to_owned(), f64::from(limit.value)))
    };
    let draw = |title: &str, level: Option<(String, f64)>, value: &dyn Fn(&HourReport, usize) -> f64| {
        let lines = report.quantiles.iter().enumerate().map(|(index, quantile)| {
            let mut points: Vec<_> =
                report.hours.iter().map(|hour| (hour.from, value(hour, index))).collect();
            points.extend(points.last().map(|(from, value)| (*from + hour, *value)));
            Line { name: format!("quantile {quantile}"), points }
        });
        Chart {
            title,
            from: first.from,
            to: last.from + hour,
            zone,
            lines: lines.collect(),
            level,
            steps: true,
        }
        .html()
    };
    page.html(&draw("Orders in the hour", None, &|hour, index| f64::from(hour.orders[index])));
    let pods = level(&["maxReplicaCount", "maxReplicas", "ResourceQuota (pods)", "NodePool limit (pods)"]);
    page.html(&draw("Pods needed, most in the hour", pods, &|hour, index| f64::from(hour.pods[index])));
    let nodes = level(&["NodePool limit (nodes)"]);
    page.html(&draw("Nodes needed, most in the hour", nodes, &|hour, index| f64::from(hour.nodes[index])));
    if report.hours.iter().any(|hour| hour.late.iter().any(|late| *late > 0)) {
        page.html(&draw("Late orders by the hour they come in, within the limits", None, &|hour, index| {
            f64::from(hour.late[index])
        }));
    }
}
