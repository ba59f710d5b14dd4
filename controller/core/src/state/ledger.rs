//! The ledger: everything this controller knows, and the calls that are under way.
//!
//! It changes in two ways only: [`Ledger::absorb`] takes a fact in, and [`Ledger::begin`] notes that the call of an
//! action is about to be made. Between the two the planner plans nothing for the job or message, so planning twice
//! gives no second launch. All of the ledger is a cache: losing it costs time, never a job.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use transcode_config::contract::{Attempt, JobKey};

use crate::{
    message::{Rules, Tenant},
    policy::Policy,
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::{CallError, MessageId, Pinned, QueueName},
        steering::Steering,
        task_view::TaskArn,
    },
    state::{
        agenda::{Agenda, Requeue},
        away::Away,
        breaker::Breaker,
        failing::Purpose,
        in_flight::{Headroom, InFlight, Usage},
        job::Job,
        lease::{Lease, Spare},
        limiter::{CallKind, Limiter},
        note::Note,
        outbox::Outbox,
        periodic::Periodic,
        sent_letters::Letters,
        task::TaskRecord,
        tenants::{LATER, Tenants},
    },
    weakness::{Weakness, weak},
};

/// Each task's part of the time between two lists (ms): a list takes two calls for 100 tasks.
const LIST_SHARE: Ms = 20;

/// Each task's part of the time between two descriptions (ms): longer than that between two lists.
const DESCRIBE_SHARE: Ms = 30;

/// State of receiving from one queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receiving {
    /// A receive is under way: most messages, and when it began (monotonic).
    pub call: Option<(u8, Ms)>,
    /// No receive before this (monotonic).
    pub retry_at: Ms,
    /// Consecutive failed receives.
    pub failures: usize,
    /// Error of the last failed receive.
    pub failed: Option<CallError>,
    /// Messages received from this queue, plus its share of those that it could have had while it was empty. The queue
    /// with the smallest part of its share comes first.
    pub served: u64,
    /// Messages that were put back because too many jobs wait.
    pub away: Away,
}

/// State of the task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Not known yet; the last failure, if there was one.
    Unknown(Option<String>),
    /// New attempts are pinned to it.
    Fit(Pinned),
    /// Its image must not be launched. The text says what is wrong and what to do.
    Unfit(String),
}

/// Everything that the controller knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger {
    /// Distinguishes the writes of this process from those of others.
    pub instance: String,
    /// The rules for reading bodies.
    pub rules: Rules,
    /// Held messages.
    pub leases: Agenda<MessageId, Lease>,
    /// Dead letters that were sent for messages put aside.
    pub letters: Letters,
    /// Known jobs.
    pub jobs: Agenda<JobKey, Job>,
    /// Why no job is being claimed; `None` while claiming is open. As of the last turn.
    pub held: Option<String>,
    /// Known tasks of known jobs.
    pub tasks: Agenda<TaskArn, TaskRecord>,
    /// Sums over jobs and tasks.
    pub in_flight: InFlight,
    /// The use of each tenant; empty if no source has tenants.
    pub tenants: Tenants,
    /// Messages that are about to be put back.
    pub(crate) spares: BTreeSet<MessageId>,
    /// Tasks that carry our `startedBy` but not our overrides. Reported, and never stopped.
    pub foreign: BTreeSet<TaskArn>,
    /// Receiving, by queue.
    pub receiving: BTreeMap<QueueName, Receiving>,
    /// The list of all tasks.
    pub resync: Periodic,
    /// The list of all beacons.
    pub survey: Periodic,
    /// The search for the task definition.
    pub resolve: Periodic,
    /// The bus, and the events that it did not take.
    pub outbox: Outbox,
    /// The task definition that new attempts are pinned to.
    pub definition: Definition,
    /// No RunTask before this (monotonic): ECS refused for rate, capacity, quota or configuration.
    pub cooldown_until: Ms,
    /// ECS' reason for that refusal, in one line.
    pub cooldown_reason: String,
    /// Consecutive refused launches.
    pub refusals: usize,
    /// Spot had no capacity recently: until then (monotonic) claims ask for on-demand.
    pub spot_refused_until: Ms,
    /// Limits the rates of the calls to ECS.
    pub limiter: Limiter,
    /// Limits claims while one job after the other fails.
    pub breaker: Breaker,
    /// The process is ending.
    pub draining: bool,
    /// What people want.
    pub steering: Steering,
    /// Nobody knows yet what people want: nothing is received or launched. An adapter sets it before the first turn.
    pub unsteered: bool,
    /// Why the newest control document, or a part of it, is not in force.
    pub steering_refused: Option<String>,
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
            survey: Periodic::default(),
            resolve: Periodic::default(),
            outbox: Outbox::default(),
            definition: Definition::Unknown(None),
            cooldown_until: 0,
            cooldown_reason: String::new(),
            refusals: 0,
            spot_refused_until: 0,
            limiter: Limiter::default(),
            breaker: Breaker::default(),
            draining: false,
            steering: Steering::default(),
            unsteered: false,
            steering_refused: None,
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
                // One call per page of the list, and the describe calls for the tasks on it.
                let pages = 1 + self.tasks.len() as u64 / 100;
                self.limiter.take(CallKind::Read, 2 * pages, policy, now.mono);
            }
            Action::Survey => self.survey.call = Some(now.mono),
            Action::Resolve => self.resolve.call = Some(now.mono),
            Action::Inspect { job, .. } => {
                // The first job in line is being looked up for its claim: the free slot is reserved for it until then.
                let holds = policy.look_ahead.is_some() && self.jobs.rank_of(job).is_some();
                self.begin_job(job, action, now);
                if let Some(entry) = self.jobs.begin_call(job).filter(|_| holds) {
                    entry.claiming = Some(policy.variant.cpu);
                    self.count_job(job, policy, now);
                }
            }
            Action::ReadSpec { job }
            | Action::GiveUp { job, .. }
            | Action::Publish { job, .. }
            | Action::Collect { job, .. } => self.begin_job(job, action, now),
            Action::Index { terminal, .. } => self.begin_job(&terminal.job, action, now),
            Action::Announce { event, .. } => self.begin_job(&event.job, action, now),
            Action::Resend { .. } => self.outbox.resend.call = Some(now.mono),
            Action::Claim { spec, claim } => {
                self.begin_job(&spec.job, action, now);
                self.breaker.claimed(policy, now.mono);
                if let Some(job) = self.jobs.begin_call(&spec.job) {
                    job.claiming = Some(claim.variant.cpu);
                }
                self.count_job(&spec.job, policy, now);
            }
            Action::Launch { claim } => {
                self.begin_job(&claim.job, action, now);
                self.limiter.take(CallKind::Launch, 1, policy, now.mono);
            }
            Action::Describe { tasks } => {
                self.limiter.take(CallKind::Read, 1, policy, now.mono);
                for arn in tasks {
                    self.tasks.retime(arn, |task| {
                        task.describe_call = Some(now.mono);
                        Requeue::OnChange
                    });
                }
            }
            Action::Stop { task, .. } => {
                self.limiter.take(CallKind::Stop, 1, policy, now.mono);
                if let Some(record) = self.tasks.get_mut(task) {
                    record.stop_call = true;
                }
            }
            Action::DeadLetter(letter) => self.begin_lease(&letter.lease.message, action, now),
            Action::Release { lease, after_ms } => {
                self.begin_lease(&lease.message, action, now);
                let spare = self.leases.get(&lease.message).and_then(|lease| lease.spare);
                if spare == Some(Spare::Excess) {
                    let receiving = self.receiving.entry(lease.queue.clone()).or_default();
                    receiving.away.add(now.mono + after_ms, now.mono);
                }
            }
            Action::Delete { lease } | Action::Extend { lease, .. } => {
                self.begin_lease(&lease.message, action, now);
            }
        }
    }

    fn begin_job(&mut self, job: &JobKey, action: &Action, now: Now) {
        if let Some(job) = self.jobs.begin_call(job) {
            job.call = Some(now.mono);
            job.calls_for = Purpose::of(action).unwrap_or(job.calls_for);
            self.tenants.changed(job.tenant);
        }
    }

    fn begin_lease(&mut self, message: &MessageId, action: &Action, now: Now) {
        if let Some(lease) = self.leases.begin_call(message) {
            lease.call = Some(now.mono);
            lease.calls_for = Purpose::of(action);
        }
    }

    /// The time at which the rate allows a launch (monotonic), if `planned` launches come before it. A time not later
    /// than `now` allows it at once.
    pub fn launch_allowed_at(&self, policy: &Policy, planned: u64, now: Now) -> Ms {
        self.limiter.allowed_at(CallKind::Launch, planned, policy, now.mono).max(self.cooldown_until)
    }

    /// Time between two descriptions of a task that runs. The account has 20 reads of ECS a second for everybody, so with
    /// many tasks they come less often, and later than the list, which describes all tasks too.
    pub(crate) fn describe_every(&self, policy: &Policy) -> Ms {
        policy.describe_every.max(self.tasks.len() as Ms * DESCRIBE_SHARE)
    }

    /// Time between two lists of all tasks: at most 100 calls a minute, however many tasks there are.
    pub(crate) fn resync_every(&self, policy: &Policy) -> Ms {
        policy.resync_every.max(self.tasks.len() as Ms * LIST_SHARE)
    }

    /// Notes a task of a job. Returns whether it was unknown.
    pub(crate) fn know_task(&mut self, arn: &TaskArn, job: &JobKey, attempt: Attempt, now: Now) -> bool {
        let news = !self.tasks.contains_key(arn);
        if !news && self.jobs.get(job).is_some_and(|it| it.tasks.get(arn) == Some(&attempt)) {
            return false;
        }
        self.tasks.or_insert_with(arn, || TaskRecord::new(job.clone(), attempt, now.mono));
        let entry = self.jobs.or_insert_with(job, || Job::new(None, now.mono));
        entry.tasks.put(arn.clone(), attempt);
        news
    }

    /// Marks the rows that depend on changed rows: the jobs of changed tasks, and the messages of jobs that are decided
    /// or cannot be read. Messages of all other jobs are only kept.
    pub(crate) fn spread_news(&mut self) {
        self.requeue_tasks();
        let matters = |job: &&Job| {
            job.terminal().is_some() || job.unreadable.is_some() || weak(Weakness::DeletesOnceLaunched)
        };
        for job in self.jobs.touched().map(|(_, job)| job).filter(matters) {
            job.leases.keys().for_each(|message| self.leases.touch(message));
        }
    }

    /// Sets each changed task's due time to that of its next describe; every other decision about it is part of the
    /// visit to its job.
    pub(crate) fn requeue_tasks(&mut self) {
        self.tasks.requeue_touched(|task| {
            if !weak(Weakness::SkipsJobOfChangedTask) {
                self.jobs.touch(&task.job);
            }
            task.describe_due().map_or(Requeue::OnChange, Requeue::At)
        });
    }

    /// Marks every row as changed, because the policy or the rules have changed.
    pub fn requeue_all(&mut self) {
        self.tasks.touch_all();
        self.jobs.touch_all();
        self.leases.touch_all();
    }

    /// The earliest due time (monotonic). A task whose describe is already due waits for the rate of reads; the plan
    /// has set the time for that.
    pub(crate) fn next_at(&self, now: Now) -> Option<Ms> {
        let times = [self.leases.next_at(), self.jobs.next_at(), self.tasks.next_after(now.mono)];
        times.into_iter().flatten().min()
    }

    /// Removes rows that nothing depends on: jobs without a message and without a task that may be working.
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

    /// Counts a job as it is now; removes its share if the job is forgotten.
    pub(crate) fn count_job(&mut self, key: &JobKey, policy: &Policy, now: Now) {
        let tenants = self.in_flight.count(key, self.jobs.get(key), &self.tasks, policy, now);
        self.tenants.changed_all(tenants);
    }

    /// Brings the sums up to date. Called once changes are spread: only then are all changed jobs marked.
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

    /// Why a tenant's jobs get no slot even if one is free: the tenant has reached a limit of its own.
    pub fn tenant_full(&self, tenant: u32, policy: &Policy) -> Option<String> {
        self.tenants.get(tenant)?.why_full(self.in_flight.tenant(tenant).usage, policy.variant.cpu)
    }

    /// The tenant of a job, with its limits.
    pub fn tenant_of(&self, key: &JobKey) -> Option<Tenant> {
        let account = self.tenants.get(self.jobs.get(key)?.tenant)?;
        Some(Tenant {
            name: Arc::clone(&account.name),
            rule: Arc::clone(&account.rule),
            terms: account.terms,
        })
    }

    /// Why a job waits, as of now. Those in the lines of tenants are not visited whenever it changes why.
    pub fn note_of(&self, key: &JobKey) -> Option<Note> {
        let job = self.jobs.get(key)?;
        if job.tenant == 0 || self.jobs.rank_of(key).is_none() {
            return job.note.clone();
        }
        let full = self.tenants.get(job.tenant).and_then(|account| account.full.clone());
        let why = full.or_else(|| self.held.clone()).map_or(LATER.into(), Cow::Owned);
        Some(Note { why, until: None, step: None, refused: false })
    }

    /// Assigns the jobs to tenants by new rules.
    pub(crate) fn attribute_anew(&mut self, now: Ms) {
        for job in self.jobs.values_mut() {
            if let Some(request) = &job.request {
                job.tenant = self.tenants.number(self.rules.tenant_of(request), now);
            }
        }
    }

    /// The room below the limits, as of the last turn.
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
