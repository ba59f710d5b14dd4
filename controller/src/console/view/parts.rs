//! Small parts of several pages.

use crate::console::markup::{Html, html};

/// The class of a state: what it means to a person, by colour. The word stands beside it.
pub(super) fn tone(state: &str) -> &'static str {
    match state {
        "succeeded" | "published" => "good",
        "dead" => "bad",
        "launching" | "running" | "settling" => "busy",
        "superseded" | "cancelled" => "faint",
        _ => "plain",
    }
}

/// A state as a word with a mark.
pub(super) fn state(name: &str) -> Html {
    let mut html = Html::default();
    html! { html, "<span class=\"state " (tone(name)) "\">" (name) "</span>" }
    html
}

/// A bar with its number.
pub(super) fn progress(percent: f32, words: &str) -> Html {
    let (mut html, shown) = (Html::default(), format!("{:.0}", percent.clamp(0.0, 100.0)));
    html! { html, "<span class=\"bar\"><progress max=\"100\" value=\"" (shown) "\" aria-label=\"" (words) "\">" (shown)
    " %</progress> <span class=\"figure\">" (shown) " %</span></span> <span class=\"words\">" (words) "</span>" }
    html
}

/// A table with a caption; `body` is its rows.
pub(super) fn table(id: &'static str, caption: &str, titles: &[&str], body: &Html) -> Html {
    let mut html = Html::default();
    html! { html, "<div class=\"table\" id=\"" (id) "\" data-live><table>\n<caption>" (caption)
    "</caption>\n<thead><tr>" }
    for title in titles {
        html! { html, "<th scope=\"col\">" (title) "</th>" }
    }
    html! { html, "</tr></thead>\n<tbody>\n" [body] "</tbody>\n</table></div>\n" }
    html
}

/// A button that leads to the page on which an action is confirmed.
pub(super) fn button(path: &str, words: &str, tone: &str) -> Html {
    let mut html = Html::default();
    html! { html, "<form action=\"" (path) "\"><button class=\"" (tone) "\">" (words) "</button></form>" }
    html
}
