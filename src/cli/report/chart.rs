//! Line charts as inline SVG: colours come from the page's style, so that one chart serves light,
//! dark and paper; lines also differ in their dashes, for eyes and printers without colour.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::page::escape;
use super::words::decimal;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 26.0;
/// Labels on the time axis, at most.
const MOST_LABELS: i64 = 13;
/// Steps between labels, in minutes.
const LABEL_STEPS: [i64; 10] = [15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080];

/// One chart.
pub(in crate::cli) struct Chart<'a> {
    /// What is drawn, with its unit.
    pub(in crate::cli) title: &'a str,
    /// Start of the time axis.
    pub(in crate::cli) from: Timestamp,
    /// End of it.
    pub(in crate::cli) to: Timestamp,
    /// Zone of its labels.
    pub(in crate::cli) zone: &'a TimeZone,
    /// The lines, in the order of the legend.
    pub(in crate::cli) lines: Vec<Line>,
    /// A level to compare with, and its name.
    pub(in crate::cli) level: Option<(String, f64)>,
    /// Drawn as steps: the value holds until the next point, and the last one to the end of the axis.
    pub(in crate::cli) steps: bool,
}

/// One line.
pub(in crate::cli) struct Line {
    /// For the legend.
    pub(in crate::cli) name: String,
    /// Moments and values, ascending.
    pub(in crate::cli) points: Vec<(Timestamp, f64)>,
}

impl Chart<'_> {
    /// The figure: heading, legend and drawing.
    pub(in crate::cli) fn html(&self) -> String {
        let top = self.top();
        let title = escape(self.title);
        let mut html = format!("<figure><figcaption>{title}{}</figcaption>\n", self.legend());
        let _ = write!(html, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">");
        self.axes(&mut html, top);
        if let Some((name, level)) = &self.level {
            let y = y(*level, top);
            let _ = write!(
                html,
                "<path class=\"level\" d=\"M{LEFT},{y:.1}H{:.1}\"/><text class=\"level\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                WIDTH - RIGHT,
                y - 4.0,
                escape(name)
            );
        }
        // the first line lies on top: it is the one that is compared with
        for (index, line) in self.lines.iter().enumerate().rev() {
            let _ = write!(html, "<path class=\"line s{index}\" d=\"{}\"/>", self.path(line, top));
        }
        html.push_str("</svg></figure>\n");
        html
    }

    fn legend(&self) -> String {
        let keys = self.lines.iter().enumerate().map(|(index, line)| {
            format!(
                "<span class=\"key\"><svg viewBox=\"0 0 26 8\"><path class=\"line s{index}\" d=\"M0,4H26\"/></svg>{}</span>",
                escape(&line.name)
            )
        });
        keys.collect()
    }

    /// The highest label of the value axis.
    fn top(&self) -> f64 {
        let values = self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
        let level = self.level.as_ref().map(|(_, level)| *level);
        let drawn = values.fold(0.0, f64::max);
        // a level far above everything would press the lines flat
        nice(level.filter(|level| *level <= 3.0 * drawn).map_or(drawn, |level| drawn.max(level)).max(1.0))
    }

    fn axes(&self, html: &mut String, top: f64) {
        let parts = parts(top);
        for part in 0..=parts {
            let value = top * f64::from(part) / f64::from(parts);
            let y = y(value, top);
            let _ = write!(
                html,
                "<path class=\"grid\" d=\"M{LEFT},{y:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                label(value)
            );
        }
        let minutes = self.to.duration_since(self.from).as_mins().max(1);
        let wished = LABEL_STEPS.into_iter().find(|step| minutes / step <= MOST_LABELS);
        let step = SignedDuration::from_mins(wished.unwrap_or(minutes / MOST_LABELS));
        let format = if step < SignedDuration::from_hours(24) { "%H:%M" } else { "%a %d %b" };
        let mut at = self.from;
        while at <= self.to {
            let x = self.x(at);
            let text = at.to_zoned(self.zone.clone()).strftime(format);
            let _ = write!(
                html,
                "<path class=\"tick\" d=\"M{x:.1},{:.1}v4\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 16.0
            );
            at = at.saturating_add(step).unwrap_or(Timestamp::MAX);
        }
    }

    fn path(&self, line: &Line, top: f64) -> String {
        let mut path = String::new();
        for (at, value) in line.points.iter().filter(|(at, _)| (self.from..=self.to).contains(at)) {
            let (x, y) = (self.x(*at), y(*value, top));
            let _ = match (path.is_empty(), self.steps) {
                (true, _) => write!(path, "M{x:.1},{y:.1}"),
                (false, true) => write!(path, "H{x:.1}V{y:.1}"),
                (false, false) => write!(path, "L{x:.1},{y:.1}"),
            };
        }
        if self.steps && !path.is_empty() {
            let _ = write!(path, "H{:.1}", self.x(self.to));
        }
        path
    }

    fn x(&self, at: Timestamp) -> f64 {
        let whole = self.to.duration_since(self.from).as_secs_f64().max(1.0);
        LEFT + at.duration_since(self.from).as_secs_f64() / whole * (WIDTH - LEFT - RIGHT)
    }
}

fn y(value: f64, top: f64) -> f64 {
    HEIGHT - BOTTOM - value.min(top) / top * (HEIGHT - TOP - BOTTOM)
}

/// The next number of the kind 1, 2, 4, 6, 8 times a power of ten: its parts are short to write.
fn nice(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().find(|step| step * power >= value * 0.999);
    step.unwrap_or(10.0) * power
}

/// Into how many parts an axis is divided, so that each is whole: most of what is drawn is counted.
fn parts(top: f64) -> u32 {
    let is_whole = |parts: &u32| (top / f64::from(*parts)).fract() == 0.0;
    [4, 3, 5, 2, 1].into_iter().find(is_whole).unwrap_or(4)
}

fn label(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    match rounded {
        many if many >= 10_000.0 => format!("{} k", many / 1000.0),
        some if some >= 1000.0 => decimal(some, 0),
        few => few.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_on_numbers_that_read_well() {
        for (top, end) in [(1.0, 1.0), (3.0, 4.0), (37.0, 40.0), (401.0, 600.0), (99_000.0, 100_000.0)] {
            assert!((nice(top) - end).abs() < 1e-9, "{top} ends on {}", nice(top));
        }
        assert_eq!([0.0, 0.25, 12.5, 2500.0, 25_000.0].map(label), ["0", "0.25", "12.5", "2,500", "25 k"]);
        assert_eq!([1.0, 2.0, 4.0, 6.0, 10.0, 60.0, 100.0].map(parts), [1, 2, 4, 3, 5, 4, 4]);
    }

    #[test]
    fn a_chart_has_its_lines_and_labels() {
        let from: Timestamp = "2026-11-27T08:00:00Z".parse().unwrap();
        let at = |minutes| from + SignedDuration::from_mins(minutes);
        let line = |name: &str| Line { name: name.to_owned(), points: vec![(at(0), 1.0), (at(60), 3.0)] };
        let chart = Chart {
            title: "Backlog <orders>",
            from,
            to: at(120),
            zone: &TimeZone::UTC,
            lines: vec![line("now"), line("peakscaler")],
            level: Some(("target".to_owned(), 2.0)),
            steps: true,
        };
        let html = chart.html();
        for part in
            ["Backlog &lt;orders&gt;", "class=\"line s1\"", ">09:00<", ">4<", "target", "H479.0V", "H896.0\""]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
