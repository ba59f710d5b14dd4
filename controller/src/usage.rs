//! What is in flight, and what room is left.
//!
//! Counted anew each time from what ECS said and from attempts whose launch has no answer yet; there is no counter that
//! could leak.

use transcode_config::contract::{Attempt, JobKey};

use crate::{clock::Now, job::Job, ledger::Ledger, mutant::on, policy::Policy, tasks::TaskRecord};

/// Tasks that run, may run or are about to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many.
    pub tasks: usize,
    /// CPU units that they ask for together (1024 = one vCPU): Fargate's quota counts these.
    pub cpu: u64,
}

/// Room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Tasks.
    pub tasks: usize,
    /// CPU units.
    pub cpu: u64,
}

const NO_SLOT: &str = "waiting for a free slot";

impl Room {
    /// For nobody.
    pub(crate) const NONE: Self = Self { tasks: 0, cpu: 0 };

    /// What lacks, where nobody finds room.
    pub(crate) fn full(&self) -> Option<String> {
        (self.tasks == 0).then(|| NO_SLOT.into())
    }

    /// More cannot be claimed, and one more is told what it lacks.
    pub(crate) fn at_most(&self, policy: &Policy) -> usize {
        let sizes = policy.oom_sizes.iter().map(|(cpu, _)| *cpu).chain([policy.variant.cpu]);
        let by_cpu = self.cpu / u64::from(sizes.min().unwrap_or(1).max(1)) + 1;
        self.tasks.min(usize::try_from(by_cpu).unwrap_or(usize::MAX))
    }

    /// Takes room for one task, or says what lacks. Who does not fit keeps its place: a smaller one behind it must not
    /// overtake it for ever.
    pub fn take(&mut self, cpu: u32, policy: &Policy) -> Result<(), String> {
        if self.tasks == 0 {
            return Err(NO_SLOT.into());
        }
        let Some(left) = self.cpu.checked_sub(u64::from(cpu)).or(on(53).then_some(self.cpu)) else {
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

impl Ledger {
    /// What is in flight: what the limits are held against.
    pub fn usage(&self, policy: &Policy, now: Now) -> Usage {
        let mut usage = Usage::default();
        let mut add = |cpu: u32| {
            usage.tasks += 1;
            usage.cpu += u64::from(cpu);
        };
        for task in self.tasks.values().filter(|task| !task.gone(policy, now.mono)) {
            add(self.cpu_of(task, policy));
        }
        for job in self.jobs.values() {
            if let Some(cpu) = job.claiming.filter(|_| !on(26)) {
                add(cpu);
            } else if job.may_come_up(policy, now.mono) {
                add(job.attempt.as_ref().map_or(policy.variant.cpu, |attempt| attempt.intent.variant.cpu));
            }
        }
        usage
    }

    /// Tasks in flight.
    pub fn tasks_in_flight(&self, policy: &Policy, now: Now) -> usize {
        self.usage(policy, now).tasks
    }

    /// What is left of the limits.
    pub fn room(&self, policy: &Policy, now: Now) -> Room {
        let Usage { tasks, cpu } = self.usage(policy, now);
        let room =
            Room { tasks: policy.max_tasks.saturating_sub(tasks), cpu: policy.max_cpu.saturating_sub(cpu) };
        if on(18) { Room { tasks: usize::MAX, cpu: u64::MAX } } else { room }
    }

    /// CPU units of a task: what ECS says, else what its claim asked for, else what claims ask for today.
    fn cpu_of(&self, task: &TaskRecord, policy: &Policy) -> u32 {
        let told = task.view.as_ref().map(|view| view.billed.size.cpu).filter(|cpu| *cpu > 0);
        told.or_else(|| self.claimed_cpu(&task.job, task.attempt)).unwrap_or(policy.variant.cpu)
    }

    fn claimed_cpu(&self, job: &JobKey, attempt: Attempt) -> Option<u32> {
        let newest = self.jobs.get(job).and_then(|job: &Job| job.attempt.as_ref())?;
        (newest.intent.attempt == attempt).then_some(newest.intent.variant.cpu)
    }
}
