//! `terminal.json`, the terminal record: result, fence and dead-letter decision in one object, written once.

use serde::{Deserialize, Serialize};

use super::{
    TERMINAL_CANCELLED,
    claim::PastAttempt,
    control::Told,
    document::Document,
    failure::Failure,
    job::{Attempt, JobKey},
    user_metadata::UserMetadata,
};

/// An object by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Key in the output bucket.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// A stable name that players fetch, and the object in the winner's folder that is copied to it when settling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPoint {
    /// Key under the stable prefix, such as `videos/cat.mp4/master.m3u8`.
    pub to: String,
    /// The copied object; content type and cache control are copied with it.
    pub from: ObjectRef,
}

/// The source as the winning task read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRead {
    /// Version, where the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Entity tag without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified` (ms since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at_ms: Option<u64>,
    /// Its `x-amz-meta-*`, as far as it fits.
    #[serde(default, skip_serializing_if = "UserMetadata::is_empty")]
    pub user_metadata: UserMetadata,
}

/// The job succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Succeeded {
    /// The winning attempt.
    pub attempt: Attempt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_arn: Option<String>,
    /// Output bucket.
    pub bucket: String,
    /// The winner's folder: a key prefix with a trailing slash.
    pub folder: String,
    /// The manifest of every file in the folder with its size and checksum.
    pub manifest: ObjectRef,
    /// Number of files in the manifest.
    pub files: u64,
    /// Their sizes added up, in bytes.
    pub bytes: u64,
    /// Duration of the result, in milliseconds.
    pub duration_ms: u64,
    /// Number of warnings in `metadata.json`; none from tasks of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<u64>,
    /// The source that it read; none from tasks of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRead>,
    /// The files that settling publishes, in this order.
    pub entry_points: Vec<EntryPoint>,
}

/// The job is dead: it will not be tried again (S11).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dead {
    /// The cause, with evidence.
    pub failure: Failure,
    /// The last task, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_task_arn: Option<String>,
    /// Address of the last task's log, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_link: Option<String>,
    /// Every attempt, oldest first.
    #[serde(default)]
    pub attempts: Vec<PastAttempt>,
}

/// A later upload of the same object went live before the job had a result: it was stopped, or never begun (S17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// The job that was live then, where whoever wrote this knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<JobKey>,
    /// The last task, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_task_arn: Option<String>,
    /// Every attempt, oldest first.
    #[serde(default)]
    pub attempts: Vec<PastAttempt>,
}

/// Somebody cancelled the job before it had a result: it was stopped, or never begun, and will not be tried again (S19).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// By whom, why, and when that was asked for.
    pub told: Told,
    /// The last task, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_task_arn: Option<String>,
    /// Every attempt, oldest first.
    #[serde(default)]
    pub attempts: Vec<PastAttempt>,
}

/// How the job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Written by the task.
    Succeeded(Succeeded),
    /// Written by the controller.
    Dead(Dead),
    /// Written by the controller.
    Superseded(Superseded),
    /// Written by the controller. The record has the schema [`TERMINAL_CANCELLED`].
    Cancelled(Cancelled),
}

impl Outcome {
    /// Whether this shows that an attempt is over: it won, or no attempt did and so all were over.
    pub fn ends(&self, attempt: Attempt) -> bool {
        match self {
            Self::Succeeded(winner) => winner.attempt == attempt,
            Self::Dead(_) | Self::Superseded(_) | Self::Cancelled(_) => true,
        }
    }

    /// Whether whoever wrote this knew of no attempt: so the specification may be missing, and the index may lack the
    /// job's acceptance.
    pub fn never_claimed(&self) -> bool {
        match self {
            Self::Succeeded(_) => false,
            Self::Dead(dead) => dead.attempts.is_empty(),
            Self::Superseded(superseded) => superseded.attempts.is_empty(),
            Self::Cancelled(cancelled) => cancelled.attempts.is_empty(),
        }
    }
}

/// The terminal record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Terminal {
    /// Schema number: [`TERMINAL_CANCELLED`] if the job was cancelled, [`super::SCHEMA`] if not.
    pub schema: u32,
    pub job: JobKey,
    /// Random per writer: distinguishes this writer's record, whose answer was lost, from another's.
    pub nonce: String,
    /// When (ms since 1970).
    pub written_at_ms: u64,
    /// How the job ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Document for Terminal {
    const NAME: &'static str = "terminal.json";
    const NEWEST: u32 = TERMINAL_CANCELLED;
}
