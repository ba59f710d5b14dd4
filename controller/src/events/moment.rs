//! Moments: what happens to jobs and to the controller, as people see it.

use transcode_config::contract::{Attempt, Budget, FailureCode, Intent, JobKey, Outcome, Terminal};

use super::{metric::Metric, registry::Registry};
use crate::{
    breaker::Trouble,
    clock::Ms,
    fact::{CallError, Class, MessageId, Refusal},
    ports::Depth,
    task_view::TaskArn,
};

/// How a job was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Published.
    Succeeded,
    /// Given up.
    Dead(FailureCode),
}

/// One moment. Log level and counters of each are in this file and nowhere else.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the fields are what the variant's own line names")]
pub enum Moment<'a> {
    /// The loop has taken a turn: what it holds now. `oldest_ms` is the age of the oldest message held.
    Turned { tasks: usize, jobs: usize, oldest_ms: Option<Ms> },
    /// A message that was not held has been received; `jobs` is how many it asks for.
    MessageReceived { message: &'a MessageId, queue: &'a str, jobs: usize },
    /// A message that asks for a job has been received; `waited_ms` is how long after it was sent.
    JobReceived { job: &'a JobKey, message: &'a MessageId, queue: &'a str, waited_ms: Option<Ms> },
    /// SQS has taken the delete of a message.
    MessageDeleted { message: &'a MessageId },
    /// A message was given back.
    MessageReleased { message: &'a MessageId },
    /// A message of an unknown version is put aside.
    Parked { message: &'a MessageId, reason: &'a str },
    /// An action is carried out.
    ActionStarted { action: &'a str, job: Option<&'a JobKey> },
    /// Its answer came.
    ActionAnswered { action: &'a str, job: Option<&'a JobKey>, took_ms: Ms, error: Option<&'a CallError> },
    /// An attempt is claimed: by us, or, as `intent.nonce` tells, by another controller.
    AttemptClaimed { intent: &'a Intent },
    /// RunTask is about to be sent.
    LaunchSent { intent: &'a Intent },
    /// RunTask gave a task.
    Launched { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn },
    /// RunTask gave none.
    LaunchRefused { job: &'a JobKey, attempt: Attempt, refusal: &'a Refusal },
    /// A task is seen running for the first time; `queued_ms` is how long after its message was sent.
    Running { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn, queued_ms: Option<Ms> },
    /// A task is there that this controller did not launch.
    Adopted { job: &'a JobKey, attempt: Attempt, task: &'a TaskArn },
    /// An attempt ended without winning.
    AttemptOver { job: &'a JobKey, attempt: Attempt, budget: Budget, code: FailureCode, message: &'a str },
    /// The register was found written.
    RegisterRead { terminal: &'a Terminal },
    /// A job's entry points are in place.
    Published { job: &'a JobKey },
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
    /// It may be launched again.
    ImageFits { task_definition: &'a str },
    /// A task is stopped.
    Stopped { task: &'a TaskArn, job: Option<&'a JobKey>, reason: &'a str },
    /// All launches pause.
    CooldownBegun { for_ms: Ms, reason: &'a str },
    /// One job after the other fails: only one is launched now and then.
    BreakerOpened { trouble: Trouble, jobs: usize },
    /// A job got through: launching goes on.
    BreakerClosed,
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
}

impl Moment<'_> {
    /// Adds it to what it is counted under.
    pub(super) fn count(&self, registry: &Registry) {
        use Metric as M;
        match self {
            Self::Turned { tasks, jobs, oldest_ms } => {
                registry.set(M::TasksInFlight, float(*tasks as u64));
                registry.set(M::JobsHeld, float(*jobs as u64));
                registry.set(M::OldestMessageAge, float(oldest_ms.unwrap_or(0)) / 1000.0);
            }
            Self::DepthPolled { queue, depth } => {
                registry.set_part(M::QueueDepth, queue, float(depth.visible + depth.delayed));
                registry.set_part(M::QueueInFlight, queue, float(depth.in_flight));
            }
            Self::ActionAnswered { error: Some(error), .. } => match error.class {
                Class::Throttled => registry.add(M::Throttles, 1),
                _ => registry.add(M::ReconcileErrors, 1),
            },
            Self::Running { queued_ms: Some(ms), .. } => registry.record_ms(M::QueueToRunningSeconds, *ms),
            Self::Settled { ending, job_ms, .. } => {
                match ending {
                    Ending::Succeeded => registry.add(M::JobsSucceeded, 1),
                    Ending::Dead(code) => {
                        registry.add(M::JobsDead, 1);
                        registry.add_coded(M::JobsDead, Some(*code), 1);
                    }
                }
                if let Some(ms) = job_ms {
                    registry.record_ms(M::JobSeconds, *ms);
                }
            }
            Self::MetricsDropped { periods } => registry.add(M::MetricsDropped, *periods),
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
            Self::JobReceived { .. } => Some(Metric::JobsReceived),
            Self::Parked { .. } | Self::Unreadable { .. } => Some(Metric::Parked),
            Self::AttemptClaimed { .. } => Some(Metric::Attempts),
            Self::Launched { .. } => Some(Metric::Launches),
            Self::LaunchRefused { .. } => Some(Metric::LaunchesRefused),
            Self::Adopted { .. } => Some(Metric::Adopted),
            Self::AttemptOver { .. } => Some(Metric::AttemptsOver),
            Self::DeadLettered { .. } => Some(Metric::DeadLettered),
            Self::LeaseLost { .. } => Some(Metric::LeasesLost),
            Self::ForeignTask { .. } => Some(Metric::ForeignTasks),
            Self::ImageRefused { .. } => Some(Metric::ImagesRefused),
            Self::Stopped { .. } => Some(Metric::TasksStopped),
            _ => None,
        }
    }

    /// Writes its line: lower case, fields, nothing interpolated.
    pub(super) fn log(&self) {
        match *self {
            Self::Turned { tasks, jobs, oldest_ms } => tracing::trace!(tasks, jobs, oldest_ms, "turned"),
            Self::ActionStarted { action, job } => tracing::debug!(action, job = text(job), "action started"),
            Self::ActionAnswered { action, job, took_ms, error } => answered(action, job, took_ms, error),
            Self::Resynced { complete, tasks } => tracing::debug!(complete, tasks, "resynced"),
            Self::DepthPolled { queue, depth: Depth { visible, in_flight, delayed } } => {
                tracing::debug!(queue, visible, in_flight, delayed, "queue depth polled");
            }
            Self::DrainBegun { leases, tasks } => tracing::info!(leases, tasks, "drain begun"),
            Self::DrainEnded { complete } => tracing::info!(complete, "drain ended"),
            Self::CooldownBegun { for_ms, reason } => tracing::warn!(for_ms, reason, "launches pause"),
            Self::BreakerOpened { trouble, jobs } => tracing::error!(%trouble, jobs, "breaker opened"),
            Self::BreakerClosed => tracing::info!("breaker closed"),
            Self::MetricsDropped { periods } => tracing::warn!(periods, "metrics dropped"),
            Self::ForeignTask { task } => tracing::warn!(%task, "foreign task left alone"),
            Self::ImageRefused { reason, news: true } => {
                tracing::error!(reason, "launches pause: the task's image does not fit");
            }
            Self::ImageRefused { reason, news: false } => tracing::debug!(reason, "image still does not fit"),
            Self::ImageFits { task_definition } => {
                tracing::info!(task_definition, "launches go on: the task's image fits");
            }
            Self::Stopped { task, job, reason } => {
                tracing::info!(%task, job = text(job), reason, "task stopped");
            }
            Self::Parked { message, reason } => {
                tracing::warn!(message_id = message.0, reason, "message parked");
            }
            Self::MessageReceived { message, queue, jobs } => {
                tracing::info!(message_id = message.0, queue, jobs, "message received");
            }
            Self::MessageDeleted { message } => tracing::info!(message_id = message.0, "message deleted"),
            Self::MessageReleased { message } => tracing::info!(message_id = message.0, "message released"),
            Self::LeaseLost { message, job } => {
                tracing::warn!(message_id = message.0, job = text(job), "lease lost");
            }
            other => other.log_job(),
        }
    }

    /// The moments of one job.
    fn log_job(&self) {
        match *self {
            Self::JobReceived { job, message, queue, waited_ms } => {
                tracing::info!(%job, message_id = message.0, queue, waited_ms, "job received");
            }
            Self::AttemptClaimed { intent } => claimed(intent),
            Self::LaunchSent { intent: Intent { job, attempt, launch_not_after_ms, .. } } => {
                tracing::info!(%job, %attempt, not_after_ms = launch_not_after_ms, "launch sent");
            }
            Self::RegisterRead { terminal } => register_read(terminal),
            Self::Published { job } => tracing::info!(%job, "entry points published"),
            Self::Launched { job, attempt, task } => tracing::info!(%job, %attempt, %task, "task launched"),
            Self::LaunchRefused { job, attempt, refusal: Refusal::Definitive(reason) } => {
                tracing::warn!(%job, %attempt, reason, definitive = true, "launch refused");
            }
            Self::LaunchRefused { job, attempt, refusal: Refusal::Failed(error) } => {
                tracing::warn!(%job, %attempt, %error, class = ?error.class, "launch refused");
            }
            Self::Running { job, attempt, task, queued_ms } => {
                tracing::info!(%job, %attempt, %task, queued_ms, "task running");
            }
            Self::Adopted { job, attempt, task } => tracing::info!(%job, %attempt, %task, "task adopted"),
            Self::AttemptOver { job, attempt, budget, code, message } => {
                // Not `message`: the line has that name already.
                tracing::warn!(%job, %attempt, ?budget, %code, reason = message, "attempt over");
            }
            Self::Settled { job, ending: Ending::Succeeded, job_ms } => {
                tracing::info!(%job, job_ms, "job succeeded");
            }
            Self::Settled { job, ending: Ending::Dead(code), job_ms } => {
                tracing::error!(%job, %code, job_ms, "job dead");
            }
            Self::DeadLettered { job, message } => {
                tracing::info!(%job, message_id = message.0, "message dead-lettered");
            }
            Self::Unreadable { job, reason } => tracing::error!(%job, reason, "job left alone"),
            _ => {}
        }
    }
}

/// With what the audit holds claims against: who made it, and how the attempts before it were charged.
fn claimed(intent: &Intent) {
    let Intent { job, attempt, nonce, history, .. } = intent;
    let platform = history.iter().filter(|past| past.budget == Budget::Platform).count();
    let by_job = history.len() - platform;
    tracing::info!(%job, %attempt, nonce, over_by_job = by_job, over_by_platform = platform, "attempt claimed");
}

/// With what the audit holds registers against: who wrote it, and what a dead one says of its attempts.
fn register_read(terminal: &Terminal) {
    let Terminal { job, nonce, outcome, .. } = terminal;
    match outcome {
        Outcome::Succeeded(winner) => {
            let (attempt, task) = (winner.attempt, winner.task_arn.as_deref());
            tracing::info!(%job, outcome = "succeeded", nonce, %attempt, task, "register read");
        }
        Outcome::Dead(dead) => {
            let (code, attempts, task) =
                (dead.failure.code, dead.attempts.len(), dead.last_task_arn.as_deref());
            tracing::info!(%job, outcome = "dead", nonce, %code, attempts, task, "register read");
        }
    }
}

/// A failed call is a warning only where nobody else reports it: refusals of launches have their own moment.
fn answered(action: &str, job: Option<&JobKey>, took_ms: Ms, error: Option<&CallError>) {
    match error {
        None => tracing::debug!(action, job = text(job), took_ms, "action answered"),
        Some(error) => {
            tracing::warn!(action, job = text(job), took_ms, %error, class = ?error.class, "action failed");
        }
    }
}

fn text(job: Option<&JobKey>) -> Option<&str> {
    job.map(JobKey::as_str)
}

#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Events, Value};

    #[test]
    fn a_dead_job_counts_in_total_and_by_code() {
        let events = Events::new();
        let job = JobKey::of(&["x"]);
        let ending = Ending::Dead(FailureCode::NotMedia);
        events.emit(Moment::Settled { job: &job, ending, job_ms: Some(1500) });
        let points = events.registry().drain();
        let dead: Vec<_> = points.iter().filter(|point| point.metric == Metric::JobsDead).collect();
        assert_eq!(
            dead.iter().map(|point| point.code).collect::<Vec<_>>(),
            [None, Some(FailureCode::NotMedia)]
        );
        assert!(points.iter().any(|p| p.value == Value::Many(vec![(1.5, 1.0)])), "{points:?}");
    }

    #[test]
    fn a_throttle_is_no_error() {
        let events = Events::new();
        for class in [Class::Throttled, Class::Throttled, Class::Uncertain] {
            let error = CallError { operation: "ecs:RunTask", class, message: String::new() };
            let moment =
                Moment::ActionAnswered { action: "launch", job: None, took_ms: 1, error: Some(&error) };
            events.emit(moment);
        }
        assert_eq!(events.registry().count(Metric::Throttles), 2);
        assert_eq!(events.registry().count(Metric::ReconcileErrors), 1);
    }
}
