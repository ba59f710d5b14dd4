//! The report of the audit.

use std::fmt::Write;

use serde::Serialize;
use transcode_config::escape::{Place, escaped};

use super::{message::End, totals::Totals};

/// A message and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct MessageReport {
    pub message: String,
    /// How it ended.
    pub end: End,
    /// The jobs that it asked for.
    pub jobs: Vec<String>,
}

/// A promise that is broken according to the logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Violation {
    /// The promise: `S1`, …
    pub invariant: &'static str,
    /// The log file.
    pub file: String,
    /// The line number.
    pub line: u64,
    pub text: String,
}

/// The outcome of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Every message that is still kept.
    pub messages: Vec<MessageReport>,
    /// The first thousand violations.
    pub violations: Vec<Violation>,
    /// Counts.
    pub totals: Totals,
}

impl AuditReport {
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

#[cfg(test)]
mod tests {
    use transcode_config::escape::hidden;

    use super::*;

    #[test]
    fn a_log_that_strangers_filled_makes_one_line_for_each_thing_and_hides_nothing() {
        let words: String = (0..=0x0010_ffff).filter_map(char::from_u32).filter(|c| hidden(*c)).collect();
        let message = MessageReport { message: words.clone(), end: End::Held, jobs: vec![words.clone()] };
        let violation = Violation { invariant: "S1", file: words.clone(), line: 1, text: words };
        let report =
            AuditReport { messages: vec![message], violations: vec![violation], totals: Totals::default() };
        let text = report.text();
        assert_eq!(text.lines().count(), 3, "{text:?}");
        assert!(!text.chars().any(|c| c != '\n' && hidden(c)), "{text:?}");
    }
}
