//! The planner: the ledger in, actions out. Pure: no clock, no randomness, no memory of its own.
//!
//! # Expected flow of a job
//! 1. [`Action::Inspect`]: read what was decided and which attempts exist.
//! 2. A terminal record exists → settle: [`Action::Publish`], [`Action::Index`] for the listings, [`Action::Announce`]
//!    for the bus, [`Action::Collect`] for the losers' leftovers, [`Action::DeadLetter`], then [`Action::Delete`].
//! 3. No attempt, or the last one is proven over and its backoff has passed → [`Action::Claim`], then
//!    [`Action::Launch`].
//! 4. An attempt may be alive → watch it ([`Action::Describe`], [`Action::Inspect`]) and keep the lease.
//! 5. The budget is spent, or the failure cannot be retried → [`Action::GiveUp`], then as in 2.
//!
//! # Guarantees
//! - A message is deleted only after each of its jobs is settled (S1).
//! - After [`crate::state::ledger::Ledger::begin`] took the actions of a plan, planning again returns none of them.
//! - The plan is a function of policy, ledger and time: the same inputs give the same plan.
//!
//! # Assumptions
//! - Each begun action is answered by at least one fact, also when it fails; the executor's timeouts ensure that.
//! - A fact that follows from a call is absorbed no earlier than the call began.
//!
//! [`Action::Inspect`]: crate::protocol::action::Action::Inspect
//! [`Action::Announce`]: crate::protocol::action::Action::Announce
//! [`Action::Publish`]: crate::protocol::action::Action::Publish
//! [`Action::DeadLetter`]: crate::protocol::action::Action::DeadLetter
//! [`Action::Index`]: crate::protocol::action::Action::Index
//! [`Action::Collect`]: crate::protocol::action::Action::Collect
//! [`Action::Delete`]: crate::protocol::action::Action::Delete
//! [`Action::Claim`]: crate::protocol::action::Action::Claim
//! [`Action::Launch`]: crate::protocol::action::Action::Launch
//! [`Action::Describe`]: crate::protocol::action::Action::Describe
//! [`Action::GiveUp`]: crate::protocol::action::Action::GiveUp

mod announce;
mod cancelled;
mod claims;
mod jobs;
mod leases;
mod output;
mod receive;
mod shares;
mod steps;
mod superseded;
mod tasks;
mod view;

pub use self::output::{Plan, Scope, Visit};
use self::{output::Planner, view::View};
use crate::{policy::Policy, protocol::clock::Now, state::ledger::Ledger};

/// Plans with a visit to every row. See the module.
pub fn plan(policy: &Policy, ledger: &Ledger, now: Now) -> Plan {
    plan_of(Scope::All, policy, ledger, now)
}

/// Plans with a visit to the rows of `scope`. `Due` gives the same actions as `All`: a row that is not due cannot cause
/// an action.
pub fn plan_of(scope: Scope, policy: &Policy, ledger: &Ledger, now: Now) -> Plan {
    let (mut plan, view) = (Planner::default(), View { policy, ledger, now });
    leases::plan(&mut plan, scope, policy, ledger, now);
    jobs::plan(&mut plan, scope, view);
    tasks::plan(&mut plan, view);
    receive::plan(&mut plan, policy, ledger, now);
    view.resend(&mut plan);
    plan.finish(now)
}
