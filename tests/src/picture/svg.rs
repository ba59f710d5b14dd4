//! Widgets as SVG.

use std::fmt::Write;

use super::{
    chart,
    data::{Content, Place, Span, Widget},
    shape::{Frame, write_text},
};

/// Pixels of a column, and of a unit of height.
const COLUMN: f64 = 62.0;
const UNIT: f64 = 33.0;
const GAP: f64 = 6.0;

/// The whole image.
pub(super) fn draw(widgets: &[Widget], span: &Span) -> String {
    let bottom = widgets.iter().map(|widget| widget.place.y + widget.place.height).fold(0.0, f64::max);
    let (width, height) = (24.0 * COLUMN + GAP, bottom * UNIT + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#f2f3f3\"/>\n"
    );
    for widget in widgets {
        let frame = frame(widget.place);
        match &widget.content {
            Content::Text(markdown) => text(&mut out, frame, markdown),
            Content::Alarms(alarms) => states(&mut out, frame, alarms),
            Content::Graph { title, unit, stacked, lines } => {
                card(&mut out, frame, title);
                chart::draw(&mut out, frame, unit, *stacked, lines, span);
            }
        }
    }
    out + "</svg>\n"
}

fn frame(place: Place) -> Frame {
    Frame {
        x: place.x * COLUMN + GAP,
        y: place.y * UNIT + GAP,
        width: place.width * COLUMN - GAP,
        height: place.height * UNIT - GAP,
    }
}

fn card(out: &mut String, frame: Frame, title: &str) {
    let Frame { x, y, width, height } = frame;
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"3\" fill=\"#fff\" stroke=\"#d5dbdb\"/>"
    );
    write_text(out, x + 10.0, y + 18.0, "font-size=\"13\" font-weight=\"bold\" fill=\"#16191f\"", title);
}

fn text(out: &mut String, frame: Frame, markdown: &str) {
    let mut y = frame.y + 20.0;
    for line in markdown.lines() {
        let title = line.trim_start_matches('#').trim();
        let style = match line.len() - line.trim_start_matches('#').len() {
            0 => "font-size=\"12\" fill=\"#545b64\"",
            1 => "font-size=\"21\" font-weight=\"bold\" fill=\"#16191f\"",
            _ => "font-size=\"16\" font-weight=\"bold\" fill=\"#16191f\"",
        };
        write_text(out, frame.x + 4.0, y, style, title);
        y += 22.0;
    }
}

/// A chip for each alarm, in rows.
fn states(out: &mut String, frame: Frame, alarms: &[(String, String)]) {
    const IN_A_ROW: usize = 7;
    card(out, frame, "Alarms");
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let width = (frame.width - 20.0) / IN_A_ROW as f64;
    for (index, (name, state)) in alarms.iter().enumerate() {
        let (fill, ink) = match state.as_str() {
            "OK" => ("#e6f2e6", "#1d8102"),
            "ALARM" => ("#fbe6e3", "#d13212"),
            _ => ("#eef0f0", "#687078"),
        };
        #[allow(clippy::cast_precision_loss, reason = "a handful")]
        let (column, row) = ((index % IN_A_ROW) as f64, (index / IN_A_ROW) as f64);
        let (x, y) = (frame.x + 10.0 + column * width, frame.y + 27.0 + row * 31.0);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"26\" rx=\"3\" fill=\"{fill}\"/>\
             <circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{ink}\"/>",
            width - 8.0,
            x + 12.0,
            y + 13.0,
        );
        write_text(out, x + 22.0, y + 17.0, &format!("font-size=\"12\" fill=\"{ink}\""), name);
    }
}
