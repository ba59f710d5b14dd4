//! One log line, as far as the audit understands it.

use aws_smithy_types::{DateTime, date_time::Format};
use serde_json::Value;

use super::tenants::Whose;

/// The content of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogEvent {
    /// A process has started, with these limits.
    Started {
        attempts: Option<u64>,
        platform: Option<u64>,
        /// The bus of the events of jobs, empty for none; `None` in a log of a version without an index.
        bus: Option<String>,
    },
    /// The bus was changed by a reload.
    BusChanged {
        to: String,
    },
    /// A limit was changed by a reload.
    Limit {
        platform: bool,
        to: u64,
    },
    /// People have changed the sources, and with them the tenants, or paused or cancelled some of what waits.
    Steered,
    /// A message that was not held was received; it asks for this many jobs.
    Received {
        message: String,
        jobs: u64,
    },
    /// The message asks for this job of a tenant, if its source has tenants.
    Asked {
        message: String,
        job: String,
        tenant: Option<Whose>,
    },
    /// The message asks for `job` instead of `of`, whose idempotency key belongs to another source.
    AskedInstead {
        message: String,
        job: String,
        of: String,
    },
    Parked {
        message: String,
    },
    Released {
        message: String,
    },
    Lost {
        message: String,
    },
    Deleted {
        message: String,
    },
    Lettered {
        message: String,
        job: String,
    },
    /// An attempt was claimed, after this many attempts charged to the job and to the platform.
    Claimed {
        job: String,
        attempt: u64,
        nonce: String,
        by_job: u64,
        by_platform: u64,
        cpu: u64,
    },
    /// RunTask is sent, with this deadline.
    Sent {
        job: String,
        attempt: u64,
        not_after_ms: u64,
    },
    Launched {
        job: String,
        attempt: u64,
        task: String,
    },
    RecordRead {
        job: String,
        record: RecordRead,
    },
    /// A job went live; with the pointer of its prefix, if the line has it.
    Published {
        job: String,
        pointer: Option<Pointer>,
    },
    /// A newer job is live instead.
    Superseded {
        job: String,
    },
    /// Something else happened to a job: a failed call, an end of its task, an adoption.
    Stirred {
        job: String,
    },
    /// The index has the end of a job.
    Listed {
        job: String,
    },
    /// The bus or the outbox has the event of a job's end.
    Told {
        job: String,
        kind: String,
    },
    /// A job is settled, as a success or as dead.
    Settled {
        job: String,
        success: bool,
    },
}

/// The end of a job in a terminal record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    Dead,
    Superseded,
    Cancelled,
}

/// The pointer of an output prefix when a job went live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) key: String,
    pub(super) serial: u64,
    /// Sequencer of the upload, if it is known.
    pub(super) sequencer: Option<String>,
}

/// The terminal record, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordRead {
    pub(super) outcome: Outcome,
    pub(super) nonce: String,
    pub(super) code: Option<String>,
    pub(super) attempts: Option<u64>,
    pub(super) task: Option<String>,
}

/// The result of reading a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Understood; its time (ms since 1970), if it has one.
    Event(Option<u64>, LogEvent),
    /// Not needed, or of another version.
    Other,
    /// No JSON object: torn, cut off, or of another program.
    Torn,
}

/// Reads a line. Every line gives a result.
pub(super) fn parse(bytes: &[u8]) -> Line {
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(bytes) else { return Line::Torn };
    let fields = Fields(&fields);
    match fields.said() {
        Some(said) => Line::Event(fields.time(), said),
        None => Line::Other,
    }
}

struct Fields<'a>(&'a serde_json::Map<String, Value>);

impl Fields<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }

    /// A number, or a string that holds one.
    fn number(&self, name: &str) -> Option<u64> {
        let value = self.0.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    fn time(&self) -> Option<u64> {
        let text = self.text("timestamp")?;
        let millis = DateTime::from_str(&text, Format::DateTime).ok()?.to_millis().ok()?;
        u64::try_from(millis).ok()
    }

    /// The event of a line; `None` if a field is missing: a line of another version proves nothing.
    fn said(&self) -> Option<LogEvent> {
        let (job, message) = (|| self.text("job"), || self.text("message_id"));
        Some(match self.text("message")?.as_str() {
            "controller started" => {
                let (attempts, platform) =
                    (self.number("max_attempts"), self.number("max_platform_attempts"));
                LogEvent::Started { attempts, platform, bus: self.text("bus") }
            }
            "setting changed" => {
                let platform = match self.text("key")?.as_str() {
                    "jobs.max_attempts" => false,
                    "jobs.max_platform_attempts" => true,
                    "events.bus" => {
                        let to = self.text("new")?.trim_matches('"').to_owned();
                        return Some(LogEvent::BusChanged { to });
                    }
                    key if key.starts_with("sources.") => return Some(LogEvent::Steered),
                    _ => return None,
                };
                LogEvent::Limit { platform, to: self.number("new")? }
            }
            "paused" | "resumed" | "drained" | "no longer drained" | "cancel asked for" => LogEvent::Steered,
            "message received" => LogEvent::Received { message: message()?, jobs: self.number("jobs")? },
            "job received" => LogEvent::Asked { message: message()?, job: job()?, tenant: self.tenant() },
            "idempotency key belongs to another source" => {
                LogEvent::AskedInstead { message: message()?, job: job()?, of: self.text("of")? }
            }
            "message parked" => LogEvent::Parked { message: message()? },
            "message released" => LogEvent::Released { message: message()? },
            "lease lost" => LogEvent::Lost { message: message()? },
            "message deleted" => LogEvent::Deleted { message: message()? },
            "message dead-lettered" => LogEvent::Lettered { message: message()?, job: job()? },
            "attempt claimed" => LogEvent::Claimed {
                job: job()?,
                attempt: self.number("attempt")?,
                nonce: self.text("nonce")?,
                by_job: self.number("over_by_job")?,
                by_platform: self.number("over_by_platform")?,
                cpu: self.number("cpu").unwrap_or(0),
            },
            "launch sent" => LogEvent::Sent {
                job: job()?,
                attempt: self.number("attempt")?,
                not_after_ms: self.number("not_after_ms")?,
            },
            "task launched" => {
                LogEvent::Launched { job: job()?, attempt: self.number("attempt")?, task: self.text("task")? }
            }
            "register read" => LogEvent::RecordRead { job: job()?, record: self.record()? },
            "entry points published" => LogEvent::Published { job: job()?, pointer: self.pointer() },
            "superseded: a newer upload of the same object is published" => {
                LogEvent::Superseded { job: job()? }
            }
            "action failed" | "attempt over" | "job left alone" | "launch refused" | "task adopted"
            | "task ended" | "task stopped" => LogEvent::Stirred { job: job()? },
            "index entry written" => LogEvent::Listed { job: job()? },
            "event sent" | "event put into the outbox: the bus does not take it" => {
                LogEvent::Told { job: job()?, kind: self.text("kind")? }
            }
            "job succeeded" => LogEvent::Settled { job: job()?, success: true },
            "job dead" => LogEvent::Settled { job: job()?, success: false },
            _ => return None,
        })
    }

    fn tenant(&self) -> Option<Whose> {
        let (name, priority) = (self.text("tenant")?, self.text("priority")?);
        Some(Whose { name, priority, max_tasks: self.number("max_tasks"), max_cpu: self.number("max_cpu") })
    }

    fn pointer(&self) -> Option<Pointer> {
        let (key, serial) = (self.text("pointer")?, self.number("serial")?);
        Some(Pointer { key, serial, sequencer: self.text("sequencer") })
    }

    fn record(&self) -> Option<RecordRead> {
        let outcome = match self.text("outcome")?.as_str() {
            "succeeded" => Outcome::Succeeded,
            "dead" => Outcome::Dead,
            "superseded" => Outcome::Superseded,
            "cancelled" => Outcome::Cancelled,
            _ => return None,
        };
        Some(RecordRead {
            outcome,
            nonce: self.text("nonce")?,
            code: self.text("code"),
            attempts: self.number("attempts"),
            task: self.text("task"),
        })
    }
}
