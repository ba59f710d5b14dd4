//! Actions: the calls that the planner asks for. Each carries all that its execution needs and leaves no choice open.
//!
//! Every action may be repeated, and may be lost: its answer comes back as a [`crate::protocol::fact::Fact`], and if
//! the process dies before, the next process reads the state again.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Claim, Dead, JobEvent, JobKey, JobSpec, Succeeded, Terminal};

use crate::protocol::{
    clock::Ms,
    fact::{MessageId, QueueName},
    task_view::TaskArn,
    via::Via,
};

/// A message by its current lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct LeaseRef {
    /// Queue it came from.
    pub queue: QueueName,
    pub message: MessageId,
    /// Handle of the newest receive.
    pub receipt: String,
}

/// Content of a dead letter, beside the terminal record's [`Dead`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct DeadLetter {
    /// The message for which the letter is sent.
    pub lease: LeaseRef,
    pub job: JobKey,
    /// Generation of the job; a redrive runs the next one.
    pub generation: u32,
    pub body: Arc<str>,
    pub dead: Dead,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Action {
    /// Receive at most `max` messages (1–10) with a long poll.
    Receive { queue: QueueName, max: u8 },
    /// List the job's documents, and read those that are not known.
    Inspect {
        job: JobKey,
        /// The newest claim that is known here. Claims are written once: it is not read again.
        known: Option<Arc<Claim>>,
    },
    /// Read `spec.json`, to find out whether the idempotency key belongs to the source that is asked for.
    ReadSpec { job: JobKey },
    /// Create `spec.json` unless it exists, then the job's entries in the index, then the claim unless it exists. The
    /// answer carries the claim that exists now.
    Claim {
        /// The job as accepted.
        spec: Arc<JobSpec>,
        claim: Arc<Claim>,
    },
    /// `RunTask` with everything from the claim. Never sent once the wall clock is past the launch deadline (S7).
    Launch {
        /// The claim as it was read from the state bucket.
        claim: Arc<Claim>,
    },
    /// `DescribeTasks`, at most 100.
    Describe { tasks: Vec<TaskArn> },
    /// `ListTasks` of this environment, all pages, and `DescribeTasks` for the tasks listed.
    Resync,
    /// List the beacons of all tasks of this environment.
    Survey,
    /// Find the task definition that new attempts are pinned to, and validate it.
    Resolve,
    /// `StopTask`.
    Stop {
        task: TaskArn,
        /// Reason; ECS shows it as `stoppedReason`.
        reason: &'static str,
    },
    /// Write the terminal record unless it exists. The answer carries the terminal record that exists now.
    GiveUp {
        job: JobKey,
        /// The record to write.
        terminal: Arc<Terminal>,
    },
    /// Copy the winner's entry points to their stable names.
    Publish {
        job: JobKey,
        winner: Arc<Succeeded>,
        /// The job's specification, where it is known.
        spec: Option<Arc<JobSpec>>,
    },
    /// Write the entry of a decided job into the index.
    Index {
        /// The record that the entry is made from.
        terminal: Arc<Terminal>,
        /// The job's specification, where it is known.
        spec: Option<Arc<JobSpec>>,
        /// The job as a message asks for it, for the entry of its acceptance if no attempt was ever claimed.
        asked: Option<Arc<JobSpec>>,
    },
    /// Send the event of a decided job's end, or put it into the outbox.
    Announce {
        /// The event.
        event: Arc<JobEvent>,
        via: Via,
    },
    /// Send at most ten events of the outbox, the oldest behind a key first, and remove those that the bus has taken.
    Resend {
        /// Name or ARN of the bus.
        bus: Arc<str>,
        environment: Arc<str>,
        /// `None`: from the oldest on.
        after: Option<String>,
    },
    /// Empty the folders of attempts of a decided job that did not win.
    Collect {
        job: JobKey,
        /// The job's specification, where it is known.
        spec: Option<Arc<JobSpec>>,
        /// The attempts whose folders are emptied; never the winner.
        losers: Arc<[Attempt]>,
    },
    /// Send to the dead-letter queue of the message's queue.
    DeadLetter(Box<DeadLetter>),
    /// `DeleteMessage`.
    Delete { lease: LeaseRef },
    /// `ChangeMessageVisibility` to keep the message.
    Extend {
        lease: LeaseRef,
        /// How long from now, in milliseconds; at most 12 h from the receive.
        for_ms: Ms,
    },
    /// `ChangeMessageVisibility` to give the message back: it is visible again after `after_ms`.
    Release {
        lease: LeaseRef,
        /// Time until it is visible again, in milliseconds; 0 is at once.
        after_ms: Ms,
    },
}

impl Action {
    /// Short name, for logs and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Receive { .. } => "receive",
            Self::Inspect { .. } => "inspect",
            Self::ReadSpec { .. } => "read_spec",
            Self::Claim { .. } => "intend",
            Self::Launch { .. } => "launch",
            Self::Describe { .. } => "describe",
            Self::Resync => "resync",
            Self::Survey => "survey",
            Self::Resolve => "resolve",
            Self::Stop { .. } => "stop",
            Self::GiveUp { .. } => "bury",
            Self::Publish { .. } => "publish",
            Self::Index { .. } => "index",
            Self::Announce { .. } => "announce",
            Self::Resend { .. } => "resend",
            Self::Collect { .. } => "collect",
            Self::DeadLetter(_) => "dead_letter",
            Self::Delete { .. } => "delete",
            Self::Extend { .. } => "extend",
            Self::Release { .. } => "release",
        }
    }
}
