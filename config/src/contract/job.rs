//! Identity and specification of a job.

use std::{cmp::Ordering, fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{SPEC_WITH_EDIT, document::Document, edit::Edit, user_metadata::UserMetadata};
use crate::ladder::Profile;

/// Identity of a job: 32 lower-case hexadecimal characters.
///
/// A hash of the uploader's request, never of the message that carried it: a redrive changes the `MessageId`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("pattern" = "^[0-9a-f]{32}$")))]
pub struct JobKey([u8; 32]);

/// Ordered as text. Implemented by hand: the first eight digits nearly always decide, and comparing them as numbers
/// takes two instructions. Every map of jobs compares keys all the time.
impl Ord for JobKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let head = |key: &Self| key.0.first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
        head(self).cmp(&head(other)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for JobKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Not a job key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job key is 32 lower-case hexadecimal characters")]
pub struct JobKeyError;

impl JobKey {
    /// Hashes the parts that name a job. Each part is length-prefixed, so `("ab", "c")` differs from `("a", "bc")`.
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let half = hash.finalize().iter().take(16).fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
        let digit =
            |place: usize| b"0123456789abcdef".get((half >> (124 - 4 * place)) as usize & 15).copied();
        Self(std::array::from_fn(|place| digit(place).unwrap_or_default()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        // The bytes are ASCII: no constructor accepts others.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JobKey").field(&self.as_str()).finish()
    }
}

impl FromStr for JobKey {
    type Err = JobKeyError;

    fn from_str(text: &str) -> Result<Self, JobKeyError> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = text.as_bytes().try_into().map_err(|_| JobKeyError)?;
        text.bytes().all(hex).then_some(Self(digits)).ok_or(JobKeyError)
    }
}

impl TryFrom<String> for JobKey {
    type Error = JobKeyError;

    fn try_from(text: String) -> Result<Self, JobKeyError> {
        text.parse()
    }
}

impl From<JobKey> for String {
    fn from(key: JobKey) -> Self {
        key.as_str().to_owned()
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Number of an attempt at a job: 1, 2, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attempt(pub NonZeroU32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// An attempt number, unless it is zero.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The attempt after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The plain number.
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The uploaded object, pinned as far as the event allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Source {
    pub bucket: String,
    /// Object key, decoded.
    pub key: String,
    /// Version, where the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Entity tag without quotes. Reads are made conditional on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Size in bytes as the event gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// S3's sequencer: orders events on one key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<String>,
    /// When it was uploaded, as the event says (ms since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded_at_ms: Option<u64>,
}

/// Where the result goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OutputTarget {
    /// Production bucket.
    pub bucket: String,
    /// Stable prefix that players know, with a trailing slash. Computed by [`super::output_prefix`].
    pub prefix: String,
}

/// `spec.json`: a job as it was accepted. Whatever the settings become later, the job runs as it was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct JobSpec {
    /// Schema number: [`SPEC_WITH_EDIT`] if there is an edit, [`super::SCHEMA`] if not.
    pub schema: u32,
    pub job: JobKey,
    /// 0 for an upload; one more for each redrive out of the dead-letter queue.
    pub generation: u32,
    /// What to transcode.
    pub source: Source,
    /// The profile, resolved to a full ladder. Jobs of one profile share it, unless a
    /// language makes it the job's own.
    pub profile: Arc<Profile>,
    /// Changes to the source.
    #[serde(default, skip_serializing_if = "Edit::is_none")]
    pub edit: Edit,
    /// Where to put it.
    pub output: OutputTarget,
    /// Longest run of one attempt, in seconds. The task ends itself then; the controller stops it soon after.
    pub max_run_seconds: u64,
    /// Largest source that is accepted, in bytes.
    pub max_source_bytes: u64,
    /// When the job was accepted, in milliseconds since 1970.
    pub accepted_at_ms: u64,
    /// The caller's own name of the job, if it has one. A request under the same name for another source is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The caller's own words, from the request. Those of the object are the task's to read.
    #[serde(default, skip_serializing_if = "UserMetadata::is_empty")]
    pub user_metadata: UserMetadata,
    /// A person published it although its source is older than the live one: it counts as uploaded when it was
    /// accepted (S17).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

impl Document for JobSpec {
    const NAME: &'static str = "spec.json";
    const NEWEST: u32 = SPEC_WITH_EDIT;
}
