//! The Pareto chart: cost across, late orders up, a panel a regime, every policy over all its cells.

use std::fmt::Write as _;

use peakscaler::replay::score::Score;

use super::goals::percent;
use super::run::CellResult;

const PANEL_WIDTH: f64 = 420.0;
const PANEL_HEIGHT: f64 = 260.0;
const MARGIN: f64 = 56.0;
/// Replica-hours over work beyond which a point sits at the edge.
const MOST_COST: f64 = 1.6;
/// Late shares below this sit on the floor.
const FLOOR: f64 = 1e-6;
/// Colours told apart by colour-blind readers too: ours, its ablations, peers.
const COLOURS: [&str; 3] = ["#0072b2", "#56b4e9", "#d55e00"];

/// The chart.
pub(crate) fn svg(cells: &[CellResult]) -> String {
    let mut regimes: Vec<&str> = cells.iter().map(|cell| cell.regime).collect();
    regimes.dedup();
    let rows = regimes.len().div_ceil(2) as f64;
    let width = 2.0 * (PANEL_WIDTH + MARGIN) + MARGIN;
    let names = cells.first().map_or(0, |cell| cell.scores.len() + 1);
    let legend = names.div_ceil(3) as f64 * 17.0 + 30.0;
    let height = rows * (PANEL_HEIGHT + MARGIN) + MARGIN + legend;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let mut legend_names: Vec<(String, usize)> = Vec::new();
    for (index, regime) in (0_u32..).zip(&regimes) {
        let left = MARGIN + f64::from(index % 2) * (PANEL_WIDTH + MARGIN);
        let top = MARGIN / 1.5 + f64::from(index / 2) * (PANEL_HEIGHT + MARGIN);
        panel(&mut out, cells, regime, (left, top), &mut legend_names);
    }
    let top = rows * (PANEL_HEIGHT + MARGIN) + MARGIN / 1.5 + 16.0;
    for (index, (name, kind)) in (0_u32..).zip(&legend_names) {
        let (x, y) = (MARGIN + f64::from(index % 3) * 320.0, top + f64::from(index / 3) * 17.0);
        let _ = writeln!(
            out,
            "<text x=\"{x:.0}\" y=\"{y:.0}\" fill=\"{}\">{} {name}</text>",
            COLOURS[*kind],
            index + 1
        );
    }
    out.push_str("</svg>\n");
    out
}

fn panel(
    out: &mut String,
    cells: &[CellResult],
    regime: &str,
    (left, top): (f64, f64),
    legend: &mut Vec<(String, usize)>,
) {
    let in_regime: Vec<&CellResult> = cells.iter().filter(|cell| cell.regime == regime).collect();
    let (right, bottom) = (left + PANEL_WIDTH, top + PANEL_HEIGHT);
    let across = |cost: f64| left + (cost.clamp(1.0, MOST_COST) - 1.0) / (MOST_COST - 1.0) * PANEL_WIDTH;
    let up = |late: f64| bottom - (late.max(FLOOR) / FLOOR).log10() / 6.0 * PANEL_HEIGHT;
    let title =
        if regime == "cut-offs" { "carriers' cut-offs".to_owned() } else { format!("wait {regime} s") };
    let _ = writeln!(
        out,
        "<rect x=\"{left:.0}\" y=\"{top:.0}\" width=\"{PANEL_WIDTH:.0}\" height=\"{PANEL_HEIGHT:.0}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{left:.0}\" y=\"{:.0}\" font-weight=\"bold\">{title}: late % up, replica-hours over work across ({} cells)</text>",
        top - 8.0,
        in_regime.len()
    );
    axes(out, (left, right, bottom), across, up);
    let policies = policies(&in_regime);
    for (name, kind) in &policies {
        if !legend.iter().any(|(known, _)| known == name) {
            legend.push((name.clone(), *kind));
        }
    }
    // ours last, on top of the others
    for (name, kind) in policies.into_iter().rev() {
        let scores: Vec<Score> = in_regime
            .iter()
            .flat_map(|cell| &cell.scores)
            .filter(|score| score.policy == name)
            .cloned()
            .collect();
        let Some(pool) = Score::pooled(&scores) else { continue };
        let number = legend.iter().position(|(known, _)| *known == name).unwrap_or(0);
        let (x, y) = (across(pool.hours_over_work()), up(pool.late_share()));
        let radius = if number == 0 { 6 } else { 4 };
        let _ = writeln!(
            out,
            "<g fill=\"{}\"><title>{name}: {} % late at {:.3}</title><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
            COLOURS[kind],
            percent(pool.late_share()),
            pool.hours_over_work(),
            x + 7.0,
            y + 4.0,
            number + 1
        );
    }
}

/// Labels of both axes, and the lines across.
fn axes(
    out: &mut String,
    (left, right, bottom): (f64, f64, f64),
    across: impl Fn(f64) -> f64,
    up: impl Fn(f64) -> f64,
) {
    for power in 0..=6 {
        let share = FLOOR * 10_f64.powi(power);
        let y = up(share);
        let label = if power == 0 { "0".to_owned() } else { percent(share) };
        let _ = writeln!(
            out,
            "<path d=\"M{left:.0} {y:.1}H{right:.0}\" stroke=\"#ddd\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            left - 4.0,
            y + 4.0
        );
    }
    for tenth in 0..=6 {
        let cost = 1.0 + f64::from(tenth) / 10.0;
        let edge = if tenth == 6 { "+" } else { "" };
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{cost:.1}{edge}</text>",
            across(cost),
            bottom + 15.0
        );
    }
}

/// Names of all policies of some cells, ours first, and each one's colour.
fn policies(cells: &[&CellResult]) -> Vec<(String, usize)> {
    let Some(cell) = cells.first() else { return Vec::new() };
    let kind = |index: usize| {
        if index == 0 {
            0
        } else if index < cell.ours {
            1
        } else {
            2
        }
    };
    cell.scores.iter().enumerate().map(|(index, score)| (score.policy.clone(), kind(index))).collect()
}
