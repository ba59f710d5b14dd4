//! The task's part of the job's trace: one span for each stage, sent in one request when the attempt is over.

use std::time::Duration;

use transcode_config::contract::{Span, Stage, TraceSource, span_of_stage, traces_url};

use super::{ending::Ending, start::Identity};

/// Longest request. A collector that hangs holds a finished task no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most stages that are kept; an attempt has six.
const MAX_STAGES: usize = 32;

/// When each stage began (ms since 1970).
#[derive(Debug, Default, Clone)]
pub(crate) struct Stages(Vec<(Stage, u64)>);

impl Stages {
    /// The stage begins now, unless it goes on.
    pub(crate) fn begin(&mut self, stage: Stage, now_ms: u64) {
        let known = self.0.last().is_some_and(|(last, _)| *last == stage);
        if !known && self.0.len() < MAX_STAGES {
            self.0.push((stage, now_ms));
        }
    }

    /// One span for each; the last one ends now, and with it the attempt.
    pub(crate) fn spans(&self, me: &Identity, key: Option<&str>, ending: &Ending, now_ms: u64) -> Vec<Span> {
        let ends = self.0.iter().skip(1).map(|(_, at)| *at).chain([now_ms]);
        let last = self.0.len().saturating_sub(1);
        let one = |(number, ((stage, from), to)): (usize, (&(Stage, u64), u64))| {
            let name = span_of_stage(*stage);
            let again = if self.0.iter().take(number).any(|(earlier, _)| earlier == stage) {
                from.to_string()
            } else {
                String::new()
            };
            let span = Span::of_attempts_step(&me.job, me.attempt, name, &again, (*from, to));
            let why = (number == last).then(|| ending.trouble()).flatten();
            span.with_text("transcode.key", key).failed(why)
        };
        self.0.iter().zip(ends).enumerate().map(one).collect()
    }
}

/// Sends the spans once. An error is logged and loses only them.
pub(crate) async fn send(endpoint: &str, source: &TraceSource, spans: &[Span]) {
    let post = async {
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let request = client.post(traces_url(endpoint)).header("content-type", "application/json");
        request.body(source.request(spans)).send().await?.error_for_status()
    };
    match post.await {
        Ok(_) => tracing::debug!(spans = spans.len(), "traces sent"),
        // Without the address: it may hold a password.
        Err(error) => {
            tracing::warn!(error = %error.without_url(), spans = spans.len(), "traces are not taken; the spans are dropped");
        }
    }
}
