//! Events: changes of jobs and of the controller, as people see them.

use std::collections::BTreeMap;

use transcode_config::contract::{
    Attempt, Budget, Claim, EventKind, FailureCode, JobKey, Published, Terminal, Told,
};
use transcode_core::{
    effects::ports::Depth,
    judge::launch_pause::Pause,
    message::{Ignored, Tenant},
    protocol::{
        clock::Ms,
        fact::{CallError, ErrorClass, MessageId, Refusal},
        steering::Steered,
        task_view::TaskArn,
    },
    state::breaker::FailureStage,
};

use super::{Metric, registry::Registry};

/// How a settled job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Published.
    Succeeded,
    /// Given up.
    Dead(FailureCode),
    /// A newer job is live.
    Superseded,
    /// Somebody cancelled it.
    Cancelled,
}

/// How long a task took to start, by ECS' timestamps; `None` where a timestamp is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// From `createdAt` to `pullStartedAt`.
    pub provisioning_ms: Option<Ms>,
    /// From `pullStartedAt` to `pullStoppedAt`.
    pub pull_ms: Option<Ms>,
    /// From `pullStoppedAt` to `startedAt`.
    pub start_ms: Option<Ms>,
}

/// One event. Its metrics are in this file, its log line is in `log.rs`, and nowhere else.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the fields are what the variant's own line names")]
pub enum Event<'a> {
    /// The loop has taken a turn.
    Turned,
    /// The loop was sampled. `oldest_ms`: age of the oldest message held. `cpu`: CPU units of the tasks. `paused`:
    /// launches pause. `full`: receiving has stopped. `stuck`: jobs at a step that AWS refuses.
    Sampled {
        tasks: usize,
        cpu: u64,
        jobs: usize,
        waiting: usize,
        tenants: usize,
        waiting_by_rule: &'a BTreeMap<String, f64>,
        tasks_by_rule: &'a BTreeMap<String, f64>,
        oldest_ms: Option<Ms>,
        paused: bool,
        full: bool,
        stuck: usize,
    },
    /// A message that was not held was received; it asks for `jobs` jobs.
    MessageReceived { message: &'a MessageId, queue: &'a str, jobs: usize },
    /// A received message asks for this job; `waited_ms` is the time since it was sent.
    JobReceived {
        job: &'a JobKey,
        message: &'a MessageId,
        queue: &'a str,
        tenant: Option<&'a Tenant>,
        waited_ms: Option<Ms>,
    },
    /// A message, or a record in it, asks for no job.
    Ignored { message: &'a MessageId, record: &'a Ignored },
    /// A message asks for another source under the idempotency key of job `of`; the refused job `job` stands for the
    /// request.
    KeyReused { message: &'a MessageId, job: &'a JobKey, of: &'a JobKey },
    /// SQS accepted the delete of a message.
    MessageDeleted { message: &'a MessageId },
    /// A message was given back.
    MessageReleased { message: &'a MessageId },
    /// A message of an unknown version is put aside.
    Parked { message: &'a MessageId, reason: &'a str },
    /// The call of an action begins.
    ActionStarted { action: &'a str, job: Option<&'a JobKey> },
    /// A call failed; refused launches have an event of their own.
    CallFailed { job: Option<&'a JobKey>, error: &'a CallError },
    /// An attempt was claimed, by us or by another controller; `claim.nonce` says which.
    AttemptClaimed { claim: &'a Claim },
    /// RunTask is about to be sent.
    LaunchSent { claim: &'a Claim },
    /// RunTask returned a task.
    Launched { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn },
    /// RunTask returned no task.
    LaunchRefused { job: &'a JobKey, attempt: Attempt, refusal: &'a Refusal },
    /// A task is seen running for the first time; `queued_ms` is the time since its message was sent.
    Running { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn, queued_ms: Option<Ms> },
    /// ECS has given the times of a task's start.
    Started { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn, phases: Phases },
    /// A task has ended. `usd` is its cost, if its price is known.
    Ended {
        job: &'a JobKey,
        attempt: Attempt,
        task: &'a TaskArn,
        exit_code: Option<i32>,
        stop_code: Option<&'a str>,
        usd: Option<f64>,
    },
    /// The last task of a settled job has ended: the cost of all its tasks, and the minutes of the result if it has
    /// one.
    JobCost { job: &'a JobKey, usd: f64, minutes: Option<f64> },
    /// A task is running that this controller did not launch.
    Adopted { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn },
    /// An attempt ended without winning.
    AttemptOver {
        job: &'a JobKey,
        attempt: Attempt,
        task: Option<&'a str>,
        budget: Budget,
        code: FailureCode,
        message: &'a str,
    },
    /// The terminal record of a job exists.
    RecordRead { terminal: &'a Terminal },
    /// A job's entry points are in place.
    Published { job: &'a JobKey, live: &'a Published },
    /// A newer job's entry points are in place; this job's stay in their folder.
    Superseded { job: &'a JobKey, by: &'a JobKey },
    /// The index has the entry of a decided job.
    Indexed { job: &'a JobKey },
    /// The leftovers of a job's losers are gone.
    Collected { job: &'a JobKey },
    /// A job is settled; `job_ms` is the time since its message was sent.
    Settled { job: &'a JobKey, ending: Ending, job_ms: Option<Ms> },
    /// The dead-letter queue acknowledged the letter.
    DeadLettered { job: &'a JobKey, message: &'a MessageId },
    /// The bus has the event of a job's end; `aside`: the outbox has it.
    Announced { job: &'a JobKey, kind: EventKind, aside: bool },
    /// Events of the outbox were sent; some may not be taken yet.
    Resent { sent: usize, kept: Option<&'a (usize, CallError)> },
    /// Events of jobs under way were sent, or dropped.
    NewsSent { sent: usize, dropped: usize },
    /// A lease expired, or its handle is not valid any more.
    LeaseLost { message: &'a MessageId, job: Option<&'a JobKey> },
    /// This version cannot read a document of a job; the job is left alone.
    Unreadable { job: &'a JobKey, reason: &'a str },
    /// A task with our `startedBy` does not carry our identity.
    ForeignTask { task: &'a TaskArn },
    /// The task's image must not be launched. `news`: it could be launched before, or the reason is another one.
    ImageRefused { reason: &'a str, news: bool },
    /// A task runs another image than the one that was checked for its attempt.
    OtherImage { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn, pinned: &'a str, ran: &'a str },
    /// The task's image may be launched again.
    ImageFits { task_definition: &'a str },
    /// A task is being stopped.
    Stopped { task: &'a TaskArn, job: Option<&'a JobKey>, reason: &'a str },
    /// All launches pause for `for_ms`.
    CooldownBegun { for_ms: Ms, reason: &'a str },
    /// One job after the other fails: jobs are claimed one at a time.
    BreakerOpened { trouble: FailureStage, jobs: usize },
    /// A job succeeded: claiming goes on.
    BreakerClosed,
    /// A task is stopped because its job does not need it any more.
    OrphanFound { task: &'a TaskArn, job: Option<&'a JobKey> },
    /// No job is launched from now on.
    PauseBegun { pause: &'a Pause },
    /// People want something else than before.
    Steered { steered: &'a Steered },
    /// The control document, or a part of it, is not in force.
    SteeringRefused { reason: &'a str },
    /// A cancelled job was decided before the cancel took effect.
    CancelTooLate { job: &'a JobKey, cancel: &'a Told },
    /// Launches go on.
    PauseEnded,
    /// AWS refuses a step of jobs until somebody removes the cause. `job` is one of these jobs, `why` its note.
    StepRefused { step: &'a str, jobs: usize, job: &'a JobKey, why: &'a str },
    /// No job fails at that step any more.
    StepGoesOn { step: &'a str },
    /// Receiving has stopped.
    ReceivingPaused { reason: &'a str },
    /// Receiving goes on.
    ReceivingGoesOn,
    /// A read has shown a change that no event announced. `what` is a task or a job.
    NotificationMissed { what: &'a str },
    /// A promise of the job protocol is broken: by a bug, or by another program.
    InvariantBroken { id: &'a str, what: &'a str },
    /// The list of tasks was read.
    Resynced { complete: bool, tasks: usize },
    /// SQS' estimated counts of a queue.
    DepthPolled { queue: &'a str, depth: Depth },
    /// The process was asked to end.
    DrainBegun { leases: usize, tasks: usize },
    /// The process ends. `complete`: every call under way was answered.
    DrainEnded { complete: bool },
    /// Periods of metrics were dropped: `CloudWatch` did not answer for too long.
    MetricsDropped { periods: u64 },
    /// The report of what the controller knows cannot be written; its readers see the last one and its age.
    StatusFailed { error: &'a CallError },
    /// The report is written again.
    StatusWritten,
    /// Log lines were dropped: standard output accepted none for too long.
    LogLinesDropped { lines: u64 },
}

impl Event<'_> {
    /// Adds the event to its metrics.
    pub(super) fn count(&self, registry: &Registry) {
        use Metric as M;
        match self {
            Self::Sampled { .. } => self.sampled(registry),
            Self::DepthPolled { queue, depth } => {
                registry.set_part(M::QueueDepth, queue, float(depth.visible + depth.delayed));
                registry.set_part(M::QueueInFlight, queue, float(depth.in_flight));
            }
            Self::CallFailed { error, .. } => match error.class {
                ErrorClass::Throttled => registry.add(M::Throttles, 1),
                _ => registry.add(M::ReconcileErrors, 1),
            },
            Self::Announced { aside: true, .. } => registry.add(M::EventsDelayed, 1),
            Self::Announced { .. } => registry.add(M::EventsSent, 1),
            Self::Resent { sent, .. } => registry.add(M::EventsSent, *sent as u64),
            Self::NewsSent { sent, dropped } => {
                registry.add(M::EventsSent, *sent as u64);
                registry.add(M::EventsDropped, *dropped as u64);
            }
            Self::LaunchRefused { refusal, .. } => {
                registry.add_labelled(M::LaunchesRefused, refusal.class(), 1);
            }
            Self::Ignored { record, .. } => {
                registry.add_labelled(M::Ignored, record.reason.name(), 1);
            }
            Self::Started { phases, .. } => {
                for (metric, ms) in [
                    (M::ProvisioningSeconds, phases.provisioning_ms),
                    (M::PullSeconds, phases.pull_ms),
                    (M::StartSeconds, phases.start_ms),
                ] {
                    if let Some(ms) = ms {
                        registry.record_ms(metric, ms);
                    }
                }
            }
            Self::Ended { usd: Some(usd), .. } => registry.record(M::TaskCost, *usd),
            Self::JobCost { usd, minutes, .. } => {
                registry.record(M::JobCost, *usd);
                if let Some(minutes) = minutes.filter(|minutes| *minutes > 0.0) {
                    registry.record(M::CostPerOutputMinute, usd / minutes);
                }
            }
            Self::Running { queued_ms: Some(ms), .. } => registry.record_ms(M::QueueToRunningSeconds, *ms),
            Self::Settled { ending, job_ms, .. } => {
                match ending {
                    Ending::Succeeded => registry.add(M::JobsSucceeded, 1),
                    Ending::Superseded => registry.add(M::JobsSuperseded, 1),
                    Ending::Cancelled => registry.add(M::JobsCancelled, 1),
                    Ending::Dead(code) => registry.add_labelled(M::JobsDead, code.info().name, 1),
                }
                if let Some(ms) = job_ms {
                    registry.record_ms(M::JobSeconds, *ms);
                }
            }
            Self::MetricsDropped { periods } => registry.add(M::MetricsDropped, *periods),
            Self::LogLinesDropped { lines } => registry.add(M::LogLinesDropped, *lines),
            Self::BreakerOpened { .. } => registry.set(M::BreakerOpen, 1.0),
            Self::BreakerClosed => registry.set(M::BreakerOpen, 0.0),
            other => {
                if let Some(metric) = other.counter() {
                    registry.add(metric, 1);
                }
            }
        }
    }

    /// The job that the event is about; `None` for events of a message, of several jobs, or of the controller.
    pub(super) fn job(&self) -> Option<&JobKey> {
        match self {
            Self::JobReceived { job, .. }
            | Self::KeyReused { job, .. }
            | Self::LaunchRefused { job, .. }
            | Self::Launched { job, .. }
            | Self::Running { job, .. }
            | Self::Started { job, .. }
            | Self::Ended { job, .. }
            | Self::JobCost { job, .. }
            | Self::Adopted { job, .. }
            | Self::AttemptOver { job, .. }
            | Self::Published { job, .. }
            | Self::Superseded { job, .. }
            | Self::Indexed { job }
            | Self::Announced { job, .. }
            | Self::Collected { job }
            | Self::CancelTooLate { job, .. }
            | Self::Settled { job, .. }
            | Self::DeadLettered { job, .. }
            | Self::Unreadable { job, .. }
            | Self::OtherImage { job, .. }
            | Self::StepRefused { job, .. } => Some(job),
            Self::AttemptClaimed { claim } | Self::LaunchSent { claim } => Some(&claim.job),
            Self::RecordRead { terminal } => Some(&terminal.job),
            Self::ActionStarted { job, .. }
            | Self::CallFailed { job, .. }
            | Self::LeaseLost { job, .. }
            | Self::Stopped { job, .. }
            | Self::OrphanFound { job, .. } => *job,
            _ => None,
        }
    }

    /// Sets the gauges of a sample.
    fn sampled(&self, registry: &Registry) {
        use Metric as M;
        let Self::Sampled {
            cpu,
            jobs,
            waiting_by_rule,
            tasks_by_rule,
            tenants,
            oldest_ms,
            paused,
            full,
            stuck,
            ..
        } = self
        else {
            return;
        };
        registry.set(M::JobsStuck, float(*stuck as u64));
        registry.set_parts(M::JobsWaiting, waiting_by_rule);
        registry.set(M::TenantsWaiting, float(*tenants as u64));
        registry.set(M::ReceivingPaused, f64::from(u8::from(*full)));
        registry.set_parts(M::TasksInFlight, tasks_by_rule);
        registry.set(M::VcpuInFlight, float(*cpu) / 1024.0);
        registry.set(M::JobsHeld, float(*jobs as u64));
        registry.set(M::OldestMessageAge, float(oldest_ms.unwrap_or(0)) / 1000.0);
        registry.set(M::LaunchesPaused, f64::from(u8::from(*paused)));
    }

    /// The counter of an event that adds one to one metric.
    fn counter(&self) -> Option<Metric> {
        match self {
            Self::Turned => Some(Metric::Turns),
            Self::JobReceived { .. } => Some(Metric::JobsReceived),
            Self::Parked { .. } | Self::Unreadable { .. } => Some(Metric::Parked),
            Self::AttemptClaimed { .. } => Some(Metric::Attempts),
            Self::Launched { .. } => Some(Metric::Launches),
            Self::Adopted { .. } => Some(Metric::Adopted),
            Self::AttemptOver { .. } => Some(Metric::AttemptsOver),
            Self::DeadLettered { .. } => Some(Metric::DeadLettered),
            Self::LeaseLost { .. } => Some(Metric::LeasesLost),
            Self::ForeignTask { .. } => Some(Metric::ForeignTasks),
            Self::ImageRefused { .. } => Some(Metric::ImagesRefused),
            Self::OtherImage { .. } => Some(Metric::OtherImages),
            Self::Stopped { .. } => Some(Metric::TasksStopped),
            Self::OrphanFound { .. } => Some(Metric::Orphans),
            Self::NotificationMissed { .. } => Some(Metric::EventsMissed),
            Self::InvariantBroken { .. } => Some(Metric::InvariantViolations),
            _ => None,
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use transcode_core::message::IgnoreReason;

    use super::*;
    use crate::events::{Events, Value};

    #[test]
    fn a_dead_job_counts_in_total_and_by_code() {
        let events = Events::new();
        let job = JobKey::of(&["x"]);
        let ending = Ending::Dead(FailureCode::NotMedia);
        events.emit(Event::Settled { job: &job, ending, job_ms: Some(1500) });
        let points = events.registry().drain();
        let dead: Vec<_> = points.iter().filter(|point| point.metric == Metric::JobsDead).collect();
        assert_eq!(
            dead.iter().map(|point| point.label.as_deref()).collect::<Vec<_>>(),
            [None, Some("NOT_MEDIA")]
        );
        assert!(points.iter().any(|p| p.value == Value::Many(vec![(1.5, 1.0)])), "{points:?}");
    }

    #[test]
    fn a_refused_launch_counts_in_total_and_by_class() {
        let (events, job) = (Events::new(), JobKey::of(&["x"]));
        let class = ErrorClass::Capacity;
        let error = CallError { operation: "ecs:RunTask", class, message: String::new() };
        for refusal in [Refusal::Failed(error), Refusal::Definitive("RESOURCE".into())] {
            events.emit(Event::LaunchRefused { job: &job, attempt: Attempt::FIRST, refusal: &refusal });
        }
        let points = events.registry().drain();
        let refused = points.iter().filter(|point| point.metric == Metric::LaunchesRefused);
        let refused: Vec<_> = refused.map(|point| (point.label.as_deref(), point.value.clone())).collect();
        let expected = [(None, 2.0), (Some("Capacity"), 1.0), (Some("Definitive"), 1.0)];
        assert_eq!(refused, expected.map(|(label, count)| (label, Value::One(count))));
    }

    #[test]
    fn what_is_ignored_counts_in_total_and_by_reason() {
        let (events, message) = (Events::new(), MessageId("m".into()));
        for reason in [IgnoreReason::TestEvent, IgnoreReason::OtherSuffix] {
            let record = Ignored { reason, event: String::new() };
            events.emit(Event::Ignored { message: &message, record: &record });
        }
        let points = events.registry().drain();
        let ignored = points.iter().filter(|point| point.metric == Metric::Ignored);
        let ignored: Vec<_> = ignored.map(|point| (point.label.as_deref(), point.value.clone())).collect();
        let expected = [(None, 2.0), (Some("OtherSuffix"), 1.0), (Some("TestEvent"), 1.0)];
        assert_eq!(ignored, expected.map(|(label, count)| (label, Value::One(count))));
    }

    #[test]
    fn a_throttle_is_no_error() {
        let events = Events::new();
        for class in [ErrorClass::Throttled, ErrorClass::Throttled, ErrorClass::Uncertain] {
            let error = CallError { operation: "ecs:RunTask", class, message: String::new() };
            events.emit(Event::CallFailed { job: None, error: &error });
        }
        assert_eq!(events.registry().count(Metric::Throttles), 2);
        assert_eq!(events.registry().count(Metric::ReconcileErrors), 1);
    }
}
