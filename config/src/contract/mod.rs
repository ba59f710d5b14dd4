//! The contract of controller and task.
//!
//! | object (state bucket) | written by | when | how |
//! |---|---|---|---|
//! | `jobs/<j>/spec.json` | controller | the job is accepted | `If-None-Match: *` |
//! | `jobs/<j>/attempts/<n>.json` | controller | before `RunTask` for attempt n | `If-None-Match: *` |
//! | `jobs/<j>/attempts/<n>.heartbeat.json` | the task of attempt n | while it works, and once more when it ends | overwritten |
//! | `live/<environment>/<j>-<n>` | the task of attempt n | after every third heartbeat; removed when it ends | overwritten; its length says how far the task is |
//! | `jobs/<j>/terminal.json` | task (succeeded) or controller (dead, superseded, cancelled) | once | `If-None-Match: *` |
//! | `published/<p>.json` | controller | before it writes the entry points of a newer job | `If-None-Match: *`, then `If-Match` |
//! | `index/recent/…`, `index/source/…` | controller | a job is accepted; before its message is deleted | overwritten with the same, empty |
//! | `outbox/<environment>/…` | controller | the bus has not taken an outcome's event in time | overwritten with the same; deleted once the bus has it |
//! | `status/<environment>/status.json` | controller | on change, and once a minute | `If-None-Match: *`, then `If-Match` |
//! | `control/<environment>/control.json` | the commands of people | when they want something of the controller | `If-None-Match: *`, then `If-Match` |
//!
//! Every document carries `schema`. A reader that meets a newer schema than it knows leaves the object, and the
//! message that led to it, alone (invariant S15); see [`decode`].

mod beacon;
mod claim;
mod control;
mod document;
mod edit;
mod env;
mod event;
mod exit;
mod failure;
mod heartbeat;
mod image;
mod index;
mod job;
mod layout;
mod published;
mod status;
mod terminal;
mod trace;
mod user_metadata;
mod warning;

pub use beacon::{Beacon, beacon_key, beacon_of, beacon_prefix};
pub use claim::{Budget, Capacity, Claim, PastAttempt, TaskShape};
pub use control::{
    Cancel, Cancels, Control, MAX_CANCELS, MAX_CONTROL_TEXT, MAX_NAMES, OwnProfile, SettingsOverlay, Told,
};
pub use document::{Document, DocumentError, decode, encode};
pub use edit::{Clip, Edit, Overlay, Placement, Position};
pub use env::{
    ENV_ATTEMPT, ENV_ENVIRONMENT, ENV_JOB, ENV_METRICS_NAMESPACE, ENV_OTLP_ENDPOINT, ENV_STATE_BUCKET,
};
pub use event::{
    EVENT_SOURCE, EventCancel, EventFailure, EventKind, EventObject, EventProgress, EventResult, JobEvent,
    MAX_EVENT_BYTES, outbox_key, outbox_key_of, outbox_prefix, outcome_id,
};
pub use exit::ExitCode;
pub use failure::{Failure, FailureCode, FailureInfo, Who};
pub use heartbeat::{Heartbeat, Stage, TaskState};
pub use image::IMAGE_CONTRACT_LABEL;
pub use index::{EndState, IndexEntry, IndexKey, source_folder};
pub use job::{Attempt, JobKey, JobKeyError, JobSpec, OutputTarget, Source};
pub(crate) use layout::escaped;
pub use layout::{Layout, control_key, edited_prefix, output_prefix, pointer_key};
pub use published::{Published, SourceObject, SourceOrder};
pub use status::{
    BreakerStatus, ControlStatus, JOB_STATES, JobState, JobStatus, PauseStatus, QueueStatus, StatusReport,
    status_key,
};
pub use terminal::{
    Cancelled, Dead, EntryPoint, ObjectRef, Outcome, SourceRead, Succeeded, Superseded, Terminal,
};
pub use trace::{Span, SpanId, TraceSource, span_of_stage, traces_url};
pub use user_metadata::{MAX_USER_METADATA, UserMetadata};
pub use warning::Warning;

/// The schema number that this version writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// The schema number of a specification, and of a job request, with an [`Edit`]. One without an edit still has schema
/// 1, so that older tasks and controllers can read it.
pub const SPEC_WITH_EDIT: u32 = 2;

/// The schema number of a job request with `force`: a controller that does not know `force` must not run the job
/// without it.
pub const REQUEST_WITH_FORCE: u32 = 3;

/// The schema number of the terminal record of a cancelled job: a reader that does not know that outcome leaves the job
/// alone.
pub const TERMINAL_CANCELLED: u32 = 2;

/// The schema number of a job request with `default_language`: a controller that does not know it would leave the
/// language of the tracks unknown.
pub const REQUEST_WITH_LANGUAGE: u32 = 4;

/// The schema number of a job request with `user_metadata`: a controller that does not know it would lose the words.
pub const REQUEST_WITH_METADATA: u32 = 5;
