//! From facts and plans to moments: what people see of the loop. It reads the ledger and changes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use transcode_config::contract::{JobKey, Outcome, Terminal};

use crate::{
    action::Action,
    breaker::Trouble,
    clock::{Ms, Now},
    events::{Ending, Events, Moment},
    fact::{Fact, Incoming, MessageId},
    http::Status,
    job::Job,
    ledger::{Definition, Ledger},
    message::{Parsed, parse},
    plan::Plan,
    policy::Policy,
    run::{Observer, wall_ms},
    task_view::{TaskStatus, TaskView},
};

/// Tells [`Events`] and [`Status`] what happens.
#[derive(Debug)]
pub struct Watch {
    /// Logs and counts.
    pub events: Arc<Events>,
    /// Health and notes.
    pub status: Arc<Status>,
    told: Mutex<Told>,
}

/// What has been told of the ledger's state, so that a change is told once.
#[derive(Debug, Default)]
struct Told {
    cooldown_until: Ms,
    breaker: Option<Trouble>,
}

impl Observer for Watch {
    fn fact(&self, fact: &Fact, ledger: &Ledger) {
        match fact {
            Fact::Received { queue, messages } => {
                for message in messages.iter().filter(|message| !ledger.leases.contains_key(&message.id)) {
                    self.received(queue, message, ledger);
                }
            }
            Fact::TaskSeen(view) => self.task(view, ledger),
            Fact::Launched { job, attempt, task } => {
                self.events.emit(Moment::Launched { job, attempt: *attempt, task });
            }
            Fact::LaunchRefused { job, attempt, refusal } => {
                self.events.emit(Moment::LaunchRefused { job, attempt: *attempt, refusal });
            }
            Fact::Inspected { job, snapshot } => {
                if let Some(terminal) = &snapshot.terminal {
                    self.decided(job, terminal, ledger);
                }
            }
            Fact::Decided { job, terminal } => self.decided(job, terminal, ledger),
            Fact::Published { job } => self.events.emit(Moment::Published { job }),
            Fact::Released { message } => self.events.emit(Moment::MessageReleased { message }),
            Fact::Intended { job, intent } => {
                self.events.emit(Moment::AttemptClaimed { intent });
                if let Some(past) = intent.history.last() {
                    let (code, message) = (past.code, past.message.as_str());
                    let moment = Moment::AttemptOver {
                        job,
                        attempt: past.attempt,
                        budget: past.budget,
                        code,
                        message,
                    };
                    self.events.emit(moment);
                }
            }
            Fact::DeadLettered { message, job } => self.events.emit(Moment::DeadLettered { job, message }),
            Fact::Deleted { message } => self.settled(message, ledger),
            Fact::LeaseLost { message } => self.events.emit(Moment::LeaseLost { message, job: None }),
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

    fn turn(&self, reason: &'static str, plan: &Plan, ledger: &Ledger, policy: &Policy, now: Now) {
        let oldest_ms = ledger.leases.values().filter_map(|lease| age(lease.sent_at_ms, now.wall)).max();
        let tasks = ledger.tasks_in_flight(policy, now);
        self.events.emit(Moment::Turned { tasks, jobs: ledger.jobs.len(), oldest_ms });
        tracing::trace!(reason, actions = plan.actions.len(), "planned");
        for action in &plan.actions {
            if let Action::Launch { intent } = action {
                self.events.emit(Moment::LaunchSent { intent });
            }
            self.events.emit(Moment::ActionStarted { action: action.name(), job: job_of(action) });
            if let Action::Release { lease, .. } = action
                && let Some(crate::lease::Content::Parked(reason)) =
                    ledger.leases.get(&lease.message).map(|lease| &lease.content)
            {
                self.events.emit(Moment::Parked { message: &lease.message, reason });
            }
        }
        self.changes(ledger, policy, now);
        self.status.turned(ledger, tasks, plan, now);
    }
}

impl Watch {
    /// Tells both of everything.
    pub fn new(events: Arc<Events>, status: Arc<Status>) -> Self {
        Self { events, status, told: Mutex::default() }
    }

    /// Pauses and the breaker are states of the ledger: what is told is their change.
    fn changes(&self, ledger: &Ledger, policy: &Policy, now: Now) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if ledger.cooldown_until > now.mono.max(told.cooldown_until) {
            let (for_ms, reason) = (ledger.cooldown_until - now.mono, ledger.cooldown_reason.as_str());
            self.events.emit(Moment::CooldownBegun { for_ms, reason });
        }
        told.cooldown_until = told.cooldown_until.max(ledger.cooldown_until);
        let breaker = ledger.breaker.open(policy);
        match breaker {
            Some(trouble) if told.breaker != breaker => {
                self.events.emit(Moment::BreakerOpened { trouble, jobs: policy.breaker_jobs });
            }
            None if told.breaker.is_some() => self.events.emit(Moment::BreakerClosed),
            _ => {}
        }
        told.breaker = breaker;
    }

    fn task(&self, view: &TaskView, ledger: &Ledger) {
        let Some(identity) = &view.identity else {
            if !ledger.foreign.contains(&view.arn) {
                self.events.emit(Moment::ForeignTask { task: &view.arn });
            }
            return;
        };
        let (job, attempt, task) = (&identity.job, identity.attempt, &view.arn);
        let known = ledger.tasks.get(task);
        if known.is_none() && !view.ended() {
            self.events.emit(Moment::Adopted { job, attempt, task });
        }
        if view.status == TaskStatus::Running && known.is_some_and(|record| record.running_at.is_none()) {
            let queued_ms = ledger.jobs.get(job).and_then(|job| waited(job, ledger));
            self.events.emit(Moment::Running { job, attempt, task, queued_ms });
        }
    }

    /// A message that is not held yet; the ledger takes it in after this.
    fn received(&self, queue: &str, message: &Incoming, ledger: &Ledger) {
        let (id, wall) = (&message.id, wall_ms());
        let requests = match parse(&message.body, &ledger.rules, wall) {
            Parsed::Jobs(requests) => requests,
            Parsed::Ignore(_) | Parsed::Park(_) => Vec::new(),
        };
        self.events.emit(Moment::MessageReceived { message: id, queue, jobs: requests.len() });
        for request in &requests {
            let (job, waited_ms) = (request.job(), age(message.sent_at_ms, wall));
            self.events.emit(Moment::JobReceived { job, message: id, queue, waited_ms });
        }
    }

    /// The register was found written; said once while the job is known.
    fn decided(&self, job: &JobKey, terminal: &Terminal, ledger: &Ledger) {
        if ledger.jobs.get(job).is_some_and(|job| job.terminal().is_none()) {
            self.events.emit(Moment::RegisterRead { terminal });
        }
    }

    fn settled(&self, message: &MessageId, ledger: &Ledger) {
        self.events.emit(Moment::MessageDeleted { message });
        let Some(lease) = ledger.leases.get(message) else { return };
        let crate::lease::Content::Jobs(keys) = &lease.content else { return };
        for key in keys {
            let Some(job) = ledger.jobs.get(key) else { continue };
            let Some(terminal) = job.terminal() else { continue };
            let ending = match &terminal.outcome {
                Outcome::Succeeded(_) => Ending::Succeeded,
                Outcome::Dead(dead) => Ending::Dead(dead.failure.code),
            };
            // Two messages for one job end in two deletes; the job is settled once.
            if job.leases.len() == 1 {
                let job_ms = age(lease.sent_at_ms, wall_ms());
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

fn waited(job: &Job, ledger: &Ledger) -> Option<Ms> {
    let sent = job.leases.iter().filter_map(|message| ledger.leases.get(message)?.sent_at_ms).min();
    age(sent, wall_ms())
}

fn age(sent_at_ms: Option<u64>, wall: Ms) -> Option<Ms> {
    Some(wall.saturating_sub(sent_at_ms?))
}

fn job_of(action: &Action) -> Option<&JobKey> {
    match action {
        Action::Inspect { job } | Action::Bury { job, .. } | Action::Publish { job, .. } => Some(job),
        Action::Intend { spec, .. } => Some(&spec.job),
        Action::Launch { intent } => Some(&intent.job),
        Action::DeadLetter(letter) => Some(&letter.job),
        _ => None,
    }
}
