//! Sends spans in batches, off the loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use transcode_config::{
    contract::{Span, TraceSource, traces_url},
    settings::Settings,
};
use transcode_core::{absorb::change::Change, protocol::clock::Ms, state::ledger::Ledger};

use super::spans::spans;
use crate::events::Events;

/// Most spans that wait to be sent, about 2 MB: the ends of some hundred jobs.
const WAITING: usize = 4096;
/// Most spans of one request.
const BATCH: usize = 512;
/// Time in which spans gather before they are sent.
const GATHER: Duration = Duration::from_secs(2);
/// Longest request. Nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes spans from the loop without waiting. Without an endpoint it does nothing.
#[derive(Debug, Default, Clone)]
pub struct Traces(Option<Outlet>);

#[derive(Debug, Clone)]
struct Outlet {
    spans: mpsc::Sender<Span>,
    lost: Arc<AtomicU64>,
}

impl Traces {
    /// Passes the spans on that a change ends. Those that find no place are lost and counted.
    pub(in crate::observe) fn tell(&self, change: &Change, ledger: &Ledger, wall: Ms, events: &Events) {
        let Some(outlet) = &self.0 else { return };
        let key_of = |job: &_| events.sources().key_of(job).map(|key| key.to_string());
        for span in spans(change, ledger, wall, key_of) {
            if outlet.spans.try_send(span).is_err() {
                outlet.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The other end: sends what gathers.
#[derive(Debug)]
pub struct Sender {
    spans: mpsc::Receiver<Span>,
    lost: Arc<AtomicU64>,
    client: reqwest::Client,
    url: String,
    source: TraceSource,
    /// Spans lost since sending began to fail; none while it works.
    failing: Option<u64>,
}

/// Both ends, by the settings; no sender if no endpoint is set.
pub fn start(settings: &Settings, instance: &str) -> (Traces, Option<Sender>) {
    let endpoint = &settings.tracing.otlp.endpoint;
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let (false, Ok(client)) = (endpoint.is_empty(), client) else { return (Traces::default(), None) };
    let (send, spans) = mpsc::channel(WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let source = TraceSource {
        service: "transcode-controller",
        version: env!("CARGO_PKG_VERSION"),
        environment: settings.environment.clone(),
        instance: instance.to_owned(),
    };
    let outlet = Outlet { spans: send, lost: Arc::clone(&lost) };
    let sender = Sender { spans, lost, client, url: traces_url(endpoint), source, failing: None };
    (Traces(Some(outlet)), Some(sender))
}

impl Sender {
    /// Sends until `stop`, and then once more what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        while !stop.is_cancelled() {
            tokio::select! {
                count = self.spans.recv_many(&mut batch, BATCH) => if count == 0 { break },
                () = stop.cancelled() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = stop.cancelled() => {}
            }
            self.fill(&mut batch);
            self.send(&mut batch).await;
        }
        self.fill(&mut batch);
        self.send(&mut batch).await;
    }

    fn fill(&mut self, batch: &mut Vec<Span>) {
        while batch.len() < BATCH
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
    }

    /// Sends a batch once. A batch that is not taken is dropped: the next may be.
    async fn send(&mut self, batch: &mut Vec<Span>) {
        let mut lost = self.lost.swap(0, Ordering::Relaxed);
        let result = if batch.is_empty() { Ok(()) } else { self.post(batch).await };
        if result.is_err() {
            lost += batch.len() as u64;
        }
        batch.clear();
        match (result, &mut self.failing) {
            (Err(why), None) => {
                tracing::warn!(
                    error = why,
                    lost,
                    "traces are not taken; their spans are dropped until they are"
                );
                self.failing = Some(lost);
            }
            (Err(_), Some(all)) => *all += lost,
            (Ok(()), failing) => {
                if let Some(before) = failing.take() {
                    tracing::info!(lost = before + lost, "traces are taken again");
                } else if lost > 0 {
                    tracing::warn!(lost, "more spans than could be sent; some are dropped");
                }
            }
        }
    }

    async fn post(&self, batch: &[Span]) -> Result<(), String> {
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let answer = request.body(self.source.request(batch)).send().await;
        // Without the address: it may hold a password.
        let checked = answer.and_then(reqwest::Response::error_for_status);
        checked.map(drop).map_err(|error| error.without_url().to_string())
    }
}
