//! What a process has to do before it deletes a message, beside what every version does.

use super::message::Message;

/// What a process said of itself when it started, or when its settings changed.
#[derive(Debug, Default)]
pub(super) struct Duties {
    /// It lists the ends of jobs: its version does.
    pub(super) lists: bool,
    /// Since when (ms since 1970) it has had a bus to tell the ends of jobs to.
    tells_since: Option<u64>,
}

impl Duties {
    /// A process has started, with this bus; an empty one is none. `None`: an older version, which does neither.
    pub(super) fn at_start(bus: Option<&str>, at: u64) -> Self {
        Self { lists: bus.is_some(), tells_since: bus.filter(|bus| !bus.is_empty()).map(|_| at) }
    }

    /// The bus was changed while messages were under way.
    pub(super) fn bus_changed(&mut self, bus: &str, at: u64) {
        self.tells_since = Some(at).filter(|_| self.lists && !bus.is_empty());
    }

    /// Whether the ends of this message's jobs had to be told before it was deleted.
    pub(super) fn tells(&self, message: &Message) -> bool {
        self.tells_since.is_some_and(|since| message.received_since(since))
    }
}
