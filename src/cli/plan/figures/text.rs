//! The plan as text, and its rows for the page.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Report;
use super::advice::clock;
use crate::cli::centre::Assumption;
use crate::cli::forecast::new_compact_table;
use crate::cli::report::words::{decimal, grouped};

/// A table: its header, its rows, and which of them fail.
pub(in crate::cli::plan) type Rows = (Vec<String>, Vec<Vec<String>>, Vec<bool>);

impl Report {
    pub(in crate::cli::plan) fn text(&self) -> String {
        let mut text = format!("Plan for {}\n", self.title);
        for sentence in &self.sentences {
            let _ = writeln!(text, "{sentence}");
        }
        for rows in [self.total_rows(), self.limit_rows(), self.cut_off_rows(), self.hour_rows()] {
            if !rows.1.is_empty() {
                let _ = writeln!(text, "\n{}", table(&rows));
            }
        }
        let _ = writeln!(text, "{}", self.legend("! (what fails)"));
        for Assumption { what, value, source } in &self.assumptions {
            let _ = writeln!(text, "  {what}: {value} ({source})");
        }
        for note in &self.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        text.trim_end().to_owned()
    }

    /// What figures beside one another are, and at which quantile single ones and what is `marked` are.
    pub(in crate::cli::plan) fn legend(&self, marked: &str) -> String {
        let several = self.quantiles.len() > 1;
        let of = if several { "Figures with / between are quantiles" } else { "All figures are at quantile" };
        format!(
            "{of} {} of the demand; times and {marked} are at {}. Pods and nodes of an hour are what it needs without limits.",
            self.levels(),
            self.at
        )
    }

    pub(in crate::cli::plan) fn levels(&self) -> String {
        joined(self.quantiles.iter())
    }

    fn zone(&self) -> TimeZone {
        TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
    }

    pub(in crate::cli::plan) fn total_rows(&self) -> Rows {
        let mut header = strings([
            "quantile",
            "orders",
            "late",
            "late without limits",
            "peak replicas",
            "peak nodes",
            "node-hours",
        ]);
        let priced = self.totals.iter().any(|total| total.node_cost.is_some());
        header.extend(priced.then(|| "cost of nodes".to_owned()));
        let rows = self.totals.iter().map(|total| {
            let mut row = vec![
                total.quantile.to_string(),
                grouped(total.orders),
                grouped(total.late),
                grouped(total.late_without_limits),
                grouped(total.peak_replicas),
                grouped(total.peak_nodes),
                decimal(total.node_hours, 1),
            ];
            row.extend(total.node_cost.map(|cost| decimal(cost, 2)));
            row
        });
        (header, rows.collect(), vec![false; self.totals.len()])
    }

    pub(in crate::cli::plan) fn limit_rows(&self) -> Rows {
        let zone = self.zone();
        let header = strings(["limit", "is", "needed", "binds from"]);
        let rows = self.limits.iter().map(|limit| {
            let from = limit.binds_from.map_or_else(|| "-".to_owned(), |at| clock(at, self, &zone));
            vec![limit.name.to_owned(), grouped(limit.value), counts(&limit.needed), from]
        });
        // a limit below what is taken without any may still hold every order in time
        let low = self.limits.iter().map(|limit| self.fails && limit.binds_from.is_some());
        (header, rows.collect(), low.collect())
    }

    pub(in crate::cli::plan) fn cut_off_rows(&self) -> Rows {
        let zone = self.zone();
        let header = strings(["cut-off", "dispatch", "orders", "lost", "lost without limits"]);
        let rows = self.cut_offs.iter().map(|cut_off| {
            vec![
                format!("{} {}", clock(cut_off.cut_off, self, &zone), cut_off.carrier),
                clock(cut_off.dispatch, self, &zone),
                counts(&cut_off.orders),
                counts(&cut_off.lost),
                counts(&cut_off.lost_without_limits),
            ]
        });
        (header, rows.collect(), self.cut_offs.iter().map(|cut_off| cut_off.fails).collect())
    }

    pub(in crate::cli::plan) fn hour_rows(&self) -> Rows {
        let zone = self.zone();
        let header = strings(["hour", "orders", "pods", "nodes", "order nodes by", "late"]);
        let by = |at: Option<Timestamp>| {
            let text = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
            at.map_or_else(String::new, text)
        };
        let rows = self.hours.iter().map(|hour| {
            vec![
                clock(hour.from, self, &zone),
                counts(&hour.orders),
                counts(&hour.pods),
                counts(&hour.nodes),
                by(hour.order_nodes_by),
                counts(&hour.late),
            ]
        });
        (header, rows.collect(), self.hours.iter().map(|hour| hour.fails).collect())
    }
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn counts(figures: &[u32]) -> String {
    joined(figures.iter().map(|figure| grouped(*figure)))
}

fn joined(figures: impl Iterator<Item = impl ToString>) -> String {
    figures.map(|figure| figure.to_string()).collect::<Vec<_>>().join(" / ")
}

fn table((header, rows, fails): &Rows) -> String {
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = new_compact_table(&header);
    for (row, fails) in rows.iter().zip(fails) {
        let mut row = row.clone();
        if *fails {
            row[0].push_str(" !");
        }
        table.add_row(row);
    }
    table.to_string()
}
