//! Where a job stands, for people: the one structure behind the report and `/notes`.

use serde::{Deserialize, Serialize};
use transcode_config::{
    contract::{JobKey, JobState, JobStatus, TaskState},
    escape::one_line,
};
use transcode_core::{
    message::Request,
    protocol::clock::{Ms, Now},
    state::{
        job::{AttemptState, Job},
        ledger::Ledger,
        note::Note,
    },
};

/// Longest reason, in characters. AWS' words are part of some.
const MOST_WORDS: usize = 500;

/// Why one job waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The reason, as one phrase.
    pub why: String,
    /// The job waits until then at the earliest (ms since 1970), if a time is known.
    pub until_ms: Option<u64>,
    /// The job's step, if the job is decided or the step fails: `read`, `claim`, `give_up`, `publish`, `index`,
    /// `announce`, `put_aside`, `collect`, `dead_letter` or `delete`.
    #[serde(default)]
    pub step: Option<String>,
    /// AWS refuses that step until somebody removes the cause.
    #[serde(default)]
    pub refused: bool,
}

impl Waiting {
    /// A note on the clock that people have.
    pub(super) fn of(note: Note, now: Now) -> Self {
        Self {
            why: note.why.into_owned(),
            until_ms: note.until.map(|until| wall_of(until, now)),
            step: note.step.map(|step| step.name().to_owned()),
            refused: note.refused,
        }
    }
}

/// The wall clock at a monotonic time, before or after now (ms since 1970).
pub(super) fn wall_of(mono: Ms, now: Now) -> u64 {
    now.wall.saturating_add(mono).saturating_sub(now.mono)
}

/// The place of a job in a report: jobs at work first, then those that are settled, then those that wait.
pub(super) fn place(ledger: &Ledger, job: &Job) -> u8 {
    match state(ledger, job) {
        JobState::Running => 0,
        JobState::Launching => 1,
        JobState::Settling => 2,
        JobState::Queued => 3,
    }
}

fn state(ledger: &Ledger, job: &Job) -> JobState {
    if job.terminal().is_some() {
        return JobState::Settling;
    }
    let newest = job.attempt.as_ref();
    let number = newest.map(|attempt| attempt.claim.attempt);
    let mut tasks = job.tasks.iter().filter(|(_, of)| number.is_none_or(|newest| **of >= newest));
    if tasks
        .any(|(arn, _)| ledger.tasks.get(arn).is_some_and(|task| task.running_at.is_some() && !task.ended()))
    {
        return JobState::Running;
    }
    match newest {
        Some(attempt) if attempt.told || attempt.refused.is_some() => JobState::Queued,
        Some(attempt) => match attempt.heartbeat.as_ref().map(|beat| &beat.state) {
            Some(TaskState::Working) => JobState::Running,
            Some(TaskState::Finished | TaskState::Interrupted | TaskState::Failed { .. }) => JobState::Queued,
            None => JobState::Launching,
        },
        None if !job.tasks.is_empty() => JobState::Launching,
        None => JobState::Queued,
    }
}

/// The status of a job; `None` if the ledger does not know it.
pub(super) fn job_status(ledger: &Ledger, key: &JobKey, now: Now) -> Option<JobStatus> {
    let job = ledger.jobs.get(key)?;
    let spec = match &job.request {
        Some(Request::Run(spec)) => Some(spec),
        Some(Request::Refuse { .. }) => None,
        None => job.accepted.as_ref(),
    };
    let attempt = job.attempt.as_ref();
    let beat = attempt.and_then(|attempt| Some((attempt.heartbeat.as_ref()?, attempt.heartbeat_at)));
    let progress = attempt.and_then(AttemptState::progress);
    let waiting = ledger.note_of(key).map(|note| Waiting::of(note, now));
    let running = |arn: &&_| ledger.tasks.get(*arn).is_some_and(|task| !task.ended());
    Some(JobStatus {
        job: key.clone(),
        bucket: spec.map(|spec| spec.source.bucket.clone()),
        key: spec.map(|spec| spec.source.key.clone()),
        profile: spec.map(|spec| spec.profile.name.clone()),
        tenant: ledger.tenant_of(key).filter(|_| job.tenant != 0).map(|tenant| tenant.name.to_string()),
        state: state(ledger, job),
        asked_at_ms: job.asked_at_ms,
        known_at_ms: wall_of(job.since, now),
        attempt: attempt.map(|attempt| attempt.claim.attempt),
        stage: progress.map(|(stage, _)| stage),
        percent: progress.map(|(_, percent)| percent),
        speed: beat.and_then(|(beat, _)| beat.speed),
        heartbeat_at_ms: beat.map(|(_, at)| wall_of(at, now)),
        task_arn: job.tasks.keys().rfind(running).map(|arn| arn.0.to_string()),
        why: waiting.as_ref().map(|waiting| one_line(&waiting.why, MOST_WORDS)),
        until_ms: waiting.as_ref().and_then(|waiting| waiting.until_ms),
        refused: waiting.as_ref().is_some_and(|waiting| waiting.refused),
        step: waiting.and_then(|waiting| waiting.step),
    })
}
