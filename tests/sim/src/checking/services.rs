//! SQS, ECS and S3 of a small world, the task's side of the contract, and the promises that each could break.

use std::sync::Arc;

use transcode_config::contract::{
    Attempt, Claim, JobEvent, JobKey, Outcome, OutputTarget, Published, SCHEMA, SourceObject, SourceOrder,
    Succeeded, Terminal,
};
use transcode_core::{
    invariant::tells,
    protocol::{
        action::{Action, LeaseRef},
        fact::{Fact, Incoming, MessageId, Refusal},
        publishing::Publication,
        via::Via,
    },
};

use super::{
    answers::{SUPERSEDED, arn, describe, index, inspect, success},
    small::{AHEAD, Small},
    state::{Phase, SmallJob, SmallTask, State, WeakProtocol},
};

fn receipt(message: usize, number: u32) -> String {
    format!("{message}/{number}")
}

fn message_index(id: &MessageId) -> Option<usize> {
    id.0.parse().ok()
}

impl Small {
    /// Carries a request out. `host` is the controller that made it, if it still waits for the answer.
    pub(super) fn carry_out(&self, state: &mut State, host: Option<usize>, action: &Action) -> Vec<Fact> {
        match action {
            Action::Receive { queue, max } => {
                vec![Fact::Received { queue: queue.clone(), messages: self.receive(state, *max) }]
            }
            Action::Inspect { job, .. } => vec![inspect(state, self.job(job), job)],
            Action::ReadSpec { job } => vec![Fact::SpecRead { job: job.clone(), spec: self.spec(job) }],
            Action::Claim { claim, .. } => vec![self.claim(state, host, claim)],
            Action::Launch { claim } => vec![self.launch(state, claim)],
            Action::Describe { tasks } => tasks.iter().map(|arn| describe(state, arn)).collect(),
            Action::Stop { task, reason } => {
                if let Some(task) = index(task).and_then(|at| state.tasks.get_mut(at)) {
                    task.stopping = true;
                    task.stop_reason.get_or_insert(reason);
                }
                vec![Fact::Stopped { task: task.clone() }]
            }
            Action::GiveUp { job, terminal } => {
                let index = self.job(job);
                state.promise(!known_to_work(state, index, terminal), "S5: given up while a task works");
                self.write_terminal_record(state, index, terminal);
                let there = state.jobs.get(index).and_then(|job| job.terminal.as_ref()).unwrap_or(terminal);
                vec![Fact::Decided { job: job.clone(), terminal: Box::new((**there).clone()) }]
            }
            Action::Publish { job, winner, .. } => {
                if let Some(there) = state.jobs.get_mut(self.job(job)) {
                    there.published = true;
                    let record = there.terminal.as_ref().map(|terminal| &terminal.outcome);
                    let named =
                        matches!(record, Some(Outcome::Succeeded(it)) if it.attempt == winner.attempt);
                    state.promise(named, "S4: published what the terminal record does not name");
                }
                vec![Fact::Published { job: job.clone(), publication: publication(job, winner) }]
            }
            Action::DeadLetter(letter) => {
                if let Some(job) = state.jobs.get_mut(self.job(&letter.job)) {
                    job.letters = true;
                    let record = job.terminal.as_ref().map(|terminal| &terminal.outcome);
                    let dead = matches!(record, Some(Outcome::Dead(_)));
                    state.promise(dead, "S12: dead-lettered against the terminal record");
                }
                vec![Fact::DeadLettered { message: letter.lease.message.clone(), job: letter.job.clone() }]
            }
            Action::Delete { lease } => {
                if let Some(message) = current(state, lease) {
                    self.delete(state, message);
                }
                vec![Fact::Deleted { message: lease.message.clone() }]
            }
            Action::Release { lease, .. } => {
                if let Some(message) =
                    current(state, lease).and_then(|message| state.messages.get_mut(message))
                {
                    // With tenants it comes back later, at any time.
                    message.put_back = self.policy.look_ahead.is_some();
                    message.visible = !message.put_back;
                }
                vec![Fact::Released { message: lease.message.clone() }]
            }
            Action::Index { terminal, .. } => vec![self.list(state, terminal)],
            Action::Announce { event, via } => vec![self.tell(state, event, via)],
            Action::Resync
            | Action::Survey
            | Action::Resolve
            | Action::Extend { .. }
            | Action::Resend { .. }
            | Action::Collect { .. } => Vec::new(),
        }
    }

    fn receive(&self, state: &mut State, max: u8) -> Vec<Incoming> {
        let there = state.messages.iter_mut().enumerate().filter(|(_, message)| message.visible);
        there
            .take(usize::from(max))
            .map(|(index, message)| {
                message.visible = false;
                message.receipt += 1;
                Incoming {
                    id: MessageId(index.to_string().into()),
                    receipt: receipt(index, message.receipt),
                    body: self.bodies.get(index).cloned().unwrap_or_default(),
                    sent_at_ms: None,
                    receives: 1,
                }
            })
            .collect()
    }

    fn claim(&self, state: &mut State, host: Option<usize>, claim: &Arc<Claim>) -> Fact {
        let index = self.job(&claim.job);
        let mut claim = Arc::clone(claim);
        if self.weakness == WeakProtocol::CountsReceives {
            Arc::make_mut(&mut claim).attempt = received(state, host, index);
        }
        let works = working(state, index);
        let most = self.policy.max_attempts + self.policy.max_platform_attempts;
        let claims = state.jobs.get(index).map(|job| job.claims.as_slice()).unwrap_or_default();
        let there = claims.iter().find(|there| there.attempt == claim.attempt).cloned();
        let within = claims.len() + 1 < most;
        let there = there.unwrap_or_else(|| {
            state.promise(!works, "S5: claimed while an earlier attempt works");
            state.promise(within, "S9: claimed beyond the budgets");
            if let Some(job) = state.jobs.get_mut(index) {
                job.claims.push(Arc::clone(&claim));
            }
            claim
        });
        Fact::Claimed { job: there.job.clone(), claim: Box::new((*there).clone()), spec: None }
    }

    fn launch(&self, state: &mut State, claim: &Arc<Claim>) -> Fact {
        let (job, attempt) = (claim.job.clone(), claim.attempt);
        let owner = self.job(&job);
        let mut token = claim.client_token();
        if self.weakness == WeakProtocol::RandomToken {
            token = format!("{token}{}", state.tasks.len());
        }
        if state.jobs.get(owner).is_some_and(|job| job.refused.contains(&token)) {
            return Fact::LaunchRefused { job, attempt, refusal: Refusal::Definitive("RESOURCE:CPU".into()) };
        }
        // A token outlives its task by an hour, longer than any launch deadline here; after that it is unknown.
        let expired = state.now + AHEAD >= claim.launch_not_after_ms;
        let lives = |task: &SmallTask| !expired || !matches!(task.phase, Phase::Ended(_));
        let known = state.tasks.iter().position(|task| task.token == token && lives(task));
        let index = known.unwrap_or(state.tasks.len());
        if known.is_none() {
            let task = SmallTask {
                job: owner,
                claim: Arc::clone(claim),
                token,
                phase: Phase::Starting,
                stopping: false,
                stop_reason: None,
                by_hand: false,
            };
            state.tasks.push(task);
            state.promise(
                self.tenant_keeps_its_limit(state, owner),
                "L9: more tasks of a tenant than it may have",
            );
        }
        if self.weakness == WeakProtocol::DeleteOnAccept {
            self.delete(state, owner);
        }
        Fact::Launched { job, attempt, task: arn(index) }
    }

    /// Answers with `failures[]` under this token, for ever.
    pub(super) fn refuse(&self, state: &mut State, claim: &Claim) -> Vec<Fact> {
        if let Some(job) = state.jobs.get_mut(self.job(&claim.job)) {
            job.refused.push(claim.client_token());
        }
        let refusal = Refusal::Definitive("RESOURCE:CPU".into());
        vec![Fact::LaunchRefused { job: claim.job.clone(), attempt: claim.attempt, refusal }]
    }

    /// The index gets the end of a job.
    fn list(&self, state: &mut State, terminal: &Arc<Terminal>) -> Fact {
        if let Some(job) = state.jobs.get_mut(self.job(&terminal.job)) {
            job.indexed = true;
            let same = job.terminal.as_ref().is_some_and(|there| there.nonce == terminal.nonce);
            state.promise(same, "S20: listed otherwise than the terminal record says");
        }
        Fact::Indexed { job: terminal.job.clone() }
    }

    /// The bus or the outbox gets an event.
    fn tell(&self, state: &mut State, event: &JobEvent, via: &Via) -> Fact {
        state.put_aside |= *via == Via::Outbox;
        if let Some(job) = state.jobs.get_mut(self.job(&event.job)) {
            job.told = true;
            let outcome = job.terminal.as_ref().map(|terminal| &terminal.outcome);
            let so = outcome.is_some_and(|outcome| tells(event.kind, outcome));
            state.promise(so, "S18: told otherwise than the terminal record says");
        }
        Fact::Announced { job: event.job.clone(), kind: event.kind, via: via.clone() }
    }

    fn write_terminal_record(&self, state: &mut State, index: usize, terminal: &Arc<Terminal>) -> bool {
        if matches!(terminal.outcome, Outcome::Cancelled(_)) {
            state.promise(self.cancel_was_asked(state, index), "S19: cancelled, and nobody wanted that");
        }
        let Some(job) = state.jobs.get_mut(index) else { return false };
        if job.terminal.is_none() {
            job.terminal = Some(Arc::clone(terminal));
            return true;
        }
        state.promise(
            self.weakness != WeakProtocol::BlindTerminalRecord,
            "S2: the terminal record was written twice",
        );
        false
    }

    fn delete(&self, state: &mut State, message: usize) {
        // Here each message asks for the job with the same number.
        let job = state.jobs.get(message);
        let settled = job.is_some_and(SmallJob::settled);
        let listed = job.is_some_and(|job| job.indexed);
        let told = self.policy.announcing.is_none() || job.is_some_and(|job| job.told);
        state.promise(settled, "S1: the message was deleted before its job was settled");
        state.promise(listed, "S20: the message was deleted before the index had its job's end");
        state.promise(told, "S18: the message was deleted before anybody was told of its job's end");
        if let Some(message) = state.messages.get_mut(message) {
            (message.deleted, message.visible) = (true, false);
        }
    }

    /// A task's start checks (S8).
    pub(super) fn begin(&self, state: &mut State, index: usize) {
        let Some(task) = state.tasks.get(index) else { return };
        let Some(job) = state.jobs.get(task.job) else { return };
        let newest = job.claims.iter().all(|claim| claim.attempt <= task.claim.attempt);
        let late = state.now + AHEAD >= task.claim.launch_not_after_ms
            && self.weakness != WeakProtocol::NoLaunchDeadline;
        let may = job.terminal.is_none() && newest && !late;
        let others = working(state, task.job);
        state.promise(!(may && others), "S6: two tasks work on one job");
        if let Some(task) = state.tasks.get_mut(index) {
            task.phase = if may { Phase::Working } else { Phase::Ended(SUPERSEDED) };
        }
    }

    /// A task writes its terminal record, and ends.
    pub(super) fn succeed(&self, state: &mut State, index: usize) {
        let Some(task) = state.tasks.get(index).cloned() else { return };
        let mine = self.write_terminal_record(state, task.job, &Arc::new(success(&task.claim, index)));
        if let Some(task) = state.tasks.get_mut(index) {
            task.phase = Phase::Ended(if mine { 0 } else { SUPERSEDED });
        }
    }
}

/// Each job here has an object of its own; several jobs under one prefix have a separate model ([`super::prefix`]).
fn publication(job: &JobKey, winner: &Succeeded) -> Publication {
    let order =
        SourceOrder { sequencer: None, version_id: None, etag: None, uploaded_at_ms: 0, accepted_at_ms: 0 };
    Publication::Live(Box::new(Published {
        schema: SCHEMA,
        output: OutputTarget { bucket: String::new(), prefix: String::new() },
        source: SourceObject { bucket: String::new(), key: String::new() },
        job: job.clone(),
        attempt: winner.attempt,
        folder: String::new(),
        order,
        highest_sequencer: None,
        serial: 1,
        published_at_ms: 0,
    }))
}

/// Whether an attempt works that a record says is over. A controller that has not heard of a cancel may begin one after
/// the reading that the cancel was decided by; its task finds the record and ends.
fn known_to_work(state: &State, job: usize, terminal: &Terminal) -> bool {
    let over = match &terminal.outcome {
        Outcome::Cancelled(cancelled) => cancelled.attempts.len(),
        _ => usize::MAX,
    };
    let works = |task: &&SmallTask| task.job == job && task.phase == Phase::Working;
    state.tasks.iter().filter(works).any(|task| task.claim.attempt.number() as usize <= over)
}

fn working(state: &State, job: usize) -> bool {
    state.tasks.iter().any(|task| task.job == job && task.phase == Phase::Working)
}

/// The message of a handle, if the handle is the newest and no other controller can have received the message.
fn current(state: &State, lease: &LeaseRef) -> Option<usize> {
    let index = message_index(&lease.message)?;
    let message = state.messages.get(index)?;
    (!message.deleted && lease.receipt == receipt(index, message.receipt)).then_some(index)
}

/// The number of the receive whose handle a controller uses.
fn received(state: &State, host: Option<usize>, message: usize) -> Attempt {
    let lease = host
        .and_then(|host| state.controllers.get(host))
        .and_then(|it| it.core.ledger.leases.get(&MessageId(message.to_string().into())));
    let number = lease.and_then(|lease| lease.receipt.rsplit_once('/')?.1.parse().ok());
    number.and_then(Attempt::new).unwrap_or(Attempt::FIRST)
}
