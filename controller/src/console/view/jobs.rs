//! The list of jobs.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use transcode_config::contract::JOB_STATES;

use super::{
    figures::figures,
    frame::{Head, page},
    parts::{progress, state, table},
    words::{ago, span},
};
use crate::console::{
    desk::Filter,
    documents::{JobList, Row},
    history::Sample,
    markup::{Html, html},
};

/// Seconds between two visits; with a filter, which may read many pages of the index, more.
const POLL: u32 = 3;
const POLL_FILTERED: u32 = 10;

/// The page.
pub(in crate::console) fn jobs(list: &JobList, filter: &Filter, samples: &[Sample], now_ms: u64) -> String {
    let mut body = Html::default();
    body.raw("<h1>Jobs</h1>\n<div id=\"says\" data-live>\n");
    for line in &list.says {
        html! { body, "<p class=\"says\">" (line) "</p>\n" }
    }
    body.raw("</div>\n");
    body.add(&figures(samples)).add(&search(filter));
    let mut rows = Html::default();
    for row in &list.jobs {
        rows.add(&line(row, now_ms));
    }
    let caption = match list.jobs.len() {
        0 => "No jobs".to_owned(),
        1 => "1 job".to_owned(),
        many => format!("{many} jobs, the newest first"),
    };
    body.add(&table("jobs", &caption, &["State", "Object", "Progress", "Age"], &rows));
    body.add(&below(list, filter, now_ms));
    let filtered = filter.state.is_some() || filter.tenant.is_some() || filter.text.is_some();
    let head = Head {
        title: "Jobs",
        at: "/",
        poll: Some(if filtered { POLL_FILTERED } else { POLL }),
        environment: Some((&list.environment, &list.controller)),
    };
    page(&head, &body)
}

fn search(filter: &Filter) -> Html {
    let mut html = Html::default();
    html! { html, "<form class=\"filter\" role=\"search\" action=\"/\">\n<label>Object or job <input type=\"search\" name=\"q\" value=\""
    (filter.text.as_deref().unwrap_or_default()) "\" placeholder=\"part of the key\"></label>\n"
    "<label>State <select name=\"state\"><option value=\"\">any</option>" }
    for name in JOB_STATES {
        html! { html, "<option" }
        if filter.state.as_deref() == Some(name) {
            html.raw(" selected");
        }
        html! { html, ">" (name) "</option>" }
    }
    html! { html, "</select></label>\n<label>Tenant <input name=\"tenant\" value=\""
    (filter.tenant.as_deref().unwrap_or_default())
    "\" placeholder=\"bucket/prefix/\"></label>\n<button>Filter</button>\n" }
    if filter.state.is_some() || filter.tenant.is_some() || filter.text.is_some() {
        html.raw("<a href=\"/\">Clear</a>\n");
    }
    html.raw("</form>\n");
    html
}

fn line(row: &Row, now_ms: u64) -> Html {
    let mut html = Html::default();
    let short = row.job.as_str().get(..8).unwrap_or_default();
    html! { html, "<tr id=\"job-" (row.job) "\" data-state=\"" (row.state) "\"><td>" [state(&row.state)]
    "</td><th scope=\"row\"><a href=\"/jobs/" (row.job) "\">" }
    let name = row.key.clone().unwrap_or_else(|| format!("job {}", row.job));
    html! { html, (name) (if row.key_cut { "…" } else { "" }) }
    html! { html,
    "</a> <small>" (short) (row.profile.as_ref().map(|name| format!(" · {name}")).unwrap_or_default()) }
    if let Some(attempt) = row.attempt.filter(|attempt| *attempt > 1) {
        html! { html, " · attempt " (attempt) }
    }
    html! { html, "</small></th><td>" [doing(row)] "</td><td class=\"age\">" [ago(row.since_ms, now_ms)]
    "</td></tr>\n" }
    html
}

/// How far a job is, why it waits, or how it ended.
fn doing(row: &Row) -> Html {
    let mut html = Html::default();
    if let Some(code) = &row.code {
        html! { html, "<code class=\"bad\">" (code) "</code>" }
    } else if let Some(end) = row.ended_at_ms {
        html! { html, "<span class=\"words\">took " (span(end.saturating_sub(row.since_ms))) "</span>" }
    } else if let (Some(stage), Some(percent)) = (&row.stage, row.percent) {
        let speed = row.speed.map(|speed| format!(", {speed:.2}× real time")).unwrap_or_default();
        html.add(&progress(percent, &format!("{stage}{speed}")));
    } else if let Some(why) = &row.why {
        html! { html, "<span class=\"words\">" (why) "</span>" }
    }
    html
}

/// What to do where the list does not have it.
fn below(list: &JobList, filter: &Filter, now_ms: u64) -> Html {
    let mut html = Html::default();
    html.raw("<div id=\"below\" data-live>\n");
    match &filter.text {
        Some(text) if list.jobs.is_empty() => {
            let asked = utf8_percent_encode(text, NON_ALPHANUMERIC);
            html! { html, "<p>None of the newest jobs has it. <a href=\"/find?q=" (asked)
            "\">Look in the whole index for exactly this object key</a></p>\n" }
        }
        _ if list.more => {
            html! { html,
            "<p>There are older ones: filter, or <code>transcode-controller list --limit</code>.</p>\n" }
        }
        _ => {}
    }
    if let Some(at) = list.reported_at_ms {
        html! { html, "<p class=\"faint\">The controller reported " [ago(at, now_ms)] " ago.</p>\n" }
    }
    html.raw("</div>\n");
    html
}
