//! What each turn of a controller must keep where sources have tenants (L9).

use std::collections::BTreeSet;

use transcode_config::contract::JobKey;
use transcode_core::{
    plan::Plan,
    protocol::{clock::Now, fact::Fact},
    reconciler::Reconciler,
    state::ledger::{Ledger, Receiving},
};

use crate::{invariants, newcomers::Newcomers};

/// What was seen of a controller's turns.
#[derive(Debug, Clone, Default)]
pub(super) struct Tenancy {
    pub(super) newcomers: Newcomers,
}

impl Tenancy {
    /// A turn, and the promise that it breaks to a tenant, if any.
    pub(super) fn turn(
        &mut self,
        core: &mut Reconciler,
        facts: Vec<Fact>,
        now: Now,
    ) -> (Plan, Option<&'static str>) {
        if core.policy().look_ahead.is_none() {
            return (core.turn(facts, now).0, None);
        }
        self.newcomers.wait(&core.ledger);
        let waited: Vec<u32> = core.ledger.jobs.lines().map(|(tenant, _)| tenant).collect();
        let before = put_back(&core.ledger);
        let (plan, _) = core.turn(facts, now);
        let ledger = &core.ledger;
        let new: BTreeSet<JobKey> = put_back(ledger).difference(&before).cloned().collect();
        let passed = self.newcomers.passed(&plan.actions, &waited, ledger);
        let kept = [
            (invariants::l9_limits_are_kept(&plan.actions, ledger).is_ok(), "L9: a limit is not kept"),
            (passed.is_ok(), "L9: a newcomer is passed over"),
            (longest_makes_way(ledger, &new), "L9: what is put back is not of the longest line"),
            (listens(core, now), "L9: nobody listens for the next upload"),
        ];
        let broken = kept.into_iter().find(|(kept, _)| !kept).map(|(_, what)| what);
        (plan, broken)
    }
}

/// The jobs whose messages are put back.
fn put_back(ledger: &Ledger) -> BTreeSet<JobKey> {
    ledger.jobs.iter().filter(|(_, job)| job.put_back).map(|(key, _)| key.clone()).collect()
}

/// No tenant keeps more jobs in line than one that has just lost some, apart from one. All have the same weight.
fn longest_makes_way(ledger: &Ledger, lost: &BTreeSet<JobKey>) -> bool {
    let waits = |tenant: u32| ledger.jobs.in_line_of(tenant).filter(|(_, _, job)| !job.put_back).count();
    let longest = ledger.jobs.lines().map(|(tenant, _)| waits(tenant)).max().unwrap_or(0);
    lost.iter().filter_map(|key| ledger.jobs.get(key)).all(|job| longest <= waits(job.tenant) + 1)
}

/// A receive is under way, or is about to be: whoever uploads next is heard of, however many jobs wait.
fn listens(core: &Reconciler, now: Now) -> bool {
    let ledger = &core.ledger;
    let receiving = |it: &Receiving| it.call.is_some() || it.retry_at > now.mono;
    !ledger.resync.done || ledger.receiving.values().any(receiving)
}
