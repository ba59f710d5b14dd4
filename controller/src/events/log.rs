//! The log lines of events: lower case, values as fields, no interpolation. Field names are always the same: `job`,
//! `key` (the object key of the job's source), `attempt`, `task`.

use transcode_config::contract::{
    Budget, Cancels, Claim, EventKind, JobKey, Outcome, Terminal, Told, pointer_key,
};
use transcode_core::{
    effects::ports::Depth,
    message::Tenant,
    protocol::{
        clock::Ms,
        fact::{CallError, MessageId, Refusal},
        steering::{Steered, Wanted},
    },
};

use super::{Ending, Event};

impl Event<'_> {
    /// Writes the event's line. `key` is the object key of its job, as far as the job's source is known.
    pub(super) fn log(&self, key: Option<&str>) {
        match *self {
            Self::Turned => tracing::trace!("turned"),
            Self::Sampled { tasks, cpu, jobs, waiting, tenants, oldest_ms, paused, full, stuck, .. } => {
                tracing::trace!(tasks, cpu, jobs, waiting, tenants, oldest_ms, paused, full, stuck, "looked");
            }
            Self::ActionStarted { action, job } => {
                tracing::debug!(action, job = text(job), key, "action started");
            }
            Self::CallFailed { job, error } => {
                let action = error.operation;
                tracing::warn!(action, job = text(job), key, %error, class = ?error.class, "action failed");
            }
            Self::Resynced { complete, tasks } => tracing::debug!(complete, tasks, "resynced"),
            Self::DepthPolled { queue, depth: Depth { visible, in_flight, delayed } } => {
                tracing::debug!(queue, visible, in_flight, delayed, "queue depth polled");
            }
            Self::DrainBegun { leases, tasks } => tracing::info!(leases, tasks, "drain begun"),
            Self::DrainEnded { complete } => tracing::info!(complete, "drain ended"),
            Self::CooldownBegun { for_ms, reason } => tracing::warn!(for_ms, reason, "launches cool down"),
            Self::BreakerOpened { trouble, jobs } => tracing::error!(%trouble, jobs, "breaker opened"),
            Self::BreakerClosed => tracing::info!("breaker closed"),
            Self::PauseBegun { pause } => tracing::warn!(reason = %pause, "launches pause"),
            Self::ImageRefused { reason, news: true } => {
                tracing::error!(reason, "launches pause: the task's image does not fit");
            }
            Self::ImageRefused { reason, news: false } => tracing::debug!(reason, "image still does not fit"),
            Self::ImageFits { task_definition } => {
                tracing::info!(task_definition, "launches go on: the task's image fits");
            }
            Self::StepRefused { step, jobs, job, why } => {
                tracing::error!(step, jobs, %job, key, reason = why, "a step is refused: somebody must act");
            }
            Self::StepGoesOn { step } => tracing::info!(step, "a step is no longer refused"),
            Self::Resent { sent, kept } => resent(sent, kept),
            Self::ReceivingPaused { reason } => tracing::warn!(reason, "receiving pauses"),
            Self::ReceivingGoesOn => tracing::info!("receiving goes on"),
            Self::Steered { steered } => wanted(steered),
            Self::SteeringRefused { reason } => {
                tracing::error!(reason, "control document refused; the last good one stays in force");
            }
            Self::PauseEnded => tracing::info!("launches go on"),
            Self::NotificationMissed { what } => tracing::info!(what, "no event told of this"),
            Self::InvariantBroken { id, what } => tracing::error!(id, what, "invariant broken"),
            Self::OrphanFound { task, job } => tracing::warn!(%task, job = text(job), key, "orphan found"),
            Self::MetricsDropped { periods } => tracing::warn!(periods, "metrics dropped"),
            Self::StatusFailed { error } => unreported(error),
            Self::StatusWritten => tracing::info!("status report written again"),
            Self::LogLinesDropped { lines } => tracing::warn!(lines, "log lines dropped"),
            Self::ForeignTask { task } => tracing::warn!(%task, "foreign task left alone"),
            Self::Stopped { task, job, reason } => {
                tracing::info!(%task, job = text(job), key, reason, "task stopped");
            }
            Self::Parked { message, reason } => {
                tracing::warn!(message_id = &*message.0, reason, "message parked");
            }
            Self::MessageReceived { message, queue, jobs } => {
                tracing::info!(message_id = &*message.0, queue, jobs, "message received");
            }
            Self::Ignored { message, record } => {
                let (reason, event) = (record.reason.name(), record.event.as_str());
                tracing::info!(message_id = &*message.0, reason, event, "message ignored");
            }
            Self::MessageDeleted { message } => tracing::info!(message_id = &*message.0, "message deleted"),
            Self::MessageReleased { message } => tracing::info!(message_id = &*message.0, "message released"),
            Self::LeaseLost { message, job } => {
                tracing::warn!(message_id = &*message.0, job = text(job), key, "lease lost");
            }
            other => other.log_job(key),
        }
    }

    /// The events of one job.
    #[allow(clippy::too_many_lines, reason = "a table: one arm for each kind of event")]
    fn log_job(&self, key: Option<&str>) {
        match *self {
            Self::JobReceived { job, message, queue, tenant, waited_ms } => {
                received((job, key), message, queue, tenant, waited_ms);
            }
            Self::KeyReused { message, job, of } => {
                tracing::warn!(%job, key, message_id = &*message.0, %of, "idempotency key belongs to another source");
            }
            Self::AttemptClaimed { claim } => claimed(claim, key),
            Self::LaunchSent { claim: Claim { job, attempt, launch_not_after_ms, .. } } => {
                tracing::info!(%job, key, %attempt, not_after_ms = launch_not_after_ms, "launch sent");
            }
            Self::RecordRead { terminal } => terminal_record_read(terminal, key),
            Self::Published { job, live } => {
                let (pointer, serial) = (pointer_key(&live.output), live.serial);
                let sequencer = live.order.sequencer.as_deref();
                tracing::info!(%job, key, pointer, serial, sequencer, "entry points published");
            }
            Self::Superseded { job, by } => {
                tracing::info!(%job, key, %by, "superseded: a newer upload of the same object is published");
            }
            Self::Indexed { job } => tracing::info!(%job, key, "index entry written"),
            Self::Announced { job, kind, aside } => announced((job, key), kind, aside),
            Self::Collected { job } => tracing::info!(%job, key, "leftovers collected"),
            Self::Launched { job, attempt, task } => {
                tracing::info!(%job, key, %attempt, %task, "task launched");
            }
            Self::CancelTooLate { job, cancel: Told { who, why, .. } } => {
                tracing::warn!(%job, key, who, why, "cancel came too late");
            }
            Self::LaunchRefused { job, attempt, refusal: Refusal::Definitive(reason) } => {
                tracing::warn!(%job, key, %attempt, reason, definitive = true, "launch refused");
            }
            Self::LaunchRefused { job, attempt, refusal: Refusal::Failed(error) } => {
                tracing::warn!(%job, key, %attempt, %error, class = ?error.class, "launch refused");
            }
            Self::Running { job, attempt, task, queued_ms } => {
                tracing::info!(%job, key, %attempt, %task, queued_ms, "task running");
            }
            Self::Started { job, attempt, task, phases } => {
                tracing::debug!(
                    %job, key, %attempt, %task, provisioning_ms = phases.provisioning_ms, pull_ms = phases.pull_ms,
                    start_ms = phases.start_ms, "task started"
                );
            }
            Self::OtherImage { job, attempt, task, pinned, ran } => {
                tracing::error!(%job, key, %attempt, %task, pinned, ran, "task runs another image than was looked at");
            }
            Self::Ended { job, attempt, task, exit_code, stop_code, usd } => {
                tracing::info!(%job, key, %attempt, %task, exit_code, stop_code, usd, "task ended");
            }
            Self::JobCost { job, usd, minutes } => tracing::info!(%job, key, usd, minutes, "job paid for"),
            Self::Adopted { job, attempt, task } => {
                tracing::info!(%job, key, %attempt, %task, "task adopted");
            }
            Self::AttemptOver { job, attempt, task, budget, code, message } => {
                // Not `message`: the line has a field of that name already.
                tracing::warn!(%job, key, %attempt, task, ?budget, %code, reason = message, "attempt over");
            }
            Self::Settled { job, ending, job_ms } => settled(job, key, ending, job_ms),
            Self::DeadLettered { job, message } => {
                tracing::info!(%job, key, message_id = &*message.0, "message dead-lettered");
            }
            Self::Unreadable { job, reason } => tracing::error!(%job, key, reason, "job left alone"),
            _ => {}
        }
    }
}

/// With the fields that the audit checks fairness by: the tenant, its class and its limits. None of them where no source
/// has tenants.
fn received(
    (job, key): (&JobKey, Option<&str>),
    message: &MessageId,
    queue: &str,
    tenant: Option<&Tenant>,
    waited_ms: Option<Ms>,
) {
    let (name, terms) = (tenant.map(|tenant| &*tenant.name), tenant.map(|tenant| tenant.terms));
    let priority = terms.map(|terms| terms.priority.name());
    let max_tasks = terms.map(|terms| terms.max_tasks).filter(|most| *most < usize::MAX);
    let max_cpu = terms.map(|terms| terms.max_cpu).filter(|most| *most < u64::MAX);
    tracing::info!(
        %job, key, message_id = &*message.0, queue, tenant = name, priority, max_tasks, max_cpu, waited_ms, "job received"
    );
}

/// With the fields that the audit checks claims by: who made the claim, and which budgets the attempts before were
/// charged to.
fn claimed(claim: &Claim, key: Option<&str>) {
    let Claim { job, attempt, nonce, history, variant, .. } = claim;
    let platform = history.iter().filter(|past| past.budget == Budget::Platform).count();
    let by_job = history.len() - platform;
    let cpu = variant.cpu;
    tracing::info!(%job, key, %attempt, nonce, cpu, over_by_job = by_job, over_by_platform = platform, "attempt claimed");
}

/// With the fields that the audit checks terminal records by: who wrote the record, and the attempts of a dead job.
fn terminal_record_read(terminal: &Terminal, key: Option<&str>) {
    let Terminal { job, nonce, outcome, .. } = terminal;
    match outcome {
        Outcome::Succeeded(winner) => {
            let (attempt, task) = (winner.attempt, winner.task_arn.as_deref());
            tracing::info!(%job, key, outcome = "succeeded", nonce, %attempt, task, "register read");
        }
        Outcome::Dead(dead) => {
            let (code, attempts, task) =
                (dead.failure.code, dead.attempts.len(), dead.last_task_arn.as_deref());
            tracing::info!(%job, key, outcome = "dead", nonce, %code, attempts, task, "register read");
        }
        Outcome::Superseded(superseded) => {
            let (by, attempts, task) = (
                superseded.by.as_ref().map(JobKey::as_str),
                superseded.attempts.len(),
                superseded.last_task_arn.as_deref(),
            );
            tracing::info!(%job, key, outcome = "superseded", nonce, by, attempts, task, "register read");
        }
        Outcome::Cancelled(cancelled) => {
            let (attempts, task) = (cancelled.attempts.len(), cancelled.last_task_arn.as_deref());
            let Told { who, why, .. } = &cancelled.told;
            tracing::info!(%job, key, outcome = "cancelled", nonce, who, why, attempts, task, "register read");
        }
    }
}

/// The event of a job's end is on the bus, or waits.
fn announced((job, key): (&JobKey, Option<&str>), kind: EventKind, aside: bool) {
    if aside {
        tracing::warn!(%job, key, %kind, "event put into the outbox: the bus does not take it");
    } else {
        tracing::info!(%job, key, %kind, "event sent");
    }
}

/// Events that waited are on the bus, or wait on.
fn resent(sent: usize, kept: Option<&(usize, CallError)>) {
    match kept {
        None => tracing::info!(sent, "events of the outbox sent"),
        Some((kept, error)) => {
            tracing::warn!(sent, kept, %error, "events stay in the outbox: the bus does not take them");
        }
    }
}

fn unreported(error: &CallError) {
    tracing::error!(%error, class = ?error.class, "status report cannot be written: commands show an old one");
}

/// How a job ended.
fn settled(job: &JobKey, key: Option<&str>, ending: Ending, job_ms: Option<Ms>) {
    match ending {
        Ending::Succeeded => tracing::info!(%job, key, job_ms, "job succeeded"),
        Ending::Superseded => tracing::info!(%job, key, job_ms, "job superseded"),
        Ending::Cancelled => tracing::info!(%job, key, job_ms, "job cancelled"),
        Ending::Dead(code) => tracing::error!(%job, key, %code, job_ms, "job dead"),
    }
}

/// What people want, by whom and why.
fn wanted(Steered { what, told }: &Steered) {
    let (who, why) = told.as_ref().map_or(("unknown", ""), |told| (told.who.as_str(), told.why.as_str()));
    match what {
        Wanted::Pause(part) => tracing::warn!(part = %part, who, why, "paused"),
        Wanted::Resume(part) => tracing::info!(part = %part, who, why, "resumed"),
        Wanted::Drain => tracing::warn!(who, why, "drained"),
        Wanted::Undrain => tracing::info!(who, why, "no longer drained"),
        Wanted::Cancel(Cancels::Job(job)) => tracing::info!(%job, who, why, "cancel asked for"),
        Wanted::Cancel(Cancels::Tenant(tenant)) => tracing::info!(tenant, who, why, "cancel asked for"),
        Wanted::Cancel(Cancels::Prefix { bucket, prefix }) => {
            tracing::info!(bucket, prefix, who, why, "cancel asked for");
        }
    }
}

fn text(job: Option<&JobKey>) -> Option<&str> {
    job.map(JobKey::as_str)
}
