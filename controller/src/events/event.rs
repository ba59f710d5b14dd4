//! Moments: what happens to jobs and to the controller, as people see it.

use transcode_config::contract::{Attempt, Budget, Claim, FailureCode, JobKey, Published, Terminal};
use transcode_core::{
    effects::ports::Depth,
    judge::launch_pause::Pause,
    message::Ignored,
    protocol::{
        clock::Ms,
        fact::{CallError, ErrorClass, MessageId, Refusal},
        task_view::TaskArn,
    },
    state::breaker::FailureStage,
};

use super::{Metric, registry::Registry};

/// How a job was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Published.
    Succeeded,
    /// Given up.
    Dead(FailureCode),
}

/// How long a task took to start, by ECS' timestamps; none where ECS left one out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// From `createdAt` to `pullStartedAt`.
    pub provisioning_ms: Option<Ms>,
    /// From `pullStartedAt` to `pullStoppedAt`.
    pub pull_ms: Option<Ms>,
    /// From `pullStoppedAt` to `startedAt`.
    pub start_ms: Option<Ms>,
}

/// One moment. Its counters are in this file, its log line is in `log.rs`, and nowhere else.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the fields are what the variant's own line names")]
pub enum Event<'a> {
    /// The loop has taken a turn.
    Turned,
    /// All that the loop knows was looked at. `oldest_ms` is the age of the oldest message held, `cpu` the CPU units of
    /// the tasks, `paused` whether launches pause.
    /// `full`: receiving stands still.
    Sampled { tasks: usize, cpu: u64, jobs: usize, oldest_ms: Option<Ms>, paused: bool, full: bool },
    /// A message that was not held has been received; `jobs` is how many it asks for.
    MessageReceived { message: &'a MessageId, queue: &'a str, jobs: usize },
    /// A message that asks for a job has been received; `waited_ms` is how long after it was sent.
    JobReceived { job: &'a JobKey, message: &'a MessageId, queue: &'a str, waited_ms: Option<Ms> },
    /// A message, or a record in it, asks for no job.
    Ignored { message: &'a MessageId, record: &'a Ignored },
    /// A message asks under another job's idempotency key for another source; `job` is refused in its place.
    KeyReused { message: &'a MessageId, job: &'a JobKey, of: &'a JobKey },
    /// SQS has taken the delete of a message.
    MessageDeleted { message: &'a MessageId },
    /// A message was given back.
    MessageReleased { message: &'a MessageId },
    /// A message of an unknown version is put aside.
    Parked { message: &'a MessageId, reason: &'a str },
    /// An action is carried out.
    ActionStarted { action: &'a str, job: Option<&'a JobKey> },
    /// A call failed; refused launches have a moment of their own.
    CallFailed { job: Option<&'a JobKey>, error: &'a CallError },
    /// An attempt is claimed: by us, or, as `claim.nonce` tells, by another controller.
    AttemptClaimed { claim: &'a Claim },
    /// RunTask is about to be sent.
    LaunchSent { claim: &'a Claim },
    /// RunTask gave a task.
    Launched { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn },
    /// RunTask gave none.
    LaunchRefused { job: &'a JobKey, attempt: Attempt, refusal: &'a Refusal },
    /// A task is seen running for the first time; `queued_ms` is how long after its message was sent.
    Running { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn, queued_ms: Option<Ms> },
    /// ECS says when a task started.
    Started { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn, phases: Phases },
    /// A task has ended. `usd` is what it cost, where its price is known.
    Ended {
        job: &'a JobKey,
        attempt: Attempt,
        task: &'a TaskArn,
        exit_code: Option<i32>,
        stop_code: Option<&'a str>,
        usd: Option<f64>,
    },
    /// A settled job's last task has ended: what all of them cost, and the minutes of the result if there is one.
    JobCost { job: &'a JobKey, usd: f64, minutes: Option<f64> },
    /// A task is there that this controller did not launch.
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
    /// The terminal record was found written.
    RecordRead { terminal: &'a Terminal },
    /// A job's entry points are in place.
    Published { job: &'a JobKey, live: &'a Published },
    /// A newer job's entry points are in place; this one's stay in their folder.
    Superseded { job: &'a JobKey, by: &'a JobKey },
    /// What attempts of a job that did not win had left behind is gone.
    Collected { job: &'a JobKey },
    /// A job is settled; `job_ms` is how long after its message was sent.
    Settled { job: &'a JobKey, ending: Ending, job_ms: Option<Ms> },
    /// The dead-letter queue has acknowledged.
    DeadLettered { job: &'a JobKey, message: &'a MessageId },
    /// A lease ran out or was taken.
    LeaseLost { message: &'a MessageId, job: Option<&'a JobKey> },
    /// A document cannot be read by this version; its job is left alone.
    Unreadable { job: &'a JobKey, reason: &'a str },
    /// A task under our `startedBy` without our identity.
    ForeignTask { task: &'a TaskArn },
    /// The task's image must not be launched; `news`: it could be before, or for another reason.
    ImageRefused { reason: &'a str, news: bool },
    /// A task runs another image than the one that was looked at for its attempt.
    OtherImage { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn, pinned: &'a str, ran: &'a str },
    /// It may be launched again.
    ImageFits { task_definition: &'a str },
    /// A task is stopped.
    Stopped { task: &'a TaskArn, job: Option<&'a JobKey>, reason: &'a str },
    /// All launches pause.
    CooldownBegun { for_ms: Ms, reason: &'a str },
    /// One job after the other fails: only one is launched now and then.
    BreakerOpened { trouble: FailureStage, jobs: usize },
    /// A job got through: launching goes on.
    BreakerClosed,
    /// A task is to be stopped because nobody needs it any more.
    OrphanFound { task: &'a TaskArn, job: Option<&'a JobKey> },
    /// Nothing is launched from now on, whatever waits.
    PauseBegun { pause: &'a Pause },
    /// Launches go on.
    PauseEnded,
    /// Nothing is received any more.
    ReceivingPaused { reason: &'a str },
    /// Messages are received again.
    ReceivingGoesOn,
    /// News was found by looking, and no event told of it. `what` is a task or a job.
    NotificationMissed { what: &'a str },
    /// A promise of the job protocol is broken: a bug, or somebody else's hand.
    InvariantBroken { id: &'a str, what: &'a str },
    /// The list of tasks was read.
    Resynced { complete: bool, tasks: usize },
    /// SQS' estimates of a queue.
    DepthPolled { queue: &'a str, depth: Depth },
    /// The process was asked to end.
    DrainBegun { leases: usize, tasks: usize },
    /// The process ends. `complete`: every answer that was awaited has come.
    DrainEnded { complete: bool },
    /// Periods of metrics were thrown away: `CloudWatch` has been away for too long.
    MetricsDropped { periods: u64 },
    /// Log lines were thrown away: standard output took none for too long.
    LogLinesDropped { lines: u64 },
}

impl Event<'_> {
    /// Adds it to what it is counted under.
    pub(super) fn count(&self, registry: &Registry) {
        use Metric as M;
        match self {
            Self::Sampled { tasks, cpu, jobs, oldest_ms, paused, full } => {
                registry.set(M::ReceivingPaused, f64::from(u8::from(*full)));
                registry.set(M::TasksInFlight, float(*tasks as u64));
                registry.set(M::VcpuInFlight, float(*cpu) / 1024.0);
                registry.set(M::JobsHeld, float(*jobs as u64));
                registry.set(M::OldestMessageAge, float(oldest_ms.unwrap_or(0)) / 1000.0);
                registry.set(M::LaunchesPaused, f64::from(u8::from(*paused)));
            }
            Self::DepthPolled { queue, depth } => {
                registry.set_part(M::QueueDepth, queue, float(depth.visible + depth.delayed));
                registry.set_part(M::QueueInFlight, queue, float(depth.in_flight));
            }
            Self::CallFailed { error, .. } => match error.class {
                ErrorClass::Throttled => registry.add(M::Throttles, 1),
                _ => registry.add(M::ReconcileErrors, 1),
            },
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

    /// The counter of moments that are counted one by one.
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
        assert_eq!(dead.iter().map(|point| point.label).collect::<Vec<_>>(), [None, Some("NOT_MEDIA")]);
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
        let refused: Vec<_> = refused.map(|point| (point.label, point.value.clone())).collect();
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
        let ignored: Vec<_> = ignored.map(|point| (point.label, point.value.clone())).collect();
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
