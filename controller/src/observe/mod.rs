//! From facts and plans to moments: what people see of the loop. It reads the ledger and changes nothing.

mod bills;
mod connections;
mod held;
pub mod http;
mod missed;
mod tasks;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    mem::Discriminant,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use transcode_config::{
    Settings,
    contract::{JobKey, Outcome, PastAttempt, Terminal},
    settings::CostSettings,
};
use transcode_core::{
    invariant,
    judge::launch_pause::Pause,
    message::{Parsed, parse},
    plan::Plan,
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        fact::{Fact, Hint, Incoming, MessageId},
    },
    state::{
        breaker::FailureStage,
        lease::Content,
        ledger::{Definition, Ledger},
    },
};

use self::{bills::Bills, held::Held, http::Status, missed::Missed};
use crate::{
    events::{Ending, Events, Moment},
    runtime::Observer,
};

/// Tells [`Events`] and [`Status`] what happens.
#[derive(Debug)]
pub struct Watch {
    events: Arc<Events>,
    status: Arc<Status>,
    cost: CostSettings,
    /// There is an events queue, so that events can be missed.
    hints: bool,
    memory: Mutex<Memory>,
}

/// What is remembered to tell news from what was there before.
#[derive(Debug, Default)]
struct Memory {
    missed: Missed,
    bills: Bills,
    held: Held,
    paused: Option<Discriminant<Pause>>,
    /// Since when nothing can be received (monotonic), and whether that has been told.
    full: Option<(Ms, bool)>,
    cooldown_until: Ms,
    breaker: Option<FailureStage>,
    /// When all that is known was last looked at (monotonic).
    looked_at: Option<Ms>,
}

impl Observer for Watch {
    fn fact(&self, fact: &Fact, ledger: &Ledger, now: Now) {
        if let Some(invariant::Violation { id, what }) = invariant::of_fact(fact, ledger) {
            self.events.emit(Moment::InvariantBroken { id, what: &what });
        }
        match fact {
            Fact::Received { queue, messages } => {
                for message in messages.iter().filter(|message| !ledger.leases.contains_key(&message.id)) {
                    self.received(queue, message, ledger, now);
                }
            }
            Fact::TaskSeen(view) | Fact::TaskListed(view) => self.task(view, ledger, now),
            Fact::Hinted(hint) => self.memory().missed.hinted(hint, now.wall),
            Fact::Inspected { job, snapshot } => {
                if let Some(terminal) = &snapshot.terminal {
                    self.decided(job, terminal, ledger);
                    if ledger.jobs.get(job).is_some_and(|known| known.read_at().is_some()) {
                        self.found(Hint::Register(job.clone()), 0, now);
                    }
                }
            }
            Fact::Decided { job, terminal } => self.decided(job, terminal, ledger),
            Fact::Published { job } => self.events.emit(Moment::Published { job }),
            Fact::Collected { job } => self.events.emit(Moment::Collected { job }),
            Fact::Launched { job, attempt, task } => {
                self.events.emit(Moment::Launched { job, attempt: *attempt, task });
            }
            Fact::LaunchRefused { job, attempt, refusal } => {
                self.events.emit(Moment::LaunchRefused { job, attempt: *attempt, refusal });
            }
            Fact::Claimed { job, intent } => {
                self.events.emit(Moment::AttemptClaimed { intent });
                if let Some(past) = intent.history.last() {
                    self.over(job, past);
                }
            }
            Fact::DeadLettered { message, job } => self.events.emit(Moment::DeadLettered { job, message }),
            Fact::Deleted { message } => {
                self.memory().held.gave_up(message);
                self.settled(message, ledger, now);
            }
            Fact::Released { message } => {
                self.memory().held.gave_up(message);
                self.events.emit(Moment::MessageReleased { message });
            }
            Fact::Unreadable { job, reason } => self.events.emit(Moment::Unreadable { job, reason }),
            Fact::Stopped { task } => {
                let job = ledger.tasks.get(task).map(|record| &record.job);
                self.events.emit(Moment::Stopped { task, job, reason: "asked to" });
            }
            Fact::Unfit { reason } => {
                let news = !matches!(&ledger.definition, Definition::Unfit(known) if known == reason);
                self.events.emit(Moment::ImageRefused { reason, news });
            }
            Fact::Resolved(pinned) => {
                if matches!(ledger.definition, Definition::Unfit(_)) {
                    self.events.emit(Moment::ImageFits { task_definition: &pinned.task_definition });
                }
            }
            Fact::Resynced { complete } => {
                self.events.emit(Moment::Resynced { complete: *complete, tasks: ledger.tasks.len() });
            }
            Fact::DrainRequested => {
                self.events
                    .emit(Moment::DrainBegun { leases: ledger.leases.len(), tasks: ledger.tasks.len() });
            }
            other => self.failure(other),
        }
    }

    fn turn(
        &self,
        reason: &'static str,
        plan: &Plan,
        ledger: &Ledger,
        policy: &Policy,
        now: Now,
    ) -> Option<Ms> {
        tracing::trace!(reason, actions = plan.actions.len(), "planned");
        self.turned(plan, ledger, policy, now)
    }
}

impl Watch {
    /// With these settings.
    pub fn new(events: Arc<Events>, status: Arc<Status>, settings: &Settings) -> Self {
        let hints = settings.events.queue_url.is_some();
        Self { events, status, cost: settings.cost, hints, memory: Mutex::default() }
    }

    /// A panic elsewhere must not end all watching: every state of the memory is a valid one.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message that is not held yet; the ledger takes it in after this.
    fn received(&self, queue: &str, message: &Incoming, ledger: &Ledger, now: Now) {
        let id = &message.id;
        let requests = match parse(&message.body, &ledger.rules, now.wall) {
            Parsed::Jobs(requests) => requests,
            Parsed::Ignore(_) | Parsed::Park(_) => Vec::new(),
        };
        self.events.emit(Moment::MessageReceived { message: id, queue, jobs: requests.len() });
        for request in &requests {
            let (job, waited_ms) = (request.job(), age(message.sent_at_ms, now.wall));
            self.events.emit(Moment::JobReceived { job, message: id, queue, waited_ms });
        }
    }

    /// The register was found written; said once while the job is known.
    fn decided(&self, job: &JobKey, terminal: &Terminal, ledger: &Ledger) {
        if ledger.jobs.get(job).is_none_or(|job| job.terminal().is_some()) {
            return;
        }
        self.events.emit(Moment::RegisterRead { terminal });
        if let Outcome::Dead(dead) = &terminal.outcome
            && let Some(past) = dead.attempts.last()
        {
            self.over(job, past);
        }
    }

    /// Something was found by looking that happened at `at`.
    fn found(&self, hint: Hint, at: Ms, now: Now) {
        if self.hints {
            self.memory().missed.found(hint, at, now.wall);
        }
    }

    fn over(&self, job: &JobKey, past: &PastAttempt) {
        let moment = Moment::AttemptOver {
            job,
            attempt: past.attempt,
            task: past.task_arn.as_deref(),
            budget: past.budget,
            code: past.code,
            message: &past.message,
        };
        self.events.emit(moment);
    }

    fn settled(&self, message: &MessageId, ledger: &Ledger, now: Now) {
        self.events.emit(Moment::MessageDeleted { message });
        let Some(lease) = ledger.leases.get(message) else { return };
        let Content::Jobs(keys) = &lease.content else { return };
        for key in keys {
            let Some(job) = ledger.jobs.get(key) else { continue };
            let Some(terminal) = job.terminal() else { continue };
            let ending = match &terminal.outcome {
                Outcome::Succeeded(_) => Ending::Succeeded,
                Outcome::Dead(dead) => Ending::Dead(dead.failure.code),
            };
            let minutes = match &terminal.outcome {
                #[allow(clippy::cast_precision_loss, reason = "videos end after hours")]
                Outcome::Succeeded(winner) => Some(winner.duration_ms as f64 / 60_000.0),
                Outcome::Dead(_) => None,
            };
            self.memory().bills.settled(key, minutes);
            // Two messages for one job end in two deletes; the job is settled once.
            if job.leases.len() == 1 {
                let job_ms = age(lease.sent_at_ms, now.wall);
                self.events.emit(Moment::Settled { job: key, ending, job_ms });
            }
        }
    }

    fn failure(&self, fact: &Fact) {
        let (action, job, error) = match fact {
            Fact::ReceiveFailed { error, .. } | Fact::ResolveFailed { error } => {
                (error.operation, None, error)
            }
            Fact::JobCallFailed { job, error } => (error.operation, Some(job), error),
            Fact::MessageCallFailed { error, .. }
            | Fact::StopFailed { error, .. }
            | Fact::DescribeFailed { error, .. } => (error.operation, None, error),
            _ => return,
        };
        self.events.emit(Moment::ActionAnswered { action, job, took_ms: 0, error: Some(error) });
    }
}

fn age(sent_at_ms: Option<u64>, wall: Ms) -> Option<Ms> {
    Some(wall.saturating_sub(sent_at_ms?))
}
