//! Facts: what the world answered. They are the only way into the ledger.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Claim, Heartbeat, JobKey, JobSpec, Terminal};

use crate::protocol::{
    clock::Ms,
    name::Name,
    publishing::Publication,
    task_view::{TaskArn, TaskView},
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
    /// Handle of this receive; a later receive gives another.
    pub receipt: String,
    /// Body, at most 1 MiB.
    pub body: String,
    /// When it was sent (ms since 1970), where SQS says.
    pub sent_at_ms: Option<u64>,
    /// How often it was received, this time included, as SQS estimates; 0 where it does not say.
    pub receives: u32,
}

/// What kind of trouble a failed call met. One table in `aws/class.rs` turns SDK errors into these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// Refused for its rate. Nothing happened.
    Throttled,
    /// Refused for capacity or quota. Nothing happened.
    Capacity,
    /// No answer, or one that does not say: it may have happened.
    Uncertain,
    /// Refused for a passing reason. Nothing happened.
    Transient,
    /// Refused for good: the same call will be refused again.
    Permanent,
    /// Refused because the deployment is wrong: permissions, missing cluster, bad network configuration.
    Misconfigured,
    /// Refused with a code that this version does not know. Nothing happened; the same call may succeed or not.
    Unknown,
}

impl ErrorClass {
    /// Name, as metrics have it.
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

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct CallError {
    /// Such as `ecs:RunTask`.
    pub operation: &'static str,
    /// What kind of trouble.
    pub class: ErrorClass,
    /// AWS' error code and message, or what broke, and the request's id where there was an answer; in one line.
    pub message: String,
}

/// What the state bucket says of a job. The terminal record is read **last**: it is at least as new as the rest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The newest attempt's claim.
    pub claim: Option<Arc<Claim>>,
    /// That attempt's heartbeat.
    pub heartbeat: Option<Heartbeat>,
    /// Heartbeats of earlier attempts of which ECS never said that they ended ([`crate::judge::outcome::unproven`]).
    pub earlier: Vec<Heartbeat>,
    /// The terminal record.
    pub terminal: Option<Arc<Terminal>>,
}

/// Why RunTask gave no task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// HTTP 200 with `failures[]` and no task. The same token is answered the same for ever: this attempt is over.
    Definitive(String),
    /// An error. Nothing was launched by this call, unless its class is [`Class::Uncertain`].
    Failed(CallError),
}

impl Refusal {
    /// The class of the refusal, as metrics have it.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Definitive(_) => "Definitive",
            Self::Failed(error) => error.class.name(),
        }
    }
}

/// What attempts are pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pinned {
    /// ARN of the task definition, with its revision.
    pub task_definition: String,
    /// Digest of the image that it names; none where that was not looked up.
    pub image_digest: Option<String>,
}

/// What the task definition's image turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Fit to be launched.
    Fit(Pinned),
    /// Not to be launched: what is wrong and what to do.
    Unfit(String),
}

/// Something that hints at news. It wakes, it never decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hint {
    /// A terminal record was written.
    TerminalRecord(JobKey),
    /// A task changed its state.
    Task(TaskArn),
}

/// One answer of the world.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Fact {
    /// Answer to `Receive`.
    Received {
        queue: QueueName,
        /// What; may be empty.
        messages: Vec<Incoming>,
    },
    /// `Receive` failed. Messages may have become invisible all the same; they come back.
    ReceiveFailed { queue: QueueName, error: CallError },
    /// Answer to `Inspect`.
    Inspected {
        job: JobKey,
        /// What is there.
        snapshot: Box<Snapshot>,
    },
    /// `Inspect` met a document of a newer schema, or one that cannot be read: leave the job alone (S15).
    Unreadable {
        job: JobKey,
        /// What was found.
        reason: String,
    },
    /// Answer to `ReadSpec`, and to a `Claim` that found the specification of a job with the same idempotency key and
    /// another source.
    SpecRead {
        job: JobKey,
        /// What is there.
        spec: Option<Box<JobSpec>>,
    },
    /// Answer to `Claim`: the claim that is there now, our own or one that another controller wrote first.
    Claimed {
        job: JobKey,
        /// What is there.
        claim: Box<Claim>,
    },
    /// RunTask gave a task: a new one, or the one that this token gave before.
    Launched { job: JobKey, attempt: Attempt, task: TaskArn },
    /// RunTask gave no task.
    LaunchRefused { job: JobKey, attempt: Attempt, refusal: Refusal },
    /// Answer to `Describe`: ECS knows it.
    TaskSeen(Box<TaskView>),
    /// Answer to `Resync`: it is on the list.
    TaskListed(Box<TaskView>),
    /// DescribeTasks does not know it (yet, or any more).
    TaskMissing(TaskArn),
    /// DescribeTasks failed for these; or, without any, the list did.
    DescribeFailed { tasks: Vec<TaskArn>, error: CallError },
    /// The list of tasks was read to its end (the tasks came as [`Fact::TaskListed`] before), or not.
    Resynced {
        /// Read to its end.
        complete: bool,
    },
    /// StopTask was taken, or ECS does not know the task.
    Stopped { task: TaskArn },
    /// StopTask failed.
    StopFailed { task: TaskArn, error: CallError },
    /// Answer to `GiveUp`: the terminal record that is there now, our own or one written before.
    Decided {
        job: JobKey,
        /// What is there.
        terminal: Box<Terminal>,
    },
    /// The stable entry points are in place, or a newer job's are.
    Published {
        job: JobKey,
        /// Which of the two.
        publication: Publication,
    },
    /// What losers left behind is gone.
    Collected { job: JobKey },
    /// The dead-letter queue acknowledged.
    DeadLettered {
        /// On behalf of which message.
        message: MessageId,
        job: JobKey,
    },
    /// `DeleteMessage` was taken.
    Deleted { message: MessageId },
    /// The visibility timeout was set anew.
    Extended {
        message: MessageId,
        /// How long from the call on, in milliseconds.
        for_ms: Ms,
    },
    /// The message was given back.
    Released { message: MessageId },
    /// The receipt handle is worthless: the message is visible again, leased elsewhere, or gone.
    LeaseLost { message: MessageId },
    /// A call for a job failed (`Inspect`, `ReadSpec`, `Claim`, `GiveUp`, `Publish`, `Collect`).
    JobCallFailed { job: JobKey, error: CallError },
    /// A call for a message failed (`DeadLetter`, `Delete`, `Extend`, `Release`).
    MessageCallFailed { message: MessageId, error: CallError },
    /// What new attempts are pinned to.
    Resolved(Pinned),
    /// The task definition's image must not be launched: nothing is, until it fits.
    Unfit {
        /// What is wrong and what to do.
        reason: String,
    },
    /// `Resolve` failed: nothing new is claimed until it succeeds.
    ResolveFailed { error: CallError },
    /// News from the events queue.
    Hinted(Hint),
    /// The process was asked to end: receive nothing, give back, let tasks run.
    DrainRequested,
}
