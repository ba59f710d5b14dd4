//! The ledger: everything this controller knows, and the calls that are under way.
//!
//! It changes in two ways only: [`Ledger::absorb`] takes a fact in, [`Ledger::begin`] notes that an action's call is
//! about to be made. Between the two the planner leaves the job or message alone, so planning twice gives no second
//! launch. All of it is a cache: losing it costs time, never a job.

use std::collections::{BTreeMap, BTreeSet};

use transcode_config::contract::{Attempt, JobKey};

use crate::{
    message::Rules,
    policy::Policy,
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::{MessageId, Pinned, QueueName},
        task_view::TaskArn,
    },
    state::{
        agenda::{Agenda, Requeue},
        away::Away,
        breaker::Breaker,
        in_flight::{Headroom, InFlight, Usage},
        job::Job,
        lease::{Lease, Spare},
        limiter::{CallKind, Limiter},
        sent_letters::Letters,
        task::TaskRecord,
        tenants::Tenants,
    },
    weakness::{Weakness, weak},
};

/// How receiving from one queue goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receiving {
    /// A receive for so many messages is under way, since when.
    pub call: Option<(u8, Ms)>,
    /// No receive before this.
    pub retry_at: Ms,
    /// Failed receives in a row.
    pub failures: usize,
    /// Messages so far, and what it could have had: what the queue has had of its share.
    pub served: u64,
    /// What was put back because more waits than there is place for.
    pub away: Away,
}

/// A call that is made again and again for the controller as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Periodic {
    /// Since when one is under way.
    pub call: Option<Ms>,
    /// Due not before this.
    pub due_at: Ms,
    /// Failures in a row.
    pub failures: usize,
    /// It has succeeded once.
    pub done: bool,
}

impl Periodic {
    /// Whether it should be made now.
    pub fn due(&self, now: Ms) -> bool {
        self.call.is_none() && self.due_at <= now
    }

    pub(crate) fn answered(&mut self, success: bool, every: Ms, policy: &Policy, now: Ms) {
        self.call = None;
        self.done |= success;
        self.failures = if success { 0 } else { self.failures + 1 };
        self.due_at = now + if success { every } else { policy.call_backoff(self.failures) };
    }
}

/// What is known of the task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Nothing yet; the last failure, if there was one.
    Unknown(Option<String>),
    /// New attempts are pinned to it.
    Fit(Pinned),
    /// Its image must not be launched: what is wrong and what to do.
    Unfit(String),
}

/// Everything that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger {
    /// Distinguishes this process' writes from others'.
    pub instance: String,
    /// How bodies are read.
    pub rules: Rules,
    /// Held messages.
    pub leases: Agenda<MessageId, Lease>,
    /// Letters of messages that were put aside.
    pub letters: Letters,
    /// Known jobs.
    pub jobs: Agenda<JobKey, Job>,
    /// What keeps all from being claimed that could be, as of the last turn.
    pub held: Option<String>,
    /// Known tasks of known jobs.
    pub tasks: Agenda<TaskArn, TaskRecord>,
    /// Sums over them.
    pub in_flight: InFlight,
    /// What each tenant has had; empty where no source has tenants.
    pub tenants: Tenants,
    /// Messages that are about to be put back.
    pub(crate) spares: BTreeSet<MessageId>,
    /// Tasks that carry our `startedBy` and not our overrides. Never stopped; reported.
    pub foreign: BTreeSet<TaskArn>,
    /// Receiving, by queue.
    pub receiving: BTreeMap<QueueName, Receiving>,
    /// Listing all tasks.
    pub resync: Periodic,
    /// Finding the task definition.
    pub resolve: Periodic,
    /// What new attempts are pinned to.
    pub definition: Definition,
    /// No RunTask before this: ECS refused for rate, capacity, quota or configuration.
    pub cooldown_until: Ms,
    /// What ECS said then, in one line.
    pub cooldown_reason: String,
    /// Refused launches in a row.
    pub refusals: usize,
    /// Spot had no capacity lately: until then (monotonic) claims ask for on-demand.
    pub spot_refused_until: Ms,
    /// Rates of the calls to ECS.
    pub limiter: Limiter,
    /// Whether launching is worth it.
    pub breaker: Breaker,
    /// The process is ending.
    pub draining: bool,
}

impl Ledger {
    /// An empty ledger. `instance` must differ between any two processes.
    pub fn new(instance: impl Into<String>, rules: Rules) -> Self {
        Self {
            instance: instance.into(),
            rules,
            leases: Agenda::default(),
            letters: Letters::default(),
            jobs: Agenda::default(),
            held: None,
            tasks: Agenda::default(),
            in_flight: InFlight::default(),
            tenants: Tenants::default(),
            spares: BTreeSet::new(),
            foreign: BTreeSet::new(),
            receiving: BTreeMap::new(),
            resync: Periodic::default(),
            resolve: Periodic::default(),
            definition: Definition::Unknown(None),
            cooldown_until: 0,
            cooldown_reason: String::new(),
            refusals: 0,
            spot_refused_until: 0,
            limiter: Limiter::default(),
            breaker: Breaker::default(),
            draining: false,
        }
    }

    /// Notes that the calls of `action` are about to be made.
    pub fn begin(&mut self, action: &Action, policy: &Policy, now: Now) {
        match action {
            Action::Receive { queue, max } => {
                self.receiving.entry(queue.clone()).or_default().call = Some((*max, now.mono));
            }
            Action::Resync => {
                self.resync.call = Some(now.mono);
                // The list's pages, and the descriptions of what is on them.
                let pages = 1 + self.tasks.len() as u64 / 100;
                self.limiter.take(CallKind::Read, 2 * pages, policy, now.mono);
            }
            Action::Resolve => self.resolve.call = Some(now.mono),
            Action::Inspect { job } => {
                // The first in line is looked up to be claimed: what is free is its own until then.
                let holds = policy.look_ahead.is_some() && self.jobs.rank_of(job).is_some();
                self.begin_job(job, now);
                if let Some(entry) = self.jobs.begin_call(job).filter(|_| holds) {
                    entry.claiming = Some(policy.variant.cpu);
                    self.count_job(job, policy, now);
                }
            }
            Action::ReadSpec { job }
            | Action::GiveUp { job, .. }
            | Action::Publish { job, .. }
            | Action::Collect { job, .. } => self.begin_job(job, now),
            Action::Claim { spec, claim } => {
                self.begin_job(&spec.job, now);
                self.breaker.claimed(policy, now.mono);
                if let Some(job) = self.jobs.begin_call(&spec.job) {
                    job.claiming = Some(claim.variant.cpu);
                }
                self.count_job(&spec.job, policy, now);
            }
            Action::Launch { claim } => {
                self.begin_job(&claim.job, now);
                self.limiter.take(CallKind::Launch, 1, policy, now.mono);
            }
            Action::Describe { tasks } => {
                self.limiter.take(CallKind::Read, 1, policy, now.mono);
                for arn in tasks {
                    if let Some(record) = self.tasks.get_mut(arn) {
                        record.describe_call = Some(now.mono);
                    }
                }
            }
            Action::Stop { task, .. } => {
                self.limiter.take(CallKind::Stop, 1, policy, now.mono);
                if let Some(record) = self.tasks.get_mut(task) {
                    record.stop_call = true;
                }
            }
            Action::DeadLetter(letter) => self.begin_lease(&letter.lease.message, now),
            Action::Release { lease, after_ms } => {
                self.begin_lease(&lease.message, now);
                let spare = self.leases.get(&lease.message).and_then(|lease| lease.spare);
                if spare == Some(Spare::Excess) {
                    let receiving = self.receiving.entry(lease.queue.clone()).or_default();
                    receiving.away.add(now.mono + after_ms, now.mono);
                }
            }
            Action::Delete { lease } | Action::Extend { lease, .. } => {
                self.begin_lease(&lease.message, now);
            }
        }
    }

    fn begin_job(&mut self, job: &JobKey, now: Now) {
        if let Some(job) = self.jobs.begin_call(job) {
            job.call = Some(now.mono);
            self.tenants.changed(job.tenant);
        }
    }

    fn begin_lease(&mut self, message: &MessageId, now: Now) {
        if let Some(lease) = self.leases.begin_call(message) {
            lease.call = Some(now.mono);
        }
    }

    /// When the rate allows a launch (monotonic), with `planned` launches planned before it and not begun yet. Not
    /// later than now: it is allowed.
    pub fn launch_allowed_at(&self, policy: &Policy, planned: u64, now: Now) -> Ms {
        self.limiter.allowed_at(CallKind::Launch, planned, policy, now.mono).max(self.cooldown_until)
    }

    /// Notes a task of a job. Says whether it was unknown.
    pub(crate) fn know_task(&mut self, arn: &TaskArn, job: &JobKey, attempt: Attempt, now: Now) -> bool {
        let news = !self.tasks.contains_key(arn);
        if !news && self.jobs.get(job).is_some_and(|it| it.tasks.get(arn) == Some(&attempt)) {
            return false;
        }
        self.tasks.or_insert_with(arn, || TaskRecord::new(job.clone(), attempt, now.mono));
        let entry = self.jobs.or_insert_with(job, || Job::new(None, now.mono));
        entry.tasks.insert(arn.clone(), attempt);
        news
    }

    /// Carries news on to what depends on it: from tasks to their jobs, and from jobs that are decided or cannot be read
    /// to the messages that ask for them; the others' messages are merely kept.
    pub(crate) fn spread_news(&mut self) {
        self.requeue_tasks();
        let matters = |job: &&Job| {
            job.terminal().is_some() || job.unreadable.is_some() || weak(Weakness::DeletesOnceLaunched)
        };
        for job in self.jobs.touched().map(|(_, job)| job).filter(matters) {
            job.leases.iter().for_each(|message| self.leases.touch(message));
        }
    }

    /// A task by itself is due when it is to be described; everything else about it is looked at with its job.
    pub(crate) fn requeue_tasks(&mut self) {
        self.tasks.requeue_touched(|task| {
            if !weak(Weakness::SkipsJobOfChangedTask) {
                self.jobs.touch(&task.job);
            }
            task.describe_due().map_or(Requeue::OnChange, Requeue::At)
        });
    }

    /// Everything is to be looked at anew: what decisions go by has changed.
    pub fn requeue_all(&mut self) {
        self.tasks.touch_all();
        self.jobs.touch_all();
        self.leases.touch_all();
    }

    /// When something is due by time alone (monotonic). A task that is due already waits for the rate of reads, and the
    /// plan has said until when.
    pub(crate) fn next_at(&self, now: Now) -> Option<Ms> {
        let times = [self.leases.next_at(), self.jobs.next_at(), self.tasks.next_after(now.mono)];
        times.into_iter().flatten().min()
    }

    /// Forgets what nothing depends on any more: jobs without a message and without a task that may be working.
    pub(crate) fn sweep(&mut self, policy: &Policy, now: Now) {
        let tasks = &self.tasks;
        let idle = |job: &Job| {
            let gone = |arn| tasks.get(arn).is_none_or(|task: &TaskRecord| task.gone(policy, now.mono));
            job.leases.is_empty() && job.call.is_none() && job.tasks.keys().all(gone)
        };
        let due = self.jobs.due(now.mono);
        let done: Vec<JobKey> = due.filter(|(_, job)| idle(job)).map(|(key, _)| key.clone()).collect();
        for key in done {
            for arn in self.jobs.remove(&key).into_iter().flat_map(|job| job.tasks.into_keys()) {
                self.tasks.remove(&arn);
            }
            self.count_job(&key, policy, now);
        }
    }

    /// Counts a job as it is now, or no more where it is forgotten.
    pub(crate) fn count_job(&mut self, key: &JobKey, policy: &Policy, now: Now) {
        let tenants = self.in_flight.count(key, self.jobs.get(key), &self.tasks, policy, now);
        self.tenants.changed_all(tenants);
    }

    /// Brings the tally up to date, once news has been spread: which jobs may have changed is known then.
    pub(crate) fn count(&mut self, policy: &Policy, now: Now) {
        for (key, job) in self.jobs.touched() {
            let tenants = self.in_flight.count(key, Some(job), &self.tasks, policy, now);
            self.tenants.changed_all(tenants);
        }
        for key in self.in_flight.lapsed(now.mono) {
            self.count_job(&key, policy, now);
        }
    }

    /// Brings the tenants' accounts up to date, once the calls of a turn have begun.
    pub(crate) fn settle_tenants(&mut self, policy: &Policy, now: Now) {
        self.tenants.settle(&self.jobs, &self.in_flight, policy, now.mono);
    }

    /// Why a tenant's jobs get no slot, free or not: it has all that it may have.
    pub fn tenant_full(&self, tenant: u32, policy: &Policy) -> Option<String> {
        self.tenants.get(tenant)?.full(self.in_flight.tenant(tenant).usage, policy.variant.cpu)
    }

    /// Whose jobs are whose, by new rules.
    pub(crate) fn attribute_anew(&mut self, now: Ms) {
        for job in self.jobs.values_mut() {
            if let Some(request) = &job.request {
                job.tenant = self.tenants.number(self.rules.tenant_of(request), now);
            }
        }
    }

    /// What is left of the limits, as of the last turn.
    pub(crate) fn room(&self, policy: &Policy) -> Headroom {
        let Usage { tasks, cpu } = self.in_flight.usage();
        let room = Headroom {
            tasks: policy.max_tasks.saturating_sub(tasks),
            cpu: policy.max_cpu.saturating_sub(cpu),
        };
        if weak(Weakness::ClaimsWithoutFreeSlot) {
            Headroom { tasks: usize::MAX, cpu: u64::MAX }
        } else {
            room
        }
    }
}
