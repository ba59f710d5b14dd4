//! New tenants are next (L9): as seen from one controller's claims, turn by turn.

use std::collections::BTreeMap;

use transcode_core::{protocol::action::Action, state::ledger::Ledger};

use crate::invariants::{self, Kept};

/// How often new tenants were passed over by a controller's claims.
#[derive(Debug, Clone, Default)]
pub(crate) struct Newcomers {
    /// The last number seen.
    last: u32,
    /// Tenants without any claim so far: the number of claims for others of their class since their jobs wait.
    passed: BTreeMap<u32, usize>,
}

impl Newcomers {
    /// Before a turn: the new tenants whose jobs lack only a slot.
    pub(crate) fn wait(&mut self, ledger: &Ledger) {
        for (number, _) in ledger.tenants.iter().filter(|(number, _)| *number > self.last) {
            self.passed.insert(number, 0);
        }
        self.last = ledger.tenants.iter().map(|(number, _)| number).max().unwrap_or(0).max(self.last);
        self.passed.retain(|number, _| {
            ledger.tenants.get(*number).is_some() && ledger.in_flight.tenant(*number).usage.tasks == 0
        });
    }

    /// Before a turn: the tenants with jobs that wait. A line still has the jobs that the last turn marked to be put
    /// back: they no longer wait here.
    pub(crate) fn waiting(ledger: &Ledger) -> Vec<u32> {
        let waits = |tenant: &u32| ledger.jobs.in_line_of(*tenant).any(|(_, _, job)| !job.put_back);
        ledger.jobs.lines().map(|(tenant, _)| tenant).filter(waits).collect()
    }

    /// After a turn: its claims by tenant. `before` lists the tenants that waited before.
    pub(crate) fn passed(&mut self, planned: &[Action], before: &[u32], ledger: &Ledger) -> Kept {
        // A tenant that is paused, or whose jobs are from a paused queue, waits for whoever paused it.
        let queues = !ledger.steering.queues.is_empty();
        let paused = |number: &u32| ledger.tenants.get(*number).is_some_and(|it| it.paused.is_some());
        self.passed.retain(|number, _| !queues && !paused(number));
        let class = |number: u32| ledger.tenants.get(number).map(|account| account.terms.priority);
        // A slot can be given to a job whose reading is too old for a claim: the job is read again first.
        let read_first = |action: &Action| {
            let Action::Inspect { job, .. } = action else { return None };
            let job = ledger.jobs.get(job).filter(|job| job.attempt.is_none() && job.read_at().is_some())?;
            Some(job.tenant)
        };
        let others = |number: u32| ledger.tenants.iter().filter(|(other, _)| *other != number).count();
        let mut kept = Ok(());
        let served: Vec<u32> = planned.iter().filter_map(read_first).collect();
        for action in planned {
            let Action::Claim { claim, .. } = action else { continue };
            let Some(tenant) = ledger.jobs.get(&claim.job).map(|job| job.tenant) else { continue };
            self.passed.remove(&tenant);
            for (number, passed) in &mut self.passed {
                let waits = before.contains(number) && !served.contains(number);
                if waits && class(*number) == class(tenant) {
                    *passed += 1;
                    kept = kept.and(invariants::l9_newcomer_is_next(*passed, others(*number)));
                }
            }
        }
        kept
    }

    /// What is known of a tenant: whether it has been there in an earlier turn, and by how many claims it was passed
    /// over if it is a newcomer still.
    pub(crate) fn known(&self, number: u32) -> (bool, Option<usize>) {
        (number <= self.last, self.passed.get(&number).copied())
    }
}
