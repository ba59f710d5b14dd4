//! Ports: what the reconciler needs of the world. Each method says what `Ok` means and what may have happened on `Err`.
//!
//! Adapters live in `aws/`. They are thin: one call each, paging and partial failures dealt back to each caller, one
//! table from error to [`crate::protocol::fact::Class`]. They retry nothing that changes the world; the planner does that, knowing why.

use std::future::Future;

use transcode_config::contract::{Attempt, Claim, JobKey, JobSpec, Succeeded, Terminal};

use crate::{
    effects::batch::Timeout,
    protocol::{
        action::{DeadLetter, LeaseRef},
        fact::{CallError, Incoming, QueueName, Refusal, Resolution, Snapshot},
        publishing::Publication,
        task_view::{TaskArn, TaskView},
    },
};

/// Why a snapshot could not be taken, or a result not published.
#[derive(Debug, Clone, PartialEq)]
pub enum InspectError {
    /// The call failed.
    Call(CallError),
    /// A document is there that this version cannot read.
    Unreadable(String),
    /// The job's specification is another one: its idempotency key belongs to another source.
    Reused(Box<JobSpec>),
}

impl From<CallError> for InspectError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Messages waiting and in flight, as SQS estimates them. For metrics, never for decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// `ApproximateNumberOfMessages`.
    pub visible: u64,
    /// `ApproximateNumberOfMessagesNotVisible`.
    pub in_flight: u64,
    /// `ApproximateNumberOfMessagesDelayed`.
    pub delayed: u64,
}

/// The ports that the reconciler works through.
#[derive(Debug, Clone)]
pub struct Ports<Q, C, S> {
    /// SQS.
    pub queue: Q,
    /// ECS.
    pub cluster: C,
    /// S3.
    pub store: S,
}

/// The job queues and their dead-letter queues.
pub trait Queue: Send + Sync + 'static {
    /// Receives with a long poll. `Err`: messages may have become invisible; they come back by themselves.
    fn receive(
        &self,
        queue: &QueueName,
        max: u8,
    ) -> impl Future<Output = Result<Vec<Incoming>, CallError>> + Send;
    /// Deletes at most ten messages of one queue; an answer for each, in order. `Ok(true)`: SQS took the delete (which
    /// for an outdated handle may have deleted nothing). `Ok(false)`: the handle is worthless. `Err`: it may have been
    /// deleted.
    fn delete(&self, leases: &[LeaseRef]) -> impl Future<Output = Vec<Result<bool, CallError>>> + Send;
    /// Sets the visibility timeouts of at most ten messages of one queue; an answer for each, in order. `Ok(false)`: the
    /// lease is lost. `Err`: it may have been set.
    fn set_visibility(
        &self,
        timeouts: &[Timeout],
    ) -> impl Future<Output = Vec<Result<bool, CallError>>> + Send;
    /// `Ok`: the dead-letter queue has acknowledged. `Err`: it may have the message (a marked duplicate may follow).
    fn dead_letter(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Reads the counts.
    fn depth(&self, queue: &QueueName) -> impl Future<Output = Result<Depth, CallError>> + Send;
}

/// The cluster.
pub trait Cluster: Send + Sync + 'static {
    /// `Ok`: a task that this token stands for. `Err`: see [`Refusal`].
    fn launch(&self, claim: &Claim) -> impl Future<Output = Result<TaskArn, Refusal>> + Send;
    /// For each task its view, or none where ECS does not know it. At most 100.
    fn describe(
        &self,
        tasks: &[TaskArn],
    ) -> impl Future<Output = Result<Vec<(TaskArn, Option<TaskView>)>, CallError>> + Send;
    /// Views of all tasks that were started by this environment and are not on their way out. Pages are merged as a
    /// set; a task that is missing from it proves nothing.
    fn list(&self) -> impl Future<Output = Result<Vec<TaskView>, CallError>> + Send;
    /// `Ok`: ECS took the stop, or does not know the task.
    fn stop(&self, task: &TaskArn, reason: &str) -> impl Future<Output = Result<(), CallError>> + Send;
    /// The task definition that new attempts are pinned to, and whether its image may be launched.
    fn task_definition(&self) -> impl Future<Output = Result<Resolution, CallError>> + Send;
}

/// The state bucket and, for settling, the output bucket.
pub trait Store: Send + Sync + 'static {
    /// Newest claim, its heartbeat, those of earlier attempts that ended without ECS' word, and, read last, the
    /// terminal record.
    fn inspect(&self, job: &JobKey) -> impl Future<Output = Result<Snapshot, InspectError>> + Send;
    /// Reads a job's specification.
    fn spec(&self, job: &JobKey) -> impl Future<Output = Result<Option<JobSpec>, InspectError>> + Send;
    /// Creates the specification and then the claim, each unless it exists, and gives back the claim that is there.
    /// Where the job has an idempotency key and the specification that is there asks for something else, no claim is
    /// created. `Err`: either may have been written.
    fn claim(
        &self,
        spec: &JobSpec,
        claim: &Claim,
    ) -> impl Future<Output = Result<Claim, InspectError>> + Send;
    /// Creates the terminal record unless it exists, and gives back the one that is there. `Err`: it may have been written.
    fn bury(&self, terminal: &Terminal) -> impl Future<Output = Result<Terminal, InspectError>> + Send;
    /// Empties the folders of attempts that did not win, with the multipart uploads that are open below them. `Err`: a
    /// part may be gone; repeating is harmless.
    fn collect(&self, job: &JobKey, losers: &[Attempt])
    -> impl Future<Output = Result<(), CallError>> + Send;
    /// Brings a winner's entry points under their stable names, unless something newer is there ([`crate::protocol::publishing`]).
    /// `Err`: some may be in place; repeating is harmless.
    fn publish(
        &self,
        job: &JobKey,
        winner: &Succeeded,
    ) -> impl Future<Output = Result<Publication, InspectError>> + Send;
}
