//! The forecast as an SVG chart: the last days known, the median, and bands of quantiles.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::cli::calendar::Hour;
use crate::core::demand::forecast::SlotForecast;
use crate::core::observation::Interval;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 50.0;
/// Seconds of history that are shown before the forecast.
const SHOWN_SECONDS: i64 = 2 * 86_400;
/// Times are written at multiples of this many seconds.
const QUARTER_DAY: i64 = 21_600;

/// Maps seconds and orders an hour to the picture.
struct Scale {
    from: i64,
    to: i64,
    top: f64,
}

impl Scale {
    fn x(&self, seconds: f64) -> f64 {
        MARGIN + (seconds - self.from as f64) / (self.to - self.from).max(1) as f64 * (WIDTH - 2.0 * MARGIN)
    }

    fn y(&self, orders: f64) -> f64 {
        HEIGHT - MARGIN - orders / self.top * (HEIGHT - 2.0 * MARGIN)
    }
}

/// Draws history and forecast, both in orders an hour; quantiles at 0.1, 0.5, 0.9 and 0.99.
pub(in crate::cli) fn svg(intervals: &[Interval], slots: &[SlotForecast], zone: &TimeZone) -> String {
    let start = slots.first().map_or(0, |slot| slot.from.as_second());
    let end = slots.last().map_or(start, |slot| slot.to.as_second());
    let known: Vec<(f64, f64)> = intervals
        .iter()
        .filter(|interval| interval.from.as_second() >= start - SHOWN_SECONDS)
        .map(|interval| {
            (middle(interval.from, interval.to), hourly(interval.count, interval.from, interval.to))
        })
        .collect();
    let line = |index: usize| -> Vec<(f64, f64)> {
        slots
            .iter()
            .map(|slot| (middle(slot.from, slot.to), hourly(slot.quantiles[index], slot.from, slot.to)))
            .collect()
    };
    let [low, median, high, highest] = [0, 1, 2, 3].map(line);
    let largest = known.iter().chain(&highest).map(|point| point.1).fold(1.0, f64::max);
    let scale = Scale { from: start - SHOWN_SECONDS, to: end, top: nice(largest) };
    let mut svg = start_of_picture(&scale, zone);
    band(&mut svg, &scale, &high, &highest, "#dbe9f6");
    band(&mut svg, &scale, &low, &high, "#9ecae1");
    path(&mut svg, &scale, &known, "#444");
    path(&mut svg, &scale, &median, "#08519c");
    let legend = "orders an hour: known (grey), median (blue), 0.1 to 0.9 (band), up to 0.99 (light band)";
    let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"24\">{legend}</text>\n</svg>");
    svg
}

/// Draws ordinary orders against those with a calendar, both an hour; days between are left out.
pub(in crate::cli) fn calendar_svg(hours: &[Hour], zone: &TimeZone) -> String {
    let largest = hours.iter().map(|hour| hour.with_calendar.max(hour.ordinary)).fold(1.0, f64::max);
    let start = hours.first().map_or(0, |hour| hour.from.as_second());
    let end = hours.last().map_or(start, |hour| hour.to.as_second());
    let scale = Scale { from: start, to: end, top: nice(largest) };
    let mut svg = start_of_picture(&scale, zone);
    for stretch in hours.chunk_by(|one, next| one.to == next.from) {
        let line = |orders: fn(&Hour) -> f64| -> Vec<(f64, f64)> {
            stretch
                .iter()
                .map(|hour| (middle(hour.from, hour.to), hourly(orders(hour), hour.from, hour.to)))
                .collect()
        };
        path(&mut svg, &scale, &line(|hour| hour.ordinary), "#444");
        path(&mut svg, &scale, &line(|hour| hour.with_calendar), "#08519c");
    }
    let legend = "orders an hour: ordinary (grey), with the calendar (blue)";
    let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"24\">{legend}</text>\n</svg>");
    svg
}

fn start_of_picture(scale: &Scale, zone: &TimeZone) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    axes(&mut svg, scale, zone);
    svg
}

fn axes(svg: &mut String, scale: &Scale, zone: &TimeZone) {
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (orders, y) = (scale.top * share, scale.y(scale.top * share));
        let right = WIDTH - MARGIN;
        let _ = writeln!(svg, "<path d=\"M{MARGIN},{y:.1}H{right}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{orders}</text>",
            MARGIN - 6.0,
            y + 4.0
        );
    }
    let step = ((scale.to - scale.from) / 12 / QUARTER_DAY + 1) * QUARTER_DAY;
    // Over weeks the weekday no longer tells which day it is.
    let format = if scale.to - scale.from > 8 * 86_400 { "%m-%d %H:%M" } else { "%a %H:%M" };
    let mut seconds = scale.from;
    while seconds <= scale.to {
        if let Ok(moment) = jiff::Timestamp::from_second(seconds) {
            let label = moment.to_zoned(zone.clone()).strftime(format).to_string();
            let x = scale.x(seconds as f64);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{label}</text>",
                HEIGHT - 30.0
            );
        }
        seconds += step;
    }
}

fn path(svg: &mut String, scale: &Scale, points: &[(f64, f64)], colour: &str) {
    let _ = writeln!(
        svg,
        "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>",
        line(scale, points, "M")
    );
}

fn band(svg: &mut String, scale: &Scale, low: &[(f64, f64)], high: &[(f64, f64)], colour: &str) {
    let back: Vec<(f64, f64)> = high.iter().rev().copied().collect();
    let _ = writeln!(
        svg,
        "<path d=\"{}{}Z\" fill=\"{colour}\"/>",
        line(scale, low, "M"),
        line(scale, &back, "L")
    );
}

fn line(scale: &Scale, points: &[(f64, f64)], first: &str) -> String {
    let mut text = String::new();
    for (index, (seconds, orders)) in points.iter().enumerate() {
        let command = if index == 0 { first } else { "L" };
        let _ = write!(text, "{command}{:.1},{:.1}", scale.x(*seconds), scale.y(*orders));
    }
    text
}

fn middle(from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    0.5 * (from.as_second() + to.as_second()) as f64
}

fn hourly(count: f64, from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    count * 3600.0 / (to.as_second() - from.as_second()).max(1) as f64
}

/// The next 1, 2 or 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}
