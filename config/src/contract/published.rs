//! `published/<p>.json`, the pointer of one output prefix: whose result the stable names lead to, and how new it is
//! (S17). It only ever moves forward: it is created with `If-None-Match: *` and replaced with `If-Match`.

use serde::{Deserialize, Serialize};

use super::{
    document::Document,
    job::{Attempt, JobKey, JobSpec, OutputTarget},
    terminal::SourceRead,
};

/// How new the source of a job is, among the jobs of one output prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceOrder {
    /// S3's sequencer, where an event of the upload brought the job. Comparable for one object key only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<String>,
    /// Version of the object, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Entity tag of the object, without quotes, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When the version was uploaded (ms since 1970): the event's time, or `Last-Modified` as the task read it. Where
    /// nobody said, and where a person forced the job, when the job was accepted.
    pub uploaded_at_ms: u64,
    /// When the job was accepted (ms since 1970): decides between two jobs of one version.
    pub accepted_at_ms: u64,
}

impl SourceOrder {
    /// The order of a job, from its specification and, where no event of S3 brought it, from what its task says it has
    /// read. That comes from a process which decoded a stranger's file: it cannot claim a time after `now_ms`.
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

/// The object that a prefix was made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceObject {
    /// Bucket name.
    pub bucket: String,
    /// Object key.
    pub key: String,
}

/// The pointer of one output prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Published {
    /// Schema number.
    pub schema: u32,
    /// Whose prefix this is.
    pub output: OutputTarget,
    /// The object that the live result was made of.
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
