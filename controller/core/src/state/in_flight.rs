//! Sums over all jobs: tasks in flight, jobs that wait for a slot, and free slots.
//!
//! Each job has a share in the sums, which is a function of the job and its tasks. A turn computes anew only the shares
//! of jobs that may have changed and of jobs whose share depends on the time. A sum changes only together with a share,
//! so no slot can leak. [`InFlight::of`] computes the same sums from nothing.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use transcode_config::contract::JobKey;

use crate::{
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        task_view::TaskArn,
    },
    state::{agenda::Agenda, job::Job, task::TaskRecord},
    weakness::{Weakness, weak},
};

/// Tasks that run, may run, or are about to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Usage {
    pub tasks: usize,
    /// CPU units of these tasks together (1024 = one vCPU): Fargate's quota counts vCPUs.
    pub cpu: u64,
}

impl Usage {
    /// Adds one task of `cpu` CPU units.
    pub(crate) fn add(&mut self, cpu: u32) {
        self.tasks += 1;
        self.cpu += u64::from(cpu);
    }
}

/// Free slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// Number of tasks.
    pub tasks: usize,
    /// CPU units.
    pub cpu: u64,
}

const NO_SLOT: &str = "waiting for a free slot";

impl Headroom {
    /// No room at all.
    pub(crate) const NONE: Self = Self { tasks: 0, cpu: 0 };

    /// The reason why no task fits, as a phrase; `None` while slots are free.
    pub(crate) fn full(&self) -> Option<String> {
        (self.tasks == 0).then(|| NO_SLOT.into())
    }

    /// At most this many jobs can be claimed, plus one that is then noted as waiting for a slot.
    pub(crate) fn at_most(&self, policy: &Policy) -> usize {
        let sizes = policy.oom_sizes.iter().map(|(cpu, _)| *cpu).chain([policy.variant.cpu]);
        let by_cpu = self.cpu / u64::from(sizes.min().unwrap_or(1).max(1)) + 1;
        self.tasks.min(usize::try_from(by_cpu).unwrap_or(usize::MAX))
    }

    /// Takes a slot for one task, or returns which limit is reached. After that nothing fits: a smaller task behind a
    /// large one must not overtake it for ever.
    pub fn take(&mut self, cpu: u32, policy: &Policy) -> Result<(), String> {
        if self.tasks == 0 {
            return Err(NO_SLOT.into());
        }
        let Some(left) =
            self.cpu.checked_sub(u64::from(cpu)).or(weak(Weakness::CountsNoVcpu).then_some(self.cpu))
        else {
            let used = policy.max_cpu.saturating_sub(std::mem::take(&mut self.cpu)).div_ceil(1024);
            let most = policy.max_cpu / 1024;
            return Err(format!(
                "waiting for free vCPU: {used} of {most} are in use or promised (launch.max_vcpu)"
            ));
        };
        (self.tasks, self.cpu) = (self.tasks - 1, left);
        Ok(())
    }
}

/// The sums over the jobs of one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// The tenant's tasks that run, may run, or are about to run.
    pub usage: Usage,
    /// Number of the tenant's known jobs.
    pub jobs: usize,
    /// Number of the tenant's jobs with a call under way that holds a slot for them.
    pub claiming: usize,
}

/// One job's part of the sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    /// The job's tenant.
    tenant: u32,
    /// Its tasks that run, may run or are about to.
    usage: Usage,
    /// An attempt is being claimed.
    claiming: bool,
    /// Launch deadline (ms since 1970) of the newest attempt, while a task of that attempt may still start.
    launch_by: Option<Ms>,
    /// Only the job's task is known: its message is elsewhere.
    adopted: bool,
    /// The job has a message and no attempt yet. A job that waits for its backoff holds no slot (L5).
    waiting: bool,
    /// The share changes at this time (monotonic) by itself.
    until: Option<Ms>,
}

impl Share {
    fn of(key: &JobKey, job: &Job, tasks: &Agenda<TaskArn, TaskRecord>, policy: &Policy, now: Now) -> Self {
        let mut share = Self { tenant: job.tenant, ..Self::default() };
        let mut changes = |at: Ms| share.until = Some(share.until.map_or(at, |sooner: Ms| sooner.min(at)));
        let own = job.tasks.keys().filter_map(|arn| tasks.get(arn)).filter(|task| task.job == *key);
        for task in own.filter(|task| !task.gone(policy, now.mono)) {
            share.usage.add(cpu_of(task, job, policy));
            task.stopped_at.into_iter().for_each(|at| changes(at + policy.stop_timeout));
        }
        let coming = job.attempt.as_ref().filter(|_| job.may_come_up(policy, now.mono));
        if let Some(attempt) = coming {
            share.launch_by = Some(attempt.claim.launch_not_after_ms);
            changes(attempt.expires_at + policy.heartbeat_stale);
        }
        let claiming = job.claiming.filter(|_| !weak(Weakness::DoesNotCountPendingClaim));
        share.claiming = claiming.is_some();
        if let Some(cpu) = claiming.or_else(|| coming.map(|attempt| attempt.claim.variant.cpu)) {
            share.usage.add(cpu);
        }
        share.adopted = job.leases.is_empty();
        share.waiting = !share.adopted
            && !job.put_back
            && job.attempt.is_none()
            && job.claiming.is_none()
            && job.terminal().is_none()
            && job.unreadable.is_none();
        share
    }
}

/// CPU units of a task: from ECS' description, else from the attempt's claim, else from the policy.
fn cpu_of(task: &TaskRecord, job: &Job, policy: &Policy) -> u32 {
    let told = task.view.as_ref().map(|view| view.billed.size.cpu).filter(|cpu| *cpu > 0);
    let claim = job.attempt.as_ref().filter(|newest| newest.claim.attempt == task.attempt);
    told.or_else(|| claim.map(|it| it.claim.variant.cpu)).unwrap_or(policy.variant.cpu)
}

/// The sums, as of the last turn; facts absorbed since are not counted yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InFlight {
    shares: BTreeMap<JobKey, Share>,
    /// When the share of a job changes by itself (monotonic).
    lapses: BTreeSet<(Ms, JobKey)>,
    usage: Usage,
    adopted: usize,
    waiting: usize,
    /// Attempts that are being claimed.
    claiming: usize,
    /// Attempts whose task may still start, and the number of attempts per launch deadline.
    coming: usize,
    launch_by: BTreeMap<Ms, usize>,
    /// The sums by tenant.
    tenants: BTreeMap<u32, Sums>,
}

impl InFlight {
    /// Counts all jobs from nothing.
    pub fn of(
        jobs: &Agenda<JobKey, Job>,
        tasks: &Agenda<TaskArn, TaskRecord>,
        policy: &Policy,
        now: Now,
    ) -> Self {
        let mut in_flight = Self::default();
        jobs.iter().for_each(|(key, job)| drop(in_flight.count(key, Some(job), tasks, policy, now)));
        in_flight
    }

    /// Tasks and CPU units in flight; the limits apply to these.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Number of jobs of which only the task is known.
    pub(crate) fn adopted(&self) -> usize {
        self.adopted
    }

    /// Number of jobs with a message and no attempt yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Number of attempts that are claimed, or being claimed, and not launched as far as is known. An attempt past its
    /// deadline (`wall`, ms since 1970) is not counted, although its task may still start.
    pub(crate) fn to_be_launched(&self, wall: Ms) -> usize {
        self.claiming + self.coming
            - self.launch_by.range(..=wall).map(|(_, attempts)| attempts).sum::<usize>()
    }

    /// The sums over a tenant's jobs.
    pub fn tenant(&self, number: u32) -> Sums {
        self.tenants.get(&number).copied().unwrap_or_default()
    }

    /// Counts a job as it is now; removes its share if the job is forgotten. Returns the tenants whose sums have
    /// changed.
    pub(crate) fn count(
        &mut self,
        key: &JobKey,
        job: Option<&Job>,
        tasks: &Agenda<TaskArn, TaskRecord>,
        policy: &Policy,
        now: Now,
    ) -> Vec<u32> {
        let share = job.map(|job| Share::of(key, job, tasks, policy, now));
        if self.shares.get(key) == share.as_ref() {
            return Vec::new();
        }
        let old = match share {
            Some(share) => self.shares.insert(key.clone(), share),
            None => self.shares.remove(key),
        };
        if let Some(old) = old {
            self.take(key, &old);
        }
        if let Some(share) = share {
            self.add(key, &share);
        }
        let tenants = old.into_iter().chain(share).map(|share| share.tenant);
        tenants.filter(|tenant| *tenant != 0).collect()
    }

    fn add(&mut self, key: &JobKey, share: &Share) {
        self.usage.tasks += share.usage.tasks;
        self.usage.cpu += share.usage.cpu;
        self.claiming += usize::from(share.claiming);
        self.adopted += usize::from(share.adopted);
        self.waiting += usize::from(share.waiting);
        if let Some(deadline) = share.launch_by {
            self.coming += 1;
            *self.launch_by.entry(deadline).or_default() += 1;
        }
        self.lapses.extend(share.until.map(|at| (at, key.clone())));
        if share.tenant != 0 {
            let sums = self.tenants.entry(share.tenant).or_default();
            sums.usage.tasks += share.usage.tasks;
            sums.usage.cpu += share.usage.cpu;
            sums.jobs += 1;
            sums.claiming += usize::from(share.claiming);
        }
    }

    fn take(&mut self, key: &JobKey, share: &Share) {
        self.usage.tasks -= share.usage.tasks;
        self.usage.cpu -= share.usage.cpu;
        self.claiming -= usize::from(share.claiming);
        self.adopted -= usize::from(share.adopted);
        self.waiting -= usize::from(share.waiting);
        if let Some(deadline) = share.launch_by
            && let Entry::Occupied(mut attempts) = self.launch_by.entry(deadline)
        {
            self.coming -= 1;
            *attempts.get_mut() -= 1;
            if *attempts.get() == 0 {
                attempts.remove();
            }
        }
        if let Some(at) = share.until {
            self.lapses.remove(&(at, key.clone()));
        }
        if let Entry::Occupied(mut sums) = self.tenants.entry(share.tenant) {
            let of = sums.get_mut();
            of.usage.tasks -= share.usage.tasks;
            of.usage.cpu -= share.usage.cpu;
            of.jobs -= 1;
            of.claiming -= usize::from(share.claiming);
            if of.jobs == 0 {
                sums.remove();
            }
        }
    }

    /// The jobs whose share has changed by time alone since it was computed.
    pub(crate) fn lapsed(&self, now: Ms) -> Vec<JobKey> {
        self.lapses.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()).collect()
    }
}
