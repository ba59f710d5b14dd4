//! From facts and plans to moments: what people see of the loop. It reads the ledger and changes nothing.

mod bills;
mod held;
mod missed;

use std::{
    mem::{self, Discriminant},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use transcode_config::{
    Settings,
    contract::{JobKey, Outcome, PastAttempt, Terminal},
    settings::CostSettings,
};

use self::{bills::Bills, held::Held, missed::Missed};
use crate::{
    action::Action,
    breaker::Trouble,
    clock::{Ms, Now},
    events::{Ending, Events, Moment, Phases},
    fact::{Fact, Hint, Incoming, MessageId},
    http::Status,
    invariant,
    job::Job,
    ledger::{Definition, Ledger},
    message::{Parsed, parse},
    outcome::stop_reason,
    pause::Pause,
    plan::Plan,
    policy::Policy,
    run::{Observer, wall_ms},
    task_view::{TaskStatus, TaskView},
    usage::Usage,
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
    cooldown_until: Ms,
    breaker: Option<Trouble>,
}

impl Observer for Watch {
    fn fact(&self, fact: &Fact, ledger: &Ledger) {
        if let Some(invariant::Violation { id, what }) = invariant::of_fact(fact, ledger) {
            self.events.emit(Moment::InvariantBroken { id, what: &what });
        }
        match fact {
            Fact::Received { queue, messages } => {
                for message in messages.iter().filter(|message| !ledger.leases.contains_key(&message.id)) {
                    self.received(queue, message, ledger);
                }
            }
            Fact::TaskSeen(view) => self.task(view, ledger),
            Fact::Hinted(hint) => self.memory().missed.hinted(hint, wall_ms()),
            Fact::Inspected { job, snapshot } => {
                if let Some(terminal) = &snapshot.terminal {
                    self.decided(job, terminal, ledger);
                    if ledger.jobs.get(job).is_some_and(|known| known.read_at().is_some()) {
                        self.found(Hint::Register(job.clone()), 0);
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
            Fact::Intended { job, intent } => {
                self.events.emit(Moment::AttemptClaimed { intent });
                if let Some(past) = intent.history.last() {
                    self.over(job, past);
                }
            }
            Fact::DeadLettered { message, job } => self.events.emit(Moment::DeadLettered { job, message }),
            Fact::Deleted { message } => {
                self.memory().held.gave_up(message);
                self.settled(message, ledger);
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

    fn turn(&self, reason: &'static str, plan: &Plan, ledger: &Ledger, policy: &Policy, now: Now) {
        let oldest_ms = ledger.leases.values().filter_map(|lease| age(lease.sent_at_ms, now.wall)).max();
        let Usage { tasks, cpu } = ledger.usage(policy, now);
        let paused = ledger.launch_pause(policy, now).filter(Pause::is_told);
        let moment =
            Moment::Turned { tasks, cpu, jobs: ledger.jobs.len(), oldest_ms, paused: paused.is_some() };
        self.events.emit(moment);
        tracing::trace!(reason, actions = plan.actions.len(), "planned");
        self.news(ledger, paused.as_ref(), now);
        self.changes(ledger, policy, now);
        for invariant::Violation { id, what } in invariant::of_plan(&plan.actions, ledger) {
            self.events.emit(Moment::InvariantBroken { id, what: &what });
        }
        for action in &plan.actions {
            self.begun(action, ledger);
        }
        self.status.turned(ledger, tasks, paused.as_ref(), now);
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

    fn begun(&self, action: &Action, ledger: &Ledger) {
        self.events.emit(Moment::ActionStarted { action: action.name(), job: job_of(action) });
        match action {
            Action::Launch { intent } => self.events.emit(Moment::LaunchSent { intent }),
            Action::Release { lease, .. } => {
                if let Some(crate::lease::Content::Parked(reason)) =
                    ledger.leases.get(&lease.message).map(|lease| &lease.content)
                {
                    self.events.emit(Moment::Parked { message: &lease.message, reason });
                }
            }
            Action::Stop { task, reason: stop_reason::ORPHAN } => {
                let job = ledger.tasks.get(task).map(|record| &record.job);
                self.events.emit(Moment::OrphanFound { task, job });
            }
            _ => {}
        }
    }

    /// What has changed since the last turn and is no fact of its own.
    fn news(&self, ledger: &Ledger, paused: Option<&Pause>, now: Now) {
        let mut memory = self.memory();
        let kind = paused.map(mem::discriminant);
        if memory.paused != kind {
            memory.paused = kind;
            self.events.emit(paused.map_or(Moment::PauseEnded, |pause| Moment::PauseBegun { pause }));
        }
        for paid in memory.bills.close(|job| ledger.jobs.contains_key(job)) {
            self.events.emit(Moment::Paid { job: &paid.job, usd: paid.usd, minutes: paid.minutes });
        }
        for hint in memory.missed.overdue(now.wall) {
            let what = match &hint {
                Hint::Task(task) => task.0.as_str(),
                Hint::Register(job) => job.as_str(),
            };
            self.events.emit(Moment::EventMissed { what });
        }
        memory.held.turned(ledger, &self.events);
    }

    /// Cooldowns and the breaker are states of the ledger: what is told is their change.
    fn changes(&self, ledger: &Ledger, policy: &Policy, now: Now) {
        let mut told = self.memory();
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
    fn found(&self, hint: Hint, at: Ms) {
        if self.hints {
            self.memory().missed.found(hint, at, wall_ms());
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

    fn task(&self, view: &TaskView, ledger: &Ledger) {
        let Some(identity) = &view.identity else {
            if !ledger.foreign.contains(&view.arn) {
                self.events.emit(Moment::ForeignTask { task: &view.arn });
            }
            return;
        };
        let (job, attempt, task) = (&identity.job, identity.attempt, &view.arn);
        self.pulled(view, ledger);
        let Some(known) = ledger.tasks.get(task) else {
            if !view.ended() {
                self.events.emit(Moment::Adopted { job, attempt, task });
            }
            return;
        };
        if known.running_at.is_none() && view.started {
            if view.status == TaskStatus::Running {
                let queued_ms = ledger.jobs.get(job).and_then(|job| waited(job, ledger));
                self.events.emit(Moment::Running { job, attempt, task, queued_ms });
            }
            self.events.emit(Moment::Started { job, attempt, task, phases: phases(view) });
        }
        if view.ended() && !known.ended() {
            self.ended(view, job, ledger);
            self.found(Hint::Task(task.clone()), view.billed.stopped_at.unwrap_or(0));
        }
    }

    /// Between the look at an image and its pull a tag can be moved. Said once, when the pull is first seen.
    fn pulled(&self, view: &TaskView, ledger: &Ledger) {
        let (Some(identity), Some(ran)) = (&view.identity, &view.billed.image_digest) else { return };
        let known = ledger.tasks.get(&view.arn).and_then(|record| record.view.as_ref());
        let claim = ledger.jobs.get(&identity.job).and_then(|job| job.attempt.as_ref());
        let claim = claim.map(|attempt| &attempt.intent).filter(|intent| intent.attempt == identity.attempt);
        if let Some(pinned) = claim.and_then(|intent| intent.image_digest.as_ref())
            && pinned != ran
            && known.is_none_or(|known| known.billed.image_digest.is_none())
        {
            let (job, attempt, task) = (&identity.job, identity.attempt, &view.arn);
            self.events.emit(Moment::OtherImage { job, attempt, task, pinned, ran });
        }
    }

    /// Billed to whoever holds the job's message, or has settled it: of several controllers, to one.
    fn ended(&self, view: &TaskView, job: &JobKey, ledger: &Ledger) {
        let ours = ledger.jobs.get(job).is_some_and(|job| !job.leases.is_empty());
        let mut memory = self.memory();
        let usd =
            bills::usd(&view.arn, &view.billed, &self.cost).filter(|_| ours || memory.bills.is_settled(job));
        if let Some(usd) = usd {
            memory.bills.task(job, usd);
        }
        let Some(identity) = &view.identity else { return };
        self.events.emit(Moment::Ended {
            job,
            attempt: identity.attempt,
            task: &view.arn,
            exit_code: view.exit_code,
            stop_code: view.stop_code.as_deref(),
            usd,
        });
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
            let minutes = match &terminal.outcome {
                #[allow(clippy::cast_precision_loss, reason = "videos end after hours")]
                Outcome::Succeeded(winner) => Some(winner.duration_ms as f64 / 60_000.0),
                Outcome::Dead(_) => None,
            };
            self.memory().bills.settled(key, minutes);
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

fn phases(view: &TaskView) -> Phases {
    let billed = &view.billed;
    let between = |from: Option<Ms>, to: Option<Ms>| Some(to?.saturating_sub(from?));
    Phases {
        provisioning_ms: between(billed.created_at, billed.pull_started_at),
        pull_ms: between(billed.pull_started_at, billed.pull_stopped_at),
        start_ms: between(billed.pull_stopped_at, billed.started_at),
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
        Action::Inspect { job }
        | Action::Bury { job, .. }
        | Action::Publish { job, .. }
        | Action::Collect { job, .. } => Some(job),
        Action::Intend { spec, .. } => Some(&spec.job),
        Action::Launch { intent } => Some(&intent.job),
        Action::DeadLetter(letter) => Some(&letter.job),
        _ => None,
    }
}
