//! Sends events in batches, off the loop, each once.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use transcode_core::effects::{batch::BATCH, ports::Bus};

use super::teller::{News, Wanted};
use crate::events::{Event, Events};

/// Most events that wait to be sent, about 1 MB.
const WAITING: usize = 1000;

/// Time in which events gather, so that calls are full.
const GATHER: Duration = Duration::from_millis(500);

/// The other end of [`News`].
#[derive(Debug)]
pub struct Sender<B> {
    wanted: mpsc::Receiver<Wanted>,
    bus: B,
    events: Arc<Events>,
    /// The bus did not take the last events.
    failing: bool,
}

/// Both ends.
pub fn start<B: Bus>(bus: B, events: Arc<Events>) -> (News, Sender<B>) {
    let (send, wanted) = mpsc::channel(WAITING);
    (News::new(send), Sender { wanted, bus, events, failing: false })
}

impl<B: Bus> Sender<B> {
    /// Sends until `stop`. What waits then is dropped: the process ends.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = self.wanted.recv_many(&mut batch, BATCH) => if count == 0 { return },
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = stop.cancelled() => {}
            }
            while batch.len() < BATCH
                && let Ok(wanted) = self.wanted.try_recv()
            {
                batch.push(wanted);
            }
            self.send(&mut batch).await;
        }
    }

    /// Sends a batch once. The bus may change with a reload, so a batch may be for two.
    async fn send(&mut self, batch: &mut Vec<Wanted>) {
        while let Some(first) = batch.first() {
            let bus = Arc::clone(&first.bus);
            let (own, others): (Vec<_>, Vec<_>) = batch.drain(..).partition(|wanted| wanted.bus == bus);
            *batch = others;
            let events: Vec<_> = own.into_iter().map(|wanted| Arc::new(wanted.event)).collect();
            let answers = self.bus.put(&bus, &events).await;
            let sent = answers.iter().filter(|answer| answer.is_ok()).count();
            let refused = answers.iter().find_map(|answer| answer.as_ref().err());
            let dropped = answers.len() - sent;
            self.events.emit(Event::NewsSent { sent, dropped });
            if let Some(error) = refused.filter(|_| !self.failing) {
                tracing::warn!(%error, dropped, "events of jobs under way are not taken; they are dropped until they are");
            }
            self.failing = refused.is_some();
        }
    }
}
