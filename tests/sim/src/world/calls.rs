//! Calls: an action goes over the wire to its effect, and its answer comes back as facts; with all faults of a wire.

use std::{ops::ControlFlow, sync::Arc};

use transcode_config::contract::{Attempt, Claim, JobKey, JobSpec};
use transcode_core::{
    effects::apply,
    protocol::{
        action::Action,
        clock::Ms,
        fact::{CallError, ErrorClass, Fact, Pinned, Snapshot},
        publishing::Publishing,
    },
    weakness::{Weakness, weak},
};

use super::{World, bus::Resending, event::Event, fate::Fate};
use crate::setup::{CALL_TIMEOUT, MINUTE, SECOND};

/// Oldest reading on which a controller may claim an attempt or give a job up: the core's limit, and the length of a turn.
const READ_AGE: Ms = MINUTE;

/// A call under way.
pub(super) struct Call {
    host: usize,
    boot: u32,
    action: Action,
    stage: u8,
    /// The specification, if this call has created it.
    accepted: Option<Arc<JobSpec>>,
    /// The result of an earlier stage's read.
    snapshot: Option<Box<Snapshot>>,
    /// The state of publishing.
    publishing: Option<Box<Publishing>>,
    /// The state of sending what waits in the outbox.
    resending: Resending,
    answer: Vec<Fact>,
    /// The answer will not arrive; the caller's timeout ends the call.
    deaf: bool,
    /// The caller has given up, or has its answer.
    answered: bool,
    /// Its effect has not happened yet.
    pending: bool,
    /// When it was sent.
    began: Ms,
    /// When a receive stops waiting.
    poll_until: Ms,
}

impl Call {
    /// A call without a caller, for direct use.
    pub(super) fn direct(action: Action, now: Ms) -> Self {
        Self {
            host: 0,
            boot: 0,
            action,
            stage: 0,
            accepted: None,
            snapshot: None,
            publishing: None,
            resending: Resending::default(),
            answer: Vec::new(),
            deaf: false,
            answered: false,
            pending: true,
            began: now,
            poll_until: now,
        }
    }

    pub(super) fn into_answer(self) -> Vec<Fact> {
        self.answer
    }
}

pub(super) fn failed(operation: &'static str, class: ErrorClass, message: &str) -> CallError {
    CallError { operation, class, message: message.to_owned() }
}

/// The fact that an action failed.
fn failure(action: &Action, class: ErrorClass) -> Fact {
    apply::failed(action, failed(action.name(), class, "fault"))
}

/// The fact that a newer version has written a document of a job.
fn unreadable(job: &JobKey) -> Fact {
    Fact::Unreadable { job: job.clone(), reason: "schema 2".into() }
}

impl World {
    /// A controller begins a call. A launch may be delayed before it is sent.
    pub(super) fn call(&mut self, host: usize, boot: u32, action: Action) {
        match &action {
            Action::Launch { claim } if self.faults.on && self.rng.below(4) == 0 => {
                let delay = self.rng.spread(SECOND, CALL_TIMEOUT);
                self.after(delay, Event::Launch(host, boot, Arc::clone(claim)));
            }
            _ => self.send_out(host, boot, action),
        }
    }

    pub(super) fn launch_late(&mut self, host: usize, boot: u32, claim: Arc<Claim>) {
        if self.hosts.get(host).is_some_and(|it| it.boot == boot && it.core.is_some()) {
            self.send_out(host, boot, Action::Launch { claim });
        }
    }

    fn send_out(&mut self, host: usize, boot: u32, action: Action) {
        if let Action::Launch { claim } = &action {
            // The adapter reads the clock again before it sends.
            if self.host_wall(host) >= claim.launch_not_after_ms && !weak(Weakness::SendsRunTaskLate) {
                let facts = vec![failure(&action, ErrorClass::Transient)];
                return self.deliver(host, boot, facts);
            }
            let wall = self.host_wall(host);
            let job = self.job_of(&claim.job).and_then(|job| self.jobs.get(job));
            let found = crate::invariants::s7_launch_as_claimed(job, claim, wall);
            self.check(found);
        }
        if let Action::Claim { claim, .. } = &action {
            self.check_spot(host, claim);
        }
        if let Action::Extend { lease, .. } = &action {
            self.check_age(host, &lease.message);
        }
        let fate = self.fate(&action);
        if let (Action::Collect { job, .. }, false) = (&action, matches!(fate, Fate::Ordinary)) {
            self.not_collected(job);
        }
        let pending = !matches!(fate, Fate::Refused(_) | Fate::NeverArrives);
        let answer = match fate {
            Fate::Refused(class) => vec![failure(&action, class)],
            _ => Vec::new(),
        };
        let deaf = matches!(fate, Fate::AnswerLost | Fate::Late(_) | Fate::NeverArrives);
        let poll_until = self.now + self.setup.long_poll;
        let call = Call {
            host,
            boot,
            action,
            stage: 0,
            accepted: None,
            snapshot: None,
            publishing: None,
            resending: Resending::default(),
            answer,
            deaf,
            answered: false,
            pending,
            began: self.now,
            poll_until,
        };
        let index = self.keep(call);
        let delay = self.rng.between(2, 150);
        match fate {
            Fate::Ordinary => self.after(delay, Event::Effect(index)),
            Fate::Refused(_) => self.after(delay, Event::Answer(index)),
            Fate::NeverArrives => self.after(CALL_TIMEOUT, Event::Answer(index)),
            Fate::AnswerLost => {
                self.after(delay, Event::Effect(index));
                self.after(CALL_TIMEOUT, Event::Answer(index));
            }
            Fate::Late(by) => {
                self.after(by, Event::Effect(index));
                self.after(CALL_TIMEOUT, Event::Answer(index));
            }
        }
    }

    fn keep(&mut self, call: Call) -> u32 {
        if let Some(index) = self.free_calls.pop()
            && let Some(slot) = self.calls.get_mut(index as usize)
        {
            *slot = Some(call);
            return index;
        }
        self.calls.push(Some(call));
        u32::try_from(self.calls.len() - 1).unwrap_or(u32::MAX)
    }

    fn release(&mut self, index: u32) {
        if let Some(slot) = self.calls.get_mut(index as usize)
            && slot.as_ref().is_some_and(|call| call.answered && !call.pending)
        {
            *slot = None;
            self.free_calls.push(index);
        }
    }

    /// A request, or its next stage, arrives at its service.
    pub(super) fn effect(&mut self, index: u32) {
        let Some(mut call) = self.calls.get_mut(index as usize).and_then(Option::take) else { return };
        let (host, boot, deaf) = (call.host, call.boot, call.deaf);
        self.effects += 1;
        let kill = self.kill_at.filter(|kill| kill.effect == self.effects);
        if kill.is_some_and(|kill| !kill.after) {
            self.crash(host, boot);
            return;
        }
        let next = self.carry_out(&mut call);
        if kill.is_some() {
            self.crash(host, boot);
        }
        let alive = self.hosts.get(host).is_some_and(|it| it.boot == boot && it.core.is_some());
        match next {
            // The caller makes the stages of a call, so they end when it dies.
            Some(at) if alive => match &call.action {
                Action::Receive { queue, .. } => {
                    let queue = self.queue(queue).unwrap_or(0);
                    self.agenda.poll(index, queue, at);
                }
                _ => self.at(at, Event::Effect(index)),
            },
            Some(_) => (call.pending, call.answered) = (false, true),
            None => {
                call.pending = false;
                if !deaf {
                    self.send_back(index, &mut call);
                }
            }
        }
        if let Some(slot) = self.calls.get_mut(index as usize) {
            *slot = Some(call);
        }
        self.release(index);
        let every = self.setup.crash_at_effect;
        if every > 0 && self.faults.on && self.rng.below(every) == 0 {
            self.crash(host, boot);
        }
    }

    /// The answer is sent. Most answers arrive at once, measured against the time of a turn.
    fn send_back(&mut self, index: u32, call: &mut Call) {
        if self.faults.on && self.rng.below(self.setup.slow_answers) == 0 {
            let delay = self.rng.spread(50, CALL_TIMEOUT - 5 * SECOND);
            return self.after(delay, Event::Answer(index));
        }
        call.answered = true;
        self.deliver(call.host, call.boot, std::mem::take(&mut call.answer));
    }

    /// An answer arrives at its caller, or the caller's timeout passes.
    pub(super) fn answer(&mut self, index: u32) {
        let Some(call) = self.calls.get_mut(index as usize).and_then(Option::as_mut) else { return };
        if call.answered {
            return;
        }
        call.answered = true;
        let (host, boot) = (call.host, call.boot);
        let facts = if call.deaf || call.answer.is_empty() {
            vec![failure(&call.action, ErrorClass::Uncertain)]
        } else {
            std::mem::take(&mut call.answer)
        };
        self.release(index);
        self.deliver(host, boot, facts);
    }

    /// Carries out one stage. Returns the time of the next stage, if there is one.
    pub(super) fn carry_out(&mut self, call: &mut Call) -> Option<Ms> {
        let stage = call.stage;
        call.stage += 1;
        let soon = self.now + self.rng.between(5, 200);
        let fact = match &call.action {
            Action::Receive { queue, max } => match self.receive(queue, *max, call.poll_until) {
                Ok(fact) => fact,
                Err(again) => return Some(again),
            },
            Action::Inspect { job, .. } | Action::GiveUp { job, .. } if self.is_newer(job) => unreadable(job),
            Action::Claim { spec, .. } if self.is_newer(&spec.job) => unreadable(&spec.job),
            Action::ReadSpec { job } => {
                let spec = self.job_of(job).and_then(|job| self.jobs.get(job)?.spec.as_deref().cloned());
                Fact::SpecRead { job: job.clone(), spec: spec.map(Box::new) }
            }
            // The listing comes first: what it does not name is not read.
            Action::Inspect { job, .. } if stage == 0 => {
                call.snapshot = Some(Box::new(self.listed(job)));
                return Some(soon);
            }
            Action::Inspect { job, known } => {
                let mut snapshot = call.snapshot.take().unwrap_or_default();
                self.read_heartbeats(job, &mut snapshot);
                self.take_known(known.as_ref(), &mut snapshot);
                Fact::Inspected { job: job.clone(), snapshot }
            }
            Action::Claim { spec, claim } => {
                match self.claim_step(stage, spec, claim, call.began, call.deaf, &mut call.accepted) {
                    ControlFlow::Continue(()) => return Some(soon),
                    ControlFlow::Break(Some(fact)) => fact,
                    ControlFlow::Break(None) => failure(&call.action, ErrorClass::Transient),
                }
            }
            Action::Publish { job, winner, spec } => {
                self.check_spec(job, spec.as_deref());
                let begun = call.publishing.take().or_else(|| self.publishing(job, winner).map(Box::new));
                match begun {
                    None => failure(&call.action, ErrorClass::Transient),
                    Some(mut publishing) => match self.publish_step(job, winner.attempt, &mut publishing) {
                        ControlFlow::Continue(()) => {
                            call.publishing = Some(publishing);
                            return Some(soon);
                        }
                        ControlFlow::Break(Some(publication)) => {
                            Fact::Published { job: job.clone(), publication }
                        }
                        ControlFlow::Break(None) => failure(&call.action, ErrorClass::Transient),
                    },
                }
            }
            Action::Resend { after, .. } => match self.resend(stage, after.as_ref(), &mut call.resending) {
                Some(fact) => fact,
                None => return Some(soon),
            },
            Action::Collect { job, spec, losers } => {
                self.check_spec(job, spec.as_deref());
                self.collect(job, losers);
                Fact::Collected { job: job.clone() }
            }
            Action::GiveUp { job, terminal } => {
                self.put_terminal_record(terminal, call.began.saturating_sub(READ_AGE));
                let there = self.read_terminal_record(job).unwrap_or_else(|| Arc::clone(terminal));
                Fact::Decided { job: job.clone(), terminal: Box::new((*there).clone()) }
            }
            other => return self.carry_out_elsewhere(other, call.began, &mut call.answer),
        };
        call.answer = vec![fact];
        None
    }

    /// One request of a claim: the specification comes first, then the index. `Break` with the answer, or with `None` if
    /// it failed.
    fn claim_step(
        &mut self,
        stage: u8,
        spec: &Arc<JobSpec>,
        claim: &Arc<Claim>,
        began: Ms,
        deaf: bool,
        accepted: &mut Option<Arc<JobSpec>>,
    ) -> ControlFlow<Option<Fact>> {
        if stage == 0 {
            *accepted = self.put_spec(spec).then(|| Arc::clone(spec));
            return ControlFlow::Continue(());
        }
        if stage == 1 && claim.attempt == Attempt::FIRST {
            self.put_accepted(&spec.job);
            return ControlFlow::Continue(());
        }
        let there = self.put_claim(claim, began.saturating_sub(READ_AGE), deaf);
        ControlFlow::Break(there.map(|there| Fact::Claimed {
            job: there.job.clone(),
            claim: Box::new((*there).clone()),
            spec: accepted.take(),
        }))
    }

    fn carry_out_elsewhere(&mut self, action: &Action, sent_at: Ms, answer: &mut Vec<Fact>) -> Option<Ms> {
        let fact = match action {
            Action::Launch { claim } => {
                let (job, attempt) = (claim.job.clone(), claim.attempt);
                match self.run_task(&Arc::clone(claim)) {
                    Ok(task) => Fact::Launched { job, attempt, task },
                    Err(refusal) => Fact::LaunchRefused { job, attempt, refusal },
                }
            }
            Action::Describe { tasks } => {
                for arn in tasks {
                    let fact = match self.describe(arn) {
                        Some(view) => Fact::TaskSeen(Box::new(view)),
                        None => Fact::TaskMissing(arn.clone()),
                    };
                    answer.push(fact);
                }
                return None;
            }
            Action::Index { terminal, spec, asked } => {
                self.check_spec(&terminal.job, spec.as_deref());
                self.put_ended(terminal, asked.is_some());
                Fact::Indexed { job: terminal.job.clone() }
            }
            Action::Announce { event, via } => self.announce(event, via),
            Action::Resync => {
                let views = self.list();
                answer.extend(views.into_iter().map(|view| Fact::TaskListed(Box::new(view))));
                Fact::Resynced { complete: true }
            }
            Action::Survey => Fact::Surveyed { sightings: self.beacons() },
            Action::Resolve => {
                let task_definition = format!("arn:definition:{}", self.definition);
                Fact::Resolved(Pinned { task_definition, image_digest: None })
            }
            Action::Stop { task, reason } => {
                self.stop(task, reason, sent_at);
                Fact::Stopped { task: task.clone() }
            }
            Action::DeadLetter(letter) => self.dead_letter(letter),
            Action::Delete { lease } => self.delete(lease),
            Action::Extend { lease, for_ms } => {
                let done = Fact::Extended { message: lease.message.clone(), for_ms: *for_ms };
                self.set_visibility(lease, *for_ms, done)
            }
            Action::Release { lease, after_ms } => {
                let done = Fact::Released { message: lease.message.clone() };
                self.set_visibility(lease, *after_ms, done)
            }
            // The caller carries these out.
            Action::Receive { .. }
            | Action::Inspect { .. }
            | Action::ReadSpec { .. }
            | Action::Claim { .. }
            | Action::GiveUp { .. }
            | Action::Publish { .. }
            | Action::Resend { .. }
            | Action::Collect { .. } => return None,
        };
        answer.push(fact);
        None
    }
}
