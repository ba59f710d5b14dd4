//! Audit: the job protocol's invariants, held against the controllers' logs.
//!
//! ```text
//! log file ─ line ─► Book (jobs, messages) ─► violations, and where each message ended
//! ```
//!
//! It needs nothing but the lines that [`crate::events`] writes at the usual level, one file for each controller: what
//! one process may do depends on what that process has read. Restarts within a file are told by `controller started`.
//!
//! | id | what the logs must not show |
//! |---|---|
//! | S1 | a delete before that process read the terminal record of each job, published a success, or had a dead letter acknowledged |
//! | S2 | two terminal records of one job |
//! | S5 | a claim while an attempt before it is not said to be over |
//! | S6 | two claims of one attempt number |
//! | S7 | a launch after its deadline, or two tasks for one attempt |
//! | S9, S10 | a claim beyond the job's, or the platform's, budget |
//! | S11 | a dead terminal record without code, attempts, or the task that there was |
//! | S12 | a claim or a launch after the terminal record was read; an ending that is not the terminal record's |
//! | S15 | a delete of a message that was put aside |
//!
//! Memory is bounded: 200,000 jobs and as many messages; what is settled is forgotten first. No line, however
//! torn, is an error; it is counted.

mod history;
mod line;
mod message;
mod report;
#[cfg(test)]
mod tests;
mod totals;

use std::io::{self, BufRead, Read};

pub use self::{
    history::History,
    message::End,
    report::{AuditReport, MessageReport, Violation},
    totals::Totals,
};

/// Longest line that is looked at. Ours are far shorter; a longer one counts as torn.
const MAX_LINE: u64 = 1 << 20;

impl History {
    /// Reads the log of one controller to its end. `source` names it in violations.
    pub fn read(&mut self, source: &str, mut log: impl BufRead) -> io::Result<()> {
        self.begin(source);
        let mut bytes = Vec::new();
        let mut number = 0;
        loop {
            bytes.clear();
            if log.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(());
            }
            number += 1;
            if bytes.last() != Some(&b'\n') && bytes.len() as u64 == MAX_LINE {
                skip_line(&mut log)?;
            }
            if !bytes.trim_ascii().is_empty() {
                self.line(number, line::parse(&bytes));
            }
        }
    }
}

/// Passes over the rest of a line without keeping it.
fn skip_line(log: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = log.fill_buf()?;
        let (used, done) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        log.consume(used);
        if done {
            return Ok(());
        }
    }
}
