//! `status/<environment>/status.json`: what the controller knows, for people and programs that cannot reach it.
//!
//! The controller overwrites it when something changes, at most every ten seconds, and at least once a minute while it
//! lives. So a report that is older than two minutes means that no controller speaks ([`StatusReport::age_ms`]). Of two
//! controllers the one that started later writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    document::Document,
    heartbeat::{Stage, finite_if_any},
    index::EndState,
    job::{Attempt, JobKey},
};

/// `status/<environment>/status.json`.
pub fn status_key(environment: &str) -> String {
    format!("status/{environment}/status.json")
}

/// The report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct StatusReport {
    pub schema: u32,
    pub environment: String,
    /// Random for each process of the controller.
    pub instance: String,
    /// Version of the controller.
    pub version: String,
    /// When the process started (ms since 1970, the controller's clock).
    pub started_at_ms: u64,
    /// When the report was made (ms since 1970, the controller's clock).
    pub written_at_ms: u64,
    /// The process is ending: it begins nothing new.
    pub draining: bool,
    /// The process has ended: this is its last report.
    #[serde(default)]
    pub ended: bool,
    /// Why launches pause; absent while they go on, and during ordinary short pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launches_pause: Option<PauseStatus>,
    /// Why receiving stops; absent while it goes on, and during ordinary short stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_pause: Option<PauseStatus>,
    /// The control document as the controller last read it; absent before the first reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlStatus>,
    /// Each queue of the settings by its name. A queue that could not be counted yet is absent.
    #[serde(default)]
    pub queues: BTreeMap<String, QueueStatus>,
    /// Tasks that were launched and not seen ended.
    pub tasks_in_flight: u64,
    /// Most tasks at the same time, by the settings.
    pub max_tasks: u64,
    /// The breaker, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerStatus>,
    /// ARN, with its revision, of the task definition that new attempts are pinned to; absent until it is known and fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// Digest of its image, where it was looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Number of known jobs that are not listed, because there are too many.
    pub left_off: u64,
    /// The jobs that the controller knows: those at work first, then those that are settled, then those that wait. The
    /// last field, so that it can be written job by job.
    pub jobs: Vec<JobStatus>,
}

impl StatusReport {
    /// Most jobs in a report.
    pub const MOST_JOBS: usize = 10_000;

    /// Age of the report (ms) at `now_ms` (ms since 1970, the reader's clock). 0 if the reader's clock is behind.
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.written_at_ms)
    }
}

impl Document for StatusReport {
    const NAME: &'static str = "status.json";
    const LIMIT: usize = 8 << 20;
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PauseStatus {
    /// Its cause, as a phrase.
    pub why: String,
    /// Since when the controller has told of this cause (ms since 1970).
    pub since_ms: u64,
}

/// The control document in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ControlStatus {
    /// Its revision; 0 if there is none.
    pub revision: u64,
    /// Why a newer document is refused, and this one stays in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The open breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BreakerStatus {
    /// What fails, as a phrase.
    pub why: String,
    /// When the next job is tried (ms since 1970).
    pub probe_at_ms: u64,
}

/// Estimated counts of a queue's messages, by SQS: they lag by up to a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct QueueStatus {
    /// Messages that may be received now.
    pub visible: u64,
    /// Messages that a controller holds, or that are put back for a while.
    pub in_flight: u64,
    /// Messages whose delay has not passed yet.
    pub delayed: u64,
    /// Messages in its dead-letter queue, held ones included; absent if they could not be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<u64>,
    /// When they were counted (ms since 1970).
    pub counted_at_ms: u64,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its message is held; no attempt is claimed or at work. `why` says what it waits for.
    Queued,
    /// An attempt is claimed, and its task has not been heard of yet.
    Launching,
    /// A task works on it.
    Running,
    /// It is decided; its result is published, or its dead letter sent, and then its message deleted.
    Settling,
}

impl JobState {
    /// The state as one lower-case word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Launching => "launching",
            Self::Running => "running",
            Self::Settling => "settling",
        }
    }
}

/// The states of a job in a list, as words: those of a report, `accepted` for a job that only the index knows, and those
/// of its end.
pub const JOB_STATES: [&str; 9] = [
    JobState::Queued.name(),
    JobState::Launching.name(),
    JobState::Running.name(),
    JobState::Settling.name(),
    "accepted",
    EndState::Succeeded.name(),
    EndState::Dead.name(),
    EndState::Superseded.name(),
    EndState::Cancelled.name(),
];

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct JobStatus {
    pub job: JobKey,
    /// Bucket of the source; absent where the request names none that is allowed, and after a restart while only the job's
    /// task is known: until its message comes back, or, with tenants, its specification is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Object key of the source. A stranger's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    pub state: JobState,
    /// When the first message that asks for it was sent (ms since 1970), if SQS says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at_ms: Option<u64>,
    /// When this controller learned of it (ms since 1970).
    pub known_at_ms: u64,
    /// The newest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// Stage of the newest heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Progress of the whole attempt, 0–100, of the newest heartbeat.
    #[serde(default, deserialize_with = "finite_if_any", skip_serializing_if = "Option::is_none")]
    pub percent: Option<f32>,
    /// Encoding speed as a multiple of real time, of the newest heartbeat.
    #[serde(default, deserialize_with = "finite_if_any", skip_serializing_if = "Option::is_none")]
    pub speed: Option<f32>,
    /// When the newest heartbeat was first seen (ms since 1970, the controller's clock).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_at_ms: Option<u64>,
    /// Its task, where one is known that has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_arn: Option<String>,
    /// Why it waits, as one phrase; absent while it is being worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// It waits until then at the earliest (ms since 1970), if a time is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Its step, if it is decided or the step fails: `read`, `claim`, `give_up`, `publish`, `index`,
    /// `announce`, `put_aside`, `collect`, `dead_letter` or `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// AWS refuses that step until somebody removes the cause.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{SCHEMA, decode, encode};

    #[test]
    fn a_report_may_be_larger_than_other_documents_and_says_its_age() {
        let job = JobStatus {
            job: JobKey::of(&["x"]),
            bucket: Some("in".into()),
            key: Some("k".repeat(1024)),
            profile: None,
            tenant: None,
            state: JobState::Running,
            asked_at_ms: None,
            known_at_ms: 1,
            attempt: Some(Attempt::FIRST),
            stage: Some(Stage::Transcoding),
            percent: Some(12.5),
            speed: None,
            heartbeat_at_ms: Some(2),
            task_arn: None,
            why: None,
            until_ms: None,
            step: None,
            refused: false,
        };
        let report = StatusReport {
            schema: SCHEMA,
            written_at_ms: 5_000,
            jobs: vec![job; 2000],
            ..StatusReport::default()
        };
        let bytes = encode(&report);
        assert!(bytes.len() > 2 << 20, "{}", bytes.len());
        assert_eq!(decode::<StatusReport>(&bytes), Ok(report.clone()));
        assert_eq!((report.age_ms(12_000), report.age_ms(0)), (7_000, 0));
        let too_long = [bytes, vec![b' '; StatusReport::LIMIT]].concat();
        assert!(decode::<StatusReport>(&too_long).is_err());
    }
}
