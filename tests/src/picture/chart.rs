//! One graph: axes, lines or stacked areas, legend.

use std::fmt::Write;

use super::{
    data::{Line, Span},
    shape::{Frame, write_text},
};

/// CloudWatch's own colours.
const COLOURS: [&str; 8] =
    ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"];

/// Most names in one row of a legend; more names take two rows.
const ONE_ROW: usize = 4;

const AXIS: &str = "fill=\"#687078\" font-size=\"10\"";

/// The plot area of a frame, and its scales.
struct Plot {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    seconds: f64,
    highest: f64,
}

impl Plot {
    fn x(&self, seconds: f64) -> f64 {
        self.left + (seconds / self.seconds).clamp(0.0, 1.0) * self.width
    }

    fn y(&self, value: f64) -> f64 {
        self.top + self.height - value / self.highest * self.height
    }
}

/// Draws a graph into a frame that already has its title.
pub(super) fn draw(out: &mut String, frame: Frame, unit: &str, stacked: bool, lines: &[Line], span: &Span) {
    let piled = if stacked { pile(lines) } else { lines.iter().map(|line| line.points.clone()).collect() };
    let highest = piled.iter().flatten().map(|point| point.1).fold(0.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "seconds of a run")]
    let plot = Plot {
        left: frame.x + 48.0,
        top: frame.y + 34.0,
        width: frame.width - 62.0,
        height: frame.height - 34.0 - 44.0,
        seconds: span.seconds() as f64,
        highest: round_up(highest),
    };
    axes(out, &plot, frame, unit);
    for (index, points) in piled.iter().enumerate().rev() {
        line(out, &plot, points, COLOURS[index % COLOURS.len()], stacked);
    }
    legend(out, frame, lines);
}

/// Stacked: each line on top of the lines before, at the union of their times.
fn pile(lines: &[Line]) -> Vec<Vec<(f64, f64)>> {
    let mut times: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)).collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let mut below = vec![0.0; times.len()];
    let mut piled = Vec::new();
    for line in lines {
        for (at, sum) in times.iter().zip(&mut below) {
            let own = line.points.iter().find(|point| (point.0 - at).abs() < 0.5);
            *sum += own.map_or(0.0, |point| point.1);
        }
        piled.push(times.iter().copied().zip(below.iter().copied()).collect());
    }
    piled
}

/// The next larger round number: 1, 2 or 5 times a power of ten.
fn round_up(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf(highest.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * magnitude).find(|step| *step >= highest * 1.02).unwrap_or(magnitude * 12.0)
}

fn axes(out: &mut String, plot: &Plot, frame: Frame, unit: &str) {
    for part in [0.0, 0.5, 1.0] {
        let y = plot.y(plot.highest * part);
        let _ = writeln!(
            out,
            "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e9ebed\"/>",
            plot.left,
            plot.left + plot.width
        );
        write_text(
            out,
            plot.left - 6.0,
            y + 3.5,
            &format!("{AXIS} text-anchor=\"end\""),
            &short(plot.highest * part),
        );
    }
    let style = format!("{AXIS} text-anchor=\"end\"");
    write_text(out, frame.x + frame.width - 10.0, frame.y + 18.0, &style, unit);
    for part in [0.0, 0.5, 1.0] {
        let seconds = plot.seconds * part;
        let anchor = ["start", "middle", "end"][usize::from(part > 0.2) + usize::from(part > 0.7)];
        let style = format!("{AXIS} text-anchor=\"{anchor}\"");
        let label = format!("{:.0}:{:02.0}", (seconds / 60.0).floor(), (seconds % 60.0).floor());
        write_text(out, plot.x(seconds), plot.top + plot.height + 13.0, &style, &label);
    }
}

fn line(out: &mut String, plot: &Plot, points: &[(f64, f64)], colour: &str, filled: bool) {
    let mut path = String::new();
    for (seconds, value) in points {
        let _ = write!(path, "{:.1},{:.1} ", plot.x(*seconds), plot.y(*value));
    }
    if let (true, Some(first), Some(last)) = (filled, points.first(), points.last()) {
        let ground = plot.y(0.0);
        let (from, to) = (plot.x(first.0), plot.x(last.0));
        let _ = writeln!(
            out,
            "<polygon points=\"{from:.1},{ground:.1} {path}{to:.1},{ground:.1}\" fill=\"{colour}\" fill-opacity=\"0.35\"/>"
        );
    }
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>",
        path.trim_end()
    );
    // Dots for lines with few points: a single value draws no line.
    for (seconds, value) in points.iter().filter(|_| points.len() <= 12) {
        let _ = writeln!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.4\" fill=\"{colour}\"/>",
            plot.x(*seconds),
            plot.y(*value)
        );
    }
}

fn legend(out: &mut String, frame: Frame, lines: &[Line]) {
    if lines.iter().all(|line| line.points.is_empty()) {
        write_text(
            out,
            frame.x + frame.width / 2.0,
            frame.y + frame.height / 2.0,
            &format!("{AXIS} text-anchor=\"middle\""),
            "none in this time",
        );
    }
    let y = frame.y + frame.height - 11.0;
    let coloured: Vec<_> = lines.iter().zip(COLOURS.into_iter().cycle()).collect();
    if lines.len() <= ONE_ROW {
        return legend_row(out, frame, y, &coloured);
    }
    let (above, below) = coloured.split_at(lines.len().div_ceil(2));
    legend_row(out, frame, y - 6.0, above);
    legend_row(out, frame, y + 5.0, below);
}

fn legend_row(out: &mut String, frame: Frame, y: f64, lines: &[(&Line, &str)]) {
    let letters: usize = lines.iter().map(|(line, _)| line.label.chars().count()).sum();
    // The approximate width of sans-serif letters, reduced where the text would not fit.
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let room = (frame.width - 20.0 - 26.0 * lines.len() as f64) / (letters.max(1) as f64);
    let letter = room.min(6.4);
    let mut x = frame.x + 12.0;
    for (line, colour) in lines {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\" rx=\"1\" fill=\"{colour}\"/>",
            y - 8.0
        );
        let style = format!("font-size=\"{:.1}\" fill=\"#16191f\"", (letter * 1.64).clamp(6.5, 10.5));
        write_text(out, x + 13.0, y, &style, &line.label);
        #[allow(clippy::cast_precision_loss, reason = "a handful")]
        let width = line.label.chars().count() as f64 * letter;
        x += width + 26.0;
    }
}

/// A number, formatted for an axis.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 1e6 => format!("{:.1}M", value / 1e6),
        value if value >= 1e3 => format!("{:.1}k", value / 1e3),
        value if value >= 10.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value if value >= 0.01 => format!("{value:.2}"),
        value => format!("{:.2}m", value * 1e3),
    }
}
