//! Ports: the calls that the reconciler needs. Each method says what `Ok` means and which effect `Err` leaves open.
//!
//! The adapters are in the controller's `aws/`. They are thin: one call each; pages and partial failures are dealt out
//! to each entry; one table maps errors to [`crate::protocol::fact::ErrorClass`]. An adapter never repeats a call that
//! changes state; the planner does, because it knows why.

use std::{future::Future, sync::Arc};

use transcode_config::contract::{Attempt, Claim, JobEvent, JobKey, JobSpec, Succeeded, Terminal};

use crate::{
    effects::batch::Timeout,
    protocol::{
        action::{DeadLetter, LeaseRef},
        fact::{CallError, Incoming, QueueName, Refusal, Resolution, Sighting, Snapshot},
        publishing::Publication,
        task_view::{TaskArn, TaskView},
    },
};

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The claim that exists now.
    pub claim: Claim,
    /// The call has created the specification: it is the one that was asked for.
    pub accepted: bool,
}

/// Why a call to the state or output bucket returned no result.
#[derive(Debug, Clone, PartialEq)]
pub enum InspectError {
    /// The call failed.
    Call(CallError),
    /// A document exists that this version cannot read.
    Unreadable(String),
    /// The job has another specification: its idempotency key belongs to another source.
    Reused(Box<JobSpec>),
}

impl From<CallError> for InspectError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Estimated counts of the messages in a queue, by SQS. For metrics, never for decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// `ApproximateNumberOfMessages`.
    pub visible: u64,
    /// `ApproximateNumberOfMessagesNotVisible`.
    pub in_flight: u64,
    /// `ApproximateNumberOfMessagesDelayed`.
    pub delayed: u64,
}

/// Events of the outbox.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Waiting {
    /// The oldest, at most ten, each with its key.
    pub events: Vec<(String, Arc<JobEvent>)>,
    /// There are more behind this key.
    pub next: Option<String>,
}

/// The ports that the reconciler works through.
#[derive(Debug, Clone)]
pub struct Ports<Q, C, S, B> {
    /// SQS.
    pub queue: Q,
    /// ECS.
    pub cluster: C,
    /// S3.
    pub store: S,
    /// `EventBridge`.
    pub bus: B,
}

/// The buses of the settings.
pub trait Bus: Send + Sync + 'static {
    /// `PutEvents`: sends at most ten events to a bus, by its name or ARN; returns an answer for each, in order.
    /// `Ok`: the bus has it. `Err`: the bus may have it.
    fn put(
        &self,
        bus: &str,
        events: &[Arc<JobEvent>],
    ) -> impl Future<Output = Vec<Result<(), CallError>>> + Send;
}

/// The job queues and their dead-letter queues.
pub trait Queue: Send + Sync + 'static {
    /// Receives with a long poll. `Err`: messages may have become invisible; SQS delivers them again.
    fn receive(
        &self,
        queue: &QueueName,
        max: u8,
    ) -> impl Future<Output = Result<Vec<Incoming>, CallError>> + Send;
    /// Deletes at most ten messages of one queue; returns an answer for each, in order. `Ok(true)`: SQS accepted the
    /// delete (for an outdated handle it may have deleted nothing). `Ok(false)`: the handle is not valid. `Err`: the
    /// message may have been deleted.
    fn delete(&self, leases: &[LeaseRef]) -> impl Future<Output = Vec<Result<bool, CallError>>> + Send;
    /// Sets the visibility timeouts of at most ten messages of one queue; returns an answer for each, in order.
    /// `Ok(false)`: the lease is lost. `Err`: the timeout may have been set.
    fn set_visibility(
        &self,
        timeouts: &[Timeout],
    ) -> impl Future<Output = Vec<Result<bool, CallError>>> + Send;
    /// Sends a dead letter. `Ok`: the dead-letter queue acknowledged it. `Err`: it may have arrived (a marked duplicate
    /// may follow).
    fn dead_letter(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Reads the estimated counts of a queue.
    fn depth(&self, queue: &QueueName) -> impl Future<Output = Result<Depth, CallError>> + Send;
}

/// The cluster.
pub trait Cluster: Send + Sync + 'static {
    /// `RunTask`. `Ok`: the task of this client token. `Err`: see [`Refusal`].
    fn launch(&self, claim: &Claim) -> impl Future<Output = Result<TaskArn, Refusal>> + Send;
    /// Describes at most 100 tasks. Returns the view of each; `None` where ECS does not know the task.
    fn describe(
        &self,
        tasks: &[TaskArn],
    ) -> impl Future<Output = Result<Vec<(TaskArn, Option<TaskView>)>, CallError>> + Send;
    /// Returns the views of all tasks that this environment has started and that are not stopping. All pages are merged
    /// into one set. A task that is missing from the set proves nothing.
    fn list(&self) -> impl Future<Output = Result<Vec<TaskView>, CallError>> + Send;
    /// `StopTask`. `Ok`: ECS accepted the stop, or does not know the task.
    fn stop(&self, task: &TaskArn, reason: &str) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Returns the task definition that new attempts are pinned to, and whether its image may be launched.
    fn task_definition(&self) -> impl Future<Output = Result<Resolution, CallError>> + Send;
}

/// The state bucket, and the output bucket for publishing and collecting.
pub trait Store: Send + Sync + 'static {
    /// Lists the job's documents once, and reads the terminal record if there is one, the newest claim unless it is
    /// `known`, and the heartbeats that may matter ([`Snapshot`]).
    fn inspect(
        &self,
        job: &JobKey,
        known: Option<&Arc<Claim>>,
    ) -> impl Future<Output = Result<Snapshot, InspectError>> + Send;
    /// Lists the beacons of this environment, all pages. What is no beacon is passed over.
    fn survey(&self) -> impl Future<Output = Result<Vec<Sighting>, CallError>> + Send;
    /// Reads a job's specification.
    fn spec(&self, job: &JobKey) -> impl Future<Output = Result<Option<JobSpec>, InspectError>> + Send;
    /// Creates the specification unless it exists, then the job's entries in the index, then the claim unless it
    /// exists. Returns the claim that exists now. If the job has an idempotency key and the existing specification asks
    /// for something else, no claim is created. `Err`: any of them may have been written.
    fn claim(
        &self,
        spec: &JobSpec,
        claim: &Claim,
    ) -> impl Future<Output = Result<Claimed, InspectError>> + Send;
    /// Creates the terminal record unless it exists. Returns the record that exists now. `Err`: it may have been
    /// written.
    fn give_up(&self, terminal: &Terminal) -> impl Future<Output = Result<Terminal, InspectError>> + Send;
    /// Empties the folders of attempts that did not win, and aborts the open multipart uploads below them. Here and
    /// below, the specification is read unless it is given. `Err`: a part may be gone; repeating is harmless.
    fn collect(
        &self,
        job: &JobKey,
        spec: Option<&JobSpec>,
        losers: &[Attempt],
    ) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Writes the entry of a decided job into the index. If its record knows of no attempt, also writes the entries of
    /// its acceptance, from its specification or, without one, from `asked`. `Err`: any of them may have been written;
    /// repeating is harmless.
    fn index(
        &self,
        terminal: &Terminal,
        spec: Option<&JobSpec>,
        asked: Option<&JobSpec>,
    ) -> impl Future<Output = Result<(), InspectError>> + Send;
    /// Puts an event into the outbox of its environment. `Err`: it may be there; repeating writes the same object.
    fn put_aside(&self, event: &JobEvent) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Reads the oldest events of the outbox behind a key. What cannot be read is passed over and stays (S15).
    fn waiting(
        &self,
        environment: &str,
        after: Option<&str>,
    ) -> impl Future<Output = Result<Waiting, CallError>> + Send;
    /// Removes an event from the outbox. `Err`: it may be gone.
    fn take_out(&self, key: &str) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Copies a winner's entry points to their stable names, unless a newer job is live
    /// ([`crate::protocol::publishing`]). `Err`: some may be in place; repeating is harmless.
    fn publish(
        &self,
        job: &JobKey,
        spec: Option<&JobSpec>,
        winner: &Succeeded,
    ) -> impl Future<Output = Result<Publication, InspectError>> + Send;
}
