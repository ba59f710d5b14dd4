//! Each tenant's use of the slots and its waits, by the true state of tasks.

use transcode_core::{message::Request, protocol::clock::Ms};

use super::World;
use crate::{invariants, setup::Expected, truth::JobTruth};

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
