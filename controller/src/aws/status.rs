//! Writes the report into the state bucket, from a task of its own: no turn waits for it, and no failure ends it.
//!
//! There is one report for each environment. During an update two controllers run for a while, and the report must be
//! that of the new one. So each write is made on the condition that the object is as this process left it; when it is
//! not, its metadata tells who wrote it. The controller that started later writes, the other one stands back until that
//! one has ended or has been silent for minutes.

use std::sync::Arc;

use aws_sdk_s3::{
    Client,
    operation::head_object::{HeadObjectError, HeadObjectOutput},
    primitives::ByteStream,
};
use bytes::Bytes;
use transcode_config::{contract::status_key, settings::Settings};
use transcode_core::protocol::{
    fact::{CallError, ErrorClass},
    publishing::{If, Tag},
};

use super::{
    class::{call_error, status, unless_absent},
    client::Pair,
    wall_ms,
};
use crate::{
    events::{Event, Events},
    observe::{
        Slot,
        http::{Status, Unwritten},
    },
};

const PUT: &str = "s3:PutObject";
const HEAD: &str = "s3:HeadObject";

/// A controller that has not written for this long (ms) does not speak any more. It writes once a minute.
const SILENT: u64 = 150_000;

/// Of so many writes that fail one after the other, one is logged: every ten minutes or sooner. Whoever reads the log of
/// the last hour then finds it.
const TOLD_EVERY: u64 = 12;

/// Names of the metadata.
const INSTANCE: &str = "instance";
const STARTED: &str = "started-at-ms";
const ENDED: &str = "ended";

/// Whose report lies in the bucket after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Our own.
    Ours,
    /// That of a controller that started later.
    Theirs,
}

/// The writer of one process.
#[derive(Debug)]
pub struct StatusWriter {
    clients: Pair<Client>,
    bucket: String,
    key: String,
    instance: String,
    started_at_ms: u64,
    /// The object as this process left it; `None` if that is not known, and somebody must look.
    tag: Option<Tag>,
}

/// Who wrote the object that lies there.
struct Other {
    tag: Tag,
    instance: String,
    started_at_ms: u64,
    ended: bool,
    /// By the clock of S3.
    written_at_ms: u64,
}

impl StatusWriter {
    /// The writer for these settings.
    pub fn new(clients: Pair<Client>, settings: &Settings, instance: &str, started_at_ms: u64) -> Self {
        Self {
            clients,
            bucket: settings.state.bucket.clone(),
            key: status_key(&settings.environment),
            instance: instance.to_owned(),
            started_at_ms,
            tag: None,
        }
    }

    /// Writes each report of the slot, one at a time, until the slot is closed. `/notes` and the log tell of failures:
    /// the log when they begin, now and then while they last, and when they end.
    pub async fn run(mut self, slot: Arc<Slot>, events: Arc<Events>, status: Arc<Status>) {
        let (mut failed, mut since_ms) = (0_u64, 0);
        while let Some(report) = slot.take().await {
            let last = slot.is_closed();
            match self.write(report, last).await {
                Ok(_) if failed > 0 => {
                    failed = 0;
                    status.reported(None);
                    events.emit(Event::StatusWritten);
                }
                Ok(_) => {}
                Err(error) => {
                    if failed == 0 {
                        since_ms = wall_ms();
                    }
                    status.reported(Some(Unwritten { since_ms, why: error.to_string() }));
                    if failed.is_multiple_of(TOLD_EVERY) {
                        events.emit(Event::StatusFailed { error: &error });
                    }
                    failed += 1;
                }
            }
        }
    }

    /// Writes a report, unless a controller that started later speaks. `last`: this process writes no other. `Err`: it
    /// may have been written.
    pub async fn write(&mut self, report: Bytes, last: bool) -> Result<Written, CallError> {
        // The second time with what was found; a third writer at the same moment makes this an error.
        for _ in 0..2 {
            let condition = match self.tag.take() {
                Some(tag) => If::Still(tag),
                None => match self.look().await? {
                    Some(other) if self.yields_to(&other) => return Ok(Written::Theirs),
                    Some(other) => If::Still(other.tag),
                    None => If::Absent,
                },
            };
            if let Some(tag) = self.put(report.clone(), &condition, last).await? {
                self.tag = Some(tag);
                return Ok(Written::Ours);
            }
        }
        let message = format!("{}: somebody else always writes it", self.key);
        Err(CallError { operation: PUT, class: ErrorClass::Transient, message })
    }

    /// Writes on a condition; `None` if the condition does not hold.
    async fn put(&self, report: Bytes, condition: &If, last: bool) -> Result<Option<Tag>, CallError> {
        let put = self.clients.write.put_object().bucket(&self.bucket).key(&self.key);
        let put = match condition {
            If::Absent => put.if_none_match("*"),
            If::Still(tag) => put.if_match(tag),
            If::Whatever => put,
        };
        let put = put
            .content_type("application/json")
            .cache_control("no-store")
            .metadata(INSTANCE, &self.instance)
            .metadata(STARTED, self.started_at_ms.to_string())
            .metadata(ENDED, last.to_string());
        match put.body(ByteStream::from(report)).send().await {
            Ok(answer) => Ok(Some(answer.e_tag.unwrap_or_default())),
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(None),
            Err(error) => Err(call_error(PUT, &error)),
        }
    }

    async fn look(&self) -> Result<Option<Other>, CallError> {
        let head = self.clients.read.head_object().bucket(&self.bucket).key(&self.key).send().await;
        Ok(unless_absent(HEAD, head, HeadObjectError::is_not_found)?.map(other))
    }

    fn yields_to(&self, other: &Other) -> bool {
        other.instance != self.instance
            && !other.ended
            && (other.started_at_ms, &other.instance) > (self.started_at_ms, &self.instance)
            && wall_ms().saturating_sub(other.written_at_ms) < SILENT
    }
}

/// Who wrote an object. Missing or foreign metadata is that of nobody: such an object is overwritten.
fn other(head: HeadObjectOutput) -> Other {
    let text = |name| head.metadata().and_then(|all| all.get(name)).cloned().unwrap_or_default();
    let written = head.last_modified().and_then(|at| at.to_millis().ok());
    Other {
        instance: text(INSTANCE),
        started_at_ms: text(STARTED).parse().unwrap_or(0),
        ended: text(ENDED) == "true",
        written_at_ms: written.and_then(|at| u64::try_from(at).ok()).unwrap_or(0),
        tag: head.e_tag.unwrap_or_default(),
    }
}
