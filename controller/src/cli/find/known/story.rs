//! What happened to a job, in the order of time, from its documents alone.

use serde::Serialize;
use transcode_config::contract::{Attempt, Heartbeat, JobStatus, Outcome, TaskState, Terminal};

use super::record::{AttemptRecord, Record};
use crate::cli::output::{address, time};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Moment {
    /// When (ms since 1970), by the clock of whoever wrote it down.
    pub(crate) at_ms: u64,
    /// `uploaded`, `accepted`, `claimed`, `heartbeat`, `ended`, `succeeded`, `dead`, `superseded`, `cancelled`, `published`,
    /// `event` or `waits`.
    pub(crate) what: &'static str,
    pub(crate) attempt: Option<u32>,
    /// In words.
    pub(crate) detail: String,
}

/// Everything that the documents tell of a job, the oldest first.
pub(crate) fn story(record: &Record, status: Option<&JobStatus>) -> Vec<Moment> {
    let mut told = Vec::new();
    let mut tell = |at_ms: u64, what, attempt: Option<u32>, detail: String| {
        told.push(Moment { at_ms, what, attempt, detail });
    };
    if let Some(spec) = &record.spec {
        let source = address(&spec.source.bucket, &spec.source.key);
        if let Some(at) = spec.source.uploaded_at_ms {
            tell(at, "uploaded", None, source.clone());
        }
        let generation =
            if spec.generation > 0 { format!(", generation {}", spec.generation) } else { String::new() };
        tell(
            spec.accepted_at_ms,
            "accepted",
            None,
            format!("{source}, profile {}{generation}", spec.profile.name),
        );
    }
    for AttemptRecord { claim, heartbeat } in &record.attempts {
        let number = Some(claim.attempt.number());
        let until = time(claim.launch_not_after_ms);
        tell(
            claim.created_at_ms,
            "claimed",
            number,
            format!("{}, to start before {until}", claim.task_definition),
        );
        if let Some(heartbeat) = heartbeat {
            let (what, detail) = beat(heartbeat);
            tell(heartbeat.written_at_ms, what, number, detail);
        }
    }
    if let Some(terminal) = &record.terminal {
        let (what, detail) = decided(terminal);
        tell(terminal.written_at_ms, what, None, detail);
    }
    if let Some(live) = &record.live {
        let prefix = address(&live.output.bucket, &live.output.prefix);
        if live.job == record.job {
            tell(live.published_at_ms, "published", None, prefix);
        } else if record.superseded_by().is_some() {
            tell(live.published_at_ms, "superseded", None, format!("job {} is live at {prefix}", live.job));
        }
    }
    if let Some((status, why)) = status.and_then(|status| Some((status, status.why.as_ref()?))) {
        tell(status.known_at_ms, "waits", status.attempt.map(Attempt::number), why.clone());
    }
    told.sort_by_key(|moment| moment.at_ms);
    told
}

/// The newest heartbeat; the last one of an attempt has its end.
fn beat(heartbeat: &Heartbeat) -> (&'static str, String) {
    let speed = heartbeat.speed.map(|speed| format!(", {speed:.2}x real time")).unwrap_or_default();
    let at = format!("{} {:.0} %{speed}", heartbeat.stage.name(), heartbeat.percent);
    match &heartbeat.state {
        TaskState::Working => ("heartbeat", at),
        TaskState::Finished => ("ended", "the task has finished".to_owned()),
        TaskState::Interrupted => ("ended", format!("stopped from outside at {at}")),
        TaskState::Failed { failure } => ("ended", format!("failed at {at}: {failure}")),
    }
}

fn decided(terminal: &Terminal) -> (&'static str, String) {
    match &terminal.outcome {
        Outcome::Succeeded(won) => {
            ("succeeded", format!("attempt {}, {} files, {} bytes", won.attempt, won.files, won.bytes))
        }
        Outcome::Dead(dead) => ("dead", dead.failure.to_string()),
        Outcome::Superseded(superseded) => {
            let by = superseded.by.as_ref().map(|by| format!(" by job {by}")).unwrap_or_default();
            ("superseded", format!("before it had a result{by}"))
        }
        Outcome::Cancelled(cancelled) => {
            ("cancelled", format!("by {}: {}", cancelled.told.who, cancelled.told.why))
        }
    }
}
