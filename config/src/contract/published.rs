//! `published/<p>.json`, the pointer of one output prefix: the job whose result has the stable names, and how new it
//! is (S17). It only moves forward: it is created with `If-None-Match: *` and replaced with `If-Match`.

use serde::{Deserialize, Serialize};

use super::{
    document::Document,
    job::{Attempt, JobKey, JobSpec, OutputTarget},
    terminal::SourceRead,
};

/// How new the source of a job is, among the jobs of one output prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceOrder {
    /// S3's sequencer, if an upload event brought the job. Comparable for one object key only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<String>,
    /// Version of the object, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Entity tag of the object, without quotes, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When the version was uploaded (ms since 1970): the event's time, or `Last-Modified` as the task read it. If
    /// neither is known, and if a person forced the job: when the job was accepted.
    pub uploaded_at_ms: u64,
    /// When the job was accepted (ms since 1970): decides between two jobs of one version.
    pub accepted_at_ms: u64,
}

impl SourceOrder {
    /// The order of a job, from its specification and, if no event of S3 brought it, from the object that its task
    /// read. That comes from a process that decoded a stranger's file, so its time is limited to `now_ms`.
    pub fn of(spec: &JobSpec, read: Option<&SourceRead>, now_ms: u64) -> Self {
        let (source, accepted_at_ms) = (&spec.source, spec.accepted_at_ms);
        let read = read.filter(|_| source.sequencer.is_none());
        let read_at = read.and_then(|read| read.modified_at_ms).map(|at| at.min(now_ms));
        let uploaded_at_ms =
            if spec.forced { None } else { source.uploaded_at_ms.or(read_at) }.unwrap_or(accepted_at_ms);
        Self {
            sequencer: source.sequencer.clone().filter(|_| !spec.forced),
            version_id: source.version_id.clone().or_else(|| read?.version_id.clone()),
            etag: source.etag.clone().or_else(|| read?.etag.clone()),
            uploaded_at_ms,
            accepted_at_ms,
        }
    }
}

/// The object behind the result of a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct SourceObject {
    pub bucket: String,
    pub key: String,
}

/// The pointer of one output prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Published {
    pub schema: u32,
    /// The prefix.
    pub output: OutputTarget,
    /// The object behind the live result.
    pub source: SourceObject,
    /// The job that is live.
    pub job: JobKey,
    /// Its winning attempt.
    pub attempt: Attempt,
    /// The folder of that attempt: a key prefix with a trailing slash.
    pub folder: String,
    /// How new it is.
    pub order: SourceOrder,
    /// The highest sequencer of this object that was ever live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest_sequencer: Option<String>,
    /// 1 for the first job that was live under the prefix, one more for each after it.
    pub serial: u64,
    /// When the pointer was moved (ms since 1970).
    pub published_at_ms: u64,
}

impl Document for Published {
    const NAME: &'static str = "pointer of an output prefix";
}
