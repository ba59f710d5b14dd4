//! The events of jobs, as a bus of `EventBridge` gets them: `detail` of an entry whose `source` is [`EVENT_SOURCE`] and
//! whose `detail-type` is [`EventKind::detail_type`].
//!
//! The four outcomes are sent at least once for each job whose message is deleted, after the terminal record was read
//! (S18). The other kinds are sent as far as the controller happens to see what they tell; one may be missing, late or
//! double. Whoever reads them drops repeats by [`JobEvent::id`], which is the same whoever sends the event again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    document::Document,
    failure::{FailureCode, Who},
    heartbeat::Stage,
    job::{Attempt, JobKey},
    user_metadata::UserMetadata,
};

/// The `source` of every event.
pub const EVENT_SOURCE: &str = "transcode-operator";

/// Longest event, in bytes: an eighth of what `EventBridge`, SNS and SQS take.
pub const MAX_EVENT_BYTES: usize = 32 << 10;

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The first attempt is claimed: the job will be tried.
    Accepted,
    /// The task of an attempt runs.
    Started,
    /// A playlist of the segments so far can be played; the package is not finished.
    PlayableEarly,
    /// How far an attempt is; at most once a minute.
    Progress,
    /// The result is published under its stable names.
    Succeeded,
    /// The job will not be tried again.
    Dead,
    /// A newer upload of the same object is live. What the job made stays in its folder, without stable names.
    Superseded,
    /// Somebody cancelled the job.
    Cancelled,
}

impl EventKind {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Started,
        Self::PlayableEarly,
        Self::Progress,
        Self::Succeeded,
        Self::Dead,
        Self::Superseded,
        Self::Cancelled,
    ];

    /// Whether it is the end of a job, which is guaranteed to be told (S18).
    pub const fn is_outcome(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Superseded | Self::Cancelled)
    }

    /// The kind as one lower-case word.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// `detail-type` of its events, for the rules of a bus.
    pub const fn detail_type(self) -> &'static str {
        self.row().1
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Accepted => ("accepted", "Transcode Job Accepted"),
            Self::Started => ("started", "Transcode Job Started"),
            Self::PlayableEarly => ("playable_early", "Transcode Job Playable Early"),
            Self::Progress => ("progress", "Transcode Job Progress"),
            Self::Succeeded => ("succeeded", "Transcode Job Succeeded"),
            Self::Dead => ("dead", "Transcode Job Dead"),
            Self::Superseded => ("superseded", "Transcode Job Superseded"),
            Self::Cancelled => ("cancelled", "Transcode Job Cancelled"),
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The uploaded object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct EventObject {
    pub bucket: String,
    /// Object key, as it is in the bucket. A stranger's word.
    pub key: String,
    /// Version, where the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
}

/// Where the result lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventResult {
    /// Production bucket.
    pub bucket: String,
    /// The stable prefix, with a trailing slash; of a superseded job the folder that its files stay in.
    pub prefix: String,
    /// The stable names below the prefix: `master.m3u8`, `manifest.mpd`, `poster.jpg`, `metadata.json`, `manifest.json`,
    /// as far as the profile asks for them. Of a superseded job none: they are those of the newer upload.
    pub names: Vec<String>,
    /// Key of the list of all files, with sizes and checksums.
    pub files: String,
    /// Duration of the result, in milliseconds.
    pub duration_ms: u64,
    /// Size of all files together, in bytes.
    pub bytes: u64,
    /// Number of warnings in `metadata.json`; absent if the task was of a version that does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<u64>,
}

/// Why a job is dead.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventFailure {
    /// Stable code, as in `docs/errors.md`.
    pub code: FailureCode,
    /// One line for people.
    pub message: String,
    /// Who can do something about it.
    pub who: Who,
}

/// Who cancelled a job, and why. Words of people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct EventCancel {
    pub who: String,
    pub why: String,
}

/// How far an attempt is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct EventProgress {
    pub stage: Stage,
    /// Of the whole attempt, 0–100.
    pub percent: u8,
}

/// An event: `detail` of its entry on the bus. Fields that do not belong to its kind are absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct JobEvent {
    pub schema: u32,
    /// The same for each sending of the same event: `<job>.<generation>.<kind>`; for `started`, `playable_early` and
    /// `progress` with `.<attempt>` behind it, and for `progress` with `.<minute since 1970>` behind that.
    pub id: String,
    pub kind: EventKind,
    /// The controller's environment, to tell stacks on one bus apart.
    pub environment: String,
    pub job: JobKey,
    /// 0 for an upload or a request; one more for each redrive.
    pub generation: u32,
    /// When it happened (ms since 1970): for an outcome, when the terminal record was written.
    pub at_ms: u64,
    /// When the job was asked for (ms since 1970), if SQS says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at_ms: Option<u64>,
    /// The attempt that it is about: for `succeeded` the winner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The source; absent for a request that names none that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<EventObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The tenant, where the source has tenants: the bucket and the beginning of its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The caller's own words, from the request or the object's `x-amz-meta-*`.
    #[serde(default, skip_serializing_if = "UserMetadata::is_empty")]
    pub user_metadata: UserMetadata,
    /// Of `progress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<EventProgress>,
    /// Of `playable_early`: the playlist, in the production bucket. It is gone if the attempt does not win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playable: Option<EventObject>,
    /// Of `succeeded`, and of `superseded` if the job had a result when a newer upload was live already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<EventResult>,
    /// Of `dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<EventFailure>,
    /// Of `superseded`: the job that is live, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<JobKey>,
    /// Of `cancelled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<EventCancel>,
}

impl Document for JobEvent {
    const NAME: &'static str = "event";
    const LIMIT: usize = MAX_EVENT_BYTES;
}

/// Folder of the outbox of an environment in the state bucket: outcomes that the bus did not take in time.
pub fn outbox_prefix(environment: &str) -> String {
    format!("outbox/{environment}/")
}

/// Key of an event in the outbox: `outbox/<environment>/<ms since 1970>-<id>.json`. The oldest comes first, and whoever
/// writes the event again writes the same key.
pub fn outbox_key(event: &JobEvent) -> String {
    outbox_key_of(&event.environment, event.at_ms, &event.id)
}

/// The same of an event of which only time and id are known.
pub fn outbox_key_of(environment: &str, at_ms: u64, id: &str) -> String {
    format!("{}{at_ms:013}-{id}.json", outbox_prefix(environment))
}

/// [`JobEvent::id`] of an outcome.
pub fn outcome_id(job: &JobKey, generation: u32, kind: EventKind) -> String {
    format!("{job}.{generation}.{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{SCHEMA, decode, encode};

    /// The longest words that each field can have.
    fn longest() -> JobEvent {
        // Hidden characters take six bytes in JSON; a key of 780 leads to a stable prefix of nearly 800.
        let (key, line) = ("\u{1}".repeat(780), "\u{10348}".repeat(600));
        let words = (0..50).map(|n| (format!("{n:02}"), "\\".repeat(38))).collect();
        JobEvent {
            schema: SCHEMA,
            id: format!("{}.4294967295.{}", JobKey::of(&["x"]), EventKind::Succeeded),
            kind: EventKind::Succeeded,
            environment: "e".repeat(40),
            job: JobKey::of(&["x"]),
            generation: u32::MAX,
            at_ms: u64::MAX,
            asked_at_ms: Some(u64::MAX),
            attempt: Attempt::new(u32::MAX),
            source: Some(EventObject {
                bucket: "b".repeat(63),
                key: key.clone(),
                version_id: Some("v".repeat(1024)),
            }),
            profile: Some("p".repeat(64)),
            tenant: Some(format!("{}/{key}", "b".repeat(63))),
            user_metadata: UserMetadata::asked(words).unwrap(),
            progress: None,
            playable: None,
            result: Some(EventResult {
                bucket: "b".repeat(63),
                prefix: format!("videos/{key}/"),
                names: vec!["n".repeat(100); 12],
                files: format!("videos/{key}/v-0123456789ab-1/files.json"),
                duration_ms: u64::MAX,
                bytes: u64::MAX,
                warnings: Some(u64::MAX),
            }),
            failure: Some(EventFailure { code: FailureCode::NotMedia, message: line, who: Who::Uploader }),
            superseded_by: None,
            cancelled: None,
        }
    }

    #[test]
    fn the_longest_event_is_within_the_limit_and_comes_back() {
        let bytes = encode(&longest());
        assert!(bytes.len() > MAX_EVENT_BYTES / 2 && bytes.len() <= MAX_EVENT_BYTES, "{}", bytes.len());
        assert_eq!(decode::<JobEvent>(&bytes), Ok(longest()));
    }

    #[test]
    fn the_outbox_lists_the_oldest_first_and_an_event_once() {
        let at = |at_ms| outbox_key(&JobEvent { at_ms, environment: "prod".into(), ..longest() });
        assert!(at(999_999_999_999) < at(1_000_000_000_000));
        assert_eq!(at(7), at(7));
        assert!(at(7).starts_with(&outbox_prefix("prod")) && at(7).len() < 200, "{}", at(7));
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            let words = kind.detail_type().strip_prefix("Transcode Job ").unwrap();
            assert_eq!(words.to_lowercase().replace(' ', "_"), kind.name());
        }
    }
}
