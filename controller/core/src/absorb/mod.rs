//! Absorbing facts: how an answer or an event changes the ledger.
//!
//! A fact proves only its own content: a refusal proves that *that* call launched nothing, a missing task proves that
//! ECS does not know the task now, a hint proves nothing and causes a read.

mod binding;
mod calls;
pub mod change;
mod learn;
mod news;
pub(crate) mod standing;
mod steered;
mod superseded;
mod survey;
mod trouble;

use std::sync::Arc;

use transcode_config::contract::JobKey;

use self::change::Change;
use crate::{
    message::{Parsed, Request, parse},
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        fact::{Fact, Hint, Incoming, MessageId, QueueName, Snapshot},
        publishing::Publication,
        task_view::{TaskArn, TaskStatus, TaskView},
        via::Via,
    },
    state::{
        breaker::FailureStage,
        job::{Binding, Job, TerminalRecord},
        lease::{COPIES, Content, Lease, Spare},
        ledger::{Definition, Ledger},
        limiter::CallKind,
    },
    weakness::{Weakness, weak},
};

impl Ledger {
    /// Takes a fact into the ledger. Returns the changes that it causes.
    pub fn absorb(&mut self, fact: Fact, policy: &Policy, now: Now) -> Vec<Change> {
        let mut told = Vec::new();
        let open = self.read_as_open(&fact);
        self.take_in(fact, policy, now, &mut told);
        told.extend(open.and_then(|job| self.cancelled_too_late(job)));
        told
    }

    #[allow(clippy::too_many_lines, reason = "a table: one line for each kind of fact")]
    fn take_in(&mut self, fact: Fact, policy: &Policy, now: Now, told: &mut Vec<Change>) {
        self.news_of(&fact, told);
        match fact {
            Fact::Received { queue, messages } => self.received(&queue, messages, policy, now, told),
            Fact::ReceiveFailed { queue, error } => {
                self.has_had_its_turn(&queue, policy);
                let receiving = self.receiving.entry(queue).or_default();
                receiving.call = None;
                receiving.failures += 1;
                receiving.failed = Some(error);
                receiving.retry_at = now.mono + policy.call_backoff(receiving.failures);
            }
            Fact::Inspected { job, snapshot } => self.inspected(&job, *snapshot, policy, now, told),
            Fact::Unreadable { job, reason } => {
                self.job_answered(&job, |job, _| {
                    job.unreadable = (!weak(Weakness::ForgetsNewerDocument)).then_some(reason);
                });
            }
            Fact::Claimed { job, claim, spec } => {
                let claim = Arc::new(*claim);
                told.push(Change::AttemptClaimed { claim: Arc::clone(&claim) });
                if let Some(past) = claim.history.last() {
                    told.push(Change::AttemptOver { job: job.clone(), past: past.clone() });
                }
                self.job_answered(&job, |job, _| {
                    job.binding = Binding::Own;
                    job.accepted = spec.or_else(|| job.accepted.take()).or_else(|| job.asked_for());
                    let _ = job.learn_claim(claim, None, policy, now);
                });
            }
            Fact::SpecRead { job, spec } => self.spec_read(&job, spec, now, told),
            Fact::Launched { job, attempt, task } => self.launched(&job, attempt, &task, now),
            Fact::LaunchRefused { job, attempt, refusal } => {
                self.refused(&job, attempt, refusal, policy, now);
            }
            Fact::TaskSeen(view) if self.confirms(&view, true, policy, now) => {}
            Fact::TaskSeen(view) => {
                let asked_at = self.tasks.get(&view.arn).and_then(|task| task.describe_call);
                let arn = self.seen(*view, asked_at, now, told);
                self.described(&arn, policy, now, |_| {});
            }
            Fact::TaskListed(view) if self.confirms(&view, false, policy, now) => {}
            Fact::TaskListed(view) => {
                let arn = self.seen(*view, self.resync.call, now, told);
                let every = self.describe_every(policy);
                if let Some(task) = self.tasks.get_mut(&arn) {
                    task.describe_at = now.mono + task.describe_every(every, policy);
                }
            }
            Fact::TaskMissing(arn) => self.missing(&arn, policy, now),
            Fact::DescribeFailed { tasks, error } => {
                self.throttled(CallKind::Read, &error, policy, now);
                for arn in tasks {
                    self.described(&arn, policy, now, |_| {});
                }
            }
            Fact::Resynced { complete } => {
                self.resync.answered(complete, self.resync_every(policy), policy, now.mono);
            }
            Fact::Surveyed { sightings } => self.surveyed(sightings, policy, now, told),
            Fact::SurveyFailed { .. } => self.survey.answered(false, 0, policy, now.mono),
            Fact::Resolved(pinned) => {
                self.definition = Definition::Fit(pinned);
                self.resolve.answered(true, policy.resync_every, policy, now.mono);
            }
            Fact::Unfit { reason } => {
                self.definition = Definition::Unfit(reason);
                self.resolve.answered(true, policy.resync_every, policy, now.mono);
            }
            // A definition that was fit stays fit: an outage of the reads of ECS or ECR must not stop launches.
            Fact::ResolveFailed { error } => {
                self.throttled(CallKind::Read, &error, policy, now);
                if let Definition::Unknown(why) = &mut self.definition {
                    *why = Some(error.to_string());
                }
                self.resolve.answered(false, policy.resync_every, policy, now.mono);
            }
            Fact::Stopped { task } => self.stop_answered(&task, |task| {
                task.stopped_at = Some(now.mono);
                task.describe_at = now.mono;
            }),
            Fact::StopFailed { task, error } => {
                self.throttled(CallKind::Stop, &error, policy, now);
                self.stop_answered(&task, |task| {
                    task.stop_failures += 1;
                    let wait = policy.call_backoff(task.stop_failures).max(policy.call_retry_base * 5);
                    task.stop_retry_at = now.mono + wait;
                });
            }
            Fact::Decided { job, terminal } => {
                self.tell_terminal_record(&job, &terminal, policy, now);
                self.job_answered(&job, |job, _| job.decide(Arc::new(*terminal), now.mono, false, told));
            }
            Fact::Published { job, publication } => {
                if let Publication::Live(live) = &publication {
                    self.goes_live(live);
                }
                self.job_answered(&job, |job, _| {
                    job.published = true;
                    if let Publication::Superseded(by) = publication {
                        job.superseded_by = Some(by);
                    }
                });
            }
            Fact::Indexed { job } => self.job_answered(&job, |job, _| job.indexed = true),
            Fact::Announced { job, via, .. } => {
                match via {
                    Via::Bus(_) => self.outbox.taken(now),
                    Via::Outbox => self.outbox.put_aside(now),
                }
                self.job_answered(&job, |job, _| job.announced = true);
            }
            Fact::Resent { sent, kept, next } => {
                let kept = kept.map_or(0, |(count, _)| count);
                self.outbox.resent((sent, kept), next, policy, now);
            }
            Fact::ResendFailed { .. } => self.outbox.resend.answered(false, 0, policy, now.mono),
            Fact::Collected { job } => self.job_answered(&job, |job, _| job.collected = true),
            Fact::DeadLettered { message, job } => self.message_answered(&message, |lease| {
                lease.lettered.insert(job);
            }),
            Fact::Extended { message, for_ms } => self.message_answered(&message, |lease| {
                // Counted from before the call began; SQS never counts from an earlier time.
                if !lease.renewed {
                    lease.deadline = lease.call.unwrap_or(now.mono) + for_ms;
                }
            }),
            Fact::Released { message } => {
                let sent = self.leases.get_mut(&message).map(|lease| std::mem::take(&mut lease.lettered));
                self.letters.put_aside(&message, sent.unwrap_or_default());
                self.forget_lease(&message);
            }
            Fact::Deleted { message } => self.deleted(&message, told),
            Fact::LeaseLost { message } => self.lease_lost(&message, told),
            Fact::JobCallFailed { job, error } => self.job_failed(&job, error, policy, now),
            Fact::MessageCallFailed { message, error } => {
                self.message_failed(&message, error, policy, now);
            }
            Fact::Hinted(Hint::Task(arn)) if weak(Weakness::BelievesEvents) => {
                self.described(&arn, policy, now, |task| {
                    task.ended_at.get_or_insert(now.mono);
                });
            }
            Fact::Hinted(hint) => self.hinted(&hint, now),
            Fact::Steered(steering) => self.steered(*steering, told),
            Fact::SteeringRefused { error } => self.steering_refused(error, told),
            Fact::DrainRequested => {
                self.draining = true;
                self.requeue_all();
            }
        }
    }

    fn received(
        &mut self,
        queue: &QueueName,
        messages: Vec<Incoming>,
        policy: &Policy,
        now: Now,
        told: &mut Vec<Change>,
    ) {
        let receiving = self.receiving.entry(queue.clone()).or_default();
        let asked_at = receiving.call.take().map_or(now.mono, |(_, at)| at);
        (receiving.failures, receiving.failed) = (0, None);
        receiving.served += messages.len() as u64;
        // An empty long poll has already waited. One that returns at once (an emulator, a fault) must not cause a busy
        // loop.
        receiving.retry_at = if messages.is_empty() { asked_at + policy.call_retry_base } else { now.mono };
        if messages.is_empty() {
            self.has_had_its_turn(queue, policy);
        }
        for message in messages {
            self.receive_one(queue, message, asked_at, policy, now, told);
        }
    }

    /// Moves an empty queue behind the others: it could not have had the messages that they received meanwhile.
    /// Otherwise it alone would be asked until it had caught up.
    fn has_had_its_turn(&mut self, queue: &QueueName, policy: &Policy) {
        let weight =
            |queue: &QueueName| policy.queues.get(queue).map_or(1, |weight| u64::from(*weight).max(1));
        let most = self.receiving.iter().map(|(queue, it)| it.served.div_ceil(weight(queue))).max();
        if let Some(receiving) = self.receiving.get_mut(queue) {
            receiving.served = receiving.served.max(most.unwrap_or(0) * weight(queue)) + 1;
        }
    }

    fn receive_one(
        &mut self,
        queue: &QueueName,
        message: Incoming,
        asked_at: Ms,
        policy: &Policy,
        now: Now,
        told: &mut Vec<Change>,
    ) {
        let deadline = asked_at + policy.visibility;
        if let Some(lease) = self.leases.get_mut(&message.id) {
            // Delivered again: the newest handle counts, and SQS counts the 12 h anew.
            lease.receipt = message.receipt;
            lease.received_at = asked_at;
            lease.deadline = deadline;
            lease.renewed = lease.call.is_some();
            return;
        }
        let (mut spare, mut ignored) = (None, Vec::new());
        let content = match parse(&message.body, &self.rules, now.wall) {
            Parsed::Park(reason) => Content::Parked(reason),
            Parsed::Ignore(records) => {
                ignored = records;
                Content::Jobs([].into())
            }
            Parsed::Jobs(requests, beside) => {
                ignored = beside;
                let requests: Vec<Request> = requests.into_iter().map(|it| self.bound(it)).collect();
                let keys = requests.iter().map(|request| request.job().clone()).collect();
                let held = |request: &Request| {
                    self.jobs.get(request.job()).is_some_and(|job| job.leases.len() >= COPIES)
                };
                let copy = requests.iter().all(held) && !weak(Weakness::HoldsEveryCopy);
                spare = copy.then_some(Spare::Copy);
                for request in requests {
                    let tenant = self.tenants.number(self.rules.tenant_of(&request), now.mono);
                    let job = self.jobs.or_insert_with(request.job(), || Job::new(None, now.mono));
                    job.tenant = tenant;
                    job.put_back &= copy;
                    job.leases.insert(message.id.clone());
                    job.request.get_or_insert(request);
                    job.asked_at_ms = job.asked_at_ms.into_iter().chain(message.sent_at_ms).min();
                }
                Content::Jobs(keys)
            }
        };
        let jobs =
            if let Content::Jobs(keys) = &content { keys.keys().cloned().collect() } else { Vec::new() };
        let (id, sent_at_ms) = (message.id.clone(), message.sent_at_ms);
        let tenants = jobs.iter().map(|job| self.tenant_of(job)).collect();
        let (message_id, queue_name) = (id.clone(), queue.clone());
        told.push(Change::MessageReceived {
            message: message_id,
            queue: queue_name,
            jobs,
            tenants,
            sent_at_ms,
        });
        if !ignored.is_empty() {
            told.push(Change::MessageIgnored { message: id, records: ignored });
        }
        let lease = Lease {
            receipt: message.receipt,
            body: message.body.into(),
            sent_at_ms: message.sent_at_ms,
            lettered: self.letters.back(&message.id),
            spare,
            receives: message.receives,
            ..Lease::new(queue.clone(), content, asked_at, deadline)
        };
        if spare.is_some() {
            self.spares.insert(message.id.clone());
        }
        self.leases.insert(message.id, lease);
    }

    fn inspected(
        &mut self,
        key: &JobKey,
        snapshot: Snapshot,
        policy: &Policy,
        now: Now,
        told: &mut Vec<Change>,
    ) {
        let mut task = None;
        if let Some(terminal) = &snapshot.terminal {
            self.tell_terminal_record(key, terminal, policy, now);
        }
        self.job_answered(key, |job, asked_at| {
            let covered = job.attempt.as_ref().is_some_and(|attempt| attempt.beacon.is_some());
            job.inspect_at = now.mono + if covered { policy.covered() } else { policy.survey_every() };
            if let Some(terminal) = snapshot.terminal {
                job.decide(terminal, now.mono, true, told);
            } else if job.terminal().is_none() {
                job.record = TerminalRecord::Absent(if weak(Weakness::DatesReadingByAnswer) {
                    now.mono
                } else {
                    asked_at
                });
            }
            if let Some(claim) = snapshot.claim {
                // An attempt that is known to be over holds no slot. If its task still runs, the list of tasks shows
                // it.
                let working = snapshot.heartbeat.as_ref().filter(|beat| !job.is_over(beat.attempt));
                task =
                    working.and_then(|beat| Some((TaskArn(beat.task_arn.as_deref()?.into()), beat.attempt)));
                if job.learn_claim(claim, snapshot.heartbeat, policy, now) {
                    told.push(Change::Heartbeat { job: key.clone() });
                }
                job.learn_earlier(snapshot.earlier, now.mono);
            }
        });
        if let Some((arn, attempt)) = task {
            self.know_task(&arn, key, attempt, now);
        }
    }

    /// Takes in ECS' view of a task; `asked_at` (monotonic) is when the call began.
    fn seen(&mut self, view: TaskView, asked_at: Option<Ms>, now: Now, told: &mut Vec<Change>) -> TaskArn {
        let arn = view.arn.clone();
        self.pulled(&view, told);
        let known = self.tasks.contains_key(&arn);
        if !known {
            match &view.identity {
                None => {
                    if self.foreign.insert(arn.clone()) {
                        told.push(Change::TaskForeign { task: arn.clone() });
                    }
                }
                // An ended task of a job that no message asks for is ignored.
                Some(identity) if !view.ended() || self.jobs.contains_key(&identity.job) => {
                    let (job, attempt) = (identity.job.clone(), identity.attempt);
                    self.know_task(&arn, &job, attempt, now);
                    if !view.ended() {
                        told.push(Change::TaskAdopted { job, attempt, task: arn.clone() });
                    }
                }
                Some(_) => {}
            }
        }
        let Some(task) = self.tasks.get_mut(&arn) else { return arn };
        let began = view.status == TaskStatus::Running && task.running_at.is_none();
        let (was_up, had_ended) = (task.running_at.is_some(), task.ended());
        let news = task.see(view, asked_at.unwrap_or(now.mono), now.mono);
        let ended = (news && task.ended()).then(|| task.job.clone());
        if began {
            self.breaker.passed(FailureStage::NotStarted);
        }
        if let Some(job) = ended.and_then(|key| self.jobs.get_mut(&key)) {
            job.inspect_at = now.mono;
        }
        if known {
            self.task_news(&arn, was_up, had_ended, told);
        }
        arn
    }

    fn hinted(&mut self, hint: &Hint, now: Now) {
        match hint {
            Hint::TerminalRecord(key) => {
                if let Some(job) = self.jobs.get_mut(key) {
                    (job.inspect_at, job.hinted_at) = (now.mono, now.mono);
                }
            }
            Hint::Task(arn) => {
                if let Some(task) = self.tasks.get_mut(arn) {
                    task.describe_at = now.mono;
                }
            }
        }
    }

    pub(super) fn forget_lease(&mut self, message: &MessageId) -> Option<Lease> {
        let lease = self.leases.remove(message)?;
        self.spares.remove(message);
        for key in lease.jobs() {
            if let Some(job) = self.jobs.get_mut(key) {
                job.leases.remove(message);
            }
        }
        Some(lease)
    }

    /// Drops messages whose visibility timeout has passed: they are not ours any more, even if their handle still
    /// works.
    pub(crate) fn drop_lapsed(&mut self, now: Ms, told: &mut Vec<Change>) {
        let lapsed: Vec<MessageId> = self
            .leases
            .due(now)
            .filter(|(_, lease)| lease.deadline <= now && lease.call.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for message in lapsed {
            self.lose(&message, told);
        }
    }
}
