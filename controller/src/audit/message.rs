//! A message in the logs, and how it ended.

use serde::Serialize;

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Deleted; all its jobs are published.
    Succeeded,
    /// Deleted; one of its jobs is dead, and the letter is in the dead-letter queue.
    Dead,
    /// Deleted; it asked for nothing.
    Ignored,
    /// Put aside: its version is unknown to the controller.
    Parked,
    /// Given back.
    Released,
    /// Its lease expired or was lost.
    Lost,
    /// Held at the end of the log, or at the end of its controller.
    Held,
}

impl End {
    /// Whether the message was deleted.
    pub(super) fn settled(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Ignored)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Succeeded => "settled: succeeded",
            Self::Dead => "settled: dead",
            Self::Ignored => "settled: nothing asked for",
            Self::Parked => "parked",
            Self::Released => "released",
            Self::Lost => "lease lost",
            Self::Held => "still held",
        }
    }
}

/// A message.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) jobs: Vec<String>,
    /// When it was last received.
    held_at: u64,
    /// When and how it was last deleted.
    gone: Option<(u64, End)>,
    /// When it was last given back, put aside or lost.
    left: Option<(u64, End)>,
    /// The process that holds it, or held it last.
    pub(super) held_by: u64,
    pub(super) parked: bool,
    /// Jobs whose dead letter was acknowledged for this message, and the process that logged it.
    pub(super) lettered: Vec<(String, u64)>,
}

impl Message {
    /// Notes an end, or a receipt. The logs of several controllers are read one after the other, so the times decide.
    pub(super) fn to(&mut self, end: End, at: u64) {
        let newest = match end {
            End::Held => {
                self.held_at = self.held_at.max(at);
                return;
            }
            settled if settled.settled() => &mut self.gone,
            _ => &mut self.left,
        };
        if newest.is_none_or(|(before, _)| at >= before) {
            *newest = Some((at, end));
        }
    }

    /// Whether it was last received at this time (ms since 1970) or later.
    pub(super) fn received_since(&self, at: u64) -> bool {
        self.held_at >= at
    }

    /// How the message ended. A deleted message is not given back and its lease is not lost; it may be received again,
    /// as a copy.
    pub(super) fn end(&self) -> End {
        let since = |end: &(u64, End)| end.0 >= self.held_at;
        self.gone.filter(since).or(self.left.filter(since)).map_or(End::Held, |(_, end)| end)
    }
}
