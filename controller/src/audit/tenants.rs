//! Tenants, as the log of one process tells of them (L9): who has more tasks than it may, and who waits while others are
//! served.
//!
//! A log says less than the ledger knows, so a verdict needs more than the promise does. A task counts from its launch by
//! this process until anything says that it may be over. A tenant without a task waits in vain if the claims of other
//! tenants of its class, a minute after its first job came, outnumber these tenants; nothing else may be said of that job
//! meanwhile, such as a failed call, and its first attempt must be claimed here, or never.

use std::collections::BTreeMap;

use super::totals::MAX_KNOWN;

/// Time (ms) in which a job is looked up before it counts as waiting, and in which a claim may still be under way.
const SETTLE_MS: u64 = 60_000;

/// Most tenants that are watched for their first claim at the same time.
const MAX_WATCHED: usize = 1000;

/// A tenant, as a job's line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) name: String,
    pub(super) priority: String,
    /// Most tasks, if there is a limit.
    pub(super) max_tasks: Option<u64>,
    /// Most CPU units, if there is a limit.
    pub(super) max_cpu: Option<u64>,
}

/// What the log says of a tenant.
#[derive(Debug)]
struct Tenant {
    terms: Whose,
    /// CPU units of its tasks, by job.
    running: BTreeMap<String, u64>,
}

/// The first job of a tenant that has had no claim.
#[derive(Debug)]
struct Newcomer {
    job: String,
    since: u64,
    /// Number of claims that have passed it over, and when there were too many of them.
    passed: usize,
    too_many: Option<u64>,
}

/// The tenants of one process.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    known: BTreeMap<String, Tenant>,
    classes: BTreeMap<String, usize>,
    newcomers: BTreeMap<String, Newcomer>,
    /// The tenant of each job, and the CPU units of its newest claim.
    jobs: BTreeMap<String, (String, u64)>,
    /// There may be tasks whose tenant is unknown, so that nobody can be said to be a newcomer.
    blind: bool,
}

impl Tenants {
    /// A job was received. Returns the number of jobs that were forgotten to make room.
    pub(super) fn asked(&mut self, job: &str, whose: Whose, at: u64) -> u64 {
        let full = self.jobs.len() >= MAX_KNOWN;
        let forgotten = if full { self.jobs.len() as u64 } else { 0 };
        if full {
            *self = Self { blind: true, ..Self::default() };
        }
        let name = whose.name.clone();
        if let Some(known) = self.known.get_mut(&name) {
            known.terms = whose;
        } else {
            *self.classes.entry(whose.priority.clone()).or_default() += 1;
            self.known.insert(name.clone(), Tenant { terms: whose, running: BTreeMap::new() });
            if self.newcomers.len() < MAX_WATCHED && !self.blind {
                let newcomer = Newcomer { job: job.to_owned(), since: at, passed: 0, too_many: None };
                self.newcomers.insert(name.clone(), newcomer);
            }
        }
        self.jobs.insert(job.to_owned(), (name, 0));
        forgotten
    }

    /// An attempt was claimed. Returns the violation, if it comes too late.
    pub(super) fn claimed(&mut self, job: &str, attempt: u64, cpu: u64, at: u64) -> Option<String> {
        let (name, units) = self.jobs.get_mut(job)?;
        *units = cpu;
        let name = name.clone();
        let priority = self.known.get(&name)?.terms.priority.clone();
        let own = self.newcomers.remove(&name);
        let others = self.classes.get(&priority).map_or(0, |tenants| tenants - 1);
        for (other, newcomer) in &mut self.newcomers {
            let same = self.known.get(other).is_some_and(|it| it.terms.priority == priority);
            if same && at >= newcomer.since + SETTLE_MS {
                newcomer.passed += 1;
                if newcomer.passed > others {
                    newcomer.too_many.get_or_insert(at);
                }
            }
        }
        own.filter(|own| own.job == job && attempt == 1 && own.too_many.is_some()).map(|own| own.text(&name))
    }

    /// A task was launched. Returns the violation, if its tenant has too many.
    pub(super) fn launched(&mut self, job: &str) -> Option<String> {
        let (name, cpu) = self.jobs.get(job)?;
        let Tenant { terms, running } = self.known.get_mut(name)?;
        // Claimed by another process: that one answers for it.
        if *cpu == 0 {
            return None;
        }
        running.insert(job.to_owned(), *cpu);
        let (tasks, units) = (running.len() as u64, running.values().sum::<u64>());
        let over = |had: u64, most: Option<u64>| most.filter(|most| had > *most);
        if let Some(most) = over(tasks, terms.max_tasks) {
            return Some(format!("{name} has {tasks} tasks, and may have {most}"));
        }
        over(units, terms.max_cpu).map(|most| format!("{name} has {units} CPU units, and may have {most}"))
    }

    /// Something else is said of a job: a failed call, an end, an adoption. It may have a task that counts for its tenant.
    pub(super) fn stirred(&mut self, job: &str) {
        if let Some((name, _)) = self.jobs.get(job) {
            self.known.get_mut(name).and_then(|it| it.running.remove(job));
            self.newcomers.remove(name);
        } else {
            self.blind = true;
            self.newcomers.clear();
        }
    }

    /// People have changed the tenants, or what may run. Returns the violations so far; the tasks of before stay in flight.
    pub(super) fn changed(&mut self, at: u64) -> Vec<String> {
        let found = self.end(at);
        self.blind = true;
        found
    }

    /// The process, or its log, ends. Returns the violations: who waits still.
    pub(super) fn end(&mut self, at: u64) -> Vec<String> {
        let ended = std::mem::take(self);
        let late = |it: &Newcomer| it.too_many.is_some_and(|since| at >= since + SETTLE_MS);
        ended.newcomers.iter().filter(|(_, it)| late(it)).map(|(name, it)| it.text(name)).collect()
    }
}

impl Newcomer {
    fn text(&self, name: &str) -> String {
        let Self { job, passed, .. } = self;
        format!("job {job}, the first of {name}, waited while {passed} claims of others passed it over")
    }
}
