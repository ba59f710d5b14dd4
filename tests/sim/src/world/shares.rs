//! Each tenant's use of the slots and its waits, by the true state of tasks.

use std::collections::BTreeMap;

use transcode_core::{
    message::Request,
    protocol::{action::Action, clock::Ms},
    state::ledger::Ledger,
};

use super::World;
use crate::{
    invariants::{self, Kept},
    setup::Expected,
    truth::JobTruth,
};

/// Tasks of one tenant, and their use in the measured time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Had {
    tasks: usize,
    used: Ms,
    at: Ms,
}

/// The tenant of a job: the first part of its key.
pub(super) fn tenant_of(job: &JobTruth) -> &str {
    let Request::Run(spec) = &job.request else { return "" };
    spec.source.key.split_once('/').map_or("", |(tenant, _)| tenant)
}

impl World {
    /// A task of a job was launched, or has ended.
    pub(super) fn runs(&mut self, job: Option<usize>, more: bool) {
        let Some(tenant) = job.and_then(|job| self.jobs.get(job)).map(tenant_of) else { return };
        if self.setup.expected.is_empty() {
            return;
        }
        let (now, tenant) = (self.now, tenant.to_owned());
        let hour = self.setup.expected.iter().find_map(|it| match it {
            Expected::Share { from, until, .. } => Some((*from, *until)),
            _ => None,
        });
        let (from, until) = hour.unwrap_or_default();
        let had = self.had.entry(tenant.clone()).or_default();
        let within = now.clamp(from, until) - had.at.clamp(from, until);
        had.used += had.tasks as Ms * within;
        had.at = now;
        had.tasks = if more { had.tasks + 1 } else { had.tasks.saturating_sub(1) };
        let tasks = had.tasks;
        let most = self.setup.expected.iter().find_map(|it| match it {
            Expected::Limit { tenant: of, tasks } if *of == tenant => Some(*tasks),
            _ => None,
        });
        self.check(invariants::l9_no_more_than_it_may(&tenant, tasks, most.unwrap_or(usize::MAX)));
    }

    /// The first attempt of a job is claimed.
    pub(super) fn begun(&mut self, job: usize) {
        let Some(job) = self.jobs.get(job) else { return };
        let (tenant, waited) = (tenant_of(job), self.now.saturating_sub(job.sent_at));
        let most = self.setup.expected.iter().find_map(|it| match it {
            Expected::Soon { tenant: of, within } if *of == tenant => Some(*within),
            _ => None,
        });
        let found = most.map_or(Ok(()), |most| invariants::l9_claimed_soon(tenant, waited, most));
        self.check(found);
    }

    /// Checks of the whole run.
    pub(super) fn check_shares(&mut self) {
        let all: Ms = self.had.values().map(|had| had.used).sum();
        let found = self.setup.expected.iter().try_for_each(|it| match it {
            Expected::Share { tenant, share, within, .. } => {
                let used = self.had.get(*tenant).map_or(0, |had| had.used);
                invariants::l9_share_is_kept(tenant, used * 1000 / all.max(1), *share, *within)
            }
            Expected::NothingGivenUp => {
                invariants::l9_nothing_is_given_up(self.messages.iter().filter(|it| it.given_up).count())
            }
            Expected::Soon { .. } | Expected::Limit { .. } => Ok(()),
        });
        self.check(found);
    }
}

/// How often new tenants were passed over by a controller's claims.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    /// The last number seen.
    last: u32,
    /// Tenants without any claim so far: the number of claims for others of their class since their jobs wait.
    passed: BTreeMap<u32, usize>,
}

impl Newcomers {
    /// Before a turn: the new tenants whose jobs lack only a slot.
    pub(super) fn wait(&mut self, ledger: &Ledger) {
        for (number, _) in ledger.tenants.iter().filter(|(number, _)| *number > self.last) {
            self.passed.insert(number, 0);
        }
        self.last = ledger.tenants.iter().map(|(number, _)| number).max().unwrap_or(0).max(self.last);
        self.passed.retain(|number, _| {
            ledger.tenants.get(*number).is_some() && ledger.in_flight.tenant(*number).usage.tasks == 0
        });
    }

    /// After a turn: its claims by tenant. `before` lists the tenants that waited before.
    pub(super) fn passed(&mut self, planned: &[Action], before: &[u32], ledger: &Ledger) -> Kept {
        let class = |number: u32| ledger.tenants.get(number).map(|account| account.terms.priority);
        // A slot can be given to a job whose reading is too old for a claim: the job is read again first.
        let read_first = |action: &Action| {
            let Action::Inspect { job } = action else { return None };
            let job = ledger.jobs.get(job).filter(|job| job.attempt.is_none() && job.read_at().is_some())?;
            Some(job.tenant)
        };
        let served: Vec<u32> = planned.iter().filter_map(read_first).collect();
        for action in planned {
            let Action::Claim { claim, .. } = action else { continue };
            let Some(tenant) = ledger.jobs.get(&claim.job).map(|job| job.tenant) else { continue };
            self.passed.remove(&tenant);
            for (number, passed) in &mut self.passed {
                let waits = before.contains(number) && !served.contains(number);
                if waits && class(*number) == class(tenant) {
                    *passed += 1;
                }
            }
        }
        let others = |number: u32| ledger.tenants.iter().filter(|(other, _)| *other != number).count();
        let mut passed = self.passed.iter();
        passed.try_for_each(|(number, passed)| invariants::l9_newcomer_is_next(*passed, others(*number)))
    }
}
