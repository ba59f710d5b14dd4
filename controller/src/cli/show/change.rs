//! A job as of one reading, for commands that watch it.

use serde::Serialize;
use transcode_config::contract::{EndState, Outcome};

use super::list::{progress, tint};
use crate::cli::{
    find::{Heard, JobRow, Record},
    output::{Show, Text, Tint, time},
};

/// A job at a moment: one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::cli) struct Change {
    /// When it was read (ms since 1970).
    pub(in crate::cli) at_ms: u64,
    #[serde(flatten)]
    pub(in crate::cli) row: JobRow,
}

impl Show for Change {
    fn people(&self, text: &mut Text) {
        let JobRow { job, state, key, .. } = &self.row;
        text.span(Tint::Faint, &time(self.at_ms)).span(Tint::Plain, &format!("  {job}  "));
        text.span(tint(state), &format!("{state:<10}"));
        text.line(&format!("  {}  {}", key.as_deref().unwrap_or("-"), progress(&self.row)));
    }

    fn names(&self) -> Vec<String> {
        vec![self.row.job.to_string()]
    }
}

/// The row of one job, from its record and the report; `None` if neither knows it. A succeeded job has ended only once
/// it is published or superseded.
pub(in crate::cli) fn row_of(record: &Record, heard: &Heard) -> Option<JobRow> {
    let status = heard.job(&record.job);
    let Some(spec) = &record.spec else {
        let row = status.map(JobRow::of_status)?;
        return Some(end(row, record));
    };
    let row = JobRow::of_spec(spec);
    let row = status.map_or_else(|| row.clone(), |status| row.clone().with(status));
    Some(end(row, record))
}

fn end(row: JobRow, record: &Record) -> JobRow {
    let Some(terminal) = record.terminal.as_ref() else { return row };
    if record.is_unpublished(&terminal.outcome) {
        return JobRow { state: "settling", ..row };
    }
    let state = match record.superseded_by() {
        Some(_) => EndState::Superseded,
        None => EndState::of(&terminal.outcome),
    };
    let code = match &terminal.outcome {
        Outcome::Dead(dead) => Some(dead.failure.code.to_string()),
        _ => None,
    };
    JobRow { state: state.name(), code, ended_at_ms: Some(terminal.written_at_ms), why: None, ..row }
}
