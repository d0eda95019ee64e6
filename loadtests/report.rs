//! The result of `loadtest run`: a table and a histogram for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::record::{Recorder, Series};
use crate::target::Usage;
use crate::wire::Method;

/// What was run.
#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    pub(crate) address: SocketAddr,
    pub(crate) objects: u32,
    /// Calls a second; `null` at KEDA's cadence.
    pub(crate) rate: Option<f64>,
    pub(crate) polling_seconds: f64,
    pub(crate) sync_seconds: f64,
    pub(crate) connections: u16,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    setting: Setting,
    seconds: f64,
    calls: u64,
    calls_per_second: f64,
    errors: BTreeMap<String, u64>,
    /// Polls, syncs and calls that were due while too many were under way.
    not_sent: u64,
    /// Waits in milliseconds from the moment at which each was due.
    waits: Vec<Line>,
    server: Option<ServerUse>,
    #[serde(skip)]
    all: Histogram<u64>,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    count: u64,
    errors: u64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    p99_99: f64,
    max: f64,
}

/// What the server needed, where it is our own.
#[derive(Debug, Serialize)]
struct ServerUse {
    cpu_cores: f64,
    resident_megabytes: f64,
}

impl Line {
    fn new(name: &'static str, histogram: &Histogram<u64>, errors: u64) -> Self {
        let at = |quantile: f64| milliseconds(histogram.value_at_quantile(quantile));
        Self {
            name,
            count: histogram.len(),
            errors,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: milliseconds(histogram.max()),
        }
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

impl Report {
    pub(crate) fn new(
        setting: Setting,
        recorder: &Recorder,
        seconds: f64,
        usage: Option<(Usage, Usage)>,
    ) -> Self {
        let mut all = crate::record::Waits::new().histogram;
        let mut errors = BTreeMap::new();
        for method in Method::ALL {
            let waits = recorder.waits(Series::Method(method));
            // Equal bounds: adding cannot fail.
            let _ = all.add(&waits.histogram);
            for (code, count) in &waits.errors {
                *errors.entry(code.clone()).or_default() += count;
            }
        }
        let line = |series: Series| {
            let waits = recorder.waits(series);
            let failed = waits.errors.values().sum();
            (!waits.histogram.is_empty()).then(|| Line::new(series.name(), &waits.histogram, failed))
        };
        Self {
            setting,
            seconds,
            calls: all.len(),
            calls_per_second: all.len() as f64 / seconds,
            errors,
            not_sent: recorder.total_not_sent(),
            waits: Series::ALL.into_iter().filter_map(line).collect(),
            server: usage.map(|(before, after)| ServerUse {
                cpu_cores: (after.cpu_seconds - before.cpu_seconds) / seconds,
                resident_megabytes: after.resident_megabytes,
            }),
            all,
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let Setting { objects, polling_seconds, sync_seconds, connections, .. } = self.setting;
        let how = match self.setting.rate {
            Some(rate) => format!("GetMetrics at {rate} calls a second"),
            None => format!("KEDA's cadence (poll {polling_seconds} s, sync {sync_seconds} s)"),
        };
        let _ = writeln!(
            text,
            "{objects} ScaledObjects, {how}, {connections} connection(s), {:.1} s: {} calls, {:.0} a second",
            self.seconds, self.calls, self.calls_per_second
        );
        if let Some(server) = &self.server {
            let _ = writeln!(
                text,
                "server: {:.2} cores, {:.0} MB resident",
                server.cpu_cores, server.resident_megabytes
            );
        }
        let _ = writeln!(text, "\nmilliseconds from the moment at which each was due");
        let _ = writeln!(text, "{}\n", self.table());
        text.push_str(&bars(&self.all));
        for (code, count) in &self.errors {
            let _ = writeln!(text, "error: {count} times {code}");
        }
        if self.not_sent > 0 {
            let _ = writeln!(text, "not sent: {} (--max-in-flight)", self.not_sent);
        }
        text
    }

    fn table(&self) -> Table {
        let header = ["", "count", "errors", "p50", "p90", "p99", "p99.9", "p99.99", "max"];
        let mut table = aligned(&header);
        for line in &self.waits {
            let mut row = vec![line.name.to_owned(), line.count.to_string(), line.errors.to_string()];
            let figures = [line.p50, line.p90, line.p99, line.p99_9, line.p99_99, line.max];
            row.extend(figures.map(|figure| format!("{figure:.3}")));
            table.add_row(row);
        }
        table
    }
}

/// A table without lines whose columns but the first are numbers.
pub(crate) fn aligned(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A line for each doubling of the wait.
fn bars(histogram: &Histogram<u64>) -> String {
    const WIDTH: u64 = 50;
    const FIRST_NANOSECONDS: u64 = 15_625;
    let buckets: Vec<_> = histogram.iter_log(FIRST_NANOSECONDS, 2.0).collect();
    let most = buckets.iter().map(hdrhistogram::iterators::IterationValue::count_since_last_iteration).max();
    let mut text = String::new();
    for bucket in buckets.iter().skip_while(|bucket| bucket.count_since_last_iteration() == 0) {
        let count = bucket.count_since_last_iteration();
        let length = (count * WIDTH).div_ceil(most.unwrap_or(1).max(1));
        let bar = "#".repeat(usize::try_from(length).unwrap_or(0));
        let until = milliseconds(bucket.value_iterated_to() + 1);
        let _ = writeln!(text, "{until:>10.3} ms {count:>9} {bar}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_has_its_bar() {
        let mut histogram = crate::record::Waits::new().histogram;
        histogram.record_n(100_000, 40).unwrap();
        histogram.record_n(900_000, 10).unwrap();
        let text = bars(&histogram);
        let counts: u64 =
            text.lines().map(|line| line.split_whitespace().nth(2).unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(counts, 50, "{text}");
        assert!(text.lines().next().unwrap().ends_with(&"#".repeat(50)), "{text}");
    }
}
