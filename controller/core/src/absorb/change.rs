//! What a fact changed: each change once, in the order in which it came about. What people see is a translation of these.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Claim, JobKey, PastAttempt, Terminal};

use crate::{
    invariant::Violation,
    judge::launch_pause::Pause,
    message::Ignored,
    protocol::{
        clock::Ms,
        fact::{CallError, Hint, MessageId, Pinned, QueueName, Refusal},
        publishing::Publication,
        task_view::{TaskArn, TaskView},
    },
    state::breaker::FailureStage,
};

/// A change. Times are lengths in milliseconds, or milliseconds since 1970 where their name ends in `at_ms`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are what the variant's own line names")]
pub enum Change {
    /// A message that was not held is held now, and asks for these jobs.
    MessageReceived { message: MessageId, queue: QueueName, jobs: Vec<JobKey>, sent_at_ms: Option<u64> },
    /// A message that was received, or records in it, ask for no job.
    MessageIgnored { message: MessageId, records: Vec<Ignored> },
    /// A message asks under an idempotency key that belongs to the job `of`, for another source: `job` stands for that.
    KeyReused { message: MessageId, job: JobKey, of: JobKey },
    /// SQS took the delete of a message that was held.
    MessageDeleted { message: MessageId },
    /// A message was given back.
    MessageReleased { message: MessageId },
    /// A message is held no more: its lease ran out, or its handle was worthless. `job` is the first that it asks for.
    LeaseLost { message: MessageId, job: Option<JobKey> },
    /// The dead-letter queue acknowledged the letter of a job, for the sake of a message.
    DeadLettered { job: JobKey, message: MessageId },
    /// An attempt is claimed: by this controller, or, as the nonce tells, by another.
    AttemptClaimed { claim: Arc<Claim> },
    /// An attempt ended without winning.
    AttemptOver { job: JobKey, past: PastAttempt },
    /// RunTask gave a task.
    Launched { job: JobKey, attempt: Attempt, task: TaskArn },
    /// RunTask gave none.
    LaunchRefused { job: JobKey, attempt: Attempt, refusal: Refusal },
    /// The terminal record of a job was found written. `witnessed`: it was absent when read before.
    JobDecided { terminal: Arc<Terminal>, witnessed: bool },
    /// The entry points of a job are in place, or stay those of a newer one.
    JobPublished { job: JobKey, publication: Publication },
    /// What the losers of a job left behind is gone.
    JobCollected { job: JobKey },
    /// The last message of a decided job was deleted. `sent_at_ms` says when that message was sent.
    JobSettled { terminal: Arc<Terminal>, sent_at_ms: Option<u64> },
    /// This version cannot read a document of a job, and leaves the job alone.
    JobUnreadable { job: JobKey, reason: String },
    /// A task under our `startedBy` has no identity of ours.
    TaskForeign { task: TaskArn },
    /// A task is at work that this controller did not launch.
    TaskAdopted { job: JobKey, attempt: Attempt, task: TaskArn },
    /// A known task has come up. `asked_at_ms` says when its job was asked for.
    TaskUp { view: Box<TaskView>, asked_at_ms: Option<u64> },
    /// A known task has ended. `ours`: this controller holds a message of its job.
    TaskEnded { view: Box<TaskView>, ours: bool },
    /// A task runs another image than the one that was looked at for its attempt.
    TaskOfOtherImage { job: JobKey, attempt: Attempt, task: TaskArn, pinned: String, ran: String },
    /// ECS took the stop of a task.
    TaskStopped { task: TaskArn, job: Option<JobKey> },
    /// All tasks were listed, or could not be; `tasks` are known.
    Resynced { complete: bool, tasks: usize },
    /// The task's image must not be launched. `news`: it could be before, or was refused for another reason.
    DefinitionRefused { reason: String, news: bool },
    /// The task's image may be launched again.
    DefinitionFits { pinned: Pinned },
    /// ECS refused a launch: none is tried for a while.
    CooldownBegun { for_ms: Ms, reason: String },
    /// So many jobs failed one after the other: they are claimed one at a time.
    BreakerOpened { trouble: FailureStage, jobs: usize },
    /// A job got through: claiming goes on.
    BreakerClosed,
    /// Launches pause from now on, or for another reason than before.
    PauseBegun { pause: Pause },
    /// Launches go on.
    PauseEnded,
    /// Nothing has been received for a while, because nothing more can be held.
    ReceivingPaused { reason: String },
    /// Messages are received again.
    ReceivingResumed,
    /// An event told of something.
    Hinted { hint: Hint },
    /// A call failed that no other change tells of.
    CallFailed { job: Option<JobKey>, error: CallError },
    /// The process was asked to end while it held so much.
    DrainBegun { leases: usize, tasks: usize },
    /// A promise of the protocol is broken.
    PromiseBroken { violation: Violation },
}
