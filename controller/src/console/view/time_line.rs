//! A job's life as a line: what it waited for, its attempts, its publication.

use transcode_config::contract::{Outcome, TaskState};

use super::words::{span, time};
use crate::console::{
    documents::Job,
    markup::{Html, html},
};

/// The width of the line in its own units.
const WIDTH: f64 = 1000.0;

/// Least width of a part, so that it can be seen.
const LEAST: f64 = 4.0;

/// A part of a job's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    /// `wait`, `work`, `good` or `bad`.
    pub(super) tone: &'static str,
    /// From and to (ms since 1970).
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The parts, in order. What is still going on ends now.
pub(super) fn parts(job: &Job, now_ms: u64) -> Vec<Part> {
    let spec = job.spec.as_ref();
    let asked = job.report.as_ref().and_then(|report| report.asked_at_ms);
    let Some(begin) = asked.or(spec.map(|spec| spec.accepted_at_ms)) else { return Vec::new() };
    let decided = job.terminal.as_ref().map(|terminal| terminal.written_at_ms);
    let (mut parts, mut at) = (Vec::new(), begin);
    let mut add = |name: String, tone, to: u64| {
        let from = at;
        at = to.max(from);
        parts.push(Part { name, tone, from, to: at });
    };
    let last = job.attempts.len().saturating_sub(1);
    for (index, attempt) in job.attempts.iter().enumerate() {
        let waited = if index == 0 { "waiting for a task" } else { "waiting for the next attempt" };
        add(waited.to_owned(), "wait", attempt.claim.created_at_ms);
        let heard = attempt.heartbeat.as_ref();
        let goes_on =
            index == last && decided.is_none() && heard.is_none_or(|beat| beat.state == TaskState::Working);
        let next = job.attempts.get(index + 1).map(|next| next.claim.created_at_ms);
        let end = heard.map(|beat| beat.written_at_ms).or(next).or(decided);
        let won = matches!(job.terminal.as_ref().map(|terminal| &terminal.outcome),
            Some(Outcome::Succeeded(won)) if won.attempt == attempt.claim.attempt);
        let tone = if won {
            "good"
        } else if goes_on {
            "work"
        } else {
            "bad"
        };
        let end = if goes_on { now_ms } else { end.unwrap_or(attempt.claim.created_at_ms) };
        add(format!("attempt {}", attempt.claim.attempt), tone, end);
    }
    match (decided, published(job)) {
        (Some(decided), Some(published)) => {
            add("deciding".to_owned(), "wait", decided);
            add("publishing".to_owned(), "good", published);
        }
        (Some(decided), None) => add("deciding".to_owned(), "wait", decided),
        (None, _) if job.attempts.is_empty() => add("waiting".to_owned(), "wait", now_ms),
        (None, _) => {}
    }
    parts.retain(|part| part.to > part.from);
    parts
}

/// When the job's own result went live.
fn published(job: &Job) -> Option<u64> {
    job.live.as_ref().filter(|live| live.job == job.job).map(|live| live.published_at_ms)
}

/// The line and its legend.
pub(super) fn time_line(job: &Job, now_ms: u64) -> Html {
    let mut html = Html::default();
    let parts = parts(job, now_ms);
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        // A place for what a later visit finds.
        html.raw("<section id=\"time-line\" class=\"time-line\" data-live></section>\n");
        return html;
    };
    let whole = last.to - first.from;
    html! { html, "<section id=\"time-line\" class=\"time-line\" data-live>\n<h2>Time line</h2>\n<svg viewBox=\"0 0 1000 16\" "
    "preserveAspectRatio=\"none\" aria-hidden=\"true\">" }
    #[allow(clippy::cast_precision_loss, reason = "places on a line of 1000 units")]
    let place = |ms: u64| ms as f64 / whole as f64 * WIDTH;
    for part in &parts {
        let (x, width) = (place(part.from - first.from), place(part.to - part.from).max(LEAST));
        html! { html, "<rect class=\"" (part.tone) "\" x=\"" (format_args!("{:.1}", x.min(WIDTH - LEAST)))
        "\" y=\"0\" width=\""
        (format_args!("{width:.1}")) "\" height=\"16\"><title>" (part.name) ", " (span(part.to - part.from))
        "</title></rect>" }
    }
    html.raw("</svg>\n<ol>\n");
    for part in &parts {
        html! { html, "<li class=\"" (part.tone) "\">" (part.name) " <b>" (span(part.to - part.from)) "</b></li>\n" }
    }
    html! { html, "</ol>\n<p class=\"faint\">" (time(first.from)) " to " (time(last.to)) ", " (span(whole))
    " in all</p>\n</section>\n" }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::console::documents;

    const JOB: &str = "00000000000000000000000000000001";

    fn job(attempts: &Value, terminal: &Value) -> Job {
        documents::read(json!({
            "job": JOB, "attempts": attempts, "terminal": terminal, "story": [], "says": "", "controller": "live",
            "report": {"job": JOB, "state": "queued", "asked_at_ms": 1_000, "known_at_ms": 1_500},
        }))
        .unwrap()
    }

    fn attempt(number: u32, claimed: u64, beat: Option<(u64, &str)>) -> Value {
        let beat = beat.map(|(at, state)| {
            json!({"schema": 1, "job": JOB, "attempt": number, "seq": 1, "written_at_ms": at, "stage": "transcoding",
                "percent": 5.0, "state": state})
        });
        json!({"heartbeat": beat, "claim": {"schema": 1, "job": JOB, "attempt": number, "task_definition": "t",
            "variant": {"capacity": "fargate", "cpu": 1, "memory_mib": 1}, "launch_not_after_ms": 9, "nonce": "n",
            "created_at_ms": claimed, "history": []}})
    }

    fn said(job: &Job) -> Vec<(String, &'static str, u64)> {
        parts(job, 90_000).into_iter().map(|part| (part.name, part.tone, part.to - part.from)).collect()
    }

    #[test]
    fn a_life_has_its_waits_its_attempts_and_its_end_without_gaps() {
        let part = |name: &str, tone, ms| (name.to_owned(), tone, ms);
        assert_eq!(said(&job(&json!([]), &Value::Null)), [part("waiting", "wait", 89_000)]);
        let two = json!([
            attempt(1, 3_000, Some((10_000, "interrupted"))),
            attempt(2, 12_000, Some((40_000, "working")))
        ]);
        let begun = [
            part("waiting for a task", "wait", 2_000),
            part("attempt 1", "bad", 7_000),
            part("waiting for the next attempt", "wait", 2_000),
        ];
        let running = said(&job(&two, &Value::Null));
        assert_eq!(running[..3], begun);
        assert_eq!(running[3..], [part("attempt 2", "work", 78_000)], "it goes on");
        let won = json!({"schema": 1, "job": JOB, "nonce": "n", "written_at_ms": 50_000, "outcome": "succeeded", "attempt": 2,
            "bucket": "b", "folder": "f/", "manifest": {"key": "k", "size": 1, "sha256": ""}, "files": 1, "bytes": 1,
            "duration_ms": 1, "entry_points": []});
        let ended = said(&job(&two, &won));
        assert_eq!(ended[..3], begun);
        assert_eq!(ended[3..], [part("attempt 2", "good", 28_000), part("deciding", "wait", 10_000)]);
        let html = time_line(&job(&two, &won), 90_000).into_string();
        assert!(html.contains("<rect class=\"good\"") && html.contains("attempt 2 <b>28 s</b>"), "{html}");
    }
}
