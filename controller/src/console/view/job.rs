//! A job's page.

use transcode_config::contract::{Capacity, JobState, Outcome, TaskState};

use super::{
    frame::{Head, page},
    parts::{button, progress, state, table},
    player::player,
    time_line::time_line,
    words::{ago, rate, size, span, time},
};
use crate::console::{
    documents::{Attempted, Job, Made, Rendition, Verification},
    markup::{Html, html},
};

/// Seconds between two visits while something changes.
const POLL: u32 = 3;

/// How long a page is still fetched after the job's end (ms): its documents are read one after another, while the
/// controller publishes and reports, so that one look at a job that has just ended may miss some of them.
const REST_MS: u64 = 120_000;

/// The page. `hls_js`: the console has a copy of it.
pub(in crate::console) fn job(job: &Job, environment: (&str, &str), hls_js: bool, now_ms: u64) -> String {
    let (mut body, state) = (Html::default(), state_of(job));
    let title = title(job);
    html! { body, "<p class=\"path\"><a href=\"/\">Jobs</a> /</p>\n<h1 id=\"title\" data-live>" (title) "</h1>\n" }
    body.add(&head(job, state, now_ms));
    let mut aside = Html::default();
    aside.add(&facts(job, now_ms)).add(&time_line(job, now_ms));
    html! { body, "<div class=\"two\">\n<div>\n" [player(job, hls_js)] "</div>\n<div>\n" [aside] "</div>\n</div>\n" }
    body.add(&attempts(job, now_ms))
        .add(&made(job))
        .add(&verification(job.verification.as_ref()))
        .add(&story(job));
    let poll = (!rests(job, state, now_ms)).then_some(POLL);
    page(&Head { title: &title, at: "/", poll, environment: Some(environment) }, &body)
}

fn title(job: &Job) -> String {
    let asked = job.report.as_ref().and_then(|report| report.key.clone());
    let key = job.spec.as_ref().map(|spec| spec.source.key.clone()).or(asked);
    key.unwrap_or_else(|| format!("Job {}", job.job))
}

/// Whether nothing on the page will change any more.
fn rests(job: &Job, state: &str, now_ms: u64) -> bool {
    let long_ago = |end: u64| now_ms.saturating_sub(end) >= REST_MS;
    let ended = job.terminal.as_ref().is_some_and(|terminal| long_ago(terminal.written_at_ms));
    ended && job.report.is_none() && state != "settling"
}

/// The state as one word: how it ended, or what the controller last said. A result that is not live yet is settling,
/// whatever the report says: the report may be older than the end.
pub(super) fn state_of(job: &Job) -> &'static str {
    match (
        job.terminal.as_ref().map(|terminal| &terminal.outcome),
        job.report.as_ref().map(|report| report.state),
    ) {
        (Some(Outcome::Succeeded(_)), _) if job.superseded => "superseded",
        (Some(Outcome::Succeeded(_)), _) if job.live.as_ref().is_some_and(|live| live.job == job.job) => {
            "succeeded"
        }
        (Some(Outcome::Succeeded(_)), _) => JobState::Settling.name(),
        (Some(Outcome::Dead(_)), _) => "dead",
        (Some(Outcome::Superseded(_)), _) => "superseded",
        (Some(Outcome::Cancelled(_)), _) => "cancelled",
        (None, Some(state)) => state.name(),
        (None, None) => "accepted",
    }
}

/// State, explanation, and what a person may do.
fn head(job: &Job, name: &'static str, now_ms: u64) -> Html {
    let mut html = Html::default();
    html! { html, "<div id=\"head\" class=\"head\" data-live data-state=\"" (name) "\">\n<p class=\"line\">"
    [state(name)] " " }
    let working = job.attempts.last().and_then(|attempt| attempt.heartbeat.as_ref());
    if let Some(beat) = working.filter(|beat| job.terminal.is_none() && beat.state == TaskState::Working) {
        let speed = beat.speed.map(|speed| format!(", {speed:.2}× real time")).unwrap_or_default();
        let words = format!("{}{speed}", beat.stage.name());
        html! { html, [progress(beat.percent, &words)] " <span class=\"faint\">heard of "
        [ago(beat.written_at_ms, now_ms)] " ago</span>" }
    }
    if let Some(Outcome::Dead(dead)) = job.terminal.as_ref().map(|terminal| &terminal.outcome) {
        html! { html, "<code class=\"bad\">" (dead.failure.code.info().name) "</code>" }
    }
    html! { html, "</p>\n<p class=\"says\">" (job.says) "</p>\n" }
    html.raw("<div class=\"actions\">");
    match job.terminal.as_ref().map(|terminal| &terminal.outcome) {
        None => {
            html.add(&button(&format!("/jobs/{}/cancel", job.job), "Cancel…", "danger"));
        }
        // A job that ended before it was accepted has no specification to run anew: `submit` asks for its object.
        Some(Outcome::Dead(_) | Outcome::Cancelled(_)) if job.spec.is_some() => {
            html.add(&button(&format!("/jobs/{}/retry", job.job), "Run anew…", "strong"));
        }
        Some(_) => {}
    }
    html.raw("</div>\n</div>\n");
    html
}

fn facts(job: &Job, now_ms: u64) -> Html {
    let mut html = Html::default();
    html.raw("<section id=\"facts\" data-live>\n<h2>Facts</h2>\n<dl>\n");
    let mut fact = |name: &str, value: &str| html! { html, "<dt>" (name) "</dt><dd>" (value) "</dd>\n" };
    fact("Job", job.job.as_str());
    if let Some(spec) = &job.spec {
        fact("Source", &format!("s3://{}/{}", spec.source.bucket, spec.source.key));
        fact("Output", &format!("s3://{}/{}", spec.output.bucket, spec.output.prefix));
        let again =
            if spec.generation > 0 { format!(", generation {}", spec.generation) } else { String::new() };
        fact("Profile", &format!("{}{again}", spec.profile.name));
        fact(
            "Accepted",
            &format!("{}, {} ago", time(spec.accepted_at_ms), super::words::age(spec.accepted_at_ms, now_ms)),
        );
    }
    if let Some(tenant) = job.report.as_ref().and_then(|report| report.tenant.as_ref()) {
        fact("Tenant", tenant);
    }
    if let Some(Outcome::Succeeded(won)) = job.terminal.as_ref().map(|terminal| &terminal.outcome) {
        fact(
            "Result",
            &format!("{} of video, {} files, {}", span(won.duration_ms), won.files, size(won.bytes)),
        );
    }
    if let Some(usd) = job.cost_usd {
        fact("Cost", &format!("about {usd:.4} USD for its tasks"));
    }
    html.raw("</dl>\n</section>\n");
    html
}

fn attempts(job: &Job, now_ms: u64) -> Html {
    let mut rows = Html::default();
    for attempt in job.attempts.iter().rev() {
        let claim = &attempt.claim;
        let capacity = match claim.variant.capacity {
            Capacity::Fargate => "on demand",
            Capacity::FargateSpot => "Spot",
        };
        html! { rows, "<tr><th scope=\"row\">" (claim.attempt) "</th><td>" (ending(job, attempt)) "</td><td>"
        (claim.variant.cpu)
        " CPU units, " (claim.variant.memory_mib) " MiB, " (capacity) "</td><td class=\"age\">"
        [ago(claim.created_at_ms, now_ms)] "</td></tr>\n" }
    }
    let caption = match job.attempts.len() {
        0 => "No attempt yet".to_owned(),
        1 => "1 attempt".to_owned(),
        many => format!("{many} attempts, the newest first"),
    };
    table("attempts", &caption, &["Attempt", "How it went", "Task", "Claimed"], &rows)
}

/// How an attempt went, in a sentence.
fn ending(job: &Job, attempt: &Attempted) -> String {
    let number = attempt.claim.attempt;
    let newest = job.attempts.last().map(|last| last.claim.history.as_slice()).unwrap_or_default();
    let past = match job.terminal.as_ref().map(|terminal| &terminal.outcome) {
        Some(Outcome::Succeeded(won)) if won.attempt == number => return "succeeded".to_owned(),
        Some(Outcome::Dead(dead)) => dead.attempts.as_slice(),
        Some(Outcome::Superseded(end)) => end.attempts.as_slice(),
        Some(Outcome::Cancelled(end)) => end.attempts.as_slice(),
        _ => newest,
    };
    if let Some(past) = past.iter().find(|past| past.attempt == number) {
        return format!("{}: {}", past.code, past.message);
    }
    match &attempt.heartbeat {
        None => "its task has not been heard of".to_owned(),
        Some(beat) => match &beat.state {
            TaskState::Working => format!("{}, {:.0} %", beat.stage.name(), beat.percent),
            TaskState::Finished => "its task has finished".to_owned(),
            TaskState::Interrupted => format!("stopped from outside while {}", beat.stage.name()),
            TaskState::Failed { failure } => failure.to_string(),
        },
    }
}

/// Renditions and warnings.
fn made(job: &Job) -> Html {
    let mut html = Html::default();
    let Some(Made { video, audio, text, warnings, .. }) = &job.result else {
        html.raw("<div class=\"table\" id=\"renditions\" data-live></div>\n<div id=\"warnings\" data-live></div>\n");
        return html;
    };
    let mut rows = Html::default();
    for (kind, one) in [("video", video), ("audio", audio), ("text", text)]
        .iter()
        .flat_map(|(kind, all)| all.iter().map(move |one| (kind, one)))
    {
        let rates = one
            .average_bps
            .zip(one.peak_bps)
            .map(|(average, peak)| format!("{}, at most {}", rate(average), rate(peak)));
        let rates = rates.or(one.average_bps.map(rate)).unwrap_or_default();
        html! { rows, "<tr><th scope=\"row\">" (one.name.as_deref().unwrap_or("-")) "</th><td>" (kind) "</td><td>"
        (shape(one))
        "</td><td>" (rates) "</td></tr>\n" }
    }
    let all = video.len() + audio.len() + text.len();
    html.add(&table(
        "renditions",
        &format!("{all} renditions"),
        &["Rendition", "Kind", "Form", "Rate"],
        &rows,
    ));
    html.raw("<div id=\"warnings\" data-live>\n");
    if !warnings.is_empty() {
        html.raw("<h2>Warnings</h2>\n<ul class=\"warnings\">\n");
        for warning in warnings {
            html! { html, "<li>" (warning) "</li>\n" }
        }
        html.raw("</ul>\n");
    }
    html.raw("</div>\n");
    html
}

fn shape(one: &Rendition) -> String {
    let size = one.width.zip(one.height).map(|(width, height)| format!("{width}×{height}"));
    let pace = one
        .frame_rate
        .map(|rate| format!("{rate:.3}").trim_end_matches('0').trim_end_matches('.').to_owned() + " fps");
    let channels = one.channels.map(|many| format!("{many} channels"));
    let parts = [size, pace, channels, one.language.clone(), one.codec.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The verifier's report: the broken rules, and all of them on demand.
fn verification(found: Option<&Verification>) -> Html {
    let mut html = Html::default();
    html.raw("<section id=\"verification\" data-live>\n");
    let Some(Verification { passed, checks }) = found else {
        html.raw("</section>\n");
        return html;
    };
    let broken = checks.iter().filter(|check| !check.passed).count();
    let held = checks.len() - broken;
    html! { html, "<h2>Verification</h2>\n<p><span class=\"state " (if *passed { "good" } else { "bad" }) "\">"
    (if *passed { "passed" } else { "failed" }) "</span> " (held) " of " (checks.len()) " checks hold" }
    html.raw("</p>\n<details><summary>Every check, with the measured and the allowed value</summary>\n");
    let mut rows = Html::default();
    let mut sorted: Vec<_> = checks.iter().collect();
    sorted.sort_by_key(|check| check.passed);
    for check in sorted {
        let word = if check.passed {
            "holds"
        } else if check.advisory {
            "advisory"
        } else {
            "broken"
        };
        html! { rows, "<tr><th scope=\"row\">" (check.rule) "</th><td>" (check.subject) "</td><td>" (word) ": "
        (check.measured)
        "</td><td>" (check.allowed) "</td></tr>\n" }
    }
    html.add(&table("checks", "Checks", &["Rule", "Of", "Measured", "Allowed"], &rows));
    html.raw("</details>\n</section>\n");
    html
}

fn story(job: &Job) -> Html {
    let mut rows = Html::default();
    for moment in &job.story {
        let attempt = moment.attempt.map(|attempt| attempt.to_string()).unwrap_or_default();
        html! { rows, "<tr><td>" (time(moment.at_ms)) "</td><th scope=\"row\">" (moment.what) "</th><td>" (attempt)
        "</td><td>"
        (moment.detail) "</td></tr>\n" }
    }
    table("story", "What happened", &["Time", "Event", "Attempt", "Detail"], &rows)
}

#[cfg(test)]
mod tests;
