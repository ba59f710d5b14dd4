//! Tenants: how much each has used of the slots; the tenant that has used least comes next.
//!
//! Each tenant has an account: the CPU units that its tasks hold, summed up over time; a task counts from its claim on.
//! The account divided by the weight decides, the lowest first: deficit round robin in vCPU-seconds, with the shortest
//! possible rounds. No value is estimated. A task that was just claimed has used nothing yet, so each task in flight
//! counts [`QUANTUM`] in addition: without it, all slots that become free together would go to one tenant.
//!
//! Only time in which a tenant competes gives credit. A tenant that begins to compete, because it had no jobs or had
//! reached its limits, starts level with those that compete already. Otherwise it would be owed for the time in which
//! it needed nothing, and would take every slot until that was paid.
//!
//! All accounts are a cache: after a restart they begin anew, and so does the account of a tenant without jobs here.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use transcode_config::{contract::JobKey, tenants::Priority};

use crate::{
    message::{Tenant, Terms},
    policy::Policy,
    protocol::clock::Ms,
    state::{
        agenda::Agenda,
        in_flight::{InFlight, Usage},
        job::Job,
    },
    weakness::{Weakness, weak},
};

/// Note of a job whose tenant comes later.
pub const LATER: &str = "waiting for its tenant's turn";

/// Amount (ms) that a task in flight counts in addition to its use so far.
pub const QUANTUM: Ms = 60_000;

/// A lower class that waits gets one in this many vCPU-seconds.
pub const LOWER: u64 = 20;

/// CPU units, summed up over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Meter {
    /// CPU units times milliseconds, until `at`.
    used: u64,
    /// CPU units in use since `at`.
    cpu: u64,
    at: Ms,
}

impl Meter {
    fn used(self, now: Ms) -> u64 {
        if weak(Weakness::ChargesTenantsNothing) {
            return 0;
        }
        self.used.saturating_add(self.cpu.saturating_mul(now.saturating_sub(self.at)))
    }

    fn set(&mut self, cpu: u64, now: Ms) {
        *self = Self { used: self.used(now), cpu, at: now };
    }
}

/// A tenant's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Bucket and the beginning of the tenant's keys.
    pub name: Arc<str>,
    /// Bucket and prefix of its rule.
    pub rule: Arc<str>,
    /// The tenant's limits.
    pub terms: Terms,
    /// The tenant's tasks in flight.
    pub usage: Usage,
    /// Why its jobs get no slot, free or not, as of the last turn.
    pub full: Option<String>,
    /// Somebody has paused it: by whom and why.
    pub paused: Option<String>,
    meter: Meter,
    /// The tenant has jobs that lack only a free slot, and is below its limits.
    competes: bool,
}

impl Account {
    /// The use so far, divided by the weight.
    fn had(&self, now: Ms) -> u64 {
        self.meter.used(now) / self.terms.weight
    }

    /// Whether one more task of `cpu` CPU units is within the limits; `usage` is in flight.
    pub fn allows(&self, usage: Usage, cpu: u32) -> bool {
        if self.paused.is_some() && !weak(Weakness::LaunchesWhilePaused) {
            return false;
        }
        let fits = usage.tasks < self.terms.max_tasks
            && usage.cpu.saturating_add(u64::from(cpu)) <= self.terms.max_cpu;
        fits || weak(Weakness::IgnoresTenantLimits)
    }

    /// The rank among the tenants that compete; `usage` is in flight. The lowest comes first.
    pub fn standing(&self, usage: Usage, now: Ms) -> u64 {
        let ahead = if weak(Weakness::ChargesTenantsNothing) { 0 } else { usage.cpu * QUANTUM };
        self.meter.used(now).saturating_add(ahead) / self.terms.weight
    }

    /// Why the tenant gets no more, if it has reached its limits.
    pub fn why_full(&self, usage: Usage, cpu: u32) -> Option<String> {
        let (Usage { tasks, cpu: used }, name) = (usage, &self.name);
        if self.allows(usage, cpu) {
            None
        } else if let Some(paused) = &self.paused {
            Some(paused.clone())
        } else if tasks >= self.terms.max_tasks {
            let most = self.terms.max_tasks;
            Some(format!("waiting for its tenant: {name} has {tasks} of {most} tasks (max_tasks)"))
        } else {
            let (used, most) = (used.div_ceil(1024), self.terms.max_cpu / 1024);
            Some(format!("waiting for its tenant: {name} has {used} of {most} vCPU (max_vcpu)"))
        }
    }
}

/// The use of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PriorityClass {
    meter: Meter,
    /// Number of the tenants of this class that compete.
    competing: usize,
}

/// All known tenants. Number 0 stands for all jobs if no source has tenants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tenants {
    numbers: BTreeMap<Arc<str>, u32>,
    accounts: BTreeMap<u32, Account>,
    last: u32,
    /// The use of all classes together.
    all: Meter,
    classes: [PriorityClass; Priority::ALL.len()],
    /// Why each paused tenant is paused, by name; also of tenants that are not known here.
    paused: BTreeMap<String, String>,
    /// Tenants whose sums or lines may have changed since the last settling.
    changed: BTreeSet<u32>,
}

impl Tenants {
    /// The number of a tenant; a new tenant gets the next one.
    pub(crate) fn number(&mut self, tenant: Option<Tenant>, now: Ms) -> u32 {
        let Some(Tenant { name, rule, terms }) = tenant else { return 0 };
        if let Some(number) = self.numbers.get(&name) {
            let number = *number;
            if self.get(number).is_some_and(|account| account.terms != terms || account.rule != rule) {
                self.count(number, Usage::default(), false, now);
                if let Some(account) = self.accounts.get_mut(&number) {
                    (account.terms, account.rule) = (terms, rule);
                }
                self.changed.insert(number);
            }
            return number;
        }
        self.last += 1;
        self.numbers.insert(Arc::clone(&name), self.last);
        let meter = Meter { at: now, ..Meter::default() };
        let paused = self.paused.get(&*name).cloned();
        let account = Account {
            name,
            rule,
            terms,
            usage: Usage::default(),
            full: None,
            paused,
            meter,
            competes: false,
        };
        self.accounts.insert(self.last, account);
        self.changed.insert(self.last);
        self.last
    }

    /// Pauses the tenants of these names, each for its reason, and no others.
    pub(crate) fn pause(&mut self, paused: BTreeMap<String, String>) {
        self.paused = paused;
        for (number, account) in &mut self.accounts {
            let now = self.paused.get(&*account.name).cloned();
            if mem::replace(&mut account.paused, now) != account.paused {
                self.changed.insert(*number);
            }
        }
    }

    /// A tenant's account.
    pub fn get(&self, number: u32) -> Option<&Account> {
        self.accounts.get(&number)
    }

    /// All accounts, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Account)> {
        self.accounts.iter().map(|(number, account)| (*number, account))
    }

    /// Marks a tenant: its sums or its line may have changed.
    pub(crate) fn changed(&mut self, number: u32) {
        if number != 0 {
            self.changed.insert(number);
        }
    }

    /// Marks several tenants.
    pub(crate) fn changed_all(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.changed.extend(numbers);
    }

    /// The use of a class times [`LOWER`], minus the use of all classes: below 0, the lower class is owed.
    pub fn owed(&self, priority: Priority, more: u64, now: Ms) -> i128 {
        let class = self.classes.get(priority as usize).copied().unwrap_or_default();
        let had = class.meter.used(now).saturating_add((class.meter.cpu + more) * QUANTUM);
        i128::from(had) * i128::from(LOWER) - i128::from(self.all.used(now))
    }

    /// Brings the accounts up to date with the changes of this turn.
    pub(crate) fn settle(
        &mut self,
        jobs: &Agenda<JobKey, Job>,
        in_flight: &InFlight,
        policy: &Policy,
        now: Ms,
    ) {
        for number in mem::take(&mut self.changed) {
            let sums = in_flight.tenant(number);
            let Some(account) = self.accounts.get(&number) else { continue };
            let waits = jobs.waiting_in(number) > 0 || sums.claiming > 0;
            let competes = waits && account.allows(sums.usage, policy.variant.cpu);
            let before = account.competes;
            let full = account.why_full(sums.usage, policy.variant.cpu);
            self.count(number, sums.usage, competes, now);
            self.accounts.entry(number).and_modify(|account| account.full = full);
            if competes && !before {
                self.comes_level(number, now);
            }
            if sums.jobs == 0 {
                self.forget(number);
            }
        }
    }

    /// Sets what a tenant has in flight from now on, and whether it competes.
    fn count(&mut self, number: u32, usage: Usage, competes: bool, now: Ms) {
        let Some(account) = self.accounts.get_mut(&number) else { return };
        let before = mem::replace(&mut account.usage, usage).cpu;
        let did = mem::replace(&mut account.competes, competes);
        account.meter.set(usage.cpu, now);
        self.all.set(self.all.cpu.saturating_sub(before) + usage.cpu, now);
        if let Some(class) = self.classes.get_mut(account.terms.priority as usize) {
            class.meter.set(class.meter.cpu.saturating_sub(before) + usage.cpu, now);
            class.competing = class.competing + usize::from(competes) - usize::from(did);
        }
    }

    /// Forgets a tenant that has no jobs here any more.
    fn forget(&mut self, number: u32) {
        if let Some(account) = self.accounts.remove(&number) {
            self.numbers.remove(&account.name);
        }
    }

    /// A tenant begins to compete: it is owed nothing for the time before. The same holds for its class if it is the
    /// first tenant of it.
    fn comes_level(&mut self, number: u32, now: Ms) {
        let Some(own) = self.accounts.get(&number) else { return };
        let (priority, weight) = (own.terms.priority, own.terms.weight);
        let others = || self.iter().filter(|(it, other)| *it != number && other.terms.priority == priority);
        let least = others().filter(|(_, other)| other.competes).map(|(_, other)| other.had(now)).min();
        // If no tenant competes, one that has tasks in flight may begin to at any time.
        let level = least.or_else(|| others().map(|(_, other)| other.had(now)).max()).unwrap_or(0);
        if let Some(own) = self.accounts.get_mut(&number) {
            own.meter.used = own.meter.used.max(level.saturating_mul(weight));
        }
        let all = self.all.used(now);
        if let Some(class) = self.classes.get_mut(priority as usize).filter(|class| class.competing == 1) {
            class.meter.used = class.meter.used.max(all / LOWER);
        }
    }
}
