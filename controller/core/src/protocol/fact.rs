//! Facts: the answers of SQS, ECS and S3, and events. Facts are the only way into the ledger.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Beacon, Claim, EventKind, Heartbeat, JobKey, JobSpec, Terminal};

use crate::protocol::{
    clock::Ms,
    name::Name,
    publishing::Publication,
    steering::Steering,
    task_view::{TaskArn, TaskView},
    via::Via,
};

/// Name of a job queue in the settings.
pub type QueueName = String;

/// SQS' id of a message. Changes with a redrive, so it names a lease and never a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub Name);

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Incoming {
    pub id: MessageId,
    /// Handle of this receive. Each later receive of the message has another handle.
    pub receipt: String,
    /// Body, at most 1 MiB.
    pub body: String,
    /// When the message was sent (ms since 1970); `None` when SQS does not say.
    pub sent_at_ms: Option<u64>,
    /// Number of receives, with this one, as SQS estimates it; 0 if SQS does not say.
    pub receives: u32,
}

/// Kind of a failed call. The table in the controller's `aws/class.rs` maps SDK errors to these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// Refused: too many calls. The call had no effect.
    Throttled,
    /// Refused: no capacity, or a quota is used up. The call had no effect.
    Capacity,
    /// No answer, or an unclear one: the call may have had its effect.
    Uncertain,
    /// Refused for a temporary reason. The call had no effect.
    Transient,
    /// Refused for good: the same call will be refused again.
    Permanent,
    /// Refused because the deployment is wrong: permissions, missing cluster, bad network configuration.
    Misconfigured,
    /// Refused with an error code that this version does not know. The call had no effect; a repeated call may succeed.
    Unknown,
}

impl ErrorClass {
    /// Name of the class in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throttled => "Throttled",
            Self::Capacity => "Capacity",
            Self::Uncertain => "Uncertain",
            Self::Transient => "Transient",
            Self::Permanent => "Permanent",
            Self::Misconfigured => "Misconfigured",
            Self::Unknown => "Unknown",
        }
    }
}

impl ErrorClass {
    /// Whether the same call will be refused again until somebody removes the cause. An unknown refusal counts as such:
    /// the call is repeated less and less often.
    pub const fn lasts(self) -> bool {
        matches!(self, Self::Permanent | Self::Misconfigured | Self::Unknown)
    }
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct CallError {
    /// Service and operation, such as `ecs:RunTask`.
    pub operation: &'static str,
    /// Kind of the failure.
    pub class: ErrorClass,
    /// One line: AWS' error code and message, or the transport error, and the request's id if there was an answer.
    pub message: String,
}

/// Contents of the state bucket for one job. One listing, which begins after the call did, says which documents there
/// are; those that may have changed since are read after it. So a terminal record that is absent was absent after the
/// begin of the call, and not necessarily at its end.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The newest attempt's claim; `None` before the first attempt.
    pub claim: Option<Arc<Claim>>,
    /// That attempt's newest heartbeat; not read where the terminal record shows that the attempt is over.
    pub heartbeat: Option<Heartbeat>,
    /// Heartbeats of earlier attempts whose end ECS never confirmed ([`crate::judge::outcome::unproven`]); not read of a
    /// decided job.
    pub earlier: Vec<Heartbeat>,
    /// The terminal record.
    pub terminal: Option<Arc<Terminal>>,
}

/// A beacon in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Sighting {
    pub job: JobKey,
    pub attempt: Attempt,
    /// Another one each time the object is written: a hash of its entity tag and its time of writing.
    pub mark: u64,
    pub beacon: Beacon,
}

/// Why RunTask gave no task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// HTTP 200 with `failures[]` and no task. RunTask answers the same token the same way for ever: this attempt is
    /// over.
    Definitive(String),
    /// An error. This call launched nothing, unless its class is [`ErrorClass::Uncertain`].
    Failed(CallError),
}

impl Refusal {
    /// Class of the refusal in metrics.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Definitive(_) => "Definitive",
            Self::Failed(error) => error.class.name(),
        }
    }
}

/// The task definition and the image that new attempts are pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pinned {
    /// ARN of the task definition, with its revision.
    pub task_definition: String,
    /// Digest of the image that it names; `None` if the digest was not looked up.
    pub image_digest: Option<String>,
}

/// Result of checking the task definition and its image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// The image may be launched.
    Fit(Pinned),
    /// The image must not be launched. The text says what is wrong and what to do.
    Unfit(String),
}

/// An event that hints at a change. A hint wakes the controller and never decides anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hint {
    /// A terminal record was written.
    TerminalRecord(JobKey),
    /// A task changed its state.
    Task(TaskArn),
}

/// One answer, or one event.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Fact {
    /// Answer to `Receive`.
    Received {
        queue: QueueName,
        /// The messages; may be empty.
        messages: Vec<Incoming>,
    },
    /// `Receive` failed. Messages may have become invisible all the same; SQS delivers them again.
    ReceiveFailed { queue: QueueName, error: CallError },
    /// Answer to `Inspect`.
    Inspected {
        job: JobKey,
        /// Contents of the state bucket.
        snapshot: Box<Snapshot>,
    },
    /// `Inspect` found a document of a newer schema, or one that cannot be read: the job is left alone (S15).
    Unreadable {
        job: JobKey,
        /// What was found.
        reason: String,
    },
    /// Answer to `ReadSpec`. Also the answer to a `Claim` that found, under the same idempotency key, a specification
    /// with another source.
    SpecRead {
        job: JobKey,
        /// The specification that exists; `None` if there is none.
        spec: Option<Box<JobSpec>>,
    },
    /// Answer to `Claim`: the claim that exists now, our own or one that another controller wrote first.
    Claimed {
        job: JobKey,
        /// The claim that exists.
        claim: Box<Claim>,
        /// The job's specification, if this call has created it.
        spec: Option<Arc<JobSpec>>,
    },
    /// RunTask returned a task: a new one, or the one that it returned for this token before.
    Launched { job: JobKey, attempt: Attempt, task: TaskArn },
    /// RunTask returned no task.
    LaunchRefused { job: JobKey, attempt: Attempt, refusal: Refusal },
    /// Answer to `Describe`: ECS knows the task.
    TaskSeen(Box<TaskView>),
    /// Answer to `Resync`: the task is on the list.
    TaskListed(Box<TaskView>),
    /// DescribeTasks does not know the task (not yet, or not any more).
    TaskMissing(TaskArn),
    /// DescribeTasks failed for these tasks. An empty list: `ListTasks` failed.
    DescribeFailed { tasks: Vec<TaskArn>, error: CallError },
    /// `ListTasks` has ended. The listed tasks came before, as [`Fact::TaskListed`].
    Resynced {
        /// All pages were read.
        complete: bool,
    },
    /// ECS accepted StopTask, or does not know the task.
    Stopped { task: TaskArn },
    /// StopTask failed.
    StopFailed { task: TaskArn, error: CallError },
    /// Answer to `GiveUp`: the terminal record that exists now, our own or one written before.
    Decided {
        job: JobKey,
        /// The terminal record that exists.
        terminal: Box<Terminal>,
    },
    /// The stable entry points are in place, or those of a newer job are.
    Published {
        job: JobKey,
        /// Says which of the two.
        publication: Publication,
    },
    /// The index has the entry of the decided job.
    Indexed { job: JobKey },
    /// The bus, or the outbox, has the event of the decided job's end.
    Announced {
        job: JobKey,
        /// What the event tells.
        kind: EventKind,
        via: Via,
    },
    /// Answer to `Resend`.
    Resent {
        /// Number of events that the bus has taken.
        sent: usize,
        /// The first refusal, and the number of events that were not taken or not removed; they stay.
        kept: Option<(usize, CallError)>,
        /// There are more events behind this key.
        next: Option<String>,
    },
    /// `Resend` could not read the outbox.
    ResendFailed { error: CallError },
    /// The leftovers of losers are gone.
    Collected { job: JobKey },
    /// The dead-letter queue acknowledged the letter.
    DeadLettered {
        /// The message for which the letter was sent.
        message: MessageId,
        job: JobKey,
    },
    /// SQS accepted `DeleteMessage`.
    Deleted { message: MessageId },
    /// SQS set the visibility timeout.
    Extended {
        message: MessageId,
        /// New timeout from the begin of the call, in milliseconds.
        for_ms: Ms,
    },
    /// The message was given back.
    Released { message: MessageId },
    /// The receipt handle is no longer valid: the message is visible again, another consumer holds it, or it is gone.
    LeaseLost { message: MessageId },
    /// A call for a job failed (`Inspect`, `ReadSpec`, `Claim`, `GiveUp`, `Publish`, `Index`, `Announce`,
    /// `Collect`).
    JobCallFailed { job: JobKey, error: CallError },
    /// A call for a message failed (`DeadLetter`, `Delete`, `Extend`, `Release`).
    MessageCallFailed { message: MessageId, error: CallError },
    /// Answer to `Survey`: all beacons that there are.
    Surveyed {
        /// In any order.
        sightings: Vec<Sighting>,
    },
    /// `Survey` failed.
    SurveyFailed { error: CallError },
    /// The task definition and the image that new attempts are pinned to.
    Resolved(Pinned),
    /// The task definition's image must not be launched. All launches pause until the image is fit.
    Unfit {
        /// What is wrong and what to do.
        reason: String,
    },
    /// `Resolve` failed: nothing new is claimed until it succeeds.
    ResolveFailed { error: CallError },
    /// An event from the events queue.
    Hinted(Hint),
    /// The control document, as it is now; where nobody has written one, nobody wants anything.
    Steered(Box<Steering>),
    /// The control document, or a part of it, cannot be read or is refused. The last good one stays in force (S15); where
    /// none was read since the start, nothing is received or launched.
    SteeringRefused {
        /// Why.
        error: String,
    },
    /// The process was asked to end: receive nothing more, give messages back, leave tasks running.
    DrainRequested,
}
