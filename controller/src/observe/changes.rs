//! From changes to events.

use transcode_config::contract::{JobKey, Outcome, PastAttempt, Terminal};
use transcode_core::{
    absorb::change::Change,
    protocol::{
        clock::{Ms, Now},
        fact::Hint,
        publishing::Publication,
        task_view::{TaskStatus, TaskView},
        via::Via,
    },
};

use super::{job_costs, watch::Watch};
use crate::events::{Ending, Event, Phases};

impl Watch {
    /// Reports one change.
    #[allow(clippy::too_many_lines, reason = "a table: one line for each kind of change")]
    pub(super) fn tell(&self, change: &Change, now: Now) {
        self.events.emit(match change {
            Change::MessageReceived { message, queue, jobs, tenants, sent_at_ms } => {
                self.events.emit(Event::MessageReceived { message, queue, jobs: jobs.len() });
                let waited_ms = age(*sent_at_ms, now.wall);
                let asked = jobs.iter().zip(tenants).map(|(job, tenant)| {
                    let tenant = tenant.as_ref();
                    Event::JobReceived { job, message, queue, tenant, waited_ms }
                });
                return asked.for_each(|event| self.events.emit(event));
            }
            Change::MessageIgnored { message, records } => {
                let ignored = records.iter().map(|record| Event::Ignored { message, record });
                return ignored.for_each(|event| self.events.emit(event));
            }
            Change::JobDecided { terminal, witnessed } => {
                if *witnessed {
                    self.found(Hint::TerminalRecord(terminal.job.clone()), 0, now);
                }
                Event::RecordRead { terminal }
            }
            Change::JobSettled { terminal, superseded, sent_at_ms } => {
                self.settled(terminal, *superseded, age(*sent_at_ms, now.wall))
            }
            Change::TaskUp { view, asked_at_ms } => return self.up(view, age(*asked_at_ms, now.wall)),
            Change::TaskEnded { view, ours } => return self.ended(view, *ours, now),
            Change::Hinted { hint } => return self.memory().missed.hinted(hint, now.wall),
            Change::KeyReused { message, job, of } => Event::KeyReused { message, job, of },
            Change::MessageDeleted { message } => Event::MessageDeleted { message },
            Change::MessageReleased { message } => Event::MessageReleased { message },
            Change::LeaseLost { message, job } => Event::LeaseLost { message, job: job.as_ref() },
            Change::DeadLettered { job, message } => Event::DeadLettered { job, message },
            Change::AttemptClaimed { claim } => Event::AttemptClaimed { claim },
            Change::AttemptOver { job, past } => over(job, past),
            Change::Launched { job, attempt, task } => Event::Launched { job, attempt: *attempt, task },
            Change::LaunchRefused { job, attempt, refusal } => {
                Event::LaunchRefused { job, attempt: *attempt, refusal }
            }
            Change::JobPublished { job, publication: Publication::Live(live) } => {
                Event::Published { job, live }
            }
            Change::JobPublished { job, publication: Publication::Superseded(by) } => {
                Event::Superseded { job, by }
            }
            Change::JobIndexed { job } => Event::Indexed { job },
            Change::JobAnnounced { job, kind, via } => {
                Event::Announced { job, kind: *kind, aside: *via == Via::Outbox }
            }
            Change::Resent { sent, kept } => Event::Resent { sent: *sent, kept: kept.as_ref() },
            Change::Heartbeat { .. } => return,
            Change::JobCollected { job } => Event::Collected { job },
            Change::JobUnreadable { job, reason } => Event::Unreadable { job, reason },
            Change::TaskForeign { task } => Event::ForeignTask { task },
            Change::TaskAdopted { job, attempt, task } => Event::Adopted { job, attempt: *attempt, task },
            Change::TaskOfOtherImage { job, attempt, task, pinned, ran } => {
                Event::OtherImage { job, attempt: *attempt, task, pinned, ran }
            }
            Change::TaskStopped { task, job } => {
                Event::Stopped { task, job: job.as_ref(), reason: "asked to" }
            }
            Change::Resynced { complete, tasks } => Event::Resynced { complete: *complete, tasks: *tasks },
            Change::DefinitionRefused { reason, news } => Event::ImageRefused { reason, news: *news },
            Change::DefinitionFits { pinned } => {
                Event::ImageFits { task_definition: &pinned.task_definition }
            }
            Change::CooldownBegun { for_ms, reason } => Event::CooldownBegun { for_ms: *for_ms, reason },
            Change::BreakerOpened { trouble, jobs } => {
                Event::BreakerOpened { trouble: *trouble, jobs: *jobs }
            }
            Change::BreakerClosed => Event::BreakerClosed,
            Change::PauseBegun { pause } => Event::PauseBegun { pause },
            Change::PauseEnded => Event::PauseEnded,
            Change::Steered { steered } => Event::Steered { steered },
            Change::SteeringRefused { error } => Event::SteeringRefused { reason: error },
            Change::CancelTooLate { job, cancel } => Event::CancelTooLate { job, cancel },
            Change::ReceivingPaused { reason } => {
                self.memory().full = Some(reason.clone());
                Event::ReceivingPaused { reason }
            }
            Change::ReceivingResumed => {
                self.memory().full = None;
                Event::ReceivingGoesOn
            }
            Change::CallFailed { job, error } => Event::CallFailed { job: job.as_ref(), error },
            Change::DrainBegun { leases, tasks } => Event::DrainBegun { leases: *leases, tasks: *tasks },
            Change::PromiseBroken { violation } => {
                Event::InvariantBroken { id: violation.id, what: &violation.what }
            }
        });
    }

    /// Notes a change that a read has shown and that happened at `at` (ms since 1970).
    fn found(&self, hint: Hint, at: Ms, now: Now) {
        if self.hints {
            self.memory().missed.found(hint, at, now.wall);
        }
    }

    fn settled<'a>(&self, terminal: &'a Terminal, superseded: bool, job_ms: Option<Ms>) -> Event<'a> {
        let (ending, minutes) = match &terminal.outcome {
            #[allow(clippy::cast_precision_loss, reason = "videos end after hours")]
            Outcome::Succeeded(winner) => (Ending::Succeeded, Some(winner.duration_ms as f64 / 60_000.0)),
            Outcome::Dead(dead) => (Ending::Dead(dead.failure.code), None),
            Outcome::Superseded(_) => (Ending::Superseded, None),
            Outcome::Cancelled(_) => (Ending::Cancelled, None),
        };
        // The cost of a result that nobody sees counts too.
        let ending = if superseded && ending != Ending::Cancelled { Ending::Superseded } else { ending };
        self.memory().costs.settled(&terminal.job, minutes);
        Event::Settled { job: &terminal.job, ending, job_ms }
    }

    fn up(&self, view: &TaskView, queued_ms: Option<Ms>) {
        let Some(identity) = &view.identity else { return };
        let (job, attempt, task) = (&identity.job, identity.attempt, &view.arn);
        if view.status == TaskStatus::Running {
            self.events.emit(Event::Running { job, attempt, task, queued_ms });
        }
        self.events.emit(Event::Started { job, attempt, task, phases: phases(view) });
    }

    /// Counts the cost of a task. Only the controller that holds the job's message, or has settled it, counts: one of
    /// several.
    fn ended(&self, view: &TaskView, ours: bool, now: Now) {
        let Some(identity) = &view.identity else { return };
        let (job, attempt, task) = (&identity.job, identity.attempt, &view.arn);
        let usd = job_costs::usd(task, &view.billed, &self.cost);
        let usd = usd.filter(|_| ours || self.memory().costs.is_settled(job));
        if let Some(usd) = usd {
            self.memory().costs.task(job, usd);
        }
        let (exit_code, stop_code) = (view.exit_code, view.stop_code.as_deref());
        self.events.emit(Event::Ended { job, attempt, task, exit_code, stop_code, usd });
        self.found(Hint::Task(task.clone()), view.billed.stopped_at.unwrap_or(0), now);
    }
}

fn over<'a>(job: &'a JobKey, past: &'a PastAttempt) -> Event<'a> {
    Event::AttemptOver {
        job,
        attempt: past.attempt,
        task: past.task_arn.as_deref(),
        budget: past.budget,
        code: past.code,
        message: &past.message,
    }
}

fn phases(view: &TaskView) -> Phases {
    let billed = &view.billed;
    let between = |from: Option<Ms>, to: Option<Ms>| Some(to?.saturating_sub(from?));
    Phases {
        provisioning_ms: between(billed.created_at, billed.pull_started_at),
        pull_ms: between(billed.pull_started_at, billed.pull_stopped_at),
        start_ms: between(billed.pull_stopped_at, billed.started_at),
    }
}

fn age(sent_at_ms: Option<u64>, wall: Ms) -> Option<Ms> {
    Some(wall.saturating_sub(sent_at_ms?))
}
