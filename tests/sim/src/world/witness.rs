//! The failures that a controller has seen: enough to say when its breaker must be open.

use std::{collections::BTreeSet, mem};

use transcode_config::contract::{Capacity, Dead, JobKey, Outcome, Terminal};
use transcode_core::{
    policy::Policy,
    protocol::{
        action::Action,
        clock::Ms,
        fact::{ErrorClass, Fact, Refusal},
        task_view::TaskStatus,
    },
    state::{
        breaker::FailureStage,
        job::{Job, TerminalRecord},
        ledger::Ledger,
    },
};

use crate::invariants::{self, Kept};

/// The witness. When in doubt, it favours the controller: any success clears it.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Jobs that failed since the last success.
    failed: BTreeSet<JobKey>,
    /// Jobs whose launch was refused since the last launch.
    refused: BTreeSet<JobKey>,
    /// Jobs whose newest attempt was not known to be over before the current turn.
    open: BTreeSet<JobKey>,
    /// The last claim while the breaker had to be open (monotonic).
    claimed_at: Option<Ms>,
}

impl Witness {
    /// Called with a fact before the controller with this ledger absorbs it.
    pub(super) fn hears(&mut self, fact: &Fact, ledger: &Ledger, policy: &Policy) {
        match fact {
            Fact::Inspected { job, snapshot } => {
                if let Some(terminal) = &snapshot.terminal {
                    self.decided(job, terminal, ledger);
                } else if is_open(job, ledger) {
                    self.open.insert(job.clone());
                }
            }
            Fact::Decided { job, terminal } => self.decided(job, terminal, ledger),
            Fact::Launched { .. } => self.refused.clear(),
            Fact::TaskSeen(view) | Fact::TaskListed(view) if view.status == TaskStatus::Running => {
                self.refused.clear();
            }
            Fact::LaunchRefused { job, attempt, refusal: Refusal::Failed(error) } => {
                let attempts = ledger.jobs.get(job).and_then(|job| job.attempt.as_ref());
                let on_demand = attempts.is_some_and(|newest| {
                    newest.claim.attempt == *attempt && newest.claim.variant.capacity == Capacity::Fargate
                });
                let for_good = matches!(
                    error.class,
                    ErrorClass::Capacity
                        | ErrorClass::Misconfigured
                        | ErrorClass::Permanent
                        | ErrorClass::Unknown
                );
                if on_demand && for_good && self.refused.len() < policy.breaker_jobs {
                    self.refused.insert(job.clone());
                }
            }
            _ => {}
        }
    }

    fn decided(&mut self, key: &JobKey, terminal: &Terminal, ledger: &Ledger) {
        let Outcome::Dead(dead) = &terminal.outcome else {
            (self.failed, self.refused, self.open) = Default::default();
            return;
        };
        // Only a record that is new to the controller and was absent before counts.
        let absent = |job: &Job| matches!(job.record, TerminalRecord::Absent(_));
        if ledger.jobs.get(key).is_some_and(absent) && is_open(key, ledger) {
            self.fails(key, dead);
        }
    }

    /// Called with a turn's plan. A job that is given up has failed in this controller's sight, if a reading in this
    /// turn has shown that.
    pub(super) fn sees(&mut self, planned: &[Action]) {
        let open = mem::take(&mut self.open);
        for action in planned {
            if let Action::GiveUp { job, terminal } = action
                && let (true, Outcome::Dead(dead)) = (open.contains(job), &terminal.outcome)
            {
                self.fails(job, dead);
            }
        }
    }

    fn fails(&mut self, job: &JobKey, dead: &Dead) {
        if FailureStage::of(&dead.failure) == Some(FailureStage::Failed) {
            self.failed.insert(job.clone());
        }
    }

    /// Checks the number of claims in a turn: while the breaker must be open, one in each of its periods.
    pub(super) fn claims(&mut self, claims: usize, now: Ms, policy: &Policy) -> Kept {
        let most = self.failed.len().max(self.refused.len());
        if policy.breaker_jobs == 0 || most < policy.breaker_jobs {
            self.claimed_at = None;
            return Ok(());
        }
        if claims == 0 {
            return Ok(());
        }
        let since = self.claimed_at.replace(now).map_or(Ms::MAX, |at| now - at);
        invariants::breaker_is_open(claims, since, policy.breaker_probe)
    }
}

fn is_open(job: &JobKey, ledger: &Ledger) -> bool {
    let newest = ledger.jobs.get(job).and_then(|job| job.attempt.as_ref());
    newest.is_some_and(|attempt| !attempt.told)
}
