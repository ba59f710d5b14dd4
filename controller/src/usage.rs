//! What is in flight, and what room is left.

use crate::{ledger::Ledger, mutant::on, policy::Policy};

/// Tasks that run, may run or are about to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many.
    pub tasks: usize,
    /// CPU units that they ask for together (1024 = one vCPU): Fargate's quota counts these.
    pub cpu: u64,
}

impl Usage {
    /// One task more, of so many CPU units.
    pub(crate) fn add(&mut self, cpu: u32) {
        self.tasks += 1;
        self.cpu += u64::from(cpu);
    }
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
    /// What is left of the limits, as of the last turn.
    pub(crate) fn room(&self, policy: &Policy) -> Room {
        let Usage { tasks, cpu } = self.tally.usage();
        let room =
            Room { tasks: policy.max_tasks.saturating_sub(tasks), cpu: policy.max_cpu.saturating_sub(cpu) };
        if on(18) { Room { tasks: usize::MAX, cpu: u64::MAX } } else { room }
    }
}
