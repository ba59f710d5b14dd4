//! A message, as the logs have it, and where it ended.

use serde::Serialize;

/// Where a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Deleted; all its jobs are published.
    Succeeded,
    /// Deleted; a job of it is dead, and its letter is in the dead-letter queue.
    Dead,
    /// Deleted; it asked for nothing.
    Ignored,
    /// Put aside: of a version that the controller does not know.
    Parked,
    /// Given back.
    Released,
    /// Its lease ran out or was taken.
    Lost,
    /// Held when the log ends, or when its controller did.
    Held,
}

impl End {
    /// Whether the message is gone.
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
    /// When it was received last.
    held_at: u64,
    /// When it was deleted last, and as what.
    gone: Option<(u64, End)>,
    /// When it was last given back, put aside or lost.
    left: Option<(u64, End)>,
    /// The process that holds it, or held it last.
    pub(super) held_by: u64,
    pub(super) parked: bool,
    /// Jobs whose dead letter was acknowledged on its behalf, and to which process.
    pub(super) lettered: Vec<(String, u64)>,
}

impl Message {
    /// Notes an end, or a receipt. Logs of several controllers are read one after the other: their times count.
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

    /// Where it is. What is deleted is not given back, nor its lease lost; it may be received again, as a copy.
    pub(super) fn end(&self) -> End {
        let since = |end: &(u64, End)| end.0 >= self.held_at;
        self.gone.filter(since).or(self.left.filter(since)).map_or(End::Held, |(_, end)| end)
    }
}
