//! The counts of the audit.

use serde::Serialize;

use super::message::End;

/// Most jobs, and most messages, that are kept at a time; more are forgotten and counted.
pub(super) const MAX_KNOWN: usize = 200_000;

/// Counts over all logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the ends are described where they are defined")]
pub struct Totals {
    /// Logs read.
    pub files: u64,
    /// Controllers that started in them.
    pub processes: u64,
    /// Lines that are not empty.
    pub lines: u64,
    /// Lines that the audit does not need.
    pub other: u64,
    /// Lines that are no JSON object.
    pub torn: u64,
    pub succeeded: u64,
    pub dead: u64,
    pub ignored: u64,
    pub parked: u64,
    pub released: u64,
    pub lost: u64,
    pub held: u64,
    /// Deletes of messages that were received in none of the logs.
    pub unexplained: u64,
    /// Jobs and messages forgotten because there was no room.
    pub forgotten: u64,
    /// Violations.
    pub violations: u64,
}

impl Totals {
    pub(super) fn count(&mut self, end: End) {
        let count = match end {
            End::Succeeded => &mut self.succeeded,
            End::Dead => &mut self.dead,
            End::Ignored => &mut self.ignored,
            End::Parked => &mut self.parked,
            End::Released => &mut self.released,
            End::Lost => &mut self.lost,
            End::Held => &mut self.held,
        };
        *count += 1;
    }
}
