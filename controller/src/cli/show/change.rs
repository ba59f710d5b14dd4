//! A job as of one reading, for commands that watch it.

use serde::Serialize;
use transcode_config::contract::{EndState, Outcome, TaskState};

use super::list::{progress, tint};
use crate::cli::{
    find::{Heard, JobRow, Record},
    output::{Show, Text, Tint, time},
};

/// A job at a moment: one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    /// When it was read (ms since 1970).
    pub(crate) at_ms: u64,
    #[serde(flatten)]
    pub(crate) row: JobRow,
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
pub(crate) fn row_of(record: &Record, heard: &Heard) -> Option<JobRow> {
    let status = heard.of_record(record);
    let Some(spec) = &record.spec else {
        let row = status.map(JobRow::of_status)?;
        return Some(end(row, record));
    };
    let row = JobRow::of_spec(spec);
    let row = status.map_or_else(|| row.clone(), |status| row.clone().with(status));
    Some(end(at_work(row, record), record))
}

/// With the newest heartbeat: the report has it later, and not at all while no controller speaks.
fn at_work(row: JobRow, record: &Record) -> JobRow {
    let Some(newest) = record.newest() else { return row };
    let attempt = Some(newest.claim.attempt.number());
    match &newest.heartbeat {
        Some(beat) if beat.state == TaskState::Working => JobRow {
            state: "running",
            attempt,
            stage: Some(beat.stage.name()),
            percent: Some(beat.percent),
            speed: beat.speed,
            ..row
        },
        None if row.state == "accepted" => JobRow { state: "launching", attempt, ..row },
        _ => JobRow { attempt, ..row },
    }
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

#[cfg(test)]
mod tests {
    use transcode_config::contract::{Attempt, JobKey, JobState, JobStatus};

    use super::*;
    use crate::cli::output::prints;

    #[test]
    fn watch_and_wait_print_a_line_for_a_change() {
        let status: JobStatus = serde_json::from_value(serde_json::json!({
            "job": JobKey::of(&["a"]), "bucket": "uploads", "key": "films/a\u{202e}.mp4", "profile": "standard",
            "state": JobState::Running, "asked_at_ms": 1_796_029_900_000_u64, "known_at_ms": 1_796_029_901_000_u64,
            "attempt": Attempt::FIRST, "stage": "transcoding", "percent": 42.4, "speed": 1.5,
        }))
        .unwrap();
        let row = JobRow::of_status(&status);
        prints("watch", &Change { at_ms: 1_796_029_920_000, row: row.clone() });
        let row = JobRow {
            state: "dead",
            code: Some("NOT_MEDIA".into()),
            ended_at_ms: Some(1_796_029_930_000),
            ..row
        };
        prints("wait", &Change { at_ms: 1_796_029_940_000, row });
    }
}
