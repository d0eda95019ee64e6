//! Line charts as inline SVG: colours come from the page's style, so that one chart serves light,
//! dark and paper; lines also differ in their dashes, for eyes and printers without colour.

use std::fmt::Write as _;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::page::escape;
use super::words::decimal;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 26.0;
/// Width of a letter of the labels, amply.
const LETTER: f64 = 6.6;
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
        let right = WIDTH - RIGHT;
        let level = self.level.as_ref().map(|(name, level)| (name, y(*level, top)));
        if let Some((_, y)) = level {
            let _ = write!(html, "<path class=\"level\" d=\"M{LEFT},{y:.1}H{right:.1}\"/>");
        }
        // the first line lies on top: it is the one that is compared with
        for (index, line) in self.lines.iter().enumerate().rev() {
            let _ = write!(html, "<path class=\"line s{index}\" d=\"{}\"/>", self.path(line, top));
        }
        // above the lines, which would strike it out
        if let Some((name, y)) = level {
            let (up, name) = (y - 4.0, escape(name));
            let _ = write!(
                html,
                "<text class=\"level\" x=\"{right:.1}\" y=\"{up:.1}\" text-anchor=\"end\">{name}</text>"
            );
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
        let of_hours = step < SignedDuration::from_hours(24);
        let of_one_day = minutes <= 24 * 60;
        let start = self.from.to_zoned(self.zone.clone());
        // over days by the wall clock, so that its midnights have their label when the clocks have changed
        let moment = |count: i32| -> Option<Zoned> {
            let ahead = step.checked_mul(count)?;
            if of_one_day {
                return start.checked_add(ahead).ok();
            }
            start.datetime().checked_add(ahead).ok()?.to_zoned(self.zone.clone()).ok()
        };
        for local in (0..).map_while(moment).take_while(|local| local.timestamp() <= self.to) {
            let x = self.x(local.timestamp());
            let is_hour = of_hours && (of_one_day || local.time() != Time::midnight());
            let text = local.strftime(if is_hour { "%H:%M" } else { "%a %d %b" }).to_string();
            // the last label may be wider than the margin
            let middle = x.min(WIDTH - text.len() as f64 * LETTER / 2.0);
            let _ = write!(
                html,
                "<path class=\"tick\" d=\"M{x:.1},{:.1}v4\"/><text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 16.0
            );
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

/// The next number of the kind 1, 2, 3, 4, 5, 6, 8 times a power of ten: its parts are short to write.
fn nice(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    let step =
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().find(|step| step * power >= value * 0.999);
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
        for (top, end) in
            [(1.0, 1.0), (3.0, 3.0), (21.0, 30.0), (37.0, 40.0), (401.0, 500.0), (99_000.0, 100_000.0)]
        {
            assert!((nice(top) - end).abs() < 1e-9, "{top} ends on {}", nice(top));
        }
        assert_eq!([0.0, 0.25, 12.5, 2500.0, 25_000.0].map(label), ["0", "0.25", "12.5", "2,500", "25 k"]);
        assert_eq!([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 30.0, 50.0].map(parts), [1, 2, 3, 4, 5, 3, 5, 3, 5]);
        assert_eq!([60.0, 100.0, 300.0, 500.0].map(parts), [4, 4, 4, 4]);
    }

    #[test]
    fn days_are_named_and_no_label_is_cut_off() {
        let from: Timestamp = "2026-11-27T00:00:00Z".parse().unwrap();
        for (days, parts) in [
            (1, vec![">00:00<", ">22:00<"]),
            (2, vec![">Fri 27 Nov<", ">06:00<", ">Sat 28 Nov<", ">Sun 29 Nov<"]),
            (14, vec![">Fri 27 Nov<", ">Fri 11 Dec<"]),
        ] {
            let to = from + SignedDuration::from_hours(24 * days);
            let (zone, lines) = (&TimeZone::UTC, Vec::new());
            let html = Chart { title: "t", from, to, zone, lines, level: None, steps: true }.html();
            for part in parts {
                assert!(html.contains(part), "{part}: {html}");
            }
            for label in html.split("<text x=\"").skip(1).filter(|text| text.contains("middle")) {
                let (x, rest) = label.split_once('"').unwrap();
                let text = rest.split(['<', '>']).nth(1).unwrap();
                let end = x.parse::<f64>().unwrap() + text.len() as f64 * LETTER / 2.0;
                assert!(end <= WIDTH + 0.1, "{text} ends at {end}");
            }
        }
    }

    #[test]
    fn a_change_of_clocks_moves_no_label_to_another_day() {
        let zone = &TimeZone::get("Europe/Prague").unwrap();
        let midnight =
            |text: &str| text.parse::<jiff::civil::Date>().unwrap().to_zoned(zone.clone()).unwrap();
        for (end, labels) in [
            ("2026-10-27", vec!["Sat 24 Oct", "Sun 25 Oct", "Mon 26 Oct", "Tue 27 Oct"]),
            ("2026-11-07", vec!["Sat 24 Oct", "Mon 26 Oct", "Wed 28 Oct", "Sat 07 Nov"]),
        ] {
            let (from, to) = (midnight("2026-10-24").timestamp(), midnight(end).timestamp());
            let html =
                Chart { title: "t", from, to, zone, lines: Vec::new(), level: None, steps: true }.html();
            let found = labels.iter().filter(|label| html.contains(**label)).count();
            assert_eq!(found, labels.len(), "{html}");
        }
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
            ["Backlog &lt;orders&gt;", "class=\"line s1\"", ">09:00<", ">3<", "target", "H479.0V", "H896.0\""]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
