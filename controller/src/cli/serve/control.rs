//! The control document: read once at the start if the settings need it, then every few seconds, and at once when an event
//! says that it was written.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, Interval, MissedTickBehavior, interval},
};
use transcode_config::{Settings, contract::Control};

use crate::{
    aws::control::{ControlReader, Reading},
    cli::setup::{Refused, complete, rules_with, with_overlay},
};

/// An error if the settings name a profile that neither the program nor the control document has: no upload could be
/// accepted, and a service that starts all the same would look healthy. Where the document cannot be read, the controller
/// starts, and begins nothing before it can.
pub(super) async fn profiles_exist(settings: &Settings, mut reader: ControlReader) -> Result<(), Refused> {
    if complete(settings, &rules_with(settings, &BTreeMap::new())).is_ok() {
        return Ok(());
    }
    let control = match reader.read().await {
        Ok(Reading::Absent | Reading::Unchanged) => Control::default(),
        Ok(Reading::Document(bytes)) => match Control::read(&bytes) {
            Ok(control) => control,
            Err(_) => return Ok(()),
        },
        Err(_) => return Ok(()),
    };
    let settings = with_overlay(settings, &control).unwrap_or_else(|_| settings.clone());
    let own = control.profiles.into_iter().map(|(name, own)| (name, own.profile)).collect();
    complete(&settings, &rules_with(&settings, &own)).map_err(|error| Refused::because(&error))
}

/// A change of the control document.
#[derive(Debug)]
pub(super) enum News {
    /// It holds from now on.
    Holds(Box<Control>),
    /// It cannot be read, for this reason. The last good one stays in force.
    Refused(String),
}

/// Watches the control document.
pub(super) struct ControlWatch {
    reader: ControlReader,
    every: Interval,
    nudge: Arc<Notify>,
    /// Whether one was read, or none was found, since the start.
    known: bool,
    /// The last reading failed.
    failed: bool,
    /// The newest one that could be read.
    newest: Control,
    /// When the controller begins to work without, if it cannot be read until then.
    wait_until: Instant,
}

impl ControlWatch {
    /// `nudge` asks for a reading at once.
    pub(super) fn new(reader: ControlReader, nudge: Arc<Notify>, settings: &Settings) -> Self {
        let mut every = interval(Duration::from_secs(settings.control.poll_seconds));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wait_until = Instant::now() + Duration::from_secs(settings.control.start_wait_seconds);
        Self { reader, every, nudge, known: false, failed: false, newest: Control::default(), wait_until }
    }

    /// Sends each change, until nobody listens.
    pub(super) async fn run(mut self, send: mpsc::Sender<News>) {
        loop {
            let news = self.next().await;
            if send.send(news).await.is_err() {
                return;
            }
        }
    }

    async fn next(&mut self) -> News {
        loop {
            tokio::select! {
                _ = self.every.tick() => {}
                () = self.nudge.notified() => {}
            }
            let read = self.reader.read().await;
            let again = std::mem::replace(&mut self.failed, read.is_err());
            match read {
                Ok(Reading::Unchanged) if again => return self.holds(self.newest.clone()),
                Ok(Reading::Unchanged) => {}
                Ok(Reading::Absent) if self.known && self.newest == Control::default() && !again => {}
                Ok(Reading::Absent) => return self.holds(Control::default()),
                Ok(Reading::Document(bytes)) => match Control::read(&bytes) {
                    Ok(control) => return self.holds(control),
                    Err(error) => return self.refused(error.to_string()),
                },
                Err(error) => return self.refused(error.to_string()),
            }
            if self.waited_long() {
                return self.holds(Control::default());
            }
        }
    }

    fn holds(&mut self, control: Control) -> News {
        self.known = true;
        self.newest = control.clone();
        News::Holds(Box::new(control))
    }

    fn refused(&mut self, why: String) -> News {
        if self.waited_long() {
            tracing::error!(why, "the control document cannot be read; going on as if there were none");
            return self.holds(Control::default());
        }
        News::Refused(why)
    }

    fn waited_long(&self) -> bool {
        !self.known && Instant::now() >= self.wait_until
    }
}
