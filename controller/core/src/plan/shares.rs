//! Claims with tenants: the tenant that has used the least of its share comes first. See `docs/fairness.md`.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    iter::Peekable,
};

use transcode_config::{contract::JobKey, tenants::Priority};

use super::{
    claims::Candidate,
    output::{Planner, Scope},
    view::View,
};
use crate::{
    protocol::clock::Ms,
    state::{
        in_flight::{Headroom, Usage},
        job::Job,
        ledger::Ledger,
        tenants::LATER,
    },
    weakness::{Weakness, weak},
};

/// The jobs of one tenant that lack only a free slot.
struct Queue<'a> {
    /// The jobs that this turn visits anyway, in order.
    looked: VecDeque<Candidate<'a>>,
    /// The jobs in the tenant's line, in order.
    line: Peekable<Box<dyn Iterator<Item = (u64, &'a JobKey, &'a Job)> + 'a>>,
}

impl<'a> View<'a> {
    /// Claims attempts for as many candidates as there are free slots: each time the next job of the tenant that has
    /// used least. Jobs that are not visited anyway are taken from their lines one at a time, so that the work does not
    /// grow with the number of waiting jobs.
    pub(super) fn claim_by_shares(
        self,
        plan: &mut Planner,
        scope: Scope,
        mut candidates: Vec<Candidate<'a>>,
        pause: Option<&(String, Option<Ms>)>,
        mut room: Headroom,
    ) {
        candidates.sort_by(|a, b| (a.job.rank(), a.key).cmp(&(b.job.rank(), b.key)));
        let mut queues = BTreeMap::new();
        for candidate in candidates {
            let queue = queues.entry(candidate.job.tenant).or_insert_with_key(|it| self.queue(*it, scope));
            queue.looked.push_back(candidate);
        }
        let mut turns = Turns::new(self.ledger, self.now.mono);
        if room.tasks > 0 {
            let waiting = self.ledger.jobs.lines().map(|(tenant, _)| tenant).filter(|_| scope == Scope::Due);
            let mut tenants: Vec<u32> = waiting.chain(queues.keys().copied()).collect();
            tenants.sort_unstable();
            tenants.dedup();
            for tenant in tenants {
                turns.add(tenant);
            }
        }
        while let Some(tenant) = turns.next().filter(|_| room.tasks > 0) {
            let queue = queues.entry(tenant).or_insert_with(|| self.queue(tenant, scope));
            let Some(candidate) = self.next_of(plan, queue) else { continue };
            let shape = self.variant(&candidate);
            let cpu = shape.cpu;
            if !turns.allows(tenant, cpu) {
                queue.looked.push_front(candidate);
                continue;
            }
            let fits = self.claim_as(plan, &candidate, shape, &mut room);
            if !fits && plan.held().is_none() {
                let why = plan.noted();
                plan.hold(why);
            }
            candidate.visited(plan);
            if !fits {
                break;
            }
            turns.charge(tenant, cpu);
            turns.add(tenant);
        }
        for candidate in queues.into_values().flat_map(|queue| queue.looked) {
            self.waits(plan, &candidate, pause);
            candidate.visited(plan);
        }
    }

    /// Notes why a candidate was not claimed.
    fn waits(self, plan: &mut Planner, candidate: &Candidate<'_>, pause: Option<&(String, Option<Ms>)>) {
        if let Some((why, until)) = pause {
            return plan.note(why.clone(), *until);
        }
        let full = self.ledger.tenant_full(candidate.job.tenant, self.policy);
        let why = full.or_else(|| plan.held().cloned());
        plan.note(why.unwrap_or_else(|| LATER.into()), None);
    }

    fn queue(self, tenant: u32, scope: Scope) -> Queue<'a> {
        let jobs = &self.ledger.jobs;
        let waiting = jobs.in_line_of(tenant).filter(move |(_, key, _)| !jobs.is_due(key, self.now.mono));
        let waiting = waiting.take(if scope == Scope::Due { usize::MAX } else { 0 });
        let line: Box<dyn Iterator<Item = _>> = Box::new(waiting);
        Queue { looked: VecDeque::new(), line: line.peekable() }
    }

    /// The next job of a tenant: the first of those visited anyway and those in its line.
    fn next_of(self, plan: &mut Planner, queue: &mut Queue<'a>) -> Option<Candidate<'a>> {
        loop {
            let looked = queue.looked.front().map(|first| (first.job.rank().since, first.key));
            let Some((_, key, job)) =
                queue.line.next_if(|(since, key, _)| looked.is_none_or(|looked| (*since, *key) < looked))
            else {
                return queue.looked.pop_front();
            };
            if let Some(candidate) = self.visit(plan, key, job) {
                return Some(candidate);
            }
        }
    }
}

/// The turns of the tenants that wait, by class, with the tasks planned in this turn.
struct Turns<'a> {
    ledger: &'a Ledger,
    now: Ms,
    planned: BTreeMap<u32, Usage>,
    classes: [PriorityClass; Priority::ALL.len()],
}

/// The tenants of one class by their use, and the CPU units planned for the class.
#[derive(Default)]
struct PriorityClass {
    tenants: BinaryHeap<Reverse<(u64, u32)>>,
    planned: u64,
}

impl<'a> Turns<'a> {
    fn new(ledger: &'a Ledger, now: Ms) -> Self {
        Self { ledger, now, planned: BTreeMap::new(), classes: Default::default() }
    }

    /// What a tenant has in flight, with the planned tasks.
    fn usage(&self, tenant: u32) -> Usage {
        let Usage { tasks, cpu } = self.planned.get(&tenant).copied().unwrap_or_default();
        let known = self.ledger.in_flight.tenant(tenant).usage;
        Usage { tasks: tasks + known.tasks, cpu: cpu + known.cpu }
    }

    /// Adds a tenant that may have waiting jobs.
    fn add(&mut self, tenant: u32) {
        let account = self.ledger.tenants.get(tenant);
        let priority = account.map_or(Priority::Normal, |account| account.terms.priority);
        let mut standing = account.map_or(0, |account| account.standing(self.usage(tenant), self.now));
        if weak(Weakness::ServesTenantsAsTheyCome) {
            standing = self.ledger.jobs.in_line_of(tenant).next().map_or(0, |(since, ..)| since);
        }
        if let Some(class) = self.classes.get_mut(priority as usize) {
            class.tenants.push(Reverse((standing, tenant)));
        }
    }

    /// The tenant whose turn it is: of the highest class, unless a lower one is owed, the one that has used least.
    fn next(&mut self) -> Option<u32> {
        let waits = |priority: &Priority| {
            self.classes.get(*priority as usize).is_some_and(|class| !class.tenants.is_empty())
        };
        let mut waiting = Priority::ALL.into_iter().filter(waits);
        let highest = waiting.next()?;
        let owed = waiting.map(|priority| (self.owed(priority), priority)).min();
        let owed = owed.filter(|(owed, _)| *owed < 0 && !weak(Weakness::StarvesLowerClass));
        let class = self.classes.get_mut(owed.map_or(highest, |(_, lower)| lower) as usize)?;
        class.tenants.pop().map(|Reverse((_, tenant))| tenant)
    }

    fn owed(&self, priority: Priority) -> i128 {
        let planned = self.classes.get(priority as usize).map_or(0, |class| class.planned);
        self.ledger.tenants.owed(priority, planned, self.now)
    }

    /// Whether one more task of `cpu` CPU units is within a tenant's limits.
    fn allows(&self, tenant: u32, cpu: u32) -> bool {
        self.ledger.tenants.get(tenant).is_none_or(|account| account.allows(self.usage(tenant), cpu))
    }

    /// Charges a tenant for a planned task of `cpu` CPU units.
    fn charge(&mut self, tenant: u32, cpu: u32) {
        self.planned.entry(tenant).or_default().add(cpu);
        let priority = self.ledger.tenants.get(tenant).map_or(Priority::Normal, |it| it.terms.priority);
        if let Some(class) = self.classes.get_mut(priority as usize) {
            class.planned += u64::from(cpu);
        }
    }
}
