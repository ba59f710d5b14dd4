//! Queue and fleet: the newest numbers, and small curves of those since the console started.

use std::fmt::Write;

use crate::console::{
    history::Sample,
    markup::{Html, html},
};

/// The size of a curve in its own units.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 28.0;

/// One number of a sample.
type Of = fn(&Sample) -> u64;

/// The figures, of the newest sample.
pub(super) fn figures(samples: &[Sample]) -> Html {
    let mut html = Html::default();
    let Some(now) = samples.last() else {
        // A place for what a later visit finds.
        html.raw("<section id=\"figures\" data-live></section>\n");
        return html;
    };
    let tasks = format!("{} of {}", now.tasks, now.max_tasks);
    let rows: [(&str, String, Of); 3] = [
        ("Messages that wait", now.waiting.to_string(), |sample| sample.waiting),
        ("Tasks", tasks, |sample| sample.tasks),
        ("Dead letters", now.letters.to_string(), |sample| sample.letters),
    ];
    html.raw("<section id=\"figures\" class=\"figures\" aria-label=\"Queue and fleet\" data-live>\n");
    for (name, value, of) in rows {
        let values: Vec<(u64, u64)> = samples.iter().map(|sample| (sample.at_ms, of(sample))).collect();
        html! { html, "<div><span class=\"name\">" (name) "</span> <b>" (value) "</b>" [curve(&values)] "</div>\n" }
    }
    html.raw("</section>\n");
    html
}

/// A curve of values over time. Nothing before there are two.
fn curve(values: &[(u64, u64)]) -> Html {
    let mut html = Html::default();
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return html };
    if first.0 == last.0 {
        return html;
    }
    let most = values.iter().map(|(_, value)| *value).max().unwrap_or_default().max(1);
    #[allow(clippy::cast_precision_loss, reason = "a curve of 120 units")]
    let place = |at: u64, value: u64| {
        let x = (at - first.0) as f64 / (last.0 - first.0) as f64 * WIDTH;
        (x, HEIGHT - 1.0 - value as f64 / most as f64 * (HEIGHT - 2.0))
    };
    let mut points = String::new();
    for (at, value) in values {
        let (x, y) = place(*at, *value);
        // Writing to a string cannot fail.
        let _ = write!(points, "{x:.1},{y:.1} ");
    }
    let lowest = values.iter().map(|(_, value)| *value).min().unwrap_or_default();
    let words = format!("{lowest} to {most} in the last {} min", (last.0 - first.0) / 60_000 + 1);
    html! { html, "<svg viewBox=\"0 0 120 28\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"" (words)
    "\"><title>"
    (words) "</title><polyline points=\"" (points.trim_end()) "\"/></svg>" }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_spans_its_time_and_its_largest_value() {
        assert!(curve(&[(5, 1)]).is_empty() && curve(&[]).is_empty());
        let html = curve(&[(0, 0), (500, 4), (1_000, 2)]).into_string();
        assert!(html.contains("points=\"0.0,27.0 60.0,1.0 120.0,14.0\""), "{html}");
        assert!(html.contains("0 to 4 in the last 1 min"), "{html}");
    }
}
