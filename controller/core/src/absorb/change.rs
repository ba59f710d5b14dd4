//! Changes that facts cause: each change once, in the order in which they happened. Log lines and metrics are made from
//! these.

use std::sync::Arc;

use transcode_config::contract::{Attempt, Claim, EventKind, JobKey, PastAttempt, Terminal, Told};

use crate::{
    invariant::Violation,
    judge::launch_pause::Pause,
    message::{Ignored, Tenant},
    protocol::{
        clock::Ms,
        fact::{CallError, Hint, MessageId, Pinned, QueueName, Refusal},
        publishing::Publication,
        steering::Steered,
        task_view::{TaskArn, TaskView},
        via::Via,
    },
    state::breaker::FailureStage,
};

/// A change. Times are lengths in milliseconds, or milliseconds since 1970 where their name ends in `at_ms`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are what the variant's own line names")]
pub enum Change {
    /// A message was received that was not held before. It asks for these jobs; `tenants` says whose each of them is.
    MessageReceived {
        message: MessageId,
        queue: QueueName,
        jobs: Vec<JobKey>,
        tenants: Vec<Option<Tenant>>,
        sent_at_ms: Option<u64>,
    },
    /// A received message, or records in it, ask for no job.
    MessageIgnored { message: MessageId, records: Vec<Ignored> },
    /// A message asks for another source under the idempotency key of job `of`. The refused job `job` stands for the
    /// request.
    KeyReused { message: MessageId, job: JobKey, of: JobKey },
    /// SQS accepted the delete of a held message.
    MessageDeleted { message: MessageId },
    /// A message was given back.
    MessageReleased { message: MessageId },
    /// A message is not held any more: its lease expired, or its handle was not valid. `job` is the first job that it
    /// asks for.
    LeaseLost { message: MessageId, job: Option<JobKey> },
    /// The dead-letter queue acknowledged the letter of a job, sent for this message.
    DeadLettered { job: JobKey, message: MessageId },
    /// An attempt was claimed, by this controller or by another one; the nonce says which.
    AttemptClaimed { claim: Arc<Claim> },
    /// An attempt ended without winning.
    AttemptOver { job: JobKey, past: PastAttempt },
    /// RunTask returned a task.
    Launched { job: JobKey, attempt: Attempt, task: TaskArn },
    /// RunTask returned no task.
    LaunchRefused { job: JobKey, attempt: Attempt, refusal: Refusal },
    /// The terminal record of a job exists. `witnessed`: this controller had read before that it was absent.
    JobDecided { terminal: Arc<Terminal>, witnessed: bool },
    /// The entry points of a job are in place, or those of a newer job are.
    JobPublished { job: JobKey, publication: Publication },
    /// The index has the entry of a decided job.
    JobIndexed { job: JobKey },
    /// The bus, or the outbox, has the event of a job's end.
    JobAnnounced { job: JobKey, kind: EventKind, via: Via },
    /// Events of the outbox were sent; `kept` were not taken, and the first refusal.
    Resent { sent: usize, kept: Option<(usize, CallError)> },
    /// A heartbeat of the newest attempt was read that was not known.
    Heartbeat { job: JobKey },
    /// The leftovers of a job's losers are gone.
    JobCollected { job: JobKey },
    /// The last message of a decided job was deleted. `superseded`: a newer job is live. `sent_at_ms`: when that
    /// message was sent.
    JobSettled { terminal: Arc<Terminal>, superseded: bool, sent_at_ms: Option<u64> },
    /// This version cannot read a document of a job, so it leaves the job alone.
    JobUnreadable { job: JobKey, reason: String },
    /// A task with our `startedBy` does not carry our overrides.
    TaskForeign { task: TaskArn },
    /// A task is running that this controller did not launch.
    TaskAdopted { job: JobKey, attempt: Attempt, task: TaskArn },
    /// A known task has started. `asked_at_ms`: when its job was asked for.
    TaskUp { view: Box<TaskView>, asked_at_ms: Option<u64> },
    /// A known task has ended. `ours`: this controller holds a message of its job.
    TaskEnded { view: Box<TaskView>, ours: bool },
    /// A task runs another image than the one that was checked for its attempt.
    TaskOfOtherImage { job: JobKey, attempt: Attempt, task: TaskArn, pinned: String, ran: String },
    /// ECS accepted the stop of a task.
    TaskStopped { task: TaskArn, job: Option<JobKey> },
    /// The list of all tasks was read, or failed; `tasks` is the number of known tasks.
    Resynced { complete: bool, tasks: usize },
    /// The task's image must not be launched. `news`: it could be launched before, or the reason is another one.
    DefinitionRefused { reason: String, news: bool },
    /// The task's image may be launched again.
    DefinitionFits { pinned: Pinned },
    /// ECS refused a launch: no launch for `for_ms`.
    CooldownBegun { for_ms: Ms, reason: String },
    /// The breaker opened: `jobs` jobs failed one after the other, and jobs are claimed one at a time.
    BreakerOpened { trouble: FailureStage, jobs: usize },
    /// The breaker closed: a job succeeded, and claiming goes on.
    BreakerClosed,
    /// Launches pause from now on, or the reason of the pause has changed.
    PauseBegun { pause: Pause },
    /// Launches go on.
    PauseEnded,
    /// Receiving has stopped for some time: `max_leases` messages are held.
    ReceivingPaused { reason: String },
    /// Receiving goes on.
    ReceivingResumed,
    /// An event from the events queue.
    Hinted { hint: Hint },
    /// A call failed, and no other change reports it.
    CallFailed { job: Option<JobKey>, error: CallError },
    /// The process was asked to end; it holds this many messages and tasks.
    DrainBegun { leases: usize, tasks: usize },
    /// People want something else of the controller than before.
    Steered { steered: Steered },
    /// The control document, or a part of it, is refused; the last good one stays in force.
    SteeringRefused { error: String },
    /// A job had a result, or was given up, before its cancel took effect.
    CancelTooLate { job: JobKey, cancel: Told },
    /// A promise of the protocol is broken.
    PromiseBroken { violation: Violation },
}
