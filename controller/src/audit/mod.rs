//! Audit: checks the controllers' logs against the job protocol's promises.
//!
//! ```text
//! log file ─ line ─► History (jobs, messages) ─► violations, and how each message ended
//! ```
//!
//! The audit reads only the lines that [`crate::events`] writes at the usual level, one file for each controller: what
//! a process may do depends on what that process has read. A line `controller started` within a file marks a restart.
//!
//! | id | what the logs must not show |
//! |---|---|
//! | S1 | a delete before that process read the terminal record of each job, published a success, or had a dead letter acknowledged |
//! | S2 | two terminal records of one job |
//! | S5 | a claim while an earlier attempt is not logged as over |
//! | S6 | two claims of one attempt number |
//! | S7 | a launch after its deadline, or two tasks for one attempt |
//! | S9, S10 | a claim beyond the job's, or the platform's, budget |
//! | S11 | a dead terminal record without code, attempts, or the task that existed |
//! | S12 | a claim or a launch after the terminal record was read; a job settled otherwise than its terminal record says |
//! | S15 | a delete of a message that was put aside |
//! | S17 | two jobs live under one serial number of a prefix, or an older upload under a higher one |
//! | S18 | a delete before the bus or the outbox had the event of each job's end, where a bus is set; an event before that process read the terminal record, or of another end |
//! | S19 | a cancelled job that is published |
//! | S20 | a delete before the index had the end of each job |
//! | L9 | a tenant with more tasks or CPU units than it may have; a first job of a tenant that more claims of others pass over than there are others |
//!
//! Memory is bounded: 200,000 jobs and as many messages; settled ones are forgotten first. A torn line is no error; it
//! is counted.

mod duties;
mod history;
mod line;
mod message;
mod prefixes;
mod report;
mod settling;
mod tenants;
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

/// Longest line that is read, in bytes. Ours are far shorter; a longer one counts as torn.
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
                self.end();
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

/// Skips the rest of a line without keeping it.
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
