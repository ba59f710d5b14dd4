//! Stops an attempt before its end, and records the reason.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Why the work stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// SIGTERM or SIGINT: Spot, maintenance, `StopTask`, a person.
    Signal(&'static str),
    /// No heartbeat was written for this long, so the controller may soon take this attempt for lost (S6).
    Fenced(Duration),
    /// The job is decided, or a newer attempt exists.
    Superseded(String),
    /// The job's maximum run time is over (L3).
    RunTime(Duration),
}

/// A stop that any part can request and every part sees. The first reason stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    reason: Arc<OnceLock<Reason>>,
}

impl Stop {
    /// Requests the stop.
    pub(crate) fn request(&self, reason: Reason) {
        if self.reason.set(reason).is_ok() {
            tracing::warn!(reason = ?self.reason.get(), "stopping");
        }
        // After the reason, so that every waiting part finds it.
        self.token.cancel();
    }

    /// Cancelled once the stop is requested.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The reason, once the stop is requested.
    pub(crate) fn reason(&self) -> Option<&Reason> {
        self.reason.get()
    }

    /// Turns SIGTERM and SIGINT into a stop. From then on neither signal ends the process by itself.
    pub(crate) fn on_signals(&self) -> std::io::Result<()> {
        for (kind, name) in [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT")] {
            let (mut signals, stop) = (signal(kind)?, self.clone());
            tokio::spawn(async move {
                signals.recv().await;
                stop.request(Reason::Signal(name));
            });
        }
        Ok(())
    }

    /// Stops after `limit`, measured on the monotonic clock.
    pub(crate) fn after(&self, limit: Duration) {
        let stop = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            stop.request(Reason::RunTime(limit));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let stop = Stop::default();
        stop.request(Reason::Signal("SIGTERM"));
        stop.request(Reason::Superseded("later".into()));
        assert_eq!(stop.reason(), Some(&Reason::Signal("SIGTERM")));
        assert!(stop.token().is_cancelled());
    }

    #[tokio::test]
    async fn the_run_time_ends_the_work() {
        let stop = Stop::default();
        stop.after(Duration::from_millis(1));
        stop.token().cancelled().await;
        assert_eq!(stop.reason(), Some(&Reason::RunTime(Duration::from_millis(1))));
    }
}
