//! Tenants: what each has had of the slots, so that whoever has had least comes next.
//!
//! Each has an account of the CPU units that its tasks hold, summed up over time; a task that is claimed counts from its
//! claim on. Divided by the weight, the lowest account comes first: deficit round robin in vCPU-seconds, with rounds as
//! short as they can be. Nothing is estimated. A task that was only just claimed has used nothing yet, so each one in
//! flight counts [`QUANTUM`] besides: without it, all the slots that come free together would go to one tenant.
//!
//! Only competing is credited. A tenant that begins to compete, having had nothing to do or all that it may have, comes
//! level with those that compete already: otherwise it would be owed for the time in which it wanted nothing, and take
//! every slot until that was paid.
//!
//! All of it is a cache: after a restart shares begin anew, and so does a tenant that has nothing here any more.

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

/// What a task in flight counts beside what it has used so far.
pub const QUANTUM: Ms = 60_000;

/// A lower class that waits gets one in so many vCPU-seconds.
pub const LOWER: u64 = 20;

/// CPU units, summed up over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Meter {
    /// CPU units times milliseconds, until `at`.
    used: u64,
    /// CPU units since then.
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
    /// Bucket and the beginning of its keys.
    pub name: Arc<str>,
    /// What it may have.
    pub terms: Terms,
    /// What it has in flight.
    pub usage: Usage,
    meter: Meter,
    /// It has jobs that lack nothing but room, and may have more than it has.
    competes: bool,
}

impl Account {
    /// What it has had, by its weight.
    fn had(&self, now: Ms) -> u64 {
        self.meter.used(now) / self.terms.weight
    }

    /// Whether it may have one more task of so many CPU units, with what is in flight counted as `usage`.
    pub fn allows(&self, usage: Usage, cpu: u32) -> bool {
        let fits = usage.tasks < self.terms.max_tasks
            && usage.cpu.saturating_add(u64::from(cpu)) <= self.terms.max_cpu;
        fits || weak(Weakness::IgnoresTenantLimits)
    }

    /// Where it stands among those that compete, with what is in flight counted as `usage`: the least comes first.
    pub fn standing(&self, usage: Usage, now: Ms) -> u64 {
        let ahead = if weak(Weakness::ChargesTenantsNothing) { 0 } else { usage.cpu * QUANTUM };
        self.meter.used(now).saturating_add(ahead) / self.terms.weight
    }

    /// Why it gets no more, if it has all that it may have in flight.
    pub fn full(&self, usage: Usage, cpu: u32) -> Option<String> {
        let (Usage { tasks, cpu: used }, name) = (usage, &self.name);
        if self.allows(usage, cpu) {
            None
        } else if tasks >= self.terms.max_tasks {
            let most = self.terms.max_tasks;
            Some(format!("waiting for its tenant: {name} has {tasks} of {most} tasks (max_tasks)"))
        } else {
            let (used, most) = (used.div_ceil(1024), self.terms.max_cpu / 1024);
            Some(format!("waiting for its tenant: {name} has {used} of {most} vCPU (max_vcpu)"))
        }
    }
}

/// What a class has had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ErrorClass {
    meter: Meter,
    /// Tenants of it that compete.
    competing: usize,
}

/// All tenants of which something is known here. Number 0 is nobody: where no source has tenants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tenants {
    numbers: BTreeMap<Arc<str>, u32>,
    accounts: BTreeMap<u32, Account>,
    last: u32,
    /// Of what all classes together have had.
    all: Meter,
    classes: [ErrorClass; Priority::ALL.len()],
    /// Whose sums, or whose line, may have changed since they were settled.
    changed: BTreeSet<u32>,
}

impl Tenants {
    /// The number of a tenant, which gets one when it is named for the first time.
    pub(crate) fn number(&mut self, tenant: Option<Tenant>, now: Ms) -> u32 {
        let Some(Tenant { name, terms }) = tenant else { return 0 };
        if let Some(number) = self.numbers.get(name.as_str()) {
            let number = *number;
            if self.get(number).is_some_and(|account| account.terms != terms) {
                self.count(number, Usage::default(), false, now);
                self.accounts.get_mut(&number).into_iter().for_each(|account| account.terms = terms);
                self.changed.insert(number);
            }
            return number;
        }
        self.last += 1;
        let name: Arc<str> = name.into();
        self.numbers.insert(Arc::clone(&name), self.last);
        let meter = Meter { at: now, ..Meter::default() };
        let account = Account { name, terms, usage: Usage::default(), meter, competes: false };
        self.accounts.insert(self.last, account);
        self.changed.insert(self.last);
        self.last
    }

    /// A tenant's account.
    pub fn get(&self, number: u32) -> Option<&Account> {
        self.accounts.get(&number)
    }

    /// All accounts, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Account)> {
        self.accounts.iter().map(|(number, account)| (*number, account))
    }

    /// A tenant's sums, or its line, may have changed.
    pub(crate) fn changed(&mut self, number: u32) {
        if number != 0 {
            self.changed.insert(number);
        }
    }

    /// The same of several.
    pub(crate) fn changed_all(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.changed.extend(numbers);
    }

    /// What a class has had times [`LOWER`], less what all have had: below 0, a lower class is owed.
    pub fn owed(&self, priority: Priority, more: u64, now: Ms) -> i128 {
        let class = self.classes.get(priority as usize).copied().unwrap_or_default();
        let had = class.meter.used(now).saturating_add((class.meter.cpu + more) * QUANTUM);
        i128::from(had) * i128::from(LOWER) - i128::from(self.all.used(now))
    }

    /// Brings the accounts up to date with what has changed in this turn.
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
            self.count(number, sums.usage, competes, now);
            if competes && !before {
                self.comes_level(number, now);
            }
            if sums.jobs == 0 {
                self.forget(number);
            }
        }
    }

    /// Counts what a tenant has in flight from now on, and whether it competes.
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

    /// A tenant has nothing here any more.
    fn forget(&mut self, number: u32) {
        if let Some(account) = self.accounts.remove(&number) {
            self.numbers.remove(&account.name);
        }
    }

    /// A tenant begins to compete: it is owed nothing for the time before. So is its class, where it is the first of it.
    fn comes_level(&mut self, number: u32, now: Ms) {
        let Some(own) = self.accounts.get(&number) else { return };
        let (priority, weight) = (own.terms.priority, own.terms.weight);
        let others = || self.iter().filter(|(it, other)| *it != number && other.terms.priority == priority);
        let least = others().filter(|(_, other)| other.competes).map(|(_, other)| other.had(now)).min();
        // Where nobody competes, whoever has tasks in flight may do so any moment.
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
