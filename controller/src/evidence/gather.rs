//! Reads the sources of [`Evidence`], all at the same time.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;
use transcode_config::Settings;
use transcode_core::effects::ports::{Depth, Queue};

use super::{Evidence, Line, Log};
use crate::{
    aws::{
        Clients, Sqs,
        query::{Query, Service},
    },
    observe::http::{Notes, ask_notes},
    runtime::wall_ms,
};

/// How far back the log is read (ms): a call that is refused is tried again every 15 minutes, and an unwritten report is
/// told of every ten.
const WINDOW: u64 = 3_600_000;

/// Most lines of the log that are kept: the newest.
const MOST_LINES: usize = 2_000;

/// Most pages that are read; CloudWatch Logs may send empty ones.
const MOST_PAGES: usize = 20;

/// Longest time of each source.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gathers everything. No source that fails or hangs stops another.
pub(crate) async fn gather(settings: &Settings, clients: &Clients, query: &Query) -> Evidence {
    let queues = timeout(PATIENCE, queues(settings, clients));
    let (own, queues) = futures::join!(own_words(settings, query), queues);
    Evidence { queues: queues.unwrap_or_default(), ..own }
}

/// Without the queues: what the controller itself says.
pub(crate) async fn own_words(settings: &Settings, query: &Query) -> Evidence {
    let (notes, log) = futures::join!(notes(settings), timeout(PATIENCE, log(settings, query)));
    let log = log.unwrap_or_else(|_| Log::Unread(format!("no answer within {} s", PATIENCE.as_secs())));
    Evidence { notes, log, queues: Vec::new() }
}

/// The word of a controller that listens on this machine: of another machine's nothing is asked.
async fn notes(settings: &Settings) -> Option<Notes> {
    let address: SocketAddr =
        settings.http.listen.parse().ok().filter(|at: &SocketAddr| at.ip().is_loopback())?;
    // At most three seconds for each step.
    tokio::task::spawn_blocking(move || ask_notes(address)).await.ok()?.ok()
}

async fn queues(settings: &Settings, clients: &Clients) -> Vec<(String, Depth)> {
    let queues = Sqs::new(clients.sqs.clone(), settings);
    let counts = settings.queues.keys().map(async |name| {
        let depth = queues.depth(name).await.ok()?;
        Some((name.clone(), depth))
    });
    futures::future::join_all(counts).await.into_iter().flatten().collect()
}

/// The log of the last hour.
async fn log(settings: &Settings, query: &Query) -> Log {
    let group = &settings.cluster.controller_log_group;
    if group.is_empty() {
        return Log::Unset;
    }
    match lines(group, query).await {
        Ok(lines) => Log::Read(lines),
        Err(why) => Log::Unread(why),
    }
}

async fn lines(group: &str, query: &Query) -> Result<Vec<Line>, String> {
    let pattern =
        format!(r#"{{ $.level = "WARN" || $.level = "ERROR" || $.message = "{}" }}"#, super::log::WRITTEN);
    let mut body = json!({
        "logGroupName": group, "startTime": wall_ms().saturating_sub(WINDOW), "filterPattern": pattern,
    });
    let mut lines = Vec::new();
    for _ in 0..MOST_PAGES {
        let target = "Logs_20140328.FilterLogEvents";
        let answer = query.json(Service::Logs, "logs:FilterLogEvents", target, &body).await;
        let answer: Value = serde_json::from_str(&answer.map_err(|error| error.to_string())?.text)
            .map_err(|error| format!("logs:FilterLogEvents: {error}"))?;
        let events = answer["events"].as_array().into_iter().flatten();
        lines.extend(
            events.filter_map(|event| Line::parse(event["timestamp"].as_u64()?, event["message"].as_str()?)),
        );
        lines.drain(..lines.len().saturating_sub(MOST_LINES));
        match answer["nextToken"].as_str() {
            Some(token) => body["nextToken"] = token.into(),
            None => break,
        }
    }
    lines.sort_by_key(|line| line.at_ms);
    Ok(lines)
}
