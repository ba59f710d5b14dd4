//! The planner: from what is known to what is to be done. Pure: no clock, no randomness, no memory of its own.
//!
//! # Expected flow of a job
//! 1. [`Action::Inspect`]: what has been decided, what has been tried?
//! 2. terminal record there → settle: [`Action::Publish`] or [`Action::DeadLetter`], [`Action::Collect`] what losers left, then
//!    [`Action::Delete`]
//! 3. no attempt, or the last one proven over and its backoff past → [`Action::Claim`], then [`Action::Launch`]
//! 4. an attempt that may be alive → watch it ([`Action::Describe`], [`Action::Inspect`]), keep the lease
//! 5. budgets spent, or a failure that no retry can mend → [`Action::GiveUp`], then as 2
//!
//! # Guarantees
//! - A message is deleted only when each of its jobs is settled (S1).
//! - Planning again after [`crate::state::ledger::Ledger::begin`] took the actions gives none of them again.
//! - What an action says is a function of the ledger alone: the same ledger gives the same plan.
//!
//! # Assumptions
//! - Each begun action is answered by at least one fact, its failure included; the executor's timeouts see to that.
//! - Facts that follow from a call are absorbed no earlier than the call began.

mod claims;
mod jobs;
mod leases;
mod output;
mod receive;
mod shares;
mod tasks;
mod view;

pub use self::output::{Plan, Scope, Visit};
use self::{output::Planner, view::View};
use crate::{policy::Policy, protocol::clock::Now, state::ledger::Ledger};

/// Plans, looking at everything. See the module.
pub fn plan(policy: &Policy, ledger: &Ledger, now: Now) -> Plan {
    plan_of(Scope::All, policy, ledger, now)
}

/// Plans. What is due is all that an action could follow from: the same actions as if everything were looked at.
pub fn plan_of(scope: Scope, policy: &Policy, ledger: &Ledger, now: Now) -> Plan {
    let (mut plan, view) = (Planner::default(), View { policy, ledger, now });
    leases::plan(&mut plan, scope, policy, ledger, now);
    jobs::plan(&mut plan, scope, view);
    tasks::plan(&mut plan, view);
    receive::plan(&mut plan, policy, ledger, now);
    plan.finish(now)
}
