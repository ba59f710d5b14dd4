//! Actions: what the planner wants done. Each carries all that its execution needs; executing leaves no choice open.
//!
//! Every action is safe to repeat, and to lose: its answer comes back as a [`crate::protocol::fact::Fact`], and if the process
//! dies in between, the next one finds out by looking.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Claim, Dead, JobKey, JobSpec, Succeeded, Terminal};

use crate::protocol::{
    clock::Ms,
    fact::{MessageId, QueueName},
    task_view::TaskArn,
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

/// What the dead-letter queue is told, beside the terminal record's [`Dead`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct DeadLetter {
    /// On behalf of which message.
    pub lease: LeaseRef,
    pub job: JobKey,
    /// Generation of the job; a redrive runs the next.
    pub generation: u32,
    pub body: Arc<str>,
    pub dead: Dead,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Action {
    /// Receive at most `max` messages (1–10) with a long poll.
    Receive { queue: QueueName, max: u8 },
    /// Read newest claim, its heartbeat and, last, the terminal record.
    Inspect { job: JobKey },
    /// Read `spec.json`: is the job that this idempotency key names the one that is asked for?
    ReadSpec { job: JobKey },
    /// Create `spec.json` unless it exists, then the claim unless it exists; answer with the claim that is there.
    Claim {
        /// The job as accepted.
        spec: Arc<JobSpec>,
        claim: Arc<Claim>,
    },
    /// `RunTask` with everything from the claim. Not sent any more once the wall clock is past its deadline (S7).
    Launch {
        /// The claim, read back.
        claim: Arc<Claim>,
    },
    /// `DescribeTasks`, at most 100.
    Describe { tasks: Vec<TaskArn> },
    /// `ListTasks` of this environment, to the end, and describe what it names.
    Resync,
    /// Find the task definition that new attempts are pinned to, and validate it.
    Resolve,
    /// `StopTask`.
    Stop {
        task: TaskArn,
        /// Why: shown as `stoppedReason`.
        reason: &'static str,
    },
    /// Write the terminal record unless it exists; answer with the terminal record that is there.
    GiveUp {
        job: JobKey,
        /// What to write.
        terminal: Arc<Terminal>,
    },
    /// Copy the winner's entry points to their stable names.
    Publish { job: JobKey, winner: Arc<Succeeded> },
    /// Empty the folders of attempts of a decided job that did not win.
    Collect {
        job: JobKey,
        /// Whose folders; never the winner's.
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
    /// `ChangeMessageVisibility` to give the message back after `after_ms`.
    Release {
        lease: LeaseRef,
        /// When it becomes visible, in milliseconds; 0 at once.
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
            Self::Resolve => "resolve",
            Self::Stop { .. } => "stop",
            Self::GiveUp { .. } => "bury",
            Self::Publish { .. } => "publish",
            Self::Collect { .. } => "collect",
            Self::DeadLetter(_) => "dead_letter",
            Self::Delete { .. } => "delete",
            Self::Extend { .. } => "extend",
            Self::Release { .. } => "release",
        }
    }
}
