//! Dead letters: what each one died of, who can act, and what to do.

use transcode_config::contract::{FailureCode, Who};

use super::{
    frame::{Head, page},
    parts::{button, table},
    words::ago,
};
use crate::console::{
    documents::{Letter, Letters},
    markup::{Html, html},
};

/// The page. It is not fetched again by itself: reading letters holds them for a moment.
pub(in crate::console) fn letters(found: &Letters, now_ms: u64) -> String {
    let mut body = Html::default();
    body.raw("<h1>Dead letters</h1>\n");
    let mut rows = Html::default();
    for letter in &found.letters {
        rows.add(&line(letter, now_ms));
    }
    let caption = match found.letters.len() {
        0 => "No letters".to_owned(),
        1 => "1 letter".to_owned(),
        many => format!("{many} letters, the oldest first"),
    };
    body.add(&table("letters", &caption, &["Reason", "Object", "What to do", "Age"], &rows));
    if !found.complete {
        body.raw("<p>There are more than one reading takes: <code>transcode-controller dead-letters list</code>.</p>\n");
    }
    page(&Head { title: "Dead letters", at: "/letters", ..Head::default() }, &body)
}

fn line(letter: &Letter, now_ms: u64) -> Html {
    let mut html = Html::default();
    html! { html, "<tr id=\"letter-" (letter.message_id) "\"><td><code class=\"bad\">" }
    match letter.code {
        Some(code) => html! { html, (code.info().name) },
        None => html! { html, (letter.kind) },
    }
    html! { html, "</code> <small>" (letter.why) "</small></td><th scope=\"row\">" }
    let name = letter.key.as_deref().unwrap_or(&letter.message_id);
    match &letter.job {
        Some(job) => html! { html, "<a href=\"/jobs/" (job) "\">" (name) "</a>" },
        None => html! { html, (name) },
    }
    html! { html, " <small>queue " (letter.queue) "</small></th><td>" [advice(letter.code)] }
    if let Some(job) = letter.job.as_ref().filter(|_| letter.kind != "unreadable") {
        html.add(&button(&format!("/jobs/{job}/redrive"), "Redrive…", "strong"));
    }
    html! { html, "</td><td class=\"age\">" [ago(letter.sent_at_ms, now_ms)] "</td></tr>\n" }
    html
}

/// The meaning of a code, which the table of codes begins in lower case, as a sentence.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Meaning, remedy, and who can act.
fn advice(code: Option<FailureCode>) -> Html {
    let mut html = Html::default();
    let Some(info) = code.map(FailureCode::info) else { return html };
    let who = match info.who {
        Who::Uploader => "The uploader can act:",
        Who::Operator => "You can act:",
        Who::Aws => "It was AWS' doing:",
    };
    html! { html, "<p class=\"advice\">" (sentence(info.meaning)) " <b>" (who) "</b> " (info.remedy) ".</p>" }
    html
}
