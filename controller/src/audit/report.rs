//! What the audit says in the end.

use std::fmt::Write;

use serde::Serialize;
use transcode_config::escape::{Place, escaped};

use super::book::{Book, Violation};

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

    fn words(self) -> &'static str {
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
    /// Lines that the audit has no use for.
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
    /// Deletes of messages whose receipt is in none of the logs.
    pub unexplained: u64,
    /// Jobs and messages forgotten for want of room.
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

/// A message and where it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageReport {
    /// Its id.
    pub message: String,
    /// Where it ended.
    pub end: End,
    /// The jobs that it asked for.
    pub jobs: Vec<String>,
}

/// The outcome of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every message that is remembered.
    pub messages: Vec<MessageReport>,
    /// What was violated; the first thousand.
    pub violations: Vec<Violation>,
    /// Counts.
    pub totals: Totals,
}

impl Book {
    /// What is to be said of the logs read so far.
    pub fn report(mut self) -> Report {
        let messages = self.messages.into_iter().map(|(message, known)| {
            let end = known.end();
            self.totals.count(end);
            MessageReport { message, end, jobs: known.jobs }
        });
        let messages = messages.collect();
        Report { messages, violations: self.violations, totals: self.totals }
    }
}

impl Report {
    /// For people: a line for each message, a line for each violation, and the counts.
    pub fn text(&self) -> String {
        let shown = |words: &str| escaped(words, Place::Line).into_owned();
        let mut text = String::new();
        // Writing to a string cannot fail.
        for MessageReport { message, end, jobs } in &self.messages {
            let jobs = if jobs.is_empty() { String::new() } else { format!(" (job {})", jobs.join(", ")) };
            let _ = writeln!(text, "message {}: {}{}", shown(message), end.words(), shown(&jobs));
        }
        for Violation { invariant, file, line, text: what } in &self.violations {
            let _ = writeln!(text, "violation {invariant} {}:{line}: {}", shown(file), shown(what));
        }
        let Totals { files, processes, lines, other, torn, succeeded, dead, ignored, .. } = &self.totals;
        let Totals { parked, released, lost, held, unexplained, forgotten, violations, .. } = &self.totals;
        let _ = writeln!(
            text,
            "audit: files={files} processes={processes} lines={lines} other={other} torn={torn} succeeded={succeeded} \
             dead={dead} ignored={ignored} parked={parked} released={released} lost={lost} held={held} \
             unexplained={unexplained} forgotten={forgotten} violations={violations}"
        );
        text
    }
}
